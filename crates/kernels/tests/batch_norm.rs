//! BatchNorm1d: both modes and their gradients, against a naive loop, slopes and PyTorch.

use crate::common::{blank, close, dot, matrix, pairs, ramp, refuses, same_bits, shaped, slope, vector, wide};
use distillery_kernels::Result;
use distillery_kernels::batch_norm::{self, Affine, Norm, Outputs, Saved, backward, forward};
use distillery_kernels::batch_stats::{Moments, RunningUpdate, Statistics};
use ndarray::{Array1, Array2};

const EPS: f32 = 1e-5;
const MOMENTUM: f32 = 0.1;

/// A layer's parameters and statistics.
#[derive(Debug, Clone)]
struct Layer {
    weight: Array1<f32>,
    bias: Array1<f32>,
    mean: Array1<f32>,
    var: Array1<f32>,
}

/// What a forward pass wrote.
struct Normal {
    out: Array2<f32>,
    mean: Array1<f32>,
    inv_std: Array1<f32>,
}

/// What a backward pass wrote.
struct Gradients {
    x: Array2<f32>,
    weight: Array1<f32>,
    bias: Array1<f32>,
}

impl Layer {
    fn new(features: usize) -> Self {
        let positive = |seed| vector(features, seed).mapv(|x| 1.0 + 0.5 * x);
        Self { weight: positive(2), bias: vector(features, 3), mean: vector(features, 4), var: positive(5) }
    }

    fn affine(&self) -> Affine<'_> {
        Affine { weight: self.weight.as_slice().unwrap(), bias: self.bias.as_slice().unwrap() }
    }

    fn train_into(&mut self, x: &Array2<f32>, normal: &mut Normal) -> Result<()> {
        let Self { weight, bias, mean, var } = self;
        let affine = Affine { weight: weight.as_slice().unwrap(), bias: bias.as_slice().unwrap() };
        let (mean, var) = (mean.as_slice_mut().unwrap(), var.as_slice_mut().unwrap());
        let statistics = Statistics::Batch(RunningUpdate { mean, var, momentum: MOMENTUM });
        forward(x.view(), Norm { affine, statistics, eps: EPS }, normal.outputs())
    }

    fn eval_into(&self, x: &Array2<f32>, normal: &mut Normal) -> Result<()> {
        let (mean, var) = (self.mean.as_slice().unwrap(), self.var.as_slice().unwrap());
        let norm = Norm { affine: self.affine(), statistics: Statistics::Running { mean, var }, eps: EPS };
        forward(x.view(), norm, normal.outputs())
    }

    fn train(&mut self, x: &Array2<f32>) -> Normal {
        let mut normal = Normal::blank(x.dim());
        self.train_into(x, &mut normal).unwrap();
        normal
    }

    fn eval(&self, x: &Array2<f32>) -> Normal {
        let mut normal = Normal::blank(x.dim());
        self.eval_into(x, &mut normal).unwrap();
        assert_eq!(normal.mean, self.mean);
        normal
    }

    fn backward(&self, x: &Array2<f32>, normal: &Normal, train: bool, grad: &Array2<f32>) -> Gradients {
        let (mean, inv_std) = (normal.mean.as_slice().unwrap(), normal.inv_std.as_slice().unwrap());
        let saved = Saved { x: x.view(), mean, inv_std, train };
        let nan = Array1::from_elem(x.ncols(), f32::NAN);
        let mut into = Gradients { x: blank(x.nrows(), x.ncols()), weight: nan.clone(), bias: nan };
        let gradients = batch_norm::Gradients {
            x: into.x.view_mut(),
            weight: into.weight.as_slice_mut().unwrap(),
            bias: into.bias.as_slice_mut().unwrap(),
        };
        backward(grad.view(), &saved, self.affine().weight, gradients).unwrap();
        into
    }
}

impl Normal {
    fn blank((rows, features): (usize, usize)) -> Self {
        let nan = Array1::from_elem(features, f32::NAN);
        Self { out: blank(rows, features), mean: nan.clone(), inv_std: nan }
    }

    fn outputs(&mut self) -> Outputs<'_> {
        let (mean, inv_std) = (self.mean.as_slice_mut().unwrap(), self.inv_std.as_slice_mut().unwrap());
        Outputs { mean, inv_std, out: self.out.view_mut() }
    }
}

