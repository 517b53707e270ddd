//! BatchNorm of images: values and gradients against naive loops in double precision.

use crate::common::{close, dot, fill, refuses, same_bits, slope};
use distillery_kernels::batch_norm::{Affine, Gradients, Norm, Outputs, Saved};
use distillery_kernels::batch_stats::{RunningUpdate, Statistics, moments};
use distillery_kernels::channel_norm::{Epilogue, EpilogueGradient, backward, forward};
use ndarray::{ArrayView3, ArrayViewMut3};

const EPS: f32 = 1e-3;
/// Images, channels, length.
const SHAPES: [[usize; 3]; 8] =
    [[2, 1, 1], [1, 3, 7], [3, 5, 65], [7, 2, 1000], [5, 9, 257], [4, 150, 4], [33, 21, 16], [3, 5, 64]];

fn naive(shape: [usize; 3], x: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
    let [images, channels, length] = shape;
    let channel = |i: usize| i / length % channels;
    let count = (images * length) as f64;
    let (mut mean, mut var) = (vec![0.0; channels], vec![0.0; channels]);
    x.iter().enumerate().for_each(|(i, x)| mean[channel(i)] += x / count);
    x.iter().enumerate().for_each(|(i, x)| var[channel(i)] += (x - mean[channel(i)]).powi(2) / count);
    let normal = |(i, x): (usize, &f64)| {
        let c = channel(i);
        (x - mean[c]) / (var[c] + f64::from(EPS)).sqrt() * weight[c] + bias[c]
    };
    x.iter().enumerate().map(normal).collect()
}

#[test]
fn squares_beyond_single_precision_are_summed() {
    for shape in [[3, 5, 64], [3, 5, 65], [2, 2, 1000]] {
        let x: Vec<f32> = fill(shape.iter().product(), 1).iter().map(|x| x.signum() * 1e20).collect();
        let (weight, bias) = (fill(shape[1], 2), fill(shape[1], 3));
        let got = run(shape, &x, &weight, &bias);
        close(&format!("{shape:?}"), &got.out, &naive(shape, &wide(&x), &wide(&weight), &wide(&bias)), 2e-5);
        let mut x = fill(shape.iter().product(), 1);
        x[0] = f32::INFINITY;
        assert!(run(shape, &x, &fill(shape[1], 2), &fill(shape[1], 3)).out[..shape[2]].iter().all(|x| x.is_nan()));
    }
}

struct Run {
    out: Vec<f32>,
    mean: Vec<f32>,
    inv_std: Vec<f32>,
    running: [Vec<f32>; 2],
}

fn run(shape: [usize; 3], x: &[f32], weight: &[f32], bias: &[f32]) -> Run {
    run_with(shape, x, weight, bias, Epilogue::default())
}

fn run_with(shape: [usize; 3], x: &[f32], weight: &[f32], bias: &[f32], epilogue: Epilogue) -> Run {
    let channels = shape[1];
    let blank = || vec![f32::NAN; channels];
    let (mut out, mut mean, mut inv_std) = (vec![f32::NAN; x.len()], blank(), blank());
    let [mut running_mean, mut running_var] = [vec![0.0; channels], vec![1.0; channels]];
    let update = RunningUpdate { mean: &mut running_mean, var: &mut running_var, momentum: 0.25 };
    let norm = Norm { affine: Affine { weight, bias }, statistics: Statistics::Batch(update), eps: EPS };
    let view = ArrayViewMut3::from_shape(shape, &mut out).unwrap();
    let outputs = Outputs { mean: &mut mean, inv_std: &mut inv_std, out: view };
    forward(ArrayView3::from_shape(shape, x).unwrap(), norm, epilogue, outputs).unwrap();
    Run { out, mean, inv_std, running: [running_mean, running_var] }
}

fn gradients(shape: [usize; 3], x: &[f32], weight: &[f32], bias: &[f32], grad: &[f32]) -> [Vec<f32>; 3] {
    let Run { mean, inv_std, .. } = run(shape, x, weight, bias);
    let [mut grad_x, mut grad_weight, mut grad_bias] = [x.len(), shape[1], shape[1]].map(|len| vec![f32::NAN; len]);
    let view = |data| ArrayView3::from_shape(shape, data).unwrap();
    let saved = Saved { x: view(x), mean: &mean, inv_std: &inv_std, train: true };
    let into = Gradients {
        x: ArrayViewMut3::from_shape(shape, &mut grad_x).unwrap(),
        weight: &mut grad_weight,
        bias: &mut grad_bias,
    };
    backward(view(grad), &saved, Affine { weight, bias }, EpilogueGradient::default(), into).unwrap();
    [grad_x, grad_weight, grad_bias]
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| x.into()).collect()
}

