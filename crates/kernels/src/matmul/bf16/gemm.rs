//! The loop nest of products whose microkernel reads k in pairs.
//!
//! k is split into blocks of KC. All of A is packed first: block after block, and row after row in each block. B is
//! packed panel by panel, and block after block in each panel: one block of a panel stays in L1 while the rows of A are
//! read. The sums of a block are added to what C holds.

use super::super::mat::{MatMut, MatRef, Shared};
use super::super::pack::{Line, with_buffer};
use super::super::params::{LINE, TASKS_PER_THREAD, threads_for};
use super::super::prefetch::Prefetch;
use super::pack::{pack_a, pack_b};
use crate::parallel;
use ndarray::{ArrayView2, ArrayViewMut2};
use std::ops::Range;
use std::ptr::null;

/// The most panels whose blocks of B are packed together if B's rows are contiguous: a quarter of a 2 MiB L2.
const TOGETHER: usize = 8;
/// How many pairs of rows are packed in one panel before the next panel gets the same rows.
const PAIRS_TOGETHER: usize = 16;

/// A microkernel and its block sizes. The processor must have its unit, and AVX512-BF16.
pub struct Kernel {
    /// The steps over k in a block.
    pub kc: usize,
    /// The columns of a panel.
    pub nr: usize,
    /// The pairs of a block are filled up to a multiple of this.
    pub unit_of_pairs: usize,
    /// The rows of a tile, in a product with `n` columns.
    pub rows_of_tile: fn(n: usize) -> usize,
    /// The least tiles in a task, if tasks share the rows of a panel.
    pub tiles_of_part: usize,
    /// How many times a tile of `pairs` pairs prefetches.
    pub prefetches: fn(pairs: usize) -> usize,
    /// Called before the tiles of a task.
    pub enter: fn(),
    /// Called after them, on the same thread.
    pub leave: fn(),
    /// Computes a tile of `rows` rows and `vectors` vectors, the last of which may be in part. The caller is between
    /// `enter` and `leave`, the pointers must reach what the sizes say, and nobody else may access the tile's part of
    /// C.
    pub compute: unsafe fn(rows: usize, vectors: usize, tile: Tile),
}

/// The right operand.
#[derive(Clone, Copy)]
pub enum Rhs<'a> {
    Matrix(&'static Kernel, MatRef),
    Panels(&'a PairPanels),
}

/// B packed in panels of pairs, for one kernel.
pub struct PairPanels {
    kernel: &'static Kernel,
    lines: Vec<Line>,
}

impl PairPanels {
    /// Packs B.
    pub fn new(kernel: &'static Kernel, b: &ArrayView2<f32>) -> Self {
        let (k, n) = b.dim();
        let mut lines = vec![Line::ZERO; kernel.pairs(k) * n.next_multiple_of(LINE) / LINE];
        let (b, to): (MatRef, _) = (b.into(), Shared(lines.as_mut_ptr().cast()));
        parallel::for_each_chunk(0..n.div_ceil(kernel.nr), usize::MAX, |panels| {
            for panel in panels {
                let columns = panel * kernel.nr..n.min((panel + 1) * kernel.nr);
                for ks in kernel.blocks(k) {
                    let (b, kp) = (b.from(ks.start, columns.start), kernel.pairs(ks.len()));
                    let to = to.add(kernel.offset(k, &ks, &columns));
                    // SAFETY: this block lies inside B, and its place in the buffer is its own.
                    unsafe { pack_b(b, ks.len(), kp, columns.len(), to) };
                }
            }
        });
        Self { kernel, lines }
    }

    /// Where a block of a panel begins, if there are `k` steps in all.
    pub fn block(&self, k: usize, ks: &Range<usize>, columns: &Range<usize>) -> *const u32 {
        self.lines.as_ptr().cast::<u32>().wrapping_add(self.kernel.offset(k, ks, columns))
    }
}

/// C[m, n] = relu(A[m, k] B[k, n] + bias[n]). The rows of C are contiguous.
pub struct Gemm<'a> {
    pub kernel: &'static Kernel,
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub a: MatRef,
    pub b: Rhs<'a>,
    pub c: MatMut,
    pub bias: Option<&'a [f32]>,
    pub relu: bool,
}

