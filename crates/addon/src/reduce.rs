use crate::borrow::{F32, F32Mut, I32Mut, Memory, expect_len};
use crate::error::{Result, kernel_error};
use distillery_kernels::reduce;
use napi_derive::napi;

/// out[outer, inner] = scale * the sum over the middle axis of x[outer, length, inner]
#[napi(catch_unwind)]
pub fn sum_axis(x: F32, mut out: F32Mut, outer: u32, length: u32, inner: u32, scale: f64) -> Result<()> {
    let mut memory = Memory::new();
    let x = memory.view("x", &x, [outer, length, inner])?;
    let out = memory.view_mut("out", &mut out, [outer, inner])?;
    reduce::sum_axis(x, scale, out).map_err(kernel_error)
}

/// out[outer, inner] = where the largest (or smallest) of the middle axis of x[outer, length, inner] lies
#[napi(catch_unwind)]
pub fn argmax(x: F32, mut out: I32Mut, outer: u32, length: u32, inner: u32, largest: bool) -> Result<()> {
    let mut memory = Memory::new();
    let (x, out) = (memory.view("x", &x, [outer, length, inner])?, memory.write(&mut out)?);
    reduce::argmax(x, largest, out).map_err(kernel_error)
}

/// out[rows, k] = where the k largest (or smallest) values of each row of x[rows, length] lie
#[napi(catch_unwind)]
pub fn topk(x: F32, mut out: I32Mut, length: u32, k: u32, largest: bool) -> Result<()> {
    let mut memory = Memory::new();
    let (x, out) = (memory.read(&x)?, memory.write(&mut out)?);
    reduce::topk(x, length as usize, k as usize, largest, out).map_err(kernel_error)
}

/// The sums along the middle axis of x[outer, length, inner] so far, from its end if `reverse`
#[napi(catch_unwind)]
pub fn cumsum(x: F32, mut out: F32Mut, outer: u32, length: u32, inner: u32, reverse: bool) -> Result<()> {
    let mut memory = Memory::new();
    let (x, out) = (memory.read(&x)?, memory.write(&mut out)?);
    expect_len("x", x.len(), &[outer, length, inner])?;
    reduce::cumsum(x, [outer, length, inner].map(|n| n as usize), reverse, out).map_err(kernel_error)
}
