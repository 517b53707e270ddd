//! Elementary functions in single precision without branches: a loop of `vectorised!` computes a vector of them at a
//! time, and every processor gets the same bits. Polynomials of Cephes' single-precision library, products and sums
//! fused.

use std::f32::consts::{FRAC_1_SQRT_2, LOG2_E};

/// The natural logarithm of 2 in two parts, the first of few bits.
const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
/// 1.5 * 2^23. A sum with it has no bits after the point: the lowest bits are those of the nearest whole number.
const ROUND: f32 = 12_582_912.0;

/// c[0] x^n + ... + c[n].
#[inline(always)]
fn polynomial<const N: usize>(x: f32, c: [f32; N]) -> f32 {
    c[1..].iter().fold(c[0], |sum, &c| sum.mul_add(x, c))
}

/// 2^n for n from -126 to 127.
#[inline(always)]
fn power_of_2(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) << 23) as u32)
}

/// e^x, within 1 unit in the last place.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const SERIES: [f32; 8] =
        [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5, 1.0, 1.0];
    // The results are 0 and infinity from here on; NaN remains.
    let x = if x < -104.0 { -104.0 } else { x };
    let x = if x > 89.0 { 89.0 } else { x };
    let rounded = x.mul_add(LOG2_E, ROUND);
    let n = rounded - ROUND;
    let r = n.mul_add(-LN_2[1], n.mul_add(-LN_2[0], x));
    // In two factors, since 2^128 is no number and the smallest results have fewer bits.
    let exponent = (rounded.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let half = exponent >> 1;
    polynomial(r, SERIES) * power_of_2(half) * power_of_2(exponent.wrapping_sub(half))
}

/// The natural logarithm, within 1 unit in the last place.
#[inline(always)]
pub(crate) fn ln(x: f32) -> f32 {
    let is_subnormal = x < f32::MIN_POSITIVE;
    let normal = ln_of_normal(if is_subnormal { x * 8_388_608.0 } else { x }, if is_subnormal { -23 } else { 0 });
    let edge = if x == 0.0 { f32::NEG_INFINITY } else { f32::NAN };
    let finite = if x > 0.0 { normal } else { edge };
    if x == f32::INFINITY { x } else { finite }
}

/// The natural logarithm of x 2^n for a normal number x above 0.
#[inline(always)]
pub(crate) fn ln_of_normal(x: f32, n: i32) -> f32 {
    const SERIES: [f32; 9] = [
        7.037_683_6e-2,
        -1.151_461e-1,
        1.167_699_8e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_4e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ];
    let bits = x.to_bits();
    let (exponent, mantissa) = ((bits >> 23) as i32 - 126 + n, f32::from_bits(bits & 0x7f_ffff | 0x3f00_0000));
    let low = mantissa < FRAC_1_SQRT_2;
    let e = (exponent - i32::from(low)) as f32;
    let m = mantissa - 1.0 + if low { mantissa } else { 0.0 };
    let square = m * m;
    let rest = square.mul_add(-0.5, square.mul_add(polynomial(m, SERIES) * m, e * LN_2[1]));
    e.mul_add(LN_2[0], m + rest)
}

/// ln(1 + x), exact near 0: within 2 units in the last place.
#[inline(always)]
pub(crate) fn ln_1p(x: f32) -> f32 {
    let sum = 1.0 + x;
    // What the sum has lost, times the slope.
    let correction = (x - (sum - 1.0)) / sum;
    let edge = sum == f32::INFINITY || sum <= 0.0;
    ln(sum) + if edge { 0.0 } else { correction }
}

/// The hyperbolic tangent, within 2 units in the last place.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    const SERIES: [f32; 5] = [-5.704_988_7e-3, 2.063_909e-2, -5.373_972e-2, 1.333_144_2e-1, -3.333_328e-1];
    let size = x.abs();
    let square = size * size;
    let near = (polynomial(square, SERIES) * square).mul_add(size, size);
    let far = 1.0 - 2.0 / (exp(2.0 * size) + 1.0);
    (if size < 0.625 { near } else { far }).copysign(x)
}

/// 1 / (1 + e^-x).
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The chance that a standard normal number is below x, with its digits far below 0: within 6 units in the last place.
#[inline(always)]
pub(crate) fn normal_cdf(x: f32) -> f32 {
    /// The chance over e^(-x^2 / 2) and t, by t: fitted to 3e-9.
    const SERIES: [f32; 10] = [
        -2.062_355_2e-2,
        1.124_360_6e-1,
        -2.282_146_5e-1,
        1.917_859_3e-1,
        -7.942_463_5e-2,
        9.615_744e-2,
        7.838_944e-2,
        1.102_354_7e-1,
        1.195_718_1e-1,
        1.196_866_9e-1,
    ];
    let size = size_of_normal(x);
    let t = 1.0 / size.mul_add(0.3, 1.0);
    let tail = bell(size) * (polynomial(t, SERIES) * t);
    if x < 0.0 { tail } else { 1.0 - tail }
}

/// The density of a standard normal number.
#[inline(always)]
pub(crate) fn normal_density(x: f32) -> f32 {
    0.398_942_3 * bell(size_of_normal(x))
}

/// |x| up to 15, where the density is 0.
#[inline(always)]
fn size_of_normal(x: f32) -> f32 {
    if x.abs() > 15.0 { 15.0 } else { x.abs() }
}

/// e^(-x^2 / 2), with the bits that the square has lost.
#[inline(always)]
fn bell(x: f32) -> f32 {
    let square = x * x;
    let lost = x.mul_add(x, -square);
    let value = exp(-0.5 * square);
    value.mul_add(-0.5 * lost, value)
}
