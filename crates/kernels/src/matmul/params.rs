//! Block sizes, each with the registers or the cache that it is made for, and the length of partial sums.

use crate::parallel;
use pulp::Simd;

/// Rows of a full microtile. With 4 vectors of columns its 24 accumulators, the 4 vectors of B and the broadcast
/// element of A fit 32 registers, and 10 loads feed 24 multiply-adds.
pub(super) const MR: usize = 6;
/// The rows of a full microtile with at most half the columns. It has as many accumulators, which are needed to hide
/// the latency of a multiply-add.
pub(super) const MR_NARROW: usize = 12;
/// The most vectors of columns in a full microtile.
pub(super) const NR_VECTORS: usize = 4;
/// Columns of a full microtile with the widest vectors (AVX-512).
pub(super) const NR_MAX: usize = NR_VECTORS * 16;

/// The most steps over k that are packed at once: one panel of B (KC_MAX x NR = 512 KiB) leaves room for A in a 2 MiB
/// L2.
pub(super) const KC_MAX: usize = 2048;
/// Elements of a packed block of B (KC x NC), 1 MiB: half of a 2 MiB L2. NC follows from it and KC.
pub(super) const PACK_B_ELEMS: usize = 1 << 18;
/// The least steps over k in a packing task: each row of a transposed B is then read in 4 whole cache lines.
pub(super) const KC_TASK: usize = 64;

/// Multiply-adds below which a product is not worth a second thread: it takes less time than to wake one.
pub(super) const PARALLEL_MIN: usize = 1 << 19;
/// Tasks per thread, so that the others can take work from a thread that the operating system interrupts.
pub(super) const TASKS_PER_THREAD: usize = 4;

/// Tiles of rows per thread below which each thread packs B itself: with so few, packing a block together and waiting
/// for it costs more.
pub(super) const SHARED_TILES_MIN: usize = 8;
/// Tasks per thread if tasks pack B themselves. Each begins with a block that was not prefetched, so there are fewer.
pub(super) const PRIVATE_TASKS_PER_THREAD: usize = TASKS_PER_THREAD / 2;

/// Rows of C that are transposed together if C is column-major: 3 whole cache lines of each of its columns.
pub(super) const EDGE_ROWS: usize = 48;
/// Elements of a cache line.
pub(super) const LINE: usize = 16;

/// The longest run of k that is summed in one accumulator.
pub(super) const KC_SUM_MAX: usize = 384;

/// The length of the partial sums of a product over k: k if that is at most 384, half of k if at most 768, else 384.
/// MKL, which multiplies for PyTorch on x86, sums in the same runs: on one thread its products and ours have the same
/// bits.
#[inline(always)]
pub fn kc_sum(k: usize) -> usize {
    match k {
        0..=KC_SUM_MAX => k.max(1),
        k if k <= 2 * KC_SUM_MAX => k.div_ceil(2),
        _ => KC_SUM_MAX,
    }
}

/// The vectors of columns in a full microtile; half as many if the processor has only 16 vector registers.
pub(super) const fn nr_vectors<S: Simd>() -> usize {
    if S::REGISTER_COUNT < 32 { NR_VECTORS / 2 } else { NR_VECTORS }
}

/// Columns of a full microtile, and of a panel of packed B.
pub(super) const fn nr<S: Simd>() -> usize {
    nr_vectors::<S>() * S::F32_LANES
}

/// Rows of a full microtile of a product with n columns.
pub(super) const fn mr<S: Simd>(n: usize) -> usize {
    if n <= nr::<S>() / 2 { MR_NARROW } else { MR }
}

/// The threads for `work` multiply-adds.
pub(super) fn threads_for(work: usize) -> usize {
    if work < PARALLEL_MIN { 1 } else { parallel::threads() }
}
