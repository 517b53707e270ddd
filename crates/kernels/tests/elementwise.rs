//! Element by element: values against the same expression in double precision, broadcasting and its gradient.

use crate::common::{close, dot, fill, refuses, same_bits, slope};
use distillery_kernels::Result;
use distillery_kernels::elementwise::{accumulate, affine, relu, relu_backward};
use distillery_kernels::strided::{expand, sum_to};
use ndarray::{ArrayD, IxDyn};

/// The usual sizes, and one that is split over seven threads.
const LENGTHS: [usize; 7] = [0, 1, 7, 63, 65, 1000, 300_007];

type Unary = fn(&[f32], &mut [f32]) -> Result<()>;
type Binary = fn(&[f32], &[f32], &mut [f32]) -> Result<()>;

type Formula = fn(f64) -> f64;
type PairFormula = fn(f64, f64) -> f64;

const UNARY: [(&str, Unary, Formula); 2] =
    [("relu", relu, |x| x.max(0.0)), ("affine", |x, out| affine(x, -2.5, 0.75, out), |x| -2.5 * x + 0.75)];
const BINARY: [(&str, Binary, PairFormula); 2] = [
    ("relu", relu_backward, |grad, y| if y > 0.0 { grad } else { 0.0 }),
    (
        "accumulate",
        |x, into, out| {
            out.copy_from_slice(into);
            accumulate(x, out)
        },
        |x, into| into + x,
    ),
];

fn unary(kernel: Unary, x: &[f32]) -> Vec<f32> {
    let mut out = vec![f32::NAN; x.len()];
    kernel(x, &mut out).unwrap();
    out
}

fn binary(kernel: Binary, a: &[f32], b: &[f32]) -> Vec<f32> {
    let mut out = vec![f32::NAN; a.len()];
    kernel(a, b, &mut out).unwrap();
    out
}

fn array(shape: &[usize], seed: u64) -> ArrayD<f32> {
    ArrayD::from_shape_vec(IxDyn(shape), fill(shape.iter().product(), seed)).unwrap()
}

fn expanded(x: &ArrayD<f32>, shape: &[usize]) -> ArrayD<f32> {
    let mut out = ArrayD::from_elem(IxDyn(shape), f32::NAN);
    expand(x.as_slice().unwrap(), x.shape(), shape, out.as_slice_mut().unwrap()).unwrap();
    out
}

fn summed(x: &ArrayD<f32>, shape: &[usize]) -> ArrayD<f32> {
    let mut out = ArrayD::from_elem(IxDyn(shape), f32::NAN);
    sum_to(x.as_slice().unwrap(), x.shape(), shape, out.as_slice_mut().unwrap()).unwrap();
    out
}

/// A shape, and a shape that it expands to.
const BROADCASTS: [(&[usize], &[usize]); 10] = [
    (&[], &[]),
    (&[], &[7, 3]),
    (&[1], &[65]),
    (&[65], &[63, 65]),
    (&[63, 1], &[63, 65]),
    (&[1, 65], &[63, 65]),
    (&[7, 1, 5], &[7, 63, 5]),
    (&[1, 5], &[7, 63, 5]),
    (&[1, 3], &[0, 3]),
    (&[0, 3], &[2, 0, 3]),
];

#[test]
fn values_are_those_of_the_expression() {
    for len in LENGTHS {
        let (a, b) = (fill(len, 1), fill(len, 2));
        for (name, kernel, f) in UNARY {
            let want: Vec<f64> = a.iter().map(|&x| f(x.into())).collect();
            close(&format!("{name} {len}"), &unary(kernel, &a), &want, 2e-7);
        }
        for (name, kernel, f) in BINARY {
            let want: Vec<f64> = a.iter().zip(&b).map(|(&a, &b)| f(a.into(), b.into())).collect();
            close(&format!("{name} {len}"), &binary(kernel, &a, &b), &want, 1e-7);
        }
    }
}

