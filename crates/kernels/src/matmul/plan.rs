//! How a product is cut: which factor is packed, in which blocks, and what the threads share.

use super::chain;
use super::micro::{self, Ahead, LINE, TALL, Tile, TileBias, VECTORS};
use super::pack::{self, Pack};
use super::transpose::{self, SIDE};
use crate::parallel;
use ndarray::{ArrayView2, ArrayViewMut2};
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// The most steps over k in one go: more would push the packed block out of the second cache.
const DEPTH: usize = 2048;
/// The numbers of a packed block: half of a second cache of 2 MB.
const BLOCK: usize = 1 << 18;
/// Below this many multiplications a product is not worth a second thread.
const PARALLEL_FROM: usize = 1 << 19;
/// Pieces a thread, so that a thread which is held up leaves the others something to take.
const PIECES: usize = 4;
/// Rows whose sums are turned together: they fill whole cache lines of the output, which are fetched once.
const GROUP: usize = 48;
/// The widest panel, in elements, of any vector unit.
const WIDEST: usize = VECTORS * 16;

/// A factor where it lies: its first element, and the distance to the next row and to the next column.
#[derive(Clone, Copy)]
pub(super) struct Source {
    start: *const f32,
    pub row: isize,
    pub column: isize,
}

impl Source {
    #[inline(always)]
    pub fn at(&self, row: usize, column: usize) -> *const f32 {
        self.start.wrapping_offset(row as isize * self.row + column as isize * self.column)
    }

    fn turned(self) -> Self {
        Self { row: self.column, column: self.row, ..self }
    }
}

impl From<&ArrayView2<'_, f32>> for Source {
    fn from(view: &ArrayView2<f32>) -> Self {
        Self { start: view.as_ptr(), row: view.strides()[0], column: view.strides()[1] }
    }
}

/// Where the product goes.
#[derive(Clone, Copy)]
pub(super) struct Target(Source);

impl From<&mut ArrayViewMut2<'_, f32>> for Target {
    fn from(view: &mut ArrayViewMut2<f32>) -> Self {
        let start = view.as_mut_ptr();
        Self(Source { start, row: view.strides()[0], column: view.strides()[1] })
    }
}

impl Target {
    #[inline(always)]
    fn at(&self, row: usize, column: usize) -> *mut f32 {
        self.0.at(row, column).cast_mut()
    }
}

/// What is added to the product at the end.
#[derive(Clone, Copy)]
pub(super) enum Bias<'a> {
    None,
    Rows(&'a [f32]),
    Columns(&'a [f32]),
}

/// out[m, n] = finish(a[m, k] b[k, n]).
#[derive(Clone, Copy)]
pub(super) struct Product<'a> {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub a: Source,
    pub b: Source,
    pub out: Target,
    pub bias: Bias<'a>,
    pub relu: bool,
}

// SAFETY: the threads read the factors, which are borrowed for the whole call, and write parts of `out` that do not
// overlap.
unsafe impl Sync for Product<'_> {}

/// Memory that the threads fill, each its own part.
#[derive(Clone, Copy)]
struct Shared(*mut f32);

// SAFETY: each part is written by one thread, and read by others only after all have been written.
unsafe impl Sync for Shared {}

impl Shared {
    fn add(&self, offset: usize) -> *mut f32 {
        self.0.wrapping_add(offset)
    }
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (turned, lanes) = (self.turned(), S::F32_LANES);
        if turned.cost(lanes) < self.cost(lanes) { turned.run(simd) } else { self.run(simd) }
    }
}

