//! Batch normalization of images by channel, `torch.nn.BatchNorm2d`, and its gradients: x[images, channels, length].
//!
//! A thread takes whole channels: sums, then normalizes what its cache still holds. Planes that are short are columns of rows instead
//! (`short_planes.rs`).

use crate::batch_norm::{Gradients, Norm, Outputs, Saved, normalize_element};
use crate::batch_stats::{self, Moments, RunningUpdate, Statistics, ema_update};
use crate::error::{Result, contiguous, expect_shape};
use crate::parallel;
use crate::plane_sums;
use crate::relu;
use crate::short_planes;
use crate::vectorised::vectorised;
use ndarray::{ArrayView3, ArrayViewMut2, ArrayViewMut3, Axis, Ix3};

const OP: &str = "batch_norm";
/// Elements per task, at least.
const GRAIN: usize = 1 << 14;

/// A channel of the forward pass.
struct Channel<'a> {
    mean: &'a mut f32,
    inv_std: &'a mut f32,
    /// Mean and unbiased variance of the batch.
    moments: &'a mut [f64; 2],
    out: ArrayViewMut2<'a, f32>,
}

/// What follows the normalisation in its last pass, in this order.
#[derive(Clone, Copy, Default)]
pub struct Epilogue<'a> {
    /// What is added, in the shape of x.
    pub addend: Option<&'a [f32]>,
    /// Whether ReLU follows.
    pub relu: bool,
}

/// out = (x - mean) * inv_std * weight + bias by channel, for x[images, channels, length], and what follows.
pub fn forward(x: ArrayView3<f32>, norm: Norm, epilogue: Epilogue, outputs: Outputs<Ix3>) -> Result<()> {
    let (images, channels, length) = x.dim();
    let Outputs { mean, inv_std, mut out } = outputs;
    expect_shape(OP, "out", out.shape(), x.shape())?;
    let Epilogue { addend, relu } = epilogue;
    expect_shape(OP, "addend", &[addend.map_or(x.len(), <[f32]>::len)], &[x.len()])?;
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
    if short_planes::fit(length) {
        let call = short_planes::Forward { x, affine, running, eps, addend, relu };
        call.run(mean, inv_std, &mut moments, out);
        update(statistics, &moments);
        return Ok(());
    }
    let mut parts: Vec<Channel> = out
        .axis_iter_mut(Axis(1))
        .zip(mean.iter_mut().zip(inv_std.iter_mut()).zip(&mut moments))
        .map(|(out, ((mean, inv_std), moments))| Channel { mean, inv_std, moments, out })
        .collect();
    parallel::for_each(&mut parts[..], grain(images, length), |first, parts| {
        for (i, Channel { mean, inv_std, moments, out }) in parts.iter_mut().enumerate() {
            let c = first + i;
            let planes = || (0..images).map(|n| plane(x, n * channels + c, length));
            if let Some((running_mean, var)) = running {
                (**mean, **inv_std) = (running_mean[c], batch_stats::inv_std(var[c], eps));
            } else {
                let count = (images * length) as f64;
                let average = planes().map(plane_sums::sum).sum::<f64>() / count;
                // The distances are from the rounded mean: what that lacks is taken off.
                let (rounded, rest) = (average as f32, average - f64::from(average as f32));
                let squares = planes().map(|plane| plane_sums::squared_distances(plane, rounded)).sum::<f64>();
                let var = (squares / count - rest * rest).max(0.0);
                (**mean, **inv_std) = (rounded, (1.0 / (var + f64::from(eps)).sqrt()) as f32);
                **moments = [average, var * (count / (count - 1.0))];
            }
            let numbers = [**mean, **inv_std, affine.weight[c], affine.bias[c]];
            for (n, (x, mut out)) in planes().zip(out.rows_mut()).enumerate() {
                let addend = addend.map(|addend| plane(addend, n * channels + c, length));
                normalize(x, numbers, addend, relu, out.as_slice_mut().expect("checked before"));
            }
        }
    });
    update(statistics, &moments);
    Ok(())
}

/// Passes on the mean and the unbiased variance of each channel of the batch.
fn update(statistics: Statistics, moments: &[[f64; 2]]) {
    let met = moments.iter().enumerate();
    match statistics {
        Statistics::Running { .. } => (),
        Statistics::Batch(RunningUpdate { mean, var, momentum }) => met.for_each(|(c, &[batch_mean, batch_var])| {
            ema_update(&mut mean[c], batch_mean, momentum);
            ema_update(&mut var[c], batch_var, momentum);
        }),
        Statistics::BatchDeferred(Moments { mean, var }) => met.for_each(|(c, &[batch_mean, batch_var])| {
            (mean[c], var[c]) = (batch_mean, batch_var);
        }),
    }
}

/// What the gradient passes before the normalisation, of what followed it.
#[derive(Default)]
pub struct EpilogueGradient<'a> {
    /// The output, if ReLU followed.
    pub y: Option<&'a [f32]>,
    /// Where the gradient of the addend goes, if there was one.
    pub addend: Option<&'a mut [f32]>,
}

/// A channel of the backward pass.
struct ChannelGradient<'a> {
    x: ArrayViewMut2<'a, f32>,
    addend: Option<ArrayViewMut2<'a, f32>>,
    weight: &'a mut f32,
    bias: &'a mut f32,
}

