//! Batch normalization of images by channel, `torch.nn.BatchNorm2d`, and its gradients: x[images, channels, length].
//!
//! A thread takes whole channels: sums, then normalizes what its cache still holds.

use crate::batch_norm::{Norm, normalize_element};
use crate::batch_stats::{Moments, RunningUpdate, Statistics, ema_update};
use crate::error::{KernelError, Result, expect_shape};
use crate::parallel;
use crate::plane_sums;
use crate::vectorised::vectorised;
use ndarray::{ArrayView3, ArrayViewMut2, ArrayViewMut3, Axis};

const OP: &str = "batch_norm";
/// Elements per task, at least.
const GRAIN: usize = 1 << 14;

/// What the forward pass writes.
pub struct Outputs<'a> {
    /// The mean that was subtracted, [channels], for the backward pass.
    pub mean: &'a mut [f32],
    /// 1 / sqrt(var + eps), [channels], for the backward pass.
    pub inv_std: &'a mut [f32],
    /// The output[images, channels, length].
    pub out: ArrayViewMut3<'a, f32>,
}

/// What the backward pass needs of the forward pass.
pub struct Saved<'a> {
    /// The input x[images, channels, length].
    pub x: ArrayView3<'a, f32>,
    /// The mean that was subtracted, [channels].
    pub mean: &'a [f32],
    /// 1 / sqrt(var + eps), [channels].
    pub inv_std: &'a [f32],
    /// Whether the statistics were the batch's own, and so depend on x.
    pub train: bool,
}

/// The gradients that the backward pass writes.
pub struct Gradients<'a> {
    /// Of the input[images, channels, length].
    pub x: ArrayViewMut3<'a, f32>,
    /// Of gamma[channels].
    pub weight: &'a mut [f32],
    /// Of beta[channels].
    pub bias: &'a mut [f32],
}

/// A channel of the forward pass.
struct Channel<'a> {
    mean: &'a mut f32,
    inv_std: &'a mut f32,
    /// Mean and unbiased variance of the batch.
    moments: [f64; 2],
    out: ArrayViewMut2<'a, f32>,
}

/// out = (x - mean) * inv_std * weight + bias by channel, for x[images, channels, length].
pub fn forward(x: ArrayView3<f32>, norm: Norm, outputs: Outputs) -> Result<()> {
    let (images, channels, length) = x.dim();
    let Outputs { mean, inv_std, mut out } = outputs;
    expect_shape(OP, "out", out.shape(), x.shape())?;
    expect_rows(&x)?;
    expect_rows(&out.view())?;
    norm.affine.check(channels)?;
    norm.statistics.check(OP, images * length, channels)?;
    expect_shape(OP, "mean", &[mean.len()], &[channels])?;
    expect_shape(OP, "inv_std", &[inv_std.len()], &[channels])?;
    let Norm { affine, statistics, eps } = norm;
    let mut parts: Vec<Channel> = out
        .axis_iter_mut(Axis(1))
        .zip(mean.iter_mut().zip(inv_std.iter_mut()))
        .map(|(out, (mean, inv_std))| Channel { mean, inv_std, moments: [0.0; 2], out })
        .collect();
    let running = match &statistics {
        Statistics::Running { mean, var } => Some((*mean, *var)),
        _ => None,
    };
    parallel::for_each(&mut parts[..], grain(images, length), |first, parts| {
        for (i, Channel { mean, inv_std, moments, out }) in parts.iter_mut().enumerate() {
            let c = first + i;
            let planes = || (0..images).map(|n| plane(&x, n, c));
            if let Some((running_mean, var)) = running {
                (**mean, **inv_std) = (running_mean[c], 1.0 / (var[c] + eps).sqrt());
            } else {
                let count = (images * length) as f64;
                let average = planes().map(plane_sums::sum).sum::<f64>() / count;
                // The distances are from the rounded mean: what that lacks is taken off.
                let (rounded, rest) = (average as f32, average - f64::from(average as f32));
                let squares = planes().map(|plane| plane_sums::squares(plane, rounded)).sum::<f64>();
                let var = (squares / count - rest * rest).max(0.0);
                (**mean, **inv_std) = (rounded, (1.0 / (var + f64::from(eps)).sqrt()) as f32);
                *moments = [average, var * (count / (count - 1.0))];
            }
            for (x, mut out) in planes().zip(out.rows_mut()) {
                let out = out.as_slice_mut().expect("checked before");
                normalize(x, [**mean, **inv_std, affine.weight[c], affine.bias[c]], out);
            }
        }
    });
    let met = parts.iter().map(|part| part.moments).enumerate();
    match statistics {
        Statistics::Running { .. } => (),
        Statistics::Batch(RunningUpdate { mean, var, momentum }) => met.for_each(|(c, [batch_mean, batch_var])| {
            ema_update(&mut mean[c], batch_mean, momentum);
            ema_update(&mut var[c], batch_var, momentum);
        }),
        Statistics::BatchDeferred(Moments { mean, var }) => met.for_each(|(c, [batch_mean, batch_var])| {
            (mean[c], var[c]) = (batch_mean, batch_var);
        }),
    }
    Ok(())
}

