//! What follows a product, at the script's shapes: `cargo bench --bench layers`.

use distillery_kernels::batch_norm::{Affine, Running, forward_train};
use distillery_kernels::kd_loss::{KdOptions, kd_loss};
use distillery_kernels::norm_relu_dropout::{Dropout, Mode, Norm, Outputs, forward};
use distillery_kernels::rng::{Generator, STATE_WORDS};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use ndarray::{Array1, Array2};

const BATCH: usize = 64;
/// The widths of the teacher's hidden layers.
const WIDTHS: [usize; 3] = [2048, 1024, 512];

fn numbers(rows: usize, columns: usize) -> Array2<f32> {
    Array2::from_shape_fn((rows, columns), |(i, j)| ((i * 7 + j * 13) % 17) as f32 / 8.0 - 1.0)
}

/// One read and one write of a batch.
fn traffic(features: usize) -> BytesCount {
    BytesCount::new(2 * BATCH * features * size_of::<f32>())
}

#[divan::bench(args = WIDTHS, max_time = 0.1)]
fn batch_norm(bencher: Bencher, features: usize) {
    let (x, mut out) = (numbers(BATCH, features), numbers(BATCH, features));
    let (weight, bias) = (Array1::ones(features), Array1::zeros(features));
    let [mut running_mean, mut running_var, mut mean, mut inv_std] = [(); 4].map(|()| Array1::ones(features));
    bencher.counter(traffic(features)).bench_local(|| {
        let affine = Affine { weight: weight.view(), bias: bias.view() };
        let running = Running { mean: running_mean.view_mut(), var: running_var.view_mut(), momentum: 0.1 };
        forward_train(x.view(), &affine, running, 1e-5, mean.view_mut(), inv_std.view_mut(), out.view_mut())
    });
}

#[divan::bench(args = WIDTHS, max_time = 0.1)]
fn norm_relu_dropout(bencher: Bencher, features: usize) {
    let (x, mut out) = (numbers(BATCH, features), numbers(BATCH, features));
    let (weight, bias) = (Array1::ones(features), Array1::zeros(features));
    let [mut running_mean, mut running_var, mut mean, mut inv_std] = [(); 4].map(|()| Array1::ones(features));
    let (mut keep, mut state) = (vec![0; x.len()], [0; STATE_WORDS]);
    let mut generator = Generator::seeded(&mut state, 0).unwrap();
    bencher.counter(traffic(features)).bench_local(|| {
        let affine = Affine { weight: weight.view(), bias: bias.view() };
        let running = Running { mean: running_mean.view_mut(), var: running_var.view_mut(), momentum: 0.1 };
        let norm = Norm { affine, mode: Mode::Train(running), eps: 1e-5 };
        let dropout = Dropout { p: 0.3, generator: Some(&mut generator), keep: &mut keep };
        let outputs = Outputs { mean: mean.view_mut(), inv_std: inv_std.view_mut(), out: out.view_mut() };
        forward(x.view(), norm, Some(dropout), outputs)
    });
}

/// Items are elements of the mask, two words of the stream each.
#[divan::bench(args = WIDTHS, max_time = 0.1)]
fn mask(bencher: Bencher, features: usize) {
    let (mut keep, mut state) = (vec![0; BATCH * features], [0; STATE_WORDS]);
    let mut generator = Generator::seeded(&mut state, 0).unwrap();
    bencher.counter(ItemsCount::new(keep.len())).bench_local(|| generator.flags(&mut keep, 0.7));
}

/// Items are logits of the student.
#[divan::bench(max_time = 0.1)]
fn distillation_loss(bencher: Bencher) {
    let (student, teacher, mut grad) = (numbers(BATCH, 10), numbers(BATCH, 10), numbers(BATCH, 10));
    let labels: Vec<i32> = (0..BATCH as i32).map(|i| i % 10).collect();
    let options = KdOptions { temperature: 3.5, alpha: 0.6, label_smoothing: 0.0 };
    bencher
        .counter(ItemsCount::new(student.len()))
        .bench_local(|| kd_loss(student.view(), teacher.view(), &labels, options, grad.view_mut()));
}

fn main() {
    divan::main();
}