#[test]
fn forward_is_the_naive_loop_and_moves_the_running_statistics() {
    for shape in SHAPES {
        let size = shape.iter().product();
        // A mean far from 0, of which single precision keeps few digits.
        let x: Vec<f32> = fill(size, 1).iter().map(|x| x * 3.0 + 20.0).collect();
        let (weight, bias) = (fill(shape[1], 2), fill(shape[1], 3));
        let got = run(shape, &x, &weight, &bias);
        close(&format!("{shape:?}"), &got.out, &naive(shape, &wide(&x), &wide(&weight), &wide(&bias)), 2e-5);
        let count = (shape[0] * shape[2]) as f64;
        for c in 0..shape[1] {
            let of_channel: Vec<f64> =
                (0..size).filter(|i| i / shape[2] % shape[1] == c).map(|i| x[i].into()).collect();
            let mean = of_channel.iter().sum::<f64>() / count;
            let var = of_channel.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0);
            close("running mean", &got.running[0][c..=c], &[0.25 * mean], 1e-6);
            close("running variance", &got.running[1][c..=c], &[0.75 + 0.25 * var], 2e-6);
        }
    }
}

#[test]
fn gradients_are_slopes() {
    for shape in [[2, 3, 3], [3, 2, 17], [1, 1, 20]] {
        let (x, grad) = (fill(shape.iter().product(), 1), fill(shape.iter().product(), 4));
        let (weight, bias) = (fill(shape[1], 2), fill(shape[1], 3));
        let (x64, weight64, bias64, grad64) = (wide(&x), wide(&weight), wide(&bias), wide(&grad));
        let [got_x, got_weight, got_bias] = gradients(shape, &x, &weight, &bias, &grad);
        let loss = |x: &[f64], weight: &[f64], bias: &[f64]| dot(&naive(shape, x, weight, bias), &grad64);
        close("x", &got_x, &slope(&x64, |x| loss(x, &weight64, &bias64)), 1e-5);
        close("weight", &got_weight, &slope(&weight64, |weight| loss(&x64, weight, &bias64)), 1e-5);
        close("bias", &got_bias, &slope(&bias64, |bias| loss(&x64, &weight64, bias)), 1e-5);
    }
}

#[test]
fn what_follows_has_the_bits_of_its_steps() {
    for shape in SHAPES {
        let size = shape.iter().product();
        let (x, addend, grad) = (fill(size, 1), fill(size, 5), fill(size, 4));
        let (weight, bias) = (fill(shape[1], 2), fill(shape[1], 3));
        let Run { out: alone, mean, inv_std, .. } = run(shape, &x, &weight, &bias);
        for with_addend in [false, true] {
            let sums: Vec<f32> =
                alone.iter().zip(&addend).map(|(y, addend)| y + if with_addend { *addend } else { 0.0 }).collect();
            let want: Vec<f32> = sums.iter().map(|&y| if y <= 0.0 { 0.0 } else { y }).collect();
            let epilogue = Epilogue { addend: with_addend.then_some(&addend[..]), relu: true };
            let got = run_with(shape, &x, &weight, &bias, epilogue).out;
            assert_eq!(got, want);
            let grad_normalized: Vec<f32> =
                grad.iter().zip(&want).map(|(grad, y)| if *y <= 0.0 { 0.0 } else { *grad }).collect();
            let [want_x, want_weight, want_bias] = gradients(shape, &x, &weight, &bias, &grad_normalized);
            let [mut grad_x, mut grad_addend] = [0; 2].map(|_| vec![f32::NAN; size]);
            let [mut grad_weight, mut grad_bias] = [0; 2].map(|_| vec![f32::NAN; shape[1]]);
            let view = |data| ArrayView3::from_shape(shape, data).unwrap();
            let saved = Saved { x: view(&x), mean: &mean, inv_std: &inv_std, train: true };
            let into = Gradients {
                x: ArrayViewMut3::from_shape(shape, &mut grad_x).unwrap(),
                weight: &mut grad_weight,
                bias: &mut grad_bias,
            };
            let epilogue = EpilogueGradient { y: Some(&want), addend: with_addend.then_some(&mut grad_addend[..]) };
            backward(view(&grad), &saved, Affine { weight: &weight, bias: &bias }, epilogue, into).unwrap();
            assert_eq!([grad_x, grad_weight, grad_bias], [want_x, want_weight, want_bias]);
            assert!(!with_addend || grad_addend == grad_normalized);
        }
    }
}

#[test]
fn threads_do_not_change_the_bits() {
    let shape = [9, 12, 700];
    let (x, grad, weight, bias) = (fill(75_600, 1), fill(75_600, 2), fill(12, 3), fill(12, 4));
    same_bits("channel_norm", || {
        let Run { out, running, .. } = run(shape, &x, &weight, &bias);
        let all = [&[out][..], &running, &gradients(shape, &x, &weight, &bias, &grad)].concat().concat();
        all.into_iter().map(f64::from).collect()
    });
}

