use crate::borrow::{F32, F32Mut, Memory};
use crate::error::{Result, error, kernel};
use distillery_kernels::adamw::{self, AdamWStep, Slot};
use distillery_kernels::grad_norm;
use napi_derive::napi;

/// One step of AdamW over all parameters, on their gradients times the coefficient where one is given
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments, reason = "a flat call costs less than an object that is cloned")]
pub fn adamw_step(
    mut params: Vec<F32Mut>,
    grads: Vec<F32>,
    mut exp_avgs: Vec<F32Mut>,
    mut exp_avg_sqs: Vec<F32Mut>,
    lr: f64,
    beta1: f64,
    beta2: f64,
    eps: f64,
    weight_decay: f64,
    step: f64,
    coefficient: Option<f64>,
) -> Result<()> {
    let mut memory = Memory::new();
    let (params, grads) = (memory.write_all(&mut params)?, memory.read_all(&grads)?);
    let (firsts, seconds) = (memory.write_all(&mut exp_avgs)?, memory.write_all(&mut exp_avg_sqs)?);
    if [grads.len(), firsts.len(), seconds.len()] != [params.len(); 3] {
        return Err(error("SHAPE_MISMATCH", "adamw: expected one gradient and two averages for each parameter"));
    }
    let moments = firsts.into_iter().zip(seconds);
    let slots = params.into_iter().zip(grads).zip(moments);
    let slots = slots.map(|((param, grad), (first, second))| Slot { param, grad, first, second }).collect();
    let numbers = AdamWStep { lr, beta1, beta2, eps, weight_decay, step };
    adamw::step_scaled(slots, numbers, coefficient.unwrap_or(1.0) as f32).map_err(kernel)
}

/// The Euclidean norm of all gradients together
#[napi(catch_unwind)]
pub fn grad_norm(grads: Vec<F32>) -> Result<f64> {
    Ok(grad_norm::norm(&Memory::new().read_all(&grads)?))
}

/// Multiplies all gradients by a coefficient
#[napi(catch_unwind)]
pub fn scale_grads(mut grads: Vec<F32Mut>, coefficient: f64) -> Result<()> {
    grad_norm::scale(Memory::new().write_all(&mut grads)?, coefficient as f32);
    Ok(())
}
