//! Batch normalization over the rows of a matrix, `torch.nn.BatchNorm1d`, and its gradients.

use crate::batch_stats::{COLUMN_BLOCK, Statistics, columns_per_task};
use crate::dropout::Mask;
use crate::error::{Result, contiguous, contiguous_mut, expect_shape};
use crate::normalized::normalize_element;
use crate::parallel::{self, Rows};
use crate::vectorised::vectorised;
use crate::{dropout, relu};
use ndarray::{ArrayView, ArrayView2, ArrayViewMut, Ix2};

const OP: &str = "batch_norm";

/// The scale and shift that the layer learns.
#[derive(Clone, Copy)]
pub struct Affine<'a> {
    /// gamma[features].
    pub weight: &'a [f32],
    /// beta[features].
    pub bias: &'a [f32],
}

/// How a batch is normalized.
pub struct Norm<'a> {
    /// The scale and shift.
    pub affine: Affine<'a>,
    /// Which mean and variance normalize.
    pub statistics: Statistics<'a>,
    /// Added to the variance.
    pub eps: f32,
}

/// What the forward pass writes. D is `Ix2` for rows of features, `Ix3` for images.
pub struct Outputs<'a, D = Ix2> {
    /// The mean that was subtracted, [features], for the backward pass.
    pub mean: &'a mut [f32],
    /// 1 / sqrt(var + eps), [features], for the backward pass.
    pub inv_std: &'a mut [f32],
    /// The output[rows, features], or [images, features, length].
    pub out: ArrayViewMut<'a, f32, D>,
}

/// What the backward pass needs of the forward pass.
pub struct Saved<'a, D = Ix2> {
    /// The input x[rows, features], or [images, features, length].
    pub x: ArrayView<'a, f32, D>,
    /// The mean that was subtracted, [features].
    pub mean: &'a [f32],
    /// 1 / sqrt(var + eps), [features].
    pub inv_std: &'a [f32],
    /// Whether the statistics were the batch's own, and so depend on x.
    pub train: bool,
}

/// The gradients that the backward pass writes.
pub struct Gradients<'a, D = Ix2> {
    /// Of the input, in its shape.
    pub x: ArrayViewMut<'a, f32, D>,
    /// Of gamma[features].
    pub weight: &'a mut [f32],
    /// Of beta[features].
    pub bias: &'a mut [f32],
}

/// out = (x - mean) * inv_std * weight + bias for x[rows, features].
pub fn forward(x: ArrayView2<f32>, norm: Norm, mut outputs: Outputs) -> Result<()> {
    norm.check(OP, x.shape(), &mut outputs)?;
    let (rows, x) = (x.nrows(), contiguous(OP, "x", &x)?);
    let Norm { affine, statistics, eps } = norm;
    statistics.compute(x, rows, eps, outputs.mean, outputs.inv_std);
    normalize::<false>(OP, x, affine, None, outputs)
}

/// The gradients of x[rows, features], weight[features] and bias[features] from grad[rows, features].
pub fn backward(grad: ArrayView2<f32>, saved: &Saved, weight: &[f32], into: Gradients) -> Result<()> {
    expect_shape(OP, "grad", grad.shape(), saved.x.shape())?;
    let grad = contiguous(OP, "grad", &grad)?;
    let copy = |at: usize, _: usize, part: &mut [f32]| part.copy_from_slice(&grad[at..at + part.len()]);
    backward_with(copy, saved, weight, into)
}

impl Norm<'_> {
    /// Checks the arrays against the shape of x, before anything is written.
    pub(crate) fn check(&self, op: &'static str, x: &[usize], outputs: &mut Outputs) -> Result<()> {
        let (rows, features) = (x[0], x[1]);
        expect_shape(op, "out", outputs.out.shape(), x)?;
        contiguous_mut(op, "out", &mut outputs.out)?;
        self.affine.check(features)?;
        self.statistics.check(OP, rows, features)?;
        expect_shape(op, "mean", &[outputs.mean.len()], &[features])?;
        expect_shape(op, "inv_std", &[outputs.inv_std.len()], &[features])
    }
}

impl Affine<'_> {
    /// Refuses arrays that do not hold one number per feature.
    pub(crate) fn check(&self, features: usize) -> Result<()> {
        expect_shape(OP, "weight", &[self.weight.len()], &[features])?;
        expect_shape(OP, "bias", &[self.bias.len()], &[features])
    }
}

/// Normalizes each row by the statistics in `outputs`, then applies ReLU and the dropout mask if asked to.
pub(crate) fn normalize<const RELU: bool>(
    op: &'static str,
    x: &[f32],
    affine: Affine,
    mask: Option<Mask>,
    outputs: Outputs,
) -> Result<()> {
    let Outputs { mean, inv_std, mut out } = outputs;
    let (features, out) = (mean.len(), contiguous_mut(op, "out", &mut out)?);
    if features == 0 {
        return Ok(());
    }
    parallel::for_each(Rows(out, features), parallel::grain(features), |first, part| {
        for (i, row) in part.0.chunks_exact_mut(features).enumerate() {
            let at = (first + i) * features;
            normalize_row::<RELU>(&x[at..at + features], mean, inv_std, affine.weight, affine.bias, row);
            if let Some(Mask { keep, p }) = mask {
                dropout::mask_in_place(&keep[at..at + features], p, row);
            }
        }
    });
    Ok(())
}

