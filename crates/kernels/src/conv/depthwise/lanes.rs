//! What sixteen planes have side by side: the numbers of their channels, scratch memory, and the loops over their
//! elements.

use crate::matmul::{LANES, with_scratch};
use crate::normalized::normalize_element;
use crate::relu;
use crate::vectorised::vectorised;

/// Outputs, or taps, whose sums run side by side.
const SUMS: usize = 4;

/// An element of some planes.
pub(super) type Lanes = [f32; LANES];

/// Rows of one number for each channel, the first ones once more behind the last, so that the numbers of any adjacent
/// planes are adjacent.
pub(super) struct Table {
    numbers: Vec<f32>,
    channels: usize,
}

impl Table {
    pub fn new(rows: usize, channels: usize, number: impl Fn(usize, usize) -> f32) -> Self {
        let width = channels + LANES;
        let numbers = (0..rows * width).map(|i| number(i / width, i % width % channels)).collect();
        Self { numbers, channels }
    }

    /// The numbers of the planes from this one on.
    pub fn at(&self, row: usize, plane: usize) -> &Lanes {
        let at = row * (self.channels + LANES) + plane % self.channels;
        self.numbers[at..].first_chunk().expect("a row is that much longer")
    }

    /// The same of each row.
    pub fn copy(&self, plane: usize, rows: &mut [Lanes]) {
        rows.iter_mut().enumerate().for_each(|(row, to)| *to = *self.at(row, plane));
    }
}

/// Calls `f` with scratch memory in parts of `room` places; what they hold is left over.
pub(super) fn with_lanes<const N: usize>(room: [usize; N], f: impl FnOnce([&mut [Lanes]; N])) {
    with_scratch(room.iter().sum::<usize>() * LANES, |scratch| {
        let mut rest = scratch.as_chunks_mut().0;
        f(room.map(|places| rest.split_off_mut(..places).expect("as long as all parts")));
    });
}

vectorised! {
/// Adds the sums, which begin again at 0, to the totals.
pub(super) fn flush<'a>(sums: &'a mut [Lanes], totals: &'a mut [[f64; LANES]]) {
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
pub(super) fn correlate<'a>(
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
pub(super) fn add_dots<'a>(
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
pub(super) fn apply_epilogue<'a>(sums: &'a mut [Lanes], norm: Option<[Lanes; 4]>, addend: Option<&'a [Lanes]>, relu: bool) {
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
