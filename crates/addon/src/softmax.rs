use crate::borrow::{F32, F32Mut, Memory};
use crate::error::{Result, kernel_error};
use distillery_kernels::softmax;
use napi_derive::napi;

/// Softmax, or its logarithm, over the rows of x
#[napi(catch_unwind)]
pub fn softmax_forward(x: F32, mut out: F32Mut, rows: u32, columns: u32, log: bool) -> Result<()> {
    let mut memory = Memory::new();
    let x = memory.view("x", &x, [rows, columns])?;
    let out = memory.view_mut("out", &mut out, [rows, columns])?;
    let softmax = if log { softmax::log_softmax } else { softmax::softmax };
    softmax(x, out).map_err(kernel_error)
}

/// The gradient of softmax's input, or of log-softmax's, from its output y
#[napi(catch_unwind)]
pub fn softmax_backward(grad: F32, y: F32, mut grad_x: F32Mut, rows: u32, columns: u32, log: bool) -> Result<()> {
    let mut memory = Memory::new();
    let grad = memory.view("grad", &grad, [rows, columns])?;
    let y = memory.view("y", &y, [rows, columns])?;
    let grad_x = memory.view_mut("gradX", &mut grad_x, [rows, columns])?;
    let backward = if log { softmax::log_softmax_backward } else { softmax::softmax_backward };
    backward(grad, y, grad_x).map_err(kernel_error)
}
