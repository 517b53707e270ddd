//! Adam (Kingma and Ba, 2015) and AdamW (Loshchilov and Hutter, 2019): `torch.optim.Adam` and `torch.optim.AdamW`.

use crate::error::{Result, expect_that};
use crate::optimizer::{Slot, expect_at_least_0, flush_subnormal, for_each_chunk};
use crate::vectorised::vectorised;

const OP: &str = "adam";

/// The numbers of one step.
#[derive(Debug, Clone, Copy)]
pub struct AdamStep {
    /// The learning rate.
    pub lr: f64,
    /// The decay of `exp_avg`, the average of the gradient.
    pub beta1: f64,
    /// The decay of `exp_avg_sq`, the average of its square.
    pub beta2: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// How much a parameter decays.
    pub weight_decay: f64,
    /// Whether the parameter itself decays, as in AdamW, or the decay is added to the gradient, as in Adam.
    pub decoupled_weight_decay: bool,
    /// Which step this is, from 1.
    pub step: f64,
    /// What gradients are multiplied by first, with the bits of scaling them before, in one pass less over them.
    pub grad_scale: f32,
}

/// Moves every parameter by one step; `state` is `exp_avg` and `exp_avg_sq`.
pub fn step(slots: Vec<Slot<2>>, numbers: AdamStep) -> Result<()> {
    let update = Update::new(numbers)?;
    for_each_chunk(OP, ["exp_avg", "exp_avg_sq"], slots, |Slot { param, grad, state: [first, second] }| {
        if numbers.decoupled_weight_decay {
            move_all::<true>(update, param, grad, first, second);
        } else {
            move_all::<false>(update, param, grad, first, second);
        }
    })
}

/// As [`step`] with the largest `exp_avg_sq` so far in its place (Reddi et al., 2018); `state` has it as
/// `max_exp_avg_sq` after the two.
pub fn step_amsgrad(slots: Vec<Slot<3>>, numbers: AdamStep) -> Result<()> {
    let update = Update::new(numbers)?;
    let names = ["exp_avg", "exp_avg_sq", "max_exp_avg_sq"];
    for_each_chunk(OP, names, slots, |Slot { param, grad, state: [first, second, max] }| {
        if numbers.decoupled_weight_decay {
            move_all_amsgrad::<true>(update, param, grad, first, second, max);
        } else {
            move_all_amsgrad::<false>(update, param, grad, first, second, max);
        }
    })
}

#[derive(Clone, Copy)]
struct Update {
    grad_scale: f32,
    beta2: f32,
    one_minus_beta1: f32,
    one_minus_beta2: f32,
    /// Times sqrt(exp_avg_sq).
    inverse_bias_correction2_sqrt: f32,
    eps: f32,
    /// lr / bias_correction1.
    step_size: f32,
    /// Times the parameter, if weight decay is decoupled.
    keep: f32,
    /// Times the parameter and added to the gradient, if it is not.
    weight_decay: f32,
}

impl Update {
    fn new(numbers: AdamStep) -> Result<Self> {
        let AdamStep { lr, beta1, beta2, eps, weight_decay, step, grad_scale, .. } = numbers;
        expect_at_least_0(OP, "lr", lr)?;
        expect_that((0.0..1.0).contains(&beta1), OP, "beta1", beta1, "a number from 0 to below 1")?;
        expect_that((0.0..1.0).contains(&beta2), OP, "beta2", beta2, "a number from 0 to below 1")?;
        expect_at_least_0(OP, "eps", eps)?;
        expect_at_least_0(OP, "weight_decay", weight_decay)?;
        expect_that(step >= 1.0, OP, "step", step, "a number of at least 1")?;
        let (bias_correction1, bias_correction2) = (1.0 - beta1.powf(step), 1.0 - beta2.powf(step));
        Ok(Self {
            grad_scale,
            beta2: beta2 as f32,
            one_minus_beta1: (1.0 - beta1) as f32,
            one_minus_beta2: (1.0 - beta2) as f32,
            inverse_bias_correction2_sqrt: (1.0 / bias_correction2.sqrt()) as f32,
            eps: eps as f32,
            step_size: (lr / bias_correction1) as f32,
            keep: (1.0 - lr * weight_decay) as f32,
            weight_decay: weight_decay as f32,
        })
    }

    /// The gradient with what is done to it before the averages see it.
    #[inline(always)]
    fn gradient<const DECOUPLED: bool>(self, grad: f32, param: f32) -> f32 {
        let grad = self.grad_scale * grad;
        if DECOUPLED { grad } else { grad + self.weight_decay * param }
    }

    #[inline(always)]
    fn averages(self, grad: f32, exp_avg: &mut f32, exp_avg_sq: &mut f32) {
        *exp_avg = flush_subnormal(*exp_avg + self.one_minus_beta1 * (grad - *exp_avg));
        *exp_avg_sq = flush_subnormal(*exp_avg_sq * self.beta2 + self.one_minus_beta2 * grad * grad);
    }

    #[inline(always)]
    fn moved<const DECOUPLED: bool>(self, param: f32, exp_avg: f32, exp_avg_sq: f32) -> f32 {
        let denominator = exp_avg_sq.sqrt() * self.inverse_bias_correction2_sqrt + self.eps;
        let kept = if DECOUPLED { param * self.keep } else { param };
        kept - self.step_size * (exp_avg / denominator)
    }
}

vectorised! {
fn move_all<'a, const DECOUPLED: bool>(
    update: Update,
    params: &'a mut [f32],
    grads: &'a [f32],
    exp_avgs: &'a mut [f32],
    exp_avg_sqs: &'a mut [f32],
) {
    for (((param, grad), exp_avg), exp_avg_sq) in params.iter_mut().zip(grads).zip(exp_avgs).zip(exp_avg_sqs) {
        let grad = update.gradient::<DECOUPLED>(*grad, *param);
        update.averages(grad, exp_avg, exp_avg_sq);
        *param = update.moved::<DECOUPLED>(*param, *exp_avg, *exp_avg_sq);
    }
}
}

vectorised! {
fn move_all_amsgrad<'a, const DECOUPLED: bool>(
    update: Update,
    params: &'a mut [f32],
    grads: &'a [f32],
    exp_avgs: &'a mut [f32],
    exp_avg_sqs: &'a mut [f32],
    max_exp_avg_sqs: &'a mut [f32],
) {
    let averages = exp_avgs.iter_mut().zip(exp_avg_sqs).zip(max_exp_avg_sqs);
    for ((param, grad), ((exp_avg, exp_avg_sq), max)) in params.iter_mut().zip(grads).zip(averages) {
        let grad = update.gradient::<DECOUPLED>(*grad, *param);
        update.averages(grad, exp_avg, exp_avg_sq);
        *max = max.max(*exp_avg_sq);
        *param = update.moved::<DECOUPLED>(*param, *exp_avg, *max);
    }
}
}
