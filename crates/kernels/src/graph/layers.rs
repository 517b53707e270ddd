//! The nodes that are layers: what they read of their attributes, and their kernels, given the arrays of a pass.

use super::attributes::Attributes;
use super::call::{Array, ArrayMut, Op, Packed, op};
use super::{OP, first, wrong_rank};
use crate::batch_norm::{Affine, Norm, Outputs};
use crate::batch_stats::{self, Moments, Statistics};
use crate::channel_norm;
use crate::conv::{self, Epilogue, RowNorm};
use crate::dropout::{self, Mask};
use crate::embedding_bag::{self, Bags};
use crate::error::{Result, expect_shape};
use crate::layer_norm;
use crate::linear::{self, Weight};
use crate::matmul::Precision;
use crate::norm_relu_dropout::{self, Dropout, Linear};
use crate::pool::{self, Windows};

/// A product with a weight, and a bias if there is one; `relu`: ReLU follows.
pub(super) fn linear(given: &mut Attributes) -> Result<Op> {
    let (relu, precision) = (given.flag("relu")?, given.precision()?);
    let linear = op(2..=3, move |inputs, out, room| {
        let bias = inputs.get(2).map(|bias| bias.data.into());
        let weight = weight(precision, &inputs[1], room.packed)?;
        linear::forward(inputs[0].matrix()?, weight, bias, relu, out.matrix()?)
    });
    Ok(Op { product: Some(precision), ..linear })
}

fn weight<'a>(precision: Precision, weight: &Array<'a>, packed: Option<&'a Packed>) -> Result<Weight<'a>> {
    match packed {
        Some(Packed::Matrix(packed)) => Ok(Weight::Packed(packed)),
        _ => Ok(Weight::Matrix(weight.matrix()?, precision)),
    }
}

/// Drops each element with the chance `p`.
pub(super) fn dropout(given: &mut Attributes) -> Result<Op> {
    let p = chance(given)?;
    let dropout = op(1..=1, move |inputs, out, room| {
        // The gradient's kernel multiplies by a mask that was drawn, as the forward pass does.
        let keep = room.mask.as_deref().unwrap_or_default();
        dropout::backward(inputs[0].data, Mask { keep, p }, out.data)
    });
    Ok(Op { drop_chance: Some(p), ..dropout })
}

fn chance(given: &mut Attributes) -> Result<f64> {
    let p = given.number("p", 0.0)?;
    dropout::expect_probability(p).map(|()| p)
}

/// BatchNorm of x, then the sum with an `addend`, the second input, and ReLU if they follow.
pub(super) fn batch_norm(given: &mut Attributes) -> Result<Op> {
    let (of_norm, relu) = (NormAttributes::read(given)?, given.flag("relu")?);
    let arity = 5 + usize::from(given.flag("addend")?);
    let batch_norm = op(arity..=arity, move |inputs, out, room| {
        let (inputs, statistics) = inputs.split_at(inputs.len() - 4);
        let x = inputs[0].planes()?;
        let features = x.dim().1;
        let [_, mean, inv_std] = room.scratch;
        let outputs = Outputs { mean: first(mean, features), inv_std: first(inv_std, features), out: out.planes()? };
        let epilogue = channel_norm::Epilogue { addend: inputs.get(1).map(|addend| addend.data), relu };
        channel_norm::forward(x, of_norm.norm(statistics, room.moments), epilogue, outputs)
    });
    Ok(Op { momentum: of_norm.momentum, ..batch_norm })
}

/// LayerNorm over the last axes, of so many `columns`, with a weight and a bias if there are any.
pub(super) fn layer_norm(given: &mut Attributes) -> Result<Op> {
    let (columns, eps) = (given.length("columns", 0)?, given.number("eps", 0.0)?);
    Ok(op(1..=3, move |inputs, out, room| {
        let shape = [out.data.len() / columns.max(1), columns];
        let x = Array { shape: &shape, ..inputs[0] }.matrix()?;
        let affine = layer_norm::Affine {
            weight: inputs.get(1).map(|weight| weight.data),
            bias: inputs.get(2).map(|bias| bias.data),
        };
        let [_, mean, inv_std] = room.scratch;
        let (mean, inv_std) = (first(mean, shape[0]), first(inv_std, shape[0]));
        layer_norm::forward(x, affine, eps, mean, inv_std, ArrayMut { shape: &shape, data: out.data }.matrix()?)
    }))
}

/// A linear layer, BatchNorm, ReLU, and dropout with the chance `p`, if that is not 0.
pub(super) fn linear_batch_norm_relu_dropout(given: &mut Attributes) -> Result<Op> {
    let (of_norm, precision, p) = (NormAttributes::read(given)?, given.precision()?, chance(given)?);
    let fused = op(6..=7, move |inputs, out, room| {
        let (linear, statistics) = inputs.split_at(inputs.len() - 4);
        let bias = linear.get(2).map(|bias| bias.data.into());
        let weight = weight(precision, &linear[1], room.packed)?;
        let linear = Linear { input: linear[0].matrix()?, weight, bias };
        let out = out.matrix()?;
        let (rows, features) = out.dim();
        let dropout = room.mask.map(|keep| Dropout { p, generator: None, keep });
        let [product, mean, inv_std] = room.scratch;
        let shape = [rows, features];
        let x = ArrayMut { shape: &shape, data: first(product, rows * features) }.matrix()?;
        let outputs = Outputs { mean: first(mean, features), inv_std: first(inv_std, features), out };
        norm_relu_dropout::linear_forward(linear, x, of_norm.norm(statistics, room.moments), dropout, outputs)
    });
    let drop_chance = (p > 0.0).then_some(p);
    Ok(Op { drop_chance, momentum: of_norm.momentum, product: Some(precision), ..fused })
}

