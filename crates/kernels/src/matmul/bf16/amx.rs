//! The microkernel of AMX-BF16. `tdpbf16ps` multiplies a tile of A (16 rows, 16 pairs) by one of B (16 pairs, 16
//! columns) and adds the product to a tile of C, each 1 KiB:
//!
//! ```text
//!                   packed B, 16 pairs of steps
//!                     | tmm6 | tmm7 |
//!  packed A  | tmm4 | | tmm0 | tmm1 |
//!            | tmm5 | | tmm2 | tmm3 |    c += a b
//! ```
//!
//! Tiles of C can be stored only as they are. So if C is not whole tiles, or a bias, ReLU or what C holds is added, the
//! sums first go to a buffer in L1. Each step prefetches a part of the next block of B: without that, products by
//! packed weights take 1.5 to 2 times as long.

use super::amx_unit::{SIDE, configure, release};
use super::avx512::write_tile;
use super::gemm::{Kernel, Tile};
use std::arch::asm;
use std::arch::x86_64::*;
use std::mem::MaybeUninit;
use std::ptr::null;

/// The number of tiles side by side in a panel.
const VECTORS: usize = 4;

/// A block of a panel of B has 64 KiB and stays in L2.
pub static KERNEL: Kernel = Kernel {
    kc: 512,
    nr: VECTORS * SIDE,
    unit_of_pairs: SIDE,
    rows_of_tile: |_| 2 * SIDE,
    tiles_of_part: 2,
    // One prefetch in each step, which multiplies two tiles side by side.
    prefetches: |pairs| pairs / SIDE * VECTORS / 2,
    enter: configure,
    leave: release,
    compute: |rows, vectors, tile| {
        // SAFETY: as promised by the caller.
        unsafe {
            match rows.div_ceil(SIDE) {
                1 => compute::<1>(rows, vectors, tile),
                2 => compute::<2>(rows, vectors, tile),
                rows => unreachable!("no {rows} tiles below each other"),
            }
        }
    },
};

/// A buffer for the sums of 2 x 2 tiles, row after row.
#[repr(align(64))]
struct Sums([MaybeUninit<f32>; 4 * SIDE * SIDE]);

/// Computes R x `vectors` tiles of C, the last of which may be in part.
///
/// # Safety
/// As in `Kernel::compute`; A and B must have that many whole tiles.
unsafe fn compute<const R: usize>(rows: usize, vectors: usize, mut tile: Tile) {
    for first in (0..vectors).step_by(2) {
        // SAFETY: as promised by the caller.
        unsafe {
            if first + 1 < vectors {
                compute_part::<R, 2>(rows, vectors, first, &mut tile);
            } else {
                compute_part::<R, 1>(rows, vectors, first, &mut tile);
            }
        }
    }
}

/// Computes R x V of these tiles, beginning with column `first`.
///
/// # Safety
/// As in `compute`.
#[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
unsafe fn compute_part<const R: usize, const V: usize>(rows: usize, vectors: usize, first: usize, tile: &mut Tile) {
    let mut sums = Sums([const { MaybeUninit::uninit() }; _]);
    let sums: *mut f32 = sums.0.as_mut_ptr().cast();
    let (first, width, kp) = (first * SIDE, vectors * SIDE, tile.kp);
    let (a, b) = (tile.a, tile.b.wrapping_add(first));
    let steps = (0..kp / SIDE).map(|step| {
        tile.prefetch.issue();
        let b = b.wrapping_add(step * SIDE * width);
        (a.wrapping_add(step * SIDE), [b, b.wrapping_add(SIDE)])
    });
    let strides = Strides { a: kp, below: SIDE * kp, b: width, c: V * SIDE };
    let is_whole = rows == R * SIDE && tile.columns >= first + V * SIDE;
    let is_plain = !tile.accumulate && tile.bias.is_null() && !tile.relu;
    // SAFETY: as promised by the caller; there are R rows of V tiles of sums.
    unsafe {
        if let (true, true, Ok(c)) = (is_whole, is_plain, usize::try_from(tile.rs_c)) {
            return multiply::<R, V>(steps, Strides { c, ..strides }, Start::Zeros, tile.c.add(first));
        }
        multiply::<R, V>(steps, strides, Start::Zeros, sums);
        let bias = if tile.bias.is_null() { null() } else { tile.bias.add(first) };
        let part = Tile { c: tile.c.add(first), columns: (tile.columns - first).min(V * SIDE), bias, ..*tile };
        for i in 0..rows {
            let mut row = [[_mm512_setzero_ps(); V]];
            for (j, vector) in row[0].iter_mut().enumerate() {
                *vector = _mm512_load_ps(sums.add((i * V + j) * SIDE));
            }
            write_tile(row, &Tile { c: part.c.offset(i as isize * tile.rs_c), ..part });
        }
    }
}

/// The distances between the rows of a tile, for each operand, and (`below`) between a tile of A and the one below it,
/// in elements.
#[derive(Clone, Copy)]
pub struct Strides {
    pub a: usize,
    pub below: usize,
    pub b: usize,
    pub c: usize,
}

/// Where sums start.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Zeros,
    /// At the values that C holds.
    Sums,
}

