//! Depthwise convolutions. Each output reads a single channel, so they are no matrix product. If the output has the
//! size of the input and the stride is 1, vectors are read from the planes in place (`same`). Otherwise sixteen planes
//! are computed side by side, one in each lane of a vector, so that planes of any size fill the vectors. They are first
//! copied to a grid with zeros around it: each tap is then a constant offset.
//!
//! ```text
//!   a b c            0 0 0 0 0
//!   d e f     ->     0 a b c 0     out[y][x] = the sum of w[tap] * copy[y * pitch + x + offset of tap]
//!                    0 d e f 0     each letter is a vector: its element of 16 planes
//!                    0 0 0 0 0
//! ```

mod lanes;
mod planes;
mod same;
mod sums;

use super::{Epilogue, Shape};
use crate::matmul::{LANES, deinterleave, interleave};
use crate::parallel::{self, Rows};
use crate::prefetch::planes_to_write;
use lanes::{Table, apply_epilogue, flush, with_lanes};
use pulp::Arch;
use same::Same;
use sums::{Correlation, Dots};

/// The least multiply-adds per task.
const GRAIN: usize = 1 << 16;
/// Images per task of the weight's gradient.
const IMAGES: usize = 16;
/// The most products that are summed in single precision before the sum is added to one in double precision.
const RUN: usize = 256;

/// out = epilogue(convolution of x with the weight + bias)
pub(super) fn forward(
    shape: &Shape,
    out_shape: [usize; 4],
    [x, weight]: [&[f32]; 2],
    bias: Option<&[f32]>,
    epilogue: Epilogue,
    out: &mut [f32],
) {
    let (planes, multiplier, taps, channels) =
        (shape.forward_planes(out_shape), shape.multiplier(), shape.taps(), shape.x[1]);
    let [plane, plane_x] = [planes.out, planes.source].map(|[height, width]| height * width);
    if out.is_empty() {
        return;
    }
    if let Some(same) = Same::new(shape, out_shape) {
        return same.forward([x, weight], bias, epilogue, out);
    }
    let [places, of_source, of_out] = planes.room();
    let room = [places, of_source, of_out, if epilogue.addend.is_some() { of_out } else { 0 }, taps];
    // One entry for each output of a channel: tables of taps, bias and norm.
    let tables: Vec<[Table; 3]> = (0..multiplier)
        .map(|j| {
            let of = |c: usize| c * multiplier + j;
            [
                Table::new(taps, channels, |tap, c| weight[of(c) * taps + tap]),
                Table::new(1, channels, |_, c| bias.map_or(0.0, |bias| bias[of(c)])),
                Table::new(4, channels, |i, c| epilogue.norm.map_or(0.0, |norm| norm.row(of(c))[i])),
            ]
        })
        .collect();
    let grain = GRAIN / (plane * taps * multiplier).max(1) + 1;
    parallel::for_each(Rows(out, plane * multiplier), grain, |first, part| {
        with_lanes(room, |[grid, source, sums, addend, taps]| {
            grid.fill([0.0; LANES]);
            for (i, out) in part.0.chunks_mut(LANES * multiplier * plane).enumerate() {
                let (first, count) = (first + i * LANES, out.len() / (multiplier * plane));
                for band in &planes.bands {
                    let grid = planes.copy(band, &x[first * plane_x..], [plane_x, count], source, grid);
                    let at = band.rows.start * planes.out[1];
                    let sums = &mut sums[..band.rows.len() * planes.out[1]];
                    for (j, [weights, bias, norm]) in tables.iter().enumerate() {
                        planes_to_write(&out[j * plane + at..], multiplier * plane, count, sums.len());
                        let (weights, bias, norm) = (weights.from(first), bias.from(first), norm.from(first));
                        weights.copy(taps);
                        let planes = &planes;
                        let bias = bias.row(0);
                        Arch::new().dispatch(Correlation { planes, band, grid, weights: taps, bias, sums });
                        let norm = epilogue.norm.map(|_| [0, 1, 2, 3].map(|i| *norm.row(i)));
                        let (place, stride) = (j * plane + at, multiplier * plane);
                        let addend = epilogue.addend.map(|from| {
                            let addend = &mut addend[..sums.len()];
                            interleave(&from[first * stride + place..], stride, count, addend);
                            &*addend
                        });
                        apply_epilogue(sums, norm, addend, epilogue.relu);
                        deinterleave(sums, &mut out[place..], stride, count);
                    }
                }
            }
        });
    });
}

/// Computes the gradients that the caller asks for.
pub(super) fn backward(
    shape: &Shape,
    out_shape: [usize; 4],
    [grad, x, weight]: [&[f32]; 3],
    grad_x: Option<&mut [f32]>,
    grad_weight: Option<&mut [f32]>,
) {
    let is_empty = grad.is_empty() || x.is_empty();
    if let (false, Some(same)) = (is_empty, Same::new(shape, out_shape)) {
        return same.backward([grad, x, weight], grad_x, grad_weight);
    }
    if let Some(grad_x) = grad_x {
        input_gradient(shape, out_shape, grad, weight, grad_x);
    }
    if let Some(grad_weight) = grad_weight {
        weight_gradient(shape, out_shape, grad, x, grad_weight);
    }
}

