use crate::borrow::{F32, F32Mut, Memory};
use crate::error::{Result, error, kernel_error};
use crate::list::List;
use distillery_kernels::adam::{self, AdamStep};
use distillery_kernels::optimizer::Slot;
use distillery_kernels::sgd::{self, SgdStep};
use distillery_kernels::{grad_norm, moving_average};
use napi_derive::napi;

/// What adamStep reads and writes, an array for each parameter; with maxima of the second averages, it is AMSGrad
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct AdamCall {
    pub params: List<F32Mut>,
    pub grads: List<F32>,
    pub exp_avgs: List<F32Mut>,
    pub exp_avg_sqs: List<F32Mut>,
    pub max_exp_avg_sqs: Option<List<F32Mut>>,
    pub lr: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
    pub weight_decay: f64,
    pub decoupled_weight_decay: bool,
    pub step: f64,
    pub grad_scale: f64,
}

/// One step of Adam or AdamW over all parameters
#[napi(catch_unwind)]
pub fn adam_step(mut call: AdamCall) -> Result<()> {
    let AdamCall { lr, beta1, beta2, eps, weight_decay, decoupled_weight_decay, step, .. } = call;
    let grad_scale = call.grad_scale as f32;
    let numbers = AdamStep { lr, beta1, beta2, eps, weight_decay, decoupled_weight_decay, step, grad_scale };
    let mut memory = Memory::new();
    let (params, grads) = (memory.write_all(&mut call.params)?, memory.read_all(&call.grads)?);
    let (firsts, seconds) = (memory.write_all(&mut call.exp_avgs)?, memory.write_all(&mut call.exp_avg_sqs)?);
    match &mut call.max_exp_avg_sqs {
        None => adam::step(slots("adam", params, grads, [firsts, seconds])?, numbers),
        Some(maxima) => {
            let maxima = memory.write_all(maxima)?;
            adam::step_amsgrad(slots("adam", params, grads, [firsts, seconds, maxima])?, numbers)
        }
    }
    .map_err(kernel_error)
}

/// What sgdStep reads and writes, an array for each parameter; there are momentum buffers if momentum is not 0
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct SgdCall {
    pub params: List<F32Mut>,
    pub grads: List<F32>,
    pub momentum_buffers: Option<List<F32Mut>>,
    pub lr: f64,
    pub momentum: f64,
    pub dampening: f64,
    pub weight_decay: f64,
    pub nesterov: bool,
    pub is_first: bool,
    pub grad_scale: f64,
}

/// One step of SGD over all parameters
#[napi(catch_unwind)]
pub fn sgd_step(mut call: SgdCall) -> Result<()> {
    let SgdCall { lr, momentum, dampening, weight_decay, nesterov, is_first, .. } = call;
    let grad_scale = call.grad_scale as f32;
    let numbers = SgdStep { lr, momentum, dampening, weight_decay, nesterov, is_first, grad_scale };
    let mut memory = Memory::new();
    let (params, grads) = (memory.write_all(&mut call.params)?, memory.read_all(&call.grads)?);
    match &mut call.momentum_buffers {
        None => sgd::step(slots("sgd", params, grads, [])?, numbers),
        Some(buffers) => {
            let buffers = memory.write_all(buffers)?;
            sgd::step_momentum(slots("sgd", params, grads, [buffers])?, numbers)
        }
    }
    .map_err(kernel_error)
}

/// Moves averages toward values: average + (1 - decay) (value - average)
#[napi(catch_unwind)]
pub fn moving_average(mut averages: List<F32Mut>, values: List<F32>, decay: f64) -> Result<()> {
    let mut memory = Memory::new();
    let (averages, values) = (memory.write_all(&mut averages)?, memory.read_all(&values)?);
    moving_average::update(slots("moving_average", averages, values, [])?, decay).map_err(kernel_error)
}

/// The Euclidean norm of all gradients together
#[napi(catch_unwind)]
pub fn grad_norm(grads: List<F32>) -> Result<f64> {
    Ok(grad_norm::norm(&Memory::new().read_all(&grads)?))
}

/// Multiplies all gradients by a coefficient
#[napi(catch_unwind)]
pub fn scale_grads(mut grads: List<F32Mut>, coefficient: f64) -> Result<()> {
    grad_norm::scale(Memory::new().write_all(&mut grads)?, coefficient as f32);
    Ok(())
}

fn slots<'a, const N: usize>(
    op: &str,
    params: Vec<&'a mut [f32]>,
    grads: Vec<&'a [f32]>,
    state: [Vec<&'a mut [f32]>; N],
) -> Result<Vec<Slot<'a, N>>> {
    if grads.len() != params.len() || state.iter().any(|arrays| arrays.len() != params.len()) {
        return Err(error(
            "SHAPE_MISMATCH",
            format!("{op}: expected lists of one length, an array for each parameter"),
        ));
    }
    let mut state = state.map(Vec::into_iter);
    let slots = params.into_iter().zip(grads).map(|(param, grad)| {
        let state = std::array::from_fn(|i| state[i].next().unwrap_or_default());
        Slot { param, grad, state }
    });
    Ok(slots.collect())
}
