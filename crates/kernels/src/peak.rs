//! What the machine can do at most: the yardstick that the benchmark reports shares of.

use crate::parallel;
use pulp::{Arch, Simd, WithSimd};
use std::hint::black_box;
use std::time::Instant;

/// Enough independent sums to hide the latency of a fused multiply-add on two ports.
const CHAINS: usize = 12;
const ROUNDS: usize = 400_000;

/// GFLOP/s in single precision of fused multiply-adds that touch no memory, on all threads; the best of several runs.
pub fn fused_multiply_add_rate() -> f64 {
    let mut flops = vec![0.0f64; parallel::threads()];
    let mut best = 0.0f64;
    for _ in 0..8 {
        let start = Instant::now();
        parallel::for_each(&mut flops[..], 1, |_, part| {
            part.iter_mut().for_each(|flops| *flops = Arch::new().dispatch(Chains));
        });
        best = best.max(flops.iter().sum::<f64>() / start.elapsed().as_secs_f64());
    }
    best / 1e9
}

struct Chains;

impl WithSimd for Chains {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let (x, y) = (simd.splat_f32s(black_box(0.999)), simd.splat_f32s(black_box(0.001)));
        let mut sums = [simd.splat_f32s(0.0); CHAINS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = simd.mul_add_f32s(*sum, x, y);
            }
        }
        black_box(sums.map(|sum| simd.reduce_sum_f32s(sum)));
        (ROUNDS * CHAINS * 2 * S::F32_LANES) as f64
    }
}
