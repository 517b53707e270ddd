//! The fully connected layer: outputs and gradients against naive loops and slopes.

use crate::common::{blank, close, dot, matrix, refuses, same_bits, shaped, slope, vector, wide, with_threads};
use distillery_kernels::Result;
use distillery_kernels::linear::{
    Gradients, Weight, backward, backward_bias, backward_input, backward_weight, forward,
};
use distillery_kernels::matmul::bf16::{self, Rhs, Unit};
use distillery_kernels::matmul::{PackedB, Precision};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

/// Rows, inputs and outputs.
const SHAPES: [(usize, usize, usize); 8] = [
    (1, 1, 1),
    (1, 1000, 7),
    (7, 63, 65),
    (63, 7, 1000),
    (65, 1000, 63),
    (1000, 65, 1),
    (1000, 1, 65),
    (1000, 63, 1000),
];

fn naive(x: &[f64], weight: &[f64], bias: &[f64], relu: bool) -> Vec<f64> {
    let inputs = weight.len() / bias.len();
    let row = |x: &[f64]| -> Vec<f64> {
        weight
            .chunks_exact(inputs)
            .zip(bias)
            .map(|(w, b)| dot(x, w) + b)
            .map(|y| if relu { y.max(0.0) } else { y })
            .collect()
    };
    x.chunks_exact(inputs).flat_map(row).collect()
}

fn layer(x: &Array2<f32>, weight: &Array2<f32>, bias: Option<&Array1<f32>>, relu: bool) -> Array2<f32> {
    let mut out = blank(x.nrows(), weight.nrows());
    forward(x.view(), weight.view(), bias.map(|bias| bias.view()), relu, out.view_mut()).unwrap();
    out
}

fn bias_gradient(grad: &Array2<f32>) -> Array1<f32> {
    let mut grad_bias = Array1::from_elem(grad.ncols(), f32::NAN);
    backward_bias(grad.view(), grad_bias.view_mut()).unwrap();
    grad_bias
}

#[test]
fn forward_is_the_naive_loop() {
    for (rows, inputs, outputs) in SHAPES {
        let (x, weight, bias) = (matrix(rows, inputs, 1), matrix(outputs, inputs, 2), vector(outputs, 3));
        let zeros = Array1::zeros(outputs);
        for (used, bias) in [(true, &bias), (false, &zeros)] {
            for relu in [false, true] {
                let want = naive(&wide(x.view()), &wide(weight.view()), &wide(bias.view()), relu);
                let got = layer(&x, &weight, used.then_some(bias), relu);
                let label = format!("{rows}x{inputs}x{outputs} bias {used} relu {relu}");
                close(&label, got.as_slice().unwrap(), &want, 1e-6 * (inputs as f64).sqrt());
            }
        }
    }
}

#[test]
fn bias_gradient_of_many_rows_keeps_its_digits() {
    let grad = Array2::from_elem((300_001, 3), 0.1);
    close("300001 rows", bias_gradient(&grad).as_slice().unwrap(), &[f64::from(0.1f32) * 300_001.0; 3], 1e-5);
}

#[test]
fn bias_gradient_is_the_column_sums() {
    for (rows, outputs) in crate::common::pairs() {
        let grad = matrix(rows, outputs, 1);
        let want: Vec<f64> = grad.columns().into_iter().map(|column| wide(column).iter().sum()).collect();
        let label = format!("{rows}x{outputs}");
        close(&label, bias_gradient(&grad).as_slice().unwrap(), &want, 1e-6 * (rows as f64).sqrt());
    }
}

