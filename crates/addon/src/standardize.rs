use crate::borrow::{F32, F32Mut, Memory};
use crate::error::{Result, kernel_error};
use distillery_kernels::standardize;
use napi_derive::napi;

/// Rows with mean 0 and standard deviation 1
#[napi(catch_unwind)]
pub fn standardize_forward(x: F32, mut out: F32Mut, rows: u32, columns: u32, epsilon: f64) -> Result<()> {
    let mut memory = Memory::new();
    let x = memory.view("x", &x, [rows, columns])?;
    let out = memory.view_mut("out", &mut out, [rows, columns])?;
    standardize::standardize(x, epsilon, out).map_err(kernel_error)
}

/// The gradient of its input
#[napi(catch_unwind)]
pub fn standardize_backward(
    grad: F32,
    x: F32,
    mut grad_x: F32Mut,
    rows: u32,
    columns: u32,
    epsilon: f64,
) -> Result<()> {
    let mut memory = Memory::new();
    let grad = memory.view("grad", &grad, [rows, columns])?;
    let x = memory.view("x", &x, [rows, columns])?;
    let grad_x = memory.view_mut("gradX", &mut grad_x, [rows, columns])?;
    standardize::standardize_backward(grad, x, epsilon, grad_x).map_err(kernel_error)
}
