//! BatchNorm, ReLU and dropout in one pass: the bits of the three kernels one after the other, forward and backward.

use crate::common::{blank, matrix, refuses, same_bits, vector};
use distillery_kernels::Result;
use distillery_kernels::batch_norm::{self, Affine, Gradients, Norm, Outputs, Saved};
use distillery_kernels::batch_stats::{RunningUpdate, Statistics};
use distillery_kernels::dropout::Mask;
use distillery_kernels::norm_relu_dropout::{self as fused, Dropout, Linear};
use distillery_kernels::rng::{Generator, STATE_WORDS};
use distillery_kernels::{dropout, elementwise, linear};
use ndarray::{Array1, Array2};

const EPS: f32 = 1e-5;
const SHAPES: [(usize, usize); 6] = [(2, 1), (7, 63), (63, 65), (65, 7), (64, 1000), (3, 300)];

/// Everything that a pass over a layer writes.
#[derive(Debug, PartialEq)]
struct Pass {
    x: Array2<f32>,
    out: Array2<f32>,
    keep: Vec<u8>,
    vectors: [Array1<f32>; 4],
    next: u32,
    grad_x: Array2<f32>,
    grads: [Array1<f32>; 2],
}

impl Pass {
    fn bits(&self) -> Vec<f64> {
        let floats = self.x.iter().chain(&self.out).chain(&self.grad_x);
        let floats = floats.chain(self.vectors.iter().flatten()).chain(self.grads.iter().flatten());
        let rest = self.keep.iter().map(|&keep| keep.into()).chain([self.next.into()]);
        floats.map(|&x| x.into()).chain(rest).collect()
    }
}

/// The layer: its input, its linear part, and the scale, shift, running mean and variance of its BatchNorm.
struct Layer {
    input: Array2<f32>,
    weight: Array2<f32>,
    vectors: [Array1<f32>; 4],
    train: bool,
    p: Option<f64>,
}

impl Layer {
    fn new(rows: usize, features: usize, train: bool, p: Option<f64>) -> Self {
        let positive = |seed| vector(features, seed).mapv(|x| 1.0 + 0.5 * x);
        let vectors = [vector(features, 2), vector(features, 3), vector(features, 4), positive(5)];
        Self { input: matrix(rows, 5, 6), weight: matrix(features, 5, 7), vectors, train, p }
    }

    fn separate(&self) -> Pass {
        let shape = (self.input.nrows(), self.weight.nrows());
        let [weight, bias, mut running_mean, mut running_var] = self.vectors.clone();
        let affine = Affine { weight: weight.as_slice().unwrap(), bias: bias.as_slice().unwrap() };
        let (mut x, mut normal, mut out) = (blank(shape.0, shape.1), blank(shape.0, shape.1), blank(shape.0, shape.1));
        let (mut mean, mut inv_std) = (Array1::zeros(shape.1), Array1::zeros(shape.1));
        linear::forward(self.input.view(), self.weight.view(), None, false, x.view_mut()).unwrap();
        let statistics = statistics(self.train, &mut running_mean, &mut running_var);
        let norm = Norm { affine, statistics, eps: EPS };
        batch_norm::forward(x.view(), norm, outputs(&mut mean, &mut inv_std, &mut normal)).unwrap();
        let mut active = blank(shape.0, shape.1);
        elementwise::relu(normal.as_slice().unwrap(), active.as_slice_mut().unwrap()).unwrap();
        let mut keep = vec![9; x.len()];
        let next = draw(|generator| match self.p {
            None => out.assign(&active),
            Some(p) => {
                let (x, out) = (active.as_slice().unwrap(), out.as_slice_mut().unwrap());
                dropout::forward(x, p, generator, &mut keep, out).unwrap();
            }
        });
        let grad = matrix(shape.0, shape.1, 8);
        let (mut through, mut grad_normal, mut grad_x) = (grad.clone(), grad.clone(), blank(shape.0, shape.1));
        if let Some(p) = self.p {
            dropout::backward(grad.as_slice().unwrap(), Mask { keep: &keep, p }, through.as_slice_mut().unwrap())
                .unwrap();
        }
        let (y, to) = (active.as_slice().unwrap(), grad_normal.as_slice_mut().unwrap());
        elementwise::relu_backward(through.as_slice().unwrap(), y, to).unwrap();
        let (mut grad_weight, mut grad_bias) = (Array1::zeros(shape.1), Array1::zeros(shape.1));
        let saved = saved(&x, &mean, &inv_std, self.train);
        let into = gradients(&mut grad_x, &mut grad_weight, &mut grad_bias);
        batch_norm::backward(grad_normal.view(), &saved, affine.weight, into).unwrap();
        let (vectors, grads) = ([mean, inv_std, running_mean, running_var], [grad_weight, grad_bias]);
        Pass { x, out, keep, vectors, next, grad_x, grads }
    }