/// out = relu(a b + bias); the shapes fit, and the rows of `out` are contiguous.
pub fn multiply(a: &ArrayView2<f32>, b: Rhs, bias: Option<&[f32]>, relu: bool, out: &mut ArrayViewMut2<f32>) {
    let ((m, k), n) = (a.dim(), out.ncols());
    let kernel = match b {
        Rhs::Matrix(kernel, _) => kernel,
        Rhs::Panels(panels) => panels.kernel,
    };
    let gemm = Gemm { kernel, m, n, k, a: a.into(), b, c: out.into(), bias, relu };
    if let Rhs::Matrix(_, b) = b
        && gemm.has_few_rows(b)
    {
        return gemm.run_few_rows(b);
    }
    if gemm.has_few_steps() {
        return gemm.run_few_steps();
    }
    // A kernel may read whole lines of rows.
    let len = m.next_multiple_of(LINE) * kernel.pairs(k);
    with_buffer(len, |packed| gemm.run(Shared(packed.cast())));
}

impl Kernel {
    /// The number of pairs for `k` steps, including those filled up with zeros.
    pub fn pairs(&self, k: usize) -> usize {
        k.div_ceil(2).next_multiple_of(self.unit_of_pairs)
    }

    /// Splits k into blocks. If k is 0 there is one empty block, which writes zeros to C.
    pub fn blocks(&self, k: usize) -> impl Iterator<Item = Range<usize>> {
        (0..k.max(1).div_ceil(self.kc)).map(move |block| self.block(k, block))
    }

    /// The steps of a block.
    pub fn block(&self, k: usize, block: usize) -> Range<usize> {
        block * self.kc..k.min((block + 1) * self.kc)
    }

    /// Where a block of a panel begins, if there are `k` steps in all.
    fn offset(&self, k: usize, ks: &Range<usize>, columns: &Range<usize>) -> usize {
        self.pairs(k) * columns.start + self.pairs(ks.start) * width(columns)
    }
}

/// The columns of a panel, rounded up to whole vectors.
fn width(columns: &Range<usize>) -> usize {
    columns.len().next_multiple_of(LINE)
}

