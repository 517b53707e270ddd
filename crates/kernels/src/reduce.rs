//! Sums along an axis and the place of the largest value.

use crate::error::{Result, expect_shape};
use crate::parallel;
use ndarray::{ArrayView2, ArrayView3, ArrayViewMut2};

/// out[outer, inner] = scale * the sum over the middle axis of x[outer, length, inner], in order, in double precision.
pub fn sum_axis(x: ArrayView3<f32>, scale: f64, mut out: ArrayViewMut2<f32>) -> Result<()> {
    let (outer, length, inner) = x.dim();
    expect_shape("sum", "out", out.shape(), &[outer, inner])?;
    for i in 0..outer {
        for j in 0..inner {
            let sum: f64 = (0..length).map(|k| f64::from(x[[i, k, j]])).sum();
            out[[i, j]] = (sum * scale) as f32;
        }
    }
    Ok(())
}

/// out[i] = the column of the largest value in row i of x[rows, columns], the first of equals; NaN counts as largest,
/// as `torch.argmax`.
pub fn argmax(x: ArrayView2<f32>, out: &mut [i32]) -> Result<()> {
    let (rows, columns) = x.dim();
    expect_shape("argmax", "out", &[out.len()], &[rows])?;
    expect_shape("argmax", "x", x.shape(), &[rows, columns.max(1)])?;
    parallel::for_each(out, 1 << 10, |first, part| {
        for (i, best) in part.iter_mut().enumerate() {
            let row = x.row(first + i);
            let mut at = 0;
            for j in 1..columns {
                if row[at].is_nan() {
                    break;
                }
                if row[j] > row[at] || row[j].is_nan() {
                    at = j;
                }
            }
            *best = at as i32;
        }
    });
    Ok(())
}
