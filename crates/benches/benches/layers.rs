//! What follows a product, at the script's shapes: `cargo bench --bench layers`.

use distillery_benches::numbers;
use distillery_kernels::batch_norm::{self, Affine, Norm, Outputs};
use distillery_kernels::batch_stats::{RunningUpdate, Statistics};
use distillery_kernels::kd_loss::{KdOptions, kd_loss};
use distillery_kernels::norm_relu_dropout::{self, Dropout};
use distillery_kernels::rng::{Generator, STATE_WORDS};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use ndarray::{Array2, ArrayView2};

const BATCH: usize = 64;
/// The widths of the teacher's hidden layers.
const WIDTHS: [usize; 3] = [2048, 1024, 512];

/// One read and one write of a batch.
fn traffic(features: usize) -> BytesCount {
    BytesCount::new(2 * BATCH * features * size_of::<f32>())
}

/// A layer with its statistics, and what its forward pass writes.
struct Layer {
    x: Array2<f32>,
    out: Array2<f32>,
    /// Weight, bias, running mean, running variance, mean, inverse standard deviation.
    vectors: [Vec<f32>; 6],
}

impl Layer {
    fn new(features: usize) -> Self {
        let vectors = [(); 6].map(|()| vec![1.0; features]);
        Self { x: numbers(BATCH, features), out: numbers(BATCH, features), vectors }
    }

    fn pass(&mut self) -> (ArrayView2<'_, f32>, Norm<'_>, Outputs<'_>) {
        let [weight, bias, running_mean, running_var, mean, inv_std] = &mut self.vectors;
        let statistics = Statistics::Batch(RunningUpdate { mean: running_mean, var: running_var, momentum: 0.1 });
        let norm = Norm { affine: Affine { weight, bias }, statistics, eps: 1e-5 };
        (self.x.view(), norm, Outputs { mean, inv_std, out: self.out.view_mut() })
    }
}

#[divan::bench(args = WIDTHS, max_time = 0.1)]
fn batch_norm(bencher: Bencher, features: usize) {
    let mut layer = Layer::new(features);
    bencher.counter(traffic(features)).bench_local(|| {
        let (x, norm, outputs) = layer.pass();
        batch_norm::forward(x, norm, outputs)
    });
}

#[divan::bench(args = WIDTHS, max_time = 0.1)]
fn norm_relu_dropout(bencher: Bencher, features: usize) {
    let (mut layer, mut keep, mut state) = (Layer::new(features), vec![0; BATCH * features], [0; STATE_WORDS]);
    let mut generator = Generator::seeded(&mut state, 0).unwrap();
    bencher.counter(traffic(features)).bench_local(|| {
        let (x, norm, outputs) = layer.pass();
        let dropout = Dropout { p: 0.3, generator: Some(&mut generator), keep: &mut keep };
        norm_relu_dropout::forward(x, norm, Some(dropout), outputs)
    });
}

/// Items are elements of the mask, two words of the stream each.
#[divan::bench(args = WIDTHS, max_time = 0.1)]
fn mask(bencher: Bencher, features: usize) {
    let (mut keep, mut state) = (vec![0; BATCH * features], [0; STATE_WORDS]);
    let mut generator = Generator::seeded(&mut state, 0).unwrap();
    bencher.counter(ItemsCount::new(keep.len())).bench_local(|| generator.fill_bernoulli(&mut keep, 0.7));
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
