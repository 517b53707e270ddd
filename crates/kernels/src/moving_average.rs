//! Exponential moving averages of a network's weights: `torch.optim.swa_utils.get_ema_multi_avg_fn`.

use crate::error::{Result, expect_that};
use crate::optimizer::{Slot, for_each_chunk};
use crate::vectorised::vectorised;

const OP: &str = "moving_average";

/// Moves every average, `param` of a slot, toward the value, `grad` of it: average + (1 - decay) (value - average).
pub fn update(slots: Vec<Slot<0>>, decay: f64) -> Result<()> {
    expect_that((0.0..=1.0).contains(&decay), OP, "decay", decay, "a number from 0 to 1")?;
    let weight = (1.0 - decay) as f32;
    for_each_chunk(OP, [], slots, |Slot { param, grad, .. }| lerp(weight, param, grad))
}

vectorised! {
fn lerp<'a>(weight: f32, averages: &'a mut [f32], values: &'a [f32]) {
    for (average, value) in averages.iter_mut().zip(values) {
        // What is the same stays, infinity too.
        let moved = *average + weight * (value - *average);
        *average = if value == average { *average } else { moved };
    }
}
}
