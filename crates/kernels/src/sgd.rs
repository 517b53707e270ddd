//! Stochastic gradient descent with momentum (Sutskever et al., 2013), `torch.optim.SGD`.

use crate::error::{Result, expect_that};
use crate::optimizer::{Slot, expect_at_least_0, flush_subnormal, for_each_chunk};
use crate::vectorised::vectorised;

const OP: &str = "sgd";

/// The numbers of one step.
#[derive(Debug, Clone, Copy)]
pub struct SgdStep {
    /// The learning rate.
    pub lr: f64,
    /// What remains of the momentum buffer.
    pub momentum: f64,
    /// One minus this is what the gradient adds to the buffer.
    pub dampening: f64,
    /// Times the parameter and added to the gradient.
    pub weight_decay: f64,
    /// Whether the step looks ahead by the momentum.
    pub nesterov: bool,
    /// Whether this is the first step: the buffer then begins as the gradient.
    pub is_first: bool,
    /// What gradients are multiplied by first.
    pub grad_scale: f32,
}

/// Moves every parameter against its gradient.
pub fn step(slots: Vec<Slot<0>>, numbers: SgdStep) -> Result<()> {
    let update = Update::new(numbers)?;
    for_each_chunk(OP, [], slots, |Slot { param, grad, .. }| move_plain(update, param, grad))
}

/// Moves every parameter along its momentum buffer; `state` is `momentum_buffer`.
pub fn step_momentum(slots: Vec<Slot<1>>, numbers: SgdStep) -> Result<()> {
    let update = Update::new(numbers)?;
    for_each_chunk(OP, ["momentum_buffer"], slots, |Slot { param, grad, state: [buffer] }| {
        if numbers.nesterov {
            move_momentum::<true>(update, param, grad, buffer);
        } else {
            move_momentum::<false>(update, param, grad, buffer);
        }
    })
}

#[derive(Clone, Copy)]
struct Update {
    lr: f32,
    momentum: f32,
    /// What of the buffer is kept in this step, and what of the gradient is added.
    keep: f32,
    add: f32,
    weight_decay: f32,
    grad_scale: f32,
}

impl Update {
    fn new(numbers: SgdStep) -> Result<Self> {
        let SgdStep { lr, momentum, dampening, weight_decay, is_first, grad_scale, .. } = numbers;
        expect_at_least_0(OP, "lr", lr)?;
        expect_at_least_0(OP, "momentum", momentum)?;
        expect_that(dampening.is_finite(), OP, "dampening", dampening, "a number")?;
        expect_at_least_0(OP, "weight_decay", weight_decay)?;
        let (keep, add) = if is_first { (0.0, 1.0) } else { (momentum, 1.0 - dampening) };
        Ok(Self {
            lr: lr as f32,
            momentum: momentum as f32,
            keep: keep as f32,
            add: add as f32,
            weight_decay: weight_decay as f32,
            grad_scale,
        })
    }

    #[inline(always)]
    fn gradient(self, grad: f32, param: f32) -> f32 {
        self.grad_scale * grad + self.weight_decay * param
    }
}

vectorised! {
fn move_plain<'a>(update: Update, params: &'a mut [f32], grads: &'a [f32]) {
    for (param, grad) in params.iter_mut().zip(grads) {
        *param -= update.lr * update.gradient(*grad, *param);
    }
}
}

vectorised! {
fn move_momentum<'a, const NESTEROV: bool>(update: Update, params: &'a mut [f32], grads: &'a [f32], buffers: &'a mut [f32]) {
    for ((param, grad), buffer) in params.iter_mut().zip(grads).zip(buffers) {
        let grad = update.gradient(*grad, *param);
        *buffer = flush_subnormal(update.keep * *buffer + update.add * grad);
        *param -= update.lr * if NESTEROV { grad + update.momentum * *buffer } else { *buffer };
    }
}
}
