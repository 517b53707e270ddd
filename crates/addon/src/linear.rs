use crate::borrow::{F32, F32Mut, Memory};
use crate::error::{Result, kernel_error};
use distillery_kernels::linear::{self, Gradients, Weight};
use distillery_kernels::matmul::Precision;
use distillery_kernels::matmul::bf16::Unit;
use napi_derive::napi;

/// out[rows, outputs] = x[rows, inputs] weight[outputs, inputs]^T + bias[outputs] or nothing, then ReLU if relu; the
/// operands of the product are rounded to bfloat16 if bfloat16
#[napi(catch_unwind)]
pub fn linear_forward(
    x: F32,
    weight: F32,
    bias: Option<F32>,
    mut out: F32Mut,
    rows: u32,
    inputs: u32,
    outputs: u32,
    relu: bool,
    bfloat16: bool,
) -> Result<()> {
    let mut memory = Memory::new();
    let x = memory.view("x", &x, [rows, inputs])?;
    let weight = memory.view("weight", &weight, [outputs, inputs])?;
    let bias = memory.read_some(&bias)?.map(Into::into);
    let out = memory.view_mut("out", &mut out, [rows, outputs])?;
    linear::forward(x, Weight::Matrix(weight, precision(bfloat16)), bias, relu, out).map_err(kernel_error)
}

/// gradX = grad weight, gradWeight = grad^T x, gradBias = the column sums of grad[rows, outputs]: those that are not
/// null; the operands of the products are rounded to bfloat16 if bfloat16
#[napi(catch_unwind)]
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
    bfloat16: bool,
) -> Result<()> {
    let mut memory = Memory::new();
    let grad = memory.view("grad", &grad, [rows, outputs])?;
    let x = memory.view("x", &x, [rows, inputs])?;
    let weight = memory.view("weight", &weight, [outputs, inputs])?;
    let into = Gradients {
        x: grad_x.as_mut().map(|into| memory.view_mut("gradX", into, [rows, inputs])).transpose()?,
        weight: grad_weight.as_mut().map(|into| memory.view_mut("gradWeight", into, [outputs, inputs])).transpose()?,
        bias: memory.write_some(&mut grad_bias)?.map(Into::into),
    };
    linear::backward(precision(bfloat16), grad, x, weight, into).map_err(kernel_error)
}

/// What products of operands in bfloat16 run on: "AMX-BF16", "AVX512-BF16", or "float32 arithmetic"
#[napi(catch_unwind)]
pub fn bfloat16_unit() -> &'static str {
    Unit::best().name()
}

pub(crate) fn precision(bfloat16: bool) -> Precision {
    if bfloat16 { Precision::bfloat16() } else { Precision::Float32 }
}
