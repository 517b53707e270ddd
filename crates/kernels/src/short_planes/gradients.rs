//! The gradients of `ROWS` rows: what they add to those of weight and bias, and that of x.

use super::ROWS;
use crate::batch_stats::COLUMN_BLOCK;
use crate::normalized::{normalize_elements, relu_grad};
use crate::prefetch::{line_into_l2, line_to_write};
use pulp::{Simd, WithSimd};

/// Mean, 1 / standard deviation, weight and bias of each column.
type Numbers = [[f32; COLUMN_BLOCK]; 4];

/// Adds the rows to two sums for each column: of grad * (x - mean), and of grad. With `relu`, grad is first set to 0
/// where ReLU's output was 0.
pub(super) struct Dots<'a> {
    pub relu: bool,
    pub grad: &'a [&'a [f32]],
    pub x: &'a [&'a [f32]],
    pub numbers: &'a Numbers,
    /// The distance from a row to the one that is read next, for prefetching.
    pub ahead: usize,
    pub dots: &'a mut [f64],
    pub sums: &'a mut [f64],
}

impl WithSimd for Dots<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if self.relu { self.add::<S, true>(simd) } else { self.add::<S, false>(simd) }
    }
}

impl Dots<'_> {
    #[inline(always)]
    fn add<S: Simd, const RELU: bool>(self, simd: S) {
        let Self { grad, x, numbers, ahead, dots, sums, .. } = self;
        let whole = sums.len() / S::F32_LANES * S::F32_LANES;
        for at in (0..whole).step_by(S::F32_LANES) {
            let of_columns = numbers.each_ref().map(|numbers| vector::<S>(numbers, at));
            let [mut dot, mut sum] = [simd.splat_f32s(0.0); 2];
            for (grad, x) in grad.iter().zip(x) {
                line_into_l2(grad.as_ptr().wrapping_add(ahead + at));
                line_into_l2(x.as_ptr().wrapping_add(ahead + at));
                let x = vector::<S>(x, at);
                let grad = relu_gradient::<S, RELU>(simd, vector::<S>(grad, at), x, of_columns);
                dot = simd.mul_add_e_f32s(grad, simd.sub_f32s(x, of_columns[0]), dot);
                sum = simd.add_f32s(sum, grad);
            }
            for (total, rows) in [(&mut *dots, dot), (&mut *sums, sum)] {
                let mut lanes = [0.0; 16];
                S::as_mut_simd_f32s(&mut lanes).0[0] = rows;
                total[at..][..S::F32_LANES].iter_mut().zip(lanes).for_each(|(total, lane)| *total += f64::from(lane));
            }
        }
        for j in whole..sums.len() {
            let of_column = numbers.each_ref().map(|numbers| numbers[j]);
            for (grad, x) in grad.iter().zip(x) {
                let grad = relu_grad::<RELU>(grad[j], x[j], of_column);
                dots[j] += f64::from(grad) * f64::from(x[j] - of_column[0]);
                sums[j] += f64::from(grad);
            }
        }
    }
}

/// Writes the rows of x's gradient. With `relu`, grad is first set to 0 where ReLU's output was 0.
pub(super) struct InputGradient<'a> {
    pub relu: bool,
    pub grad: &'a [&'a [f32]],
    pub x: &'a [&'a [f32]],
    pub numbers: &'a Numbers,
    /// The gradients of weight and bias.
    pub sums: &'a [[f32; COLUMN_BLOCK]; 2],
    /// 1 / the number of elements of a channel in train mode, 0 in eval mode.
    pub scale: f32,
    /// The distance from a row to the one that is written next, for prefetching.
    pub ahead: usize,
    pub outs: [&'a mut [f32]; ROWS],
}

impl WithSimd for InputGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if self.relu { self.write::<S, true>(simd) } else { self.write::<S, false>(simd) }
    }
}

impl InputGradient<'_> {
    #[inline(always)]
    fn write<S: Simd, const RELU: bool>(self, simd: S) {
        let Self { grad, x, numbers, sums, scale, ahead, mut outs, .. } = self;
        let width = x[0].len();
        let whole = width / S::F32_LANES * S::F32_LANES;
        let scales = simd.splat_f32s(scale);
        for at in (0..whole).step_by(S::F32_LANES) {
            let of_columns @ [mean, inv_std, weight, _] = numbers.each_ref().map(|numbers| vector::<S>(numbers, at));
            let [grad_weight, grad_bias] = sums.each_ref().map(|sums| vector::<S>(sums, at));
            let factor = simd.mul_f32s(weight, inv_std);
            for ((grad, x), out) in grad.iter().zip(x).zip(&mut outs) {
                line_to_write(out.as_ptr().wrapping_add(ahead + at));
                let x = vector::<S>(x, at);
                let mut grad = relu_gradient::<S, RELU>(simd, vector::<S>(grad, at), x, of_columns);
                // In eval mode the statistics are constants. Skipped rather than multiplied by 0, since 0 * NaN is NaN.
                if scale != 0.0 {
                    let x_hat = simd.mul_f32s(simd.sub_f32s(x, mean), inv_std);
                    let of_statistics = simd.add_f32s(grad_bias, simd.mul_f32s(x_hat, grad_weight));
                    grad = simd.sub_f32s(grad, simd.mul_f32s(scales, of_statistics));
                }
                S::as_mut_simd_f32s(&mut out[at..][..S::F32_LANES]).0[0] = simd.mul_f32s(factor, grad);
            }
        }
        for j in whole..width {
            let of_column @ [mean, inv_std, weight, _] = numbers.each_ref().map(|numbers| numbers[j]);
            for ((grad, x), out) in grad.iter().zip(x).zip(&mut outs) {
                let mut grad = relu_grad::<RELU>(grad[j], x[j], of_column);
                if scale != 0.0 {
                    grad -= scale * (sums[1][j] + (x[j] - mean) * inv_std * sums[0][j]);
                }
                out[j] = weight * inv_std * grad;
            }
        }
    }
}

/// `relu_grad` of each lane.
#[inline(always)]
fn relu_gradient<S: Simd, const RELU: bool>(simd: S, grad: S::f32s, x: S::f32s, numbers: [S::f32s; 4]) -> S::f32s {
    if !RELU {
        return grad;
    }
    let zero = simd.splat_f32s(0.0);
    simd.select_f32s(simd.less_than_or_equal_f32s(normalize_elements(simd, x, numbers), zero), zero, grad)
}

/// The vector of a row that begins at `at`.
#[inline(always)]
fn vector<S: Simd>(row: &[f32], at: usize) -> S::f32s {
    S::as_simd_f32s(&row[at..][..S::F32_LANES]).0[0]
}
