//! Batch normalization of images by channel, `torch.nn.BatchNorm2d`, and its gradients: x[images, channels, length].
//! This checks; `short_planes.rs` and `long_planes.rs` compute. Planes of one element are rows of features, which
//! `batch_norm.rs` normalizes.

use crate::batch_norm::{self, Affine, Gradients, Norm, Outputs, Saved};
use crate::batch_stats::{Moments, RunningUpdate, Statistics, ema_update};
use crate::elementwise;
use crate::error::{Result, contiguous, contiguous_mut, expect_shape};
use crate::long_planes;
use crate::norm_pass::{Backward, Forward};
use crate::relu;
use crate::short_planes;
use ndarray::{ArrayView3, Axis, Ix3};

const OP: &str = "batch_norm";

/// What is applied to the normalised values before they are written, in the order of the fields.
#[derive(Clone, Copy, Default)]
pub struct Epilogue<'a> {
    /// Added to the output; of x's shape.
    pub addend: Option<&'a [f32]>,
    /// Whether ReLU follows.
    pub relu: bool,
}

/// out = epilogue((x - mean) * inv_std * weight + bias) by channel, for x[images, channels, length].
pub fn forward(x: ArrayView3<f32>, norm: Norm, epilogue: Epilogue, outputs: Outputs<Ix3>) -> Result<()> {
    let (images, channels, length) = x.dim();
    let Outputs { mean, inv_std, mut out } = outputs;
    expect_shape(OP, "out", out.shape(), x.shape())?;
    let Epilogue { addend, relu } = epilogue;
    expect_shape(OP, "addend", &[addend.map_or(x.len(), <[f32]>::len)], &[x.len()])?;
    if length == 1 {
        let rows = Outputs { mean, inv_std, out: out.index_axis_mut(Axis(2), 0) };
        batch_norm::forward(x.index_axis(Axis(2), 0), norm, rows)?;
        let out = contiguous_mut(OP, "out", &mut out)?;
        addend.map_or(Ok(()), |addend| elementwise::accumulate(addend, out))?;
        if relu {
            out.iter_mut().for_each(|y| *y = relu::forward(*y));
        }
        return Ok(());
    }
    let x = contiguous(OP, "x", &x)?;
    contiguous(OP, "out", &out.view())?;
    norm.affine.check(channels)?;
    norm.statistics.check(OP, images * length, channels)?;
    expect_shape(OP, "mean", &[mean.len()], &[channels])?;
    expect_shape(OP, "inv_std", &[inv_std.len()], &[channels])?;
    let Norm { affine, statistics, eps } = norm;
    let running = match &statistics {
        Statistics::Running { mean, var } => Some((*mean, *var)),
        _ => None,
    };
    let mut moments = vec![[0.0; 2]; channels];
    let run = if short_planes::is_short(length) { short_planes::forward } else { long_planes::forward };
    run(Forward { x, affine, running, eps, addend, relu }, mean, inv_std, &mut moments, out);
    update(statistics, &moments);
    Ok(())
}

/// Passes on the mean and the unbiased variance of each channel of the batch.
fn update(statistics: Statistics, moments: &[[f64; 2]]) {
    let moments = moments.iter().enumerate();
    match statistics {
        Statistics::Running { .. } => (),
        Statistics::Batch(RunningUpdate { mean, var, momentum }) => {
            moments.for_each(|(c, &[batch_mean, batch_var])| {
                ema_update(&mut mean[c], batch_mean, momentum);
                ema_update(&mut var[c], batch_var, momentum);
            })
        }
        Statistics::BatchDeferred(Moments { mean, var }) => moments.for_each(|(c, &[batch_mean, batch_var])| {
            (mean[c], var[c]) = (batch_mean, batch_var);
        }),
    }
}

/// What followed the normalisation: the gradient passes it first.
#[derive(Default)]
pub struct EpilogueGradient<'a> {
    /// The output, if ReLU followed. Without an addend only its presence counts: its sign is recomputed from x, which
    /// is read anyway.
    pub y: Option<&'a [f32]>,
    /// Where the gradient of the addend goes; `None` if there was no addend.
    pub addend: Option<&'a mut [f32]>,
}

/// The gradients of x[images, channels, length], weight[channels], bias[channels] and the addend from grad[images,
/// channels, length].
pub fn backward(
    grad: ArrayView3<f32>,
    saved: &Saved<Ix3>,
    affine: Affine,
    epilogue: EpilogueGradient,
    into: Gradients<Ix3>,
) -> Result<()> {
    let (images, channels, length) = saved.x.dim();
    let EpilogueGradient { y, addend } = epilogue;
    expect_shape(OP, "y", &[y.map_or(grad.len(), <[f32]>::len)], &[grad.len()])?;
    expect_shape(OP, "grad_addend", &[addend.as_ref().map_or(grad.len(), |addend| addend.len())], &[grad.len()])?;
    let Gradients { x: grad_x, weight: grad_weight, bias: grad_bias } = into;
    expect_shape(OP, "grad", grad.shape(), saved.x.shape())?;
    expect_shape(OP, "grad_x", grad_x.shape(), saved.x.shape())?;
    if length == 1 && y.is_none() && addend.is_none() {
        let Saved { mean, inv_std, train, .. } = *saved;
        let saved = Saved { x: saved.x.index_axis(Axis(2), 0), mean, inv_std, train };
        let x = grad_x.index_axis_move(Axis(2), 0);
        let into = Gradients { x, weight: grad_weight, bias: grad_bias };
        return batch_norm::backward(grad.index_axis(Axis(2), 0), &saved, affine.weight, into);
    }
    let (grad, x) = (contiguous(OP, "grad", &grad)?, contiguous(OP, "x", &saved.x)?);
    contiguous(OP, "grad_x", &grad_x.view())?;
    affine.check(channels)?;
    for (what, len) in [
        ("mean", saved.mean.len()),
        ("inv_std", saved.inv_std.len()),
        ("grad_weight", grad_weight.len()),
        ("grad_bias", grad_bias.len()),
    ] {
        expect_shape(OP, what, &[len], &[channels])?;
    }
    let scale = if saved.train { 1.0 / (images * length) as f32 } else { 0.0 };
    let (mean, inv_std) = (saved.mean, saved.inv_std);
    let run = if short_planes::is_short(length) { short_planes::backward } else { long_planes::backward };
    run(Backward { grad, y, x, mean, inv_std, affine, scale }, grad_x, addend, grad_weight, grad_bias);
    Ok(())
}
