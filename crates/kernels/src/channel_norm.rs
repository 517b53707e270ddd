//! Batch normalization of images by channel, `torch.nn.BatchNorm2d`, and its gradients: x[images, channels, length].
//!
//! A task is a channel, whose planes stay in L2 from the sums to the last pass. They are far apart in memory, so each
//! is prefetched while the one before is read. Short planes are handled in `short_planes.rs`, and planes of one
//! element, which are rows of features, in `batch_norm.rs`.

use crate::batch_norm::{self, Affine, Gradients, Norm, Outputs, Saved};
use crate::batch_stats::{self, Moments, RunningUpdate, Statistics, ema_update};
use crate::elementwise;
use crate::error::{Result, contiguous, contiguous_mut, expect_shape};
use crate::normalized::{Numbers, normalize_element, relu_grad};
use crate::parallel;
use crate::plane_sums::{self, Planes};
use crate::prefetch;
use crate::relu;
use crate::short_planes;
use crate::vectorised::vectorised;
use ndarray::{ArrayView3, ArrayViewMut3, Axis, Ix3};

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
    if short_planes::is_short(length) {
        let call = short_planes::Forward { x, affine, running, eps, addend, relu };
        call.run(mean, inv_std, &mut moments, out);
        update(statistics, &moments);
        return Ok(());
    }
    let count = (images * length) as f64;
    let mut parts: Vec<_> =
        out.axis_iter_mut(Axis(1)).zip(mean.iter_mut().zip(inv_std.iter_mut()).zip(&mut moments)).collect();
    parallel::for_each(&mut parts[..], parallel::grain(images * length), |first, parts| {
        for (c, (out, ((mean, inv_std), moments))) in (first..).zip(parts) {
            let x = Planes::new(x, c, channels, length);
            (**mean, **inv_std) = match running {
                Some((mean, var)) => (mean[c], batch_stats::inv_std(var[c], eps)),
                None => {
                    let [average, squares] = plane_sums::moments(x);
                    let var = squares / count;
                    **moments = [average, var * (count / (count - 1.0))];
                    (average as f32, (1.0 / (var + f64::from(eps)).sqrt()) as f32)
                }
            };
            let numbers = [**mean, **inv_std, affine.weight[c], affine.bias[c]];
            let addend = addend.map(|addend| Planes::new(addend, c, channels, length));
            let mut outs = out.outer_iter_mut().enumerate().peekable();
            while let Some((i, mut out)) = outs.next() {
                if let Some((_, next)) = outs.peek() {
                    prefetch::to_write(next.as_ptr(), length);
                }
                if running.is_some() {
                    x.prefetch(i + 1);
                }
                let addend = addend.map(|addend| {
                    addend.prefetch(i + 1);
                    addend.of(i)
                });
                normalize(x.of(i), numbers, addend, relu, out.as_slice_mut().expect("checked before"));
            }
        }
    });
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
    let Gradients { x: mut grad_x, weight: grad_weight, bias: grad_bias } = into;
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
    if short_planes::is_short(length) {
        let (mean, inv_std) = (saved.mean, saved.inv_std);
        let call = short_planes::Backward { grad, y, x, mean, inv_std, affine, scale };
        call.run(grad_x, addend, grad_weight, grad_bias);
        return Ok(());
    }
    if x.is_empty() {
        grad_weight.fill(0.0);
        grad_bias.fill(0.0);
        return Ok(());
    }
    let mut addend = addend.map(|addend| ArrayViewMut3::from_shape(saved.x.raw_dim(), addend).expect("checked before"));
    let mut addends = addend.as_mut().map(|addend| addend.axis_iter_mut(Axis(1)));
    let mut parts: Vec<_> = grad_x
        .axis_iter_mut(Axis(1))
        .zip(grad_weight.iter_mut().zip(grad_bias))
        .map(|(x, sums)| (x, addends.as_mut().and_then(Iterator::next), sums))
        .collect();
    parallel::for_each(&mut parts[..], parallel::grain(images * length), |first, parts| {
        for (c, (grad_x, addend, (grad_weight, grad_bias))) in (first..).zip(parts) {
            let [x, grad] = [x, grad].map(|array| Planes::new(array, c, channels, length));
            let y = y.map(|y| Planes::new(y, c, channels, length));
            let numbers @ [_, inv_std, weight, _] = [saved.mean[c], saved.inv_std[c], affine.weight[c], affine.bias[c]];
            let (mut dots, mut sums) = (0.0, 0.0);
            for i in 0..images {
                x.prefetch(i + 1);
                grad.prefetch(i + 1);
                let [dot, sum] = match (&mut *addend, y) {
                    (None, None) => plane_sums::dots::<false>(grad.of(i), x.of(i), numbers),
                    (None, Some(_)) => plane_sums::dots::<true>(grad.of(i), x.of(i), numbers),
                    (Some(addend), y) => {
                        if i + 1 < images {
                            prefetch::to_write(addend.index_axis(Axis(0), i + 1).as_ptr(), length);
                        }
                        let mut grad_normalized = addend.index_axis_mut(Axis(0), i);
                        let grad_normalized = grad_normalized.as_slice_mut().expect("checked before");
                        match y {
                            Some(y) => {
                                y.prefetch(i + 1);
                                relu::gradient(grad.of(i), y.of(i), grad_normalized);
                            }
                            None => grad_normalized.copy_from_slice(grad.of(i)),
                        }
                        plane_sums::dots::<false>(grad_normalized, x.of(i), numbers)
                    }
                };
                (dots, sums) = (dots + dot, sums + sum);
            }
            (**grad_weight, **grad_bias) = ((dots * f64::from(inv_std)) as f32, sums as f32);
            let factors = [weight * inv_std, scale, **grad_weight, **grad_bias];
            let mut outs = grad_x.outer_iter_mut().enumerate().peekable();
            while let Some((i, mut grad_x)) = outs.next() {
                if let Some((_, next)) = outs.peek() {
                    prefetch::to_write(next.as_ptr(), length);
                }
                let (x, grad_x) = (x.of(i), grad_x.as_slice_mut().expect("checked before"));
                match (&*addend, y) {
                    (None, None) => input_gradient::<false>(grad.of(i), x, numbers, factors, grad_x),
                    (None, Some(_)) => input_gradient::<true>(grad.of(i), x, numbers, factors, grad_x),
                    (Some(addend), _) => {
                        let grad_normalized = addend.index_axis(Axis(0), i);
                        let grad_normalized = grad_normalized.to_slice().expect("checked before");
                        input_gradient::<false>(grad_normalized, x, numbers, factors, grad_x);
                    }
                }
            }
        }
    });
    Ok(())
}

vectorised! {
fn normalize<'a>(x: &'a [f32], numbers: Numbers, addend: Option<&'a [f32]>, relu: bool, out: &'a mut [f32]) {
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
/// The gradient of x from that of the output. With `RELU`, that is first set to 0 where ReLU's output was 0.
fn input_gradient<'a, const RELU: bool>(
    grad: &'a [f32],
    x: &'a [f32],
    numbers: Numbers,
    factors: [f32; 4],
    out: &'a mut [f32],
) {
    let ([mean, inv_std, ..], [factor, scale, grad_weight, grad_bias]) = (numbers, factors);
    if scale == 0.0 {
        // In eval mode the statistics are constants.
        for ((out, &grad), &x) in out.iter_mut().zip(grad).zip(x) {
            *out = factor * relu_grad::<RELU>(grad, x, numbers);
        }
        return;
    }
    for ((out, &grad), &x) in out.iter_mut().zip(grad).zip(x) {
        let x_hat = (x - mean) * inv_std;
        *out = factor * (relu_grad::<RELU>(grad, x, numbers) - scale * (grad_bias + x_hat * grad_weight));
    }
}
}
