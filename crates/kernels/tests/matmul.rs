//! The three matrix products: against a naive loop, their gradients, and their bits at any number of threads.

use crate::common::{blank, close, dot, matrix, refuses, same_bits, slope, wide};
use distillery_kernels::matmul::{kc_sum, matmul, matmul_bias_relu_at, simd_levels};
use ndarray::{Array2, s};

/// Which of a and b are stored transposed.
struct Form {
    name: &'static str,
    transposed: [bool; 2],
}

const FORMS: [Form; 4] = [
    Form { name: "a b", transposed: [false, false] },
    Form { name: "a b^T", transposed: [false, true] },
    Form { name: "a^T b", transposed: [true, false] },
    Form { name: "a^T b^T", transposed: [true, true] },
];

impl Form {
    /// a[m, k] b[k, n], with each factor laid out as the form says.
    fn multiply(&self, a: &Array2<f32>, b: &Array2<f32>) -> Array2<f32> {
        let stored = |x: &Array2<f32>, transposed| {
            if transposed { x.t().as_standard_layout().into_owned().reversed_axes() } else { x.clone() }
        };
        let mut out = blank(a.nrows(), b.ncols());
        matmul(stored(a, self.transposed[0]).view(), stored(b, self.transposed[1]).view(), out.view_mut()).unwrap();
        out
    }
}

fn naive(a: &[f64], b: &[f64], k: usize, n: usize) -> Vec<f64> {
    let mut out = vec![0.0; a.len() / k * n];
    for (a, out) in a.chunks_exact(k).zip(out.chunks_exact_mut(n)) {
        for (a, b) in a.iter().zip(b.chunks_exact(n)) {
            out.iter_mut().zip(b).for_each(|(out, b)| *out += a * b);
        }
    }
    out
}

/// Rounding of k products of numbers below 1 grows as sqrt(k): this is about ten times what is usual.
fn tolerance(k: usize) -> f64 {
    1e-6 * (k as f64).sqrt()
}

#[test]
fn products_are_those_of_a_naive_loop() {
    for (m, k) in crate::common::pairs() {
        for n in crate::common::SIZES {
            let (a, b) = (matrix(m, k, 1), matrix(k, n, 2));
            let want = naive(&wide(a.view()), &wide(b.view()), k, n);
            for form in &FORMS {
                let got = form.multiply(&a, &b);
                close(&format!("{} {m}x{k}x{n}", form.name), got.as_slice().unwrap(), &want, tolerance(k));
            }
        }
    }
}

#[test]
fn views_need_not_be_contiguous() {
    let (wide_a, wide_b, mut wide_out) = (matrix(70, 90, 1), matrix(90, 80, 2), blank(70, 80));
    let (a, b) = (wide_a.slice(s![..;-2, 3..60]), wide_b.slice(s![3..60, ..;3]));
    matmul(a, b, wide_out.slice_mut(s![..;2, ..27])).unwrap();
    let got: Vec<f32> = wide_out.slice(s![..;2, ..27]).iter().copied().collect();
    close("strided", &got, &naive(&wide(a), &wide(b), 57, 27), tolerance(57));
    assert!(wide_out.slice(s![1..;2, ..]).iter().chain(wide_out.slice(s![.., 27..])).all(|x| x.is_nan()));
}

#[test]
fn gradients_are_the_slopes() {
    let (m, k, n) = (5, 7, 3);
    let (a, b, grad) = (matrix(m, k, 1), matrix(k, n, 2), matrix(m, n, 3));
    let (wide_a, wide_b, wide_grad) = (wide(a.view()), wide(b.view()), wide(grad.view()));
    let (mut grad_a, mut grad_b) = (blank(m, k), blank(k, n));
    matmul(grad.view(), b.t(), grad_a.view_mut()).unwrap();
    matmul(a.t(), grad.view(), grad_b.view_mut()).unwrap();
    let by_a = slope(&wide_a, |a| dot(&naive(a, &wide_b, k, n), &wide_grad));
    let by_b = slope(&wide_b, |b| dot(&naive(&wide_a, b, k, n), &wide_grad));
    close("grad_a", grad_a.as_slice().unwrap(), &by_a, 1e-6);
    close("grad_b", grad_b.as_slice().unwrap(), &by_b, 1e-6);
}

#[test]
fn same_bits_at_any_number_of_threads() {
    const EDGES: [usize; 8] = [1, 7, 31, 63, 65, 97, 257, 1000];
    let script = [(64, 784, 2048), (64, 2048, 1024), (64, 1024, 512), (784, 64, 2048), (2048, 64, 1024), (64, 512, 10)];
    let edges = EDGES.into_iter().flat_map(|m| EDGES.into_iter().flat_map(move |k| EDGES.map(|n| (m, k, n))));
    for (m, k, n) in edges.chain(script) {
        let (a, b) = (matrix(m, k, 1), matrix(k, n, 2));
        for form in &FORMS {
            same_bits(&format!("{} {m}x{k}x{n}", form.name), || wide(form.multiply(&a, &b).view()));
        }
    }
}

