//! The microkernel of AVX512-BF16. `vdpbf16ps` adds two products to each of 16 sums, so that k runs in pairs:
//!
//! ```text
//!                          packed B: per pair of steps, NR pairs
//!                         | v0 | v1 | v2 | v3 |
//!  packed A: per pair     | c  | c  | c  | c  |
//!  of steps, a pair of    | c  | c  | c  | c  |    c += a_even * v_even + a_odd * v_odd
//!  each row               | .. |    |    |    |
//! ```

use super::super::microkernel::by_size;
use super::super::params::{LINE, MR, MR_NARROW, NR_VECTORS};
use super::gemm::{Kernel, Tile};
use super::pack::mask;
use std::arch::x86_64::*;

/// The columns of a panel.
const NR: usize = NR_VECTORS * LINE;
/// How many pairs are multiplied between two prefetches.
const AHEAD: usize = 4;

/// A block of a panel of B has 32 KiB.
pub static KERNEL: Kernel = Kernel {
    kc: 256,
    nr: NR,
    unit_of_pairs: 1,
    rows_of_tile: |n| if n <= NR / 2 { MR_NARROW } else { MR },
    tiles_of_part: 8,
    prefetches: |pairs| pairs.div_ceil(AHEAD),
    enter: || (),
    leave: || (),
    compute: |rows, vectors, tile| {
        // SAFETY: as promised by the caller.
        by_size!(rows, vectors, |R, V| unsafe { compute::<R, V>(tile) });
    },
};

/// Whether the processor has AVX512-BF16.
pub fn is_available() -> bool {
    is_x86_feature_detected!("avx512bf16")
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
}

/// Computes a microtile of R rows and V vectors, the last of which may be in part.
///
/// # Safety
/// The pointers reach what the sizes say, nobody else accesses C's part, and the processor has the unit.
#[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
#[allow(clippy::needless_range_loop, reason = "counted loops are unrolled, which keeps the sums in registers")]
unsafe fn compute<const R: usize, const V: usize>(tile: Tile) {
    let Tile { kp, a, mut b, mut prefetch, .. } = tile;
    let mut sums = [[_mm512_setzero_ps(); V]; R];
    // SAFETY: as promised by the caller.
    unsafe {
        for start in (0..kp).step_by(AHEAD) {
            prefetch.issue();
            for p in start..kp.min(start + AHEAD) {
                let mut right = [_mm512_setzero_si512(); V];
                for j in 0..V {
                    right[j] = _mm512_loadu_si512(b.add(j * LINE).cast());
                }
                for i in 0..R {
                    let left = _mm512_set1_epi32(*a.add(i * kp + p) as i32);
                    for j in 0..V {
                        sums[i][j] = _mm512_dpbf16_ps(sums[i][j], bf16s(left), bf16s(right[j]));
                    }
                }
                b = b.add(V * LINE);
            }
        }
        write_tile(sums, &tile);
    }
}

/// Writes a tile's sums to C: adds what C holds (`accumulate`) and the bias, then applies ReLU.
///
/// # Safety
/// C's part has R rows and the columns, of V vectors, the bias too; nobody else accesses it.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
#[allow(clippy::needless_range_loop, reason = "counted loops are unrolled, which keeps the sums in registers")]
pub unsafe fn write_tile<const R: usize, const V: usize>(mut sums: [[__m512; V]; R], tile: &Tile) {
    let Tile { c, rs_c, columns, .. } = *tile;
    let zero = _mm512_setzero_ps();
    // SAFETY: as promised by the caller; masks keep to the columns that there are.
    unsafe {
        // Each loop does one thing, so that the compiler unrolls it: otherwise the sums would be kept in memory.
        let mut masks = [0; V];
        for j in 0..V {
            masks[j] = mask(columns - j * LINE);
        }
        if tile.accumulate {
            for i in 0..R {
                for j in 0..V {
                    let before = _mm512_maskz_loadu_ps(masks[j], c.offset(i as isize * rs_c).add(j * LINE));
                    sums[i][j] = _mm512_add_ps(before, sums[i][j]);
                }
            }
        }
        if !tile.bias.is_null() {
            for j in 0..V {
                let bias = _mm512_maskz_loadu_ps(masks[j], tile.bias.add(j * LINE));
                for i in 0..R {
                    sums[i][j] = _mm512_add_ps(sums[i][j], bias);
                }
            }
        }
        if tile.relu {
            for i in 0..R {
                for j in 0..V {
                    // NaN stays NaN.
                    let negative = _mm512_cmp_ps_mask::<_CMP_LE_OQ>(sums[i][j], zero);
                    sums[i][j] = _mm512_mask_mov_ps(sums[i][j], negative, zero);
                }
            }
        }
        // Masked stores of lines that no cache holds take about twice as long on Zen 5.
        if columns == V * LINE {
            for i in 0..R {
                for j in 0..V {
                    _mm512_storeu_ps(c.offset(i as isize * rs_c).add(j * LINE), sums[i][j]);
                }
            }
            return;
        }
        for i in 0..R {
            for j in 0..V {
                _mm512_mask_storeu_ps(c.offset(i as isize * rs_c).add(j * LINE), masks[j], sums[i][j]);
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub fn bf16s(bits: __m512i) -> __m512bh {
    // SAFETY: both are 512 bits of any value.
    unsafe { std::mem::transmute(bits) }
}