#[test]
fn gradients_are_the_slopes() {
    let (rows, inputs, outputs) = (7, 5, 3);
    let (x, weight, bias) = (matrix(rows, inputs, 1), matrix(outputs, inputs, 2), vector(outputs, 3));
    let grad = matrix(rows, outputs, 4);
    let (mut grad_x, mut grad_weight) = (blank(rows, inputs), blank(outputs, inputs));
    backward_input(Precision::Float32, grad.view(), weight.view(), grad_x.view_mut()).unwrap();
    backward_weight(Precision::Float32, grad.view(), x.view(), grad_weight.view_mut()).unwrap();
    let [x, weight, bias] = [wide(x.view()), wide(weight.view()), wide(bias.view())];
    let loss = |x: &[f64], weight: &[f64], bias: &[f64]| dot(&naive(x, weight, bias, false), &wide(grad.view()));
    close("grad_x", grad_x.as_slice().unwrap(), &slope(&x, |x| loss(x, &weight, &bias)), 1e-6);
    close("grad_weight", grad_weight.as_slice().unwrap(), &slope(&weight, |w| loss(&x, w, &bias)), 1e-6);
    close("grad_bias", bias_gradient(&grad).as_slice().unwrap(), &slope(&bias, |b| loss(&x, &weight, b)), 1e-6);
}

#[test]
fn gradients_together_are_each_alone() {
    for (rows, inputs, outputs) in SHAPES {
        let (x, weight, grad) = (matrix(rows, inputs, 1), matrix(outputs, inputs, 2), matrix(rows, outputs, 4));
        let (mut want_x, mut want_weight) = (blank(rows, inputs), blank(outputs, inputs));
        backward_input(Precision::Float32, grad.view(), weight.view(), want_x.view_mut()).unwrap();
        backward_weight(Precision::Float32, grad.view(), x.view(), want_weight.view_mut()).unwrap();
        let want_bias = bias_gradient(&grad);
        same_bits(&format!("gradients {rows}x{inputs}x{outputs}"), || {
            let (mut into_x, mut into_weight) = (blank(rows, inputs), blank(outputs, inputs));
            let mut into_bias = Array1::from_elem(outputs, f32::NAN);
            let into = Gradients {
                x: Some(into_x.view_mut()),
                weight: Some(into_weight.view_mut()),
                bias: Some(into_bias.view_mut()),
            };
            backward(Precision::Float32, grad.view(), x.view(), weight.view(), into).unwrap();
            assert_eq!((&into_x, &into_weight, &into_bias), (&want_x, &want_weight, &want_bias));
            wide(into_x.view())
        });
        let mut into_weight = blank(outputs, inputs);
        let into = Gradients { weight: Some(into_weight.view_mut()), ..Gradients::default() };
        backward(Precision::Float32, grad.view(), x.view(), weight.view(), into).unwrap();
        assert_eq!(into_weight, want_weight);
    }
}

#[test]
fn gradients_of_wrong_shapes_are_refused_before_any_is_written() {
    let (x, weight, grad) = (blank(2, 3), blank(5, 3), blank(2, 5));
    let (mut into_x, mut wrong, mut short) = (Array2::zeros((2, 3)), blank(3, 5), vector(4, 1));
    let into = Gradients { x: Some(into_x.view_mut()), weight: Some(wrong.view_mut()), bias: None };
    let refused = backward(Precision::Float32, grad.view(), x.view(), weight.view(), into);
    refuses(refused, "SHAPE_MISMATCH", "linear: grad_weight: expected shape [5, 3], got [3, 5]");
    let into = Gradients { x: Some(into_x.view_mut()), weight: None, bias: Some(short.view_mut()) };
    let refused = backward(Precision::Float32, grad.view(), x.view(), weight.view(), into);
    refuses(refused, "SHAPE_MISMATCH", "linear: grad_bias: expected shape [5], got [4]");
    let into = Gradients { x: Some(wrong.view_mut()), ..Gradients::default() };
    let refused = backward(Precision::Float32, grad.view(), x.view(), weight.view(), into);
    refuses(refused, "SHAPE_MISMATCH", "linear: grad_x: expected shape [2, 3], got [3, 5]");
    assert_eq!(into_x, Array2::<f32>::zeros((2, 3)));
    let refused = backward(Precision::Float32, grad.view(), grad.view(), weight.view(), Gradients::default());
    refuses(refused, "SHAPE_MISMATCH", "linear: x: expected shape [2, 3], got [2, 5]");
}

