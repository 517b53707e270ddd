//! The norm of the gradients and AdamW over all of a network's parameters: `cargo bench --bench optimizer`.

use distillery_kernels::adam::{self, AdamStep};
use distillery_kernels::grad_norm;
use distillery_kernels::optimizer::Slot;
use distillery_kernels::sgd::{self, SgdStep};
use divan::Bencher;
use divan::counter::BytesCount;

/// The parameters of the student and of the teacher.
const SIZES: [usize; 2] = [535_818, 4_247_050];
const ADAMW: AdamStep = AdamStep {
    lr: 6e-4,
    beta1: 0.9,
    beta2: 0.999,
    eps: 1e-8,
    weight_decay: 1e-5,
    decoupled_weight_decay: true,
    step: 10.0,
    grad_scale: 0.5,
};
const SGD: SgdStep = SgdStep {
    lr: 0.05,
    momentum: 0.9,
    dampening: 0.0,
    weight_decay: 5e-4,
    nesterov: true,
    is_first: false,
    grad_scale: 0.5,
};

/// Four reads and three writes an element.
#[divan::bench(args = SIZES, max_time = 0.2)]
fn adamw(bencher: Bencher, size: usize) {
    let [mut param, grad, mut first, mut second] = [(); 4].map(|()| vec![0.01f32; size]);
    bencher.counter(BytesCount::new(7 * size * size_of::<f32>())).bench_local(|| {
        adam::step(vec![Slot { param: &mut param, grad: &grad, state: [&mut first, &mut second] }], ADAMW)
    });
}

/// Three reads and two writes an element.
#[divan::bench(args = SIZES, max_time = 0.2)]
fn sgd(bencher: Bencher, size: usize) {
    let [mut param, grad, mut buffer] = [(); 3].map(|()| vec![0.01f32; size]);
    bencher
        .counter(BytesCount::new(5 * size * size_of::<f32>()))
        .bench_local(|| sgd::step_momentum(vec![Slot { param: &mut param, grad: &grad, state: [&mut buffer] }], SGD));
}

#[divan::bench(args = SIZES, max_time = 0.1)]
fn norm(bencher: Bencher, size: usize) {
    let grad = vec![0.01f32; size];
    bencher.counter(BytesCount::of_slice(&grad[..])).bench_local(|| grad_norm::norm(&[&grad]));
}

fn main() {
    divan::main();
}
