//! The fully connected layer, `torch.nn.functional.linear`, with ReLU in its last write where asked.

use crate::error::{Result, dense, dense_mut, expect_shape};
use crate::matmul::{matmul, matmul_nt, matmul_tn};
use crate::parallel::{self, Rows};
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2};

const OP: &str = "linear";

/// out[rows, outputs] = x[rows, inputs] weight[outputs, inputs]^T + bias[outputs], then ReLU where `relu`.
pub fn forward(
    x: ArrayView2<f32>,
    weight: ArrayView2<f32>,
    bias: Option<ArrayView1<f32>>,
    relu: bool,
    mut out: ArrayViewMut2<f32>,
) -> Result<()> {
    let outputs = weight.nrows();
    expect_shape(OP, "x", x.shape(), &[x.nrows(), weight.ncols()])?;
    expect_shape(OP, "out", out.shape(), &[x.nrows(), outputs])?;
    if let Some(bias) = &bias {
        expect_shape(OP, "bias", bias.shape(), &[outputs])?;
    }
    matmul_nt(x, weight, out.view_mut())?;
    let out = dense_mut(OP, "out", &mut out)?;
    match &bias {
        Some(bias) => add_bias(out, dense(OP, "bias", bias)?, relu),
        None if relu => parallel::for_each(out, 1 << 15, |_, part| part.iter_mut().for_each(|y| *y = rectify(*y))),
        None => (),
    }
    Ok(())
}

fn add_bias(out: &mut [f32], bias: &[f32], relu: bool) {
    if out.is_empty() {
        return;
    }
    parallel::for_each(Rows(out, bias.len()), (1 << 15) / bias.len() + 1, |_, part| {
        for row in part.0.chunks_exact_mut(bias.len()) {
            for (y, b) in row.iter_mut().zip(bias) {
                let sum = *y + b;
                *y = if relu { rectify(sum) } else { sum };
            }
        }
    });
}

/// max(x, 0) that lets NaN through, as PyTorch does.
#[inline]
pub(crate) fn rectify(x: f32) -> f32 {
    if x <= 0.0 { 0.0 } else { x }
}

/// The gradient of the input: grad_x[rows, inputs] = grad[rows, outputs] weight[outputs, inputs].
pub fn backward_input(grad: ArrayView2<f32>, weight: ArrayView2<f32>, grad_x: ArrayViewMut2<f32>) -> Result<()> {
    matmul(grad, weight, grad_x)
}

/// The gradient of the weight: grad_weight[outputs, inputs] = grad[rows, outputs]^T x[rows, inputs].
pub fn backward_weight(grad: ArrayView2<f32>, x: ArrayView2<f32>, grad_weight: ArrayViewMut2<f32>) -> Result<()> {
    matmul_tn(grad, x, grad_weight)
}

/// The gradient of the bias: the column sums of grad[rows, outputs], rows added in order.
pub fn backward_bias(grad: ArrayView2<f32>, mut grad_bias: ArrayViewMut1<f32>) -> Result<()> {
    let columns = grad.ncols();
    expect_shape(OP, "grad_bias", grad_bias.shape(), &[columns])?;
    let grad = dense(OP, "grad", &grad)?;
    parallel::for_each(dense_mut(OP, "grad_bias", &mut grad_bias)?, 512, |first, part| {
        part.fill(0.0);
        for row in grad.chunks_exact(columns) {
            for (sum, g) in part.iter_mut().zip(&row[first..]) {
                *sum += g;
            }
        }
    });
    Ok(())
}
