//! The sums of sixteen planes side by side: over taps for the outputs, over outputs for the gradient of the weight.

use super::lanes::Lanes;
use super::planes::{Band, Planes, Read, Run, TOGETHER};
use crate::matmul::LANES;
use pulp::{Simd, WithSimd};

/// Outputs whose sums are kept in registers at once: one sum alone would wait for each of its multiply-adds.
const SUMS: usize = 4;

/// The outputs of a band: bias + the sum over taps of weights[tap] * the place of the grid that the tap reads.
pub(super) struct Correlation<'a> {
    pub planes: &'a Planes,
    pub band: &'a Band,
    pub grid: &'a [Lanes],
    pub weights: &'a [Lanes],
    pub bias: &'a Lanes,
    pub sums: &'a mut [Lanes],
}

impl WithSimd for Correlation<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.planes.down[1] {
            1 => self.by::<S, 1>(simd),
            2 => self.by::<S, 2>(simd),
            _ => self.by::<S, 0>(simd),
        }
    }
}

impl Correlation<'_> {
    /// `STEP` is the stride as a constant, or 0 if it is known only at run time.
    #[inline(always)]
    fn by<S: Simd, const STEP: usize>(self, simd: S) {
        let Self { planes, band, grid, weights, bias, sums } = self;
        let step = if STEP > 0 { STEP } else { planes.down[1] };
        let [grid, weights, bias] = [grid, weights, std::slice::from_ref(bias)].map(vectors::<S>);
        let (sums, _) = S::as_mut_simd_f32s(sums.as_flattened_mut());
        let (each, pitch, columns) = (LANES / S::F32_LANES, planes.pitch, planes.kernel[1]);
        for (y, sums) in sums.chunks_exact_mut(planes.out[1] * each).enumerate() {
            for run in &planes.runs {
                for part in 0..each {
                    let rows = planes.rows[band.rows.start + y].iter().map(|row| {
                        let grid = &grid[(row.at - band.grid.start) * pitch * each + part..];
                        (grid, &weights[row.tap * columns * each + part..])
                    });
                    let (mut done, sums) = (0, &mut sums[part..]);
                    while done + SUMS <= run.count {
                        put_sums::<S, SUMS>(simd, rows.clone(), run, done, step, bias[part], sums);
                        done += SUMS;
                    }
                    if done + 2 <= run.count {
                        put_sums::<S, 2>(simd, rows.clone(), run, done, step, bias[part], sums);
                        done += 2;
                    }
                    if done < run.count {
                        put_sums::<S, 1>(simd, rows, run, done, step, bias[part], sums);
                    }
                }
            }
        }
    }
}

/// Places as vectors: a place has one vector or, if vectors are shorter than sixteen lanes, several.
#[inline(always)]
fn vectors<S: Simd>(lanes: &[Lanes]) -> &[S::f32s] {
    S::as_simd_f32s(lanes.as_flattened()).0
}

/// Computes N outputs of a run. `rows` has rows of the grid, each with the row of the weight that multiplies it.
#[inline(always)]
fn put_sums<'a, S: Simd, const N: usize>(
    simd: S,
    rows: impl Iterator<Item = (&'a [S::f32s], &'a [S::f32s])>,
    run: &Run,
    done: usize,
    step: usize,
    bias: S::f32s,
    into: &mut [S::f32s],
) {
    let each = LANES / S::F32_LANES;
    let mut sums = [bias; N];
    for (grid, weights) in rows {
        for reads in &run.reads {
            let (grid, weights) = (&grid[(reads.first.at + done * step) * each..], &weights[reads.first.tap * each..]);
            match reads.count {
                1 => add_products::<S, N, 1>(simd, grid, weights, reads.step, step, &mut sums),
                2 => add_products::<S, N, 2>(simd, grid, weights, reads.step, step, &mut sums),
                _ => add_products::<S, N, TOGETHER>(simd, grid, weights, reads.step, step, &mut sums),
            }
        }
    }
    for (i, sum) in sums.into_iter().enumerate() {
        into[(run.first + (done + i) * run.step) * each] = sum;
    }
}