/// The gradients of x[images, channels, length], weight[channels] and bias[channels], and of what was added, from
/// grad[images, channels, length].
pub fn backward(
    grad: ArrayView3<f32>,
    saved: &Saved<Ix3>,
    weight: &[f32],
    epilogue: EpilogueGradient,
    into: Gradients<Ix3>,
) -> Result<()> {
    let (images, channels, length) = saved.x.dim();
    let EpilogueGradient { y, addend } = epilogue;
    expect_shape(OP, "y", &[y.map_or(grad.len(), <[f32]>::len)], &[grad.len()])?;
    expect_shape(OP, "grad_addend", &[addend.as_ref().map_or(grad.len(), |addend| addend.len())], &[grad.len()])?;
    let Gradients { x: mut grad_x, weight: grad_weight, bias: grad_bias } = into;
    expect_shape(OP, "grad", grad.shape(), saved.x.shape())?;
    expect_shape(OP, "grad_x", grad_x.shape(), saved.x.shape())?;
    let (grad, x) = (contiguous(OP, "grad", &grad)?, contiguous(OP, "x", &saved.x)?);
    contiguous(OP, "grad_x", &grad_x.view())?;
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
    if short_planes::fit(length) {
        let (mean, inv_std) = (saved.mean, saved.inv_std);
        let call = short_planes::Backward { grad, y, x, mean, inv_std, weight, scale };
        call.run(grad_x, addend, grad_weight, grad_bias);
        return Ok(());
    }
    let mut addend = addend.map(|addend| ArrayViewMut3::from_shape(saved.x.dim(), addend).expect("checked before"));
    let mut addends = addend.as_mut().map(|addend| addend.axis_iter_mut(Axis(1)));
    let mut parts: Vec<_> = grad_x
        .axis_iter_mut(Axis(1))
        .zip(grad_weight.iter_mut().zip(grad_bias.iter_mut()))
        .map(|(x, (weight, bias))| {
            let addend = addends.as_mut().and_then(Iterator::next);
            ChannelGradient { x, addend, weight, bias }
        })
        .collect();
    parallel::for_each(&mut parts[..], grain(images, length), |first, parts| {
        for (i, into) in parts.iter_mut().enumerate() {
            let c = first + i;
            let (mean, inv_std) = (saved.mean[c], saved.inv_std[c]);
            let place = |n: usize| n * channels + c;
            // Where the gradient behind ReLU goes: to the addend's, or to that of x for now.
            let mut sums = [0.0; 2];
            for n in 0..images {
                let mut grad = plane(grad, place(n), length);
                let adds = into.addend.is_some();
                let behind = into.addend.as_mut().unwrap_or(&mut into.x).row_mut(n).into_slice();
                let behind = behind.expect("checked before");
                if let Some(y) = y {
                    relu::gradient(grad, plane(y, place(n), length), behind);
                    grad = behind;
                } else if adds {
                    behind.copy_from_slice(grad);
                }
                let [dots, grads] = plane_sums::dots(grad, plane(x, place(n), length), mean);
                sums = [sums[0] + dots, sums[1] + grads];
            }
            *into.weight = (sums[0] * f64::from(inv_std)) as f32;
            *into.bias = sums[1] as f32;
            let numbers = [mean, inv_std, weight[c] * inv_std, scale, *into.weight, *into.bias];
            for n in 0..images {
                let mut grad_x = into.x.row_mut(n);
                let grad_x = grad_x.as_slice_mut().expect("checked before");
                let x = plane(x, place(n), length);
                match &into.addend {
                    Some(addend) => {
                        input_gradient(addend.row(n).to_slice().expect("checked before"), x, numbers, grad_x)
                    }
                    None if y.is_some() => input_gradient_in_place(x, numbers, grad_x),
                    None => input_gradient(plane(grad, place(n), length), x, numbers, grad_x),
                }
            }
        }
    });
    Ok(())
}

/// Channels of a task.
fn grain(images: usize, length: usize) -> usize {
    GRAIN / (images * length).max(1) + 1
}

/// The i-th plane: channel i % channels of image i / channels.
fn plane(x: &[f32], i: usize, length: usize) -> &[f32] {
    &x[i * length..][..length]
}

vectorised! {
fn normalize<'a>(x: &'a [f32], numbers: [f32; 4], addend: Option<&'a [f32]>, relu: bool, out: &'a mut [f32]) {
    let [mean, inv_std, weight, bias] = numbers;
    let norm = |x: f32| normalize_element(x, mean, inv_std, weight, bias);
    let to = out.iter_mut().zip(x);
    match (addend, relu) {
        (None, false) => to.for_each(|(out, x)| *out = norm(*x)),
        (None, true) => to.for_each(|(out, x)| *out = relu::forward(norm(*x))),
        (Some(addend), false) => to.zip(addend).for_each(|((out, x), addend)| *out = norm(*x) + addend),
        (Some(addend), true) => {
            to.zip(addend).for_each(|((out, x), addend)| *out = relu::forward(norm(*x) + addend));
        }
    }
}
}

vectorised! {
fn input_gradient<'a>(grad: &'a [f32], x: &'a [f32], numbers: [f32; 6], out: &'a mut [f32]) {
    out.iter_mut().zip(grad.iter().zip(x)).for_each(|(out, (grad, x))| *out = gradient_element(*grad, *x, numbers));
}
}

vectorised! {
/// The same from the gradient that stands in `grad`, to there.
fn input_gradient_in_place<'a>(x: &'a [f32], numbers: [f32; 6], grad: &'a mut [f32]) {
    grad.iter_mut().zip(x).for_each(|(grad, x)| *grad = gradient_element(*grad, *x, numbers));
}
}

#[inline(always)]
fn gradient_element(grad: f32, x: f32, [mean, inv_std, factor, scale, grad_weight, grad_bias]: [f32; 6]) -> f32 {
    let x_hat = (x - mean) * inv_std;
    factor * (grad - scale * (grad_bias + x_hat * grad_weight))
}
