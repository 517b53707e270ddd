//! Convolutions whose channels do not meet: each output reads one channel, so there is no product to share work in. Sixteen planes are
//! computed side by side, one in each lane of a vector, so that planes of any size fill the vectors. They are copied inside of zeros:
//! each tap is then an offset.
//!
//! ```text
//!   a b c            0 0 0 0 0
//!   d e f     ->     0 a b c 0     out[y][x] = the sum of w[tap] * copy[y * pitch + x + offset of tap]
//!                    0 d e f 0     each letter is a vector: its element of 16 planes
//!                    0 0 0 0 0
//! ```

use super::{Epilogue, Shape, Window};
use crate::matmul::{LANES, deinterleave, interleave, with_scratch};
use crate::normalized::normalize_element;
use crate::parallel::{self, Rows};
use crate::prefetch::planes_to_write;
use crate::relu;
use crate::vectorised::vectorised;
use std::ops::Range;

/// Multiply-adds per task, at least.
const GRAIN: usize = 1 << 16;
/// Places of a copy, at most if a row of outputs does not need more: 128 KiB.
const COPY_PLACES: usize = 1 << 11;
/// Outputs, or taps, whose sums run side by side.
const SUMS: usize = 4;
/// Images whose part of a weight's gradient is a task.
const IMAGES: usize = 16;
/// Places whose products are summed in single precision, at most.
const RUN: usize = 256;

/// An element of some planes.
type Lanes = [f32; LANES];

/// A convolution of single planes: output (y, x) reads the place (y * down, x * down) + tap of a grid of zeros, where the source's
/// element (y, x) stands at (y * up, x * up) + first, if that is inside.
struct Planes {
    source: [usize; 2],
    up: [usize; 2],
    first: [isize; 2],
    out: [usize; 2],
    down: [usize; 2],
    kernel: [usize; 2],
    dilation: [usize; 2],
}

/// Some rows of outputs, and where the grid lies that they read.
struct Band {
    rows: Range<usize>,
    /// The rows of the source in it.
    source: Range<usize>,
    /// How many places the grid has.
    places: usize,
}

impl Shape {
    /// Outputs of each channel.
    fn multiplier(&self) -> usize {
        self.weight[0] / self.x[1]
    }

    fn forward_planes(&self, [_, _, height, width]: [usize; 4]) -> Planes {
        let Window { stride, padding, dilation } = self.window;
        Planes {
            source: [self.x[2], self.x[3]],
            up: [1, 1],
            first: padding.map(|padding| padding as isize),
            out: [height, width],
            down: stride,
            kernel: [self.weight[2], self.weight[3]],
            dilation,
        }
    }

    /// The gradients of x read those of the outputs, with zeros between them if there is a stride, with the kernel turned round.
    fn backward_planes(&self, out_shape: [usize; 4]) -> Planes {
        let forward = self.forward_planes(out_shape);
        let first = [0, 1].map(|axis| forward.reach(axis) as isize - forward.first[axis]);
        Planes { source: forward.out, up: forward.down, first, out: forward.source, down: [1, 1], ..forward }
    }
}

impl Planes {
    /// From the first tap to the last one.
    fn reach(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilation[axis]
    }

    fn pitch(&self) -> usize {
        (self.out[1] - 1) * self.down[1] + self.reach(1) + 1
    }

    /// How far each tap reads from an output's place.
    fn offsets(&self) -> Vec<usize> {
        let ([ky, kx], [down, across]) = (self.kernel, self.dilation);
        (0..ky * kx).map(|tap| tap / kx * down * self.pitch() + tap % kx * across).collect()
    }

    /// All rows of outputs.
    fn bands(&self) -> impl Iterator<Item = Band> {
        let of_rows = |rows: usize| (rows - 1) * self.down[0] + self.reach(0) + 1;
        let most = (COPY_PLACES / self.pitch()).saturating_sub(self.reach(0) + 1) / self.down[0] + 1;
        (0..self.out[0]).step_by(most).map(move |row| {
            let rows = row..self.out[0].min(row + most);
            let height = of_rows(rows.len());
            // The source's rows y with 0 <= y * up + first - top < height.
            let before = |place: isize| {
                let y = (place - self.first[0]).max(0) as usize;
                y.div_ceil(self.up[0]).min(self.source[0])
            };
            let top = (row * self.down[0]) as isize;
            Band { rows, source: before(top)..before(top + height as isize), places: height * self.pitch() }
        })
    }

