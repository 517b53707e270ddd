//! AdamW (Loshchilov and Hutter, 2019) over all parameters in one parallel region, `torch.optim.AdamW`.

use crate::error::{Result, expect_shape, expect_that};
use crate::parallel;

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
    let AdamWStep { lr, beta1, beta2, eps, weight_decay, step } = numbers;
    expect_that(lr >= 0.0 && lr.is_finite(), OP, "lr", lr, "a number of at least 0")?;
    expect_that((0.0..1.0).contains(&beta1), OP, "beta1", beta1, "a number from 0 to below 1")?;
    expect_that((0.0..1.0).contains(&beta2), OP, "beta2", beta2, "a number from 0 to below 1")?;
    expect_that(step >= 1.0, OP, "step", step, "a number of at least 1")?;
    for slot in &slots {
        for (what, len) in [("grad", slot.grad.len()), ("exp_avg", slot.first.len()), ("exp_avg_sq", slot.second.len())]
        {
            expect_shape(OP, what, &[len], &[slot.param.len()])?;
        }
    }
    let update = Update {
        decay: (1.0 - lr * weight_decay) as f32,
        toward: (1.0 - beta1) as f32,
        beta2: beta2 as f32,
        square: (1.0 - beta2) as f32,
        root: (1.0 - beta2.powf(step)).sqrt() as f32,
        eps: eps as f32,
        size: (lr / (1.0 - beta1.powf(step))) as f32,
    };
    let mut chunks: Vec<Slot> = slots.into_iter().flat_map(chunks_of).collect();
    parallel::for_each(&mut chunks[..], 2, |_, chunks| chunks.iter_mut().for_each(|chunk| update.apply(chunk)));
    Ok(())
}

fn chunks_of(slot: Slot) -> impl Iterator<Item = Slot> {
    let params = slot.param.chunks_mut(CHUNK).zip(slot.grad.chunks(CHUNK));
    let moments = slot.first.chunks_mut(CHUNK).zip(slot.second.chunks_mut(CHUNK));
    params.zip(moments).map(|((param, grad), (first, second))| Slot { param, grad, first, second })
}

struct Update {
    decay: f32,
    toward: f32,
    beta2: f32,
    square: f32,
    root: f32,
    eps: f32,
    size: f32,
}

impl Update {
    fn apply(&self, slot: &mut Slot) {
        let moments = slot.first.iter_mut().zip(slot.second.iter_mut());
        for ((param, &grad), (first, second)) in slot.param.iter_mut().zip(slot.grad).zip(moments) {
            *first += self.toward * (grad - *first);
            *second = *second * self.beta2 + self.square * grad * grad;
            let denominator = second.sqrt() / self.root + self.eps;
            *param = *param * self.decay - self.size * (*first / denominator);
        }
    }
}
