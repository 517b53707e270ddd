//! Some rows of a packed block, tile by tile, into the output.

use super::chain;
use super::micro::{self, Ahead, LINE, TALL, Tile, TileBias, VECTORS};
use super::place::{Source, Target};
use super::plan::{Bias, Product, width};
use super::transpose::{self, SIDE};
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// Rows whose sums are turned together: they fill whole cache lines of the output, which are fetched once.
const GROUP: usize = 48;
/// The widest panel, in elements, of any vector unit.
const WIDEST: usize = VECTORS * 16;

/// Some rows of a packed block.
pub(super) struct Piece<'a, 'b> {
    pub product: &'a Product<'b>,
    pub panels: Range<usize>,
    pub tiles: Range<usize>,
    pub steps: Range<usize>,
    pub packed: *mut f32,
    /// The panels and steps of the block that this thread packs next.
    pub next: Option<(Range<usize>, Range<usize>)>,
}

/// The sums of some tiles on their way to an output that can't take whole vectors, and a bias filled up to such.
#[repr(align(64))]
struct Staging([f32; GROUP * WIDEST], [f32; WIDEST]);

impl WithSimd for Piece<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let mut staging = Staging([0.0; GROUP * WIDEST], [0.0; WIDEST]);
        let mut copy = [0.0; TALL * chain::LONGEST];
        let tall = self.product.rows::<S>();
        let Product { m, n, out, .. } = *self.product;
        let group = if out.0.row == 1 && out.0.column != 1 { GROUP / tall } else { 1 };
        for first in self.tiles.clone().step_by(group) {
            let tiles = first..self.tiles.end.min(first + group);
            let copied = (group == 1).then(|| self.rows(first, tall, &mut copy));
            for panel in self.panels.clone() {
                let columns = panel * width::<S>()..n.min((panel + 1) * width::<S>());
                let direct = out.0.column == 1 && columns.len() % S::F32_LANES == 0;
                for tile in tiles.clone() {
                    let a = copied.unwrap_or_else(|| self.in_place(tile, tall));
                    let slot = if direct { None } else { Some(tile - first) };
                    self.tile(simd, a, tile, columns.clone(), slot, &mut staging);
                }
                if !direct {
                    let rows = first * tall..m.min(tiles.end * tall);
                    // SAFETY: the tiles' sums have just been staged, row after row.
                    unsafe { scatter::<S>(staging.0.as_ptr(), rows, columns, out) };
                }
            }
        }
    }
}

impl Piece<'_, '_> {
    /// The unpacked factor from a tile's first row on: where it lies, or, where its rows lie side by side and are read
    /// for many panels, a copy that does not spread over as many cache lines and pages as there are steps.
    #[inline(always)]
    fn rows(&self, tile: usize, tall: usize, copy: &mut [f32; TALL * chain::LONGEST]) -> Source {
        let Product { m, a, .. } = *self.product;
        let (first, steps, source) = (tile * tall, self.steps.clone(), self.in_place(tile, tall));
        if a.column == 1 || m - first < tall || steps.len() > chain::LONGEST || self.panels.len() < 2 {
            return source;
        }
        for (step, to) in copy.chunks_exact_mut(tall).take(steps.len()).enumerate() {
            for (i, to) in to.iter_mut().enumerate() {
                // SAFETY: the tile is a full one, and the step is one of the block's.
                *to = unsafe { *source.at(i, step) };
            }
        }
        Source { start: copy.as_ptr(), row: 1, column: tall as isize }
    }

    #[inline(always)]
    fn in_place(&self, tile: usize, tall: usize) -> Source {
        let a = self.product.a;
        Source { start: a.at(tile * tall, self.steps.start), ..a }
    }

