//! BatchNorm, ReLU and dropout in one pass over memory, with the bits of the three kernels one after the other.
//!
//! Drawing the mask is the part that can't be shared by threads: it goes on beside the work that comes before it.

use crate::batch_norm::{self, Affine, Moments, Running, Saved, normal};
use crate::dropout;
use crate::elementwise::rectify_backward;
use crate::error::{Result, dense, dense_mut, expect_shape};
use crate::linear::{self, rectify};
use crate::parallel::{self, Rows};
use crate::rng::Generator;
use crate::vectorised::vectorised;
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2};

const OP: &str = "norm_relu_dropout";
const GRAIN: usize = 1 << 14;

/// Which statistics normalise.
pub enum Mode<'a> {
    /// The batch's own, which move the running ones.
    Train(Running<'a>),
    /// The batch's own, which are kept for later.
    Apart(Moments<'a>),
    /// The running mean[features] and variance[features].
    Eval(ArrayView1<'a, f32>, ArrayView1<'a, f32>),
}

/// How the layer normalises.
pub struct Norm<'a> {
    /// The scale and shift.
    pub affine: Affine<'a>,
    /// Which statistics normalise.
    pub mode: Mode<'a>,
    /// Added to the variance.
    pub eps: f32,
}

/// How the layer drops.
pub struct Dropout<'a, 'g> {
    /// The chance to be dropped.
    pub p: f64,
    /// Where the mask is drawn from; nothing where it has been drawn.
    pub generator: Option<&'a mut Generator<'g>>,
    /// The mask, one byte an element.
    pub keep: &'a mut [u8],
}

/// A linear layer that computes what is normalised.
pub struct Linear<'a> {
    /// The input[rows, inputs].
    pub input: ArrayView2<'a, f32>,
    /// The weight[features, inputs].
    pub weight: ArrayView2<'a, f32>,
    /// The bias[features].
    pub bias: Option<ArrayView1<'a, f32>>,
}

/// What the forward pass writes besides the mask.
pub struct Outputs<'a> {
    /// The mean that was taken off, [features].
    pub mean: ArrayViewMut1<'a, f32>,
    /// The factor that was applied, [features].
    pub inv_std: ArrayViewMut1<'a, f32>,
    /// The output[rows, features].
    pub out: ArrayViewMut2<'a, f32>,
}

/// out = dropout(relu(batch_norm(x))) for x[rows, features]; without `dropout` nothing is dropped.
pub fn forward(x: ArrayView2<f32>, norm: Norm, dropout: Option<Dropout>, mut outputs: Outputs) -> Result<()> {
    check(x.shape(), &norm, dropout.as_ref(), &outputs)?;
    dense(OP, "x", &x)?;
    let Norm { affine, mode, eps } = norm;
    let (mean, inv_std) = (outputs.mean.view_mut(), outputs.inv_std.view_mut());
    let (mask, statistics) = parallel::both(|| draw(dropout), || statistics(x, mode, eps, mean, inv_std));
    statistics?;
    apply(x, &affine, mask, outputs)
}

/// `forward` of x = linear(input), which is written too; the mask is drawn beside the product.
pub fn linear_forward(
    linear: Linear,
    mut x: ArrayViewMut2<f32>,
    norm: Norm,
    dropout: Option<Dropout>,
    mut outputs: Outputs,
) -> Result<()> {
    check(x.shape(), &norm, dropout.as_ref(), &outputs)?;
    dense_mut(OP, "x", &mut x)?;
    linear::check(&linear.input, &linear.weight, linear.bias.as_ref(), &mut x)?;
    let Norm { affine, mode, eps } = norm;
    let (mean, inv_std) = (outputs.mean.view_mut(), outputs.inv_std.view_mut());
    let product = || {
        linear::forward(linear.input, linear.weight, linear.bias, false, x.view_mut())?;
        statistics(x.view(), mode, eps, mean, inv_std)
    };
    let (mask, statistics) = parallel::both(|| draw(dropout), product);
    statistics?;
    apply(x.view(), &affine, mask, outputs)
}

/// The gradients of x[rows, features], weight[features] and bias[features] from grad[rows, features] and the mask with
/// its chance, if there was one.
pub fn backward(
    grad: ArrayView2<f32>,
    saved: &Saved,
    affine: &Affine,
    mask: Option<(&[u8], f64)>,
    grad_x: ArrayViewMut2<f32>,
    grad_weight: ArrayViewMut1<f32>,
    grad_bias: ArrayViewMut1<f32>,
) -> Result<()> {
    expect_shape(OP, "grad", grad.shape(), saved.x.shape())?;
    batch_norm::check_affine(affine, saved.x.ncols())?;
    for (what, shape) in [("mean", saved.mean.shape()), ("inv_std", saved.inv_std.shape())] {
        expect_shape(OP, what, shape, &[saved.x.ncols()])?;
    }
    let (grad, x) = (dense(OP, "grad", &grad)?, dense(OP, "x", &saved.x)?);
    let (mean, inv_std) = (dense(OP, "mean", &saved.mean)?, dense(OP, "inv_std", &saved.inv_std)?);
    let (weight, bias) = (dense(OP, "weight", &affine.weight)?, dense(OP, "bias", &affine.bias)?);
    if let Some((keep, p)) = mask {
        dropout::expect_chance(p)?;
        expect_shape(OP, "mask", &[keep.len()], &[x.len()])?;
    }
    let through = |at: usize, column: usize, part: &mut [f32]| {
        let (x, columns) = (&x[at..at + part.len()], column..column + part.len());
        part.copy_from_slice(&grad[at..at + part.len()]);
        if let Some((keep, p)) = mask {
            drop_row(&keep[at..at + part.len()], dropout::factors(p), part);
        }
        rectify_row(
            x,
            &mean[columns.clone()],
            &inv_std[columns.clone()],
            &weight[columns.clone()],
            &bias[columns],
            part,
        );
    };
    batch_norm::backward_of(through, saved, affine.weight, grad_x, grad_weight, grad_bias)
}

