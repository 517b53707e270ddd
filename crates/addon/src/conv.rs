use crate::borrow::{F32, F32Mut, Memory, expect_len};
use crate::error::{Result, kernel_error};
use crate::linear::precision;
use crate::list::List;
use distillery_kernels::conv::{self, Epilogue, Gradients, Operands, Shape, Weight};
use napi_derive::napi;

/// x[images, channels, height, width], weight[outputs, channels / groups, kernel height, kernel width], bias[outputs]
/// or null, out[images, outputs, height, width]; window: stride, padding and dilation, each of rows and columns, and
/// the groups
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct Conv2dForward {
    pub x: F32,
    pub weight: F32,
    pub bias: Option<F32>,
    /// Whether ReLU follows
    pub relu: bool,
    /// Whether operands are rounded to bfloat16, unless each channel has kernels of its own
    pub bfloat16: bool,
    /// Whether an image has the bits that it has alone, however many come with it
    pub alone: bool,
    pub out: F32Mut,
    pub x_shape: List<u32>,
    pub weight_shape: List<u32>,
    pub window: List<u32>,
}

/// out = the convolution of x with the weight, plus the bias, then ReLU if relu
#[napi(catch_unwind)]
pub fn conv2d_forward(mut call: Conv2dForward) -> Result<()> {
    let mut memory = Memory::new();
    let (x, weight) = (memory.read(&call.x)?, memory.read(&call.weight)?);
    let shape = shape(x, weight, [&call.x_shape, &call.weight_shape, &call.window])?;
    let (weight, bias) = (Weight::Taps(weight, precision(call.bfloat16)), memory.read_some(&call.bias)?);
    let operands = Operands { x, weight, bias, alone: call.alone };
    let epilogue = Epilogue { relu: call.relu, ..Epilogue::default() };
    conv::forward(&shape, operands, epilogue, memory.write(&mut call.out)?).map_err(kernel_error)
}

/// grad, of the shape of conv2dForward's out without ReLU, its x and weight, and the gradients that are wanted, else
/// null
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct Conv2dBackward {
    pub grad: F32,
    pub x: F32,
    pub weight: F32,
    pub grad_x: Option<F32Mut>,
    pub grad_weight: Option<F32Mut>,
    pub grad_bias: Option<F32Mut>,
    /// As conv2dForward's
    pub bfloat16: bool,
    pub x_shape: List<u32>,
    pub weight_shape: List<u32>,
    pub window: List<u32>,
}

/// The gradients of conv2dForward
#[napi(catch_unwind)]
pub fn conv2d_backward(mut call: Conv2dBackward) -> Result<()> {
    let mut memory = Memory::new();
    let (x, weight) = (memory.read(&call.x)?, memory.read(&call.weight)?);
    let shape = shape(x, weight, [&call.x_shape, &call.weight_shape, &call.window])?;
    let grad = memory.read(&call.grad)?;
    let into = Gradients {
        x: memory.write_some(&mut call.grad_x)?,
        weight: memory.write_some(&mut call.grad_weight)?,
        bias: memory.write_some(&mut call.grad_bias)?,
    };
    conv::backward(precision(call.bfloat16), &shape, grad, x, weight, into).map_err(kernel_error)
}

fn shape(x: &[f32], weight: &[f32], [x_shape, weight_shape, window]: [&List<u32>; 3]) -> Result<Shape> {
    expect_len("x", x.len(), x_shape)?;
    expect_len("weight", weight.len(), weight_shape)?;
    Shape::of(&x_shape.to_usizes(), &weight_shape.to_usizes(), &window.to_usizes()).map_err(kernel_error)
}
