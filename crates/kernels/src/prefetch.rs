//! Prefetches of cache lines: hints, which read nothing and never fault.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{_MM_HINT_ET0, _MM_HINT_T0, _MM_HINT_T1, _mm_prefetch};

/// Elements of a cache line.
const LINE: usize = 16;
/// Elements of a page: of a slice no more are prefetched, for behind them a processor follows by itself.
const PAGE: usize = 1024;

macro_rules! hint {
    ($address:expr, $hint:ident) => {{
        let _address: *const f32 = $address;
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a hint that neither reads nor faults, for any address.
        unsafe {
            _mm_prefetch::<{ $hint }>(_address.cast());
        }
    }};
}

/// Prefetches the cache line of any address into L2.
#[inline(always)]
pub(crate) fn line_into_l2(address: *const f32) {
    hint!(address, _MM_HINT_T1);
}

/// Prefetches what will be read into L2.
#[inline(always)]
pub(crate) fn into_l2(from: *const f32, len: usize) {
    (0..len).step_by(LINE).for_each(|at| line_into_l2(from.wrapping_add(at)));
}

/// Prefetches what will be read next into L1.
#[inline(always)]
pub(crate) fn to_read(next: &[f32]) {
    for at in (0..next.len().min(PAGE)).step_by(LINE) {
        hint!(next.as_ptr().wrapping_add(at), _MM_HINT_T0);
    }
}

/// Prefetches the cache line of any address that will be written into L1.
#[inline(always)]
pub(crate) fn line_to_write(address: *const f32) {
    hint!(address, _MM_HINT_ET0);
}

/// Prefetches what will be written next into L1, with ownership: otherwise a store first has to fetch the line.
#[inline(always)]
pub(crate) fn to_write(next: *const f32, len: usize) {
    for at in (0..len.min(PAGE)).step_by(LINE) {
        line_to_write(next.wrapping_add(at));
    }
}

/// `to_write` for planes that are `stride` apart. Does nothing if that is a multiple of a page: the planes' lines then
/// share a set of L1, which has fewer ways than there are planes.
pub(crate) fn planes_to_write(next: &[f32], stride: usize, planes: usize, len: usize) {
    if !stride.is_multiple_of(PAGE) {
        next.chunks(stride).take(planes).for_each(|plane| to_write(plane.as_ptr(), len));
    }
}
