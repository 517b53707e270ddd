//! Transposes blocks of 8 x 8 in registers: what packing a transposed B and writing a transposed C take.

use pulp::Simd;

/// The side of a block.
pub(super) const SIDE: usize = 8;

/// to[j][i] = from[i][j] for a block; the row strides are in elements.
///
/// # Safety
/// Both blocks lie in memory that may be read and written.
#[inline(always)]
pub(super) unsafe fn block<S: Simd>(from: *const f32, rs_from: isize, to: *mut f32, rs_to: isize) {
    #[cfg(target_arch = "x86_64")]
    if S::F32_LANES >= 8 {
        // SAFETY: vectors of eight lanes imply AVX2; the rest is promised by the caller.
        return unsafe { avx2(from, rs_from, to, rs_to) };
    }
    for i in 0..SIDE as isize {
        for j in 0..SIDE as isize {
            // SAFETY: as promised by the caller.
            unsafe { *to.offset(j * rs_to + i) = *from.offset(i * rs_from + j) };
        }
    }
}

/// # Safety
/// As `block`, on a processor with AVX2.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn avx2(from: *const f32, rs_from: isize, to: *mut f32, rs_to: isize) {
    use std::arch::x86_64::*;
    // SAFETY: as promised by the caller.
    unsafe {
        // Row i in the lower half and row i + 4 in the upper half, for columns 0-3 and then 4-7.
        let half = |i: isize, at: isize| {
            let (low, high) = (from.offset(i * rs_from + at), from.offset((i + 4) * rs_from + at));
            _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(_mm_loadu_ps(low)), _mm_loadu_ps(high))
        };
        for at in [0, 4] {
            let rows = [half(0, at), half(1, at), half(2, at), half(3, at)];
            let (a, b) = (_mm256_unpacklo_ps(rows[0], rows[1]), _mm256_unpacklo_ps(rows[2], rows[3]));
            let (c, d) = (_mm256_unpackhi_ps(rows[0], rows[1]), _mm256_unpackhi_ps(rows[2], rows[3]));
            let columns = [
                _mm256_shuffle_ps::<0x44>(a, b),
                _mm256_shuffle_ps::<0xee>(a, b),
                _mm256_shuffle_ps::<0x44>(c, d),
                _mm256_shuffle_ps::<0xee>(c, d),
            ];
            for (j, column) in columns.into_iter().enumerate() {
                let to = to.offset((at + j as isize) * rs_to);
                _mm256_storeu_ps(to, column);
            }
        }
    }
}
