use crate::borrow::{F32, F32Mut, Memory, matrix, matrix_mut};
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
