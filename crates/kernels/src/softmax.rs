//! Softmax and log-softmax over the rows of a matrix, `torch.nn.functional.softmax` and `log_softmax` with dim=-1.

use crate::elementary::{exp, ln};
use crate::error::{Result, contiguous, contiguous_mut, expect_shape};
use crate::parallel::{self, Rows};
use crate::vectorised::vectorised;
use ndarray::{ArrayView2, ArrayViewMut2};

/// Elements of a task, at least: each costs an exponential or two.
const GRAIN: usize = parallel::GRAIN / 4;
/// Elements of a block of rows, about, whose exponentials are computed together: a row may not fill a vector.
const BLOCK: usize = 2048;
/// Sums that a row's elements are added to in turn, one for each lane of a vector.
const LANES: usize = 16;

/// out[rows, classes] = exp(x - max) / sum(exp(x - max)), row by row.
pub fn softmax(x: ArrayView2<f32>, out: ArrayViewMut2<f32>) -> Result<()> {
    blocks("softmax", [("x", x), ("x", x)], ("out", out), |[x, _], out, width| softmax_block(x, out, width))
}

/// Softmax of each row of this length, on this thread.
pub(crate) fn softmax_rows(x: &[f32], out: &mut [f32], width: usize) {
    let block = rows_of_block(width) * width;
    for (x, out) in x.chunks(block).zip(out.chunks_mut(block)) {
        softmax_block(x, out, width);
    }
}

vectorised! {
fn softmax_block<'a>(x: &'a [f32], out: &'a mut [f32], width: usize) {
    let norms = exponentials(x, 1.0, out, width);
    for (out, norm) in out.chunks_exact_mut(width).zip(norms) {
        out.iter_mut().for_each(|out| *out = norm.softmax(*out));
    }
}
}

/// out[rows, classes] = x - log(sum(exp(x))), row by row.
pub fn log_softmax(x: ArrayView2<f32>, out: ArrayViewMut2<f32>) -> Result<()> {
    blocks("log_softmax", [("x", x), ("x", x)], ("out", out), |[x, _], out, width| log_softmax_block(x, out, width))
}

vectorised! {
fn log_softmax_block<'a>(x: &'a [f32], out: &'a mut [f32], width: usize) {
    let norms = exponentials(x, 1.0, out, width);
    for ((out, x), norm) in out.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(norms) {
        out.iter_mut().zip(x).for_each(|(out, x)| *out = norm.log_softmax(*x));
    }
}
}

/// The gradient of softmax's input from grad and softmax's own output y: y * (grad - sum(grad * y)).
pub fn softmax_backward(grad: ArrayView2<f32>, y: ArrayView2<f32>, grad_x: ArrayViewMut2<f32>) -> Result<()> {
    let arrays = [("grad", grad), ("y", y)];
    blocks("softmax", arrays, ("grad_x", grad_x), |[grad, y], grad_x, width| {
        softmax_backward_rows(grad, y, grad_x, width);
    })
}

vectorised! {
/// `softmax_backward` of rows of this length, on this thread.
pub(crate) fn softmax_backward_rows<'a>(grad: &'a [f32], y: &'a [f32], grad_x: &'a mut [f32], width: usize) {
    let rows = grad.chunks_exact(width).zip(y.chunks_exact(width));
    for (out, (grad, y)) in grad_x.chunks_exact_mut(width).zip(rows) {
        out.iter_mut().zip(grad.iter().zip(y)).for_each(|(out, (g, y))| *out = g * y);
        let dot = sum(out);
        out.iter_mut().zip(grad.iter().zip(y)).for_each(|(out, (g, y))| *out = y * (g - dot));
    }
}
}

/// The gradient of log-softmax's input from grad and log-softmax's own output y: grad - exp(y) * sum(grad).
pub fn log_softmax_backward(grad: ArrayView2<f32>, y: ArrayView2<f32>, grad_x: ArrayViewMut2<f32>) -> Result<()> {
    let arrays = [("grad", grad), ("y", y)];
    blocks("log_softmax", arrays, ("grad_x", grad_x), |[grad, y], grad_x, width| {
        log_softmax_backward_block(grad, y, grad_x, width);
    })
}

