//! Normals from uniforms (Box and Muller, 1958), to PyTorch's last bit: its vectorised kernel computes logarithm, sine
//! and cosine by the polynomials of Cephes' single-precision library, products and sums fused.

use crate::vectorised::vectorised;

/// Numbers that become normals together: eight radii, then eight angles.
pub(crate) const GROUP: usize = 16;
const HALF: usize = GROUP / 2;

vectorised! {
    /// Whole blocks of uniforms of [0, 1) become standard normals.
    pub(crate) fn box_muller<'a>(values: &'a mut [f32]) {
        for block in values.as_chunks_mut::<GROUP>().0 {
            let (mut radii, mut angles) = ([0.0; HALF], [0.0; HALF]);
            for j in 0..HALF {
                radii[j] = (-2.0 * ln(1.0 - block[j])).sqrt();
                angles[j] = 2.0 * std::f32::consts::PI * block[j + HALF];
            }
            for j in 0..HALF {
                let (sin, cos) = sin_cos(angles[j]);
                block[j] = radii[j] * cos;
                block[j + HALF] = radii[j] * sin;
            }
        }
    }
}

const LN: [f32; 9] = [
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
/// The natural logarithm of 2 in two parts, the first of few bits.
const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];

/// The natural logarithm of a normal number above 0.
#[inline(always)]
fn ln(x: f32) -> f32 {
    let bits = x.to_bits();
    let (exponent, mantissa) = ((bits >> 23) as i32 - 126, f32::from_bits(bits & 0x7f_ffff | 0x3f00_0000));
    let low = mantissa < std::f32::consts::FRAC_1_SQRT_2;
    let e = (exponent - i32::from(low)) as f32;
    let m = mantissa - 1.0 + if low { mantissa } else { 0.0 };
    let square = m * m;
    let series = LN[1..].iter().fold(LN[0], |sum, &c| sum.mul_add(m, c)) * m;
    let rest = square.mul_add(-0.5, series.mul_add(square, e * LN_2[1]));
    e.mul_add(LN_2[0], m + rest)
}

const SIN: [f32; 3] = [-1.951_529_6e-4, 8.332_161e-3, -1.666_665_5e-1];
const COS: [f32; 3] = [2.443_315_7e-5, -1.388_731_6e-3, 4.166_664_6e-2];
/// A quarter of pi, negated, in three parts.
const QUARTER: [f32; 3] = [-0.785_156_25, -2.418_756_5e-4, -3.774_895e-8];

/// Sine and cosine of an angle of [0, 2 pi].
#[inline(always)]
fn sin_cos(x: f32) -> (f32, f32) {
    let octant = ((x * (4.0 / std::f32::consts::PI)) as i32 + 1) & !1;
    let x = QUARTER.iter().fold(x, |x, &part| (octant as f32).mul_add(part, x));
    let square = x * x;
    let series = |c: &[f32; 3]| c[0].mul_add(square, c[1]).mul_add(square, c[2]) * square;
    let near_0 = series(&SIN).mul_add(x, x);
    let near_1 = series(&COS).mul_add(square, -(square * 0.5)) + 1.0;
    let (sin, cos) = if octant & 2 == 0 { (near_0, near_1) } else { (near_1, near_0) };
    (if octant & 4 == 0 { sin } else { -sin }, if (octant - 2) & 4 == 0 { -cos } else { cos })
}