/// `backward` with a gradient that is computed when it is needed: `grad(i, column, part)` writes the elements from i
/// on, which are in one row and begin at this column.
pub(crate) fn backward_with(
    grad: impl Fn(usize, usize, &mut [f32]) + Sync,
    saved: &Saved,
    weight: &[f32],
    into: Gradients,
) -> Result<()> {
    let Gradients { x: mut grad_x, weight: grad_weight, bias: grad_bias } = into;
    let ((rows, features), &Saved { mean, inv_std, .. }) = (saved.x.dim(), saved);
    expect_shape(OP, "grad_x", grad_x.shape(), &[rows, features])?;
    for (what, len) in [
        ("mean", mean.len()),
        ("inv_std", inv_std.len()),
        ("weight", weight.len()),
        ("grad_weight", grad_weight.len()),
        ("grad_bias", grad_bias.len()),
    ] {
        expect_shape(OP, what, &[len], &[features])?;
    }
    let (x, grad_x) = (contiguous(OP, "x", &saved.x)?, contiguous_mut(OP, "grad_x", &mut grad_x)?);
    if features == 0 {
        return Ok(());
    }
    let sums = (&mut *grad_weight, &mut *grad_bias);
    parallel::for_each(sums, columns_per_task(rows), |first, (grad_weight, grad_bias)| {
        for start in (0..grad_bias.len()).step_by(COLUMN_BLOCK) {
            let (column, width) = (first + start, COLUMN_BLOCK.min(grad_bias.len() - start));
            let (mut dots, mut sums, mut part) = ([0.0; COLUMN_BLOCK], [0.0; COLUMN_BLOCK], [0.0; COLUMN_BLOCK]);
            let mean = &mean[column..column + width];
            for at in (0..rows).map(|i| i * features + column) {
                grad(at, column, &mut part[..width]);
                add_gradients(&x[at..at + width], &part[..width], mean, &mut dots[..width], &mut sums[..width]);
            }
            for j in 0..width {
                grad_weight[start + j] = (dots[j] * f64::from(inv_std[column + j])) as f32;
                grad_bias[start + j] = sums[j] as f32;
            }
        }
    });
    let scale = if saved.train { 1.0 / rows as f32 } else { 0.0 };
    parallel::for_each(Rows(grad_x, features), parallel::grain(features), |first, part| {
        for (i, row) in part.0.chunks_exact_mut(features).enumerate() {
            let at = (first + i) * features;
            grad(at, 0, row);
            input_gradient(&x[at..at + features], mean, inv_std, weight, grad_weight, grad_bias, scale, row);
        }
    });
    Ok(())
}

vectorised! {
/// A row of the output, with ReLU if it follows.
pub(crate) fn normalize_row<'a, const RELU: bool>(
    x: &'a [f32],
    mean: &'a [f32],
    inv_std: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    out: &'a mut [f32],
) {
    let n = out.len();
    let (x, mean, inv_std, weight, bias) = (&x[..n], &mean[..n], &inv_std[..n], &weight[..n], &bias[..n]);
    for j in 0..n {
        let y = normalize_element(x[j], mean[j], inv_std[j], weight[j], bias[j]);
        out[j] = if RELU { relu::forward(y) } else { y };
    }
}
}

vectorised! {
/// Adds a row to the sums by column: of grad * (x - mean), and of grad.
pub(crate) fn add_gradients<'a>(
    x: &'a [f32],
    grad: &'a [f32],
    mean: &'a [f32],
    dots: &'a mut [f64],
    sums: &'a mut [f64],
) {
    for ((((dot, sum), &grad), &x), &mean) in dots.iter_mut().zip(sums).zip(grad).zip(x).zip(mean) {
        *dot += f64::from(grad) * f64::from(x - mean);
        *sum += f64::from(grad);
    }
}
}

vectorised! {
/// A row of the input's gradient, which replaces the row of the output's gradient. `scale` is 1 / rows in train mode,
/// if the statistics depend on x, else 0.
pub(crate) fn input_gradient<'a>(
    x: &'a [f32],
    mean: &'a [f32],
    inv_std: &'a [f32],
    weight: &'a [f32],
    grad_weight: &'a [f32],
    grad_bias: &'a [f32],
    scale: f32,
    grad: &'a mut [f32],
) {
    let n = grad.len();
    let (x, mean, inv_std) = (&x[..n], &mean[..n], &inv_std[..n]);
    let (weight, grad_weight, grad_bias) = (&weight[..n], &grad_weight[..n], &grad_bias[..n]);
    if scale == 0.0 {
        // In eval mode the statistics are constants. Skipped rather than multiplied by 0, since 0 * NaN is NaN.
        for j in 0..n {
            grad[j] *= weight[j] * inv_std[j];
        }
        return;
    }
    for j in 0..n {
        let x_hat = (x[j] - mean[j]) * inv_std[j];
        grad[j] = weight[j] * inv_std[j] * (grad[j] - scale * (grad_bias[j] + x_hat * grad_weight[j]));
    }
}
}
