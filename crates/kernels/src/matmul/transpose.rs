//! Transposes blocks of 8 x 8 or, with AVX-512, of 16 x 16 in registers, for packing a transposed B, writing a
//! transposed C and Winograd's tiles.

use pulp::{Arch, Simd, WithSimd};

/// The side of a block.
pub(super) const SIDE: usize = 8;
/// The side of the smaller blocks at the edges.
const HALF: usize = SIDE / 2;
/// The most rows that are interleaved: one for each lane.
pub(crate) const LANES: usize = 16;

/// to[j][i] = from[i * stride + j] for i < rows; the other lanes become 0.
pub(crate) fn interleave(from: &[f32], stride: usize, rows: usize, to: &mut [[f32; LANES]]) {
    let len = to.len();
    assert!(rows <= LANES && (rows == 0 || (rows - 1) * stride + len <= from.len()));
    if rows < LANES {
        to.iter_mut().for_each(|lanes| lanes[rows..].fill(0.0));
    }
    let to = to.as_mut_ptr().cast();
    Arch::new().dispatch(Transpose { from: from.as_ptr(), rs_from: stride, size: [rows, len], to, rs_to: LANES });
}

/// to[i * stride + j] = from[j][i] for i < rows.
pub(crate) fn deinterleave(from: &[[f32; LANES]], to: &mut [f32], stride: usize, rows: usize) {
    let len = from.len();
    assert!(rows <= LANES && (rows == 0 || (rows - 1) * stride + len <= to.len()));
    let (from, to) = (from.as_ptr().cast(), to.as_mut_ptr());
    Arch::new().dispatch(Transpose { from, rs_from: LANES, size: [len, rows], to, rs_to: stride });
}

/// to[j][i] = from[i * stride + j] for i < rows.
pub(crate) fn transpose(from: &[f32], stride: usize, rows: usize, to: &mut [f32]) {
    let columns = to.len() / rows;
    assert!(to.len() == rows * columns && (rows - 1) * stride + columns <= from.len());
    let (from, to) = (from.as_ptr(), to.as_mut_ptr());
    Arch::new().dispatch(Transpose { from, rs_from: stride, size: [rows, columns], to, rs_to: rows });
}

/// to[j * rs_to + i] = from[i * rs_from + j] for a whole matrix, which both pointers reach.
struct Transpose {
    from: *const f32,
    rs_from: usize,
    size: [usize; 2],
    to: *mut f32,
    rs_to: usize,
}

impl WithSimd for Transpose {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        // SAFETY: whoever constructs `Transpose` has checked that the matrix lies inside of both arrays.
        unsafe { matrix::<S>(self.from, self.rs_from, self.size, self.to, self.rs_to) };
    }
}

/// to[j * rs_to + i] = from[i * rs_from + j] for i < rows and j < columns.
///
/// # Safety
/// Both matrices lie in memory that may be read and written.
#[inline(always)]
pub(super) unsafe fn matrix<S: Simd>(
    from: *const f32,
    rs_from: usize,
    [rows, columns]: [usize; 2],
    to: *mut f32,
    rs_to: usize,
) {
    #[cfg(target_arch = "x86_64")]
    if S::F32_LANES >= LANES {
        for i in (0..rows).step_by(LANES) {
            for j in (0..columns).step_by(LANES) {
                let size @ [rows, columns] = [LANES.min(rows - i), LANES.min(columns - j)];
                let (from, to) = (from.wrapping_add(i * rs_from + j), to.wrapping_add(j * rs_to + i));
                // SAFETY: the block lies inside the matrices, and vectors of sixteen lanes imply AVX-512.
                unsafe {
                    if rows == LANES && columns == LANES {
                        avx512(from, rs_from, to, rs_to);
                    } else {
                        blocks::<S>(from, rs_from, size, to, rs_to);
                    }
                }
            }
        }
        return;
    }
    // SAFETY: as promised by the caller.
    unsafe { blocks::<S>(from, rs_from, [rows, columns], to, rs_to) };
}

/// The same by blocks of 8 x 8.
///
/// # Safety
/// As `matrix`.
#[inline(always)]
unsafe fn blocks<S: Simd>(from: *const f32, rs_from: usize, [rows, columns]: [usize; 2], to: *mut f32, rs_to: usize) {
    for i in (0..rows).step_by(SIDE) {
        for j in (0..columns).step_by(SIDE) {
            let (rows, columns) = (SIDE.min(rows - i), SIDE.min(columns - j));
            let (from, to) = (from.wrapping_add(i * rs_from + j), to.wrapping_add(j * rs_to + i));
            // SAFETY: the block lies inside the matrices.
            unsafe {
                if rows == SIDE && columns == SIDE {
                    block::<S>(from, rs_from as isize, to, rs_to as isize);
                } else {
                    rest(from, rs_from, [rows, columns], to, rs_to);
                }
            }
        }
    }
}

