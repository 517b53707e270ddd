//! What the nodes of a graph compute: each is the kernel of an operation, given the arrays of a pass.

use super::call::{Array, ArrayMut, Attributes, Room};
use super::{OP, operands};
use super::{arrays, layers};
use crate::binary::Binary;
use crate::conv::{self, TransformedWeight};
use crate::dropout;
use crate::error::{KernelError, Result};
use crate::matmul::Precision;
use crate::unary::Unary;

type Kernel = fn(&Attributes, &[Array], ArrayMut, Room) -> Result<()>;

/// An operation with its attributes.
pub(super) struct Op {
    kernel: Kernel,
    attributes: Attributes,
    drop_chance: Option<f64>,
    momentum: Option<f32>,
    /// The precision of a product whose weight is the second input.
    product: Option<Precision>,
    /// Whether it is a convolution.
    convolves: bool,
}

impl Op {
    /// The operation `name`, of `inputs` inputs.
    pub fn new(name: &str, inputs: usize, attributes: &Attributes) -> Result<Self> {
        let Attributes { norm, addend, training, p, momentum, .. } = *attributes;
        let mut attributes = attributes.clone();
        attributes.unary = Unary::ALL.iter().find(|(row, _)| *row == name).map(|(_, unary)| *unary);
        attributes.binary = Binary::ALL.iter().find(|(row, _)| *row == name).map(|(_, binary)| *binary);
        // The bias of a linear layer may be left out.
        let without_or_with_bias = |without: usize| inputs.clamp(without, without + 1);
        let (mut drops, mut normalises) = (false, false);
        let (kernel, arity): (Kernel, usize) = match name {
            "linear" => (layers::linear, without_or_with_bias(2)),
            "batchNorm" => {
                normalises = training;
                (layers::batch_norm, 5 + usize::from(addend))
            }
            "linearBatchNormReluDropout" => {
                (drops, normalises) = (p > 0.0, training);
                (layers::linear_batch_norm_relu_dropout, without_or_with_bias(6))
            }
            "conv2d" => (layers::conv2d, without_or_with_bias(2 + 4 * usize::from(norm) + usize::from(addend))),
            "maxPool2d" => (layers::max_pool, 1),
            "avgPool2d" => (layers::avg_pool, 1),
            "embedding" => (layers::embedding, 2),
            "embeddingBag" => (layers::embedding_bag, without_or_with_bias(2)),
            "dropout" => {
                drops = true;
                (layers::dropout, 1)
            }
            "affine" => (arrays::affine, 1),
            "relu" => (arrays::relu, 1),
            "matmul" => (arrays::matmul, 2),
            "softmax" => (arrays::softmax, 1),
            "sum" => (|attributes, x, out, room| arrays::sum(attributes, x[0], out, room, false), 1),
            "mean" => (|attributes, x, out, room| arrays::sum(attributes, x[0], out, room, true), 1),
            "max" => (|attributes, x, out, _| arrays::extremum(attributes, x[0], out, true), 1),
            "min" => (|attributes, x, out, _| arrays::extremum(attributes, x[0], out, false), 1),
            "cumsum" => (arrays::cumsum, 1),
            "permute" => (arrays::permute, 1),
            "expand" => (arrays::expand, 1),
            "slice" => (arrays::slice, 1),
            "cat" => (arrays::cat, inputs),
            "indexSelect" => (arrays::index_select, 1),
            "gather" => (arrays::gather, 1),
            "scatter" => (arrays::scatter, 2),
            _ if attributes.unary.is_some() => (arrays::unary, 1),
            _ if attributes.binary.is_some() => (arrays::binary, 2),
            _ => return Err(KernelError::Unknown { op: OP, name: name.to_owned() }),
        };
        if inputs != arity {
            return Err(operands(inputs, arity));
        }
        dropout::expect_probability(p)?;
        let product = matches!(name, "linear" | "linearBatchNormReluDropout").then(|| attributes.precision());
        Ok(Self {
            kernel,
            attributes,
            drop_chance: drops.then_some(p),
            momentum: normalises.then_some(momentum as f32),
            product,
            convolves: name == "conv2d",
        })
    }

    /// The chance to be dropped, if it draws a mask.
    pub fn drop_chance(&self) -> Option<f64> {
        self.drop_chance
    }

    /// The share of a batch in the running statistics, if it normalises by the batch.
    pub fn momentum(&self) -> Option<f32> {
        self.momentum
    }

    /// The weight of a convolution of an x in this shape, transformed, if that is how it is computed in single precision.
    pub fn transformed(&self, x: &[usize], weight: &[usize], data: &[f32]) -> Result<Option<TransformedWeight>> {
        if !self.convolves || self.attributes.precision() != Precision::Float32 {
            return Ok(None);
        }
        conv::transform(&conv::Shape::of(x, weight, &self.attributes.window)?, data)
    }

    /// The precision of its product, whose weight is its second input.
    pub fn product(&self) -> Option<Precision> {
        self.product
    }

    /// Computes the output.
    pub fn run(&self, inputs: &[Array], out: ArrayMut, room: Room) -> Result<()> {
        (self.kernel)(&self.attributes, inputs, out, room)
    }
}
