//! Element by element: ReLU, scaling, sums of gradients. The tables of functions are in `unary` and `binary`.

use crate::elementwise_loops;
use crate::error::{Result, expect_shape};
use crate::parallel::{self, GRAIN};
use crate::relu;
use crate::vectorised::vectorised;

/// out = max(x, 0).
pub fn relu(x: &[f32], out: &mut [f32]) -> Result<()> {
    map("relu", x, out, relu::forward)
}

/// out = factor * x + offset.
pub fn affine(x: &[f32], factor: f32, offset: f32, out: &mut [f32]) -> Result<()> {
    map("affine", x, out, |x| factor * x + offset)
}

/// The gradient of ReLU's input from its output: 0 where y is 0, else grad (where y is NaN too, as in PyTorch).
pub fn relu_backward(grad: &[f32], y: &[f32], grad_x: &mut [f32]) -> Result<()> {
    zip("relu", grad, y, grad_x, relu::backward)
}

/// into += x: how gradients gather.
pub fn accumulate(x: &[f32], into: &mut [f32]) -> Result<()> {
    expect_shape("accumulate", "x", &[x.len()], &[into.len()])?;
    parallel::for_each(into, GRAIN, |first, part| {
        add_to(&x[first..], part);
    });
    Ok(())
}

vectorised! {
fn add_to<'a>(x: &'a [f32], sums: &'a mut [f32]) {
    sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += x);
}
}

fn map(op: &'static str, x: &[f32], out: &mut [f32], f: impl Fn(f32) -> f32 + Sync) -> Result<()> {
    expect_shape(op, "out", &[out.len()], &[x.len()])?;
    parallel::for_each(out, GRAIN, |first, part| {
        elementwise_loops::map(&x[first..], part, &f);
    });
    Ok(())
}

fn zip(op: &'static str, a: &[f32], b: &[f32], out: &mut [f32], f: impl Fn(f32, f32) -> f32 + Sync) -> Result<()> {
    expect_shape(op, "b", &[b.len()], &[a.len()])?;
    expect_shape(op, "out", &[out.len()], &[a.len()])?;
    parallel::for_each(out, GRAIN, |first, part| {
        elementwise_loops::zip(&a[first..], &b[first..], part, &f);
    });
    Ok(())
}