/// Chains of fused multiply-adds in ascending order, added up in order: one to 384 steps, two halves to 768, else 384.
fn chains(a: &Array2<f32>, b: &Array2<f32>, i: usize, j: usize) -> f32 {
    let k = a.ncols();
    let length = if k <= 384 {
        k.max(1)
    } else if k <= 768 {
        k.div_ceil(2)
    } else {
        384
    };
    let chain = |start: usize| (start..k.min(start + length)).fold(0.0, |sum, p| a[[i, p]].mul_add(b[[p, j]], sum));
    (0..k).step_by(length).map(chain).reduce(|a, b| a + b).unwrap_or(0.0)
}

#[test]
fn every_element_has_the_bits_of_its_chains() {
    for (m, k) in crate::common::pairs() {
        for n in crate::common::SIZES {
            let (a, b) = (matrix(m, k, 1), matrix(k, n, 2));
            // Of the large ones a sample that meets every place in a tile.
            let (rows, columns) = (m.div_ceil(70), n.div_ceil(70));
            for form in &FORMS {
                let got = form.multiply(&a, &b);
                for (i, j) in (0..m).step_by(rows).flat_map(|i| (0..n).step_by(columns).map(move |j| (i, j))) {
                    let (got, want) = (got[[i, j]], chains(&a, &b, i, j));
                    assert_eq!(got.to_bits(), want.to_bits(), "{} {m}x{k}x{n} [{i}, {j}]", form.name);
                }
            }
        }
    }
}

#[test]
fn a_row_has_the_same_bits_alone_and_in_a_batch() {
    for (m, k, n) in [(64, 784, 512), (65, 512, 10), (1000, 63, 65), (64, 3000, 7)] {
        let (a, b) = (matrix(m, k, 1), matrix(k, n, 2));
        for form in &FORMS {
            let batch = crate::common::with_threads(8, || form.multiply(&a, &b));
            for i in [0, m / 2, m - 1] {
                let alone = form.multiply(&a.slice(s![i..=i, ..]).to_owned(), &b);
                assert_eq!(alone.row(0), batch.row(i), "{} {m}x{k}x{n} row {i}", form.name);
            }
        }
    }
}

#[test]
fn sums_of_nothing_are_zero() {
    for form in &FORMS {
        for (m, k, n) in [(0, 3, 2), (3, 0, 2), (3, 2, 0), (0, 0, 0), (65, 0, 1000)] {
            let out = form.multiply(&Array2::zeros((m, k)), &Array2::zeros((k, n)));
            assert_eq!(out, Array2::zeros((m, n)), "{} {m}x{k}x{n}", form.name);
        }
    }
}

#[test]
fn nan_reaches_its_row_and_column_only() {
    let (mut a, b) = (matrix(65, 7, 1), matrix(7, 63, 2));
    a[[3, 2]] = f32::NAN;
    for form in &FORMS {
        for ((i, j), x) in form.multiply(&a, &b).indexed_iter() {
            assert_eq!(x.is_nan(), i == 3, "{} [{i}, {j}]", form.name);
        }
    }
}

#[test]
fn refuses_wrong_shapes() {
    let of = |rows, columns| matrix(rows, columns, 1);
    let call =
        |b: [usize; 2], out: [usize; 2]| matmul(of(2, 3).view(), of(b[0], b[1]).view(), of(out[0], out[1]).view_mut());
    for (result, message) in [
        (call([4, 5], [2, 5]), "matmul: b: expected shape [3, 5], got [4, 5]"),
        (call([3, 5], [5, 2]), "matmul: out: expected shape [2, 5], got [5, 2]"),
    ] {
        refuses(result, "SHAPE_MISMATCH", message);
    }
}

#[test]
fn every_simd_level_gives_the_bits_of_the_partial_sums() {
    let numbers = |rows, columns| {
        Array2::from_shape_fn((rows, columns), |(i, j)| ((i * 37 + j * 101) % 211) as f32 / 105.0 - 1.0)
    };
    for (m, k, n) in [(1, 1, 1), (7, 63, 65), (65, 7, 63), (13, 2500, 70), (130, 20, 33), (64, 10, 100), (3, 0, 5)] {
        let (a, b, bias) = (numbers(m, k), numbers(k, n), numbers(1, n).into_raw_vec_and_offset().0);
        let b_transposed = b.t().as_standard_layout().into_owned();
        let want = Array2::from_shape_fn((m, n), |(i, j)| {
            let sum = |ks: std::ops::Range<usize>| ks.fold(0.0, |sum, p| a[[i, p]].mul_add(b[[p, j]], sum));
            let partial = (0..k).step_by(kc_sum(k)).map(|start| sum(start..k.min(start + kc_sum(k))));
            let sum = partial.reduce(|a, b| a + b).unwrap_or(0.0) + bias[j];
            if sum <= 0.0 { 0.0 } else { sum }
        });
        for level in simd_levels() {
            for b in [b.view(), b_transposed.t()] {
                let mut out = Array2::from_elem((m, n), f32::NAN);
                matmul_bias_relu_at(level, a.view(), b, &bias, out.view_mut()).unwrap();
                assert_eq!(out.mapv(f32::to_bits), want.mapv(f32::to_bits), "{level:?} {m}x{k}x{n}");
            }
        }
    }
}
