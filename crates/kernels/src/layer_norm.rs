//! Layer normalization over the rows of a matrix, `torch.nn.functional.layer_norm`, and its gradients. The sums of a row
//! are in double precision.

use crate::batch_stats::COLUMN_BLOCK;
use crate::error::{Result, contiguous, contiguous_mut, expect_shape};
use crate::parallel::{self, Rows};
use crate::vectorised::vectorised;
use ndarray::{ArrayView2, ArrayViewMut2};

const OP: &str = "layer_norm";
/// Sums that a row's elements are added to in turn, one for each lane of a vector.
const LANES: usize = 16;
/// Rows whose gradients are added up in single precision.
const SUMMED_ROWS: usize = 64;

/// The scale and shift that a layer may have.
#[derive(Clone, Copy)]
pub struct Affine<'a> {
    /// [columns].
    pub weight: Option<&'a [f32]>,
    /// [columns].
    pub bias: Option<&'a [f32]>,
}

/// What the backward pass needs of the forward pass.
#[derive(Clone, Copy)]
pub struct Saved<'a> {
    /// The input x[rows, columns].
    pub x: ArrayView2<'a, f32>,
    /// [rows].
    pub mean: &'a [f32],
    /// 1 / sqrt(var + eps), [rows].
    pub inv_std: &'a [f32],
}

/// out = (x - mean) / sqrt(var + eps) * weight + bias, row by row, for x[rows, columns]; mean[rows] and inv_std[rows] are
/// for the backward pass.
pub fn forward(
    x: ArrayView2<f32>,
    affine: Affine,
    eps: f64,
    mean: &mut [f32],
    inv_std: &mut [f32],
    mut out: ArrayViewMut2<f32>,
) -> Result<()> {
    let (rows, columns) = x.dim();
    expect_shape(OP, "out", out.shape(), x.shape())?;
    expect_shape(OP, "mean", &[mean.len()], &[rows])?;
    expect_shape(OP, "inv_std", &[inv_std.len()], &[rows])?;
    expect_columns("weight", affine.weight, columns)?;
    expect_columns("bias", affine.bias, columns)?;
    let x = contiguous(OP, "x", &x)?;
    if columns == 0 {
        return Ok(());
    }
    let work = (Rows(contiguous_mut(OP, "out", &mut out)?, columns), mean, inv_std);
    parallel::for_each(work, parallel::grain(columns), |first, (out, mean, inv_std)| {
        forward_rows(&x[first * columns..], columns, affine, eps, mean, inv_std, out.0);
    });
    Ok(())
}

vectorised! {
fn forward_rows<'a>(
    x: &'a [f32],
    columns: usize,
    affine: Affine<'a>,
    eps: f64,
    mean: &'a mut [f32],
    inv_std: &'a mut [f32],
    out: &'a mut [f32],
) {
    let statistics = mean.iter_mut().zip(inv_std);
    for ((x, out), (mean, inv_std)) in x.chunks_exact(columns).zip(out.chunks_exact_mut(columns)).zip(statistics) {
        let exact = sum_of(x, x, |x, _| x) / columns as f64;
        let squares = sum_of(x, x, |x, _| (x - exact) * (x - exact));
        *mean = exact as f32;
        *inv_std = (1.0 / (squares / columns as f64 + eps).sqrt()) as f32;
        out.iter_mut().zip(x).for_each(|(out, x)| *out = (x - *mean) * *inv_std);
        if let Some(weight) = affine.weight {
            out.iter_mut().zip(weight).for_each(|(out, weight)| *out *= weight);
        }
        if let Some(bias) = affine.bias {
            out.iter_mut().zip(bias).for_each(|(out, bias)| *out += bias);
        }
    }
}
}

/// The gradient of x[rows, columns] from grad[rows, columns].
pub fn backward(
    grad: ArrayView2<f32>,
    saved: Saved,
    weight: Option<&[f32]>,
    mut grad_x: ArrayViewMut2<f32>,
) -> Result<()> {
    let columns = saved.check(grad)?;
    expect_shape(OP, "grad_x", grad_x.shape(), grad.shape())?;
    expect_columns("weight", weight, columns)?;
    let (grad, x) = (contiguous(OP, "grad", &grad)?, contiguous(OP, "x", &saved.x)?);
    if columns == 0 {
        return Ok(());
    }
    let grad_x = Rows(contiguous_mut(OP, "grad_x", &mut grad_x)?, columns);
    parallel::for_each(grad_x, parallel::grain(columns), |first, grad_x| {
        let (grad, x) = (&grad[first * columns..], &x[first * columns..]);
        backward_rows(grad, x, columns, weight, &saved.mean[first..], &saved.inv_std[first..], grad_x.0);
    });
    Ok(())
}

