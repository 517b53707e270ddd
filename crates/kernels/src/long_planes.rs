//! BatchNorm of images whose planes are long. A task is a channel, whose planes stay in L2 from the sums to the last
//! pass. They are far apart in memory, so each is prefetched while the one before is read.

use crate::batch_stats;
use crate::norm_pass::{Backward, Forward};
use crate::normalized::{Numbers, normalize_element, relu_grad};
use crate::parallel;
use crate::plane_sums::{self, Planes};
use crate::prefetch;
use crate::relu;
use crate::vectorised::vectorised;
use ndarray::{ArrayViewMut3, Axis};

/// Writes mean and 1 / standard deviation that normalized, and the output. Without `running` it also writes `moments`,
/// the mean and the unbiased variance of the batch.
pub(crate) fn forward(
    pass: Forward,
    mean: &mut [f32],
    inv_std: &mut [f32],
    moments: &mut [[f64; 2]],
    mut out: ArrayViewMut3<f32>,
) {
    let Forward { x, affine, running, eps, addend, relu } = pass;
    let (images, channels, length) = out.dim();
    let count = (images * length) as f64;
    let mut parts: Vec<_> =
        out.axis_iter_mut(Axis(1)).zip(mean.iter_mut().zip(inv_std.iter_mut()).zip(moments)).collect();
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
}

/// Writes the gradients of x, addend, weight and bias.
pub(crate) fn backward(
    pass: Backward,
    mut grad_x: ArrayViewMut3<f32>,
    addend: Option<&mut [f32]>,
    grad_weight: &mut [f32],
    grad_bias: &mut [f32],
) {
    let Backward { grad, y, x, mean, inv_std, affine, scale } = pass;
    let shape @ (images, channels, length) = grad_x.dim();
    if x.is_empty() {
        grad_weight.fill(0.0);
        grad_bias.fill(0.0);
        return;
    }
    let mut addend = addend.map(|addend| ArrayViewMut3::from_shape(shape, addend).expect("checked before"));
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
            let numbers @ [_, inv_std, weight, _] = [mean[c], inv_std[c], affine.weight[c], affine.bias[c]];
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
