use crate::borrow::{F32, F32Mut, Memory, expect_len, matrix, matrix_mut};
use crate::error::{Result, kernel};
use distillery_kernels::matmul as kernels;
use napi_derive::napi;

/// out[m, n] = a[m, k] b[k, n]
#[napi(catch_unwind)]
pub fn matmul(a: F32, b: F32, mut out: F32Mut, m: u32, k: u32, n: u32) -> Result<()> {
    let mut memory = Memory::new();
    let (a, b, out) = (memory.read(&a)?, memory.read(&b)?, memory.write(&mut out)?);
    kernels::matmul(matrix("a", a, m, k)?, matrix("b", b, k, n)?, matrix_mut("out", out, m, n)?).map_err(kernel)
}

/// out[m, n] = a[m, k] b[n, k]^T
#[napi(catch_unwind)]
pub fn matmul_nt(a: F32, b: F32, mut out: F32Mut, m: u32, k: u32, n: u32) -> Result<()> {
    let mut memory = Memory::new();
    let (a, b, out) = (memory.read(&a)?, memory.read(&b)?, memory.write(&mut out)?);
    kernels::matmul_nt(matrix("a", a, m, k)?, matrix("b", b, n, k)?, matrix_mut("out", out, m, n)?).map_err(kernel)
}

/// out[m, n] = a[k, m]^T b[k, n]
#[napi(catch_unwind)]
pub fn matmul_tn(a: F32, b: F32, mut out: F32Mut, m: u32, k: u32, n: u32) -> Result<()> {
    let mut memory = Memory::new();
    let (a, b, out) = (memory.read(&a)?, memory.read(&b)?, memory.write(&mut out)?);
    kernels::matmul_tn(matrix("a", a, k, m)?, matrix("b", b, k, n)?, matrix_mut("out", out, m, n)?).map_err(kernel)
}

/// out[i] = a[i] b[i] for each matrix of a batch: form 0: a[m, k] b[k, n], 1: a[m, k] b[n, k]^T,
/// 2: a[k, m]^T b[k, n]
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments, reason = "a flat call costs less than an object")]
pub fn batched_matmul(form: u32, a: F32, b: F32, mut out: F32Mut, batch: u32, m: u32, k: u32, n: u32) -> Result<()> {
    let mut memory = Memory::new();
    let (a, b, out) = (memory.read(&a)?, memory.read(&b)?, memory.write(&mut out)?);
    expect_len("a", a.len(), &[batch, m, k])?;
    expect_len("b", b.len(), &[batch, k, n])?;
    expect_len("out", out.len(), &[batch, m, n])?;
    let [size_a, size_b, size_out] = [(m, k), (k, n), (m, n)].map(|(rows, columns)| rows as usize * columns as usize);
    for i in 0..batch as usize {
        let (a, b) = (&a[i * size_a..][..size_a], &b[i * size_b..][..size_b]);
        let out = matrix_mut("out", &mut out[i * size_out..][..size_out], m, n)?;
        match form {
            0 => kernels::matmul(matrix("a", a, m, k)?, matrix("b", b, k, n)?, out),
            1 => kernels::matmul_nt(matrix("a", a, m, k)?, matrix("b", b, n, k)?, out),
            _ => kernels::matmul_tn(matrix("a", a, k, m)?, matrix("b", b, k, n)?, out),
        }
        .map_err(kernel)?;
    }
    Ok(())
}
