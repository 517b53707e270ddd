use crate::borrow::{F32, F32Mut, Memory, U8, U8Mut, U32Mut, matrix, matrix_mut};
use crate::error::{Result, kernel};
use distillery_kernels::batch_norm::{self, Affine, Running, Saved};
use distillery_kernels::linear::{self, Gradients};
use distillery_kernels::rng::Generator;
use distillery_kernels::{dropout, softmax};
use napi_derive::napi;

/// out[rows, outputs] = x[rows, inputs] weight[outputs, inputs]^T + bias, then ReLU where asked
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments, reason = "a flat call costs less than an object that is cloned")]
pub fn linear_forward(
    x: F32,
    weight: F32,
    bias: Option<F32>,
    mut out: F32Mut,
    rows: u32,
    inputs: u32,
    outputs: u32,
    relu: bool,
) -> Result<()> {
    let mut memory = Memory::new();
    let (x, weight, out) = (memory.read(&x)?, memory.read(&weight)?, memory.write(&mut out)?);
    let bias = bias.as_ref().map(|bias| memory.read(bias)).transpose()?;
    let (x, weight) = (matrix("x", x, rows, inputs)?, matrix("weight", weight, outputs, inputs)?);
    linear::forward(x, weight, bias.map(Into::into), relu, matrix_mut("out", out, rows, outputs)?).map_err(kernel)
}

/// The gradients of linearForward without ReLU that are asked for: gradX = grad weight, gradWeight = grad^T x, and
/// gradBias, the column sums of grad[rows, outputs]
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments, reason = "a flat call costs less than an object that is cloned")]
pub fn linear_backward(
    grad: F32,
    x: F32,
    weight: F32,
    mut grad_x: Option<F32Mut>,
    mut grad_weight: Option<F32Mut>,
    mut grad_bias: Option<F32Mut>,
    rows: u32,
    inputs: u32,
    outputs: u32,
) -> Result<()> {
    let mut memory = Memory::new();
    let grad = matrix("grad", memory.read(&grad)?, rows, outputs)?;
    let x = matrix("x", memory.read(&x)?, rows, inputs)?;
    let weight = matrix("weight", memory.read(&weight)?, outputs, inputs)?;
    let mut into = Gradients::default();
    if let Some(grad_x) = &mut grad_x {
        into.x = Some(matrix_mut("gradX", memory.write(grad_x)?, rows, inputs)?);
    }
    if let Some(grad_weight) = &mut grad_weight {
        into.weight = Some(matrix_mut("gradWeight", memory.write(grad_weight)?, outputs, inputs)?);
    }
    if let Some(grad_bias) = &mut grad_bias {
        into.bias = Some(memory.write(grad_bias)?.into());
    }
    linear::backward(grad, x, weight, into).map_err(kernel)
}

/// BatchNorm1d in train mode; moves runningMean and runningVar, writes mean and invStd for the backward pass
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments, reason = "a flat call costs less than an object that is cloned")]
pub fn batch_norm_train(
    x: F32,
    weight: F32,
    bias: F32,
    mut running_mean: F32Mut,
    mut running_var: F32Mut,
    mut mean: F32Mut,
    mut inv_std: F32Mut,
    mut out: F32Mut,
    rows: u32,
    features: u32,
    eps: f64,
    momentum: f64,
) -> Result<()> {
    let mut memory = Memory::new();
    let affine = Affine { weight: memory.read(&weight)?.into(), bias: memory.read(&bias)?.into() };
    let running = Running {
        mean: memory.write(&mut running_mean)?.into(),
        var: memory.write(&mut running_var)?.into(),
        momentum: momentum as f32,
    };
    let x = matrix("x", memory.read(&x)?, rows, features)?;
    let (mean, inv_std) = (memory.write(&mut mean)?.into(), memory.write(&mut inv_std)?.into());
    let out = matrix_mut("out", memory.write(&mut out)?, rows, features)?;
    batch_norm::forward_train(x, &affine, running, eps as f32, mean, inv_std, out).map_err(kernel)
}

/// BatchNorm1d in eval mode; writes invStd for the backward pass
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments, reason = "a flat call costs less than an object that is cloned")]
pub fn batch_norm_eval(
    x: F32,
    weight: F32,
    bias: F32,
    running_mean: F32,
    running_var: F32,
    mut inv_std: F32Mut,
    mut out: F32Mut,
    rows: u32,
    features: u32,
    eps: f64,
) -> Result<()> {
    let mut memory = Memory::new();
    let affine = Affine { weight: memory.read(&weight)?.into(), bias: memory.read(&bias)?.into() };
    let (mean, var) = (memory.read(&running_mean)?.into(), memory.read(&running_var)?.into());
    let x = matrix("x", memory.read(&x)?, rows, features)?;
    let inv_std = memory.write(&mut inv_std)?.into();
    let out = matrix_mut("out", memory.write(&mut out)?, rows, features)?;
    batch_norm::forward_eval(x, &affine, mean, var, eps as f32, inv_std, out).map_err(kernel)
}

/// The gradients of BatchNorm1d's input, weight and bias
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments, reason = "a flat call costs less than an object that is cloned")]
pub fn batch_norm_backward(
    grad: F32,
    x: F32,
    mean: F32,
    inv_std: F32,
    weight: F32,
    mut grad_x: F32Mut,
    mut grad_weight: F32Mut,
    mut grad_bias: F32Mut,
    rows: u32,
    features: u32,
    train: bool,
) -> Result<()> {
    let mut memory = Memory::new();
    let saved = Saved {
        x: matrix("x", memory.read(&x)?, rows, features)?,
        mean: memory.read(&mean)?.into(),
        inv_std: memory.read(&inv_std)?.into(),
        train,
    };
    let grad = matrix("grad", memory.read(&grad)?, rows, features)?;
    let weight = memory.read(&weight)?.into();
    let grad_x = matrix_mut("gradX", memory.write(&mut grad_x)?, rows, features)?;
    let (grad_weight, grad_bias) = (memory.write(&mut grad_weight)?.into(), memory.write(&mut grad_bias)?.into());
    batch_norm::backward(grad, &saved, weight, grad_x, grad_weight, grad_bias).map_err(kernel)
}

/// out = x with each element kept with chance 1 - p and divided by it; writes the mask
#[napi(catch_unwind)]
pub fn dropout_forward(x: F32, p: f64, mut state: U32Mut, mut mask: U8Mut, mut out: F32Mut) -> Result<()> {
    let mut memory = Memory::new();
    let (x, state) = (memory.read(&x)?, memory.write(&mut state)?);
    let (mask, out) = (memory.write(&mut mask)?, memory.write(&mut out)?);
    let mut generator = Generator::new(state).map_err(kernel)?;
    dropout::forward(x, p, &mut generator, mask, out).map_err(kernel)
}

/// The gradient of dropout's input
#[napi(catch_unwind)]
pub fn dropout_backward(grad: F32, p: f64, mask: U8, mut grad_x: F32Mut) -> Result<()> {
    let mut memory = Memory::new();
    let (grad, mask, grad_x) = (memory.read(&grad)?, memory.read(&mask)?, memory.write(&mut grad_x)?);
    dropout::backward(grad, p, mask, grad_x).map_err(kernel)
}

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