#[test]
fn relu_lets_nan_through() {
    let (x, weight) = (shaped(1, 1, vec![f32::NAN]), shaped(2, 1, vec![1.0, -1.0]));
    for bias in [None, Some(&vector(2, 1))] {
        assert!(layer(&x, &weight, bias, true).iter().all(|y| y.is_nan()));
    }
}

#[test]
fn same_bits_at_any_number_of_threads() {
    for (rows, inputs, outputs) in SHAPES {
        let (x, weight, bias) = (matrix(rows, inputs, 1), matrix(outputs, inputs, 2), vector(outputs, 3));
        same_bits(&format!("forward {rows}x{inputs}x{outputs}"), || wide(layer(&x, &weight, Some(&bias), true).view()));
        same_bits(&format!("no bias {rows}x{inputs}x{outputs}"), || wide(layer(&x, &weight, None, true).view()));
    }
    for (rows, outputs) in crate::common::pairs().chain([(64, 5000)]) {
        let grad = matrix(rows, outputs, 1);
        same_bits(&format!("bias {rows}x{outputs}"), || wide(bias_gradient(&grad).view()));
    }
}

#[test]
fn sizes_of_zero_give_an_answer() {
    let bias = vector(5, 1);
    assert_eq!(layer(&blank(0, 3), &blank(5, 3), Some(&bias), true).dim(), (0, 5));
    assert_eq!(layer(&blank(2, 3), &blank(0, 3), Some(&vector(0, 1)), true).dim(), (2, 0));
    assert_eq!(layer(&blank(1, 0), &blank(5, 0), Some(&bias), false).row(0), bias);
    assert_eq!(bias_gradient(&blank(0, 3)), Array1::<f32>::zeros(3));
    assert_eq!(bias_gradient(&blank(3, 0)).len(), 0);
}

#[test]
fn refuses_wrong_shapes() {
    let call = |x: [usize; 2], bias: usize, out: [usize; 2]| -> Result<()> {
        let (weight, mut out) = (blank(5, 3), blank(out[0], out[1]));
        forward(blank(x[0], x[1]).view(), weight.view(), Some(vector(bias, 1).view()), false, out.view_mut())
    };
    for (result, message) in [
        (call([2, 4], 5, [2, 5]), "linear: x: expected shape [2, 3], got [2, 4]"),
        (call([2, 3], 4, [2, 5]), "linear: bias: expected shape [5], got [4]"),
        (call([2, 3], 5, [5, 2]), "linear: out: expected shape [2, 5], got [5, 2]"),
        (backward_bias(blank(2, 5).view(), vector(4, 1).view_mut()), "linear: grad_bias: expected shape [5], got [4]"),
    ] {
        refuses(result, "SHAPE_MISMATCH", message);
    }
}

#[test]
fn refuses_arrays_that_are_not_row_major() {
    let (x, weight, grad) = (matrix(2, 3, 1), matrix(5, 3, 2), matrix(2, 5, 3));
    let (mut out, mut half, every_other) = (blank(5, 2), vector(10, 1), vector(10, 1));
    let every_other: ArrayView1<f32> = every_other.slice(ndarray::s![..;2]);
    let into = out.view_mut().reversed_axes();
    refuses(
        forward(x.view(), weight.view(), None, true, into),
        "SHAPE_MISMATCH",
        "linear: out: expected a contiguous row-major array",
    );
    assert!(out.iter().all(|y| y.is_nan()), "nothing is written when a kernel refuses");
    let mut out = blank(2, 5);
    refuses(
        forward(x.view(), weight.view(), Some(every_other), false, out.view_mut()),
        "SHAPE_MISMATCH",
        "linear: bias: expected a contiguous row-major array",
    );
    refuses(
        backward_bias(grad.view(), half.slice_mut(ndarray::s![..;2])),
        "SHAPE_MISMATCH",
        "linear: grad_bias: expected a contiguous row-major array",
    );
}

