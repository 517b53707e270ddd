//! The product of a few rows and a matrix whose columns are contiguous, such as a few samples and the transposed weight
//! of a linear layer.
//!
//! Packing the matrix as the right operand would transpose all of it for a few rows. So this computes C^T = B^T A^T:
//! the rows of B^T are contiguous and are rounded just before they are multiplied. Only C^T, which is small, is
//! transposed:
//!
//! ```text
//!               a^T, packed once                  c
//!  b^T  | tile | x |  k  | = | sums | -> | sums transposed + bias |
//! ```
//!
//! An element's sum has the same terms in the same order as in the other loops, so its bits are the same.

use super::super::mat::{MatRef, Shared};
use super::super::pack::with_buffer;
use super::super::params::{LINE, TASKS_PER_THREAD, threads_for};
use super::super::prefetch::Prefetch;
use super::gemm::{Gemm, Tile};
use super::pack::{mask, pack_a, pack_b, transpose};
use crate::parallel;
use std::arch::x86_64::*;
use std::ops::Range;
use std::ptr::null;

/// The most columns of a task: whole cache lines of C, few enough that their sums stay in L1.
const COLUMNS_MAX: usize = 96;
/// The least rows: with fewer, another loop takes less time.
const ROWS_MIN: usize = 9;

impl Gemm<'_> {
    /// Whether `run_few_rows` is the fastest way to multiply by this B.
    pub(super) fn has_few_rows(&self, b: MatRef) -> bool {
        b.rs == 1 && b.cs != 1 && (ROWS_MIN..=self.kernel.nr).contains(&self.m)
    }

    /// Computes the product. `has_few_rows` must hold.
    pub(super) fn run_few_rows(&self, b: MatRef) {
        let Self { kernel, m, n, k, .. } = *self;
        let tasks = match threads_for(m * n * k) {
            1 => 1,
            threads => threads * TASKS_PER_THREAD,
        };
        let columns = COLUMNS_MAX.min(n.div_ceil(tasks).next_multiple_of(LINE));
        let width = m.next_multiple_of(LINE);
        with_buffer(kernel.pairs(k) * width, |packed| {
            let packed = Shared(packed.cast());
            let blocks = k.max(1).div_ceil(kernel.kc);
            parallel::for_each_chunk(0..blocks, tasks, |blocks| {
                for ks in blocks.map(|block| self.kernel.block(k, block)) {
                    let to = packed.add(kernel.pairs(ks.start) * width);
                    // SAFETY: the block lies inside A, and its place in the buffer is its own.
                    unsafe { pack_b(self.a.transposed().from(ks.start, 0), ks.len(), kernel.pairs(ks.len()), m, to) };
                }
            });
            let weight = b.transposed();
            parallel::for_each_chunk(0..n.div_ceil(columns), if tasks == 1 { 1 } else { usize::MAX }, |tasks| {
                for task in tasks {
                    // SAFETY: the columns lie inside C, and are no other task's; A is packed.
                    unsafe { self.columns(packed, weight, task * columns..n.min((task + 1) * columns)) };
                }
            });
        });
    }

    /// Computes columns of C from rows of B^T.
    ///
    /// # Safety
    /// Nobody else accesses them, and A is packed.
    unsafe fn columns(&self, packed_a: Shared<u32>, weight: MatRef, columns: Range<usize>) {
        let Self { kernel, m, n, k, .. } = *self;
        let (rows_of_tile, width, count) = ((kernel.rows_of_tile)(m), m.next_multiple_of(LINE), columns.len());
        (kernel.enter)();
        with_buffer(rows_of_tile.next_multiple_of(LINE) * kernel.kc / 2, |tile_of_weight| {
            with_buffer(count.next_multiple_of(LINE) * width, |sums| {
                for ks in kernel.blocks(k) {
                    let kp = kernel.pairs(ks.len());
                    let times = (kernel.prefetches)(kp);
                    for first in (0..count).step_by(rows_of_tile) {
                        let rows = rows_of_tile.min(count - first);
                        let at = columns.start + first;
                        let next = at + rows..n.min(at + rows + rows_of_tile);
                        let prefetch = if next.end > next.start && times > 0 {
                            Prefetch::block(weight.from(0, 0), next, ks.clone(), 0, times)
                        } else {
                            Prefetch::rows(self.a, 0)
                        };
                        let to = tile_of_weight.cast::<u32>();
                        let tile = Tile {
                            kp,
                            a: to,
                            b: packed_a.add(kernel.pairs(ks.start) * width),
                            c: sums.wrapping_add(first * width),
                            rs_c: width as isize,
                            columns: m,
                            accumulate: ks.start > 0,
                            bias: null(),
                            relu: false,
                            prefetch,
                        };
                        // SAFETY: the rows lie inside the weight, and the buffers hold what is written.
                        unsafe {
                            pack_a(weight.from(at, ks.start), ks.len(), kp, rows, to);
                            (kernel.compute)(rows, width / LINE, tile);
                        }
                    }
                }
                // SAFETY: as promised by the caller; the sums are complete.
                unsafe { self.write_columns(sums, columns) };
            });
        });
        (kernel.leave)();
    }

    /// Writes columns of C from their sums, which are stored column after column. What fills up the last vectors is
    /// left out.
    ///
    /// # Safety
    /// As in `columns`; the processor has AVX512-BF16.
    #[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
    #[allow(clippy::needless_range_loop, reason = "counted loops are unrolled, which keeps the block in registers")]
    unsafe fn write_columns(&self, sums: *const f32, columns: Range<usize>) {
        let (width, zero) = (self.m.next_multiple_of(LINE), _mm512_setzero_ps());
        for j in columns.clone().step_by(LINE) {
            let there = mask(columns.end - j);
            // SAFETY: as promised by the caller; masks keep to the columns and to the bias.
            unsafe {
                let bias = self.bias.map_or(zero, |bias| _mm512_maskz_loadu_ps(there, bias[j..].as_ptr()));
                for i in (0..self.m).step_by(LINE) {
                    let mut block = [_mm512_setzero_si512(); LINE];
                    for column in 0..LINE {
                        let from = sums.wrapping_add((j - columns.start + column) * width + i);
                        block[column] = _mm512_loadu_si512(from.cast());
                    }
                    let block = transpose(block);
                    for row in 0..LINE.min(self.m - i) {
                        let mut sum = _mm512_castsi512_ps(block[row]);
                        if self.bias.is_some() {
                            sum = _mm512_add_ps(sum, bias);
                        }
                        if self.relu {
                            // NaN stays NaN.
                            let negative = _mm512_cmp_ps_mask::<_CMP_LE_OQ>(sum, zero);
                            sum = _mm512_mask_mov_ps(sum, negative, zero);
                        }
                        let to = self.c.at(i + row, j);
                        if there == !0 {
                            _mm512_storeu_ps(to, sum);
                        } else {
                            _mm512_mask_storeu_ps(to, there, sum);
                        }
                    }
                }
            }
        }
    }
}
