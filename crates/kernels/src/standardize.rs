//! Rows with mean 0 and standard deviation 1, as logit standardisation (Sun et al., 2024) has them. In double
//! precision: with two columns the gradient is a small difference, in the size of epsilon.

use crate::error::{Result, contiguous, contiguous_mut, expect_shape};
use crate::parallel::{self, Rows};
use ndarray::{ArrayView2, ArrayViewMut2};

const OP: &str = "standardize";
/// Elements of a task, at least: their sums are in double precision.
const GRAIN: usize = parallel::GRAIN / 2;

/// out = (x - mean) / (std + epsilon), row by row; std divides by columns - 1.
pub fn standardize(x: ArrayView2<f32>, epsilon: f64, mut out: ArrayViewMut2<f32>) -> Result<()> {
    expect_shape(OP, "out", out.shape(), x.shape())?;
    let width = x.ncols();
    let x = contiguous(OP, "x", &x)?;
    if width == 0 {
        return Ok(());
    }
    parallel::for_each(Rows(contiguous_mut(OP, "out", &mut out)?, width), GRAIN / width + 1, |first, part| {
        for (i, out) in part.0.chunks_exact_mut(width).enumerate() {
            let x = &x[(first + i) * width..][..width];
            let Moments { mean, std } = Moments::of(x);
            out.iter_mut().zip(x).for_each(|(out, &x)| *out = ((f64::from(x) - mean) / (std + epsilon)) as f32);
        }
    });
    Ok(())
}

/// The gradient of x; if all of a row are equal, std has the slope 0, as PyTorch takes it.
pub fn standardize_backward(
    grad: ArrayView2<f32>,
    x: ArrayView2<f32>,
    epsilon: f64,
    mut grad_x: ArrayViewMut2<f32>,
) -> Result<()> {
    expect_shape(OP, "grad", grad.shape(), x.shape())?;
    expect_shape(OP, "grad_x", grad_x.shape(), x.shape())?;
    let width = x.ncols();
    let (grad, x) = (contiguous(OP, "grad", &grad)?, contiguous(OP, "x", &x)?);
    if width == 0 {
        return Ok(());
    }
    parallel::for_each(Rows(contiguous_mut(OP, "grad_x", &mut grad_x)?, width), GRAIN / width + 1, |first, part| {
        for (i, out) in part.0.chunks_exact_mut(width).enumerate() {
            let at = (first + i) * width;
            let (grad, x) = (&grad[at..at + width], &x[at..at + width]);
            let Moments { mean, std } = Moments::of(x);
            let mean_grad = grad.iter().map(|&g| f64::from(g)).sum::<f64>() / width as f64;
            let dot: f64 = grad.iter().zip(x).map(|(&g, &x)| (f64::from(g) - mean_grad) * (f64::from(x) - mean)).sum();
            let slope = if std == 0.0 { 0.0 } else { dot / (std * (std + epsilon) * (width - 1) as f64) };
            for ((out, &g), &x) in out.iter_mut().zip(grad).zip(x) {
                *out = ((f64::from(g) - mean_grad - slope * (f64::from(x) - mean)) / (std + epsilon)) as f32;
            }
        }
    });
    Ok(())
}

struct Moments {
    mean: f64,
    std: f64,
}

impl Moments {
    fn of(x: &[f32]) -> Self {
        let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / x.len() as f64;
        let squares: f64 = x.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum();
        Self { mean, std: (squares / (x.len() - 1) as f64).sqrt() }
    }
}
