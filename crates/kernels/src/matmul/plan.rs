//! How a product is cut: which factor is packed, in which blocks, and what the threads share.

use super::micro::{self, CHAIN, ROWS, Tile, TileBias, VECTORS};
use super::pack::{self, Pack};
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

    /// About how many cycles it takes to multiply, to pack b, and to write out.
    fn cost(&self, lanes: usize) -> usize {
        let multiply = self.m * self.n.div_ceil(lanes) * self.k / 2;
        let pack = self.n * self.k / if self.b.column == 1 { 10 } else { 2 };
        let write = self.m * self.n / if self.out.0.column == 1 { lanes } else { 2 };
        multiply + pack + write
    }

    fn run<S: Simd>(&self, simd: S) {
        let width = micro::vectors::<S>() * S::F32_LANES;
        let (panels, tiles) = (self.n.div_ceil(width), self.m.div_ceil(ROWS));
        let threads = if self.m * self.n * self.k < PARALLEL_FROM { 1 } else { parallel::threads() };
        let blocks = self.k.div_ceil(DEPTH).max(1);
        // Whole chains, so that the bits do not depend on the blocks.
        let depth = self.k.div_ceil(blocks).next_multiple_of(CHAIN).clamp(1, self.k.max(1));
        let fit = (BLOCK / (depth * width)).max(1);
        if threads > 1 && tiles < 8 * threads && panels >= threads {
            self.by_columns(simd, depth, fit.min(panels.div_ceil(PIECES * threads)));
        } else {
            self.by_rows(simd, depth, fit, threads);
        }
    }

    /// The threads pack a block together, then share its rows.
    fn by_rows<S: Simd>(&self, simd: S, depth: usize, fit: usize, threads: usize) {
        let width = micro::vectors::<S>() * S::F32_LANES;
        let panels = self.n.div_ceil(width);
        let tiles = self.m.div_ceil(ROWS);
        pack::with_scratch(depth * width * fit.min(panels), |packed| {
            let packed = Shared(packed);
            for first in (0..panels).step_by(fit) {
                let last = panels.min(first + fit);
                for steps in self.blocks(depth) {
                    let size = steps.len() * width;
                    parallel::pieces(0..last - first, threads, |part| {
                        part.for_each(|i| self.pack(simd, first + i, steps.clone(), packed.add(i * size)));
                    });
                    parallel::pieces(0..tiles, threads * PIECES, |part| {
                        simd.vectorize(Piece {
                            product: self,
                            panels: first..last,
                            tiles: part,
                            steps: steps.clone(),
                            packed: packed.add(0),
                        });
                    });
                }
            }
        });
    }

    /// Each thread packs its own columns and goes down all rows.
    fn by_columns<S: Simd>(&self, simd: S, depth: usize, fit: usize) {
        let width = micro::vectors::<S>() * S::F32_LANES;
        let panels = self.n.div_ceil(width);
        parallel::pieces(0..panels.div_ceil(fit), usize::MAX, |part| {
            pack::with_scratch(depth * width * fit, |packed| {
                for first in part.map(|i| i * fit) {
                    let last = panels.min(first + fit);
                    for steps in self.blocks(depth) {
                        let size = steps.len() * width;
                        for panel in first..last {
                            self.pack(simd, panel, steps.clone(), packed.wrapping_add((panel - first) * size));
                        }
                        let tiles = 0..self.m.div_ceil(ROWS);
                        simd.vectorize(Piece { product: self, panels: first..last, tiles, steps, packed });
                    }
                }
            });
        });
    }

    /// k in steps of `depth`; one empty block where k is 0, so that the zeros are written.
    fn blocks(&self, depth: usize) -> impl Iterator<Item = Range<usize>> {
        let k = self.k;
        (0..k.max(1)).step_by(depth).map(move |start| start.min(k)..k.min(start + depth))
    }

    fn columns<S: Simd>(&self, panel: usize) -> Range<usize> {
        let width = micro::vectors::<S>() * S::F32_LANES;
        panel * width..self.n.min((panel + 1) * width)
    }

    fn pack<S: Simd>(&self, simd: S, panel: usize, steps: Range<usize>, to: *mut f32) {
        let columns = self.columns::<S>(panel);
        let width = columns.len().next_multiple_of(S::F32_LANES);
        let from = Source { start: self.b.at(steps.start, 0), ..self.b };
        simd.vectorize(Pack { from, depth: steps.len(), columns, width, to });
    }
}

