//! BatchNorm, ReLU and dropout in one pass over memory, with the bits of the three kernels one after the other.
//!
//! The random stream is sequential, so threads cannot share the drawing of the mask: it runs beside the work before it.

use crate::batch_norm::{self, Affine, Gradients, Norm, Outputs, Saved, normalize};
use crate::dropout::{self, Mask};
use crate::error::{Result, contiguous, contiguous_mut, expect_shape};
use crate::normalized::normalize_element;
use crate::rng::Generator;
use crate::vectorised::vectorised;
use crate::{linear, parallel, relu};
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2};

const OP: &str = "norm_relu_dropout";

/// The dropout layer.
pub struct Dropout<'a, 'g> {
    /// The probability that an element is dropped.
    pub p: f64,
    /// Draws the mask; without it `keep` holds the mask already.
    pub generator: Option<&'a mut Generator<'g>>,
    /// The mask, one byte per element.
    pub keep: &'a mut [u8],
}

/// The linear layer whose output is normalized.
pub struct Linear<'a> {
    /// The input[rows, inputs].
    pub input: ArrayView2<'a, f32>,
    /// The weight[features, inputs].
    pub weight: linear::Weight<'a>,
    /// The bias[features].
    pub bias: Option<ArrayView1<'a, f32>>,
}

/// out = dropout(relu(batch_norm(x))) for x[rows, features]; without `dropout` nothing is dropped.
pub fn forward(x: ArrayView2<f32>, norm: Norm, dropout: Option<Dropout>, mut outputs: Outputs) -> Result<()> {
    check(x.shape(), &norm, dropout.as_ref(), &mut outputs)?;
    let (rows, x) = (x.nrows(), contiguous(OP, "x", &x)?);
    let Norm { affine, statistics, eps } = norm;
    let (mean, inv_std) = (&mut *outputs.mean, &mut *outputs.inv_std);
    let (mask, ()) = parallel::join(|| draw(dropout), || statistics.compute(x, rows, eps, mean, inv_std));
    normalize::<true>(OP, x, affine, mask, outputs)
}

/// `forward` of x = linear(input), which is written too; the mask is drawn beside the matrix product.
pub fn linear_forward(
    linear: Linear,
    mut x: ArrayViewMut2<f32>,
    norm: Norm,
    dropout: Option<Dropout>,
    mut outputs: Outputs,
) -> Result<()> {
    check(x.shape(), &norm, dropout.as_ref(), &mut outputs)?;
    linear::check(&linear.input, &linear.weight, linear.bias.as_ref(), &mut x)?;
    let Norm { affine, statistics, eps } = norm;
    let (mean, inv_std) = (&mut *outputs.mean, &mut *outputs.inv_std);
    let product = || -> Result<()> {
        linear::forward(linear.input, linear.weight, linear.bias, false, x.view_mut())?;
        statistics.compute(contiguous(OP, "x", &x.view())?, x.nrows(), eps, mean, inv_std);
        Ok(())
    };
    let (mask, product) = parallel::join(|| draw(dropout), product);
    product?;
    normalize::<true>(OP, contiguous_mut(OP, "x", &mut x)?, affine, mask, outputs)
}

/// The gradients of x[rows, features], weight[features] and bias[features] from grad[rows, features] and the mask, if
/// there was one. The output of ReLU is computed again: it was never written.
pub fn backward(
    grad: ArrayView2<f32>,
    saved: &Saved,
    affine: Affine,
    mask: Option<Mask>,
    into: Gradients,
) -> Result<()> {
    let features = saved.x.ncols();
    expect_shape(OP, "grad", grad.shape(), saved.x.shape())?;
    affine.check(features)?;
    expect_shape(OP, "mean", &[saved.mean.len()], &[features])?;
    expect_shape(OP, "inv_std", &[saved.inv_std.len()], &[features])?;
    let (grad, x) = (contiguous(OP, "grad", &grad)?, contiguous(OP, "x", &saved.x)?);
    if let Some(mask) = mask {
        mask.check(OP, x.len())?;
    }
    let through = |at: usize, column: usize, part: &mut [f32]| {
        let (elements, columns) = (at..at + part.len(), column..column + part.len());
        part.copy_from_slice(&grad[elements.clone()]);
        if let Some(Mask { keep, p }) = mask {
            dropout::mask_in_place(&keep[elements.clone()], p, part);
        }
        let (mean, inv_std) = (&saved.mean[columns.clone()], &saved.inv_std[columns.clone()]);
        relu_gradient(&x[elements], mean, inv_std, &affine.weight[columns.clone()], &affine.bias[columns], part);
    };
    batch_norm::backward_with(through, saved, affine.weight, into)
}

/// Refuses everything that can be refused, before anything is written or drawn.
fn check(x: &[usize], norm: &Norm, dropout: Option<&Dropout>, outputs: &mut Outputs) -> Result<()> {
    norm.check(OP, x, outputs)?;
    dropout.map_or(Ok(()), |Dropout { p, keep, .. }| Mask { keep, p: *p }.check(OP, x[0] * x[1]))
}

fn draw<'a>(dropout: Option<Dropout<'a, '_>>) -> Option<Mask<'a>> {
    let Dropout { p, generator, keep } = dropout?;
    if let Some(generator) = generator {
        dropout::draw(p, generator, keep);
    }
    Some(Mask { keep, p })
}

vectorised! {
/// The gradient through ReLU, in place, for a row of BatchNorm's input.
fn relu_gradient<'a>(
    x: &'a [f32],
    mean: &'a [f32],
    inv_std: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    grad: &'a mut [f32],
) {
    let n = grad.len();
    let (x, mean, inv_std, weight, bias) = (&x[..n], &mean[..n], &inv_std[..n], &weight[..n], &bias[..n]);
    for j in 0..n {
        let y = relu::forward(normalize_element(x[j], mean[j], inv_std[j], weight[j], bias[j]));
        grad[j] = relu::backward(grad[j], y);
    }
}
}
