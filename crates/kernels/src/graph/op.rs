//! What the nodes of a graph compute: each is the kernel of an operation, given the arrays of a pass.

use super::{OP, first, numel, operands};
use crate::batch_norm::{self, Affine, Norm, Outputs};
use crate::batch_stats::{Moments, Statistics};
use crate::binary::{Binary, Operand};
use crate::dropout::{self, Mask};
use crate::elementwise;
use crate::error::{KernelError, Result, expect_shape};
use crate::linear;
use crate::matmul::matmul;
use crate::norm_relu_dropout::{self, Dropout, Linear};
use crate::reduce;
use crate::softmax;
use crate::unary::Unary;
use ndarray::{ArrayView2, ArrayView3, ArrayViewD, ArrayViewMut2, ArrayViewMutD, IxDyn};

/// What an operation is told besides its inputs; each reads its own.
#[derive(Clone, Debug, Default)]
pub struct Attributes {
    /// Whether ReLU follows.
    pub relu: bool,
    /// Whether the statistics are the batch's own.
    pub training: bool,
    /// Added to a variance.
    pub eps: f64,
    /// The share of a batch's statistics in the running ones.
    pub momentum: f64,
    /// The chance to be dropped.
    pub p: f64,
    /// The axis, counted from 0; none: all.
    pub axis: Option<usize>,
    /// Whether it is the logarithm.
    pub log: bool,
    /// What x is multiplied by.
    pub factor: f64,
    /// Added to x.
    pub offset: f64,
    /// The row of the table of functions of one element; `factor` and `offset` are its parameters. Set by the name.
    pub unary: Option<Unary>,
    /// The row of the table of functions of two elements. Set by the name.
    pub binary: Option<Binary>,
}

/// An array that is read.
#[derive(Clone, Copy)]
pub(super) struct Array<'a> {
    pub shape: &'a [usize],
    pub data: &'a [f32],
}

/// An array that is written.
pub(super) struct ArrayMut<'a> {
    pub shape: &'a [usize],
    pub data: &'a mut [f32],
}

/// What a node has of its pass besides its inputs and its output.
pub(super) struct Room<'a> {
    pub mask: Option<&'a mut [u8]>,
    pub moments: &'a mut [f64],
    pub scratch: &'a mut [Vec<f32>; 3],
}

type Kernel = fn(&Attributes, &[Array], ArrayMut, Room) -> Result<()>;

/// An operation with its attributes.
pub(super) struct Op {
    kernel: Kernel,
    attributes: Attributes,
    drop_chance: Option<f64>,
    momentum: Option<f32>,
}

impl Op {
    /// The operation of a name, for so many inputs.
    pub fn new(name: &str, inputs: usize, attributes: &Attributes) -> Result<Self> {
        let Attributes { training, p, momentum, .. } = *attributes;
        let mut attributes = attributes.clone();
        attributes.unary = Unary::ALL.iter().find(|(row, _)| *row == name).map(|(_, unary)| *unary);
        attributes.binary = Binary::ALL.iter().find(|(row, _)| *row == name).map(|(_, binary)| *binary);
        // The bias of a linear layer may be left out.
        let without_or_with_bias = |without: usize| inputs.clamp(without, without + 1);
        let (kernel, arity, drops, normalises): (Kernel, usize, bool, bool) = match name {
            "linear" => (linear, without_or_with_bias(2), false, false),
            "batchNorm" => (batch_norm, 5, false, training),
            "linearBatchNormReluDropout" => {
                (linear_batch_norm_relu_dropout, without_or_with_bias(6), p > 0.0, training)
            }
            "dropout" => (dropout, 1, true, false),
            "affine" => (affine, 1, false, false),
            "relu" => (|_, x, out, _| elementwise::relu(x[0].data, out.data), 1, false, false),
            "matmul" => (|_, x, out, _| matmul(x[0].matrix()?, x[1].matrix()?, out.matrix()?), 2, false, false),
            "softmax" => (softmax, 1, false, false),
            "sum" => (|attributes, x, out, _| reduce(attributes, x[0], out, false), 1, false, false),
            "mean" => (|attributes, x, out, _| reduce(attributes, x[0], out, true), 1, false, false),
            _ if attributes.unary.is_some() => (unary, 1, false, false),
            _ if attributes.binary.is_some() => (binary, 2, false, false),
            _ => return Err(KernelError::Argument { op: OP, what: "op", got: f64::NAN, expected: "an operation" }),
        };
        if inputs != arity {
            return Err(operands(inputs, arity));
        }
        dropout::expect_probability(p)?;
        Ok(Self {
            kernel,
            attributes,
            drop_chance: drops.then_some(p),
            momentum: normalises.then_some(momentum as f32),
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

    /// Computes the output.
    pub fn run(&self, inputs: &[Array], out: ArrayMut, room: Room) -> Result<()> {
        (self.kernel)(&self.attributes, inputs, out, room)
    }
}

impl<'a> Array<'a> {
    fn matrix(&self) -> Result<ArrayView2<'a, f32>> {
        let (rows, columns) = two(self.shape)?;
        Ok(ArrayView2::from_shape((rows, columns), self.data).expect("as long as its shape says"))
    }

    fn view(&self) -> ArrayViewD<'a, f32> {
        ArrayViewD::from_shape(IxDyn(self.shape), self.data).expect("as long as its shape says")
    }
}

impl<'a> ArrayMut<'a> {
    fn matrix(self) -> Result<ArrayViewMut2<'a, f32>> {
        let (rows, columns) = two(self.shape)?;
        Ok(ArrayViewMut2::from_shape((rows, columns), self.data).expect("as long as its shape says"))
    }
}

