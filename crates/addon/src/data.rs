use crate::borrow::{F32, F32Mut, I32, Memory, U8};
use crate::error::{Result, kernel_error};
use distillery_kernels::gather;
use napi_derive::napi;

/// out[i] = (pixels[indices[i]] / 255 - mean) / std, with a mean and a deviation a channel
#[napi(catch_unwind)]
pub fn gather_bytes(
    pixels: U8,
    indices: I32,
    mut out: F32Mut,
    rows: u32,
    width: u32,
    mean: F32,
    std: F32,
) -> Result<()> {
    let mut memory = Memory::new();
    let (pixels, indices) = (memory.view("pixels", &pixels, [rows, width])?, memory.read(&indices)?);
    let (mean, std) = (memory.read(&mean)?, memory.read(&std)?);
    let out = memory.view_mut("out", &mut out, [indices.len() as u32, width])?;
    gather::gather_bytes(pixels, indices, mean, std, out).map_err(kernel_error)
}

/// out[i] = from[indices[i]]
#[napi(catch_unwind)]
pub fn gather_rows(from: F32, indices: I32, mut out: F32Mut, rows: u32, width: u32) -> Result<()> {
    let mut memory = Memory::new();
    let (from, indices) = (memory.view("from", &from, [rows, width])?, memory.read(&indices)?);
    let out = memory.view_mut("out", &mut out, [indices.len() as u32, width])?;
    gather::gather_rows(from, indices, out).map_err(kernel_error)
}

/// The index of the first value that is NaN or infinite, or -1
#[napi(catch_unwind)]
pub fn first_non_finite(x: F32) -> Result<i64> {
    let mut memory = Memory::new();
    Ok(gather::first_non_finite(memory.read(&x)?).map_or(-1, |index| index as i64))
}
