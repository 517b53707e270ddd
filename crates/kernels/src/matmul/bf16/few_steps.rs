//! Products with many rows and a short k, such as the gradient of a linear layer's weight. Most of their memory traffic
//! is C. So C is written in whole rows, a few at a time. This takes all of B at once: it is packed first and stays in
//! L2.
//!
//! ```text
//!                 B, packed whole              C
//!                 | panel | panel |     | ->        | a tile's rows, panel after panel
//!  A  | tile | x  |       |       |  =  | ->        |
//! ```
//!
//! An element's sum has the same terms in the same order as in the other loops, so its bits are the same.

use super::super::mat::Shared;
use super::super::pack::with_buffer;
use super::super::params::{LINE, TASKS_PER_THREAD, threads_for};
use super::super::prefetch::Prefetch;
use super::gemm::{Gemm, Rhs, Tile};
use super::pack::{pack_a, pack_b};
use crate::parallel;
use crate::prefetch::to_write;
use std::ops::Range;
use std::ptr::null;

/// The most pairs in B: 1 MiB, half of a 2 MiB L2.
const PAIRS_MAX: usize = 1 << 18;
/// The least rows that are worth packing all of B at once.
const ROWS_MIN: usize = 128;

impl Gemm<'_> {
    /// Whether `run_few_steps` is the fastest way to multiply.
    pub(super) fn has_few_steps(&self) -> bool {
        let Self { kernel, m, n, k, .. } = *self;
        k <= kernel.kc && m >= ROWS_MIN && kernel.pairs(k) * n.next_multiple_of(LINE) <= PAIRS_MAX
    }

    /// Computes the product. `has_few_steps` must hold.
    pub(super) fn run_few_steps(&self) {
        let Self { kernel, m, n, k, .. } = *self;
        let tasks = match threads_for(m * n * k) {
            1 => 1,
            threads => threads * TASKS_PER_THREAD,
        };
        match self.b {
            Rhs::Panels(panels) => self.all_rows(tasks, panels.block(k, &(0..k), &(0..0))),
            Rhs::Matrix(_, b) => with_buffer(kernel.pairs(k) * n.next_multiple_of(LINE), |packed| {
                let packed = Shared(packed.cast::<u32>());
                parallel::for_each_chunk(0..n.div_ceil(kernel.nr), tasks, |panels| {
                    let columns = panels.start * kernel.nr..n.min(panels.end * kernel.nr);
                    for first in columns.clone().step_by(kernel.nr) {
                        let (count, kp) = (kernel.nr.min(columns.end - first), kernel.pairs(k));
                        // SAFETY: the panel lies inside B, and its place in the buffer is its own.
                        unsafe { pack_b(b.from(0, first), k, kp, count, packed.add(kp * first)) };
                    }
                });
                self.all_rows(tasks, packed.0);
            }),
        }
    }

    /// Computes all rows of C from the packed panels of B.
    fn all_rows(&self, tasks: usize, b: *const u32) {
        let Self { kernel, m, n, k, .. } = *self;
        let (b, kp, rows_of_tile) = (Shared(b.cast_mut()), kernel.pairs(k), (kernel.rows_of_tile)(n));
        parallel::for_each_chunk(0..m.div_ceil(rows_of_tile), tasks, |tiles| {
            (kernel.enter)();
            // A kernel may read whole lines of rows.
            with_buffer(rows_of_tile.next_multiple_of(LINE) * kp, |a| {
                for first in tiles.map(|tile| tile * rows_of_tile) {
                    let rows = first..m.min(first + rows_of_tile);
                    // SAFETY: the rows lie inside A and C, no other task writes them, and the buffer holds those of A.
                    unsafe {
                        pack_a(self.a.from(first, 0), k, kp, rows.len(), a.cast());
                        self.rows(a.cast(), b.add(0), kp, rows);
                    }
                }
            });
            (kernel.leave)();
        });
    }

    /// Computes the rows of one tile of A, in all columns.
    ///
    /// # Safety
    /// Nobody else accesses these rows of C, and both operands are packed with `kp` pairs.
    unsafe fn rows(&self, a: *const u32, b: *const u32, kp: usize, rows: Range<usize>) {
        let Self { kernel, n, .. } = *self;
        let to_prefetch = |columns: Range<usize>| {
            rows.clone().for_each(|row| to_write(self.c.at(row, columns.start).cast_const(), columns.len()));
        };
        to_prefetch(0..n.min(kernel.nr));
        for first in (0..n).step_by(kernel.nr) {
            let columns = first..n.min(first + kernel.nr);
            to_prefetch(columns.end..n.min(columns.end + kernel.nr));
            let tile = Tile {
                kp,
                a,
                b: b.wrapping_add(kp * first),
                c: self.c.at(rows.start, first),
                rs_c: self.c.rs,
                columns: columns.len(),
                accumulate: false,
                bias: self.bias.map_or(null(), |bias| bias[columns.clone()].as_ptr()),
                relu: self.relu,
                prefetch: Prefetch::rows(self.a, 0),
            };
            // SAFETY: as promised by the caller.
            unsafe { (kernel.compute)(rows.len(), columns.len().div_ceil(LINE), tile) };
        }
    }
}