/// Mean and biased variance of each column.
fn naive_statistics(x: &[f64], features: usize) -> (Vec<f64>, Vec<f64>) {
    let rows = (x.len() / features) as f64;
    let column = |j: usize| x.iter().skip(j).step_by(features);
    let means: Vec<f64> = (0..features).map(|j| column(j).sum::<f64>() / rows).collect();
    let variance = |j: usize| column(j).map(|x| (x - means[j]).powi(2)).sum::<f64>() / rows;
    let variances = (0..features).map(variance).collect();
    (means, variances)
}

fn naive_normalise(x: &[f64], (mean, var): &(Vec<f64>, Vec<f64>), weight: &[f64], bias: &[f64]) -> Vec<f64> {
    let normal = |x: f64, j: usize| (x - mean[j]) / (var[j] + f64::from(EPS)).sqrt();
    x.iter().enumerate().map(|(i, &x)| (x, i % bias.len())).map(|(x, j)| normal(x, j) * weight[j] + bias[j]).collect()
}

/// The sizes where a batch has statistics.
fn shapes() -> impl Iterator<Item = (usize, usize)> {
    pairs().filter(|&(rows, _)| rows > 1)
}

#[test]
fn train_mode_uses_the_batch_and_moves_the_running_statistics() {
    for (rows, features) in shapes() {
        let (x, before) = (matrix(rows, features, 1), Layer::new(features));
        let mut layer = before.clone();
        let got = layer.train(&x);
        let label = |what: &str| format!("{what} {rows}x{features}");
        let statistics = naive_statistics(&wide(x.view()), features);
        let want =
            naive_normalise(&wide(x.view()), &statistics, &wide(before.weight.view()), &wide(before.bias.view()));
        close(&label("out"), got.out.as_slice().unwrap(), &want, 2e-6);
        close(&label("mean"), got.mean.as_slice().unwrap(), &statistics.0, 1e-7);
        let inv_std: Vec<f64> = statistics.1.iter().map(|v| (v + f64::from(EPS)).sqrt().recip()).collect();
        close(&label("inv_std"), got.inv_std.as_slice().unwrap(), &inv_std, 1e-7);
        let unbiased: Vec<f64> = statistics.1.iter().map(|v| v * rows as f64 / (rows as f64 - 1.0)).collect();
        for (what, old, batch, new) in
            [("mean", &before.mean, &statistics.0, &layer.mean), ("var", &before.var, &unbiased, &layer.var)]
        {
            let moved: Vec<f64> = old.iter().zip(batch).map(|(&old, new)| 0.9 * f64::from(old) + 0.1 * new).collect();
            close(&label(what), new.as_slice().unwrap(), &moved, 1e-7);
        }
    }
}

#[test]
fn eval_mode_uses_the_running_statistics() {
    for (rows, features) in pairs() {
        let (x, layer) = (matrix(rows, features, 1), Layer::new(features));
        let statistics = (wide(layer.mean.view()), wide(layer.var.view()));
        let want = naive_normalise(&wide(x.view()), &statistics, &wide(layer.weight.view()), &wide(layer.bias.view()));
        close(&format!("{rows}x{features}"), layer.eval(&x).out.as_slice().unwrap(), &want, 2e-6);
    }
}

#[test]
fn gradients_are_the_slopes() {
    for (rows, features) in [(2, 1), (7, 5), (63, 3)] {
        let (x, grad, mut layer) = (matrix(rows, features, 1), matrix(rows, features, 6), Layer::new(features));
        for train in [true, false] {
            let normal = if train { layer.train(&x) } else { layer.eval(&x) };
            let got = layer.backward(&x, &normal, train, &grad);
            let running = (wide(layer.mean.view()), wide(layer.var.view()));
            let loss = |x: &[f64], weight: &[f64], bias: &[f64]| {
                let statistics = if train { naive_statistics(x, features) } else { running.clone() };
                dot(&naive_normalise(x, &statistics, weight, bias), &wide(grad.view()))
            };
            let [x, weight, bias] = [wide(x.view()), wide(layer.weight.view()), wide(layer.bias.view())];
            let label = |what: &str| format!("{what} {rows}x{features} train {train}");
            close(&label("x"), got.x.as_slice().unwrap(), &slope(&x, |x| loss(x, &weight, &bias)), 1e-6);
            close(&label("weight"), got.weight.as_slice().unwrap(), &slope(&weight, |w| loss(&x, w, &bias)), 1e-6);
            close(&label("bias"), got.bias.as_slice().unwrap(), &slope(&bias, |b| loss(&x, &weight, b)), 1e-6);
        }
    }
}

