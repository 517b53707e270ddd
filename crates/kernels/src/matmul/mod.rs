//! Matrix products in single precision.
//!
//! Every element of a product is a sum of partial sums (`params::kc_sum`): fused multiply-adds over a run of k in ascending
//! order, from zero; the partial sums are added in order. So its bits depend on its row of A and its column of B only: not
//! on the number of threads, nor on the other rows and columns, nor on the SIMD level of the processor.

mod conv;
mod conv_weight;
mod epilogue;
mod gemm;
mod in_place;
mod macrokernel;
mod mat;
mod microkernel;
mod pack;
mod params;
mod patches;
mod prefetch;
mod problem;
mod transpose;

use crate::error::{Result, expect_shape};
pub(crate) use conv::convolve;
pub(crate) use conv_weight::{Reading, weight_gradient};
pub(crate) use epilogue::{Bias, Epilogue};
use ndarray::{ArrayView2, ArrayViewMut2};
pub(crate) use patches::Window;
use problem::Gemm;
use pulp::Arch;

/// out[m, n] = a[m, k] b[k, n], `torch.matmul` of two matrices.
pub fn matmul(a: ArrayView2<f32>, b: ArrayView2<f32>, out: ArrayViewMut2<f32>) -> Result<()> {
    gemm_on(Arch::new(), "matmul", a, b, Epilogue::default(), out)
}

/// out[m, n] = a[m, k] b[n, k]^T.
pub fn matmul_nt(a: ArrayView2<f32>, b: ArrayView2<f32>, out: ArrayViewMut2<f32>) -> Result<()> {
    gemm_nt("matmul_nt", a, b, Epilogue::default(), out)
}

/// out[m, n] = a[k, m]^T b[k, n].
pub fn matmul_tn(a: ArrayView2<f32>, b: ArrayView2<f32>, out: ArrayViewMut2<f32>) -> Result<()> {
    gemm_on(Arch::new(), "matmul_tn", a.reversed_axes(), b, Epilogue::default(), out)
}

/// out[m, n] = epilogue(a[m, k] b[n, k]^T).
pub(crate) fn gemm_nt(
    op: &'static str,
    a: ArrayView2<f32>,
    b: ArrayView2<f32>,
    epilogue: Epilogue,
    out: ArrayViewMut2<f32>,
) -> Result<()> {
    // Checked before it is transposed, so that the error shows the caller's shape.
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

#[cfg(test)]
mod tests {
    use super::params::kc_sum;
    use super::*;
    use ndarray::Array2;

    fn archs() -> Vec<Arch> {
        let mut archs = vec![Arch::Scalar, Arch::new()];
        #[cfg(target_arch = "x86_64")]
        archs.extend(pulp::x86::V3::try_new().map(Arch::V3));
        archs
    }

    fn numbers(rows: usize, columns: usize) -> Array2<f32> {
        Array2::from_shape_fn((rows, columns), |(i, j)| ((i * 37 + j * 101) % 211) as f32 / 105.0 - 1.0)
    }

    #[test]
    fn every_simd_level_gives_the_bits_of_the_partial_sums() {
        for (m, k, n) in [(1, 1, 1), (7, 63, 65), (65, 7, 63), (13, 2500, 70), (130, 20, 33), (64, 10, 100), (3, 0, 5)]
        {
            let (a, b, bias) = (numbers(m, k), numbers(k, n), numbers(1, n).into_raw_vec_and_offset().0);
            let b_transposed = b.t().as_standard_layout().into_owned();
            let want = Array2::from_shape_fn((m, n), |(i, j)| {
                let sum = |ks: std::ops::Range<usize>| ks.fold(0.0, |sum, p| a[[i, p]].mul_add(b[[p, j]], sum));
                let partial = (0..k).step_by(kc_sum(k)).map(|start| sum(start..k.min(start + kc_sum(k))));
                let sum = partial.reduce(|a, b| a + b).unwrap_or(0.0) + bias[j];
                if sum <= 0.0 { 0.0 } else { sum }
            });
            for arch in archs() {
                for b in [b.view(), b_transposed.t()] {
                    let mut out = Array2::from_elem((m, n), f32::NAN);
                    let epilogue = Epilogue { bias: Bias::Columns(&bias), relu: true };
                    gemm_on(arch, "test", a.view(), b, epilogue, out.view_mut()).unwrap();
                    assert_eq!(out.mapv(f32::to_bits), want.mapv(f32::to_bits), "{arch:?} {m}x{k}x{n}");
                }
            }
        }
    }
}