/// The gradients of x[images, channels, length], weight[channels] and bias[channels] from grad[images, channels, length].
pub fn backward(grad: ArrayView3<f32>, saved: &Saved, weight: &[f32], into: Gradients) -> Result<()> {
    let (images, channels, length) = saved.x.dim();
    let Gradients { x: mut grad_x, weight: grad_weight, bias: grad_bias } = into;
    expect_shape(OP, "grad", grad.shape(), saved.x.shape())?;
    expect_shape(OP, "grad_x", grad_x.shape(), saved.x.shape())?;
    for view in [&grad, &saved.x, &grad_x.view()] {
        expect_rows(view)?;
    }
    for (what, len) in [
        ("mean", saved.mean.len()),
        ("inv_std", saved.inv_std.len()),
        ("weight", weight.len()),
        ("grad_weight", grad_weight.len()),
        ("grad_bias", grad_bias.len()),
    ] {
        expect_shape(OP, what, &[len], &[channels])?;
    }
    let scale = if saved.train { 1.0 / (images * length) as f32 } else { 0.0 };
    let sums = grad_weight.iter_mut().zip(grad_bias.iter_mut());
    let mut parts: Vec<_> = grad_x.axis_iter_mut(Axis(1)).zip(sums).collect();
    parallel::for_each(&mut parts[..], grain(images, length), |first, parts| {
        for (i, (grad_x, (grad_weight, grad_bias))) in parts.iter_mut().enumerate() {
            let c = first + i;
            let (mean, inv_std) = (saved.mean[c], saved.inv_std[c]);
            let planes = || (0..images).map(|n| (plane(&grad, n, c), plane(&saved.x, n, c)));
            let [dots, sums] = planes()
                .map(|(grad, x)| plane_sums::dots(grad, x, mean))
                .fold([0.0; 2], |[a, b], [dots, sums]| [a + dots, b + sums]);
            **grad_weight = (dots * f64::from(inv_std)) as f32;
            **grad_bias = sums as f32;
            let numbers = [mean, inv_std, weight[c] * inv_std, scale, **grad_weight, **grad_bias];
            for ((grad, x), mut grad_x) in planes().zip(grad_x.rows_mut()) {
                input_gradient(grad, x, numbers, grad_x.as_slice_mut().expect("checked before"));
            }
        }
    });
    Ok(())
}

/// Channels of a task.
fn grain(images: usize, length: usize) -> usize {
    GRAIN / (images * length).max(1) + 1
}

fn plane<'a>(x: &'a ArrayView3<f32>, n: usize, c: usize) -> &'a [f32] {
    let start = (n * x.dim().1 + c) * x.dim().2;
    &x.as_slice().expect("checked before")[start..start + x.dim().2]
}

/// Refuses an array that is not contiguous.
fn expect_rows(view: &ArrayView3<f32>) -> Result<()> {
    if view.is_standard_layout() { Ok(()) } else { Err(KernelError::Layout { op: OP, what: "x" }) }
}

vectorised! {
fn normalize<'a>(x: &'a [f32], numbers: [f32; 4], out: &'a mut [f32]) {
    let [mean, inv_std, weight, bias] = numbers;
    out.iter_mut().zip(x).for_each(|(out, x)| *out = normalize_element(*x, mean, inv_std, weight, bias));
}
}

vectorised! {
fn input_gradient<'a>(grad: &'a [f32], x: &'a [f32], numbers: [f32; 6], out: &'a mut [f32]) {
    let [mean, inv_std, factor, scale, grad_weight, grad_bias] = numbers;
    for (out, (grad, x)) in out.iter_mut().zip(grad.iter().zip(x)) {
        let x_hat = (x - mean) * inv_std;
        *out = factor * (grad - scale * (grad_bias + x_hat * grad_weight));
    }
}
}
