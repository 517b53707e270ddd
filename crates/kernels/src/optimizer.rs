//! What the optimizers share: parameters with their gradients and state, split into chunks that move in parallel.

use crate::error::{Result, expect_shape, expect_that};
use crate::parallel;

/// The elements of a chunk. Every element is updated by itself, so this decides only how the work is divided.
const CHUNK: usize = 1 << 13;

/// One parameter with its gradient and the `N` arrays that an optimizer keeps for it.
pub struct Slot<'a, const N: usize> {
    /// The parameter.
    pub param: &'a mut [f32],
    /// Its gradient.
    pub grad: &'a [f32],
    /// The optimizer's state, such as averages of the gradient.
    pub state: [&'a mut [f32]; N],
}

impl<'a, const N: usize> Slot<'a, N> {
    fn chunks(self) -> impl Iterator<Item = Self> {
        let mut state = self.state.map(|array| array.chunks_mut(CHUNK));
        let params = self.param.chunks_mut(CHUNK).zip(self.grad.chunks(CHUNK));
        params.map(move |(param, grad)| {
            let state = std::array::from_fn(|i| state[i].next().unwrap_or_default());
            Slot { param, grad, state }
        })
    }
}

/// Calls `update` on chunks of all slots in one parallel region, once the lengths are checked. `names` are those of the
/// arrays of `state`.
pub(crate) fn for_each_chunk<'a, const N: usize>(
    op: &'static str,
    names: [&'static str; N],
    slots: Vec<Slot<'a, N>>,
    update: impl Fn(Slot<'_, N>) + Sync,
) -> Result<()> {
    for slot in &slots {
        expect_shape(op, "grad", &[slot.grad.len()], &[slot.param.len()])?;
        for (name, array) in names.iter().zip(&slot.state) {
            expect_shape(op, name, &[array.len()], &[slot.param.len()])?;
        }
    }
    let mut chunks: Vec<Slot<N>> = slots.into_iter().flat_map(Slot::chunks).collect();
    parallel::for_each(&mut chunks[..], 2, |_, chunks| {
        for Slot { param, grad, state } in chunks {
            update(Slot { param, grad, state: state.each_mut().map(|array| &mut **array) });
        }
    });
    Ok(())
}

pub(crate) fn expect_at_least_0(op: &'static str, what: &'static str, value: f64) -> Result<()> {
    expect_that(value >= 0.0 && value.is_finite(), op, what, value, "a number of at least 0")
}

/// x, or zero if it is subnormal. Without this the averages of a dead unit decay to subnormal numbers and stay there:
/// arithmetic with each costs a hundred cycles a step, and does not change the parameter.
#[inline(always)]
pub(crate) fn flush_subnormal(x: f32) -> f32 {
    if x.abs().to_bits() < f32::MIN_POSITIVE.to_bits() { 0.0 } else { x }
}
