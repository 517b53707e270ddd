//! One task of the loop nest: some rows of C times a packed block of B, microtile by microtile (loops ir and jr).

use super::epilogue::TileEpilogue;
use super::mat::{MatMut, MatRef};
use super::microkernel::{self, MicroTile};
use super::params::{EDGE_ROWS, KC_SUM_MAX, LINE, MR, MR_NARROW, NR_MAX, kc_sum, nr};
use super::prefetch::Prefetch;
use super::problem::Gemm;
use super::transpose::{self, SIDE};
use crate::prefetch::to_write;
use pulp::{Simd, WithSimd};
use std::mem::MaybeUninit;
use std::ops::Range;

/// The row tiles of C and the panels of packed B that a task multiplies.
pub(super) struct MacroKernel<'a, 'b> {
    pub gemm: &'a Gemm<'b>,
    /// The panels of the packed block.
    pub panels: Range<usize>,
    /// The tiles of MR rows.
    pub tiles: Range<usize>,
    /// The rows of B that are packed.
    pub ks: Range<usize>,
    /// The packed block.
    pub packed: *const f32,
    /// The block that this thread reads next, to prefetch it.
    pub next: Option<NextBlock>,
}

/// A block of a matrix that is prefetched, if its rows are adjacent elements.
pub(super) struct NextBlock {
    pub b: MatRef,
    pub ks: Range<usize>,
    pub columns: Range<usize>,
}

/// A buffer for the sums of microtiles that can't be written to C as whole vectors: C is not row-major, or its last
/// columns do not fill a vector.
#[repr(align(64))]
struct EdgeTile([MaybeUninit<f32>; EDGE_ROWS * NR_MAX]);

/// The bias of a panel's columns, filled up to whole vectors.
#[repr(align(64))]
struct EdgeBias([MaybeUninit<f32>; NR_MAX]);

/// The packed rows of a tile of A, column after column.
struct PackedA([MaybeUninit<f32>; MR_NARROW * KC_SUM_MAX]);

/// A panel of packed B, and how its sums are written to C.
struct Panel {
    index: usize,
    columns: Range<usize>,
    /// The number of vectors that its columns take.
    vectors: usize,
    /// The bias of its columns, if there is one per column.
    bias: *const f32,
    /// Whether sums are written directly to C, as whole vectors; otherwise they go through the edge tile.
    direct: bool,
}

impl WithSimd for MacroKernel<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // Not initialized: writing 31 kB of zeros per task would take as long as a small product. Every element is
        // written before it is read.
        let mut edge = EdgeTile([const { MaybeUninit::uninit() }; _]);
        let mut bias = EdgeBias([const { MaybeUninit::uninit() }; _]);
        let mut packed_a = PackedA([const { MaybeUninit::uninit() }; _]);
        let (mr, c) = (self.gemm.mr::<S>(), self.gemm.c);
        let group = if c.is_column_major() { EDGE_ROWS / mr } else { 1 };
        // LOOP ir: MR rows of C or, if C is column-major, as many times MR as fill its cache lines.
        for first in self.tiles.clone().step_by(group) {
            let tiles = first..self.tiles.end.min(first + group);
            let packed = (group == 1).then(|| self.pack_a(first, mr, &mut packed_a)).flatten();
            // LOOP jr: NR columns of C, a panel of packed B.
            for index in self.panels.clone() {
                let panel = self.panel::<S>(index, &mut bias);
                for tile in tiles.clone() {
                    let a = packed.unwrap_or_else(|| self.a(tile, mr));
                    self.tile(simd, a, tile, &panel, edge.row((tile - first) * mr, panel.vectors * S::F32_LANES));
                }
                if !panel.direct {
                    let rows = first * mr..self.gemm.m.min(tiles.end * mr);
                    // SAFETY: the sums of these rows have just been written to the edge tile, row after row.
                    unsafe { scatter::<S>(edge.0.as_ptr().cast(), rows, panel.columns, c) };
                }
            }
        }
    }
}

impl MacroKernel<'_, '_> {
    /// A, from a tile's first row on.
    #[inline(always)]
    fn a(&self, tile: usize, mr: usize) -> MatRef {
        self.gemm.a.from(tile * mr, self.ks.start)
    }

    /// Packs the rows of a tile column after column, if A is not row-major and several panels read them. Read in place,
    /// each element of a row would be in another cache line, and often in another page.
    #[inline(always)]
    fn pack_a(&self, tile: usize, mr: usize, packed: &mut PackedA) -> Option<MatRef> {
        let (Gemm { m, a, .. }, kc) = (*self.gemm, self.ks.len());
        if a.cs == 1 || m - tile * mr < mr || kc > KC_SUM_MAX || self.panels.len() < 2 {
            return None;
        }
        let a = self.a(tile, mr);
        // Of a length known to the compiler, a column is moved by whole vectors.
        match mr {
            MR => pack_columns::<MR>(a, kc, packed),
            _ => pack_columns::<MR_NARROW>(a, kc, packed),
        }
        Some(MatRef { ptr: packed.0.as_ptr().cast(), rs: 1, cs: mr as isize })
    }

    #[inline(always)]
    fn panel<S: Simd>(&self, index: usize, edge: &mut EdgeBias) -> Panel {
        let Gemm { n, c, epilogue, .. } = *self.gemm;
        let columns = index * nr::<S>()..n.min((index + 1) * nr::<S>());
        let (vectors, whole) = (columns.len().div_ceil(S::F32_LANES), columns.len() % S::F32_LANES == 0);
        let bias = match epilogue.column_bias(columns.clone()) {
            None => std::ptr::null(),
            Some(bias) if whole => bias.as_ptr(),
            Some(bias) => {
                let padded = bias.iter().copied().chain(std::iter::repeat(0.0));
                edge.0.iter_mut().zip(padded).take(vectors * S::F32_LANES).for_each(|(to, x)| _ = to.write(x));
                edge.0.as_ptr().cast()
            }
        };
        Panel { index, columns, vectors, bias, direct: c.cs == 1 && whole }
    }