vectorised! {
fn backward_rows<'a>(
    grad: &'a [f32],
    x: &'a [f32],
    columns: usize,
    weight: Option<&'a [f32]>,
    mean: &'a [f32],
    inv_std: &'a [f32],
    grad_x: &'a mut [f32],
) {
    let inputs = grad.chunks_exact(columns).zip(x.chunks_exact(columns)).zip(mean.iter().zip(inv_std));
    for (out, ((grad, x), (&mean, &inv_std))) in grad_x.chunks_exact_mut(columns).zip(inputs) {
        // The gradient of the normalized row.
        out.copy_from_slice(grad);
        if let Some(weight) = weight {
            out.iter_mut().zip(weight).for_each(|(out, weight)| *out *= weight);
        }
        let of_mean = (sum_of(out, out, |grad, _| grad) / columns as f64) as f32;
        let dot = sum_of(out, x, |grad, x| grad * (x - f64::from(mean))) * f64::from(inv_std);
        let of_std = (dot / columns as f64) as f32;
        for (out, x) in out.iter_mut().zip(x) {
            *out = inv_std * (*out - of_mean - (x - mean) * inv_std * of_std);
        }
    }
}
}

/// The gradients of weight[columns] and bias[columns] from grad[rows, columns].
pub fn backward_affine(
    grad: ArrayView2<f32>,
    saved: Saved,
    grad_weight: &mut [f32],
    grad_bias: &mut [f32],
) -> Result<()> {
    let columns = saved.check(grad)?;
    expect_columns("grad_weight", Some(grad_weight), columns)?;
    expect_columns("grad_bias", Some(grad_bias), columns)?;
    let (grad, x) = (contiguous(OP, "grad", &grad)?, contiguous(OP, "x", &saved.x)?);
    parallel::for_each((grad_weight, grad_bias), 2 * COLUMN_BLOCK, |first, (weight, bias)| {
        let blocks = weight.chunks_mut(COLUMN_BLOCK).zip(bias.chunks_mut(COLUMN_BLOCK));
        for (i, (weight, bias)) in blocks.enumerate() {
            let mut sums = [[0.0; COLUMN_BLOCK]; 2];
            for start in (0..saved.mean.len()).step_by(SUMMED_ROWS) {
                let rows = start..saved.mean.len().min(start + SUMMED_ROWS);
                let at = start * columns + first + i * COLUMN_BLOCK;
                weight.fill(0.0);
                bias.fill(0.0);
                let (mean, inv_std) = (&saved.mean[rows.clone()], &saved.inv_std[rows]);
                add_rows(&grad[at..], &x[at..], columns, mean, inv_std, weight, bias);
                for (sums, part) in sums.iter_mut().zip([&*weight, &*bias]) {
                    sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += f64::from(*part));
                }
            }
            for (sums, into) in sums.iter().zip([weight, bias]) {
                into.iter_mut().zip(sums).for_each(|(into, sum)| *into = *sum as f32);
            }
        }
    });
    Ok(())
}

vectorised! {
/// Adds the columns that begin at `grad` and `x`, row by row.
fn add_rows<'a>(
    grad: &'a [f32],
    x: &'a [f32],
    columns: usize,
    mean: &'a [f32],
    inv_std: &'a [f32],
    weight: &'a mut [f32],
    bias: &'a mut [f32],
) {
    for (row, (mean, inv_std)) in mean.iter().zip(inv_std).enumerate() {
        let (grad, x) = (&grad[row * columns..], &x[row * columns..]);
        for ((weight, bias), (grad, x)) in weight.iter_mut().zip(&mut *bias).zip(grad.iter().zip(x)) {
            *weight += grad * ((x - mean) * inv_std);
            *bias += grad;
        }
    }
}
}

impl Saved<'_> {
    /// Checks its shapes against the gradient's; the number of columns.
    fn check(&self, grad: ArrayView2<f32>) -> Result<usize> {
        let rows = grad.nrows();
        expect_shape(OP, "x", self.x.shape(), grad.shape())?;
        expect_shape(OP, "mean", &[self.mean.len()], &[rows])?;
        expect_shape(OP, "inv_std", &[self.inv_std.len()], &[rows])?;
        Ok(grad.ncols())
    }
}

fn expect_columns(what: &'static str, of: Option<&[f32]>, columns: usize) -> Result<()> {
    of.map_or(Ok(()), |values| expect_shape(OP, what, &[values.len()], &[columns]))
}

/// The sum of f(a[i], b[i]).
#[inline(always)]
fn sum_of(a: &[f32], b: &[f32], f: impl Fn(f64, f64) -> f64) -> f64 {
    let ((chunks_a, rest_a), (chunks_b, rest_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut lanes = [0.0; LANES];
    for (a, b) in chunks_a.iter().zip(chunks_b) {
        for (sum, (&a, &b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *sum += f(a.into(), b.into());
        }
    }
    let rest: f64 = rest_a.iter().zip(rest_b).map(|(&a, &b)| f(a.into(), b.into())).sum();
    lanes.iter().sum::<f64>() + rest
}
