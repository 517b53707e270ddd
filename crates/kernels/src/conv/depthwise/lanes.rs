//! Sixteen planes side by side, one in each lane: tables of per-channel numbers, scratch memory, element-wise loops.

use crate::matmul::{LANES, with_scratch};
use crate::normalized::normalize_element;
use crate::relu;
use crate::vectorised::vectorised;

/// The same element of sixteen planes, one plane a lane.
pub(super) type Lanes = [f32; LANES];

/// Rows with one number for each channel. Each row repeats its first numbers after the last one, so that the numbers of
/// sixteen adjacent planes are adjacent even where a new image begins among them.
pub(super) struct Table {
    numbers: Vec<f32>,
    channels: usize,
}

/// The columns of a `Table` that belong to sixteen adjacent planes.
#[derive(Clone, Copy)]
pub(super) struct Columns<'a> {
    numbers: &'a [f32],
    width: usize,
}

impl Table {
    pub fn new(rows: usize, channels: usize, number: impl Fn(usize, usize) -> f32) -> Self {
        let row = |row: usize| (0..channels).cycle().take(channels + LANES).map(move |channel| (row, channel));
        let numbers = (0..rows).flat_map(row).map(|(row, channel)| number(row, channel)).collect();
        Self { numbers, channels }
    }

    /// The columns of sixteen planes, the first of which is number `plane` of all images' planes.
    pub fn from(&self, plane: usize) -> Columns<'_> {
        Columns { numbers: &self.numbers[plane % self.channels..], width: self.channels + LANES }
    }
}

impl Columns<'_> {
    #[inline(always)]
    pub fn row(&self, row: usize) -> &Lanes {
        self.numbers[row * self.width..].first_chunk().expect("a row is that much longer")
    }

    /// Copies all rows, so that the inner loops read adjacent memory.
    pub fn copy(&self, to: &mut [Lanes]) {
        to.iter_mut().enumerate().for_each(|(row, to)| *to = *self.row(row));
    }
}

/// Calls `f` with scratch memory, one part of each length in `room`. The parts aren't initialized: they contain what an
/// earlier call left there.
pub(super) fn with_lanes<const N: usize>(room: [usize; N], f: impl FnOnce([&mut [Lanes]; N])) {
    with_scratch(room.iter().sum::<usize>() * LANES, |scratch| {
        let mut rest = scratch.as_chunks_mut().0;
        f(room.map(|places| rest.split_off_mut(..places).expect("as long as all parts")));
    });
}

vectorised! {
/// Adds the sums to the totals in double precision, then sets the sums to 0.
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
/// Copies adjacent rows to rows that begin `pitch` places from each other.
pub(super) fn put_rows<'a>(from: &'a [Lanes], width: usize, to: &'a mut [Lanes], pitch: usize) {
    for (from, to) in from.chunks_exact(width).zip(to.chunks_mut(pitch)) {
        to[..width].iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    }
}
}

vectorised! {
/// Applies what follows the convolution: `norm` (mean, 1 / standard deviation, weight, bias), the sum, ReLU.
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