/// Computes R x V tiles of C. A step is the address of a tile of A and the addresses of V tiles of B: it multiplies
/// that tile of A and, if R is 2, the one below it by each of B's.
///
/// # Safety
/// This thread has called `amx_unit::configure`; addresses and strides stay inside the operands, and nobody else
/// accesses C.
#[inline(always)]
pub unsafe fn multiply<const R: usize, const V: usize>(
    steps: impl Iterator<Item = (*const u32, [*const u32; 2])>,
    strides: Strides,
    start: Start,
    c: *mut f32,
) {
    // Tile registers keep their values from one `asm!` to the next, because nothing else uses them.
    macro_rules! with_tiles {
        ([$($line:literal)*] $($operand:tt)*) => {
            asm!(
                $($line,)*
                $($operand)*
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            )
        };
    }
    macro_rules! with_sums {
        ([$($line:literal)*]) => {
            with_tiles!(
                [$($line)* "/* {below} */"]
                c = in(reg) c,
                below = in(reg) c.wrapping_add(SIDE * strides.c),
                rs = in(reg) 4 * strides.c,
            )
        };
    }
    macro_rules! run {
        ([$($zero:literal)*] [$($load:literal)*] [$($step:literal)*] [$($store:literal)*]) => {{
            match start {
                Start::Zeros => with_tiles!([$($zero)*]),
                Start::Sums => with_sums!([$($load)*]),
            }
            for (a, [b, beside]) in steps {
                with_tiles!(
                    [$($step)* "/* {below} {beside} */"]
                    a = in(reg) a,
                    below = in(reg) a.wrapping_add(strides.below),
                    rs_a = in(reg) 4 * strides.a,
                    b = in(reg) b,
                    beside = in(reg) beside,
                    rs_b = in(reg) 4 * strides.b,
                );
            }
            with_sums!([$($store)*]);
        }};
    }
    // SAFETY: as promised by the caller.
    unsafe {
        match (R, V) {
            (1, 1) => run!(
                ["tilezero tmm0"]
                ["tileloadd tmm0, [{c} + {rs}]"]
                [
                    "tileloadd tmm6, [{b} + {rs_b}]"
                    "tileloadd tmm4, [{a} + {rs_a}]"
                    "tdpbf16ps tmm0, tmm4, tmm6"
                ]
                ["tilestored [{c} + {rs}], tmm0"]
            ),
            (1, 2) => run!(
                ["tilezero tmm0" "tilezero tmm1"]
                ["tileloadd tmm0, [{c} + {rs}]" "tileloadd tmm1, [{c} + {rs} + 64]"]
                [
                    "tileloadd tmm6, [{b} + {rs_b}]"
                    "tileloadd tmm4, [{a} + {rs_a}]"
                    "tdpbf16ps tmm0, tmm4, tmm6"
                    "tileloadd tmm7, [{beside} + {rs_b}]"
                    "tdpbf16ps tmm1, tmm4, tmm7"
                ]
                ["tilestored [{c} + {rs}], tmm0" "tilestored [{c} + {rs} + 64], tmm1"]
            ),
            (2, 1) => run!(
                ["tilezero tmm0" "tilezero tmm2"]
                ["tileloadd tmm0, [{c} + {rs}]" "tileloadd tmm2, [{below} + {rs}]"]
                [
                    "tileloadd tmm6, [{b} + {rs_b}]"
                    "tileloadd tmm4, [{a} + {rs_a}]"
                    "tdpbf16ps tmm0, tmm4, tmm6"
                    "tileloadd tmm5, [{below} + {rs_a}]"
                    "tdpbf16ps tmm2, tmm5, tmm6"
                ]
                ["tilestored [{c} + {rs}], tmm0" "tilestored [{below} + {rs}], tmm2"]
            ),
            (2, 2) => run!(
                ["tilezero tmm0" "tilezero tmm1" "tilezero tmm2" "tilezero tmm3"]
                [
                    "tileloadd tmm0, [{c} + {rs}]"
                    "tileloadd tmm1, [{c} + {rs} + 64]"
                    "tileloadd tmm2, [{below} + {rs}]"
                    "tileloadd tmm3, [{below} + {rs} + 64]"
                ]
                [
                    "tileloadd tmm6, [{b} + {rs_b}]"
                    "tileloadd tmm4, [{a} + {rs_a}]"
                    "tdpbf16ps tmm0, tmm4, tmm6"
                    "tileloadd tmm7, [{beside} + {rs_b}]"
                    "tdpbf16ps tmm1, tmm4, tmm7"
                    "tileloadd tmm5, [{below} + {rs_a}]"
                    "tdpbf16ps tmm2, tmm5, tmm6"
                    "tdpbf16ps tmm3, tmm5, tmm7"
                ]
                [
                    "tilestored [{c} + {rs}], tmm0"
                    "tilestored [{c} + {rs} + 64], tmm1"
                    "tilestored [{below} + {rs}], tmm2"
                    "tilestored [{below} + {rs} + 64], tmm3"
                ]
            ),
            _ => unreachable!("there are four shapes"),
        }
    }
}
