use crate::borrow::{F32, F32Mut, Memory, expect_len};
use crate::error::{Result, kernel_error};
use crate::linear::precision;
use distillery_kernels::matmul;
use napi_derive::napi;

/// out[i] = a[i] b[i] for each matrix of a batch, a[m, k] b[k, n]; `transpose_a`: a is stored as [k, m], `transpose_b`:
/// b as [n, k]; their operands are rounded to bfloat16 if bfloat16
#[napi(catch_unwind)]
pub fn batched_matmul(
    a: F32,
    b: F32,
    mut out: F32Mut,
    batch: u32,
    m: u32,
    k: u32,
    n: u32,
    transpose_a: bool,
    transpose_b: bool,
    bfloat16: bool,
) -> Result<()> {
    let mut memory = Memory::new();
    let (a, b, out) = (memory.read(&a)?, memory.read(&b)?, memory.write(&mut out)?);
    expect_len("a", a.len(), &[batch, m, k])?;
    expect_len("b", b.len(), &[batch, k, n])?;
    expect_len("out", out.len(), &[batch, m, n])?;
    let (transposed, sizes) = ([transpose_a, transpose_b], [m, k, n].map(|length| length as usize));
    matmul::batched_matmul(precision(bfloat16), transposed, batch as usize, sizes, [a, b], out).map_err(kernel_error)
}
