use crate::borrow::{F32, F32Mut, I32, I32Mut, Memory};
use crate::error::{Result, error, kernel_error};
use distillery_kernels::binary::{self, Binary, Comparison, Operand};
use distillery_kernels::elementwise;
use distillery_kernels::unary::Unary;
use napi_derive::napi;

/// out = max(x, 0)
#[napi(catch_unwind)]
pub fn relu_forward(x: F32, mut out: F32Mut) -> Result<()> {
    let mut memory = Memory::new();
    elementwise::relu(memory.read(&x)?, memory.write(&mut out)?).map_err(kernel_error)
}

/// The gradient of ReLU's input from its output y
#[napi(catch_unwind)]
pub fn relu_backward(grad: F32, y: F32, mut grad_x: F32Mut) -> Result<()> {
    let mut memory = Memory::new();
    elementwise::relu_backward(memory.read(&grad)?, memory.read(&y)?, memory.write(&mut grad_x)?).map_err(kernel_error)
}

/// out = factor * x + offset
#[napi(catch_unwind)]
pub fn affine(x: F32, factor: f64, offset: f64, mut out: F32Mut) -> Result<()> {
    let mut memory = Memory::new();
    let (x, out) = (memory.read(&x)?, memory.write(&mut out)?);
    elementwise::affine(x, factor as f32, offset as f32, out).map_err(kernel_error)
}

/// into += x
#[napi(catch_unwind)]
pub fn accumulate(x: F32, mut into: F32Mut) -> Result<()> {
    let mut memory = Memory::new();
    elementwise::accumulate(memory.read(&x)?, memory.write(&mut into)?).map_err(kernel_error)
}

/// The names of the functions of one element: unary kernels take a position in this list
#[napi(catch_unwind)]
pub fn unary_names() -> Vec<&'static str> {
    Unary::ALL.iter().map(|(name, _)| *name).collect()
}

/// The names of the functions of two elements: binary kernels take a position in this list
#[napi(catch_unwind)]
pub fn binary_names() -> Vec<&'static str> {
    Binary::ALL.iter().map(|(name, _)| *name).collect()
}

/// The names of the comparisons: `compare` takes a position in this list
#[napi(catch_unwind)]
pub fn comparison_names() -> Vec<&'static str> {
    Comparison::ALL.iter().map(|(name, _)| *name).collect()
}

/// out = f(x), with the parameters a and b
#[napi(catch_unwind)]
pub fn unary_forward(index: u32, x: F32, a: f64, b: f64, mut out: F32Mut) -> Result<()> {
    let mut memory = Memory::new();
    let (x, out) = (memory.read(&x)?, memory.write(&mut out)?);
    row(Unary::ALL, index)?.forward(x, [a as f32, b as f32], out).map_err(kernel_error)
}

/// gradX = grad * f'(x), from the input x and the output y
#[napi(catch_unwind)]
pub fn unary_backward(index: u32, grad: F32, x: F32, y: F32, a: f64, b: f64, mut grad_x: F32Mut) -> Result<()> {
    let mut memory = Memory::new();
    let (grad, x, y) = (memory.read(&grad)?, memory.read(&x)?, memory.read(&y)?);
    let p = [a as f32, b as f32];
    row(Unary::ALL, index)?.backward(grad, x, y, p, memory.write(&mut grad_x)?).map_err(kernel_error)
}

/// out = f(a, b); each element of an operand stands as often in a row as said, and all again until out is full
#[napi(catch_unwind)]
pub fn binary_forward(index: u32, a: F32, each_a: u32, b: F32, each_b: u32, mut out: F32Mut) -> Result<()> {
    let mut memory = Memory::new();
    let (a, b) = (operand(memory.read(&a)?, each_a), operand(memory.read(&b)?, each_b));
    row(Binary::ALL, index)?.forward(a, b, memory.write(&mut out)?).map_err(kernel_error)
}

/// gradX = grad * the slope of f by a, or by b if `second`, before it is summed over what is repeated
#[napi(catch_unwind)]
pub fn binary_backward(
    index: u32,
    second: bool,
    grad: F32,
    a: F32,
    each_a: u32,
    b: F32,
    each_b: u32,
    mut grad_x: F32Mut,
) -> Result<()> {
    let mut memory = Memory::new();
    let grad = memory.read(&grad)?;
    let (a, b) = (operand(memory.read(&a)?, each_a), operand(memory.read(&b)?, each_b));
    row(Binary::ALL, index)?.backward(second, grad, a, b, memory.write(&mut grad_x)?).map_err(kernel_error)
}

/// out = 1 where the comparison of a and b holds, else 0; operands as in `binaryForward`
#[napi(catch_unwind)]
pub fn compare(index: u32, a: F32, each_a: u32, b: F32, each_b: u32, mut out: I32Mut) -> Result<()> {
    let mut memory = Memory::new();
    let (a, b) = (operand(memory.read(&a)?, each_a), operand(memory.read(&b)?, each_b));
    row(Comparison::ALL, index)?.forward(a, b, memory.write(&mut out)?).map_err(kernel_error)
}

/// out = a where the mask is not 0, else b; a and b have the mask's length or one element
#[napi(catch_unwind)]
pub fn select(mask: I32, a: F32, b: F32, mut out: F32Mut) -> Result<()> {
    let mut memory = Memory::new();
    let (mask, a, b) = (memory.read(&mask)?, memory.read(&a)?, memory.read(&b)?);
    binary::select(mask, a, b, memory.write(&mut out)?).map_err(kernel_error)
}

fn operand(data: &[f32], each: u32) -> Operand<'_> {
    Operand { data, each: each as usize }
}

fn row<T: Copy>(table: &[(&str, T)], index: u32) -> Result<T> {
    table.get(index as usize).map(|(_, row)| *row).ok_or_else(|| error("BAD_ARGUMENT", "index: no row of the table"))
}
