//! Matrix products in single precision.
//!
//! Every element of a product is a sum of partial sums, which are added in order. A partial sum starts at zero and runs
//! over `params::kc_sum` steps of k, in ascending order, by fused multiply-adds. So the bits of an element depend only
//! on its row of A and its column of B: not on the number of threads, other rows and columns, or the processor's SIMD
//! level.

mod batched;
pub mod bf16;
mod conv;
mod conv_elements;
mod conv_params;
mod conv_task;
mod conv_weight;
mod epilogue;
mod gemm;
mod in_place;
mod macrokernel;
mod mat;
mod microkernel;
mod pack;
mod packed;
mod params;
mod patches;
mod prefetch;
mod problem;
mod runs;
mod transpose;
mod weight_tile;
mod winograd;

use crate::error::{Result, expect_shape};
pub(crate) use batched::batch_grain;
pub use batched::batched_matmul;
use bf16::{Rhs, Unit};
use conv_elements::Elements;
pub(crate) use conv_params::ConvParams;
pub use epilogue::RowNorm;
pub(crate) use epilogue::{Bias, Epilogue};
use ndarray::{ArrayView2, ArrayView4, ArrayViewMut2, ArrayViewMut4};
pub(crate) use pack::with_scratch;
pub use packed::{PackedB, PackedF32};
pub use params::kc_sum;
pub(crate) use patches::Window;
use problem::Gemm;
use pulp::Arch;
pub(crate) use transpose::{LANES, deinterleave, interleave, transpose};
pub(crate) use winograd::Kernel;
pub use winograd::TransformedWeight;

/// out[m, n] = a[m, k] b[k, n], `torch.matmul` of two matrices.
pub fn matmul(a: ArrayView2<f32>, b: ArrayView2<f32>, out: ArrayViewMut2<f32>) -> Result<()> {
    gemm_on(Arch::new(), "matmul", a, b, Epilogue::default(), out)
}

/// The SIMD levels that this processor has, from scalar code to the widest, which is used.
pub fn simd_levels() -> Vec<Arch> {
    let mut levels = vec![Arch::Scalar];
    #[cfg(target_arch = "x86_64")]
    levels.extend(pulp::x86::V3::try_new().map(Arch::V3));
    levels.push(Arch::new());
    levels
}

/// out[m, n] = relu(a[m, k] b[k, n] + bias[n]) at a given SIMD level, for tests: every level gives the same bits.
pub fn matmul_bias_relu_at(
    level: Arch,
    a: ArrayView2<f32>,
    b: ArrayView2<f32>,
    bias: &[f32],
    out: ArrayViewMut2<f32>,
) -> Result<()> {
    gemm_on(
        level,
        "matmul_bias_relu_at",
        a,
        b,
        Epilogue { bias: Bias::Columns(bias), relu: true, ..Epilogue::default() },
        out,
    )
}

/// What the operands of a product are rounded to. Sums are always in single precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Single precision: no rounding.
    #[default]
    Float32,
    /// bfloat16, multiplied by this unit.
    Bfloat16(Unit),
}

impl Precision {
    /// bfloat16 by the fastest unit of this processor.
    pub fn bfloat16() -> Self {
        Self::Bfloat16(Unit::best())
    }

    /// Single precision, and bfloat16 by each unit that this processor has.
    pub fn all() -> Vec<Self> {
        [Self::Float32].into_iter().chain(Unit::all().into_iter().map(Self::Bfloat16)).collect()
    }
}

/// out[m, n] = a[m, k] b[k, n].
pub(crate) fn product(
    precision: Precision,
    op: &'static str,
    a: ArrayView2<f32>,
    b: ArrayView2<f32>,
    out: ArrayViewMut2<f32>,
) -> Result<()> {
    match precision {
        Precision::Float32 => gemm_on(Arch::new(), op, a, b, Epilogue::default(), out),
        Precision::Bfloat16(unit) => bf16::gemm(unit, op, a, Rhs::Matrix(b), None, false, out),
    }
}

/// `conv::convolve` in a precision.
pub(crate) fn convolve(
    precision: Precision,
    a: &[ArrayView2<f32>],
    x: ArrayView4<f32>,
    window: &Window,
    epilogue: Epilogue,
    addend: Option<ArrayView4<f32>>,
    out: ArrayViewMut4<f32>,
) {
    match precision {
        Precision::Bfloat16(unit) if !x.is_empty() => bf16::convolve(unit, a, x, window, epilogue, addend, out),
        _ => conv::convolve(conv::Weight::Parts(Elements::Numbers, a), x, window, epilogue, addend, out),
    }
}

/// `conv::convolve` with a weight that was transformed before.
pub(crate) fn convolve_transformed(
    weight: &TransformedWeight,
    x: ArrayView4<f32>,
    window: &Window,
    epilogue: Epilogue,
    addend: Option<ArrayView4<f32>>,
    out: ArrayViewMut4<f32>,
) {
    conv::convolve(conv::Weight::Transformed(weight), x, window, epilogue, addend, out);
}

/// `conv::convolve_back`.
pub(crate) fn convolve_back(kernel: Kernel, a: ArrayView2<f32>, grad: ArrayView4<f32>, out: ArrayViewMut4<f32>) {
    conv::convolve_back(kernel, a, grad, out);
}

/// `conv_weight::weight_gradient` in a precision.
pub(crate) fn weight_gradient(
    precision: Precision,
    grad: ArrayView4<f32>,
    x: ArrayView4<f32>,
    params: ConvParams,
    grad_weight: ArrayViewMut4<f32>,
) {
    match precision {
        Precision::Bfloat16(unit) if !grad.is_empty() && !x.is_empty() => {
            bf16::weight_gradient(unit, grad, x, params, grad_weight);
        }
        _ => conv_weight::weight_gradient(grad, x, params, grad_weight),
    }
}

/// out[m, n] = epilogue(a[m, k] b[n, k]^T).
pub(crate) fn gemm_nt(
    op: &'static str,
    a: ArrayView2<f32>,
    b: ArrayView2<f32>,
    epilogue: Epilogue,
    out: ArrayViewMut2<f32>,
) -> Result<()> {
    // Checked before `b` is transposed, so that the error shows the caller's shape.
    expect_shape(op, "b", b.shape(), &[b.nrows(), a.ncols()])?;
    gemm_on(Arch::new(), op, a, b.reversed_axes(), epilogue, out)
}

fn gemm_on(
    arch: Arch,
    op: &'static str,
    a: ArrayView2<f32>,
    b: ArrayView2<f32>,
    epilogue: Epilogue,
    mut out: ArrayViewMut2<f32>,
) -> Result<()> {
    let ((m, k), n) = (a.dim(), b.ncols());
    expect_shape(op, "b", b.shape(), &[k, n])?;
    expect_shape(op, "out", out.shape(), &[m, n])?;
    if let Bias::Columns(bias) = epilogue.bias {
        expect_shape(op, "bias", &[bias.len()], &[n])?;
    }
    arch.dispatch(Gemm { m, n, k, a: (&a).into(), b: (&b).into(), c: (&mut out).into(), epilogue });
    Ok(())
}
