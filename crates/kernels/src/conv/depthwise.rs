//! Convolutions whose channels do not meet: each output reads one channel, so there is no product to share work in. A row
//! of outputs gathers the taps one after another, along what lies inside of the input.

use super::{Finish, Operands, Shape, Window};
use crate::batch_norm::normalize_element;
use crate::parallel::{self, Rows};
use crate::relu;
use crate::vectorised::vectorised;
use std::ops::Range;

/// Multiply-adds per task, at least.
const GRAIN: usize = 1 << 16;
/// Sums that run side by side.
const LANES: usize = 16;

/// What a tap reads for a row of outputs: these outputs, from this element of the input's row on.
struct Met {
    outputs: Range<usize>,
    first: usize,
}

impl Shape {
    /// The row of the input that a tap reads for a row of outputs, if it lies inside.
    fn row(&self, y: usize, tap: usize) -> Option<usize> {
        let Window { stride, padding, dilation } = self.window;
        (y * stride[0] + tap * dilation[0]).checked_sub(padding[0]).filter(|&row| row < self.x[2])
    }

    /// What a tap meets along a row.
    fn along(&self, outputs: usize, tap: usize) -> Met {
        let Window { stride, padding, dilation } = self.window;
        let (at, step) = (tap * dilation[1], stride[1]);
        let start = padding[1].saturating_sub(at).div_ceil(step).min(outputs);
        // Output x reads the element x * step + at - padding, which is below the width.
        let end = (self.x[3] + padding[1]).saturating_sub(at).div_ceil(step).clamp(start, outputs);
        Met { outputs: start..end, first: (start * step + at).saturating_sub(padding[1]) }
    }

    /// Planes of outputs in a task.
    fn planes_per_task(&self, [_, _, height, width]: [usize; 4]) -> usize {
        GRAIN / (height * width * self.taps()).max(1) + 1
    }

    /// Outputs of a channel.
    fn multiplier(&self) -> usize {
        self.weight[0] / self.x[1]
    }
}

/// out = the convolution plus the bias, and what follows.
pub(super) fn forward(shape: &Shape, out_shape: [usize; 4], operands: Operands, finish: Finish, out: &mut [f32]) {
    let Operands { x, weight, bias } = operands;
    let ([_, outputs, _, width], [_, channels, rows, columns]) = (out_shape, shape.x);
    let (plane, plane_x, taps) = (out_shape[2] * width, rows * columns, shape.taps());
    if plane == 0 {
        return;
    }
    let along: Vec<Met> = (0..shape.weight[3]).map(|tap| shape.along(width, tap)).collect();
    parallel::for_each(Rows(out, plane), shape.planes_per_task(out_shape), |first, part| {
        for (i, out) in part.0.chunks_exact_mut(plane).enumerate() {
            let (n, o) = ((first + i) / outputs, (first + i) % outputs);
            let x = &x[(n * channels + o / shape.multiplier()) * plane_x..][..plane_x];
            let weight = &weight[o * taps..][..taps];
            out.fill(bias.map_or(0.0, |bias| bias[o]));
            for (y, out) in out.chunks_exact_mut(width).enumerate() {
                for (ky, weights) in weight.chunks_exact(along.len()).enumerate() {
                    let Some(row) = shape.row(y, ky) else { continue };
                    let x = &x[row * columns..][..columns];
                    for (Met { outputs, first }, &w) in along.iter().zip(weights) {
                        add_tap(&x[(*first).min(columns)..], shape.window.stride[1], w, &mut out[outputs.clone()]);
                    }
                }
            }
            let addend = finish.addend.map(|addend| &addend[(first + i) * plane..][..plane]);
            finish_plane(out, finish.norm.map(|norm| norm.row(o)), addend, finish.relu);
        }
    });
}

/// The gradient of x: each output's gradient goes back to what its taps read.
pub(super) fn input_gradient(shape: &Shape, out_shape: [usize; 4], grad: &[f32], weight: &[f32], grad_x: &mut [f32]) {
    let ([_, outputs, _, width], [_, channels, rows, columns]) = (out_shape, shape.x);
    let (plane, plane_x, taps, multiplier) = (out_shape[2] * width, rows * columns, shape.taps(), shape.multiplier());
    if plane_x == 0 {
        return;
    }
    let along: Vec<Met> = (0..shape.weight[3]).map(|tap| shape.along(width, tap)).collect();
    parallel::for_each(Rows(grad_x, plane_x), shape.planes_per_task(out_shape), |first, part| {
        for (i, grad_x) in part.0.chunks_exact_mut(plane_x).enumerate() {
            let (n, c) = ((first + i) / channels, (first + i) % channels);
            grad_x.fill(0.0);
            for o in c * multiplier..(c + 1) * multiplier {
                let grad = &grad[(n * outputs + o) * plane..][..plane];
                let weight = &weight[o * taps..][..taps];
                for (y, grad) in grad.chunks_exact(width.max(1)).enumerate() {
                    for (ky, weights) in weight.chunks_exact(along.len()).enumerate() {
                        let Some(row) = shape.row(y, ky) else { continue };
                        let grad_x = &mut grad_x[row * columns..][..columns];
                        for (Met { outputs, first }, &w) in along.iter().zip(weights) {
                            let from = (*first).min(columns);
                            return_tap(&grad[outputs.clone()], shape.window.stride[1], w, &mut grad_x[from..]);
                        }
                    }
                }
            }
        }
    });
}