    /// Computes a microtile and writes it to C or to its rows of the edge tile.
    #[inline(always)]
    fn tile<S: Simd>(&self, simd: S, a: MatRef, tile: usize, panel: &Panel, edge: *mut f32) {
        let (Gemm { m, k, c, epilogue, .. }, mr) = (*self.gemm, self.gemm.mr::<S>());
        let (rows, columns) = (tile * mr..m.min((tile + 1) * mr), &panel.columns);
        let width = panel.vectors * S::F32_LANES;
        let (accumulate, complete) = (self.ks.start > 0, self.ks.end == k);
        let c_tile = MatMut { ptr: c.at(rows.start, columns.start), ..c };
        if accumulate && !panel.direct {
            // SAFETY: the tile's elements lie inside C, and its rows inside the edge tile.
            unsafe { gather(c_tile, rows.len(), columns.len(), width, edge) };
        }
        let (c, rs_c) = if panel.direct { (c_tile.ptr, c_tile.rs) } else { (edge, width as isize) };
        if panel.direct {
            (0..rows.len()).for_each(|i| to_write(c.wrapping_offset(i as isize * rs_c), width));
        }
        let micro = MicroTile {
            kc: self.ks.len(),
            kc_sum: kc_sum(k),
            a,
            b: self.packed.wrapping_add((panel.index - self.panels.start) * nr::<S>() * self.ks.len()),
            c,
            rs_c,
            accumulate,
            prefetch: self.prefetch::<S>(tile, panel.index - self.panels.start),
            epilogue: if complete { epilogue.tile(rows.clone(), panel.bias) } else { TileEpilogue::NONE },
        };
        // SAFETY: the tile lies inside C or the edge tile, and its panel was packed to whole vectors.
        unsafe { microkernel::compute(simd, rows.len(), panel.vectors, micro) };
    }

    /// What to prefetch during a microtile: a part of the block that this thread reads next or, if there is none, the
    /// next tile's rows of A.
    #[inline(always)]
    fn prefetch<S: Simd>(&self, tile: usize, panel: usize) -> Prefetch {
        let Gemm { a, .. } = *self.gemm;
        match &self.next {
            Some(NextBlock { b, ks, columns }) if b.cs == 1 => {
                let times = self.ks.len().div_ceil(LINE);
                let (done, total) = (tile * self.panels.len() + panel, self.tiles.len() * self.panels.len());
                Prefetch::block(*b, ks.clone(), columns.clone(), done * times, total * times)
            }
            _ => {
                let mr = self.gemm.mr::<S>();
                Prefetch::rows(self.a(tile + 1, mr), if a.cs == 1 && panel == 0 { mr } else { 0 })
            }
        }
    }
}

/// Packs the first `kc` columns of a tile of `R` rows.
#[inline(always)]
fn pack_columns<const R: usize>(a: MatRef, kc: usize, packed: &mut PackedA) {
    for (k, to) in packed.0.as_chunks_mut::<R>().0.iter_mut().take(kc).enumerate() {
        // SAFETY: all rows of the tile exist, and so do the block's columns of A; those of a column are adjacent or
        // `a.rs` apart.
        *to = unsafe {
            match a.rs {
                1 => *a.at(0, k).cast::<[MaybeUninit<f32>; R]>(),
                _ => std::array::from_fn(|i| MaybeUninit::new(*a.at(i, k))),
            }
        };
    }
}

impl EdgeTile {
    /// Row i, if rows are `width` long.
    #[inline(always)]
    fn row(&mut self, row: usize, width: usize) -> *mut f32 {
        self.0.as_mut_ptr().cast::<f32>().wrapping_add(row * width)
    }
}

/// Copies C's elements to the edge tile, and fills its rows up to `width` with zeros.
///
/// # Safety
/// C has these rows and columns, and `edge` that many rows of `width`.
#[inline(always)]
unsafe fn gather(c: MatMut, rows: usize, columns: usize, width: usize, edge: *mut f32) {
    for i in 0..rows {
        for j in 0..width {
            // SAFETY: as promised by the caller.
            unsafe { *edge.add(i * width + j) = if j < columns { *c.at(i, j) } else { 0.0 } };
        }
    }
}

/// Copies the edge tile to C[rows, columns], by transposed blocks if C is column-major.
///
/// # Safety
/// `edge` holds the rows, each of whole vectors, and the elements lie inside C.
#[inline(always)]
unsafe fn scatter<S: Simd>(edge: *const f32, rows: Range<usize>, columns: Range<usize>, c: MatMut) {
    let width = columns.len().next_multiple_of(S::F32_LANES);
    let (down, across) = if c.rs == 1 { (rows.len() / SIDE, columns.len() / SIDE) } else { (0, 0) };
    for j in (0..across).map(|block| block * SIDE) {
        for i in (0..down).map(|block| block * SIDE) {
            // SAFETY: as promised by the caller.
            unsafe {
                let to = c.at(rows.start + i, columns.start + j);
                transpose::block::<S>(edge.add(i * width + j), width as isize, to, c.cs);
            }
        }
    }
    for j in 0..columns.len() {
        let done = if j < across * SIDE { down * SIDE } else { 0 };
        for i in done..rows.len() {
            // SAFETY: as promised by the caller.
            unsafe { *c.at(rows.start + i, columns.start + j) = *edge.add(i * width + j) };
        }
    }
}
