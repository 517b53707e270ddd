use crate::borrow::{F32, F32Mut, Memory, U8, U8Mut, U32Mut};
use crate::error::{Result, kernel_error};
use crate::linear::precision;
use distillery_kernels::batch_norm::{self, Affine, Gradients, Outputs, Saved};
use distillery_kernels::batch_stats::{self, RunningUpdate, Statistics};
use distillery_kernels::channel_norm::{self, Epilogue, EpilogueGradient};
use distillery_kernels::dropout::Mask;
use distillery_kernels::linear::Weight;
use distillery_kernels::norm_relu_dropout as fused;
use napi_derive::napi;

/// A BatchNorm1d layer, whose arrays are of [features]; in train mode the running statistics are updated
#[napi(object, object_to_js = false)]
pub struct Norm {
    pub weight: F32,
    pub bias: F32,
    pub running_mean: F32Mut,
    pub running_var: F32Mut,
    pub train: bool,
    pub eps: f64,
    pub momentum: f64,
}

/// What batchNormForward reads and writes: x and out are [rows, features, length], mean and invStd (for the backward
/// pass) [features]; addend, of out's shape, is added if it is not null, and ReLU follows if relu
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct BatchNormForward {
    pub x: F32,
    pub norm: Norm,
    pub addend: Option<F32>,
    pub relu: bool,
    pub mean: F32Mut,
    pub inv_std: F32Mut,
    pub out: F32Mut,
    pub rows: u32,
    pub features: u32,
    pub length: u32,
}

/// BatchNorm: normalizes each feature by the batch's statistics in train mode, by the running ones in eval mode
#[napi(catch_unwind)]
pub fn batch_norm_forward(mut call: BatchNormForward) -> Result<()> {
    let shape = [call.rows, call.features, call.length];
    let mut memory = Memory::new();
    let x = memory.view("x", &call.x, shape)?;
    let norm = call.norm.borrow(&mut memory)?;
    let outputs = Outputs {
        mean: memory.write(&mut call.mean)?,
        inv_std: memory.write(&mut call.inv_std)?,
        out: memory.view_mut("out", &mut call.out, shape)?,
    };
    let epilogue = Epilogue { addend: memory.read_some(&call.addend)?, relu: call.relu };
    channel_norm::forward(x, norm, epilogue, outputs).map_err(kernel_error)
}

/// The mean of each feature of x[rows, features, length], then the sums of squared distances from them
#[napi(catch_unwind)]
pub fn batch_moments(x: F32, rows: u32, features: u32, length: u32) -> Result<Vec<f64>> {
    let mut memory = Memory::new();
    let x = memory.view("x", &x, [rows, features, length])?;
    let mut moments = vec![0.0; 2 * features as usize];
    let (mean, squares) = moments.split_at_mut(features as usize);
    batch_stats::moments(x, mean, squares).map_err(kernel_error)?;
    Ok(moments)
}

/// A linear layer: x[rows, inputs], weight[features, inputs], bias[features] or null; the operands of its product are
/// rounded to bfloat16 if bfloat16
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct Linear {
    pub x: F32,
    pub weight: F32,
    pub bias: Option<F32>,
    pub bfloat16: bool,
}

/// A dropout layer: p is the probability that an element is dropped; the mask[rows, features] is drawn from state
#[napi(object, object_to_js = false)]
pub struct Dropout {
    pub p: f64,
    pub mask: U8Mut,
    pub state: U32Mut,
}

/// What linearNormReluDropoutForward reads and writes; linearOut, which BatchNorm normalizes, and out are [rows,
/// features]
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct LinearNormReluDropoutForward {
    pub linear: Linear,
    pub norm: Norm,
    pub dropout: Option<Dropout>,
    pub linear_out: F32Mut,
    pub mean: F32Mut,
    pub inv_std: F32Mut,
    pub out: F32Mut,
    pub rows: u32,
    pub inputs: u32,
    pub features: u32,
}

/// out = dropout(relu(batchNorm(linear(x)))), with the bits of the four kernels one after another
#[napi(catch_unwind)]
pub fn linear_norm_relu_dropout_forward(mut call: LinearNormReluDropoutForward) -> Result<()> {
    let LinearNormReluDropoutForward { rows, inputs, features, .. } = call;
    let mut memory = Memory::new();
    let linear = fused::Linear {
        input: memory.view("linear.x", &call.linear.x, [rows, inputs])?,
        weight: Weight::Matrix(
            memory.view("linear.weight", &call.linear.weight, [features, inputs])?,
            precision(call.linear.bfloat16),
        ),
        bias: memory.read_some(&call.linear.bias)?.map(Into::into),
    };
    let linear_out = memory.view_mut("linearOut", &mut call.linear_out, [rows, features])?;
    let norm = call.norm.borrow(&mut memory)?;
    let outputs = Outputs {
        mean: memory.write(&mut call.mean)?,
        inv_std: memory.write(&mut call.inv_std)?,
        out: memory.view_mut("out", &mut call.out, [rows, features])?,
    };
    let Some(Dropout { p, mask, state }) = &mut call.dropout else {
        return fused::linear_forward(linear, linear_out, norm, None, outputs).map_err(kernel_error);
    };
    let mut generator = memory.generator(state)?;
    let dropout = fused::Dropout { p: *p, generator: Some(&mut generator), keep: memory.write(mask)? };
    fused::linear_forward(linear, linear_out, norm, Some(dropout), outputs).map_err(kernel_error)
}

