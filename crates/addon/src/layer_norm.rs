use crate::borrow::{F32, F32Mut, Memory};
use crate::error::{Result, kernel_error};
use distillery_kernels::layer_norm::{self, Affine, Saved};
use napi_derive::napi;

/// What layerNormForward reads and writes: x and out are [rows, columns], weight and bias, which may be null,
/// [columns], mean and invStd, for the backward pass, [rows]
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct LayerNormForward {
    pub x: F32,
    pub weight: Option<F32>,
    pub bias: Option<F32>,
    pub mean: F32Mut,
    pub inv_std: F32Mut,
    pub out: F32Mut,
    pub rows: u32,
    pub columns: u32,
    pub eps: f64,
}

/// LayerNorm: normalizes each row by its own mean and biased variance
#[napi(catch_unwind)]
pub fn layer_norm_forward(mut call: LayerNormForward) -> Result<()> {
    let shape = [call.rows, call.columns];
    let mut memory = Memory::new();
    let x = memory.view("x", &call.x, shape)?;
    let affine = Affine { weight: memory.read_some(&call.weight)?, bias: memory.read_some(&call.bias)? };
    let (mean, inv_std) = (memory.write(&mut call.mean)?, memory.write(&mut call.inv_std)?);
    let out = memory.view_mut("out", &mut call.out, shape)?;
    layer_norm::forward(x, affine, call.eps, mean, inv_std, out).map_err(kernel_error)
}

/// The gradient of layerNormForward's x; weight may be null
#[napi(catch_unwind)]
pub fn layer_norm_backward(
    grad: F32,
    x: F32,
    mean: F32,
    inv_std: F32,
    weight: Option<F32>,
    mut grad_x: F32Mut,
    rows: u32,
    columns: u32,
) -> Result<()> {
    let shape = [rows, columns];
    let mut memory = Memory::new();
    let grad = memory.view("grad", &grad, shape)?;
    let x = memory.view("x", &x, shape)?;
    let saved = Saved { x, mean: memory.read(&mean)?, inv_std: memory.read(&inv_std)? };
    let weight = memory.read_some(&weight)?;
    let grad_x = memory.view_mut("gradX", &mut grad_x, shape)?;
    layer_norm::backward(grad, saved, weight, grad_x).map_err(kernel_error)
}

/// The gradients of layerNormForward's weight and bias
#[napi(catch_unwind)]
pub fn layer_norm_affine_backward(
    grad: F32,
    x: F32,
    mean: F32,
    inv_std: F32,
    mut grad_weight: F32Mut,
    mut grad_bias: F32Mut,
    rows: u32,
    columns: u32,
) -> Result<()> {
    let shape = [rows, columns];
    let mut memory = Memory::new();
    let grad = memory.view("grad", &grad, shape)?;
    let x = memory.view("x", &x, shape)?;
    let saved = Saved { x, mean: memory.read(&mean)?, inv_std: memory.read(&inv_std)? };
    let (grad_weight, grad_bias) = (memory.write(&mut grad_weight)?, memory.write(&mut grad_bias)?);
    layer_norm::backward_affine(grad, saved, grad_weight, grad_bias).map_err(kernel_error)
}
