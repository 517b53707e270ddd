use crate::borrow::{F32, F32Mut, I32, Memory, expect_len};
use crate::error::{Result, kernel_error};
use crate::list::List;
use distillery_kernels::indexing::{self, Gather};
use distillery_kernels::strided::{self, View};
use napi_derive::napi;

/// out = the elements of x at offset + i strides[0] + ..., row by row
#[napi(catch_unwind)]
pub fn strided_copy(x: F32, shape: List<u32>, strides: List<u32>, offset: u32, mut out: F32Mut) -> Result<()> {
    let mut memory = Memory::new();
    let (x, out) = (memory.read(&x)?, memory.write(&mut out)?);
    let (shape, strides) = (shape.to_usizes(), strides.to_usizes());
    strided::copy(x, &View { shape: &shape, strides: &strides, offset: offset as usize }, out).map_err(kernel_error)
}

/// The elements of out at offset + i strides[0] + ... = x, row by row; the others stay
#[napi(catch_unwind)]
pub fn strided_scatter(x: F32, shape: List<u32>, strides: List<u32>, offset: u32, mut out: F32Mut) -> Result<()> {
    let mut memory = Memory::new();
    let (x, out) = (memory.read(&x)?, memory.write(&mut out)?);
    let (shape, strides) = (shape.to_usizes(), strides.to_usizes());
    strided::scatter(x, &View { shape: &shape, strides: &strides, offset: offset as usize }, out).map_err(kernel_error)
}

/// Sums x over the axes along which it was broadcast from out's shape
#[napi(catch_unwind)]
pub fn sum_to(x: F32, shape: List<u32>, mut out: F32Mut, out_shape: List<u32>) -> Result<()> {
    let mut memory = Memory::new();
    let (x, out) = (memory.read(&x)?, memory.write(&mut out)?);
    expect_len("x", x.len(), &shape)?;
    expect_len("out", out.len(), &out_shape)?;
    strided::sum_to(x, &shape.to_usizes(), &out_shape.to_usizes(), out).map_err(kernel_error)
}

/// out[outer, i, inner] = x[outer, indices[i], inner]
#[napi(catch_unwind)]
pub fn index_select(x: F32, outer: u32, length: u32, inner: u32, indices: I32, mut out: F32Mut) -> Result<()> {
    let mut memory = Memory::new();
    let (x, indices, out) = (memory.read(&x)?, memory.read(&indices)?, memory.write(&mut out)?);
    expect_len("x", x.len(), &[outer, length, inner])?;
    indexing::index_select(x, [outer, length, inner].map(|n| n as usize), indices, out).map_err(kernel_error)
}

/// out[outer, indices[i], inner] = the sum of the grad[outer, i, inner] that belong there
#[napi(catch_unwind)]
pub fn index_add(grad: F32, outer: u32, length: u32, inner: u32, indices: I32, mut out: F32Mut) -> Result<()> {
    let mut memory = Memory::new();
    let (grad, indices, out) = (memory.read(&grad)?, memory.read(&indices)?, memory.write(&mut out)?);
    expect_len("out", out.len(), &[outer, length, inner])?;
    indexing::index_add(grad, [outer, length, inner].map(|n| n as usize), indices, out).map_err(kernel_error)
}

/// out = x at the indices along an axis
#[napi(catch_unwind)]
pub fn gather(
    x: F32,
    shape: List<u32>,
    axis: u32,
    indices: I32,
    index_shape: List<u32>,
    mut out: F32Mut,
) -> Result<()> {
    let mut memory = Memory::new();
    let (x, indices, out) = (memory.read(&x)?, memory.read(&indices)?, memory.write(&mut out)?);
    expect_len("x", x.len(), &shape)?;
    expect_len("index", indices.len(), &index_shape)?;
    let (shape, index_shape) = (shape.to_usizes(), index_shape.to_usizes());
    Gather { shape: &shape, axis: axis as usize, indices, index_shape: &index_shape }
        .gather(x, out)
        .map_err(kernel_error)
}

/// out at the indices along an axis = x, or += x if `add`; x has the indices' length or one element
#[napi(catch_unwind)]
pub fn scatter(
    x: F32,
    mut out: F32Mut,
    shape: List<u32>,
    axis: u32,
    indices: I32,
    index_shape: List<u32>,
    add: bool,
) -> Result<()> {
    let mut memory = Memory::new();
    let (x, indices, out) = (memory.read(&x)?, memory.read(&indices)?, memory.write(&mut out)?);
    expect_len("out", out.len(), &shape)?;
    expect_len("index", indices.len(), &index_shape)?;
    let (shape, index_shape) = (shape.to_usizes(), index_shape.to_usizes());
    Gather { shape: &shape, axis: axis as usize, indices, index_shape: &index_shape }
        .scatter(x, add, out)
        .map_err(kernel_error)
}
