//! The fully connected layer, `torch.nn.functional.linear`, with bias and ReLU fused into the matrix product.

use crate::batch_stats::COLUMN_BLOCK;
use crate::error::{Result, contiguous, contiguous_mut, expect_shape};
use crate::matmul::bf16::{self, Rhs, Unit};
use crate::matmul::{Bias, Epilogue, PackedB, Precision, gemm_nt, product};
use crate::parallel;
use crate::vectorised::vectorised;
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2};

const OP: &str = "linear";
/// Rows whose sum is taken in single precision.
const SUMMED_ROWS: usize = 512;

/// The weight[outputs, inputs], and how it is multiplied.
#[derive(Clone, Copy)]
pub enum Weight<'a> {
    /// In this precision.
    Matrix(ArrayView2<'a, f32>, Precision),
    /// Its transpose, packed before.
    Packed(&'a PackedB),
}

impl<'a> From<ArrayView2<'a, f32>> for Weight<'a> {
    fn from(weight: ArrayView2<'a, f32>) -> Self {
        Self::Matrix(weight, Precision::Float32)
    }
}

impl Weight<'_> {
    /// Outputs and inputs.
    fn dim(&self) -> (usize, usize) {
        match self {
            Self::Matrix(weight, _) => weight.dim(),
            Self::Packed(packed) => (packed.columns(), packed.rows()),
        }
    }
}

/// out[rows, outputs] = x[rows, inputs] weight[outputs, inputs]^T + bias[outputs], then ReLU if `relu`.
pub fn forward<'a>(
    x: ArrayView2<f32>,
    weight: impl Into<Weight<'a>>,
    bias: Option<ArrayView1<f32>>,
    relu: bool,
    mut out: ArrayViewMut2<f32>,
) -> Result<()> {
    let weight = weight.into();
    check(&x, &weight, bias.as_ref(), &mut out)?;
    let bias = bias.as_ref().map(|bias| contiguous(OP, "bias", bias)).transpose()?;
    let epilogue = Epilogue { bias: bias.map_or(Bias::None, Bias::Columns), relu, ..Epilogue::default() };
    let rounded = |unit, b: Rhs, out| bf16::gemm(unit, OP, x, b, bias, relu, out);
    match weight {
        Weight::Matrix(weight, Precision::Float32) => gemm_nt(OP, x, weight, epilogue, out),
        Weight::Matrix(weight, Precision::Bfloat16(unit)) => rounded(unit, Rhs::Matrix(weight.reversed_axes()), out),
        Weight::Packed(PackedB::Float32(panels)) => {
            panels.multiply(&x, epilogue, &mut out);
            Ok(())
        }
        Weight::Packed(PackedB::Bfloat16(packed)) => rounded(Unit::best(), Rhs::Packed(packed), out),
    }
}

/// What `forward` refuses.
pub(crate) fn check(
    x: &ArrayView2<f32>,
    weight: &Weight,
    bias: Option<&ArrayView1<f32>>,
    out: &mut ArrayViewMut2<f32>,
) -> Result<()> {
    let (outputs, inputs) = weight.dim();
    expect_shape(OP, "x", x.shape(), &[x.nrows(), inputs])?;
    expect_shape(OP, "out", out.shape(), &[x.nrows(), outputs])?;
    if let Some(bias) = bias {
        expect_shape(OP, "bias", bias.shape(), &[outputs])?;
        contiguous(OP, "bias", bias)?;
    }
    contiguous_mut(OP, "out", out).map(|_| ())
}

/// The gradients that are wanted.
#[derive(Default)]
pub struct Gradients<'a> {
    /// Of the input[rows, inputs].
    pub x: Option<ArrayViewMut2<'a, f32>>,
    /// Of the weight[outputs, inputs].
    pub weight: Option<ArrayViewMut2<'a, f32>>,
    /// Of the bias[outputs].
    pub bias: Option<ArrayViewMut1<'a, f32>>,
}

