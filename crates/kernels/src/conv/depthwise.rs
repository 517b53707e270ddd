//! Convolutions whose channels do not meet: each output reads one channel, so there is no product to share work in. A plane is
//! copied inside of zeros, and row follows row without an end: each tap is then an offset for all outputs at once.
//!
//! ```text
//!   a b c            0 0 0 0 0
//!   d e f     ->     0 a b c 0     out[i] = the sum of w[tap] * copy[i + offset of tap], of which those between two rows
//!                    0 d e f 0     are thrown away
//!                    0 0 0 0 0
//! ```

use super::{Finish, Operands, Shape, Window};
use crate::batch_norm::normalize_element;
use crate::matmul::with_scratch;
use crate::parallel::{self, Rows};
use crate::relu;
use crate::vectorised::vectorised;

/// Multiply-adds per task, at least.
const GRAIN: usize = 1 << 16;
/// Sums that run side by side.
const LANES: usize = 64;

/// Where the elements of a plane stand among zeros: (y, x) at `(first[0] + y * step[0]) * pitch + first[1] + x * step[1]`, if that
/// is one of the rows and columns.
struct Spread {
    first: [usize; 2],
    step: [usize; 2],
    rows: usize,
    pitch: usize,
}

/// The copies of a plane of x and of one of outputs, and how far the taps lie from each other.
struct Layout {
    /// How many places the outputs of a plane reach over, up to whole lanes.
    len: usize,
    /// How far the element that each tap reads lies from an output's place.
    taps: Vec<usize>,
    /// The same for the outputs that read an element.
    back: Vec<usize>,
    /// Elements of a copy.
    room: usize,
}

impl Shape {
    /// Planes of outputs in a task.
    fn planes_per_task(&self, [_, _, height, width]: [usize; 4]) -> usize {
        GRAIN / (height * width * self.taps()).max(1) + 1
    }

    /// Outputs of each channel.
    fn multiplier(&self) -> usize {
        self.weight[0] / self.x[1]
    }

    /// From the first tap to the last one.
    fn reach(&self, axis: usize) -> usize {
        (self.weight[axis + 2] - 1) * self.window.dilation[axis]
    }

    /// As many rows, or columns, as outputs reach over, if there were one at each place of the source.
    fn extent(&self, out: [usize; 4], axis: usize) -> usize {
        (out[axis + 2] - 1) * self.window.stride[axis] + 1
    }

    fn layout(&self, rows: usize, pitch: usize, columns: usize) -> Layout {
        let [ky, kx] = [self.weight[2], self.weight[3]];
        let [down, across] = self.window.dilation;
        let len = ((rows - 1) * pitch + columns).next_multiple_of(LANES);
        let taps: Vec<usize> = (0..ky * kx).map(|tap| tap / kx * down * pitch + tap % kx * across).collect();
        let last = taps[taps.len() - 1];
        let back = taps.iter().map(|tap| last - tap).collect();
        Layout { len, taps, back, room: len + last }
    }
}

/// out = the convolution plus the bias, and what follows.
pub(super) fn forward(shape: &Shape, out_shape: [usize; 4], operands: Operands, finish: Finish, out: &mut [f32]) {
    let Operands { x, weight, bias } = operands;
    let ([_, outputs, height, width], [_, channels, rows, columns]) = (out_shape, shape.x);
    let (plane, plane_x, taps) = (height * width, rows * columns, shape.taps());
    if out.is_empty() {
        return;
    }
    let Window { stride, padding, .. } = shape.window;
    let pitch = shape.extent(out_shape, 1) + shape.reach(1);
    let layout = shape.layout(shape.extent(out_shape, 0), pitch, shape.extent(out_shape, 1));
    let spread = Spread { first: padding, step: [1, 1], rows: shape.extent(out_shape, 0) + shape.reach(0), pitch };
    parallel::for_each(Rows(out, plane), shape.planes_per_task(out_shape), |first, part| {
        with_scratch(layout.room + layout.len, |scratch| {
            let (copy, sums) = scratch.split_at_mut(layout.room);
            copy.fill(0.0);
            for (i, out) in part.0.chunks_exact_mut(plane).enumerate() {
                let (n, o) = ((first + i) / outputs, (first + i) % outputs);
                spread.copy(&x[(n * channels + o / shape.multiplier()) * plane_x..][..plane_x], columns, copy);
                correlate(copy, &weight[o * taps..][..taps], &layout.taps, bias.map_or(0.0, |bias| bias[o]), sums);
                collect(sums, stride, pitch, width, out);
                let addend = finish.addend.map(|addend| &addend[(first + i) * plane..][..plane]);
                finish_plane(out, finish.norm.map(|norm| norm.row(o)), addend, finish.relu);
            }
        });
    });
}

