use crate::borrow::{F32, F32Mut, Memory, U32Mut, matrix};
use crate::error::{Result, kernel};
use distillery_kernels::ahead::{Ahead, Question};
use distillery_kernels::frozen::{Hidden, Layer, Then};
use napi::bindgen_prelude::External;
use napi_derive::napi;

/// A network of no layers yet, whose weights will be copied and not change
#[napi(catch_unwind)]
pub fn frozen_network() -> External<Ahead> {
    External::new(Ahead::default())
}

/// Lets a network's memory go: it has no layers then
#[napi(catch_unwind)]
pub fn frozen_release(network: &mut External<Ahead>) {
    **network = Ahead::default();
}

/// Adds a layer: x weight^T + bias, then ReLU where relu
#[napi(catch_unwind)]
pub fn frozen_linear(
    network: &mut External<Ahead>,
    weight: F32,
    bias: Option<F32>,
    outputs: u32,
    inputs: u32,
    relu: bool,
) -> Result<()> {
    let mut memory = Memory::new();
    let weight = matrix("weight", memory.read(&weight)?, outputs, inputs)?.to_owned();
    let bias = bias.as_ref().map(|bias| memory.read(bias)).transpose()?.map(|bias| bias.to_vec().into());
    let then = if relu { Then::Relu } else { Then::Nothing };
    network.push(Layer { weight, bias, then }).map_err(kernel)
}

/// Adds a layer: dropout(relu(batchNorm(x linearWeight^T + linearBias)))
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments, reason = "a flat call costs less than an object that is cloned")]
pub fn frozen_hidden(
    network: &mut External<Ahead>,
    linear_weight: F32,
    linear_bias: Option<F32>,
    weight: F32,
    bias: F32,
    features: u32,
    inputs: u32,
    eps: f64,
    momentum: f64,
    p: f64,
) -> Result<()> {
    let mut memory = Memory::new();
    let linear = matrix("linearWeight", memory.read(&linear_weight)?, features, inputs)?.to_owned();
    let linear_bias = linear_bias.as_ref().map(|bias| memory.read(bias)).transpose()?.map(|bias| bias.to_vec().into());
    let (weight, bias) = (memory.read(&weight)?.to_vec().into(), memory.read(&bias)?.to_vec().into());
    let hidden = Hidden { weight, bias, eps: eps as f32, momentum: momentum as f32, p };
    network.push(Layer { weight: linear, bias: linear_bias, then: Then::Hidden(hidden) }).map_err(kernel)
}

/// Begins a pass of input[rows, inputs], as the layers' statistics stand, beside whatever follows; the random stream moves
/// past what it draws
#[napi(catch_unwind)]
pub fn frozen_begin(
    network: &mut External<Ahead>,
    input: F32,
    rows: u32,
    train: bool,
    mut state: U32Mut,
    means: Vec<F32>,
    variances: Vec<F32>,
) -> Result<()> {
    let mut memory = Memory::new();
    let (input, state) = (memory.read(&input)?, memory.write(&mut state)?);
    let (means, variances) = (&mut memory.read_all(&means)?[..], &mut memory.read_all(&variances)?[..]);
    network.begin(&mut Question { input, rows: rows as usize, train, state, means, variances }).map_err(kernel)
}

/// The logits[rows, outputs]: of the next pass that has begun where it began with just this, else of one that is made
/// now. In train mode the statistics and the random stream move. Whether such a pass had begun
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments, reason = "a flat call costs less than an object that is cloned")]
pub fn frozen_answer(
    network: &mut External<Ahead>,
    input: F32,
    rows: u32,
    train: bool,
    mut state: U32Mut,
    mut means: Vec<F32Mut>,
    mut variances: Vec<F32Mut>,
    mut out: F32Mut,
) -> Result<bool> {
    let mut memory = Memory::new();
    let (input, state, out) = (memory.read(&input)?, memory.write(&mut state)?, memory.write(&mut out)?);
    let means = &mut memory.write_all(&mut means)?[..];
    let variances = &mut memory.write_all(&mut variances)?[..];
    network.answer(&mut Question { input, rows: rows as usize, train, state, means, variances }, out).map_err(kernel)
}
