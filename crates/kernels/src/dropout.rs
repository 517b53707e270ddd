//! Dropout, `torch.nn.functional.dropout`: each element is kept with chance 1 - p and divided by it, else zero.

use crate::error::{Result, expect_shape, expect_that};
use crate::parallel;
use crate::rng::Generator;

const OP: &str = "dropout";
const GRAIN: usize = 1 << 15;

/// Draws the mask of x from the stream, in order, one 64-bit draw an element, and applies it.
pub fn forward(x: &[f32], p: f64, generator: &mut Generator, keep: &mut [u8], out: &mut [f32]) -> Result<()> {
    expect_that((0.0..=1.0).contains(&p), OP, "p", p, "a chance from 0 to 1")?;
    expect_shape(OP, "mask", &[keep.len()], &[x.len()])?;
    // With p = 1 PyTorch draws nothing.
    keep.fill(0);
    if p < 1.0 {
        keep.iter_mut().for_each(|keep| *keep = u8::from(generator.unit_f64() < 1.0 - p));
    }
    apply(x, p, keep, out)
}

/// The gradient of the input: the same mask and factor, on the gradient.
pub fn backward(grad: &[f32], p: f64, keep: &[u8], grad_x: &mut [f32]) -> Result<()> {
    apply(grad, p, keep, grad_x)
}

fn apply(x: &[f32], p: f64, keep: &[u8], out: &mut [f32]) -> Result<()> {
    expect_shape(OP, "mask", &[keep.len()], &[x.len()])?;
    expect_shape(OP, "out", &[out.len()], &[x.len()])?;
    let factors = [0.0, if p < 1.0 { 1.0 / (1.0 - p) as f32 } else { 0.0 }];
    parallel::for_each(out, GRAIN, |first, part| {
        let (x, keep) = (&x[first..], &keep[first..]);
        for ((out, x), keep) in part.iter_mut().zip(x).zip(keep) {
            *out = x * factors[usize::from(*keep & 1)];
        }
    });
    Ok(())
}