#[test]
fn relu_lets_nan_through_both_ways() {
    // x = torch.tensor([nan, -1.0, 2.0, 0.0], requires_grad=True); F.relu(x).backward(torch.ones(4)); x.grad
    let y = unary(relu, &[f32::NAN, -1.0, 2.0, 0.0]);
    assert!(y[0].is_nan());
    assert_eq!(y[1..], [0.0, 2.0, 0.0]);
    assert_eq!(binary(relu_backward, &[1.0; 4], &y), [1.0, 0.0, 1.0, 0.0]);
}

#[test]
fn relu_gradient_is_the_slope() {
    let (x, grad) = (fill(65, 1), fill(65, 2));
    let [wide_x, wide_grad] = [&x, &grad].map(|v| v.iter().map(|&x| f64::from(x)).collect::<Vec<_>>());
    let want = slope(&wide_x, |x| dot(&x.iter().map(|x| x.max(0.0)).collect::<Vec<_>>(), &wide_grad));
    close("relu", &binary(relu_backward, &grad, &unary(relu, &x)), &want, 1e-7);
}

#[test]
fn expand_repeats_and_sum_to_is_its_gradient() {
    for (small, large) in BROADCASTS {
        let (x, grad) = (array(small, 1), array(large, 2));
        let label = format!("{small:?} to {large:?}");
        assert_eq!(expanded(&x, large), x.broadcast(large).unwrap(), "{label}");
        // <expand(e), grad> for each basis vector e, which is what the gradient of a linear function is.
        let want: Vec<f64> = (0..x.len())
            .map(|i| {
                let mut basis = ArrayD::<f32>::zeros(IxDyn(small));
                basis.as_slice_mut().unwrap()[i] = 1.0;
                basis.broadcast(large).unwrap().iter().zip(&grad).map(|(e, g)| f64::from(e * g)).sum()
            })
            .collect();
        close(&label, summed(&grad, small).as_slice().unwrap(), &want, 1e-7);
    }
}

#[test]
fn same_bits_at_any_number_of_threads() {
    let wide = |x: Vec<f32>| x.into_iter().map(f64::from).collect();
    for len in LENGTHS {
        let (a, b) = (fill(len, 1), fill(len, 2));
        for (name, kernel, _) in UNARY {
            same_bits(&format!("{name} {len}"), || wide(unary(kernel, &a)));
        }
        for (name, kernel, _) in BINARY {
            same_bits(&format!("{name} {len}"), || wide(binary(kernel, &a, &b)));
        }
    }
    for (small, large) in BROADCASTS {
        same_bits("expand", || wide(expanded(&array(small, 1), large).into_iter().collect()));
        same_bits("sum_to", || wide(summed(&array(large, 1), small).into_iter().collect()));
    }
}

#[test]
fn refuses_wrong_shapes() {
    let (x, mut short) = ([1.0; 4], [0.0; 3]);
    for (result, message) in [
        (relu(&x, &mut short), "relu: out: expected shape [4], got [3]"),
        (affine(&x, 1.0, 0.0, &mut short), "affine: out: expected shape [4], got [3]"),
        (relu_backward(&x, &x, &mut short), "relu: out: expected shape [4], got [3]"),
        (relu_backward(&x, &x[1..], &mut short), "relu: b: expected shape [4], got [3]"),
        (accumulate(&x, &mut short), "accumulate: x: expected shape [3], got [4]"),
        (expand(&[0.0; 3], &[1, 3], &[2, 4], &mut [0.0; 8]), "expand: x: expected shape [2, 4], got [1, 3]"),
        (sum_to(&[0.0; 8], &[2, 4], &[1, 3], &mut short), "sum_to: x: expected shape [1, 3], got [2, 4]"),
        (sum_to(&[0.0; 3], &[3], &[1, 3], &mut short), "sum_to: x: expected shape [1, 3], got [3]"),
    ] {
        refuses(result, "SHAPE_MISMATCH", message);
    }
}
