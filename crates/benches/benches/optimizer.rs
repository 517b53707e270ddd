//! The norm of the gradients and AdamW over all of a network's parameters: `cargo bench --bench optimizer`.

use distillery_kernels::adamw::{AdamWStep, Slot, step_scaled};
use distillery_kernels::grad_norm;
use divan::Bencher;
use divan::counter::BytesCount;

/// The parameters of the student and of the teacher.
const SIZES: [usize; 2] = [535_818, 4_247_050];
const NUMBERS: AdamWStep = AdamWStep { lr: 6e-4, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 1e-5, step: 10.0 };

/// Four reads and three writes an element.
#[divan::bench(args = SIZES, max_time = 0.2)]
fn adamw(bencher: Bencher, size: usize) {
    let [mut param, grad, mut first, mut second] = [(); 4].map(|()| vec![0.01f32; size]);
    bencher.counter(BytesCount::new(7 * size * size_of::<f32>())).bench_local(|| {
        let slot = Slot { param: &mut param, grad: &grad, first: &mut first, second: &mut second };
        step_scaled(vec![slot], NUMBERS, 0.5)
    });
}

#[divan::bench(args = SIZES, max_time = 0.1)]
fn norm(bencher: Bencher, size: usize) {
    let grad = vec![0.01f32; size];
    bencher.counter(BytesCount::of_slice(&grad[..])).bench_local(|| grad_norm::norm(&[&grad]));
}

fn main() {
    divan::main();
}