/// Transposes a block smaller than 8 x 8.
///
/// # Safety
/// As `matrix`.
#[inline(always)]
unsafe fn rest(from: *const f32, rs_from: usize, [rows, columns]: [usize; 2], to: *mut f32, rs_to: usize) {
    for i in (0..rows).step_by(HALF) {
        for j in (0..columns).step_by(HALF) {
            let (rows, columns) = (HALF.min(rows - i), HALF.min(columns - j));
            // SAFETY: as promised by the caller.
            unsafe {
                let (from, to) = (from.add(i * rs_from + j), to.add(j * rs_to + i));
                if rows == HALF && columns == HALF {
                    half(from, rs_from, to, rs_to);
                    continue;
                }
                for i in 0..rows {
                    for j in 0..columns {
                        *to.add(j * rs_to + i) = *from.add(i * rs_from + j);
                    }
                }
            }
        }
    }
}

/// A block of 4 x 4.
///
/// # Safety
/// As `matrix`.
#[inline(always)]
unsafe fn half(from: *const f32, rs_from: usize, to: *mut f32, rs_to: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::*;
        // SAFETY: as promised by the caller; each processor of this architecture has SSE.
        unsafe {
            let row = |i: usize| _mm_loadu_ps(from.add(i * rs_from));
            let [mut a, mut b, mut c, mut d] = [row(0), row(1), row(2), row(3)];
            _MM_TRANSPOSE4_PS(&mut a, &mut b, &mut c, &mut d);
            for (j, column) in [a, b, c, d].into_iter().enumerate() {
                _mm_storeu_ps(to.add(j * rs_to), column);
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    for i in 0..HALF {
        for j in 0..HALF {
            // SAFETY: as promised by the caller.
            unsafe { *to.add(j * rs_to + i) = *from.add(i * rs_from + j) };
        }
    }
}

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

/// to[j][i] = from[i][j] for a block of 16 x 16, each of whose lines is read once and written once.
///
/// # Safety
/// As `block`, on a processor with AVX-512.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn avx512(from: *const f32, rs_from: usize, to: *mut f32, rs_to: usize) {
    use std::arch::x86_64::*;
    // SAFETY: as promised by the caller.
    let rows: [__m512; LANES] = std::array::from_fn(|i| unsafe { _mm512_loadu_ps(from.add(i * rs_from)) });
    let mut fours = rows;
    for (rows, fours) in rows.chunks_exact(4).zip(fours.chunks_exact_mut(4)) {
        let (a, b) = (_mm512_unpacklo_ps(rows[0], rows[1]), _mm512_unpacklo_ps(rows[2], rows[3]));
        let (c, d) = (_mm512_unpackhi_ps(rows[0], rows[1]), _mm512_unpackhi_ps(rows[2], rows[3]));
        fours[0] = _mm512_shuffle_ps::<0x44>(a, b);
        fours[1] = _mm512_shuffle_ps::<0xee>(a, b);
        fours[2] = _mm512_shuffle_ps::<0x44>(c, d);
        fours[3] = _mm512_shuffle_ps::<0xee>(c, d);
    }
    for j in 0..4 {
        // Four elements of columns j, j + 4, j + 8 and j + 12 in each.
        let [a, b, c, d] = [0, 4, 8, 12].map(|i| fours[i + j]);
        let (low, high) = (_mm512_shuffle_f32x4::<0x44>(a, b), _mm512_shuffle_f32x4::<0x44>(c, d));
        let (low_behind, high_behind) = (_mm512_shuffle_f32x4::<0xee>(a, b), _mm512_shuffle_f32x4::<0xee>(c, d));
        let columns = [
            _mm512_shuffle_f32x4::<0x88>(low, high),
            _mm512_shuffle_f32x4::<0xdd>(low, high),
            _mm512_shuffle_f32x4::<0x88>(low_behind, high_behind),
            _mm512_shuffle_f32x4::<0xdd>(low_behind, high_behind),
        ];
        for (i, column) in columns.into_iter().enumerate() {
            // SAFETY: as promised by the caller.
            unsafe { _mm512_storeu_ps(to.add((4 * i + j) * rs_to), column) };
        }
    }
}