    /// Places of the largest grid, and elements of the largest part of a source and of outputs.
    fn room(&self) -> [usize; 3] {
        self.bands().fold([0; 3], |[places, source, out], band| {
            [
                places.max(band.places),
                source.max(band.source.len() * self.source[1]),
                out.max(band.rows.len() * self.out[1]),
            ]
        })
    }

    /// Copies a band's part of some planes, which begin `stride` elements from each other, to its grid.
    fn copy(&self, band: &Band, from: &[f32], stride: usize, planes: usize, part: &mut [Lanes], grid: &mut [Lanes]) {
        let (width, pitch) = (self.source[1], self.pitch());
        grid.fill([0.0; LANES]);
        if band.source.is_empty() {
            return;
        }
        interleave(&from[band.source.start * width..], stride, planes, part);
        let columns = (0..width).filter_map(|x| {
            let at = usize::try_from((x * self.up[1]) as isize + self.first[1]).ok()?;
            (at < pitch).then_some((x, at))
        });
        let Some((left, at)) = columns.clone().next() else { return };
        let count = columns.count();
        for (y, row) in band.source.clone().zip(part.chunks_exact(width)) {
            let place = (y * self.up[0]) as isize + self.first[0] - (band.rows.start * self.down[0]) as isize;
            let to = grid[place as usize * pitch + at..].iter_mut().step_by(self.up[1]);
            to.zip(&row[left..left + count]).for_each(|(to, from)| *to = *from);
        }
    }
}

/// Rows of one number for each channel, the first ones once more behind the last, so that the numbers of any adjacent planes are
/// adjacent.
struct Table {
    numbers: Vec<f32>,
    channels: usize,
}

impl Table {
    fn new(rows: usize, channels: usize, number: impl Fn(usize, usize) -> f32) -> Self {
        let width = channels + LANES;
        let numbers = (0..rows * width).map(|i| number(i / width, i % width % channels)).collect();
        Self { numbers, channels }
    }

    /// The numbers of the planes from this one on.
    fn at(&self, row: usize, plane: usize) -> &Lanes {
        let at = row * (self.channels + LANES) + plane % self.channels;
        self.numbers[at..].first_chunk().expect("a row is that much longer")
    }

    /// The same of all rows.
    fn all(&self, plane: usize) -> Vec<Lanes> {
        let rows = self.numbers.len() / (self.channels + LANES);
        (0..rows).map(|row| *self.at(row, plane)).collect()
    }
}

/// Calls `f` with scratch memory in three parts of `room` places.
fn with_lanes(room: [usize; 3], f: impl FnOnce(&mut [Lanes], &mut [Lanes], &mut [Lanes])) {
    with_scratch(room.iter().sum::<usize>() * LANES, |scratch| {
        let (a, rest) = scratch.as_chunks_mut().0.split_at_mut(room[0]);
        let (b, c) = rest.split_at_mut(room[1]);
        f(a, b, c);
    });
}

/// out = the convolution plus the bias, and what follows.
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
    let (offsets, room) = (planes.offsets(), planes.room());
    // By output of a channel: its taps, its bias, its norm.
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
        with_lanes(room, |grid, source, sums| {
            for (i, out) in part.0.chunks_mut(LANES * multiplier * plane).enumerate() {
                let (first, count) = (first + i * LANES, out.len() / (multiplier * plane));
                for band in planes.bands() {
                    let grid = &mut grid[..band.places];
                    let source = &mut source[..band.source.len() * planes.source[1]];
                    planes.copy(&band, &x[first * plane_x..], plane_x, count, source, grid);
                    let at = band.rows.start * planes.out[1];
                    let sums = &mut sums[..band.rows.len() * planes.out[1]];
                    for (j, [weights, bias, norm]) in tables.iter().enumerate() {
                        planes_to_write(&out[j * plane + at..], multiplier * plane, count, sums.len());
                        let (weights, step) = (weights.all(first), [planes.down[0] * planes.pitch(), planes.down[1]]);
                        correlate(grid, &weights, &offsets, bias.at(0, first), planes.out[1], step, sums);
                        let norm = epilogue.norm.map(|_| [0, 1, 2, 3].map(|i| *norm.at(i, first)));
                        let (place, stride) = (j * plane + at, multiplier * plane);
                        let addend = epilogue.addend.map(|addend| {
                            let mut lanes = vec![[0.0; LANES]; sums.len()];
                            interleave(&addend[first * stride + place..], stride, count, &mut lanes);
                            lanes
                        });
                        apply_epilogue(sums, norm, addend.as_deref(), epilogue.relu);
                        deinterleave(sums, &mut out[place..], stride, count);
                    }
                }
            }
        });
    });
}

