use crate::borrow::{F32, F32Mut, Memory, U32, U32Mut, matrix};
use crate::error::{Result, kernel};
use distillery_kernels::ahead::Ahead;
use distillery_kernels::frozen::{Hidden, Layer, Question, Then};
use napi::bindgen_prelude::External;
use napi_derive::napi;

/// A network of no layers yet, whose weights will be copied and not change
#[napi(catch_unwind)]
pub fn frozen_network() -> External<Ahead> {
    External::new(Ahead::default())
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

/// Begins a pass of input[rows, inputs] beside whatever follows, as the random stream and the layers' statistics stand
#[napi(catch_unwind)]
pub fn frozen_begin(
    network: &mut External<Ahead>,
    input: F32,
    rows: u32,
    train: bool,
    state: U32,
    statistics: Vec<F32>,
) -> Result<()> {
    let mut memory = Memory::new();
    let (input, state, statistics) = (memory.read(&input)?, memory.read(&state)?, memory.read_all(&statistics)?);
    network.begin(&Question { input, rows: rows as usize, train, state, statistics: &statistics }).map_err(kernel)
}

/// The logits[rows, outputs] of a pass, of the one that has begun where it began with just this; in train mode the
/// statistics and the random stream move. Whether such a one had begun
#[napi(catch_unwind)]
pub fn frozen_answer(
    network: &mut External<Ahead>,
    input: F32,
    rows: u32,
    train: bool,
    mut state: U32Mut,
    mut statistics: Vec<F32Mut>,
    mut out: F32Mut,
) -> Result<bool> {
    let mut memory = Memory::new();
    let input = memory.read(&input)?;
    let state = memory.write(&mut state)?;
    let mut statistics = memory.write_all(&mut statistics)?;
    let out = memory.write(&mut out)?;
    let parts: Vec<&[f32]> = statistics.iter().map(|part| &**part).collect();
    let question = Question { input, rows: rows as usize, train, state, statistics: &parts };
    let (pass, had_begun) = network.answer(&question).map_err(kernel)?;
    pass.write(state, &mut statistics, out).map_err(kernel)?;
    Ok(had_begun)
}
