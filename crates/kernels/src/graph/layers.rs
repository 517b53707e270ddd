//! The nodes that are layers: their kernels, given the arrays of a pass.

use super::call::{Array, ArrayMut, Attributes, Packed, Room};
use super::first;
use crate::batch_norm::{self as norms, Affine, Norm, Outputs};
use crate::batch_stats::{self, Moments, Statistics};
use crate::conv::{self, Epilogue, RowNorm};
use crate::dropout::{self as masks, Mask};
use crate::embedding_bag::{self, Bags};
use crate::error::{KernelError, Result, expect_shape};
use crate::linear::{self as products, Weight};
use crate::norm_relu_dropout::{self, Dropout, Linear};
use crate::pool::{self, Windows};
use crate::{channel_norm, elementwise, relu};

pub(super) fn linear(attributes: &Attributes, inputs: &[Array], out: ArrayMut, room: Room) -> Result<()> {
    let bias = inputs.get(2).map(|bias| bias.data.into());
    let weight = weight(attributes, &inputs[1], room.packed)?;
    products::forward(inputs[0].matrix()?, weight, bias, attributes.relu, out.matrix()?)
}

fn weight<'a>(attributes: &Attributes, weight: &Array<'a>, packed: Option<&'a Packed>) -> Result<Weight<'a>> {
    match packed {
        Some(Packed::Matrix(packed)) => Ok(Weight::Packed(packed)),
        _ => Ok(Weight::Matrix(weight.matrix()?, attributes.precision())),
    }
}

pub(super) fn dropout(attributes: &Attributes, inputs: &[Array], out: ArrayMut, room: Room) -> Result<()> {
    // The gradient's kernel multiplies by a mask that was drawn, as the forward pass does.
    let keep = room.mask.as_deref().unwrap_or_default();
    masks::backward(inputs[0].data, Mask { keep, p: attributes.p }, out.data)
}

/// BatchNorm of x, then the sum with an addend, the second input, and ReLU if they follow.
pub(super) fn batch_norm(attributes: &Attributes, inputs: &[Array], out: ArrayMut, room: Room) -> Result<()> {
    let (inputs, of_norm) = inputs.split_at(inputs.len() - 4);
    let x = inputs[0].planes()?;
    let (rows, features, length) = x.dim();
    let [_, mean, inv_std] = room.scratch;
    let (mean, inv_std) = (first(mean, features), first(inv_std, features));
    let norm = norm(attributes, of_norm, room.moments);
    let addend = inputs.get(1).map(|addend| addend.data);
    if length != 1 {
        let epilogue = channel_norm::Epilogue { addend, relu: attributes.relu };
        return channel_norm::forward(x, norm, epilogue, Outputs { mean, inv_std, out: out.planes()? });
    }
    let shape = [rows, features];
    let into = ArrayMut { shape: &shape, data: &mut *out.data }.matrix()?;
    norms::forward(Array { shape: &shape, ..inputs[0] }.matrix()?, norm, Outputs { mean, inv_std, out: into })?;
    if let Some(addend) = addend {
        elementwise::accumulate(addend, out.data)?;
    }
    if attributes.relu {
        out.data.iter_mut().for_each(|y| *y = relu::forward(*y));
    }
    Ok(())
}

pub(super) fn linear_batch_norm_relu_dropout(
    attributes: &Attributes,
    inputs: &[Array],
    out: ArrayMut,
    room: Room,
) -> Result<()> {
    let (linear, of_norm) = inputs.split_at(inputs.len() - 4);
    let bias = linear.get(2).map(|bias| bias.data.into());
    let weight = weight(attributes, &linear[1], room.packed)?;
    let linear = Linear { input: linear[0].matrix()?, weight, bias };
    let out = out.matrix()?;
    let (rows, features) = out.dim();
    let dropout = room.mask.map(|keep| Dropout { p: attributes.p, generator: None, keep });
    let [product, mean, inv_std] = room.scratch;
    let shape = [rows, features];
    let x = ArrayMut { shape: &shape, data: first(product, rows * features) }.matrix()?;
    let outputs = Outputs { mean: first(mean, features), inv_std: first(inv_std, features), out };
    norm_relu_dropout::linear_forward(linear, x, norm(attributes, of_norm, room.moments), dropout, outputs)
}

