//! Layer normalization, and its gradients.

use crate::common::{SIZES, blank, close, dot, fill, matrix, refuses, same_bits, slope, wide};
use distillery_kernels::layer_norm::{Affine, Saved, backward, backward_affine, forward};
use ndarray::Array2;

const EPS: f64 = 1e-5;

/// The output of a row in double precision.
fn naive(x: &[f64], weight: Option<&[f64]>, bias: Option<&[f64]>) -> Vec<f64> {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let std = (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n + EPS).sqrt();
    let at = |of: Option<&[f64]>, i: usize, otherwise| of.map_or(otherwise, |values| values[i]);
    x.iter().enumerate().map(|(i, x)| (x - mean) / std * at(weight, i, 1.0) + at(bias, i, 0.0)).collect()
}

struct Run {
    y: Array2<f32>,
    grad_x: Array2<f32>,
    grad_weight: Vec<f32>,
    grad_bias: Vec<f32>,
}

fn run(x: &Array2<f32>, grad: &Array2<f32>, affine: Affine) -> Run {
    let (rows, columns) = x.dim();
    let (mut mean, mut inv_std) = (vec![f32::NAN; rows], vec![f32::NAN; rows]);
    let (mut y, mut grad_x) = (blank(rows, columns), blank(rows, columns));
    forward(x.view(), affine, EPS, &mut mean, &mut inv_std, y.view_mut()).unwrap();
    let saved = Saved { x: x.view(), mean: &mean, inv_std: &inv_std };
    let (mut grad_weight, mut grad_bias) = (vec![f32::NAN; columns], vec![f32::NAN; columns]);
    backward(grad.view(), saved, affine.weight, grad_x.view_mut()).unwrap();
    backward_affine(grad.view(), saved, &mut grad_weight, &mut grad_bias).unwrap();
    Run { y, grad_x, grad_weight, grad_bias }
}

#[test]
fn rows_are_those_of_double_precision_and_gradients_central_differences() {
    for (rows, columns) in [(1, 1), (1, 7), (7, 3), (65, 16), (130, 33), (3, 1000)] {
        let (x, grad) = (matrix(rows, columns, 1) * 3.0 + 0.5, matrix(rows, columns, 2));
        let (weight, bias) = (fill(columns, 3), fill(columns, 4));
        for affine in [
            Affine { weight: None, bias: None },
            Affine { weight: Some(&weight), bias: None },
            Affine { weight: Some(&weight), bias: Some(&bias) },
        ] {
            let label = format!("{rows}x{columns} {} {}", affine.weight.is_some(), affine.bias.is_some());
            let got = run(&x, &grad, affine);
            let of =
                |values: Option<&[f32]>| values.map(|values| values.iter().map(|&x| x.into()).collect::<Vec<f64>>());
            let (weight, bias) = (of(affine.weight), of(affine.bias));
            let (mut grad_weight, mut grad_bias) = (vec![0.0; columns], vec![0.0; columns]);
            for row in 0..rows {
                let (x, up) = (wide(x.row(row)), wide(grad.row(row)));
                let value = |x: &[f64]| naive(x, weight.as_deref(), bias.as_deref());
                close(&label, got.y.row(row).as_slice().unwrap(), &value(&x), 2e-6);
                close(&label, got.grad_x.row(row).as_slice().unwrap(), &slope(&x, |x| dot(&value(x), &up)), 2e-5);
                for (i, normalized) in naive(&x, None, None).into_iter().enumerate() {
                    grad_weight[i] += up[i] * normalized;
                    grad_bias[i] += up[i];
                }
            }
            close(&label, &got.grad_weight, &grad_weight, 5e-6);
            close(&label, &got.grad_bias, &grad_bias, 5e-6);
        }
    }
}

/// `x = torch.tensor([[1., 2., 4.], [-3., 0., 3.]]); F.layer_norm(x, [3], torch.tensor([1., .5, 2.]), torch.ones(3))`
#[test]
fn numbers_are_those_of_pytorch() {
    let x = ndarray::arr2(&[[1.0, 2.0, 4.0], [-3.0, 0.0, 3.0]]);
    let affine = Affine { weight: Some(&[1.0, 0.5, 2.0]), bias: Some(&[1.0; 3]) };
    let want = [-0.069_041_371, 0.866_369_84, 3.672_603_6, -0.224_743_84, 1.0, 3.449_487_7];
    close("layer_norm", run(&x, &blank(2, 3), affine).y.as_slice().unwrap(), &want, 2e-7);
}

#[test]
fn a_large_mean_costs_no_more_digits_than_its_rounding() {
    let x = matrix(4, 257, 1) + 4096.0;
    let got = run(&x, &matrix(4, 257, 2), Affine { weight: None, bias: None });
    for row in 0..4 {
        // One step of a float at 4096 is 5e-4, and the mean is rounded to one.
        close("mean", got.y.row(row).as_slice().unwrap(), &naive(&wide(x.row(row)), None, None), 5e-4);
    }
}

#[test]
fn bits_do_not_depend_on_threads_and_other_shapes_are_refused() {
    for columns in SIZES {
        let (x, grad, weight) = (matrix(1000, columns, 1), matrix(1000, columns, 2), fill(columns, 3));
        same_bits(&format!("layer_norm {columns}"), || {
            let Run { y, grad_x, grad_weight, grad_bias } =
                run(&x, &grad, Affine { weight: Some(&weight), bias: None });
            let rest = [grad_weight, grad_bias].concat().into_iter().map(f64::from).collect();
            [wide(y.view()), wide(grad_x.view()), rest].concat()
        });
    }
    let (x, mut two, mut other) = (matrix(2, 3, 1), [0.0; 2], [0.0; 2]);
    let affine = Affine { weight: Some(&[1.0; 2]), bias: None };
    let result = forward(x.view(), affine, EPS, &mut two, &mut other, blank(2, 3).view_mut());
    refuses(result, "SHAPE_MISMATCH", "layer_norm: weight: expected shape [3], got [2]");
    let saved = Saved { x: x.view(), mean: &[0.0], inv_std: &[1.0; 2] };
    let message = "layer_norm: mean: expected shape [2], got [1]";
    refuses(backward(x.view(), saved, None, blank(2, 3).view_mut()), "SHAPE_MISMATCH", message);
}
