//! Softmax and log-softmax over the rows of a matrix, `torch.nn.functional.softmax` and `log_softmax` with dim=-1.

use crate::error::{Result, contiguous, contiguous_mut, expect_shape};
use crate::parallel::{self, Rows};
use ndarray::{ArrayView2, ArrayViewMut2};

/// Elements of a task, at least: each costs an exponential or two.
const GRAIN: usize = parallel::GRAIN / 4;

/// out[rows, classes] = exp(x - max) / sum(exp(x - max)), row by row.
pub fn softmax(x: ArrayView2<f32>, out: ArrayViewMut2<f32>) -> Result<()> {
    rows("softmax", x, out, |x, out| {
        let norm = LogSumExp::of(x.iter().copied());
        out.iter_mut().zip(x).for_each(|(out, x)| *out = norm.log_softmax(*x).exp());
    })
}

/// out[rows, classes] = x - log(sum(exp(x))), row by row.
pub fn log_softmax(x: ArrayView2<f32>, out: ArrayViewMut2<f32>) -> Result<()> {
    rows("log_softmax", x, out, |x, out| {
        let norm = LogSumExp::of(x.iter().copied());
        out.iter_mut().zip(x).for_each(|(out, x)| *out = norm.log_softmax(*x));
    })
}

/// The gradient of softmax's input from grad and softmax's own output y: y * (grad - sum(grad * y)).
pub fn softmax_backward(grad: ArrayView2<f32>, y: ArrayView2<f32>, grad_x: ArrayViewMut2<f32>) -> Result<()> {
    rows_with("softmax", grad, y, grad_x, |grad, y, grad_x| {
        let dot: f32 = grad.iter().zip(y).map(|(g, y)| g * y).sum();
        for ((out, g), y) in grad_x.iter_mut().zip(grad).zip(y) {
            *out = y * (g - dot);
        }
    })
}

/// The gradient of log-softmax's input from grad and log-softmax's own output y: grad - exp(y) * sum(grad).
pub fn log_softmax_backward(grad: ArrayView2<f32>, y: ArrayView2<f32>, grad_x: ArrayViewMut2<f32>) -> Result<()> {
    rows_with("log_softmax", grad, y, grad_x, |grad, y, grad_x| {
        let total: f32 = grad.iter().sum();
        for ((out, g), y) in grad_x.iter_mut().zip(grad).zip(y) {
            *out = g - y.exp() * total;
        }
    })
}

/// log(sum(exp(x))) of a row in its two parts: added up, a large maximum would swallow digits of the logarithm.
#[derive(Clone, Copy)]
pub(crate) struct LogSumExp {
    max: f32,
    log_sum: f32,
}

impl LogSumExp {
    /// Shifted by the maximum, so that no exponential overflows.
    #[inline]
    pub(crate) fn of(x: impl Iterator<Item = f32> + Clone) -> Self {
        let max = x.clone().fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = x.map(|x| (x - max).exp()).sum();
        Self { max, log_sum: sum.ln() }
    }

    /// x - log(sum(exp(x))).
    #[inline]
    pub(crate) fn log_softmax(self, x: f32) -> f32 {
        x - self.max - self.log_sum
    }
}

fn rows(
    op: &'static str,
    x: ArrayView2<f32>,
    mut out: ArrayViewMut2<f32>,
    f: impl Fn(&[f32], &mut [f32]) + Sync,
) -> Result<()> {
    expect_shape(op, "out", out.shape(), x.shape())?;
    let width = x.ncols();
    let x = contiguous(op, "x", &x)?;
    if width == 0 {
        return Ok(());
    }
    parallel::for_each(Rows(contiguous_mut(op, "out", &mut out)?, width), GRAIN / width + 1, |first, part| {
        let x = x[first * width..].chunks_exact(width);
        x.zip(part.0.chunks_exact_mut(width)).for_each(|(x, out)| f(x, out));
    });
    Ok(())
}

fn rows_with(
    op: &'static str,
    grad: ArrayView2<f32>,
    y: ArrayView2<f32>,
    mut grad_x: ArrayViewMut2<f32>,
    f: impl Fn(&[f32], &[f32], &mut [f32]) + Sync,
) -> Result<()> {
    expect_shape(op, "grad", grad.shape(), y.shape())?;
    expect_shape(op, "grad_x", grad_x.shape(), y.shape())?;
    let width = y.ncols();
    let (grad, y) = (contiguous(op, "grad", &grad)?, contiguous(op, "y", &y)?);
    if width == 0 {
        return Ok(());
    }
    parallel::for_each(Rows(contiguous_mut(op, "grad_x", &mut grad_x)?, width), GRAIN / width + 1, |first, part| {
        for (i, out) in part.0.chunks_exact_mut(width).enumerate() {
            let at = (first + i) * width;
            f(&grad[at..at + width], &y[at..at + width], out);
        }
    });
    Ok(())
}
