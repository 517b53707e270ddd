//! The vectors of a unit, which is one plane or several small ones that share vectors, and their sums.

use super::{Block, SUMS, Same};
use crate::matmul::LANES;
use crate::prefetch::{to_read, to_write};
use pulp::Simd;
use std::ops::Range;

/// Taps whose sums are kept in registers at once. What is left is summed `FEW_TAPS` at a time, then one by one.
const TAPS: usize = 9;
const FEW_TAPS: usize = 3;
/// The longest unit that is prefetched, in elements: of longer ones the processor prefetches by itself.
const AHEAD: usize = 256;

/// How planes are laid out in vectors of `S`.
pub(super) struct Units<'a, S: Simd> {
    same: &'a Same,
    /// The distance from one vector to the next, in elements.
    apart: usize,
    /// The lanes that read inside of their plane, by vector (one if all vectors have the same), then by tap.
    masks: Vec<S::m32s>,
}

impl<'a, S: Simd> Units<'a, S> {
    #[inline(always)]
    pub fn new(simd: S, same: &'a Same) -> Self {
        let apart = same.of_vector.map_or(S::F32_LANES, |planes| planes * same.plane());
        let (taps, inside) = (same.taps.len(), S::as_simd_u32s(&same.inside).0);
        let vectors = inside.len() / taps;
        let mut masks = Vec::with_capacity(inside.len());
        for vector in 0..vectors {
            let lanes = (0..taps).map(|tap| inside[tap * vectors + vector]);
            masks.extend(lanes.map(|lanes| simd.greater_than_u32s(lanes, simd.splat_u32s(0))));
        }
        Self { same, apart, masks }
    }

    /// The number of vectors of a unit that have different channels, so that each needs weights of its own.
    pub fn sets(&self) -> usize {
        if self.same.of_vector.is_some() { self.same.vectors } else { 1 }
    }

    /// `number(row, channel)` as lanes, for all channels of a block: by unit, then by set, then by row.
    pub fn numbers(&self, block: &Block, rows: usize, number: impl Fn(usize, usize) -> f32) -> Vec<[f32; LANES]> {
        let mut numbers = Vec::with_capacity((block.channels.len() + self.same.planes) * rows);
        let of_set = self.same.of_vector.unwrap_or(1);
        let width = if self.same.of_vector.is_some() { self.same.plane() } else { LANES };
        for unit in block.channels.clone().step_by(self.same.planes) {
            for first in (0..self.sets()).map(|set| unit + set * of_set) {
                for row in 0..rows {
                    let mut lanes = [0.0; LANES];
                    let channels = first..block.channels.end.min(first + of_set);
                    lanes.chunks_exact_mut(width).zip(channels).for_each(|(lanes, c)| lanes.fill(number(row, c)));
                    numbers.push(lanes);
                }
            }
        }
        numbers
    }

    /// What the vectors of the unit at `channel` read: its planes, and a margin before and after them. At the ends of
    /// the array the margin does not exist, so the planes are copied with zeros around them.
    #[inline(always)]
    pub fn window<'b>(&self, all: &'b [f32], channel: usize, copy: &'b mut Vec<f32>) -> &'b [f32] {
        let (start, margin) = (channel * self.same.plane(), self.same.margin);
        let end = start + (self.same.vectors - 1) * self.apart + S::F32_LANES + margin;
        if start >= margin && end <= all.len() {
            return &all[start - margin..end];
        }
        copy.clear();
        copy.resize(end + margin - start, 0.0);
        let (from, until) = (start.saturating_sub(margin), end.min(all.len()));
        copy[from + margin - start..until + margin - start].copy_from_slice(&all[from..until]);
        copy
    }

    /// Prefetches what the unit at `channel` reads and writes in the next image.
    #[inline(always)]
    pub fn prefetch(&self, channel: usize, read: &[f32], write: Option<&[f32]>) {
        let (plane, len) = (self.same.plane(), self.same.planes * self.same.plane());
        if len > AHEAD {
            return;
        }
        if let Some(next) = read.get((channel + self.same.channels) * plane..).and_then(|next| next.get(..len)) {
            to_read(next);
        }
        if let Some(write) = write {
            to_write(write.as_ptr().wrapping_add(self.same.channels * plane), len);
        }
    }

    /// Sums N vectors of outputs, which are adjacent if N > 1, beginning with vector `vector`. `numbers` has the
    /// weights and then the bias: of each vector, `rows` apart, if `OWN`; otherwise the same for all.
    #[inline(always)]
    fn outputs<const N: usize, const OWN: bool>(
        &self,
        simd: S,
        vector: usize,
        window: &[f32],
        numbers: &[[f32; LANES]],
        rows: usize,
    ) -> [S::f32s; N] {
        let taps = self.same.taps.len();
        let masks = if OWN { &self.masks[..taps] } else { &self.masks[vector * taps..][..N * taps] };
        let numbers = &numbers[..if OWN { (N - 1) * rows + taps + 1 } else { taps + 1 }];
        let number = |i: usize, row: usize| if OWN { &numbers[i * rows + row] } else { &numbers[row] };
        let at = vector * self.apart;
        assert!(at + 2 * self.same.margin + N * S::F32_LANES <= window.len());
        let mut sums = std::array::from_fn(|i| S::as_simd_f32s(number(i, taps)).0[0]);
        for (tap, offset) in self.same.offsets.iter().enumerate() {
            for (i, sum) in sums.iter_mut().enumerate() {
                // SAFETY: offsets are at most twice the margin, and numbers, masks and window were cut or checked.
                unsafe {
                    let x = load::<S>(window.as_ptr().add(at + offset + i * S::F32_LANES));
                    let weight = numbers.as_ptr().add(if OWN { i * rows + tap } else { tap });
                    let mask = *masks.as_ptr().add(if OWN { tap } else { i * taps + tap });
                    *sum = simd.select_f32s(mask, simd.mul_add_e_f32s(load::<S>(weight.cast()), x, *sum), *sum);
                }
            }
        }
        sums
    }

