use crate::borrow::{F32, F32Mut, I32Mut, Memory, expect_len, matrix, matrix_mut, shape_error};
use crate::error::{Result, kernel};
use distillery_kernels::{elementwise, reduce};
use napi_derive::napi;
use ndarray::{ArrayView3, ArrayViewD, ArrayViewMutD, IxDyn};

/// out = max(x, 0)
#[napi(catch_unwind)]
pub fn relu_forward(x: F32, mut out: F32Mut) -> Result<()> {
    let mut memory = Memory::new();
    elementwise::relu(memory.read(&x)?, memory.write(&mut out)?).map_err(kernel)
}

/// The gradient of ReLU's input from its output y
#[napi(catch_unwind)]
pub fn relu_backward(grad: F32, y: F32, mut grad_x: F32Mut) -> Result<()> {
    let mut memory = Memory::new();
    elementwise::relu_backward(memory.read(&grad)?, memory.read(&y)?, memory.write(&mut grad_x)?).map_err(kernel)
}

/// out = factor * x + offset
#[napi(catch_unwind)]
pub fn affine(x: F32, factor: f64, offset: f64, mut out: F32Mut) -> Result<()> {
    let mut memory = Memory::new();
    let (x, out) = (memory.read(&x)?, memory.write(&mut out)?);
    elementwise::affine(x, factor as f32, offset as f32, out).map_err(kernel)
}

/// out = a + b, of equal lengths
#[napi(catch_unwind)]
pub fn add(a: F32, b: F32, mut out: F32Mut) -> Result<()> {
    let mut memory = Memory::new();
    elementwise::add(memory.read(&a)?, memory.read(&b)?, memory.write(&mut out)?).map_err(kernel)
}

/// out = a * b, of equal lengths
#[napi(catch_unwind)]
pub fn mul(a: F32, b: F32, mut out: F32Mut) -> Result<()> {
    let mut memory = Memory::new();
    elementwise::mul(memory.read(&a)?, memory.read(&b)?, memory.write(&mut out)?).map_err(kernel)
}

/// into += x
#[napi(catch_unwind)]
pub fn accumulate(x: F32, mut into: F32Mut) -> Result<()> {
    let mut memory = Memory::new();
    elementwise::accumulate(memory.read(&x)?, memory.write(&mut into)?).map_err(kernel)
}

/// Repeats x along the axes where out is larger
#[napi(catch_unwind)]
pub fn expand(x: F32, shape: Vec<u32>, mut out: F32Mut, out_shape: Vec<u32>) -> Result<()> {
    let mut memory = Memory::new();
    let (x, out) = (memory.read(&x)?, memory.write(&mut out)?);
    elementwise::expand(view("x", x, &shape)?, view_mut("out", out, &out_shape)?).map_err(kernel)
}

/// Sums x over the axes along which out was expanded to x's shape
#[napi(catch_unwind)]
pub fn sum_to(x: F32, shape: Vec<u32>, mut out: F32Mut, out_shape: Vec<u32>) -> Result<()> {
    let mut memory = Memory::new();
    let (x, out) = (memory.read(&x)?, memory.write(&mut out)?);
    elementwise::sum_to(view("x", x, &shape)?, view_mut("out", out, &out_shape)?).map_err(kernel)
}

/// out[outer, inner] = scale * the sum over the middle axis of x[outer, length, inner]
#[napi(catch_unwind)]
pub fn sum_axis(x: F32, mut out: F32Mut, outer: u32, length: u32, inner: u32, scale: f64) -> Result<()> {
    let mut memory = Memory::new();
    let (x, out) = (memory.read(&x)?, memory.write(&mut out)?);
    let shape = (outer as usize, length as usize, inner as usize);
    expect_len("x", x.len(), &[outer, length, inner])?;
    let x = ArrayView3::from_shape(shape, x).map_err(shape_error)?;
    reduce::sum_axis(x, scale, matrix_mut("out", out, outer, inner)?).map_err(kernel)
}

/// out[i] = the column of the largest value in row i
#[napi(catch_unwind)]
pub fn argmax(x: F32, mut out: I32Mut, rows: u32, columns: u32) -> Result<()> {
    let mut memory = Memory::new();
    reduce::argmax(matrix("x", memory.read(&x)?, rows, columns)?, memory.write(&mut out)?).map_err(kernel)
}

fn dimensions(shape: &[u32]) -> Vec<usize> {
    shape.iter().map(|&n| n as usize).collect()
}

fn view<'a>(what: &'static str, data: &'a [f32], shape: &[u32]) -> Result<ArrayViewD<'a, f32>> {
    expect_len(what, data.len(), shape)?;
    ArrayViewD::from_shape(IxDyn(&dimensions(shape)), data).map_err(shape_error)
}

fn view_mut<'a>(what: &'static str, data: &'a mut [f32], shape: &[u32]) -> Result<ArrayViewMutD<'a, f32>> {
    expect_len(what, data.len(), shape)?;
    ArrayViewMutD::from_shape(IxDyn(&dimensions(shape)), data).map_err(shape_error)
}