/// The gradient of x.
fn input_gradient(shape: &Shape, out_shape: [usize; 4], grad: &[f32], weight: &[f32], grad_x: &mut [f32]) {
    let (multiplier, taps, channels) = (shape.multiplier(), shape.taps(), shape.x[1]);
    if grad.is_empty() || grad_x.is_empty() {
        return grad_x.fill(0.0);
    }
    let planes = shape.backward_planes(out_shape);
    let [plane, plane_x] = [planes.source, planes.out].map(|[height, width]| height * width);
    let [places, of_source, of_out] = planes.room();
    let room = [places, of_source, of_out, if multiplier > 1 { of_out } else { 0 }, taps];
    let tables: Vec<_> = (0..multiplier)
        .map(|j| Table::new(taps, channels, |tap, c| weight[(c * multiplier + j) * taps + taps - 1 - tap]))
        .collect();
    let grain = GRAIN / (plane_x * taps * multiplier).max(1) + 1;
    parallel::for_each(Rows(grad_x, plane_x), grain, |first, part| {
        with_lanes(room, |[grid, source, sums, total, taps]| {
            grid.fill([0.0; LANES]);
            for (i, grad_x) in part.0.chunks_mut(LANES * plane_x).enumerate() {
                let (first, count) = (first + i * LANES, grad_x.len() / plane_x);
                for band in &planes.bands {
                    let sums = &mut sums[..band.rows.len() * planes.out[1]];
                    total.fill([0.0; LANES]);
                    planes_to_write(&grad_x[band.rows.start * planes.out[1]..], plane_x, count, sums.len());
                    for (j, weights) in tables.iter().enumerate() {
                        let stride = multiplier * plane;
                        let grad = &grad[first * stride + j * plane..];
                        let grid = planes.copy(band, grad, [stride, count], source, grid);
                        weights.from(first).copy(taps);
                        let (planes, bias) = (&planes, &[0.0; LANES]);
                        Arch::new().dispatch(Correlation { planes, band, grid, weights: taps, bias, sums });
                        if multiplier > 1 {
                            total.as_flattened_mut().iter_mut().zip(sums.as_flattened()).for_each(|(a, b)| *a += b);
                        }
                    }
                    let sums = if multiplier > 1 { &total[..sums.len()] } else { sums };
                    deinterleave(sums, &mut grad_x[band.rows.start * planes.out[1]..], plane_x, count);
                }
            }
        });
    });
}

/// The gradient of the weight: sums over places and images. A task sums the same `IMAGES` images whatever the number of
/// threads, and the tasks' sums are added in order: so the bits do not depend on that number.
fn weight_gradient(shape: &Shape, out_shape: [usize; 4], grad: &[f32], x: &[f32], grad_weight: &mut [f32]) {
    let (multiplier, taps, [images, channels, ..]) = (shape.multiplier(), shape.taps(), shape.x);
    if grad.is_empty() {
        return grad_weight.fill(0.0);
    }
    let planes = shape.forward_planes(out_shape);
    let [plane, plane_x] = [planes.out, planes.source].map(|[height, width]| height * width);
    let per_channel = multiplier * taps;
    let mut parts = vec![0.0f64; images.div_ceil(IMAGES) * grad_weight.len()];
    let mut tasks: Vec<_> = parts
        .chunks_mut(grad_weight.len())
        .enumerate()
        .flat_map(|(group, sums)| {
            let images = group * IMAGES..images.min((group + 1) * IMAGES);
            let blocks = sums.chunks_mut(LANES * per_channel).enumerate();
            blocks.map(move |(block, sums)| (images.clone(), block * LANES, sums))
        })
        .collect();
    let grain = GRAIN / (IMAGES * LANES * plane * per_channel).max(1) + 1;
    parallel::for_each(&mut tasks[..], grain, |_, tasks| {
        with_lanes(planes.room(), |[grid, source, grads]| {
            grid.fill([0.0; LANES]);
            for (images, first, into) in tasks {
                let count = into.len() / per_channel;
                let mut sums = vec![[0.0; LANES]; per_channel];
                let mut totals = vec![[0.0f64; LANES]; per_channel];
                let width = planes.out[1];
                // A part of at most RUN outputs: `down` whole rows or, if a row is longer, `across` outputs of it.
                let across = width.min(RUN);
                let down = RUN / across;
                let mut summed = 0;
                for n in images.clone() {
                    for band in &planes.bands {
                        let x = &x[(n * channels + *first) * plane_x..];
                        let grid = planes.copy(band, x, [plane_x, count], source, grid);
                        let grads = &mut grads[..band.rows.len() * width];
                        let stride = multiplier * plane;
                        let before = summed;
                        for j in 0..multiplier {
                            let at = (n * channels + *first) * stride + j * plane + band.rows.start * width;
                            interleave(&grad[at..], stride, count, grads);
                            let taps = j * taps..(j + 1) * taps;
                            let (sums, totals) = (&mut sums[taps.clone()], &mut totals[taps]);
                            summed = before;
                            for (y, rows) in grads.chunks(down * width).enumerate() {
                                for (x, part) in rows.chunks(down * across).enumerate() {
                                    if summed + part.len() > RUN {
                                        flush(sums, totals);
                                        summed = 0;
                                    }
                                    let [row, column] = [y * down * planes.down[0], x * across * planes.down[1]];
                                    let grid = &grid[row * planes.pitch + column..];
                                    let (planes, width) = (&planes, across.min(part.len()));
                                    Arch::new().dispatch(Dots { planes, grads: part, grid, width, sums });
                                    summed += part.len();
                                }
                            }
                        }
                    }
                }
                flush(&mut sums, &mut totals);
                for (lane, into) in into.chunks_exact_mut(per_channel).enumerate() {
                    into.iter_mut().zip(&totals).for_each(|(into, total)| *into = total[lane]);
                }
            }
        });
    });
    let len = grad_weight.len();
    for (i, into) in grad_weight.iter_mut().enumerate() {
        *into = parts[i..].iter().step_by(len).sum::<f64>() as f32;
    }
}
