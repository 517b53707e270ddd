//! The three products at the shapes of teacher and student: `cargo bench --bench matmul`. Items are operations.

use distillery_benches::numbers;
use distillery_kernels::matmul::matmul;
use divan::Bencher;
use divan::counter::ItemsCount;

/// (inputs, outputs) of each linear layer.
const LAYERS: [(usize, usize); 7] =
    [(784, 2048), (2048, 1024), (1024, 512), (512, 10), (784, 512), (512, 256), (256, 10)];
const BATCHES: [usize; 3] = [16, 64, 1024];

fn operations(batch: usize, (inputs, outputs): (usize, usize)) -> ItemsCount {
    ItemsCount::new(2 * batch * inputs * outputs)
}

#[divan::bench(args = LAYERS, consts = BATCHES, max_time = 0.1)]
fn forward<const BATCH: usize>(bencher: Bencher, layer: (usize, usize)) {
    let (x, weight, mut out) = (numbers(BATCH, layer.0), numbers(layer.1, layer.0), numbers(BATCH, layer.1));
    let bencher = bencher.counter(operations(BATCH, layer));
    bencher.bench_local(|| matmul(x.view(), weight.t(), out.view_mut()));
}

#[divan::bench(args = LAYERS, consts = BATCHES, max_time = 0.1)]
fn backward_input<const BATCH: usize>(bencher: Bencher, layer: (usize, usize)) {
    let (grad, weight, mut out) = (numbers(BATCH, layer.1), numbers(layer.1, layer.0), numbers(BATCH, layer.0));
    let bencher = bencher.counter(operations(BATCH, layer));
    bencher.bench_local(|| matmul(grad.view(), weight.view(), out.view_mut()));
}

#[divan::bench(args = LAYERS, consts = BATCHES, max_time = 0.1)]
fn backward_weight<const BATCH: usize>(bencher: Bencher, layer: (usize, usize)) {
    let (grad, x, mut out) = (numbers(BATCH, layer.1), numbers(BATCH, layer.0), numbers(layer.1, layer.0));
    let bencher = bencher.counter(operations(BATCH, layer));
    bencher.bench_local(|| matmul(grad.t(), x.view(), out.view_mut()));
}

fn main() {
    divan::main();
}
