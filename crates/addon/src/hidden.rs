use crate::borrow::{F32, F32Mut, Memory, U8, U8Mut, U32Mut, matrix, matrix_mut};
use crate::error::{Result, kernel};
use distillery_kernels::batch_norm::{Affine, Running, Saved};
use distillery_kernels::norm_relu_dropout::{self as fused, Dropout, Linear, Mode, Norm, Outputs};
use distillery_kernels::rng::Generator;
use napi_derive::napi;

/// out = dropout(relu(batchNorm(x))) in one pass; in train mode the running statistics move. Writes mean and invStd for
/// the backward pass, and the mask, drawn from state; without both nothing is dropped
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments, reason = "a flat call costs less than an object that is cloned")]
pub fn norm_relu_dropout_forward(
    x: F32,
    weight: F32,
    bias: F32,
    mut running_mean: F32Mut,
    mut running_var: F32Mut,
    mut mean: F32Mut,
    mut inv_std: F32Mut,
    mut out: F32Mut,
    mut mask: Option<U8Mut>,
    mut state: Option<U32Mut>,
    rows: u32,
    features: u32,
    train: bool,
    eps: f64,
    momentum: f64,
    p: f64,
) -> Result<()> {
    let mut memory = Memory::new();
    let x = matrix("x", memory.read(&x)?, rows, features)?;
    let affine = Affine { weight: memory.read(&weight)?.into(), bias: memory.read(&bias)?.into() };
    let running = (memory.write(&mut running_mean)?, memory.write(&mut running_var)?);
    let norm = Norm { affine, mode: mode(running, train, momentum), eps: eps as f32 };
    let (mean, inv_std) = (memory.write(&mut mean)?.into(), memory.write(&mut inv_std)?.into());
    let out = matrix_mut("out", memory.write(&mut out)?, rows, features)?;
    let mut generator = generator(&mut memory, state.as_mut())?;
    let dropout = dropout(&mut memory, mask.as_mut(), generator.as_mut(), p)?;
    fused::forward(x, norm, dropout, Outputs { mean, inv_std, out }).map_err(kernel)
}

/// As normReluDropoutForward of x = input linearWeight^T + linearBias, which is written too
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments, reason = "a flat call costs less than an object that is cloned")]
pub fn linear_norm_relu_dropout_forward(
    input: F32,
    linear_weight: F32,
    linear_bias: Option<F32>,
    mut x: F32Mut,
    weight: F32,
    bias: F32,
    mut running_mean: F32Mut,
    mut running_var: F32Mut,
    mut mean: F32Mut,
    mut inv_std: F32Mut,
    mut out: F32Mut,
    mut mask: Option<U8Mut>,
    mut state: Option<U32Mut>,
    rows: u32,
    inputs: u32,
    features: u32,
    train: bool,
    eps: f64,
    momentum: f64,
    p: f64,
) -> Result<()> {
    let mut memory = Memory::new();
    let linear = Linear {
        input: matrix("input", memory.read(&input)?, rows, inputs)?,
        weight: matrix("linearWeight", memory.read(&linear_weight)?, features, inputs)?,
        bias: linear_bias.as_ref().map(|bias| memory.read(bias)).transpose()?.map(Into::into),
    };
    let x = matrix_mut("x", memory.write(&mut x)?, rows, features)?;
    let affine = Affine { weight: memory.read(&weight)?.into(), bias: memory.read(&bias)?.into() };
    let running = (memory.write(&mut running_mean)?, memory.write(&mut running_var)?);
    let norm = Norm { affine, mode: mode(running, train, momentum), eps: eps as f32 };
    let (mean, inv_std) = (memory.write(&mut mean)?.into(), memory.write(&mut inv_std)?.into());
    let out = matrix_mut("out", memory.write(&mut out)?, rows, features)?;
    let mut generator = generator(&mut memory, state.as_mut())?;
    let dropout = dropout(&mut memory, mask.as_mut(), generator.as_mut(), p)?;
    fused::linear_forward(linear, x, norm, dropout, Outputs { mean, inv_std, out }).map_err(kernel)
}

/// The gradients of normReluDropoutForward's x, weight and bias
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments, reason = "a flat call costs less than an object that is cloned")]
pub fn norm_relu_dropout_backward(
    grad: F32,
    x: F32,
    mean: F32,
    inv_std: F32,
    weight: F32,
    bias: F32,
    mask: Option<U8>,
    mut grad_x: F32Mut,
    mut grad_weight: F32Mut,
    mut grad_bias: F32Mut,
    rows: u32,
    features: u32,
    train: bool,
    p: f64,
) -> Result<()> {
    let mut memory = Memory::new();
    let saved = Saved {
        x: matrix("x", memory.read(&x)?, rows, features)?,
        mean: memory.read(&mean)?.into(),
        inv_std: memory.read(&inv_std)?.into(),
        train,
    };
    let grad = matrix("grad", memory.read(&grad)?, rows, features)?;
    let affine = Affine { weight: memory.read(&weight)?.into(), bias: memory.read(&bias)?.into() };
    let mask = mask.as_ref().map(|mask| memory.read(mask)).transpose()?.map(|mask| (mask, p));
    let grad_x = matrix_mut("gradX", memory.write(&mut grad_x)?, rows, features)?;
    let (grad_weight, grad_bias) = (memory.write(&mut grad_weight)?.into(), memory.write(&mut grad_bias)?.into());
    fused::backward(grad, &saved, &affine, mask, grad_x, grad_weight, grad_bias).map_err(kernel)
}

fn mode<'a>((mean, var): (&'a mut [f32], &'a mut [f32]), train: bool, momentum: f64) -> Mode<'a> {
    if train {
        Mode::Train(Running { mean: mean.into(), var: var.into(), momentum: momentum as f32 })
    } else {
        Mode::Eval((&*mean).into(), (&*var).into())
    }
}

fn generator<'a>(memory: &mut Memory, state: Option<&'a mut U32Mut>) -> Result<Option<Generator<'a>>> {
    let Some(state) = state else { return Ok(None) };
    Generator::new(memory.write(state)?).map(Some).map_err(kernel)
}

fn dropout<'a, 'g>(
    memory: &mut Memory,
    mask: Option<&'a mut U8Mut>,
    generator: Option<&'a mut Generator<'g>>,
    p: f64,
) -> Result<Option<Dropout<'a, 'g>>> {
    let (Some(mask), Some(generator)) = (mask, generator) else { return Ok(None) };
    Ok(Some(Dropout { p, generator: Some(generator), keep: memory.write(mask)? }))
}
