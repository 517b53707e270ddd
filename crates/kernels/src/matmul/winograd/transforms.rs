//! What makes a tile, a kernel or a block of products of one size another: small matrices times vectors, element by
//! element. The polynomials behind them meet at 0, at +-sqrt(1/2), at +-sqrt(2) and at infinity: with these points the
//! error is a quarter of that with 0, +-1 and +-2 (Alam et al., 2022).

use super::{SIDE, TILE};
use pulp::Simd;
use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};

/// Kernels are of 3 x 3.
pub(super) const TAPS: usize = 3;

/// A vector of adjacent elements.
///
/// # Safety
/// They exist.
#[inline(always)]
pub(super) unsafe fn load<S: Simd>(from: *const f32) -> S::f32s {
    // SAFETY: as promised by the caller.
    unsafe { from.cast::<S::f32s>().read_unaligned() }
}

/// Writes a vector.
///
/// # Safety
/// There is room.
#[inline(always)]
pub(super) unsafe fn store<S: Simd>(to: *mut f32, x: S::f32s) {
    // SAFETY: as promised by the caller.
    unsafe { to.cast::<S::f32s>().write_unaligned(x) };
}

/// a * b + c for a number a.
#[inline(always)]
fn add_scaled<S: Simd>(simd: S, a: f32, b: S::f32s, c: S::f32s) -> S::f32s {
    simd.mul_add_f32s(simd.splat_f32s(a), b, c)
}

/// The values at x and -x of a polynomial, from its even part and its odd part, which is a number times the last.
#[inline(always)]
fn pair<S: Simd>(simd: S, even: S::f32s, x: f32, odd: S::f32s) -> [S::f32s; 2] {
    [add_scaled(simd, x, odd, even), add_scaled(simd, -x, odd, even)]
}

/// A product of a small matrix and a column of FROM elements, of which it makes TO.
pub(super) trait Transform<const FROM: usize, const TO: usize> {
    fn column<S: Simd>(simd: S, column: [S::f32s; FROM]) -> [S::f32s; TO];
}

/// G g for a column g.
pub(super) struct OfTaps;

impl Transform<TAPS, SIDE> for OfTaps {
    #[inline(always)]
    fn column<S: Simd>(simd: S, [a, b, c]: [S::f32s; TAPS]) -> [S::f32s; SIDE] {
        let scaled = |by: f32, x: S::f32s| simd.mul_f32s(simd.splat_f32s(by), x);
        let [near, minus_near] = pair(simd, scaled(-2.0 / 3.0, add_scaled(simd, 0.5, c, a)), -SQRT_2 / 3.0, b);
        let [far, minus_far] = pair(simd, scaled(1.0 / 3.0, add_scaled(simd, 0.5, a, c)), SQRT_2 / 6.0, b);
        [a, near, minus_near, far, minus_far, c]
    }
}

/// G^T q for a column q.
pub(super) struct ToTaps;

impl Transform<SIDE, TAPS> for ToTaps {
    #[inline(always)]
    fn column<S: Simd>(simd: S, [a, near, minus_near, far, minus_far, f]: [S::f32s; SIDE]) -> [S::f32s; TAPS] {
        let (near, odd_near) = (simd.add_f32s(near, minus_near), simd.sub_f32s(near, minus_near));
        let (far, odd_far) = (simd.add_f32s(far, minus_far), simd.sub_f32s(far, minus_far));
        let odd = add_scaled(simd, -2.0, odd_near, odd_far);
        [
            add_scaled(simd, -2.0 / 3.0, near, add_scaled(simd, 1.0 / 6.0, far, a)),
            simd.mul_f32s(simd.splat_f32s(SQRT_2 / 6.0), odd),
            add_scaled(simd, 1.0 / 3.0, simd.sub_f32s(far, near), f),
        ]
    }
}

/// B^T d for a column d.
pub(super) struct OfSource;

impl Transform<SIDE, SIDE> for OfSource {
    #[inline(always)]
    fn column<S: Simd>(simd: S, [a, b, c, d, e, f]: [S::f32s; SIDE]) -> [S::f32s; SIDE] {
        let (even, odd) = (add_scaled(simd, -2.0, c, e), add_scaled(simd, -2.0, b, d));
        let [near, minus_near] = pair(simd, even, FRAC_1_SQRT_2, odd);
        let (even, odd) = (add_scaled(simd, -0.5, c, e), add_scaled(simd, -0.5, b, d));
        let [far, minus_far] = pair(simd, even, SQRT_2, odd);
        let (first, last) = (simd.add_f32s(a, e), simd.add_f32s(b, f));
        [add_scaled(simd, -2.5, c, first), near, minus_near, far, minus_far, add_scaled(simd, -2.5, d, last)]
    }
}

/// A y for a column y.
pub(super) struct OfOutputs;

impl Transform<TILE, SIDE> for OfOutputs {
    #[inline(always)]
    fn column<S: Simd>(simd: S, [a, b, c, d]: [S::f32s; TILE]) -> [S::f32s; SIDE] {
        let [near, minus_near] = pair(simd, add_scaled(simd, 0.5, c, a), FRAC_1_SQRT_2, add_scaled(simd, 0.5, d, b));
        let [far, minus_far] = pair(simd, add_scaled(simd, 2.0, c, a), SQRT_2, add_scaled(simd, 2.0, d, b));
        [a, near, minus_near, far, minus_far, d]
    }
}

/// A^T p for a column p.
pub(super) struct ToOutputs;

impl Transform<SIDE, TILE> for ToOutputs {
    #[inline(always)]
    fn column<S: Simd>(simd: S, [a, near, minus_near, far, minus_far, f]: [S::f32s; SIDE]) -> [S::f32s; TILE] {
        let (near, odd_near) = (simd.add_f32s(near, minus_near), simd.sub_f32s(near, minus_near));
        let (far, odd_far) = (simd.add_f32s(far, minus_far), simd.sub_f32s(far, minus_far));
        let scaled = |by: f32, x: S::f32s| simd.mul_f32s(simd.splat_f32s(by), x);
        [
            simd.add_f32s(a, simd.add_f32s(near, far)),
            scaled(FRAC_1_SQRT_2, add_scaled(simd, 2.0, odd_far, odd_near)),
            add_scaled(simd, 2.0, far, scaled(0.5, near)),
            add_scaled(simd, SQRT_2 / 4.0, add_scaled(simd, 8.0, odd_far, odd_near), f),
        ]
    }
}

/// Transforms the columns of a matrix of $from x $from vectors, then the rows, which makes it $to x $to: B^T d B, G g
/// G^T and so on.
macro_rules! both_axes {
    ($simd:expr, $transform:ty, $from:expr => $to:expr, |$i:ident, $j:ident| $read:expr, |$k:ident, $l:ident, $x:ident| $write:expr) => {{
        // Counted loops, which are unrolled: the elements stay in registers, as far as there are enough.
        let zero = $simd.splat_f32s(0.0);
        let mut columns = [[zero; $to]; $from];
        for $j in 0..$from {
            let mut column = [zero; $from];
            for $i in 0..$from {
                column[$i] = $read;
            }
            columns[$j] = <$transform as Transform<{ $from }, { $to }>>::column($simd, column);
        }
        for $k in 0..$to {
            let mut row = [zero; $from];
            for j in 0..$from {
                row[j] = columns[j][$k];
            }
            let row = <$transform as Transform<{ $from }, { $to }>>::column($simd, row);
            for $l in 0..$to {
                let $x = row[$l];
                $write;
            }
        }
    }};
}
pub(super) use both_axes;