/// A convolution of x with a weight, and a bias if there is one, then BatchNorm with running statistics, the sum with an addend,
/// the input before BatchNorm's, and ReLU if they follow.
pub(super) fn conv2d(attributes: &Attributes, inputs: &[Array], out: ArrayMut, room: Room) -> Result<()> {
    let (inputs, of_norm) = inputs.split_at(inputs.len() - if attributes.norm { 4 } else { 0 });
    let (inputs, addend) = inputs.split_at(inputs.len() - usize::from(attributes.addend));
    let shape = conv::Shape::of(inputs[0].shape, inputs[1].shape, &attributes.window)?;
    expect_shape(super::OP, "out", out.shape, &shape.output()?)?;
    let weight = match room.packed {
        Some(Packed::Kernel(weight)) => conv::Weight::Transformed(weight),
        _ => conv::Weight::Taps(inputs[1].data, attributes.precision()),
    };
    let operands = conv::Operands { x: inputs[0].data, weight, bias: inputs.get(2).map(|bias| bias.data) };
    let norm = match of_norm {
        [weight, bias, mean, var] => {
            let inv_std = first(&mut room.scratch[0], var.data.len());
            let eps = attributes.eps as f32;
            inv_std.iter_mut().zip(var.data).for_each(|(to, &var)| *to = batch_stats::inv_std(var, eps));
            Some(RowNorm { mean: mean.data, inv_std, weight: weight.data, bias: bias.data })
        }
        _ => None,
    };
    let addend = addend.first().map(|addend| addend.data);
    conv::forward(&shape, operands, Epilogue { norm, addend, relu: attributes.relu }, out.data)
}

/// The windows of a node whose input is [..., height, width].
fn windows(attributes: &Attributes, x: &Array) -> Result<Windows> {
    let [.., height, width] = *x.shape else {
        return Err(KernelError::Shape { op: super::OP, what: "rank", got: vec![x.shape.len()], expected: vec![4] });
    };
    Ok(Windows { height, width, rows: attributes.rows.clone(), columns: attributes.columns.clone() })
}

pub(super) fn max_pool(attributes: &Attributes, inputs: &[Array], out: ArrayMut, _: Room) -> Result<()> {
    pool::max(&windows(attributes, &inputs[0])?, inputs[0].data, out.data)
}

pub(super) fn avg_pool(attributes: &Attributes, inputs: &[Array], out: ArrayMut, _: Room) -> Result<()> {
    pool::average(&windows(attributes, &inputs[0])?, attributes.factor, inputs[0].data, out.data)
}

/// The rows of a table that ids name, each a bag of its own.
pub(super) fn embedding(_: &Attributes, inputs: &[Array], out: ArrayMut, _: Room) -> Result<()> {
    let (ids, table) = (inputs[0].data, inputs[1].matrix()?);
    let each = [ids.len(), 1];
    let ids = Array { shape: &each, data: ids }.matrix()?;
    let shape = [ids.nrows(), table.ncols()];
    expect_shape(super::OP, "out", &[out.data.len()], &[shape[0] * shape[1]])?;
    let bags = Bags { ids, weights: None, padding: None, mean: false, signed: false };
    embedding_bag::forward(table, bags, ArrayMut { shape: &shape, data: out.data }.matrix()?)
}

pub(super) fn embedding_bag(attributes: &Attributes, inputs: &[Array], out: ArrayMut, _: Room) -> Result<()> {
    let weights = inputs.get(2).map(|weights| weights.data);
    let bags =
        Bags { ids: inputs[0].matrix()?, weights, padding: attributes.padding, mean: attributes.mean, signed: true };
    embedding_bag::forward(inputs[1].matrix()?, bags, out.matrix()?)
}

/// How a batch is normalized: by scale, shift, running mean and running variance.
fn norm<'a>(attributes: &Attributes, inputs: &[Array<'a>], moments: &'a mut [f64]) -> Norm<'a> {
    let [weight, bias, mean, var] = inputs else { unreachable!("counted before") };
    let statistics = if attributes.training {
        let (mean, var) = moments.split_at_mut(moments.len() / 2);
        Statistics::BatchDeferred(Moments { mean, var })
    } else {
        Statistics::Running { mean: mean.data, var: var.data }
    };
    Norm { affine: Affine { weight: weight.data, bias: bias.data }, statistics, eps: attributes.eps as f32 }
}