/// The gradient of x: the convolution of the outputs' gradients, with zeros between them if there is a stride, with the kernel
/// turned round.
pub(super) fn input_gradient(shape: &Shape, out_shape: [usize; 4], grad: &[f32], weight: &[f32], grad_x: &mut [f32]) {
    let ([_, outputs, height, width], [_, channels, rows, columns]) = (out_shape, shape.x);
    let (plane, plane_x, taps, multiplier) = (height * width, rows * columns, shape.taps(), shape.multiplier());
    if grad.is_empty() || grad_x.is_empty() {
        return grad_x.fill(0.0);
    }
    let Window { stride, padding, .. } = shape.window;
    // The copy begins `reach` before the first output, and an element of x lies `padding` behind the output that reads it first.
    let whole = |axis: usize| shape.x[axis + 2] + padding[axis] + shape.reach(axis);
    let pitch = whole(1);
    let layout = shape.layout(rows + padding[0], pitch, columns + padding[1]);
    let spread = Spread { first: [shape.reach(0), shape.reach(1)], step: stride, rows: whole(0), pitch };
    parallel::for_each(Rows(grad_x, plane_x), shape.planes_per_task(out_shape), |first, part| {
        with_scratch(layout.room + layout.len, |scratch| {
            let (copy, sums) = scratch.split_at_mut(layout.room);
            copy.fill(0.0);
            for (i, grad_x) in part.0.chunks_exact_mut(plane_x).enumerate() {
                let (n, c) = ((first + i) / channels, (first + i) % channels);
                for o in c * multiplier..(c + 1) * multiplier {
                    spread.copy(&grad[(n * outputs + o) * plane..][..plane], width, copy);
                    correlate(copy, &weight[o * taps..][..taps], &layout.back, 0.0, sums);
                    let from = &sums[padding[0] * pitch + padding[1]..];
                    if o == c * multiplier {
                        collect(from, [1, 1], pitch, columns, grad_x);
                    } else {
                        for (row, from) in grad_x.chunks_exact_mut(columns).zip(from.chunks(pitch)) {
                            row.iter_mut().zip(from).for_each(|(into, sum)| *into += sum);
                        }
                    }
                }
            }
        });
    });
}

