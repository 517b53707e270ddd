use crate::borrow::{F32, F32Mut, Memory, U8, U8Mut, U32Mut};
use crate::error::{Result, kernel_error};
use distillery_kernels::dropout::{self, Mask};
use napi_derive::napi;

/// out = x with each element kept with probability 1 - p and divided by it; writes the mask, drawn from state
#[napi(catch_unwind)]
pub fn dropout_forward(x: F32, p: f64, mut state: U32Mut, mut mask: U8Mut, mut out: F32Mut) -> Result<()> {
    let mut memory = Memory::new();
    let (x, mut generator) = (memory.read(&x)?, memory.generator(&mut state)?);
    let (mask, out) = (memory.write(&mut mask)?, memory.write(&mut out)?);
    dropout::forward(x, p, &mut generator, mask, out).map_err(kernel_error)
}

/// Draws which elements dropout with probability p keeps, from state
#[napi(catch_unwind)]
pub fn dropout_mask(p: f64, mut state: U32Mut, mut mask: U8Mut) -> Result<()> {
    let mut memory = Memory::new();
    let mut generator = memory.generator(&mut state)?;
    dropout::mask(p, &mut generator, memory.write(&mut mask)?).map_err(kernel_error)
}

/// The gradient of dropout's input
#[napi(catch_unwind)]
pub fn dropout_backward(grad: F32, p: f64, mask: U8, mut grad_x: F32Mut) -> Result<()> {
    let mut memory = Memory::new();
    let (grad, keep, grad_x) = (memory.read(&grad)?, memory.read(&mask)?, memory.write(&mut grad_x)?);
    dropout::backward(grad, Mask { keep, p }, grad_x).map_err(kernel_error)
}