#[test]
fn gradients_are_those_of_a_naive_loop() {
    for (rows, features) in shapes() {
        let (x, grad, mut layer) = (matrix(rows, features, 1), matrix(rows, features, 6), Layer::new(features));
        let normal = layer.train(&x);
        let got = layer.backward(&x, &normal, true, &grad);
        let [x, grad, weight] = [wide(x.view()), wide(grad.view()), wide(layer.weight.view())];
        let statistics = naive_statistics(&x, features);
        let unit = naive_normalise(&x, &statistics, &vec![1.0; features], &vec![0.0; features]);
        let column = |of: &[f64], j: usize| of.iter().skip(j).step_by(features).copied().collect::<Vec<_>>();
        let by_weight: Vec<f64> = (0..features).map(|j| dot(&column(&grad, j), &column(&unit, j))).collect();
        let by_bias: Vec<f64> = (0..features).map(|j| column(&grad, j).iter().sum()).collect();
        let by_x = |i: usize| {
            let j = i % features;
            let scale = weight[j] / (statistics.1[j] + f64::from(EPS)).sqrt();
            scale * (grad[i] - (by_bias[j] + unit[i] * by_weight[j]) / rows as f64)
        };
        let label = |what: &str| format!("{what} {rows}x{features}");
        close(&label("x"), got.x.as_slice().unwrap(), &(0..x.len()).map(by_x).collect::<Vec<_>>(), 2e-6);
        // A sum of 1000 distances from the mean, each rounded to a float.
        close(&label("weight"), got.weight.as_slice().unwrap(), &by_weight, 5e-6);
        close(&label("bias"), got.bias.as_slice().unwrap(), &by_bias, 1e-7);
    }
}

/// ```python
/// ramp = lambda n, a, b: torch.tensor([(i * a) % b / 4 - 1 for i in range(n)])
/// bn = nn.BatchNorm1d(3); bn.weight.data = torch.tensor([1., .5, 2.]); bn.bias.data = torch.tensor([0., 1., -1.])
/// x = ramp(12, 7, 11).reshape(4, 3).requires_grad_(); out = bn(x)
/// (out * ramp(12, 3, 5).reshape(4, 3)).sum().backward()
/// out, bn.running_mean, bn.running_var, x.grad, bn.weight.grad, bn.bias.grad, bn.eval()(x)
/// ```
#[test]
fn numbers_are_those_of_pytorch() {
    let mut layer = Layer {
        weight: vec![1.0, 0.5, 2.0].into(),
        bias: vec![0.0, 1.0, -1.0].into(),
        mean: Array1::zeros(3),
        var: Array1::ones(3),
    };
    let (x, grad) = (shaped(4, 3, ramp(12, 7, 11)), shaped(4, 3, ramp(12, 3, 5)));
    let normal = layer.train(&x);
    let got = layer.backward(&x, &normal, true, &grad);
    let rows: [(&str, &[f32], &[f64]); 7] = [
        (
            "out",
            normal.out.as_slice().unwrap(),
            &[
                -1.7042162418365479,
                1.670777440071106,
                1.683109998703003,
                0.8205485939979553,
                1.2235925197601318,
                -0.10562992095947266,
                0.5680720806121826,
                0.7764074802398682,
                -1.8943698406219482,
                0.3155956268310547,
                0.32922253012657166,
                -3.683109760284424,
            ],
        ),
        ("running_mean", layer.mean.as_slice().unwrap(), &[0.06875000149011612, 0.03750000149011612, -0.0625]),
        ("running_var", layer.var.as_slice().unwrap(), &[1.0307291746139526, 0.9104166626930237, 0.9104166626930237]),
        (
            "grad x",
            got.x.as_slice().unwrap(),
            &[
                0.036205656826496124,
                8.582685404689983e-05,
                0.8940266370773315,
                0.15088529884815216,
                2.8613392714760266e-05,
                -2.6832244396209717,
                -0.012068542651832104,
                -2.8613392714760266e-05,
                2.6832244396209717,
                -0.17502239346504211,
                -8.582685404689983e-05,
                -0.8940266370773315,
            ],
        ),
        ("grad weight", got.weight.as_slice().unwrap(), &[1.4044004678726196, 1.1179624795913696, -1.1179624795913696]),
        ("grad bias", got.bias.as_slice().unwrap(), &[-1.75, -2.5, -2.0]),
        (
            "eval",
            &layer.eval(&x).out.into_raw_vec_and_offset().0,
            &[
                -1.0526930093765259,
                1.373363971710205,
                -1.393014669418335,
                1.409746766090393,
                1.2423590421676636,
                -1.9170342683792114,
                1.1635026931762695,
                1.111354112625122,
                -2.441053867340088,
                0.9172587990760803,
                0.9803492426872253,
                -2.965073585510254,
            ],
        ),
    ];
    for (what, got, want) in rows {
        close(what, got, want, 5e-7);
    }
}

