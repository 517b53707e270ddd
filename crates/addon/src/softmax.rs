use crate::borrow::{F32, F32Mut, Memory, matrix, matrix_mut};
use crate::error::{Result, kernel};
use distillery_kernels::softmax;
use napi_derive::napi;

/// Softmax, or its logarithm, over the rows of x
#[napi(catch_unwind)]
pub fn softmax_forward(x: F32, mut out: F32Mut, rows: u32, columns: u32, log: bool) -> Result<()> {
    let mut memory = Memory::new();
    let x = matrix("x", memory.read(&x)?, rows, columns)?;
    let out = matrix_mut("out", memory.write(&mut out)?, rows, columns)?;
    let softmax = if log { softmax::log_softmax } else { softmax::softmax };
    softmax(x, out).map_err(kernel)
}

/// The gradient of softmax's input, or of log-softmax's, from its output y
#[napi(catch_unwind)]
pub fn softmax_backward(grad: F32, y: F32, mut grad_x: F32Mut, rows: u32, columns: u32, log: bool) -> Result<()> {
    let mut memory = Memory::new();
    let grad = matrix("grad", memory.read(&grad)?, rows, columns)?;
    let y = matrix("y", memory.read(&y)?, rows, columns)?;
    let grad_x = matrix_mut("gradX", memory.write(&mut grad_x)?, rows, columns)?;
    let backward = if log { softmax::log_softmax_backward } else { softmax::softmax_backward };
    backward(grad, y, grad_x).map_err(kernel)
}