/// Everything that could be refused, before anything is written.
fn check(shape: &[usize], norm: &Norm, dropout: Option<&Dropout>, outputs: &Outputs) -> Result<()> {
    let features = shape[1];
    expect_shape(OP, "out", outputs.out.shape(), shape)?;
    batch_norm::check_affine(&norm.affine, features)?;
    let (names, [mean, var]) = match &norm.mode {
        Mode::Train(Running { mean, var, .. }) => (["running_mean", "running_var"], [mean.len(), var.len()]),
        Mode::Apart(Moments { average, variance }) => (["average", "variance"], [average.len(), variance.len()]),
        Mode::Eval(mean, var) => (["running_mean", "running_var"], [mean.len(), var.len()]),
    };
    if !matches!(norm.mode, Mode::Eval(..)) {
        batch_norm::expect_batch(shape[0])?;
    }
    let (own_mean, inv_std) = (outputs.mean.len(), outputs.inv_std.len());
    for (what, got) in [(names[0], mean), (names[1], var), ("mean", own_mean), ("inv_std", inv_std)] {
        expect_shape(OP, what, &[got], &[features])?;
    }
    if let Some(dropout) = dropout {
        dropout::expect_chance(dropout.p)?;
        expect_shape(OP, "mask", &[dropout.keep.len()], &[shape[0] * features])?;
    }
    Ok(())
}

fn draw<'a>(dropout: Option<Dropout<'a, '_>>) -> Option<(&'a [u8], f64)> {
    let Dropout { p, generator, keep } = dropout?;
    if let Some(generator) = generator {
        dropout::draw(p, generator, keep);
    }
    Some((keep, p))
}

fn statistics(
    x: ArrayView2<f32>,
    mode: Mode,
    eps: f32,
    mut own_mean: ArrayViewMut1<f32>,
    inv_std: ArrayViewMut1<f32>,
) -> Result<()> {
    match mode {
        Mode::Train(running) => batch_norm::statistics(x, running, eps, own_mean, inv_std),
        Mode::Apart(moments) => batch_norm::moments(x, moments, eps, own_mean, inv_std),
        Mode::Eval(mean, var) => {
            own_mean.assign(&mean);
            batch_norm::inverse_deviation(var, eps, inv_std);
            Ok(())
        }
    }
}

fn apply(x: ArrayView2<f32>, affine: &Affine, mask: Option<(&[u8], f64)>, outputs: Outputs) -> Result<()> {
    let Outputs { mean, inv_std, mut out } = outputs;
    let features = x.ncols();
    let (x, mean, inv_std) = (dense(OP, "x", &x)?, mean.view(), inv_std.view());
    let (mean, inv_std) = (dense(OP, "mean", &mean)?, dense(OP, "inv_std", &inv_std)?);
    let (weight, bias) = (dense(OP, "weight", &affine.weight)?, dense(OP, "bias", &affine.bias)?);
    let out = dense_mut(OP, "out", &mut out)?;
    if features == 0 {
        return Ok(());
    }
    parallel::for_each(Rows(out, features), GRAIN / features + 1, |first, part| {
        for (i, row) in part.0.chunks_exact_mut(features).enumerate() {
            let at = (first + i) * features;
            normal_row(&x[at..at + features], mean, inv_std, weight, bias, row);
            if let Some((keep, p)) = mask {
                drop_row(&keep[at..at + features], dropout::factors(p), row);
            }
        }
    });
    Ok(())
}

vectorised! {
fn normal_row<'a>(
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
        out[j] = rectify(normal(x[j], mean[j], inv_std[j], weight[j], bias[j]));
    }
}
}

vectorised! {
/// Zero where the output of ReLU, computed again, is.
fn rectify_row<'a>(
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
        grad[j] = rectify_backward(grad[j], rectify(normal(x[j], mean[j], inv_std[j], weight[j], bias[j])));
    }
}
}

vectorised! {
fn drop_row<'a>(keep: &'a [u8], factors: [f32; 2], row: &'a mut [f32]) {
    for (x, keep) in row.iter_mut().zip(keep) {
        *x *= if *keep & 1 == 1 { factors[1] } else { factors[0] };
    }
}
}