/// The gradient of the weight: sums over images and places.
pub(super) fn weight_gradient(shape: &Shape, out_shape: [usize; 4], grad: &[f32], x: &[f32], grad_weight: &mut [f32]) {
    let ([images, outputs, _, width], [_, channels, rows, columns]) = (out_shape, shape.x);
    let (plane, plane_x, taps) = (out_shape[2] * width, rows * columns, shape.taps());
    let along: Vec<Met> = (0..shape.weight[3]).map(|tap| shape.along(width, tap)).collect();
    let grain = GRAIN / (images * plane * taps).max(1) + 1;
    parallel::for_each(Rows(grad_weight, taps), grain, |first, part| {
        for (i, grad_weight) in part.0.chunks_exact_mut(taps).enumerate() {
            let o = first + i;
            for (tap, into) in grad_weight.iter_mut().enumerate() {
                let Met { outputs: met, first } = &along[tap % along.len()];
                let mut sum = 0.0;
                for n in 0..images {
                    let x = &x[(n * channels + o / shape.multiplier()) * plane_x..][..plane_x];
                    let grad = &grad[(n * outputs + o) * plane..][..plane];
                    let mut lanes = [0.0; LANES];
                    for (y, grad) in grad.chunks_exact(width.max(1)).enumerate() {
                        let Some(row) = shape.row(y, tap / along.len()) else { continue };
                        let x = &x[row * columns..][..columns];
                        add_products(
                            &grad[met.clone()],
                            &x[(*first).min(columns)..],
                            shape.window.stride[1],
                            &mut lanes,
                        );
                    }
                    sum += lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>();
                }
                *into = sum as f32;
            }
        }
    });
}

vectorised! {
/// What follows the convolution, for a plane that the cache holds.
fn finish_plane<'a>(out: &'a mut [f32], norm: Option<[f32; 4]>, addend: Option<&'a [f32]>, relu: bool) {
    if let Some([mean, inv_std, weight, bias]) = norm {
        out.iter_mut().for_each(|y| *y = normalize_element(*y, mean, inv_std, weight, bias));
    }
    if let Some(addend) = addend {
        out.iter_mut().zip(addend).for_each(|(y, addend)| *y += addend);
    }
    if relu {
        out.iter_mut().for_each(|y| *y = relu::forward(*y));
    }
}
}

vectorised! {
/// out[i] += w * x[i * step].
fn add_tap<'a>(x: &'a [f32], step: usize, w: f32, out: &'a mut [f32]) {
    if step == 1 {
        out.iter_mut().zip(x).for_each(|(out, x)| *out += w * x);
    } else {
        out.iter_mut().zip(x.iter().step_by(step)).for_each(|(out, x)| *out += w * x);
    }
}
}

vectorised! {
/// grad_x[i * step] += w * grad[i].
fn return_tap<'a>(grad: &'a [f32], step: usize, w: f32, grad_x: &'a mut [f32]) {
    if step == 1 {
        grad_x.iter_mut().zip(grad).for_each(|(into, grad)| *into += w * grad);
    } else {
        grad_x.iter_mut().step_by(step).zip(grad).for_each(|(into, grad)| *into += w * grad);
    }
}
}

vectorised! {
/// Adds grad[i] * x[i * step] to the lanes.
fn add_products<'a>(grad: &'a [f32], x: &'a [f32], step: usize, lanes: &'a mut [f32; LANES]) {
    if step == 1 {
        let ((whole, rest), (whole_x, rest_x)) = (grad.as_chunks::<LANES>(), x[..grad.len()].as_chunks::<LANES>());
        for (grad, x) in whole.iter().zip(whole_x) {
            for j in 0..LANES {
                lanes[j] += grad[j] * x[j];
            }
        }
        rest.iter().zip(rest_x).zip(lanes).for_each(|((grad, x), lane)| *lane += grad * x);
    } else {
        for (i, (grad, x)) in grad.iter().zip(x.iter().step_by(step)).enumerate() {
            lanes[i % LANES] += grad * x;
        }
    }
}
}
