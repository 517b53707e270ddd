use crate::borrow::{F32, F32Mut, Memory, matrix, matrix_mut};
use crate::error::{Result, kernel};
use distillery_kernels::linear::{self, Gradients};
use napi_derive::napi;

/// x[rows, inputs], weight[outputs, inputs], bias[outputs] or null, out[rows, outputs]
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct LinearForward {
    pub x: F32,
    pub weight: F32,
    pub bias: Option<F32>,
    /// Whether ReLU follows
    pub relu: bool,
    pub out: F32Mut,
    pub rows: u32,
    pub inputs: u32,
    pub outputs: u32,
}

/// out = x weight^T + bias, then ReLU if relu
#[napi(catch_unwind)]
pub fn linear_forward(mut call: LinearForward) -> Result<()> {
    let LinearForward { rows, inputs, outputs, relu, .. } = call;
    let mut memory = Memory::new();
    let x = matrix("x", memory.read(&call.x)?, rows, inputs)?;
    let weight = matrix("weight", memory.read(&call.weight)?, outputs, inputs)?;
    let bias = memory.read_some(&call.bias)?.map(Into::into);
    let out = matrix_mut("out", memory.write(&mut call.out)?, rows, outputs)?;
    linear::forward(x, weight, bias, relu, out).map_err(kernel)
}

/// grad[rows, outputs] of linearForward without ReLU, its x and weight, and the gradients that are wanted, else null
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct LinearBackward {
    pub grad: F32,
    pub x: F32,
    pub weight: F32,
    pub grad_x: Option<F32Mut>,
    pub grad_weight: Option<F32Mut>,
    pub grad_bias: Option<F32Mut>,
    pub rows: u32,
    pub inputs: u32,
    pub outputs: u32,
}

/// gradX = grad weight, gradWeight = grad^T x, gradBias = the column sums of grad
#[napi(catch_unwind)]
pub fn linear_backward(mut call: LinearBackward) -> Result<()> {
    let LinearBackward { rows, inputs, outputs, .. } = call;
    let mut memory = Memory::new();
    let grad = matrix("grad", memory.read(&call.grad)?, rows, outputs)?;
    let x = matrix("x", memory.read(&call.x)?, rows, inputs)?;
    let weight = matrix("weight", memory.read(&call.weight)?, outputs, inputs)?;
    let mut into = Gradients::default();
    if let Some(grad_x) = memory.write_some(&mut call.grad_x)? {
        into.x = Some(matrix_mut("gradX", grad_x, rows, inputs)?);
    }
    if let Some(grad_weight) = memory.write_some(&mut call.grad_weight)? {
        into.weight = Some(matrix_mut("gradWeight", grad_weight, outputs, inputs)?);
    }
    into.bias = memory.write_some(&mut call.grad_bias)?.map(Into::into);
    linear::backward(grad, x, weight, into).map_err(kernel)
}
