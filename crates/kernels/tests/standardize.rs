//! Rows with mean 0 and standard deviation 1, and their gradient.

use crate::common::{blank, close, matrix, refuses, same_bits, shaped, slope, wide};
use distillery_kernels::standardize::{standardize, standardize_backward};

const EPSILON: f64 = 1e-7;

fn naive(x: &[f64]) -> Vec<f64> {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let std = (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    x.iter().map(|x| (x - mean) / (std + EPSILON)).collect()
}

#[test]
fn rows_are_those_of_double_precision_and_slopes_central_differences() {
    for (rows, columns) in [(1, 2), (7, 3), (65, 10), (3, 1000)] {
        let (x, grad) = (matrix(rows, columns, 1), matrix(rows, columns, 2));
        let (mut y, mut got) = (blank(rows, columns), blank(rows, columns));
        standardize(x.view(), EPSILON, y.view_mut()).unwrap();
        standardize_backward(grad.view(), x.view(), EPSILON, got.view_mut()).unwrap();
        for row in 0..rows {
            let x = wide(x.row(row));
            close("rows", y.row(row).as_slice().unwrap(), &naive(&x), 1e-6);
            let up = wide(grad.row(row));
            let value = |x: &[f64]| naive(x).iter().zip(&up).map(|(y, g)| y * g).sum::<f64>();
            close("slopes", got.row(row).as_slice().unwrap(), &slope(&x, value), 1e-5);
        }
    }
}

#[test]
fn of_two_columns_the_gradient_has_the_size_of_epsilon_and_equal_ones_are_finite() {
    // z = ±std / sqrt(2) / (std + eps), whose slope by std is that of 1 - eps / (std + eps).
    let (x, grad) = (shaped(1, 2, vec![1.0, -2.0]), shaped(1, 2, vec![1.0, -1.0]));
    let mut got = blank(1, 2);
    standardize_backward(grad.view(), x.view(), EPSILON, got.view_mut()).unwrap();
    let std = 4.5f64.sqrt();
    let want = EPSILON / (std + EPSILON).powi(2);
    assert!((f64::from(got[[0, 0]]) / want - 1.0).abs() < 1e-5, "{got} for {want}");
    let equal = shaped(1, 3, vec![5.0; 3]);
    let (mut y, mut flat) = (blank(1, 3), blank(1, 3));
    standardize(equal.view(), EPSILON, y.view_mut()).unwrap();
    standardize_backward(matrix(1, 3, 3).view(), equal.view(), EPSILON, flat.view_mut()).unwrap();
    assert!(y.iter().all(|y| *y == 0.0) && flat.iter().all(|g| g.is_finite()), "{y} {flat}");
}

#[test]
fn bits_do_not_depend_on_threads_and_other_shapes_are_refused() {
    let x = matrix(1000, 65, 1);
    same_bits("standardize", || {
        let (mut out, mut grad_x) = (blank(1000, 65), blank(1000, 65));
        standardize(x.view(), EPSILON, out.view_mut()).unwrap();
        standardize_backward(out.view(), x.view(), EPSILON, grad_x.view_mut()).unwrap();
        [wide(out.view()), wide(grad_x.view())].concat()
    });
    let message = "standardize: out: expected shape [1000, 65], got [2, 2]";
    refuses(standardize(x.view(), EPSILON, blank(2, 2).view_mut()), "SHAPE_MISMATCH", message);
}
