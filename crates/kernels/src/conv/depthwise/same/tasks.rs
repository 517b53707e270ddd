//! The two kinds of tasks: the outputs of a block, and its gradients.

use super::units::Units;
use super::{Block, RUN, Same};
use crate::conv::Epilogue;
use crate::matmul::LANES;
use crate::normalized::normalize_elements;
use ndarray::ArrayViewMut2;
use pulp::{Simd, WithSimd};

/// The outputs of a block.
pub(super) struct Forward<'a, 'b> {
    pub same: &'a Same,
    pub block: &'a Block,
    pub x: &'a [f32],
    pub weight: &'a [f32],
    pub bias: Option<&'a [f32]>,
    pub epilogue: Epilogue<'a>,
    pub out: &'a mut ArrayViewMut2<'b, f32>,
}

impl WithSimd for Forward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { same, block, x, weight, bias, epilogue, out } = self;
        let (units, taps, plane) = (Units::new(simd, same), same.taps.len(), same.plane());
        let rows = taps + 1 + if epilogue.norm.is_some() { 4 } else { 0 };
        let numbers = units.numbers(block, rows, |row, channel| match row.checked_sub(taps) {
            None => weight[channel * taps + row],
            Some(0) => bias.map_or(0.0, |bias| bias[channel]),
            Some(i) => epilogue.norm.map_or(0.0, |norm| norm.row(channel)[i - 1]),
        });
        let mut copy = Vec::new();
        for (n, mut out) in block.images.clone().zip(out.rows_mut()) {
            let out = out.as_slice_mut().expect("a row is contiguous");
            let outs = out.chunks_mut(same.planes * plane);
            for (i, (out, numbers)) in outs.zip(numbers.chunks_exact(units.sets() * rows)).enumerate() {
                let channel = n * same.channels + block.channels.start + i * same.planes;
                let window = units.window(x, channel, &mut copy);
                units.prefetch(channel, x, Some(out));
                let addend = epilogue.addend.map(|addend| &addend[channel * plane..][..out.len()]);
                if epilogue.is_none() {
                    units.correlate(simd, window, numbers, out, |_, _, sum| sum);
                    continue;
                }
                units.correlate(simd, window, numbers, out, |at, numbers, sum| {
                    let mut y = sum;
                    if epilogue.norm.is_some() {
                        y = normalize_elements(simd, y, [1, 2, 3, 4].map(|i| S::as_simd_f32s(&numbers[i]).0[0]));
                    }
                    if let Some(addend) = addend {
                        let end = addend.len().min(at + S::F32_LANES);
                        y = simd.add_f32s(y, simd.partial_load_f32s(&addend[at..end]));
                    }
                    if epilogue.relu {
                        let zero = simd.splat_f32s(0.0);
                        y = simd.select_f32s(simd.less_than_or_equal_f32s(y, zero), zero, y);
                    }
                    y
                });
            }
        }
    }
}

/// The gradients of a block.
pub(super) struct Backward<'a, 'b> {
    pub same: &'a Same,
    pub block: &'a Block,
    pub grad: &'a [f32],
    pub x: &'a [f32],
    pub weight: &'a [f32],
    pub grad_x: Option<&'a mut ArrayViewMut2<'b, f32>>,
    pub sums: Option<&'a mut [f64]>,
}

impl WithSimd for Backward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { same, block, grad, x, weight, mut grad_x, sums } = self;
        let (units, taps, plane) = (Units::new(simd, same), same.taps.len(), same.plane());
        let rows = taps + 1;
        // The kernel turned by 180 degrees, with a bias of 0: the gradient of x is a convolution of the output's
        // gradient.
        let weights = units.numbers(block, rows, |row, channel| match taps.checked_sub(1 + row) {
            Some(tap) => weight[channel * taps + tap],
            None => 0.0,
        });
        let len = if sums.is_some() { weights.len() } else { 0 };
        let (mut runs, mut totals) = (vec![simd.splat_f32s(0.0); len], vec![[0.0f64; LANES]; len]);
        let of_unit = units.sets() * rows;
        let [mut copy_of_x, mut copy_of_grad] = [Vec::new(), Vec::new()];
        let mut summed = 0;
        for (at, n) in block.images.clone().enumerate() {
            for (i, first) in block.channels.clone().step_by(same.planes).enumerate() {
                let (channel, planes) = (n * same.channels + first, same.planes.min(block.channels.end - first));
                let of_grad = units.window(grad, channel, &mut copy_of_grad);
                if let Some(grad_x) = &mut grad_x {
                    let mut row = grad_x.row_mut(at);
                    let row = row.as_slice_mut().expect("a row is contiguous");
                    let into = &mut row[i * same.planes * plane..][..planes * plane];
                    units.prefetch(channel, grad, Some(into));
                    units.correlate(simd, of_grad, &weights[i * of_unit..][..of_unit], into, |_, _, sum| sum);
                }
                if sums.is_none() {
                    continue;
                }
                let of_x = units.window(x, channel, &mut copy_of_x);
                units.prefetch(channel, x, None);
                units.add_dots(simd, [of_grad, of_x], &mut runs[i * of_unit..][..of_unit]);
            }
            let of_image = same.vectors / units.sets();
            summed += of_image;
            if summed + of_image > RUN {
                flush(simd, &mut runs, &mut totals);
                summed = 0;
            }
        }
        flush(simd, &mut runs, &mut totals);
        // How many planes share a vector, and how many lanes each of them has.
        let (of_set, lanes) = same.of_vector.map_or((1, LANES), |planes| (planes, plane));
        for (channel, sums) in sums.into_iter().flat_map(|sums| sums.chunks_exact_mut(taps)).enumerate() {
            let place = channel % of_set * lanes;
            for (sum, total) in sums.iter_mut().zip(&totals[channel / of_set * rows..]) {
                let (fours, rest) = total[place..][..lanes].as_chunks::<4>();
                let some = fours.iter().fold([0.0; 4], |sums, four| std::array::from_fn(|i| sums[i] + four[i]));
                *sum = (some[0] + some[1]) + (some[2] + some[3]) + rest.iter().sum::<f64>();
            }
        }
    }
}

/// Adds the sums to the totals in double precision, then sets the sums to 0.
#[inline(always)]
fn flush<S: Simd>(simd: S, sums: &mut [S::f32s], totals: &mut [[f64; LANES]]) {
    for (sum, total) in sums.iter_mut().zip(totals) {
        let mut lanes = [0.0; LANES];
        S::as_mut_simd_f32s(&mut lanes).0[0] = *sum;
        total.iter_mut().zip(lanes).for_each(|(total, lane)| *total += f64::from(lane));
        *sum = simd.splat_f32s(0.0);
    }
}