/// The gradients from grad[rows, outputs], x[rows, inputs] and weight[outputs, inputs]: that of the input in parallel
/// with those of weight and bias.
pub fn backward(
    precision: Precision,
    grad: ArrayView2<f32>,
    x: ArrayView2<f32>,
    weight: ArrayView2<f32>,
    mut into: Gradients,
) -> Result<()> {
    let ((rows, outputs), inputs) = (grad.dim(), weight.ncols());
    expect_shape(OP, "weight", weight.shape(), &[outputs, inputs])?;
    expect_shape(OP, "x", x.shape(), &[rows, inputs])?;
    if let Some(grad_x) = &into.x {
        expect_shape(OP, "grad_x", grad_x.shape(), &[rows, inputs])?;
    }
    if let Some(grad_weight) = &into.weight {
        expect_shape(OP, "grad_weight", grad_weight.shape(), &[outputs, inputs])?;
    }
    if let Some(grad_bias) = &mut into.bias {
        expect_shape(OP, "grad_bias", grad_bias.shape(), &[outputs])?;
        contiguous(OP, "grad", &grad)?;
        contiguous_mut(OP, "grad_bias", grad_bias)?;
    }
    let input = || into.x.map_or(Ok(()), |grad_x| backward_input(precision, grad, weight, grad_x));
    let parameters = || {
        into.weight.map_or(Ok(()), |grad_weight| backward_weight(precision, grad, x, grad_weight))?;
        into.bias.map_or(Ok(()), |grad_bias| backward_bias(grad, grad_bias))
    };
    let (input, parameters) = parallel::join(input, parameters);
    input.and(parameters)
}

/// The gradient of the input: grad_x[rows, inputs] = grad[rows, outputs] weight[outputs, inputs].
pub fn backward_input(
    precision: Precision,
    grad: ArrayView2<f32>,
    weight: ArrayView2<f32>,
    grad_x: ArrayViewMut2<f32>,
) -> Result<()> {
    product(precision, OP, grad, weight, grad_x)
}

/// The gradient of the weight: grad_weight[outputs, inputs] = grad[rows, outputs]^T x[rows, inputs].
pub fn backward_weight(
    precision: Precision,
    grad: ArrayView2<f32>,
    x: ArrayView2<f32>,
    grad_weight: ArrayViewMut2<f32>,
) -> Result<()> {
    product(precision, OP, grad.reversed_axes(), x, grad_weight)
}

/// The gradient of the bias: the column sums of grad[rows, outputs], of blocks of rows in single precision and in row
/// order, of the blocks in double precision.
pub fn backward_bias(grad: ArrayView2<f32>, mut grad_bias: ArrayViewMut1<f32>) -> Result<()> {
    let columns = grad.ncols();
    expect_shape(OP, "grad_bias", grad_bias.shape(), &[columns])?;
    let grad = contiguous(OP, "grad", &grad)?;
    if columns == 0 {
        return Ok(());
    }
    parallel::for_each(contiguous_mut(OP, "grad_bias", &mut grad_bias)?, 2 * COLUMN_BLOCK, |first, part| {
        for (i, part) in part.chunks_mut(COLUMN_BLOCK).enumerate() {
            let mut sums = [0.0; COLUMN_BLOCK];
            for rows in grad.chunks(SUMMED_ROWS * columns) {
                part.fill(0.0);
                add_rows(rows, columns, first + i * COLUMN_BLOCK, part);
                sums.iter_mut().zip(&*part).for_each(|(sum, part)| *sum += f64::from(*part));
            }
            part.iter_mut().zip(sums).for_each(|(part, sum)| *part = sum as f32);
        }
    });
    Ok(())
}

vectorised! {
fn add_rows<'a>(x: &'a [f32], stride: usize, first: usize, sums: &'a mut [f32]) {
    for row in x.chunks_exact(stride) {
        sums.iter_mut().zip(&row[first..]).for_each(|(sum, x)| *sum += x);
    }
}
}
