//! Softmax and log-softmax, and their gradients.

use crate::common::{blank, close, dot, matrix, pairs, ramp, refuses, same_bits, scaled, shaped, slope, wide};
use distillery_kernels::Result;
use distillery_kernels::softmax::{log_softmax, log_softmax_backward, softmax, softmax_backward};
use ndarray::{Array2, ArrayView2, ArrayViewMut2};

/// A function of rows, its gradient from grad and its own output, and both in double precision.
struct Form {
    name: &'static str,
    forward: fn(ArrayView2<f32>, ArrayViewMut2<f32>) -> Result<()>,
    backward: fn(ArrayView2<f32>, ArrayView2<f32>, ArrayViewMut2<f32>) -> Result<()>,
    naive: fn(&[f64]) -> Vec<f64>,
    naive_backward: fn(&[f64], &[f64]) -> Vec<f64>,
}

const FORMS: [Form; 2] = [
    Form {
        name: "softmax",
        forward: softmax,
        backward: softmax_backward,
        naive: |x| naive_log_softmax(x).iter().map(|y| y.exp()).collect(),
        naive_backward: |grad, y| grad.iter().zip(y).map(|(g, p)| p * (g - dot(grad, y))).collect(),
    },
    Form {
        name: "log_softmax",
        forward: log_softmax,
        backward: log_softmax_backward,
        naive: naive_log_softmax,
        naive_backward: |grad, y| grad.iter().zip(y).map(|(g, y)| g - y.exp() * grad.iter().sum::<f64>()).collect(),
    },
];

fn naive_log_softmax(x: &[f64]) -> Vec<f64> {
    let max = x.iter().copied().fold(f64::MIN, f64::max);
    let log_sum = max + x.iter().map(|x| (x - max).exp()).sum::<f64>().ln();
    x.iter().map(|x| x - log_sum).collect()
}

impl Form {
    fn run(&self, x: &Array2<f32>) -> Array2<f32> {
        let mut out = blank(x.nrows(), x.ncols());
        (self.forward)(x.view(), out.view_mut()).unwrap();
        out
    }

    fn gradient(&self, grad: &Array2<f32>, y: &Array2<f32>) -> Array2<f32> {
        let mut grad_x = blank(y.nrows(), y.ncols());
        (self.backward)(grad.view(), y.view(), grad_x.view_mut()).unwrap();
        grad_x
    }

    /// How large an output is about: a share, or the logarithm of one.
    fn scale(&self, classes: usize) -> f64 {
        if self.name == "softmax" { classes as f64 } else { 1.0 }
    }
}

#[test]
fn values_and_gradients_are_those_of_a_naive_loop() {
    for (rows, classes) in pairs() {
        let (x, grad) = (matrix(rows, classes, 1) * 4.0, matrix(rows, classes, 2));
        for form in &FORMS {
            let (label, scale) = (format!("{} {rows}x{classes}", form.name), form.scale(classes));
            let y = form.run(&x);
            let want: Vec<f64> = wide(x.view()).chunks_exact(classes).flat_map(form.naive).collect();
            close(&label, &scaled(y.as_slice().unwrap(), scale), &scaled(&want, scale), 5e-6);
            let (grads, wide_grad) = (form.gradient(&grad, &y), wide(grad.view()));
            let outputs = want.chunks_exact(classes);
            let want: Vec<f64> =
                wide_grad.chunks_exact(classes).zip(outputs).flat_map(|(g, y)| (form.naive_backward)(g, y)).collect();
            close(&label, &scaled(grads.as_slice().unwrap(), scale), &scaled(&want, scale), 1e-5);
        }
    }
}

#[test]
fn gradients_are_the_slopes() {
    let (x, grad) = (matrix(1, 7, 1), matrix(1, 7, 2));
    for form in &FORMS {
        let want = slope(&wide(x.view()), |x| dot(&(form.naive)(x), &wide(grad.view())));
        close(form.name, form.gradient(&grad, &form.run(&x)).as_slice().unwrap(), &want, 1e-6);
    }
}

