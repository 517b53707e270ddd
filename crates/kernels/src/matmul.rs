//! Matrix products. The only file that knows which library multiplies.

use crate::error::{Result, expect_shape};
use crate::parallel;
use gemm::Parallelism;
use ndarray::{ArrayView2, ArrayViewMut2};

/// Below this many multiplications a product is not worth a second thread.
const PARALLEL_FROM: usize = 64 * 64 * 64;

/// out[m, n] = a[m, k] b[k, n].
pub fn matmul(a: ArrayView2<f32>, b: ArrayView2<f32>, out: ArrayViewMut2<f32>) -> Result<()> {
    product("matmul", a, b, out)
}

/// out[m, n] = a[m, k] b[n, k]^T.
pub fn matmul_nt(a: ArrayView2<f32>, b: ArrayView2<f32>, out: ArrayViewMut2<f32>) -> Result<()> {
    product("matmul_nt", a, b.reversed_axes(), out)
}

/// out[m, n] = a[k, m]^T b[k, n].
pub fn matmul_tn(a: ArrayView2<f32>, b: ArrayView2<f32>, out: ArrayViewMut2<f32>) -> Result<()> {
    product("matmul_tn", a.reversed_axes(), b, out)
}

fn product(op: &'static str, a: ArrayView2<f32>, b: ArrayView2<f32>, mut out: ArrayViewMut2<f32>) -> Result<()> {
    let ((m, k), n) = (a.dim(), b.ncols());
    expect_shape(op, "b", b.shape(), &[k, n])?;
    expect_shape(op, "out", out.shape(), &[m, n])?;
    let threads = if m * n * k < PARALLEL_FROM { 1 } else { parallel::enter(parallel::threads()) };
    let parallelism = if threads < 2 { Parallelism::None } else { Parallelism::Rayon(threads) };
    let (out_strides, a_strides, b_strides) = (out.strides().to_owned(), a.strides(), b.strides());
    // SAFETY: the three views are valid for their shapes and strides, which were checked against each other above, and
    // `out` is borrowed mutably, so it overlaps neither input. `out` is not read: its old values do not matter.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            out_strides[1],
            out_strides[0],
            false,
            a.as_ptr(),
            a_strides[1],
            a_strides[0],
            b.as_ptr(),
            b_strides[1],
            b_strides[0],
            0.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
    Ok(())
}