#[test]
fn same_bits_at_any_number_of_threads() {
    for (rows, features) in shapes().chain([(64, 2048), (16_000, 130)]) {
        let (x, grad, layer) = (matrix(rows, features, 1), matrix(rows, features, 6), Layer::new(features));
        for train in [true, false] {
            same_bits(&format!("{rows}x{features} train {train}"), || {
                let mut layer = layer.clone();
                let normal = if train { layer.train(&x) } else { layer.eval(&x) };
                let got = layer.backward(&x, &normal, train, &grad);
                let vectors = [normal.mean, normal.inv_std, layer.mean, layer.var, got.weight, got.bias];
                let matrices = [normal.out, got.x].into_iter().flat_map(|x| x.into_raw_vec_and_offset().0);
                matrices.chain(vectors.into_iter().flatten()).map(f64::from).collect()
            });
        }
    }
}

#[test]
fn nan_stays_in_its_column() {
    let mut x = matrix(7, 3, 1);
    x[[4, 1]] = f32::NAN;
    let mut layer = Layer::new(3);
    let out = layer.train(&x).out;
    assert!(out.indexed_iter().all(|((_, j), y)| y.is_nan() == (j == 1)));
    assert!(layer.mean[1].is_nan() && layer.mean[0].is_finite());
}

#[test]
fn sizes_of_zero_give_an_answer() {
    let mut none = Layer::new(0);
    let x = blank(2, 0);
    for train in [true, false] {
        let normal = if train { none.train(&x) } else { none.eval(&x) };
        assert_eq!(none.backward(&x, &normal, train, &x).x.dim(), (2, 0));
    }
    let (layer, x) = (Layer::new(3), blank(0, 3));
    let got = layer.backward(&x, &layer.eval(&x), false, &x);
    assert_eq!((got.x.dim(), got.weight.sum(), got.bias.sum()), ((0, 3), 0.0, 0.0));
}

#[test]
fn refuses_a_batch_of_one_or_none() {
    for rows in [0, 1] {
        let (mut layer, x) = (Layer::new(3), matrix(rows, 3, 1));
        let message =
            format!("batch_norm: expected more than 1 value per channel when training, got a batch of {rows}");
        refuses(layer.train_into(&x, &mut Normal::blank((rows, 3))), "BATCH_TOO_SMALL", &message);
    }
}

#[test]
fn refuses_wrong_shapes_and_then_writes_nothing() {
    type Spoil = fn(&mut Layer, &mut Normal, Array1<f32>);
    let (x, short) = (matrix(7, 3, 1), Array1::from_elem(2, f32::NAN));
    let cases: [(Spoil, &str); 7] = [
        (|layer, _, short| layer.weight = short, "batch_norm: weight: expected shape [3], got [2]"),
        (|layer, _, short| layer.bias = short, "batch_norm: bias: expected shape [3], got [2]"),
        (|layer, _, short| layer.mean = short, "batch_norm: running_mean: expected shape [3], got [2]"),
        (|layer, _, short| layer.var = short, "batch_norm: running_var: expected shape [3], got [2]"),
        (|_, normal, short| normal.mean = short, "batch_norm: mean: expected shape [3], got [2]"),
        (|_, normal, short| normal.inv_std = short, "batch_norm: inv_std: expected shape [3], got [2]"),
        (|_, normal, _| normal.out = blank(3, 7), "batch_norm: out: expected shape [7, 3], got [3, 7]"),
    ];
    for (spoil, message) in cases {
        let (mut layer, mut normal) = (Layer::new(3), Normal::blank((7, 3)));
        spoil(&mut layer, &mut normal, short.clone());
        let before = format!("{layer:?}");
        refuses(layer.train_into(&x, &mut normal), "SHAPE_MISMATCH", message);
        refuses(layer.eval_into(&x, &mut normal), "SHAPE_MISMATCH", message);
        assert_eq!(format!("{layer:?}"), before, "{message}: the layer stays as it was");
        assert!(normal.mean.iter().chain(&normal.inv_std).all(|x| x.is_nan()), "{message}: nothing is written");
    }
}