vectorised! {
fn log_softmax_backward_block<'a>(grad: &'a [f32], y: &'a [f32], grad_x: &'a mut [f32], width: usize) {
    grad_x.iter_mut().zip(y).for_each(|(out, y)| *out = exp(*y));
    for (out, grad) in grad_x.chunks_exact_mut(width).zip(grad.chunks_exact(width)) {
        let total = sum(grad);
        out.iter_mut().zip(grad).for_each(|(out, g)| *out = g - *out * total);
    }
}
}

/// The sum of the exponentials of a row x / t, each less the largest: what turns them into probabilities.
#[derive(Clone, Copy)]
pub(crate) struct LogSumExp {
    max: f32,
    sum: f32,
    log_sum: f32,
}

impl LogSumExp {
    /// Of one row, by the C library's functions.
    #[inline]
    pub(crate) fn of(x: impl Iterator<Item = f32> + Clone) -> Self {
        let max = x.clone().fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = x.map(|x| (x - max).exp()).sum();
        Self { max, sum, log_sum: sum.ln() }
    }

    /// The probability of an element, from its exponential.
    #[inline(always)]
    pub(crate) fn softmax(self, exponential: f32) -> f32 {
        exponential / self.sum
    }

    /// x - log(sum(exp(x))), of an element of the row x / t. The logarithm in its two parts: added up, a large maximum
    /// would swallow its digits.
    #[inline(always)]
    pub(crate) fn log_softmax(self, x: f32) -> f32 {
        x - self.max - self.log_sum
    }
}

/// Writes exp(x / t - max) of each row to `out`; shifted by the maximum, none overflows. To be called in a function
/// that is `vectorised!`.
#[inline(always)]
pub(crate) fn exponentials(x: &[f32], t: f32, out: &mut [f32], width: usize) -> Vec<LogSumExp> {
    let mut norms = Vec::with_capacity(x.len() / width);
    // A loop, since `collect` would not be compiled for the SIMD level.
    for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        let max = largest(x) / t;
        out.iter_mut().zip(x).for_each(|(out, x)| *out = x / t - max);
        norms.push(LogSumExp { max, sum: 0.0, log_sum: 0.0 });
    }
    out.iter_mut().for_each(|x| *x = exp(*x));
    for (norm, out) in norms.iter_mut().zip(out.chunks_exact(width)) {
        norm.sum = sum(out);
        norm.log_sum = ln(norm.sum);
    }
    norms
}

/// NaN is passed over: its exponential makes the sum NaN.
#[inline(always)]
fn largest(x: &[f32]) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(most, &x)| *most = if x > *most { x } else { *most });
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |most, &x| most.max(x))
}

#[inline(always)]
fn sum(x: &[f32]) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(sum, x)| *sum += x);
    }
    lanes.iter().chain(rest).sum()
}

/// An array with its name.
type Named<A> = (&'static str, A);

/// Calls `f` with blocks of rows of two inputs and of the output, and with the width of a row.
fn blocks(
    op: &'static str,
    [(name_a, a), (name_b, b)]: [Named<ArrayView2<f32>>; 2],
    (name_out, mut out): Named<ArrayViewMut2<f32>>,
    f: impl Fn([&[f32]; 2], &mut [f32], usize) + Sync,
) -> Result<()> {
    expect_shape(op, name_a, a.shape(), b.shape())?;
    expect_shape(op, name_out, out.shape(), b.shape())?;
    let width = b.ncols();
    let (a, b) = (contiguous(op, name_a, &a)?, contiguous(op, name_b, &b)?);
    if width == 0 {
        return Ok(());
    }
    let block = rows_of_block(width) * width;
    let work = Rows(contiguous_mut(op, name_out, &mut out)?, width);
    parallel::for_each(work, GRAIN / width + 1, |first, part| {
        for (i, out) in part.0.chunks_mut(block).enumerate() {
            let at = first * width + i * block;
            f([&a[at..at + out.len()], &b[at..at + out.len()]], out, width);
        }
    });
    Ok(())
}

/// How many rows of a length are computed together.
pub(crate) fn rows_of_block(width: usize) -> usize {
    BLOCK / width + 1
}
