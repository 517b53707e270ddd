//! Winograd's transforms: products of small constant matrices and vectors. The interpolation points are 0, +-sqrt(1/2),
//! +-sqrt(2) and infinity: with them the error is a quarter of that with 0, +-1 and +-2 (Alam et al., 2022).

use super::{SIDE, TAPS};
use pulp::Simd;
use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};

/// A vector of adjacent elements.
///
/// # Safety
/// A whole vector must be readable at `from`.
#[inline(always)]
pub(super) unsafe fn load<S: Simd>(from: *const f32) -> S::f32s {
    // SAFETY: as promised by the caller.
    unsafe { from.cast::<S::f32s>().read_unaligned() }
}

/// Writes a vector.
///
/// # Safety
/// A whole vector must be writable at `to`.
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

/// even + x * odd and even - x * odd: a polynomial at the points x and -x.
#[inline(always)]
fn pair<S: Simd>(simd: S, even: S::f32s, x: f32, odd: S::f32s) -> [S::f32s; 2] {
    [add_scaled(simd, x, odd, even), add_scaled(simd, -x, odd, even)]
}

/// The product of a small constant matrix and a column of FROM elements, which gives TO elements.
pub(super) trait Transform<const FROM: usize, const TO: usize> {
    fn column<S: Simd>(simd: S, column: [S::f32s; FROM]) -> [S::f32s; TO];
}

/// The transforms at all points but 0: those of F(4, 2), and the part that F(4, 3) shares with them.
mod without_zero {
    use super::*;

    #[inline(always)]
    pub fn of_taps<S: Simd>(simd: S, a: S::f32s, b: S::f32s) -> [S::f32s; 5] {
        let third = |by: f32| simd.mul_f32s(simd.splat_f32s(by / 3.0), b);
        let (near, far) = (third(-1.0), third(1.0));
        let [near, minus_near] = pair(simd, near, -SQRT_2 / 3.0, a);
        let [far, minus_far] = pair(simd, far, SQRT_2 / 6.0, a);
        [near, minus_near, far, minus_far, b]
    }

    #[inline(always)]
    pub fn of_source<S: Simd>(simd: S, [b, c, d, e, f]: [S::f32s; 5]) -> [S::f32s; 5] {
        let (even, odd) = (add_scaled(simd, -2.0, c, e), add_scaled(simd, -2.0, b, d));
        let [near, minus_near] = pair(simd, even, FRAC_1_SQRT_2, odd);
        let (even, odd) = (add_scaled(simd, -0.5, c, e), add_scaled(simd, -0.5, b, d));
        let [far, minus_far] = pair(simd, even, SQRT_2, odd);
        [near, minus_near, far, minus_far, add_scaled(simd, -2.5, d, simd.add_f32s(b, f))]
    }

    #[inline(always)]
    pub fn to_outputs<S: Simd>(simd: S, [near, minus_near, far, minus_far, f]: [S::f32s; 5]) -> [S::f32s; 4] {
        let (near, odd_near) = (simd.add_f32s(near, minus_near), simd.sub_f32s(near, minus_near));
        let (far, odd_far) = (simd.add_f32s(far, minus_far), simd.sub_f32s(far, minus_far));
        let scaled = |by: f32, x: S::f32s| simd.mul_f32s(simd.splat_f32s(by), x);
        [
            simd.add_f32s(near, far),
            scaled(FRAC_1_SQRT_2, add_scaled(simd, 2.0, odd_far, odd_near)),
            add_scaled(simd, 2.0, far, scaled(0.5, near)),
            add_scaled(simd, SQRT_2 / 4.0, add_scaled(simd, 8.0, odd_far, odd_near), f),
        ]
    }
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
        let [near, minus_near, far, minus_far, last] = without_zero::of_source(simd, [b, c, d, e, f]);
        [add_scaled(simd, -2.5, c, simd.add_f32s(a, e)), near, minus_near, far, minus_far, last]
    }
}

/// A y for a column y.
pub(super) struct OfOutputs;