/// `x = torch.tensor([(i * 7) % 11 / 4 - 1 for i in range(8)]).reshape(2, 4); F.softmax(x, 1), F.log_softmax(x, 1)`
#[test]
fn numbers_are_those_of_pytorch() {
    let want: [[f64; 8]; 2] = [
        [
            0.047496695071458817,
            0.273324579000473,
            0.10055050253868103,
            0.5786281824111938,
            0.23453916609287262,
            0.08628213405609131,
            0.49651941657066345,
            0.18265928328037262,
        ],
        [
            -3.0470950603485107,
            -1.2970950603485107,
            -2.2970950603485107,
            -0.5470951199531555,
            -1.4501327276229858,
            -2.4501328468322754,
            -0.7001327276229858,
            -1.7001327276229858,
        ],
    ];
    for (form, want) in FORMS.iter().zip(&want) {
        close(form.name, form.run(&shaped(2, 4, ramp(8, 7, 11))).as_slice().unwrap(), want, 2e-7);
    }
}

#[test]
fn large_logits_do_not_overflow() {
    let low = f32::NEG_INFINITY;
    let x = shaped(3, 2, vec![1e4, 1e4, -1e30, 0.0, low, 3.0]);
    let half = f64::ln(0.5);
    for (form, want) in FORMS.iter().zip([[0.5, 0.5, 0.0, 1.0, 0.0, 1.0], [half, half, -1e30, 0.0, low.into(), 0.0]]) {
        let got = form.run(&x);
        for (got, want) in got.iter().zip(want) {
            let got = f64::from(*got);
            // One step of a float at 1e4 is 1e-3.
            assert!(got == want || (got - want).abs() <= 1e-3 * want.abs().max(1.0), "{}: {got} {want}", form.name);
        }
    }
}

#[test]
fn nan_and_infinity_make_their_row_nan_only() {
    let (nan, infinity) = (f32::NAN, f32::INFINITY);
    let x = shaped(5, 2, vec![nan, 1.0, 1.0, infinity, nan, nan, -infinity, -infinity, 0.0, 1.0]);
    for form in &FORMS {
        let rows: Vec<bool> = form.run(&x).rows().into_iter().map(|row| row.iter().any(|y| y.is_nan())).collect();
        assert_eq!(rows, [true, true, true, true, false], "{}", form.name);
    }
}

#[test]
fn same_bits_at_any_number_of_threads() {
    for (rows, classes) in pairs().chain([(10_007, 10)]) {
        let (x, grad) = (matrix(rows, classes, 1), matrix(rows, classes, 2));
        for form in &FORMS {
            same_bits(&format!("{} {rows}x{classes}", form.name), || {
                let y = form.run(&x);
                [wide(y.view()), wide(form.gradient(&grad, &y).view())].concat()
            });
        }
    }
}

#[test]
fn sizes_of_zero_give_an_answer() {
    for form in &FORMS {
        for (rows, classes) in [(0, 3), (3, 0), (0, 0)] {
            let y = form.run(&blank(rows, classes));
            assert_eq!(form.gradient(&y, &y).dim(), (rows, classes));
        }
    }
}

#[test]
fn refuses_wrong_shapes() {
    for form in &FORMS {
        let name = form.name;
        let (x, transposed) = (blank(2, 3), blank(3, 2));
        let mut out = blank(2, 3);
        for (result, message) in [
            ((form.forward)(x.view(), blank(3, 2).view_mut()), "out: expected shape [2, 3], got [3, 2]"),
            ((form.forward)(transposed.t(), out.view_mut()), "x: expected a contiguous row-major array"),
            ((form.backward)(transposed.view(), x.view(), out.view_mut()), "grad: expected shape [2, 3], got [3, 2]"),
            ((form.backward)(x.view(), x.view(), blank(3, 2).view_mut()), "grad_x: expected shape [2, 3], got [3, 2]"),
            ((form.backward)(x.view(), transposed.t(), out.view_mut()), "y: expected a contiguous row-major array"),
        ] {
            refuses(result, "SHAPE_MISMATCH", &format!("{name}: {message}"));
        }
    }
}