    fn fused(&self, with_linear: bool) -> Pass {
        let shape = (self.input.nrows(), self.weight.nrows());
        let [weight, bias, mut running_mean, mut running_var] = self.vectors.clone();
        let (mut x, mut out) = (blank(shape.0, shape.1), blank(shape.0, shape.1));
        let (mut mean, mut inv_std) = (Array1::zeros(shape.1), Array1::zeros(shape.1));
        let mut keep = vec![9; x.len()];
        let next = draw(|generator| {
            let affine = Affine { weight: weight.as_slice().unwrap(), bias: bias.as_slice().unwrap() };
            let statistics = statistics(self.train, &mut running_mean, &mut running_var);
            let norm = Norm { affine, statistics, eps: EPS };
            let outputs = outputs(&mut mean, &mut inv_std, &mut out);
            let dropout = self.p.map(|p| Dropout { p, generator: Some(generator), keep: &mut keep });
            let linear = Linear { input: self.input.view(), weight: self.weight.view().into(), bias: None };
            if with_linear {
                fused::linear_forward(linear, x.view_mut(), norm, dropout, outputs).unwrap();
            } else {
                linear::forward(linear.input, linear.weight, None, false, x.view_mut()).unwrap();
                fused::forward(x.view(), norm, dropout, outputs).unwrap();
            }
        });
        let (mut grad_x, mut grad_weight, mut grad_bias) =
            (blank(shape.0, shape.1), Array1::zeros(shape.1), Array1::zeros(shape.1));
        let affine = Affine { weight: weight.as_slice().unwrap(), bias: bias.as_slice().unwrap() };
        let (mask, grad) = (self.p.map(|p| Mask { keep: &keep, p }), matrix(shape.0, shape.1, 8));
        let saved = saved(&x, &mean, &inv_std, self.train);
        let into = gradients(&mut grad_x, &mut grad_weight, &mut grad_bias);
        fused::backward(grad.view(), &saved, affine, mask, into).unwrap();
        let (vectors, grads) = ([mean, inv_std, running_mean, running_var], [grad_weight, grad_bias]);
        Pass { x, out, keep, vectors, next, grad_x, grads }
    }
}

fn statistics<'a>(train: bool, mean: &'a mut Array1<f32>, var: &'a mut Array1<f32>) -> Statistics<'a> {
    let (mean, var) = (mean.as_slice_mut().unwrap(), var.as_slice_mut().unwrap());
    if train {
        Statistics::Batch(RunningUpdate { mean, var, momentum: 0.1 })
    } else {
        Statistics::Running { mean, var }
    }
}

fn outputs<'a>(mean: &'a mut Array1<f32>, inv_std: &'a mut Array1<f32>, out: &'a mut Array2<f32>) -> Outputs<'a> {
    Outputs { mean: mean.as_slice_mut().unwrap(), inv_std: inv_std.as_slice_mut().unwrap(), out: out.view_mut() }
}