/// A convolution of x with a weight, and a bias if there is one, then BatchNorm with running statistics (`norm`), the
/// sum with an `addend`, the input before BatchNorm's, and ReLU if they follow. `window`: stride, padding and dilation,
/// each of rows and columns, and the groups.
pub(super) fn conv2d(given: &mut Attributes) -> Result<Op> {
    let (norm, has_addend, relu) = (given.flag("norm")?, given.flag("addend")?, given.flag("relu")?);
    let (eps, precision) = (given.number("eps", 0.0)? as f32, given.precision()?);
    let window = given.lengths("window")?.unwrap_or_default();
    let (of_norm, of_addend) = (4 * usize::from(norm), usize::from(has_addend));
    let least = 2 + of_norm + of_addend;
    let plain = (precision == Precision::Float32).then(|| window.clone());
    let conv2d = op(least..=least + 1, move |inputs, out, room| {
        let (inputs, of_norm) = inputs.split_at(inputs.len() - of_norm);
        let (inputs, addend) = inputs.split_at(inputs.len() - of_addend);
        let shape = conv::Shape::of(inputs[0].shape, inputs[1].shape, &window)?;
        expect_shape(OP, "out", out.shape, &shape.output()?)?;
        let weight = match room.packed {
            Some(Packed::Kernel(weight)) => conv::Weight::Transformed(weight),
            _ => conv::Weight::Taps(inputs[1].data, precision),
        };
        let operands =
            conv::Operands { x: inputs[0].data, weight, bias: inputs.get(2).map(|bias| bias.data), alone: true };
        let norm = match of_norm {
            [weight, bias, mean, var] => {
                let inv_std = first(&mut room.scratch[0], var.data.len());
                batch_stats::write_inv_std(var.data, eps, inv_std);
                Some(RowNorm { mean: mean.data, inv_std, weight: weight.data, bias: bias.data })
            }
            _ => None,
        };
        let addend = addend.first().map(|addend| addend.data);
        conv::forward(&shape, operands, Epilogue { norm, addend, relu }, out.data)
    });
    Ok(Op { window: plain, ..conv2d })
}

/// The largest elements of windows, of `rows` and `columns`.
pub(super) fn max_pool(given: &mut Attributes) -> Result<Op> {
    pooling(given, pool::max)
}

/// The means of windows, times a `factor`.
pub(super) fn avg_pool(given: &mut Attributes) -> Result<Op> {
    let factor = given.number("factor", 0.0)?;
    pooling(given, move |windows, x, out| pool::average(windows, factor, x, out))
}

/// A pooling of [..., height, width].
fn pooling(
    given: &mut Attributes,
    kernel: impl Fn(&Windows, &[f32], &mut [f32]) -> Result<()> + Send + Sync + 'static,
) -> Result<Op> {
    let (rows, columns) = (given.spans("rows")?, given.spans("columns")?);
    Ok(op(1..=1, move |inputs, out, _| {
        let Array { shape, data } = inputs[0];
        let [.., height, width] = *shape else {
            return Err(wrong_rank(shape, 4));
        };
        kernel(&Windows { height, width, rows: rows.clone(), columns: columns.clone() }, data, out.data)
    }))
}

/// The rows of a table that ids name, each a bag of its own.
pub(super) fn embedding() -> Op {
    op(2..=2, |inputs, out, _| {
        let (ids, table) = (inputs[0].data, inputs[1].matrix()?);
        let each = [ids.len(), 1];
        let ids = Array { shape: &each, data: ids }.matrix()?;
        let shape = [ids.nrows(), table.ncols()];
        expect_shape(OP, "out", &[out.data.len()], &[shape[0] * shape[1]])?;
        let bags = Bags { ids, weights: None, padding: None, mean: false, signed: false };
        embedding_bag::forward(table, bags, ArrayMut { shape: &shape, data: out.data }.matrix()?)
    })
}

/// Sums of rows of a table, or their means (`mean`); the id `padding`, if it is none below 0, stands for nothing.
pub(super) fn embedding_bag(given: &mut Attributes) -> Result<Op> {
    let (padding, mean) = (given.number("padding", -1.0)?, given.flag("mean")?);
    let padding = (padding >= 0.0).then_some(padding as usize);
    Ok(op(2..=3, move |inputs, out, _| {
        let weights = inputs.get(2).map(|weights| weights.data);
        let bags = Bags { ids: inputs[0].matrix()?, weights, padding, mean, signed: true };
        embedding_bag::forward(inputs[1].matrix()?, bags, out.matrix()?)
    }))
}

/// How a batch is normalized: by scale, shift, running mean and running variance, or its own statistics.
#[derive(Clone, Copy)]
struct NormAttributes {
    eps: f32,
    /// The share of a batch's statistics in the running ones, if they are its own.
    momentum: Option<f32>,
}

impl NormAttributes {
    fn read(given: &mut Attributes) -> Result<Self> {
        let (eps, momentum) = (given.number("eps", 0.0)? as f32, given.number("momentum", 0.0)? as f32);
        Ok(Self { eps, momentum: given.flag("training")?.then_some(momentum) })
    }

    fn norm<'a>(&self, inputs: &[Array<'a>], moments: &'a mut [f64]) -> Norm<'a> {
        let [weight, bias, mean, var] = inputs else { unreachable!("counted before") };
        let statistics = if self.momentum.is_some() {
            let (mean, var) = moments.split_at_mut(moments.len() / 2);
            Statistics::BatchDeferred(Moments { mean, var })
        } else {
            Statistics::Running { mean: mean.data, var: var.data }
        };
        Norm { affine: Affine { weight: weight.data, bias: bias.data }, statistics, eps: self.eps }
    }
}
