//! How a product is cut: which factor is packed, in which blocks, and what the threads share.

use super::chain;
use super::micro;
use super::pack::{self, Pack};
use super::piece::Piece;
use super::place::{Source, Target};
use crate::parallel;
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

/// Steps over k that are packed in one go at least: whole cache lines of a factor that is turned.
const CUT: usize = 64;

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
    pub const fn rows<S: Simd>(&self) -> usize {
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
                    self.pack_together(simd, first..last, steps.clone(), packed, threads);
                    parallel::for_each_chunk(0..tiles, threads * PIECES, |tiles| {
                        let (steps, packed) = (steps.clone(), packed.add(0));
                        simd.vectorize(Piece { product: self, panels: first..last, tiles, steps, packed, next: None });
                    });
                }
            }
        });
    }

    /// A block, each thread a part of it: some panels, or, where those are few, some steps of one after the other.
    fn pack_together<S: Simd>(
        &self,
        simd: S,
        panels: Range<usize>,
        steps: Range<usize>,
        packed: Shared,
        threads: usize,
    ) {
        let cuts = threads.div_ceil(panels.len()).min(steps.len().div_ceil(CUT)).max(1);
        let length = steps.len().div_ceil(cuts).next_multiple_of(CUT);
        parallel::for_each_chunk(0..panels.len() * cuts, threads, |parts| {
            for part in parts {
                let (panel, cut) = (panels.start + part / cuts, part % cuts * length);
                let part = (steps.start + cut).min(steps.end)..steps.end.min(steps.start + cut + length);
                let (inside, width) = (panel - panels.start, self.panel_width::<S>(panel));
                let to = packed.add(inside * self::width::<S>() * steps.len() + cut * width);
                self.pack(simd, panel..panel + 1, part, to);
            }
        });
    }

    /// The columns of a panel, filled up to whole vectors.
    fn panel_width<S: Simd>(&self, panel: usize) -> usize {
        (self.n - panel * width::<S>()).min(width::<S>()).next_multiple_of(S::F32_LANES)
    }

    /// Each thread packs its own columns and goes down all rows.
    fn by_columns<S: Simd>(&self, simd: S, depth: usize, fit: usize) {
        let panels = self.n.div_ceil(width::<S>());
        let tiles = self.m.div_ceil(self.rows::<S>());
        parallel::for_each_chunk(0..panels.div_ceil(fit), usize::MAX, |part| {
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
pub(super) const fn width<S: Simd>() -> usize {
    micro::vectors::<S>() * S::F32_LANES
}
