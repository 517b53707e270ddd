//! AdamW (Loshchilov and Hutter, 2019) over all parameters in one parallel region, `torch.optim.AdamW`.

use crate::error::{Result, expect_shape, expect_that};
use crate::parallel;
use crate::vectorised::vectorised;

const OP: &str = "adamw";
const CHUNK: usize = 1 << 13;

/// One parameter with its gradient and the moving averages of the gradient and of its square.
pub struct Slot<'a> {
    /// The parameter.
    pub param: &'a mut [f32],
    /// Its gradient.
    pub grad: &'a [f32],
    /// exp_avg.
    pub first: &'a mut [f32],
    /// exp_avg_sq.
    pub second: &'a mut [f32],
}

/// The numbers of one step.
#[derive(Debug, Clone, Copy)]
pub struct AdamWStep {
    /// The learning rate.
    pub lr: f64,
    /// The decay of the first average.
    pub beta1: f64,
    /// The decay of the second average.
    pub beta2: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// The decoupled weight decay.
    pub weight_decay: f64,
    /// Which step this is, from 1.
    pub step: f64,
}

/// Moves every parameter by one step: decay, averages, and the corrected quotient.
pub fn step(slots: Vec<Slot>, numbers: AdamWStep) -> Result<()> {
    step_scaled(slots, numbers, 1.0)
}

/// As `step` on gradients times a coefficient, with the bits of scaling them first, in one pass less over them.
pub fn step_scaled(slots: Vec<Slot>, numbers: AdamWStep, coefficient: f32) -> Result<()> {
    let AdamWStep { lr, beta1, beta2, eps, weight_decay, step } = numbers;
    expect_that(lr >= 0.0 && lr.is_finite(), OP, "lr", lr, "a number of at least 0")?;
    expect_that((0.0..1.0).contains(&beta1), OP, "beta1", beta1, "a number from 0 to below 1")?;
    expect_that((0.0..1.0).contains(&beta2), OP, "beta2", beta2, "a number from 0 to below 1")?;
    expect_that(eps >= 0.0, OP, "eps", eps, "a number of at least 0")?;
    expect_that(weight_decay >= 0.0, OP, "weight_decay", weight_decay, "a number of at least 0")?;
    expect_that(step >= 1.0, OP, "step", step, "a number of at least 1")?;
    for slot in &slots {
        for (what, len) in [("grad", slot.grad.len()), ("exp_avg", slot.first.len()), ("exp_avg_sq", slot.second.len())]
        {
            expect_shape(OP, what, &[len], &[slot.param.len()])?;
        }
    }
    let update = Update {
        coefficient,
        decay: (1.0 - lr * weight_decay) as f32,
        toward: (1.0 - beta1) as f32,
        beta2: beta2 as f32,
        square: (1.0 - beta2) as f32,
        correction: (1.0 / (1.0 - beta2.powf(step)).sqrt()) as f32,
        eps: eps as f32,
        size: (lr / (1.0 - beta1.powf(step))) as f32,
    };
    let mut chunks: Vec<Slot> = slots.into_iter().flat_map(chunks_of).collect();
    parallel::for_each(&mut chunks[..], 2, |_, chunks| {
        for Slot { param, grad, first, second } in chunks {
            move_by(update, param, grad, first, second);
        }
    });
    Ok(())
}

fn chunks_of(slot: Slot) -> impl Iterator<Item = Slot> {
    let params = slot.param.chunks_mut(CHUNK).zip(slot.grad.chunks(CHUNK));
    let moments = slot.first.chunks_mut(CHUNK).zip(slot.second.chunks_mut(CHUNK));
    params.zip(moments).map(|((param, grad), (first, second))| Slot { param, grad, first, second })
}

#[derive(Clone, Copy)]
struct Update {
    coefficient: f32,
    decay: f32,
    toward: f32,
    beta2: f32,
    square: f32,
    correction: f32,
    eps: f32,
    size: f32,
}

vectorised! {
fn move_by<'a>(
    update: Update,
    params: &'a mut [f32],
    grads: &'a [f32],
    firsts: &'a mut [f32],
    seconds: &'a mut [f32],
) {
    for (((param, grad), first), second) in params.iter_mut().zip(grads).zip(firsts).zip(seconds) {
        let grad = update.coefficient * grad;
        *first = normal(*first + update.toward * (grad - *first));
        *second = normal(*second * update.beta2 + update.square * grad * grad);
        let denominator = second.sqrt() * update.correction + update.eps;
        *param = *param * update.decay - update.size * (*first / denominator);
    }
}
}

/// x, or zero where it is subnormal. The averages of a dead unit would become so small and stay so, since a tenth of the
/// smallest number rounds to nothing: each would cost a hundred cycles a step for what a parameter loses in rounding.
#[inline(always)]
fn normal(x: f32) -> f32 {
    if x.abs().to_bits() < f32::MIN_POSITIVE.to_bits() { 0.0 } else { x }
}
