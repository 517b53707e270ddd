//! Normals from uniforms (Box and Muller, 1958), to PyTorch's last bit: its vectorised kernel computes logarithm, sine
//! and cosine by the polynomials of Cephes' single-precision library, products and sums fused.

use crate::elementary::ln_of_normal;
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
                radii[j] = (-2.0 * ln_of_normal(1.0 - block[j], 0)).sqrt();
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