impl Product<'_> {
    /// The same product read across its diagonal: out^T = b^T a^T. The factor that was packed is read in place.
    fn turned(self) -> Self {
        let bias = match self.bias {
            Bias::None => Bias::None,
            Bias::Rows(bias) => Bias::Columns(bias),
            Bias::Columns(bias) => Bias::Rows(bias),
        };
        let (a, b, out) = (self.b.turned(), self.a.turned(), Target(self.out.0.turned()));
        Self { m: self.n, n: self.m, a, b, out, bias, ..self }
    }

    /// About how many cycles it takes to multiply, to read a across its rows, to pack b, and to write out.
    fn cost(&self, lanes: usize) -> usize {
        let multiply = self.m * self.n.div_ceil(lanes) * self.k / 2;
        let pack = self.n * self.k / if self.b.column == 1 { 10 } else { 2 };
        let write = self.m * self.n / if self.out.0.column == 1 { lanes } else { 2 };
        let read = if self.a.column == 1 { 0 } else { self.m * self.k };
        multiply + read + pack + write
    }

    fn run<S: Simd>(&self, simd: S) {
        let width = width::<S>();
        let (panels, tiles) = (self.n.div_ceil(width), self.m.div_ceil(self.rows::<S>()));
        let threads = if self.m * self.n * self.k < PARALLEL_FROM { 1 } else { parallel::threads() };
        if tiles < 8 * threads.max(2) && panels >= threads {
            let depth = chain::length(self.k);
            let fit = BLOCK / 2 / (depth * width);
            self.by_columns(simd, depth, fit.min(panels.div_ceil(PIECES / 2 * threads)).max(1));
        } else {
            let blocks = self.k.div_ceil(DEPTH).max(1);
            // Whole chains, so that the bits do not depend on the blocks.
            let depth = self.k.div_ceil(blocks).next_multiple_of(chain::length(self.k));
            // No more than `Piece::rows` copies where a is read across its rows.
            let depth = if self.a.column == 1 { depth } else { chain::length(self.k) }.clamp(1, self.k.max(1));
            self.by_rows(simd, depth, (BLOCK / (depth * width)).max(1), threads);
        }
    }

    /// The rows of a full tile.
    const fn rows<S: Simd>(&self) -> usize {
        micro::rows::<S>(self.n)
    }

    /// The threads pack a block together, then share its rows.
    fn by_rows<S: Simd>(&self, simd: S, depth: usize, fit: usize, threads: usize) {
        let (panels, tiles) = (self.n.div_ceil(width::<S>()), self.m.div_ceil(self.rows::<S>()));
        pack::with_scratch(depth * width::<S>() * fit.min(panels), |packed| {
            let packed = Shared(packed);
            for first in (0..panels).step_by(fit) {
                let last = panels.min(first + fit);
                for steps in self.blocks(depth) {
                    parallel::pieces(first..last, threads, |part| {
                        let to = packed.add((part.start - first) * width::<S>() * steps.len());
                        self.pack(simd, part, steps.clone(), to);
                    });
                    parallel::pieces(0..tiles, threads * PIECES, |tiles| {
                        let (steps, packed) = (steps.clone(), packed.add(0));
                        simd.vectorize(Piece { product: self, panels: first..last, tiles, steps, packed, next: None });
                    });
                }
            }
        });
    }

    /// Each thread packs its own columns and goes down all rows.
    fn by_columns<S: Simd>(&self, simd: S, depth: usize, fit: usize) {
        let panels = self.n.div_ceil(width::<S>());
        let tiles = self.m.div_ceil(self.rows::<S>());
        parallel::pieces(0..panels.div_ceil(fit), usize::MAX, |part| {
            let blocks = part.map(|block| block * fit..panels.min((block + 1) * fit));
            let mut blocks = blocks.flat_map(|panels| self.blocks(depth).map(move |steps| (panels.clone(), steps)));
            let mut next = blocks.next();
            pack::with_scratch(depth * width::<S>() * fit, |packed| {
                while let Some((panels, steps)) = next.take() {
                    next = blocks.next();
                    self.pack(simd, panels.clone(), steps.clone(), packed);
                    let next = next.clone();
                    simd.vectorize(Piece { product: self, panels, tiles: 0..tiles, steps, packed, next });
                }
            });
        });
    }

    /// k in steps of `depth`; one empty block where k is 0, so that the zeros are written.
    fn blocks(&self, depth: usize) -> impl Iterator<Item = Range<usize>> {
        let k = self.k;
        (0..k.max(1)).step_by(depth).map(move |start| start.min(k)..k.min(start + depth))
    }

    fn pack<S: Simd>(&self, simd: S, panels: Range<usize>, steps: Range<usize>, to: *mut f32) {
        let columns = panels.start * width::<S>()..self.n.min(panels.end * width::<S>());
        let from = Source { start: self.b.at(steps.start, columns.start), ..self.b };
        simd.vectorize(Pack { from, depth: steps.len(), columns: columns.len(), to });
    }
}

/// The columns of a full panel.
const fn width<S: Simd>() -> usize {
    micro::vectors::<S>() * S::F32_LANES
}

/// Some rows of a packed block.
struct Piece<'a, 'b> {
    product: &'a Product<'b>,
    panels: Range<usize>,
    tiles: Range<usize>,
    steps: Range<usize>,
    packed: *mut f32,
    /// The panels and steps of the block that this thread packs next.
    next: Option<(Range<usize>, Range<usize>)>,
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
