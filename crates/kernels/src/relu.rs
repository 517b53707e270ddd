//! ReLU of one element: the kernels that apply it, alone or fused, agree on its bits.

/// max(x, 0), where NaN stays NaN as in PyTorch.
#[inline(always)]
pub(crate) fn forward(x: f32) -> f32 {
    if x <= 0.0 { 0.0 } else { x }
}

/// The gradient of ReLU's input from its output y: 0 if y is 0, else `grad` (also if y is NaN, as in PyTorch).
#[inline(always)]
pub(crate) fn backward(grad: f32, y: f32) -> f32 {
    if y <= 0.0 { 0.0 } else { grad }
}
