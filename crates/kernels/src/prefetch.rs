//! Prefetches of cache lines: hints, which read nothing and never fault.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{_MM_HINT_ET0, _MM_HINT_T0, _MM_HINT_T1, _mm_prefetch};

/// Elements of a cache line.
const LINE: usize = 16;
/// Elements that are prefetched of a slice, at most, a page: behind it a processor follows by itself.
const AHEAD: usize = 1024;

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

/// A line of any address, into L2.
#[inline(always)]
pub(crate) fn line_into_l2(address: *const f32) {
    hint!(address, _MM_HINT_T1);
}

/// What will be read, into L2.
#[inline(always)]
pub(crate) fn into_l2(from: *const f32, len: usize) {
    (0..len).step_by(LINE).for_each(|at| line_into_l2(from.wrapping_add(at)));
}

/// What will be read next, into L1.
#[inline(always)]
pub(crate) fn to_read(next: &[f32]) {
    for at in (0..next.len().min(AHEAD)).step_by(LINE) {
        hint!(next.as_ptr().wrapping_add(at), _MM_HINT_T0);
    }
}

/// What will be written next, into L1, as its own: a store to a line that is elsewhere has to fetch it first.
#[inline(always)]
pub(crate) fn to_write(next: *const f32, len: usize) {
    for at in (0..len.min(AHEAD)).step_by(LINE) {
        hint!(next.wrapping_add(at), _MM_HINT_ET0);
    }
}
