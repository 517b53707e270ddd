//! The normalisation of one element. The backward pass recomputes it by the same code, so it gets the same bits.

use crate::relu;
use pulp::Simd;

/// A mean, an inverse standard deviation, weight and bias.
pub(crate) type Numbers = [f32; 4];

/// BatchNorm of one element.
#[inline(always)]
pub(crate) fn normalize_element(x: f32, mean: f32, inv_std: f32, weight: f32, bias: f32) -> f32 {
    (x - mean) * inv_std * weight + bias
}

/// BatchNorm of each lane.
#[inline(always)]
pub(crate) fn normalize_elements<S: Simd>(simd: S, x: S::f32s, [mean, inv_std, weight, bias]: [S::f32s; 4]) -> S::f32s {
    let normalized = simd.mul_f32s(simd.sub_f32s(x, mean), inv_std);
    simd.add_f32s(simd.mul_f32s(normalized, weight), bias)
}

/// The gradient before ReLU, if ReLU followed the normalisation of x: 0 where its output is 0.
#[inline(always)]
pub(crate) fn relu_grad<const RELU: bool>(grad: f32, x: f32, [mean, inv_std, weight, bias]: Numbers) -> f32 {
    if RELU { relu::backward(grad, normalize_element(x, mean, inv_std, weight, bias)) } else { grad }
}
