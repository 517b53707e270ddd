//! The innermost loop: a microtile of C in registers while k runs.
//!
//! ```text
//!                     packed B: per step one row of up to NR columns
//!                    | v0 | v1 | v2 | v3 |
//!  A, in place:  a0  | c  | c  | c  | c  |
//!  per step one  a1  | c  | c  | c  | c  |    c += broadcast(a_i) * v_j
//!  element of     .  |    |    |    |    |
//!  each row      a5  | c  | c  | c  | c  |
//! ```

use super::epilogue::TileEpilogue;
use super::mat::{MatRef, vector};
use super::params::{LINE, MR, MR_NARROW, NR_VECTORS, nr_vectors};
use super::prefetch::Prefetch;
use pulp::Simd;

/// Evaluates an expression with the size of a microtile as the constants R and V: any size up to the full ones, or with
/// `wide` only those of up to MR rows.
macro_rules! by_size {
    (wide $rows:expr, $vectors:expr, |$R:ident, $V:ident| $run:expr) => {
        by_size!(@ $rows, $vectors, $R, $V, $run; 6: 1 2 3 4; 5: 1 2 3 4; 4: 1 2 3 4; 3: 1 2 3 4; 2: 1 2 3 4; 1: 1 2 3 4;)
    };
    ($rows:expr, $vectors:expr, |$R:ident, $V:ident| $run:expr) => {
        if $rows > $crate::matmul::params::MR {
            by_size!(@ $rows, $vectors, $R, $V, $run; 12: 1 2; 11: 1 2; 10: 1 2; 9: 1 2; 8: 1 2; 7: 1 2;)
        } else {
            by_size!(wide $rows, $vectors, |$R, $V| $run)
        }
    };
    (@ $rows:expr, $vectors:expr, $R:ident, $V:ident, $run:expr; $($r:literal: $($v:literal)+;)+) => {
        match ($rows, $vectors) {
            $($(($r, $v) => {
                const $R: usize = $r;
                const $V: usize = $v;
                $run
            })+)+
            (rows, vectors) => unreachable!("no microtile has {rows} rows of {vectors} vectors"),
        }
    };
}
pub(super) use by_size;
const _: () = assert!(MR == 6 && MR_NARROW == 12 && NR_VECTORS == 4, "the sizes above are all there are");

/// The operands of a microtile, and where its sums go.
#[derive(Clone, Copy)]
pub(super) struct MicroTile {
    /// The number of steps over k.
    pub kc: usize,
    /// The number of steps in a partial sum (`params::kc_sum`).
    pub kc_sum: usize,
    /// The rows of A, from the first step on.
    pub a: MatRef,
    /// A panel of packed B: for each step its columns, as whole vectors.
    pub b: *const f32,
    /// The first row of C.
    pub c: *mut f32,
    /// The distance from one row of C to the next.
    pub rs_c: isize,
    /// Whether the sums are added to what C holds (beta = 1 in BLAS) or replace it.
    pub accumulate: bool,
    /// What to prefetch meanwhile.
    pub prefetch: Prefetch,
    /// What is applied to the sums when they are complete.
    pub epilogue: TileEpilogue,
}

/// Computes a microtile of any size up to the full one, and applies its epilogue.
///
/// # Safety
/// The pointers must cover what the size of the tile, `kc` and the strides say, and nobody else may access `c`.
#[inline(always)]
pub(super) unsafe fn compute<S: Simd>(simd: S, rows: usize, vectors: usize, tile: MicroTile) {
    debug_assert!(vectors <= nr_vectors::<S>());
    // SAFETY: as promised by the caller.
    by_size!(rows, vectors, |R, V| unsafe { run::<S, R, V>(simd, tile) });
    // SAFETY: as promised by the caller.
    unsafe { tile.epilogue.apply(simd, rows, vectors, tile.c, tile.rs_c) };
}

/// Computes a microtile of R rows and V vectors of columns.
///
/// # Safety
/// As `compute`.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "counted loops are unrolled, which keeps the sums in registers")]
unsafe fn run<S: Simd, const R: usize, const V: usize>(simd: S, tile: MicroTile) {
    let MicroTile { a: MatRef { mut ptr, rs, cs }, c, rs_c, .. } = tile;
    let (mut b, mut prefetch) = (tile.b, tile.prefetch);
    let (mut left, mut accumulate) = (tile.kc, tile.accumulate);
    // SAFETY: the caller's promise covers every element that is read or written; a prefetch does neither.
    unsafe {
        loop {
            let steps = left.min(tile.kc_sum);
            let mut sums = [[simd.splat_f32s(0.0); V]; R];
            for start in (0..steps).step_by(LINE) {
                prefetch.issue();
                for _ in start..steps.min(start + LINE) {
                    let mut columns = [simd.splat_f32s(0.0); V];
                    for j in 0..V {
                        columns[j] = vector::<S>(b, j).read_unaligned();
                    }
                    for i in 0..R {
                        let x = simd.splat_f32s(*ptr.offset(i as isize * rs));
                        for j in 0..V {
                            sums[i][j] = simd.mul_add_f32s(x, columns[j], sums[i][j]);
                        }
                    }
                    ptr = ptr.wrapping_offset(cs);
                    b = b.wrapping_add(V * S::F32_LANES);
                }
            }
            if accumulate {
                for i in 0..R {
                    for j in 0..V {
                        let before = vector::<S>(c.offset(i as isize * rs_c), j).read_unaligned();
                        sums[i][j] = simd.add_f32s(before, sums[i][j]);
                    }
                }
            }
            for i in 0..R {
                for j in 0..V {
                    vector::<S>(c.offset(i as isize * rs_c), j).cast_mut().write_unaligned(sums[i][j]);
                }
            }
            left -= steps;
            if left == 0 {
                break;
            }
            accumulate = true;
        }
    }
}