/// The gradient of the weight: sums over places, image by image.
pub(super) fn weight_gradient(shape: &Shape, out_shape: [usize; 4], grad: &[f32], x: &[f32], grad_weight: &mut [f32]) {
    let ([images, outputs, height, width], [_, channels, rows, columns]) = (out_shape, shape.x);
    let (plane, plane_x, taps) = (height * width, rows * columns, shape.taps());
    if grad.is_empty() {
        return grad_weight.fill(0.0);
    }
    let Window { stride, padding, .. } = shape.window;
    let extent = [shape.extent(out_shape, 0), shape.extent(out_shape, 1)];
    let pitch = extent[1] + shape.reach(1);
    let layout = shape.layout(extent[0], pitch, extent[1]);
    let of_x = Spread { first: padding, step: [1, 1], rows: extent[0] + shape.reach(0), pitch };
    let of_grad = Spread { first: [0, 0], step: stride, rows: extent[0], pitch };
    let grain = GRAIN / (images * plane * taps).max(1) + 1;
    parallel::for_each(Rows(grad_weight, taps), grain, |first, part| {
        with_scratch(layout.room + layout.len, |scratch| {
            let (copy, grads) = scratch.split_at_mut(layout.room);
            copy.fill(0.0);
            grads.fill(0.0);
            let mut sums = vec![0.0f64; taps];
            for (i, grad_weight) in part.0.chunks_exact_mut(taps).enumerate() {
                let o = first + i;
                sums.fill(0.0);
                for n in 0..images {
                    of_x.copy(&x[(n * channels + o / shape.multiplier()) * plane_x..][..plane_x], columns, copy);
                    of_grad.copy(&grad[(n * outputs + o) * plane..][..plane], width, grads);
                    add_dots(grads, copy, &layout.taps, &mut sums);
                }
                grad_weight.iter_mut().zip(&sums).for_each(|(into, sum)| *into = *sum as f32);
            }
        });
    });
}

impl Spread {
    /// Copies a plane to its places, between which there are zeros already.
    fn copy(&self, plane: &[f32], width: usize, to: &mut [f32]) {
        let Self { first, step, rows, pitch } = *self;
        let columns = pitch.saturating_sub(first[1]).div_ceil(step[1]).min(width);
        if columns == 0 {
            return;
        }
        let places = (first[0]..rows).step_by(step[0]);
        for (y, from) in places.zip(plane.chunks_exact(width)) {
            let to = &mut to[y * pitch + first[1]..];
            if step[1] == 1 {
                to[..columns].copy_from_slice(&from[..columns]);
            } else {
                to.iter_mut().step_by(step[1]).zip(&from[..columns]).for_each(|(to, x)| *to = *x);
            }
        }
    }
}

/// out[y, x] = the sum at (y * step, x * step).
fn collect(sums: &[f32], step: [usize; 2], pitch: usize, width: usize, out: &mut [f32]) {
    for (out, sums) in out.chunks_exact_mut(width).zip(sums.chunks(pitch * step[0])) {
        if step[1] == 1 {
            out.copy_from_slice(&sums[..width]);
        } else {
            out.iter_mut().zip(sums.iter().step_by(step[1])).for_each(|(out, sum)| *out = *sum);
        }
    }
}

vectorised! {
/// sums[i] = bias + the sum over taps of weights[tap] * x[i + offsets[tap]].
fn correlate<'a>(x: &'a [f32], weights: &'a [f32], offsets: &'a [usize], bias: f32, sums: &'a mut [f32]) {
    for (i, sums) in sums.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        let mut lanes = [bias; LANES];
        for (w, offset) in weights.iter().zip(offsets) {
            let x: &[f32; LANES] = x[i * LANES + offset..].first_chunk().expect("a copy reaches as far as its taps");
            for j in 0..LANES {
                lanes[j] += w * x[j];
            }
        }
        *sums = lanes;
    }
}
}

vectorised! {
/// sums[tap] += the sum of grad[i] * x[i + offsets[tap]].
fn add_dots<'a>(grad: &'a [f32], x: &'a [f32], offsets: &'a [usize], sums: &'a mut [f64]) {
    for (sum, offset) in sums.iter_mut().zip(offsets) {
        let mut lanes = [0.0; LANES];
        for (grad, x) in grad.as_chunks::<LANES>().0.iter().zip(x[*offset..].as_chunks::<LANES>().0) {
            for j in 0..LANES {
                lanes[j] += grad[j] * x[j];
            }
        }
        for half in [LANES / 2, LANES / 4] {
            for j in 0..half {
                lanes[j] += lanes[j + half];
            }
        }
        *sum += lanes[..LANES / 4].iter().map(|&lane| f64::from(lane)).sum::<f64>();
    }
}
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