    /// Writes all outputs of a unit. `then(place, numbers after the weights, sum)` applies what follows the
    /// convolution.
    #[inline(always)]
    pub fn correlate(
        &self,
        simd: S,
        window: &[f32],
        numbers: &[[f32; LANES]],
        out: &mut [f32],
        then: impl Fn(usize, &[[f32; LANES]], S::f32s) -> S::f32s,
    ) {
        if self.same.of_vector.is_some() {
            self.correlate_with::<true>(simd, window, numbers, out, then);
        } else {
            self.correlate_with::<false>(simd, window, numbers, out, then);
        }
    }

    /// `OWN`: each vector has numbers of its own.
    #[inline(always)]
    fn correlate_with<const OWN: bool>(
        &self,
        simd: S,
        window: &[f32],
        numbers: &[[f32; LANES]],
        out: &mut [f32],
        then: impl Fn(usize, &[[f32; LANES]], S::f32s) -> S::f32s,
    ) {
        let taps = self.same.taps.len();
        let rows = if OWN { numbers.len() / self.same.vectors } else { 0 };
        let of = |vector: usize| &numbers[vector * rows..];
        let vectors = out.len().div_ceil(self.apart);
        let mut put = |first: usize, sums: &[S::f32s]| {
            for (i, &sum) in sums.iter().enumerate() {
                let at = (first + i) * self.apart;
                let sum = then(at, &of(first + i)[taps..], sum);
                let out = &mut out[at..];
                if self.apart == S::F32_LANES && out.len() >= S::F32_LANES {
                    S::as_mut_simd_f32s(out).0[0] = sum;
                } else {
                    let len = self.apart.min(out.len());
                    simd.partial_store_f32s(&mut out[..len], sum);
                }
            }
        };
        let mut vector = 0;
        while self.apart == S::F32_LANES && vector + SUMS <= vectors {
            put(vector, &self.outputs::<SUMS, OWN>(simd, vector, window, of(vector), rows));
            vector += SUMS;
        }
        while vector < vectors {
            put(vector, &self.outputs::<1, OWN>(simd, vector, window, of(vector), rows));
            vector += 1;
        }
    }

    /// sums[tap] += the sum over a unit's outputs of their gradient * what the tap reads, by set.
    #[inline(always)]
    pub fn add_dots(&self, simd: S, [grad, window]: [&[f32]; 2], sums: &mut [S::f32s]) {
        let (of_set, taps) = (sums.len() / self.sets(), self.same.taps.len());
        for (set, sums) in sums.chunks_exact_mut(of_set).enumerate() {
            let vectors = if self.same.of_vector.is_some() { set..set + 1 } else { 0..self.same.vectors };
            let mut tap = 0;
            while tap + TAPS <= taps {
                self.add_dots_of::<TAPS>(simd, vectors.clone(), tap, [grad, window], sums);
                tap += TAPS;
            }
            while tap + FEW_TAPS <= taps {
                self.add_dots_of::<FEW_TAPS>(simd, vectors.clone(), tap, [grad, window], sums);
                tap += FEW_TAPS;
            }
            while tap < taps {
                self.add_dots_of::<1>(simd, vectors.clone(), tap, [grad, window], sums);
                tap += 1;
            }
        }
    }

    /// Adds to the sums of the N taps from `first` on, over `vectors`.
    #[inline(always)]
    fn add_dots_of<const N: usize>(
        &self,
        simd: S,
        vectors: Range<usize>,
        first: usize,
        [grad, window]: [&[f32]; 2],
        sums: &mut [S::f32s],
    ) {
        let sums = &mut sums[first..][..N];
        let offsets: &[usize; N] = self.same.offsets[first..].first_chunk().expect("N taps");
        let mut block: [S::f32s; N] = std::array::from_fn(|i| sums[i]);
        let (taps, margin) = (self.same.taps.len(), self.same.margin);
        let end = (vectors.end - 1) * self.apart + 2 * margin + S::F32_LANES;
        assert!(!vectors.is_empty() && end <= window.len() && end <= grad.len());
        for vector in vectors {
            let at = vector * self.apart;
            let masks =
                if self.same.of_vector.is_some() { &self.masks[first..] } else { &self.masks[vector * taps + first..] };
            let masks: &[S::m32s; N] = masks.first_chunk().expect("N taps");
            // SAFETY: offsets are at most twice the margin, and both windows were checked.
            unsafe {
                let grad = load::<S>(grad.as_ptr().add(margin + at));
                for i in 0..N {
                    let x = load::<S>(window.as_ptr().add(offsets[i] + at));
                    block[i] = simd.select_f32s(masks[i], simd.mul_add_e_f32s(grad, x, block[i]), block[i]);
                }
            }
        }
        sums.copy_from_slice(&block);
    }
}

/// # Safety
/// A whole vector must be readable at `from`.
#[inline(always)]
unsafe fn load<S: Simd>(from: *const f32) -> S::f32s {
    // SAFETY: as promised by the caller.
    unsafe { from.cast::<S::f32s>().read_unaligned() }
}