/// Each of its three products is the one in bfloat16 of the same operands.
#[test]
fn products_in_bfloat16_have_their_own_bits() {
    let multiply = |a: ArrayView2<f32>, b: ArrayView2<f32>| {
        let mut out = blank(a.nrows(), b.ncols());
        bf16::multiply(Unit::best(), a, Rhs::Matrix(b), None, false, out.view_mut()).unwrap();
        out
    };
    for (rows, inputs, outputs) in SHAPES {
        let (x, weight, grad) = (matrix(rows, inputs, 1), matrix(outputs, inputs, 2), matrix(rows, outputs, 4));
        let (mut out, mut packed, mut grad_x, mut grad_weight) =
            (blank(rows, outputs), blank(rows, outputs), blank(rows, inputs), blank(outputs, inputs));
        let of_weight = Weight::Matrix(weight.view(), Precision::bfloat16());
        forward(x.view(), of_weight, None, false, out.view_mut()).unwrap();
        let panels = PackedB::new(Precision::bfloat16(), weight.t());
        forward(x.view(), Weight::Packed(&panels), None, false, packed.view_mut()).unwrap();
        let into =
            Gradients { x: Some(grad_x.view_mut()), weight: Some(grad_weight.view_mut()), ..Gradients::default() };
        backward(Precision::bfloat16(), grad.view(), x.view(), weight.view(), into).unwrap();
        assert_eq!(out, multiply(x.view(), weight.t()), "forward {rows}x{inputs}x{outputs}");
        assert_eq!(packed, out, "packed {rows}x{inputs}x{outputs}");
        assert_eq!(grad_x, multiply(grad.view(), weight.view()), "input {rows}x{inputs}x{outputs}");
        assert_eq!(grad_weight, multiply(grad.t(), x.view()), "weight {rows}x{inputs}x{outputs}");
    }
}

/// A weight that was packed before gives the same bits: few rows and many, panels in part, and several runs of k.
#[test]
fn a_packed_weight_without_inputs_gives_the_bias() {
    for (rows, outputs) in [(1, 129), (20, 1), (3, 1000)] {
        let (x, weight, bias) = (Array2::zeros((rows, 0)), Array2::<f32>::zeros((outputs, 0)), vector(outputs, 3));
        for precision in Precision::all() {
            let panels = PackedB::new(precision, weight.t());
            let mut out = blank(rows, outputs);
            forward(x.view(), Weight::Packed(&panels), Some(bias.view()), false, out.view_mut()).unwrap();
            assert!(out.rows().into_iter().all(|row| row == bias));
        }
    }
}

#[test]
fn packed_weights_change_no_bits() {
    for (inputs, outputs) in [(784, 512), (1030, 70), (400, 64), (5, 3), (0, 4), (37, 0)] {
        let (weight, bias) = (matrix(outputs, inputs, 2), vector(outputs, 3));
        let panels = PackedB::new(Precision::Float32, weight.t());
        for rows in [0, 1, 2, 6, 7, 16, 65] {
            let x = matrix(rows, inputs, 1);
            for (bias, relu) in [(None, false), (Some(bias.view()), true)] {
                let (mut plain, mut packed) = (blank(rows, outputs), blank(rows, outputs));
                forward(x.view(), weight.view(), bias, relu, plain.view_mut()).unwrap();
                for threads in [1, 3] {
                    packed.fill(f32::NAN);
                    with_threads(threads, || {
                        forward(x.view(), Weight::Packed(&panels), bias, relu, packed.view_mut()).unwrap();
                    });
                    assert_eq!(packed, plain, "{rows}x{inputs}x{outputs} on {threads} threads");
                }
            }
        }
    }
}