fn two(shape: &[usize]) -> Result<(usize, usize)> {
    match *shape {
        [rows, columns] => Ok((rows, columns)),
        _ => Err(KernelError::Shape { op: OP, what: "rank", got: vec![shape.len()], expected: vec![2] }),
    }
}

fn linear(attributes: &Attributes, inputs: &[Array], out: ArrayMut, _: Room) -> Result<()> {
    let bias = inputs.get(2).map(|bias| bias.data.into());
    linear::forward(inputs[0].matrix()?, inputs[1].matrix()?, bias, attributes.relu, out.matrix()?)
}

fn affine(attributes: &Attributes, inputs: &[Array], out: ArrayMut, _: Room) -> Result<()> {
    elementwise::affine(inputs[0].data, attributes.factor as f32, attributes.offset as f32, out.data)
}

fn dropout(attributes: &Attributes, inputs: &[Array], out: ArrayMut, room: Room) -> Result<()> {
    // The gradient's kernel multiplies by a mask that was drawn, as the forward pass does.
    let keep = room.mask.as_deref().unwrap_or_default();
    dropout::backward(inputs[0].data, Mask { keep, p: attributes.p }, out.data)
}

fn batch_norm(attributes: &Attributes, inputs: &[Array], out: ArrayMut, room: Room) -> Result<()> {
    let x = inputs[0].matrix()?;
    let [_, mean, inv_std] = room.scratch;
    let (mean, inv_std) = (first(mean, x.ncols()), first(inv_std, x.ncols()));
    let outputs = Outputs { mean, inv_std, out: out.matrix()? };
    batch_norm::forward(x, norm(attributes, &inputs[1..], room.moments), outputs)
}

fn linear_batch_norm_relu_dropout(attributes: &Attributes, inputs: &[Array], out: ArrayMut, room: Room) -> Result<()> {
    let (linear, of_norm) = inputs.split_at(inputs.len() - 4);
    let bias = linear.get(2).map(|bias| bias.data.into());
    let linear = Linear { input: linear[0].matrix()?, weight: linear[1].matrix()?, bias };
    let out = out.matrix()?;
    let (rows, features) = out.dim();
    let dropout = room.mask.map(|keep| Dropout { p: attributes.p, generator: None, keep });
    let [product, mean, inv_std] = room.scratch;
    let shape = [rows, features];
    let x = ArrayMut { shape: &shape, data: first(product, rows * features) }.matrix()?;
    let outputs = Outputs { mean: first(mean, features), inv_std: first(inv_std, features), out };
    norm_relu_dropout::linear_forward(linear, x, norm(attributes, of_norm, room.moments), dropout, outputs)
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

fn unary(attributes: &Attributes, inputs: &[Array], out: ArrayMut, _: Room) -> Result<()> {
    let function = attributes.unary.expect("set by its name");
    function.forward(inputs[0].data, [attributes.factor as f32, attributes.offset as f32], out.data)
}

/// A function of two arrays, each repeated to the shape of the output first.
fn binary(attributes: &Attributes, inputs: &[Array], out: ArrayMut, room: Room) -> Result<()> {
    let [a, b, _] = room.scratch;
    let wide = [expand(inputs[0], out.shape, a)?, expand(inputs[1], out.shape, b)?];
    let function = attributes.binary.expect("set by its name");
    function.forward(Operand::whole(wide[0]), Operand::whole(wide[1]), out.data)
}

fn expand<'a>(x: Array<'a>, shape: &[usize], wide: &'a mut Vec<f32>) -> Result<&'a [f32]> {
    if x.shape == shape {
        return Ok(x.data);
    }
    let wide = first(wide, numel(shape));
    let out = ArrayViewMutD::from_shape(IxDyn(shape), &mut *wide).expect("as long as its shape says");
    elementwise::expand(x.view(), out)?;
    Ok(wide)
}

fn softmax(attributes: &Attributes, inputs: &[Array], out: ArrayMut, _: Room) -> Result<()> {
    let columns = inputs[0].shape.last().copied().unwrap_or(1);
    expect_shape(OP, "out", out.shape, inputs[0].shape)?;
    let shape = [inputs[0].data.len() / columns.max(1), columns];
    let kernel = if attributes.log { softmax::log_softmax } else { softmax::softmax };
    let x = Array { shape: &shape, ..inputs[0] }.matrix()?;
    kernel(x, ArrayMut { shape: &shape, data: out.data }.matrix()?)
}

fn reduce(attributes: &Attributes, x: Array, out: ArrayMut, mean: bool) -> Result<()> {
    let (outer, length, inner) = match attributes.axis {
        None => (1, x.data.len(), 1),
        Some(axis) if axis < x.shape.len() => (numel(&x.shape[..axis]), x.shape[axis], numel(&x.shape[axis + 1..])),
        Some(axis) => {
            return Err(KernelError::Shape { op: OP, what: "axis", got: vec![axis], expected: vec![x.shape.len()] });
        }
    };
    let scale = if mean { 1.0 / length as f64 } else { 1.0 };
    expect_shape(OP, "out", &[out.data.len()], &[outer * inner])?;
    let x = ArrayView3::from_shape((outer, length, inner), x.data).expect("as long as its shape says");
    reduce::sum_axis(x, scale, ArrayMut { shape: &[outer, inner], data: out.data }.matrix()?)
}