/// Some rows of a packed block.
struct Piece<'a, 'b> {
    product: &'a Product<'b>,
    panels: Range<usize>,
    tiles: Range<usize>,
    steps: Range<usize>,
    packed: *mut f32,
}

/// A tile's sums on their way to an output that can't take whole vectors, and a bias filled up to whole vectors.
#[repr(align(64))]
struct Staging([f32; ROWS * WIDEST], [f32; WIDEST]);

impl WithSimd for Piece<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = micro::vectors::<S>() * S::F32_LANES;
        let mut staging = Staging([0.0; ROWS * WIDEST], [0.0; WIDEST]);
        for tile in self.tiles.clone() {
            for panel in self.panels.clone() {
                let packed = self.packed.wrapping_add((panel - self.panels.start) * self.steps.len() * width);
                self.tile(simd, tile, panel, packed, &mut staging);
            }
        }
    }
}

impl Piece<'_, '_> {
    #[inline(always)]
    fn tile<S: Simd>(&self, simd: S, tile: usize, panel: usize, packed: *const f32, staging: &mut Staging) {
        let Product { m, k, a, out, .. } = *self.product;
        let columns = self.product.columns::<S>(panel);
        let rows = tile * ROWS..m.min((tile + 1) * ROWS);
        let vectors = columns.len().div_ceil(S::F32_LANES);
        let width = vectors * S::F32_LANES;
        let (carry, last) = (self.steps.start > 0, self.steps.end == k);
        let direct = out.0.column == 1 && columns.len() == width;
        let bias = match self.product.bias {
            _ if !last => TileBias::None,
            Bias::None => TileBias::None,
            Bias::Rows(bias) => TileBias::Rows(bias[rows.clone()].as_ptr()),
            Bias::Columns(bias) => {
                staging.1[..columns.len()].copy_from_slice(&bias[columns.clone()]);
                TileBias::Columns(staging.1.as_ptr())
            }
        };
        let sums = staging.0.as_mut_ptr();
        let (target, target_row) =
            if direct { (out.at(rows.start, columns.start), out.0.row) } else { (sums, width as isize) };
        let tile = Tile {
            depth: self.steps.len(),
            a: a.at(rows.start, self.steps.start),
            a_row: a.row,
            a_step: a.column,
            b: packed,
            out: target,
            out_row: target_row,
            carry,
            ahead: a.column == 1 && panel == self.panels.start,
            bias,
            relu: self.product.relu && last,
        };
        // SAFETY: the tile lies inside the product, its panel was packed to whole vectors, and what does not fit `out`
        // in whole vectors goes through the staging area.
        unsafe {
            if carry && !direct {
                for (i, j) in rows.clone().flat_map(|i| columns.clone().map(move |j| (i, j))) {
                    *sums.add((i - rows.start) * width + j - columns.start) = *out.at(i, j);
                }
            }
            micro::compute(simd, rows.len(), vectors, tile);
            if !direct {
                scatter(sums, width, rows, columns, out);
            }
        }
    }
}

/// out[rows, columns] = sums.
///
/// # Safety
/// `sums` holds the rows, `width` apart.
#[inline(always)]
unsafe fn scatter(sums: *const f32, width: usize, rows: Range<usize>, columns: Range<usize>, out: Target) {
    for j in columns.clone() {
        for i in rows.clone() {
            // SAFETY: as promised by the caller; the element lies inside the product.
            unsafe { *out.at(i, j) = *sums.add((i - rows.start) * width + j - columns.start) };
        }
    }
}
