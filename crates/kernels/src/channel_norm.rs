//! Batch normalization of images by channel, `torch.nn.BatchNorm2d`, and its gradients: x[images, channels, length].
//!
//! Sums are taken plane by plane in the order of memory, for the planes of a channel lie far apart: a processor that reads them one
//! after the other waits for each. Planes that are short are columns of rows instead (`short_planes.rs`).

use crate::batch_norm::{Gradients, Norm, Outputs, Saved, normalize_element};
use crate::batch_stats::{self, Moments, RunningUpdate, Statistics, ema_update};
use crate::error::{Result, contiguous, expect_shape};
use crate::parallel::{self, Rows};
use crate::plane_sums;
use crate::relu;
use crate::short_planes;
use crate::vectorised::vectorised;
use ndarray::{ArrayView3, Ix3};

const OP: &str = "batch_norm";
/// Elements per task, at least.
const GRAIN: usize = 1 << 14;

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
    if let Some((running_mean, var)) = running {
        mean.copy_from_slice(running_mean);
        inv_std.iter_mut().zip(var).for_each(|(inv_std, var)| *inv_std = batch_stats::inv_std(*var, eps));
    } else {
        let count = (images * length) as f64;
        for (c, [average, squares]) in plane_sums::moments(x, channels, length).into_iter().enumerate() {
            let var = squares / count;
            (mean[c], inv_std[c]) = (average as f32, (1.0 / (var + f64::from(eps)).sqrt()) as f32);
            moments[c] = [average, var * (count / (count - 1.0))];
        }
    }
    if x.is_empty() {
        update(statistics, &moments);
        return Ok(());
    }
    let out = out.as_slice_mut().expect("checked before");
    parallel::for_each(Rows(out, length), grain(length), |first, part| {
        for (i, out) in (first..).zip(part.0.chunks_exact_mut(length)) {
            let c = i % channels;
            let numbers = [mean[c], inv_std[c], affine.weight[c], affine.bias[c]];
            normalize(plane(x, i, length), numbers, addend.map(|addend| plane(addend, i, length)), relu, out);
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
    if x.is_empty() {
        grad_weight.fill(0.0);
        grad_bias.fill(0.0);
        return Ok(());
    }
    let mut sums = vec![[0.0; 2]; images * channels];
    let (grad, y) = match addend {
        None => {
            parallel::for_each(&mut sums[..], grain(length), |first, sums| {
                for (i, sums) in (first..).zip(sums) {
                    let y = y.map(|y| plane(y, i, length));
                    *sums = plane_sums::dots(plane(grad, i, length), y, plane(x, i, length), saved.mean[i % channels]);
                }
            });
            (grad, y)
        }
        Some(addend) => {
            let parts = (Rows(&mut *addend, length), &mut sums[..]);
            parallel::for_each(parts, grain(length), |first, (addend, sums)| {
                for (i, (behind, sums)) in (first..).zip(addend.0.chunks_exact_mut(length).zip(sums)) {
                    match y {
                        Some(y) => relu::gradient(plane(grad, i, length), plane(y, i, length), behind),
                        None => behind.copy_from_slice(plane(grad, i, length)),
                    }
                    *sums = plane_sums::dots(behind, None, plane(x, i, length), saved.mean[i % channels]);
                }
            });
            (&*addend, None)
        }
    };
    for (c, [dots, grads]) in plane_sums::by_channel(&sums, channels).enumerate() {
        grad_weight[c] = (dots * f64::from(saved.inv_std[c])) as f32;
        grad_bias[c] = grads as f32;
    }
    let grad_x = grad_x.as_slice_mut().expect("checked before");
    parallel::for_each(Rows(grad_x, length), grain(length), |first, part| {
        for (i, grad_x) in (first..).zip(part.0.chunks_exact_mut(length)) {
            let c = i % channels;
            let (mean, inv_std) = (saved.mean[c], saved.inv_std[c]);
            let numbers = [mean, inv_std, weight[c] * inv_std, scale, grad_weight[c], grad_bias[c]];
            let y = y.map(|y| plane(y, i, length));
            input_gradient(plane(grad, i, length), y, plane(x, i, length), numbers, grad_x);
        }
    });
    Ok(())
}

/// Planes of a task.
fn grain(length: usize) -> usize {
    GRAIN / length + 1
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
/// The gradient of x, from that of the output y if ReLU ended it.
fn input_gradient<'a>(grad: &'a [f32], y: Option<&'a [f32]>, x: &'a [f32], numbers: [f32; 6], out: &'a mut [f32]) {
    let places = out.iter_mut().zip(grad).zip(x);
    match y {
        None => places.for_each(|((out, grad), x)| *out = gradient_element(*grad, *x, numbers)),
        Some(y) => places.zip(y).for_each(|(((out, grad), x), y)| {
            *out = gradient_element(relu::backward(*grad, *y), *x, numbers);
        }),
    }
}
}

#[inline(always)]
fn gradient_element(grad: f32, x: f32, [mean, inv_std, factor, scale, grad_weight, grad_bias]: [f32; 6]) -> f32 {
    let x_hat = (x - mean) * inv_std;
    factor * (grad - scale * (grad_bias + x_hat * grad_weight))
}