#[test]
fn backward_refuses_wrong_shapes() {
    // The shapes of grad and grad_x, and the lengths of mean, inv_std, weight, grad_weight and grad_bias.
    let call = |grad: (usize, usize), grad_x: (usize, usize), lengths: [usize; 5]| {
        let x = matrix(7, 3, 1);
        let [mean, inv_std, weight, mut grad_weight, mut grad_bias] = lengths.map(|len| vec![f32::NAN; len]);
        let saved = Saved { x: x.view(), mean: &mean, inv_std: &inv_std, train: true };
        let mut grad_x = blank(grad_x.0, grad_x.1);
        let into = batch_norm::Gradients { x: grad_x.view_mut(), weight: &mut grad_weight, bias: &mut grad_bias };
        let result = backward(blank(grad.0, grad.1).view(), &saved, &weight, into);
        assert!(grad_x.iter().chain(&grad_weight).chain(&grad_bias).all(|x| x.is_nan()), "nothing is written");
        result
    };
    for (grad, grad_x, lengths, message) in [
        ((3, 7), (7, 3), [3; 5], "batch_norm: grad: expected shape [7, 3], got [3, 7]"),
        ((7, 3), (3, 7), [3; 5], "batch_norm: grad_x: expected shape [7, 3], got [3, 7]"),
        ((7, 3), (7, 3), [2, 3, 3, 3, 3], "batch_norm: mean: expected shape [3], got [2]"),
        ((7, 3), (7, 3), [3, 2, 3, 3, 3], "batch_norm: inv_std: expected shape [3], got [2]"),
        ((7, 3), (7, 3), [3, 3, 2, 3, 3], "batch_norm: weight: expected shape [3], got [2]"),
        ((7, 3), (7, 3), [3, 3, 3, 2, 3], "batch_norm: grad_weight: expected shape [3], got [2]"),
        ((7, 3), (7, 3), [3, 3, 3, 3, 2], "batch_norm: grad_bias: expected shape [3], got [2]"),
    ] {
        refuses(call(grad, grad_x, lengths), "SHAPE_MISMATCH", message);
    }
}

#[test]
fn refuses_arrays_that_are_not_row_major_and_then_writes_nothing() {
    let message = |what: &str| format!("batch_norm: {what}: expected a contiguous row-major array");
    for (what, transpose_x) in [("x", true), ("out", false)] {
        let (mut layer, mut normal) = (Layer::new(3), Normal::blank((3, 3)));
        let (x, before) = (matrix(3, 3, 1), format!("{layer:?}"));
        let statistics = Statistics::Batch(RunningUpdate {
            mean: layer.mean.as_slice_mut().unwrap(),
            var: layer.var.as_slice_mut().unwrap(),
            momentum: MOMENTUM,
        });
        let affine = Affine { weight: layer.weight.as_slice().unwrap(), bias: layer.bias.as_slice().unwrap() };
        let (norm, mut outputs) = (Norm { affine, statistics, eps: EPS }, normal.outputs());
        if !transpose_x {
            outputs.out = outputs.out.reversed_axes();
        }
        let x = if transpose_x { x.t() } else { x.view() };
        refuses(forward(x, norm, outputs), "SHAPE_MISMATCH", &message(what));
        assert_eq!(format!("{layer:?}"), before, "{what}: the layer stays as it was");
        assert!(normal.out.iter().chain(&normal.mean).all(|x| x.is_nan()), "{what}: nothing is written");
    }
}

#[test]
fn deferred_moments_update_the_running_statistics_to_the_same_bits() {
    for (rows, features) in [(2, 1), (7, 63), (63, 300)] {
        let (x, layer) = (matrix(rows, features, 1), Layer::new(features));
        let (mut updated, mut deferred) = (layer.clone(), Normal::blank((rows, features)));
        let normal = updated.train(&x);
        let (mut mean, mut var) = (vec![f64::NAN; features], vec![f64::NAN; features]);
        let statistics = Statistics::BatchDeferred(Moments { mean: &mut mean, var: &mut var });
        forward(x.view(), Norm { affine: layer.affine(), statistics, eps: EPS }, deferred.outputs()).unwrap();
        assert_eq!((deferred.out, deferred.mean, deferred.inv_std), (normal.out, normal.mean, normal.inv_std));
        let (old, new) = (layer.mean.iter().chain(&layer.var), updated.mean.iter().chain(&updated.var));
        for ((&old, &new), moment) in old.zip(new).zip(mean.into_iter().chain(var)) {
            let (momentum, old) = (f64::from(MOMENTUM), f64::from(old));
            assert_eq!(new, ((1.0 - momentum) * old + momentum * moment) as f32);
        }
    }
}