fn saved<'a>(x: &'a Array2<f32>, mean: &'a Array1<f32>, inv_std: &'a Array1<f32>, train: bool) -> Saved<'a> {
    Saved { x: x.view(), mean: mean.as_slice().unwrap(), inv_std: inv_std.as_slice().unwrap(), train }
}

fn gradients<'a>(x: &'a mut Array2<f32>, weight: &'a mut Array1<f32>, bias: &'a mut Array1<f32>) -> Gradients<'a> {
    Gradients { x: x.view_mut(), weight: weight.as_slice_mut().unwrap(), bias: bias.as_slice_mut().unwrap() }
}

/// Runs `f` on a fresh generator and says what it would draw next.
fn draw(f: impl FnOnce(&mut Generator)) -> u32 {
    let mut state = [0; STATE_WORDS];
    let mut generator = Generator::seeded(&mut state, 3).unwrap();
    f(&mut generator);
    generator.next_u32()
}

fn layers() -> impl Iterator<Item = (String, Layer)> {
    SHAPES.into_iter().flat_map(|(rows, features)| {
        [None, Some(0.0), Some(0.3), Some(1.0)].into_iter().flat_map(move |p| {
            [true, false].map(|train| {
                let label = format!("{rows}x{features}, p = {p:?}, train = {train}");
                (label, Layer::new(rows, features, train, p))
            })
        })
    })
}

#[test]
fn one_pass_has_the_bits_of_three() {
    for (label, layer) in layers() {
        let want = layer.separate().bits().into_iter().map(f64::to_bits).collect::<Vec<_>>();
        for with_linear in [false, true] {
            let got = layer.fused(with_linear).bits().into_iter().map(f64::to_bits).collect::<Vec<_>>();
            assert!(got == want, "{label}, linear = {with_linear}");
        }
    }
}

#[test]
fn same_bits_at_any_number_of_threads() {
    for (rows, features) in [(64, 1000), (300, 700)] {
        let layer = Layer::new(rows, features, true, Some(0.3));
        same_bits(&format!("{rows}x{features}"), || layer.fused(true).bits());
    }
}

#[test]
fn nothing_is_drawn_or_written_when_it_refuses() {
    let layer = Layer::new(4, 3, true, Some(0.3));
    let call = |p: f64, mask: usize, columns: usize, rows: usize| -> (Result<()>, bool) {
        let [weight, bias, mut running_mean, mut running_var] = layer.vectors.clone();
        let (x, mut out) = (matrix(rows, 3, 1), blank(rows, columns));
        let (mut mean, mut inv_std, mut keep) = (Array1::zeros(3), Array1::zeros(3), vec![9; mask]);
        let mut result = Ok(());
        let next = draw(|generator| {
            let affine = Affine { weight: weight.as_slice().unwrap(), bias: bias.as_slice().unwrap() };
            let norm = Norm { affine, statistics: statistics(true, &mut running_mean, &mut running_var), eps: EPS };
            let outputs = outputs(&mut mean, &mut inv_std, &mut out);
            result = fused::forward(
                x.view(),
                norm,
                Some(Dropout { p, generator: Some(generator), keep: &mut keep }),
                outputs,
            );
        });
        (result, next == draw(|_| ()) && running_mean == layer.vectors[2] && keep.iter().all(|&keep| keep == 9))
    };
    for ((result, untouched), code, message) in [
        (call(1.5, 12, 3, 4), "BAD_ARGUMENT", "dropout: p: expected a probability from 0 to 1, got 1.5"),
        (call(0.3, 11, 3, 4), "SHAPE_MISMATCH", "norm_relu_dropout: mask: expected shape [12], got [11]"),
        (call(0.3, 12, 2, 4), "SHAPE_MISMATCH", "norm_relu_dropout: out: expected shape [4, 3], got [4, 2]"),
        (
            call(0.3, 3, 3, 1),
            "BATCH_TOO_SMALL",
            "batch_norm: expected more than 1 value per channel when training, got a batch of 1",
        ),
    ] {
        refuses(result, code, message);
        assert!(untouched, "{message}");
    }
}