    /// Computes a tile, into its slot of the staging area or right where it belongs.
    #[inline(always)]
    fn tile<S: Simd>(
        &self,
        simd: S,
        a: Source,
        tile: usize,
        columns: Range<usize>,
        slot: Option<usize>,
        staging: &mut Staging,
    ) {
        let Product { m, k, out, .. } = *self.product;
        let tall = self.product.rows::<S>();
        let rows = tile * tall..m.min((tile + 1) * tall);
        let vectors = columns.len().div_ceil(S::F32_LANES);
        let width = vectors * S::F32_LANES;
        let (carry, last) = (self.steps.start > 0, self.steps.end == k);
        let bias = match self.product.bias {
            _ if !last => TileBias::None,
            Bias::None => TileBias::None,
            Bias::Rows(bias) => TileBias::Rows(bias[rows.clone()].as_ptr()),
            Bias::Columns(bias) => {
                staging.1[..columns.len()].copy_from_slice(&bias[columns.clone()]);
                TileBias::Columns(staging.1.as_ptr())
            }
        };
        let (target, target_row) = match slot {
            None => (out.at(rows.start, columns.start), out.0.row),
            Some(slot) => (staging.0.as_mut_ptr().wrapping_add(slot * tall * width), width as isize),
        };
        let inputs = Tile {
            depth: self.steps.len(),
            chain: chain::length(k),
            a: a.start,
            a_row: a.row,
            a_step: a.column,
            b: self.packed.wrapping_add((columns.start - self.panels.start * self::width::<S>()) * self.steps.len()),
            out: target,
            out_row: target_row,
            carry,
            ahead: self.ahead::<S>(tile, columns.start / self::width::<S>()),
            bias,
            relu: self.product.relu && last,
        };
        // SAFETY: the tile lies inside the product or its slot, and its panel was packed to whole vectors.
        unsafe {
            if carry && slot.is_some() {
                for (i, j) in rows.clone().flat_map(|i| columns.clone().map(move |j| (i, j))) {
                    *target.add((i - rows.start) * width + j - columns.start) = *out.at(i, j);
                }
            }
            micro::compute(simd, rows.len(), vectors, inputs);
        }
    }

    /// What to fetch during a tile: the rows of the next tile, or, spread over the tiles of a block, the next block.
    #[inline(always)]
    fn ahead<S: Simd>(&self, tile: usize, panel: usize) -> Ahead {
        let Product { a, b, n, .. } = *self.product;
        let tall = self.product.rows::<S>();
        let panel_in = panel - self.panels.start;
        match &self.next {
            Some((panels, steps)) if b.column == 1 => {
                let columns = panels.start * width::<S>()..n.min(panels.end * width::<S>());
                let lines = columns.len().div_ceil(LINE);
                let times = self.steps.len().div_ceil(LINE);
                let all = times * self.tiles.len() * self.panels.len();
                // As few at a time as reach the end of the next block.
                let count = (1..lines).find(|count| lines.div_ceil(*count) * steps.len() <= all).unwrap_or(lines);
                let run = lines.div_ceil(count);
                let done = (tile * self.panels.len() + panel_in) * times;
                let start = b.at(steps.start + done / run, columns.start + done % run * count * LINE);
                let (stride, step) = (LINE as isize, (count * LINE) as isize);
                Ahead { start, stride, count, step, left: run - done % run, run, jump: b.row - run as isize * step }
            }
            _ => {
                let count = if a.column == 1 && panel_in == 0 { tall } else { 0 };
                let start = a.at((tile + 1) * tall, self.steps.start);
                let (stride, step) = (a.row, LINE as isize);
                Ahead { start, stride, count, step, left: usize::MAX, run: usize::MAX, jump: 0 }
            }
        }
    }
}

/// out[rows, columns] = sums.
///
/// # Safety
/// `sums` holds the rows, each of whole vectors, and the elements lie inside the product.
#[inline(always)]
unsafe fn scatter<S: Simd>(sums: *const f32, rows: Range<usize>, columns: Range<usize>, out: Target) {
    let width = columns.len().next_multiple_of(S::F32_LANES);
    let (down, across) = if out.0.row == 1 { (rows.len() / SIDE, columns.len() / SIDE) } else { (0, 0) };
    for j in (0..across).map(|block| block * SIDE) {
        for i in (0..down).map(|block| block * SIDE) {
            // SAFETY: as promised by the caller.
            unsafe {
                let to = out.at(rows.start + i, columns.start + j);
                transpose::block::<S>(sums.add(i * width + j), width as isize, to, out.0.column);
            }
        }
    }
    for j in 0..columns.len() {
        let done = if j < across * SIDE { down * SIDE } else { 0 };
        for i in done..rows.len() {
            // SAFETY: as promised by the caller.
            unsafe { *out.at(rows.start + i, columns.start + j) = *sums.add(i * width + j) };
        }
    }
}
