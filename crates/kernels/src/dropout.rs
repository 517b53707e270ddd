//! Dropout, `torch.nn.functional.dropout`: each element is kept with probability 1 - p and divided by it, else zero.

use crate::error::{Result, expect_shape, expect_that};
use crate::parallel;
use crate::rng::Generator;
use crate::vectorised::vectorised;

const OP: &str = "dropout";
/// Elements of a task, at least.
const GRAIN: usize = 2 * parallel::GRAIN;

/// Which elements are kept.
#[derive(Clone, Copy)]
pub struct Mask<'a> {
    /// 1 for an element that is kept, 0 for one that is dropped.
    pub keep: &'a [u8],
    /// The probability that an element is dropped.
    pub p: f64,
}

impl Mask<'_> {
    /// Refuses a probability out of range and a mask of another length.
    pub(crate) fn check(&self, op: &'static str, len: usize) -> Result<()> {
        expect_probability(self.p)?;
        expect_shape(op, "mask", &[self.keep.len()], &[len])
    }
}

/// Draws the mask of x in order, 64 bits of the stream per element, and applies it.
pub fn forward(x: &[f32], p: f64, generator: &mut Generator, keep: &mut [u8], out: &mut [f32]) -> Result<()> {
    Mask { keep, p }.check(OP, x.len())?;
    expect_shape(OP, "out", &[out.len()], &[x.len()])?;
    draw(p, generator, keep);
    apply(x, Mask { keep, p }, out)
}

/// The gradient of the input: the same mask and factor, on the gradient.
pub fn backward(grad: &[f32], mask: Mask, grad_x: &mut [f32]) -> Result<()> {
    mask.check(OP, grad.len())?;
    apply(grad, mask, grad_x)
}

/// Draws a mask in order, 64 bits of the stream per element.
pub fn mask(p: f64, generator: &mut Generator, keep: &mut [u8]) -> Result<()> {
    expect_probability(p)?;
    draw(p, generator, keep);
    Ok(())
}

/// Refuses a probability out of range.
pub(crate) fn expect_probability(p: f64) -> Result<()> {
    expect_that((0.0..=1.0).contains(&p), OP, "p", p, "a probability from 0 to 1")
}

/// Draws a mask; if p is 0 or 1, nothing is drawn, as in PyTorch.
pub(crate) fn draw(p: f64, generator: &mut Generator, keep: &mut [u8]) {
    match p {
        0.0 => keep.fill(1),
        1.0 => keep.fill(0),
        _ => generator.fill_bernoulli(keep, 1.0 - p),
    }
}

/// What a dropped and what a kept element is multiplied by.
fn factors(p: f64) -> [f32; 2] {
    [0.0, if p < 1.0 { 1.0 / (1.0 - p) as f32 } else { 0.0 }]
}

fn apply(x: &[f32], Mask { keep, p }: Mask, out: &mut [f32]) -> Result<()> {
    expect_shape(OP, "out", &[out.len()], &[x.len()])?;
    let factors = factors(p);
    parallel::for_each(out, GRAIN, |first, part| multiply(&x[first..], &keep[first..], factors, part));
    Ok(())
}

vectorised! {
fn multiply<'a>(x: &'a [f32], keep: &'a [u8], factors: [f32; 2], out: &'a mut [f32]) {
    let [dropped, kept] = factors;
    for ((out, x), keep) in out.iter_mut().zip(x).zip(keep) {
        *out = x * if *keep & 1 == 1 { kept } else { dropped };
    }
}
}

vectorised! {
/// Applies a mask to part of an array, in place.
pub(crate) fn mask_in_place<'a>(keep: &'a [u8], p: f64, x: &'a mut [f32]) {
    let [dropped, kept] = factors(p);
    for (x, keep) in x.iter_mut().zip(keep) {
        *x *= if *keep & 1 == 1 { kept } else { dropped };
    }
}
}
