//! Copies of a few adjacent elements. With `memcpy` or scalar loops, these would take as long as the product itself.

use pulp::{MemMask, Simd};

/// Copies the first `count` elements of rows that are `pitch` apart: copies everything at once, then sets what is
/// between the rows to zero.
///
/// # Safety
/// The rows exist, and have room.
#[inline(always)]
pub(super) unsafe fn copy_shifted<S: Simd>(
    simd: S,
    from: *const f32,
    to: *mut f32,
    [rows, pitch]: [usize; 2],
    count: usize,
) {
    let len = (rows * pitch).saturating_sub(pitch - count);
    // SAFETY: as promised by the caller.
    unsafe {
        copy_masked(simd, from, to, len, simd.mask_between_m32s(0, (len % S::F32_LANES) as u32));
        for y in 1..rows {
            (count..pitch).for_each(|x| *to.add((y - 1) * pitch + x) = 0.0);
        }
    }
}

/// Copies elements: whole vectors, then the rest by the mask.
///
/// # Safety
/// The elements exist, and do not overlap.
#[inline(always)]
pub(super) unsafe fn copy_masked<S: Simd>(simd: S, from: *const f32, to: *mut f32, len: usize, rest: MemMask<S::m32s>) {
    let whole = len / S::F32_LANES * S::F32_LANES;
    // SAFETY: as promised by the caller.
    unsafe {
        for at in (0..whole).step_by(S::F32_LANES) {
            to.add(at).cast::<S::f32s>().write_unaligned(from.add(at).cast::<S::f32s>().read_unaligned());
        }
        if whole < len {
            simd.mask_store_ptr_f32s(rest, to.add(whole), simd.mask_load_ptr_f32s(rest, from.add(whole)));
        }
    }
}

/// Copies the first or the second element of each pair, in blocks. The last block may overlap the one before.
///
/// # Safety
/// The pairs exist, and `to` has room.
#[inline(always)]
pub(super) unsafe fn copy_of_pairs<const WHICH: usize>(from: *const f32, to: *mut f32, pairs: usize) {
    macro_rules! blocks {
        ($n:literal) => {
            for at in (0..pairs).step_by($n) {
                let at = at.min(pairs - $n);
                // SAFETY: as promised by the caller.
                unsafe {
                    let block = from.add(2 * at).cast::<[f32; 2 * $n]>().read_unaligned();
                    let elements: [f32; $n] = std::array::from_fn(|i| block[2 * i + WHICH]);
                    to.add(at).cast::<[f32; $n]>().write_unaligned(elements);
                }
            }
        };
    }
    match pairs {
        0..4 => blocks!(1),
        4..8 => blocks!(4),
        8..16 => blocks!(8),
        _ => blocks!(16),
    }
}

/// Copies a few elements: whole vectors, then shorter and shorter parts of the rest.
///
/// # Safety
/// The elements exist, and do not overlap.
#[inline(always)]
pub(super) unsafe fn copy<S: Simd>(from: *const f32, to: *mut f32, len: usize) {
    let mut at = 0;
    // SAFETY: as promised by the caller.
    unsafe {
        while at + S::F32_LANES <= len {
            let vector = from.add(at).cast::<S::f32s>().read_unaligned();
            to.add(at).cast::<S::f32s>().write_unaligned(vector);
            at += S::F32_LANES;
        }
        macro_rules! part {
            ($($n:literal)+) => {$(
                while len - at >= $n {
                    to.add(at).cast::<[f32; $n]>().write_unaligned(from.add(at).cast::<[f32; $n]>().read_unaligned());
                    at += $n;
                }
            )+};
        }
        part!(8 4 2 1);
    }
}

/// Sets elements to zero, by whole vectors that may overlap if there are enough elements for one.
///
/// # Safety
/// The elements exist.
#[inline(always)]
pub(super) unsafe fn zero<S: Simd>(simd: S, to: *mut f32, len: usize) {
    // SAFETY: as promised by the caller.
    unsafe {
        if len < S::F32_LANES {
            return (0..len).for_each(|i| *to.add(i) = 0.0);
        }
        for at in (0..len).step_by(S::F32_LANES) {
            let at = at.min(len - S::F32_LANES);
            to.add(at).cast::<S::f32s>().write_unaligned(simd.splat_f32s(0.0));
        }
    }
}

/// Interleaves the elements of two runs.
///
/// # Safety
/// Each has half of `len` elements, rounded up, and `to` has room.
#[inline(always)]
pub(super) unsafe fn interleave(from: [*const f32; 2], to: *mut f32, len: usize) {
    let mut done = 0;
    // SAFETY: as promised by the caller.
    unsafe {
        macro_rules! blocks {
            ($($n:literal)+) => {$(
                while len - done >= 2 * $n {
                    let [a, b] = from.map(|run| run.add(done / 2).cast::<[f32; $n]>().read_unaligned());
                    let pairs: [f32; 2 * $n] = std::array::from_fn(|i| if i % 2 == 0 { a[i / 2] } else { b[i / 2] });
                    to.add(done).cast::<[f32; 2 * $n]>().write_unaligned(pairs);
                    done += 2 * $n;
                }
            )+};
        }
        blocks!(16 4 1);
        (done..len).for_each(|i| *to.add(i) = *from[i % 2].add(i / 2));
    }
}
