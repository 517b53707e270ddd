//! The operations that the nodes of a graph compute, by their names.

use super::attributes::Attributes;
use super::call::Op;
use super::{OP, arrays, layers, wrong_inputs};
use crate::binary::Binary;
use crate::error::{KernelError, Result};
use crate::unary::Unary;

/// The operation `name`, of `inputs` inputs.
pub(super) fn named(name: &str, inputs: usize, mut attributes: Attributes) -> Result<Op> {
    let given = &mut attributes;
    let op = match name {
        "linear" => layers::linear(given)?,
        "batchNorm" => layers::batch_norm(given)?,
        "layerNorm" => layers::layer_norm(given)?,
        "linearBatchNormReluDropout" => layers::linear_batch_norm_relu_dropout(given)?,
        "conv2d" => layers::conv2d(given)?,
        "maxPool2d" => layers::max_pool(given)?,
        "avgPool2d" => layers::avg_pool(given)?,
        "embedding" => layers::embedding(),
        "embeddingBag" => layers::embedding_bag(given)?,
        "dropout" => layers::dropout(given)?,
        "affine" => arrays::affine(given)?,
        "relu" => arrays::relu(),
        "matmul" => arrays::matmul(given)?,
        "softmax" => arrays::softmax(given)?,
        "sum" => arrays::sum(given, false)?,
        "mean" => arrays::sum(given, true)?,
        "max" => arrays::extremum(given, true)?,
        "min" => arrays::extremum(given, false)?,
        "cumsum" => arrays::cumsum(given)?,
        "permute" => arrays::permute(given)?,
        "expand" => arrays::expand(),
        "slice" => arrays::slice(given)?,
        "cat" => arrays::cat(given)?,
        "indexSelect" => arrays::index_select(given)?,
        "gather" => arrays::gather(given)?,
        "scatter" => arrays::scatter(given)?,
        _ => {
            if let Some((_, function)) = Unary::ALL.iter().find(|(row, _)| *row == name) {
                arrays::unary(*function, given)?
            } else if let Some((_, function)) = Binary::ALL.iter().find(|(row, _)| *row == name) {
                arrays::binary(*function)
            } else {
                return Err(KernelError::Unknown { op: OP, what: "operation", name: name.to_owned() });
            }
        }
    };
    attributes.expect_none()?;
    if !op.arity.contains(&inputs) {
        return Err(wrong_inputs(inputs, inputs.clamp(*op.arity.start(), *op.arity.end())));
    }
    Ok(op)
}