impl Gemm<'_> {
    fn run(&self, packed: Shared<u32>) {
        let Self { kernel, m, n, k, .. } = *self;
        let nr = kernel.nr;
        let tasks = match threads_for(m * n * k) {
            1 => 1,
            threads => threads * TASKS_PER_THREAD,
        };
        let rows_of_tile = (kernel.rows_of_tile)(n);
        let (panels, tiles) = (n.div_ceil(nr), m.div_ceil(rows_of_tile));
        if panels == 0 || m == 0 {
            return;
        }
        parallel::for_each_chunk(0..m.div_ceil(LINE), tasks, |lines| {
            let rows = lines.start * LINE..m.min(lines.end * LINE);
            for ks in kernel.blocks(k) {
                let kp = kernel.pairs(ks.len());
                let to = packed.add(kernel.pairs(ks.start) * m + rows.start * kp);
                // SAFETY: the block lies inside A, and its place in the buffer is its own.
                unsafe { pack_a(self.a.from(rows.start, ks.start), ks.len(), kp, rows.len(), to) };
            }
        });
        // Tasks take panels. If there are too few panels, tasks share the rows of a panel, and each packs the panel
        // itself.
        let parts = tasks.div_ceil(panels).min(tiles.div_ceil(kernel.tiles_of_part));
        let rows = tiles.div_ceil(parts) * rows_of_tile;
        let (together, most) = match self.b {
            Rhs::Matrix(_, b) if b.cs == 1 && parts == 1 => (TOGETHER, tasks),
            _ => (1, usize::MAX),
        };
        parallel::for_each_chunk(0..panels * parts, if tasks == 1 { 1 } else { most }, |tasks| {
            let end = tasks.end;
            for task in tasks.step_by(together) {
                let (panel, part) = (task / parts, task % parts);
                let columns = panel * nr..n.min((end.div_ceil(parts).min(panel + together)) * nr);
                let rows = (part * rows).min(m)..m.min((part + 1) * rows);
                let next = (task + 1 < end && parts == 1).then(|| columns.end..n.min(columns.end + nr));
                // SAFETY: rows and columns lie inside C, and are no other task's.
                unsafe { self.panels(packed, rows, rows_of_tile, columns, next) };
            }
        });
    }

    /// Computes rows of one panel of C, or of several whose blocks of B are packed together. `next` has the columns
    /// that this thread computes next.
    ///
    /// # Safety
    /// Nobody else accesses these rows and columns of C, and A is packed.
    unsafe fn panels(
        &self,
        packed_a: Shared<u32>,
        rows: Range<usize>,
        rows_of_tile: usize,
        columns: Range<usize>,
        next: Option<Range<usize>>,
    ) {
        let Self { kernel, k, .. } = *self;
        let panels = || columns.clone().step_by(kernel.nr).map(|at| at..columns.end.min(at + kernel.nr));
        let start = columns.start;
        (kernel.enter)();
        with_buffer(panels().len() * kernel.nr * kernel.kc / 2, |buffer| {
            for ks in kernel.blocks(k) {
                let kp = kernel.pairs(ks.len());
                let packed_b = |columns: &Range<usize>, pairs: usize| {
                    buffer.cast::<u32>().wrapping_add((columns.start - start) * kp + pairs * width(columns))
                };
                if let Rhs::Matrix(_, b) = self.b {
                    // A few rows for all panels before the next rows: what is read is then adjacent.
                    for pairs in (0..kp).step_by(PAIRS_TOGETHER) {
                        for columns in panels() {
                            let count = PAIRS_TOGETHER.min(kp - pairs);
                            let (b, rows) = (b.from(ks.start + 2 * pairs, columns.start), ks.len() - 2 * pairs);
                            // SAFETY: the block lies inside B, and the buffer holds it.
                            unsafe { pack_b(b, rows.min(2 * count), count, columns.len(), packed_b(&columns, pairs)) };
                        }
                    }
                }
                let is_last = ks.end == k;
                let next_block = if is_last {
                    next.clone().map(|next| (0..k.min(kernel.kc), next))
                } else {
                    Some((ks.end..k.min(ks.end + kernel.kc), columns.clone()))
                };
                let (tiles, times) = (rows.len().div_ceil(rows_of_tile), (kernel.prefetches)(kp));
                for columns in panels() {
                    for (i, first) in rows.clone().step_by(rows_of_tile).enumerate() {
                        let tile = Tile {
                            kp,
                            a: packed_a.add(kernel.pairs(ks.start) * self.m + first * kp),
                            b: match self.b {
                                Rhs::Panels(panels) => panels.block(k, &ks, &columns),
                                Rhs::Matrix(..) => packed_b(&columns, 0),
                            },
                            c: self.c.at(first, columns.start),
                            rs_c: self.c.rs,
                            columns: columns.len(),
                            accumulate: ks.start > 0,
                            bias: self.bias.filter(|_| is_last).map_or(null(), |bias| bias[columns.clone()].as_ptr()),
                            relu: self.relu && is_last,
                            prefetch: self.prefetch(next_block.as_ref(), i * times, tiles * times),
                        };
                        let rows = rows_of_tile.min(rows.end - first);
                        // SAFETY: as promised by the caller.
                        unsafe { (kernel.compute)(rows, width(&columns) / LINE, tile) };
                    }
                }
            }
        });
        (kernel.leave)();
    }

    /// What a microtile prefetches of the next block of B if `done` of the block's `total` prefetches were issued
    /// before.
    fn prefetch(&self, next: Option<&(Range<usize>, Range<usize>)>, done: usize, total: usize) -> Prefetch {
        match (next, self.b) {
            (Some((ks, columns)), Rhs::Panels(panels)) => {
                let line = MatRef { ptr: panels.block(self.k, ks, columns).cast(), rs: 0, cs: 1 };
                Prefetch::block(line, 0..1, 0..self.kernel.pairs(ks.len()) * width(columns), done, total)
            }
            (Some((ks, columns)), Rhs::Matrix(_, b)) if b.rs == 1 && b.cs != 1 => {
                Prefetch::block(b.transposed(), columns.clone(), ks.clone(), done, total)
            }
            _ => Prefetch::rows(self.a, 0),
        }
    }
}

/// The operands of a microtile, and where its sums go.
#[derive(Clone, Copy)]
pub struct Tile {
    /// The number of pairs.
    pub kp: usize,
    /// The rows of A, one after the other.
    pub a: *const u32,
    /// A block of a panel of B.
    pub b: *const u32,
    pub c: *mut f32,
    pub rs_c: isize,
    pub columns: usize,
    pub accumulate: bool,
    /// The bias of the tile's columns, or null.
    pub bias: *const f32,
    pub relu: bool,
    /// What to prefetch meanwhile.
    pub prefetch: Prefetch,
}
