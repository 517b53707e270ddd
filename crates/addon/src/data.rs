use crate::borrow::{F32, F32Mut, I32, Memory, U8, matrix, matrix_mut};
use crate::error::{Result, kernel};
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
    let (pixels, indices) = (memory.read(&pixels)?, memory.read(&indices)?);
    let (mean, std, out) = (memory.read(&mean)?, memory.read(&std)?, memory.write(&mut out)?);
    let out = matrix_mut("out", out, indices.len() as u32, width)?;
    let pixels = matrix("pixels", pixels, rows, width)?;
    gather::gather_bytes(pixels, indices, mean, std, out).map_err(kernel)
}

/// out[i] = from[indices[i]]
#[napi(catch_unwind)]
pub fn gather_rows(from: F32, indices: I32, mut out: F32Mut, rows: u32, width: u32) -> Result<()> {
    let mut memory = Memory::new();
    let (from, indices, out) = (memory.read(&from)?, memory.read(&indices)?, memory.write(&mut out)?);
    let out = matrix_mut("out", out, indices.len() as u32, width)?;
    gather::gather_rows(matrix("from", from, rows, width)?, indices, out).map_err(kernel)
}

/// The index of the first value that is NaN or infinite, or -1
#[napi(catch_unwind)]
pub fn first_non_finite(x: F32) -> Result<i64> {
    let mut memory = Memory::new();
    Ok(gather::first_non_finite(memory.read(&x)?).map_or(-1, |index| index as i64))
}
