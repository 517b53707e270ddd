//! ReLU of one element: the kernels that apply it, alone or fused, agree on its bits.

use crate::vectorised::vectorised;

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

vectorised! {
/// The same of some elements.
pub(crate) fn gradient<'a>(grad: &'a [f32], y: &'a [f32], out: &'a mut [f32]) {
    out.iter_mut().zip(grad.iter().zip(y)).for_each(|(out, (grad, y))| *out = backward(*grad, *y));
}
}