/// The gradient of x.
pub(super) fn input_gradient(shape: &Shape, out_shape: [usize; 4], grad: &[f32], weight: &[f32], grad_x: &mut [f32]) {
    let (multiplier, taps, channels) = (shape.multiplier(), shape.taps(), shape.x[1]);
    if grad.is_empty() || grad_x.is_empty() {
        return grad_x.fill(0.0);
    }
    let planes = shape.backward_planes(out_shape);
    let [plane, plane_x] = [planes.source, planes.out].map(|[height, width]| height * width);
    let (offsets, room) = (planes.offsets(), planes.room());
    let tables: Vec<_> = (0..multiplier)
        .map(|j| Table::new(taps, channels, |tap, c| weight[(c * multiplier + j) * taps + taps - 1 - tap]))
        .collect();
    let grain = GRAIN / (plane_x * taps * multiplier).max(1) + 1;
    parallel::for_each(Rows(grad_x, plane_x), grain, |first, part| {
        with_lanes(room, |grid, source, sums| {
            let mut total = vec![[0.0; LANES]; if multiplier > 1 { room[2] } else { 0 }];
            for (i, grad_x) in part.0.chunks_mut(LANES * plane_x).enumerate() {
                let (first, count) = (first + i * LANES, grad_x.len() / plane_x);
                for band in planes.bands() {
                    let grid = &mut grid[..band.places];
                    let source = &mut source[..band.source.len() * planes.source[1]];
                    let sums = &mut sums[..band.rows.len() * planes.out[1]];
                    total.fill([0.0; LANES]);
                    planes_to_write(&grad_x[band.rows.start * planes.out[1]..], plane_x, count, sums.len());
                    for (j, weights) in tables.iter().enumerate() {
                        let stride = multiplier * plane;
                        planes.copy(&band, &grad[first * stride + j * plane..], stride, count, source, grid);
                        let step = [planes.pitch(), 1];
                        correlate(grid, &weights.all(first), &offsets, &[0.0; LANES], planes.out[1], step, sums);
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

/// The gradient of the weight: sums over places and images. Those of some images are a task, and are added in order.
pub(super) fn weight_gradient(shape: &Shape, out_shape: [usize; 4], grad: &[f32], x: &[f32], grad_weight: &mut [f32]) {
    let (multiplier, taps, [images, channels, ..]) = (shape.multiplier(), shape.taps(), shape.x);
    if grad.is_empty() {
        return grad_weight.fill(0.0);
    }
    let planes = shape.forward_planes(out_shape);
    let [plane, plane_x] = [planes.out, planes.source].map(|[height, width]| height * width);
    let (offsets, room) = (planes.offsets(), planes.room());
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
        with_lanes(room, |grid, source, grads| {
            for (images, first, into) in tasks {
                let count = into.len() / per_channel;
                let mut sums = vec![[0.0; LANES]; per_channel];
                let mut totals = vec![[0.0f64; LANES]; per_channel];
                let width = planes.out[1];
                // Rows, or parts of a row.
                let across = width.min(RUN);
                let down = RUN / across;
                let mut summed = 0;
                for n in images.clone() {
                    for band in planes.bands() {
                        let grid = &mut grid[..band.places];
                        let source = &mut source[..band.source.len() * planes.source[1]];
                        let grads = &mut grads[..band.rows.len() * width];
                        planes.copy(&band, &x[(n * channels + *first) * plane_x..], plane_x, count, source, grid);
                        let stride = multiplier * plane;
                        let step = [planes.down[0] * planes.pitch(), planes.down[1]];
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
                                    let grid = &grid[y * down * step[0] + x * across * step[1]..];
                                    add_dots(part, grid, &offsets, across.min(part.len()), step, sums);
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

vectorised! {
/// Adds the sums, which begin again at 0, to the totals.
fn flush<'a>(sums: &'a mut [Lanes], totals: &'a mut [[f64; LANES]]) {
    for (sums, totals) in sums.iter_mut().zip(totals) {
        for j in 0..LANES {
            totals[j] += f64::from(sums[j]);
        }
        *sums = [0.0; LANES];
    }
}
}

vectorised! {
/// sums[y][x] = bias + the sum over taps of weights[tap] * grid[y * step[0] + x * step[1] + offsets[tap]].
fn correlate<'a>(
    grid: &'a [Lanes],
    weights: &'a [Lanes],
    offsets: &'a [usize],
    bias: &'a Lanes,
    width: usize,
    step: [usize; 2],
    sums: &'a mut [Lanes],
) {
    for (y, row) in sums.chunks_exact_mut(width).enumerate() {
        let grid = &grid[y * step[0]..];
        let (whole, rest) = row.as_chunks_mut::<SUMS>();
        let done = whole.len() * SUMS;
        for (i, into) in whole.iter_mut().enumerate() {
            *into = sums_at(&grid[i * SUMS * step[1]..], weights, offsets, bias, step[1]);
        }
        let (pairs, rest) = rest.as_chunks_mut::<2>();
        for into in &mut *pairs {
            *into = sums_at(&grid[done * step[1]..], weights, offsets, bias, step[1]);
        }
        for into in rest {
            [*into] = sums_at(&grid[(done + 2 * pairs.len()) * step[1]..], weights, offsets, bias, step[1]);
        }
    }
}
}

/// The sums of some outputs of a row.
#[inline(always)]
fn sums_at<const N: usize>(
    grid: &[Lanes],
    weights: &[Lanes],
    offsets: &[usize],
    bias: &Lanes,
    step: usize,
) -> [Lanes; N] {
    let mut sums = [*bias; N];
    for (w, offset) in weights.iter().zip(offsets) {
        let x = &grid[*offset..][..(N - 1) * step + 1];
        for i in 0..N {
            for j in 0..LANES {
                sums[i][j] += w[j] * x[i * step][j];
            }
        }
    }
    sums
}

vectorised! {
/// sums[tap] += the sum over outputs of grads[y][x] * grid[y * step[0] + x * step[1] + offsets[tap]].
fn add_dots<'a>(
    grads: &'a [Lanes],
    grid: &'a [Lanes],
    offsets: &'a [usize],
    width: usize,
    step: [usize; 2],
    sums: &'a mut [Lanes],
) {
    let ((whole, rest), (offsets, rest_offsets)) = (sums.as_chunks_mut::<SUMS>(), offsets.as_chunks::<SUMS>());
    for (sums, offsets) in whole.iter_mut().zip(offsets) {
        add_dots_of(grads, grid, offsets, width, step, sums);
    }
    for (sum, offset) in rest.as_chunks_mut().0.iter_mut().zip(rest_offsets.as_chunks::<1>().0) {
        add_dots_of(grads, grid, offset, width, step, sum);
    }
}
}

/// The same for some taps.
#[inline(always)]
fn add_dots_of<const N: usize>(
    grads: &[Lanes],
    grid: &[Lanes],
    offsets: &[usize; N],
    width: usize,
    step: [usize; 2],
    into: &mut [Lanes; N],
) {
    let mut sums = *into;
    for (y, grads) in grads.chunks_exact(width).enumerate() {
        let rows = offsets.map(|offset| &grid[y * step[0] + offset..][..(width - 1) * step[1] + 1]);
        for (x, grad) in grads.iter().enumerate() {
            for i in 0..N {
                let x = &rows[i][x * step[1]];
                for j in 0..LANES {
                    sums[i][j] += grad[j] * x[j];
                }
            }
        }
    }
    *into = sums;
}

vectorised! {
/// What follows the convolution, with the numbers of each plane's norm.
fn apply_epilogue<'a>(sums: &'a mut [Lanes], norm: Option<[Lanes; 4]>, addend: Option<&'a [Lanes]>, relu: bool) {
    if let Some([mean, inv_std, weight, bias]) = norm {
        for y in &mut *sums {
            for j in 0..LANES {
                y[j] = normalize_element(y[j], mean[j], inv_std[j], weight[j], bias[j]);
            }
        }
    }
    if let Some(addend) = addend {
        sums.as_flattened_mut().iter_mut().zip(addend.as_flattened()).for_each(|(y, addend)| *y += addend);
    }
    if relu {
        sums.as_flattened_mut().iter_mut().for_each(|y| *y = relu::forward(*y));
    }
}
}
