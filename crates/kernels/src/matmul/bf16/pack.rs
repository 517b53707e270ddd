//! Rounds and packs operands as `vdpbf16ps` and `tdpbf16ps` read them: pairs of rows of B, pairs of columns of A. k is
//! filled up with zeros to the pairs that a kernel needs.
//!
//! ```text
//!  B, a block               packed: pairs of each column           A, a block          packed: pairs of each row
//!  b00 b01 ..               b00 b10 | b01 b11 | ..                 a00 a01 a02 ..      a00 a01 | a02 a03 | ..
//!  b10 b11 ..       ->                                             a10 a11 a12 ..  ->  a10 a11 | a12 a13 | ..
//! ```

use super::super::mat::MatRef;
use super::super::params::LINE;
use super::round::to_bits;
use crate::prefetch::line_into_l2;
use std::arch::x86_64::*;

/// How many rows ahead B is prefetched.
const AHEAD: usize = 16;

/// The mask of the first `count` lanes, or of all.
#[inline]
pub fn mask(count: usize) -> __mmask16 {
    if count < LINE { (1 << count) - 1 } else { !0 }
}

/// Rounds 32 adjacent numbers to 16 pairs. Numbers that the masks leave out become zeros.
///
/// # Safety
/// The numbers that the masks select must be readable.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
unsafe fn along(from: *const f32, masks: [__mmask16; 2]) -> __m512i {
    // SAFETY: as promised by the caller; the types have the same size.
    unsafe {
        let low = _mm512_maskz_loadu_ps(masks[0], from);
        let high = _mm512_maskz_loadu_ps(masks[1], from.wrapping_add(LINE));
        std::mem::transmute(_mm512_cvtne2ps_pbh(high, low))
    }
}

/// Rounds 16 numbers of each of two rows to pairs. Numbers that the masks leave out become zeros.
///
/// # Safety
/// The numbers that the masks select must be readable.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
pub unsafe fn across(rows: [*const f32; 2], masks: [__mmask16; 2]) -> __m512i {
    const ORDER: [u16; 2 * LINE] = {
        let mut order = [0; 2 * LINE];
        let mut i = 0;
        while i < 2 * LINE {
            order[i] = (i / 2 + i % 2 * LINE) as u16;
            i += 1;
        }
        order
    };
    // SAFETY: as promised by the caller; the types have the same size.
    unsafe {
        let low = _mm512_maskz_loadu_ps(masks[0], rows[0]);
        let high = _mm512_maskz_loadu_ps(masks[1], rows[1]);
        let both: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(high, low));
        _mm512_permutexvar_epi16(_mm512_loadu_si512(ORDER.as_ptr().cast()), both)
    }
}

/// Packs `kc` rows and `nc` columns of B as `kp` pairs of rows. What fills up the last vector is arbitrary: it is never
/// stored in C.
///
/// # Safety
/// B has them, `to` holds as many pairs of whole vectors, and the processor has AVX512-BF16.
#[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
#[allow(clippy::needless_range_loop, reason = "counted loops are unrolled, which keeps the block in registers")]
pub unsafe fn pack_b(b: MatRef, kc: usize, kp: usize, nc: usize, to: *mut u32) {
    let width = nc.next_multiple_of(LINE);
    // SAFETY: as promised by the caller; masks and clamped columns keep to B.
    unsafe {
        if b.cs == 1 {
            for p in 0..kp {
                // Whole vectors are packed without masks, which would take longer than the rest of the loop.
                let whole = if 2 * p + 1 < kc { nc / LINE * LINE } else { 0 };
                for j in (0..whole).step_by(LINE) {
                    line_into_l2(b.at(2 * p + AHEAD, j));
                    line_into_l2(b.at(2 * p + 1 + AHEAD, j));
                    let pairs = across([b.at(2 * p, j), b.at(2 * p + 1, j)], [!0; 2]);
                    _mm512_storeu_si512(to.add(p * width + j).cast(), pairs);
                }
                for j in (whole..nc).step_by(LINE) {
                    let there = [2 * p, 2 * p + 1].map(|k| if k < kc { mask(nc - j) } else { 0 });
                    let pairs = across([b.at(2 * p, j), b.at(2 * p + 1, j)], there);
                    _mm512_storeu_si512(to.add(p * width + j).cast(), pairs);
                }
            }
        } else if b.rs == 1 {
            for start in (0..nc).step_by(LINE) {
                for first in (0..kp).step_by(LINE) {
                    let masks = masks(kc - 2 * first);
                    let mut block = [_mm512_setzero_si512(); LINE];
                    for j in 0..LINE {
                        block[j] = along(b.at(2 * first, (start + j).min(nc - 1)), masks);
                    }
                    let block = transpose(block);
                    for p in 0..LINE {
                        let at = to.wrapping_add((first + p) * width + start);
                        _mm512_mask_storeu_epi32(at.cast(), if first + p < kp { !0 } else { 0 }, block[p]);
                    }
                }
            }
        } else {
            for p in 0..kp {
                for j in 0..nc {
                    *to.add(p * width + j) = pair_at(b, 2 * p, kc, j);
                }
            }
        }
    }
}