/// What the backward pass needs of the forward pass: its input x[rows, features], and mean and invStd, which it wrote
#[napi(object, object_to_js = false)]
pub struct NormSaved {
    pub x: F32,
    pub mean: F32,
    pub inv_std: F32,
    pub train: bool,
}

/// The gradients of a BatchNorm's input, weight and bias, which are all written
#[napi(object, object_to_js = false)]
pub struct NormGradients {
    pub x: F32Mut,
    pub weight: F32Mut,
    pub bias: F32Mut,
}

/// What batchNormBackward reads and writes: y is the output if ReLU followed, else null; gradAddend takes the gradient
/// of the addend, null if there was none
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct BatchNormBackward {
    pub grad: F32,
    pub y: Option<F32>,
    pub grad_addend: Option<F32Mut>,
    pub saved: NormSaved,
    pub weight: F32,
    pub bias: F32,
    pub gradients: NormGradients,
    pub rows: u32,
    pub features: u32,
    pub length: u32,
}

/// The gradients of batchNormForward from grad[rows, features, length]
#[napi(catch_unwind)]
pub fn batch_norm_backward(mut call: BatchNormBackward) -> Result<()> {
    let shape = [call.rows, call.features, call.length];
    let mut memory = Memory::new();
    let grad = memory.view("grad", &call.grad, shape)?;
    let saved = Saved {
        x: memory.view("saved.x", &call.saved.x, shape)?,
        mean: memory.read(&call.saved.mean)?,
        inv_std: memory.read(&call.saved.inv_std)?,
        train: call.saved.train,
    };
    let affine = Affine { weight: memory.read(&call.weight)?, bias: memory.read(&call.bias)? };
    let into = Gradients {
        x: memory.view_mut("gradients.x", &mut call.gradients.x, shape)?,
        weight: memory.write(&mut call.gradients.weight)?,
        bias: memory.write(&mut call.gradients.bias)?,
    };
    let epilogue =
        EpilogueGradient { y: memory.read_some(&call.y)?, addend: memory.write_some(&mut call.grad_addend)? };
    channel_norm::backward(grad, &saved, affine, epilogue, into).map_err(kernel_error)
}

/// What normReluDropoutBackward reads and writes; mask is null if nothing was dropped
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct NormReluDropoutBackward {
    pub grad: F32,
    pub saved: NormSaved,
    pub weight: F32,
    pub bias: F32,
    pub mask: Option<U8>,
    pub p: f64,
    pub gradients: NormGradients,
    pub rows: u32,
    pub features: u32,
}

/// The gradients of dropout(relu(batchNorm(x))) from grad[rows, features]
#[napi(catch_unwind)]
pub fn norm_relu_dropout_backward(mut call: NormReluDropoutBackward) -> Result<()> {
    let shape = [call.rows, call.features];
    let mut memory = Memory::new();
    let grad = memory.view("grad", &call.grad, shape)?;
    let saved = Saved {
        x: memory.view("saved.x", &call.saved.x, shape)?,
        mean: memory.read(&call.saved.mean)?,
        inv_std: memory.read(&call.saved.inv_std)?,
        train: call.saved.train,
    };
    let affine = Affine { weight: memory.read(&call.weight)?, bias: memory.read(&call.bias)? };
    let mask = memory.read_some(&call.mask)?.map(|keep| Mask { keep, p: call.p });
    let into = Gradients {
        x: memory.view_mut("gradients.x", &mut call.gradients.x, shape)?,
        weight: memory.write(&mut call.gradients.weight)?,
        bias: memory.write(&mut call.gradients.bias)?,
    };
    fused::backward(grad, &saved, affine, mask, into).map_err(kernel_error)
}

impl Norm {
    fn borrow<'a>(&'a mut self, memory: &mut Memory) -> Result<batch_norm::Norm<'a>> {
        let affine = Affine { weight: memory.read(&self.weight)?, bias: memory.read(&self.bias)? };
        let (mean, var) = (memory.write(&mut self.running_mean)?, memory.write(&mut self.running_var)?);
        let statistics = if self.train {
            Statistics::Batch(RunningUpdate { mean, var, momentum: self.momentum as f32 })
        } else {
            Statistics::Running { mean, var }
        };
        Ok(batch_norm::Norm { affine, statistics, eps: self.eps as f32 })
    }
}