#[test]
fn a_batch_without_variance_is_refused() {
    let (mut out, mut mean, mut inv_std) = ([0.0; 2], [0.0; 2], [0.0; 2]);
    let [mut running_mean, mut running_var] = [[0.0; 2], [1.0; 2]];
    let update = RunningUpdate { mean: &mut running_mean, var: &mut running_var, momentum: 0.1 };
    let norm =
        Norm { affine: Affine { weight: &[1.0; 2], bias: &[0.0; 2] }, statistics: Statistics::Batch(update), eps: EPS };
    let view = ArrayViewMut3::from_shape([1, 2, 1], &mut out).unwrap();
    let x = ArrayView3::from_shape([1, 2, 1], &[1.0, 2.0]).unwrap();
    refuses(
        forward(x, norm, Epilogue::default(), Outputs { mean: &mut mean, inv_std: &mut inv_std, out: view }),
        "BATCH_TOO_SMALL",
        "batch_norm: expected more than 1 value per channel when training, got a batch of 1",
    );
}

#[test]
fn moments_are_those_of_a_naive_loop() {
    for shape in SHAPES.into_iter().chain([[1, 3, 1], [5, 300, 1], [3, 0, 1], [3, 0, 4]]) {
        let [rows, features, length] = shape;
        let x: Vec<f32> = fill(rows * features * length, 1).into_iter().map(|x| 3.0 + x).collect();
        let (mut mean, mut squares) = (vec![f64::NAN; features], vec![f64::NAN; features]);
        moments(ArrayView3::from_shape(shape, &x).unwrap(), &mut mean, &mut squares).unwrap();
        for f in 0..features {
            let values: Vec<f64> = (0..rows)
                .flat_map(|row| &x[(row * features + f) * length..][..length])
                .map(|x| f64::from(*x))
                .collect();
            let average = values.iter().sum::<f64>() / values.len() as f64;
            let distances: f64 = values.iter().map(|x| (x - average).powi(2)).sum();
            assert!((mean[f] - average).abs() < 1e-12, "{shape:?}: {} {average}", mean[f]);
            assert!((squares[f] - distances).abs() <= 1e-5 * distances, "{shape:?}: {} {distances}", squares[f]);
        }
        same_bits("moments", || {
            let (mut mean, mut squares) = (vec![f64::NAN; features], vec![f64::NAN; features]);
            moments(ArrayView3::from_shape(shape, &x).unwrap(), &mut mean, &mut squares).unwrap();
            [mean, squares].concat()
        });
    }
}

#[test]
fn planes_without_elements_are_normalised_by_running_statistics_only() {
    let shape = [2, 3, 0];
    let (mut mean, mut inv_std, weight, bias) = ([f32::NAN; 3], [f32::NAN; 3], [1.0; 3], [0.0; 3]);
    let (running_mean, var) = ([1.0, 2.0, 3.0], [4.0 - EPS; 3]);
    let empty = || ArrayView3::from_shape(shape, &[]).unwrap();
    let statistics = Statistics::Running { mean: &running_mean, var: &var };
    let norm = Norm { affine: Affine { weight: &weight, bias: &bias }, statistics, eps: EPS };
    let out = ArrayViewMut3::from_shape(shape, &mut []).unwrap();
    forward(empty(), norm, Epilogue::default(), Outputs { mean: &mut mean, inv_std: &mut inv_std, out }).unwrap();
    assert_eq!((mean, inv_std), (running_mean, [0.5; 3]));
    let (mut grad_weight, mut grad_bias) = ([f32::NAN; 3], [f32::NAN; 3]);
    let x = ArrayViewMut3::from_shape(shape, &mut []).unwrap();
    let into = Gradients { x, weight: &mut grad_weight, bias: &mut grad_bias };
    let saved = Saved { x: empty(), mean: &mean, inv_std: &inv_std, train: false };
    backward(empty(), &saved, Affine { weight: &weight, bias: &bias }, EpilogueGradient::default(), into).unwrap();
    assert_eq!([grad_weight, grad_bias], [[0.0; 3]; 2]);
}

#[test]
fn an_element_that_is_no_number_leaves_none_in_its_channel() {
    for length in [16, 65] {
        let shape = [2, 3, length];
        let mut x = fill(6 * length, 1);
        x[length + 3] = f32::NAN;
        let Run { out, running: [_, running_var], .. } = run(shape, &x, &[1.0; 3], &[0.0; 3]);
        for (i, out) in out.iter().enumerate() {
            assert_eq!(out.is_nan(), i / length % 3 == 1, "{length}: {i}");
        }
        let none: Vec<bool> = running_var.iter().map(|var| var.is_nan()).collect();
        assert_eq!(none, [false, true, false], "{length}");
    }
}