/// Adds the products of K taps, which read adjacent places, to the sums of N outputs.
#[inline(always)]
fn add_products<S: Simd, const N: usize, const K: usize>(
    simd: S,
    grid: &[S::f32s],
    weights: &[S::f32s],
    apart: usize,
    step: usize,
    sums: &mut [S::f32s; N],
) {
    let each = LANES / S::F32_LANES;
    let grid = &grid[..((N - 1) * step + K - 1) * each + 1];
    for k in 0..K {
        let w = weights[k * apart * each];
        for i in 0..N {
            sums[i] = simd.mul_add_e_f32s(w, grid[(i * step + k) * each], sums[i]);
        }
    }
}

/// sums[tap] += the sum over outputs of grads[y][x] * the place that the tap reads for this output. `grads` has rows of
/// `width` outputs; `grid` begins where the first of them reads.
pub(super) struct Dots<'a> {
    pub planes: &'a Planes,
    pub grads: &'a [Lanes],
    pub grid: &'a [Lanes],
    pub width: usize,
    pub sums: &'a mut [Lanes],
}

impl WithSimd for Dots<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.planes.down[1] {
            1 => self.by::<S, 1>(simd),
            2 => self.by::<S, 2>(simd),
            _ => self.by::<S, 0>(simd),
        }
    }
}

impl Dots<'_> {
    /// `STEP` is the stride as a constant, or 0 if it is known only at run time.
    #[inline(always)]
    fn by<S: Simd, const STEP: usize>(mut self, simd: S) {
        let step = if STEP > 0 { STEP } else { self.planes.down[1] };
        let (some, rest) = self.planes.rows[0].as_chunks::<TOGETHER>();
        for rows in some {
            self.add_rows(simd, rows, step);
        }
        for row in rest.as_chunks::<1>().0 {
            self.add_rows(simd, row, step);
        }
    }

    /// Adds to the sums of R rows of the kernel.
    #[inline(always)]
    fn add_rows<S: Simd, const R: usize>(&mut self, simd: S, rows: &[Read; R], step: usize) {
        for reads in &self.planes.runs[0].reads {
            match reads.count {
                1 => self.add::<S, R, 1>(simd, rows, reads.first, step),
                2 => self.add::<S, R, 2>(simd, rows, reads.first, step),
                _ => self.add::<S, R, TOGETHER>(simd, rows, reads.first, step),
            }
        }
    }

    /// Adds to the sums of K adjacent columns of these rows, in registers.
    #[inline(always)]
    fn add<S: Simd, const R: usize, const K: usize>(&mut self, simd: S, rows: &[Read; R], first: Read, step: usize) {
        let (planes, each) = (self.planes, LANES / S::F32_LANES);
        let [grads, grid] = [self.grads, self.grid].map(vectors::<S>);
        let (sums, _) = S::as_mut_simd_f32s(self.sums.as_flattened_mut());
        for part in 0..each {
            let at = |row: Read, k: usize| (row.tap * planes.kernel[1] + first.tap + k) * each + part;
            let mut block = rows.map(|row| std::array::from_fn::<_, K, _>(|k| sums[at(row, k)]));
            for (y, grads) in grads.chunks_exact(self.width * each).enumerate() {
                let from = rows.map(|row| (y * planes.down[0] + row.at) * planes.pitch + first.at);
                let len = ((self.width - 1) * step + K) * each;
                let read = from.map(|from| &grid[from * each..][..len]);
                for x in 0..self.width {
                    let grad = grads[x * each + part];
                    for r in 0..R {
                        let x = &read[r][x * step * each + part..][..(K - 1) * each + 1];
                        for k in 0..K {
                            block[r][k] = simd.mul_add_e_f32s(grad, x[k * each], block[r][k]);
                        }
                    }
                }
            }
            for r in 0..R {
                for k in 0..K {
                    sums[at(rows[r], k)] = block[r][k];
                }
            }
        }
    }
}
