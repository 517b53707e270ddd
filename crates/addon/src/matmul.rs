use crate::borrow::{F32, F32Mut, Memory, expect_len, matrix, matrix_mut};
use crate::error::{Result, kernel};
use crate::linear::precision;
use distillery_kernels::matmul::{self as kernels, Form};
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
/// 2: a[k, m]^T b[k, n]; their operands are rounded to bfloat16 if bfloat16
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments, reason = "a flat call costs less than an object")]
pub fn batched_matmul(
    form: u32,
    a: F32,
    b: F32,
    mut out: F32Mut,
    batch: u32,
    m: u32,
    k: u32,
    n: u32,
    bfloat16: bool,
) -> Result<()> {
    let mut memory = Memory::new();
    let (a, b, out) = (memory.read(&a)?, memory.read(&b)?, memory.write(&mut out)?);
    expect_len("a", a.len(), &[batch, m, k])?;
    expect_len("b", b.len(), &[batch, k, n])?;
    expect_len("out", out.len(), &[batch, m, n])?;
    let form = match form {
        0 => Form::Plain,
        1 => Form::Right,
        _ => Form::Left,
    };
    let sizes = [m, k, n].map(|length| length as usize);
    kernels::batched_matmul(precision(bfloat16), form, batch as usize, sizes, [a, b], out).map_err(kernel)
}