impl Transform<4, SIDE> for OfOutputs {
    #[inline(always)]
    fn column<S: Simd>(simd: S, [a, b, c, d]: [S::f32s; 4]) -> [S::f32s; SIDE] {
        let [near, minus_near] = pair(simd, add_scaled(simd, 0.5, c, a), FRAC_1_SQRT_2, add_scaled(simd, 0.5, d, b));
        let [far, minus_far] = pair(simd, add_scaled(simd, 2.0, c, a), SQRT_2, add_scaled(simd, 2.0, d, b));
        [a, near, minus_near, far, minus_far, d]
    }
}

/// A^T p for a column p.
pub(super) struct ToOutputs;

impl Transform<SIDE, 4> for ToOutputs {
    #[inline(always)]
    fn column<S: Simd>(simd: S, [a, near, minus_near, far, minus_far, f]: [S::f32s; SIDE]) -> [S::f32s; 4] {
        let [first, b, c, d] = without_zero::to_outputs(simd, [near, minus_near, far, minus_far, f]);
        [simd.add_f32s(a, first), b, c, d]
    }
}

/// G g for a column g of a kernel with stride 2: F(4, 2) of the outer taps, then the middle tap.
pub(super) struct OfStridedTaps;

impl Transform<TAPS, SIDE> for OfStridedTaps {
    #[inline(always)]
    fn column<S: Simd>(simd: S, [a, b, c]: [S::f32s; TAPS]) -> [S::f32s; SIDE] {
        let [near, minus_near, far, minus_far, last] = without_zero::of_taps(simd, a, c);
        [near, minus_near, far, minus_far, last, b]
    }
}

/// B^T d with stride 2: of the places that the outer taps read, then those of the middle tap unchanged.
pub(super) struct OfStridedSource;

impl Transform<9, 9> for OfStridedSource {
    #[inline(always)]
    fn column<S: Simd>(simd: S, d: [S::f32s; 9]) -> [S::f32s; 9] {
        let [near, minus_near, far, minus_far, last] = without_zero::of_source(simd, [d[0], d[2], d[4], d[6], d[8]]);
        [near, minus_near, far, minus_far, last, d[1], d[3], d[5], d[7]]
    }
}

/// A^T p with stride 2.
pub(super) struct ToStridedOutputs;

impl Transform<9, 4> for ToStridedOutputs {
    #[inline(always)]
    fn column<S: Simd>(simd: S, p: [S::f32s; 9]) -> [S::f32s; 4] {
        let even = without_zero::to_outputs(simd, [p[0], p[1], p[2], p[3], p[4]]);
        std::array::from_fn(|i| simd.add_f32s(even[i], p[5 + i]))
    }
}

/// B^T d for the gradient of the input with stride 2. Each output's gradient is read by all taps.
pub(super) struct OfTransposedSource;

impl Transform<5, 9> for OfTransposedSource {
    #[inline(always)]
    fn column<S: Simd>(simd: S, d: [S::f32s; 5]) -> [S::f32s; 9] {
        let [near, minus_near, far, minus_far, last] = without_zero::of_source(simd, d);
        [near, minus_near, far, minus_far, last, d[0], d[1], d[2], d[3]]
    }
}

/// A^T p for the gradient of the input with stride 2: places of the middle tap and of the outer taps alternate.
pub(super) struct ToTransposedOutputs;

impl Transform<9, 8> for ToTransposedOutputs {
    #[inline(always)]
    fn column<S: Simd>(simd: S, p: [S::f32s; 9]) -> [S::f32s; 8] {
        let [b, d, f, h] = without_zero::to_outputs(simd, [p[0], p[1], p[2], p[3], p[4]]);
        [p[5], b, p[6], d, p[7], f, p[8], h]
    }
}

/// Transforms the columns of a matrix of $from x $from vectors, then its rows, to $to x $to: B^T d B, G g G^T and so
/// on.
macro_rules! both_axes {
    ($simd:expr, $transform:ty, $from:expr => $to:expr, |$i:ident, $j:ident| $read:expr, |$k:ident, $l:ident, $x:ident| $write:expr) => {{
        // Loops with constant counts are unrolled, so that the elements stay in registers as far as there are enough.
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