/// Packs `rows` rows and `kc` columns of A, row after row, as `kp` pairs each.
///
/// # Safety
/// A has them, `to` holds the pairs, and the processor has AVX512-BF16.
#[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
#[allow(clippy::needless_range_loop, reason = "counted loops are unrolled, which keeps the block in registers")]
pub unsafe fn pack_a(a: MatRef, kc: usize, kp: usize, rows: usize, to: *mut u32) {
    // SAFETY: as promised by the caller; masks keep to A and to what `to` holds.
    unsafe {
        if a.cs == 1 {
            let whole = kc / 2 / LINE * LINE;
            for i in 0..rows {
                // Whole vectors are packed without masks, which would take longer than the rest of the loop.
                for first in (0..whole).step_by(LINE) {
                    _mm512_storeu_si512(to.add(i * kp + first).cast(), along(a.at(i, 2 * first), [!0; 2]));
                }
                for first in (whole..kp).step_by(LINE) {
                    let row = along(a.at(i, 2 * first), masks(kc - 2 * first));
                    _mm512_mask_storeu_epi32(to.add(i * kp + first).cast(), mask(kp - first), row);
                }
            }
        } else if a.rs == 1 {
            for start in (0..rows).step_by(LINE) {
                for first in (0..kp).step_by(LINE) {
                    let there = mask(rows - start);
                    let mut block = [_mm512_setzero_si512(); LINE];
                    for p in 0..LINE {
                        let k = 2 * (first + p);
                        let masks = [if k < kc { there } else { 0 }, if k + 1 < kc { there } else { 0 }];
                        block[p] = across([a.at(start, k), a.at(start, k + 1)], masks);
                    }
                    let (block, columns) = (transpose(block), mask(kp - first));
                    for i in 0..LINE {
                        let at = to.wrapping_add((start + i) * kp + first);
                        _mm512_mask_storeu_epi32(at.cast(), if start + i < rows { columns } else { 0 }, block[i]);
                    }
                }
            }
        } else {
            for i in 0..rows {
                for p in 0..kp {
                    *to.add(i * kp + p) = pair_at(a.transposed(), 2 * p, kc, i);
                }
            }
        }
    }
}

/// The two masks for the first `count` of 32 numbers.
#[inline]
fn masks(count: usize) -> [__mmask16; 2] {
    [mask(count), mask(count.saturating_sub(LINE))]
}

/// The pair of rows k and k + 1 in a column; zero in the place of rows from `kc` on.
///
/// # Safety
/// The rows below `kc` must be readable.
unsafe fn pair_at(x: MatRef, k: usize, kc: usize, column: usize) -> u32 {
    // SAFETY: as promised by the caller.
    let bits = |k: usize| if k < kc { u32::from(to_bits(unsafe { *x.at(k, column) })) } else { 0 };
    bits(k) | bits(k + 1) << 16
}

/// Transposes a block of 16 x 16 pairs.
#[inline]
#[target_feature(enable = "avx512f")]
pub fn transpose(x: [__m512i; LINE]) -> [__m512i; LINE] {
    let (mut by_two, mut by_four, mut transposed) = (x, x, x);
    for i in 0..LINE / 2 {
        by_two[2 * i] = _mm512_unpacklo_epi32(x[2 * i], x[2 * i + 1]);
        by_two[2 * i + 1] = _mm512_unpackhi_epi32(x[2 * i], x[2 * i + 1]);
    }
    // Then row 4 i + c has in its lane l the elements of column 4 l + c of rows 4 i to 4 i + 3.
    for i in 0..LINE / 4 {
        by_four[4 * i] = _mm512_unpacklo_epi64(by_two[4 * i], by_two[4 * i + 2]);
        by_four[4 * i + 1] = _mm512_unpackhi_epi64(by_two[4 * i], by_two[4 * i + 2]);
        by_four[4 * i + 2] = _mm512_unpacklo_epi64(by_two[4 * i + 1], by_two[4 * i + 3]);
        by_four[4 * i + 3] = _mm512_unpackhi_epi64(by_two[4 * i + 1], by_two[4 * i + 3]);
    }
    const EVEN: i32 = 0x88;
    const ODD: i32 = 0xdd;
    for c in 0..4 {
        let even = _mm512_shuffle_i32x4::<EVEN>(by_four[c], by_four[4 + c]);
        let even_below = _mm512_shuffle_i32x4::<EVEN>(by_four[8 + c], by_four[12 + c]);
        let odd = _mm512_shuffle_i32x4::<ODD>(by_four[c], by_four[4 + c]);
        let odd_below = _mm512_shuffle_i32x4::<ODD>(by_four[8 + c], by_four[12 + c]);
        transposed[c] = _mm512_shuffle_i32x4::<EVEN>(even, even_below);
        transposed[4 + c] = _mm512_shuffle_i32x4::<EVEN>(odd, odd_below);
        transposed[8 + c] = _mm512_shuffle_i32x4::<ODD>(even, even_below);
        transposed[12 + c] = _mm512_shuffle_i32x4::<ODD>(odd, odd_below);
    }
    transposed
}
