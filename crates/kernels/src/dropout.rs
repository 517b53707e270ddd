//! Dropout, `torch.nn.functional.dropout`: each element is kept with chance 1 - p and divided by it, else zero.

use crate::error::{Result, expect_shape, expect_that};
use crate::parallel;
use crate::rng::Generator;
use crate::vectorised::vectorised;

const OP: &str = "dropout";
const GRAIN: usize = 1 << 15;

/// Draws the mask of x from the stream, in order, one 64-bit draw an element, and applies it.
pub fn forward(x: &[f32], p: f64, generator: &mut Generator, keep: &mut [u8], out: &mut [f32]) -> Result<()> {
    expect_chance(p)?;
    expect_shape(OP, "mask", &[keep.len()], &[x.len()])?;
    expect_shape(OP, "out", &[out.len()], &[x.len()])?;
    draw(p, generator, keep);
    apply(x, p, keep, out)
}

pub(crate) fn expect_chance(p: f64) -> Result<()> {
    expect_that((0.0..=1.0).contains(&p), OP, "p", p, "a chance from 0 to 1")
}

/// Draws a mask; where p leaves nothing to chance PyTorch draws nothing.
pub(crate) fn draw(p: f64, generator: &mut Generator, keep: &mut [u8]) {
    match p {
        0.0 => keep.fill(1),
        1.0 => keep.fill(0),
        _ => generator.flags(keep, 1.0 - p),
    }
}

/// What a dropped and what a kept element is multiplied by.
pub(crate) fn factors(p: f64) -> [f32; 2] {
    [0.0, if p < 1.0 { 1.0 / (1.0 - p) as f32 } else { 0.0 }]
}

/// The gradient of the input: the same mask and factor, on the gradient.
pub fn backward(grad: &[f32], p: f64, keep: &[u8], grad_x: &mut [f32]) -> Result<()> {
    apply(grad, p, keep, grad_x)
}

fn apply(x: &[f32], p: f64, keep: &[u8], out: &mut [f32]) -> Result<()> {
    expect_shape(OP, "mask", &[keep.len()], &[x.len()])?;
    expect_shape(OP, "out", &[out.len()], &[x.len()])?;
    let factors = factors(p);
    parallel::for_each(out, GRAIN, |first, part| multiply(&x[first..], &keep[first..], factors, part));
    Ok(())
}

vectorised! {
fn multiply<'a>(x: &'a [f32], keep: &'a [u8], factors: [f32; 2], out: &'a mut [f32]) {
    for ((out, x), keep) in out.iter_mut().zip(x).zip(keep) {
        *out = x * if *keep & 1 == 1 { factors[1] } else { factors[0] };
    }
}
}
