//! Sums along an axis, and the place of the largest value.

use crate::common::{blank, close, dot, fill, matrix, refuses, same_bits, shaped, slope, wide};
use distillery_kernels::reduce::{argmax, cumsum, sum_axis, topk};
use distillery_kernels::strided::expand;
use ndarray::{Array2, Array3};

fn cube(outer: usize, length: usize, inner: usize) -> Array3<f32> {
    Array3::from_shape_vec((outer, length, inner), fill(outer * length * inner, 1)).unwrap()
}

fn summed(x: &Array3<f32>, scale: f64) -> Array2<f32> {
    let mut out = blank(x.dim().0, x.dim().2);
    sum_axis(x.view(), scale, out.view_mut()).unwrap();
    out
}

fn largest(x: &Array2<f32>) -> Vec<i32> {
    let mut out = vec![-1; x.nrows()];
    argmax(x.view().insert_axis(ndarray::Axis(2)), true, &mut out).unwrap();
    out
}

fn naive_sum(x: &[f64], length: usize, inner: usize, scale: f64) -> Vec<f64> {
    let place = |outer: &[f64], j: usize| scale * outer.iter().skip(j).step_by(inner).sum::<f64>();
    x.chunks_exact(length * inner).flat_map(|outer| (0..inner).map(move |j| place(outer, j))).collect()
}

#[test]
fn sums_are_those_of_a_naive_loop() {
    for (outer, length) in crate::common::pairs() {
        for inner in [1, 7] {
            let x = cube(outer, length, inner);
            for scale in [1.0, 1.0 / length as f64] {
                let want = naive_sum(&wide(x.view()), length, inner, scale);
                let label = format!("{outer}x{length}x{inner} scale {scale}");
                close(&label, summed(&x, scale).as_slice().unwrap(), &want, 1e-7);
            }
        }
    }
}

#[test]
fn the_slope_of_a_sum_is_its_scale() {
    // What the tape does for a mean over the rows: the gradient, scaled, repeated along the axis.
    let (x, grad) = (cube(1, 7, 5), matrix(1, 5, 2));
    let want = slope(&wide(x.view()), |x| dot(&naive_sum(x, 7, 5, 1.0 / 7.0), &wide(grad.view())));
    let mut grad_x = blank(7, 5);
    expand((&grad / 7.0).as_slice().unwrap(), &[1, 5], &[7, 5], grad_x.as_slice_mut().unwrap()).unwrap();
    close("mean", grad_x.as_slice().unwrap(), &want, 1e-7);
}

#[test]
fn argmax_is_the_first_of_the_largest() {
    for (rows, columns) in crate::common::pairs() {
        let x = matrix(rows, columns, 1).mapv(|x| (x * 8.0).round());
        let first_of_largest = |row: ndarray::ArrayView1<f32>| {
            let largest = row.fold(f32::MIN, |a, &b| a.max(b));
            row.iter().position(|&x| x == largest).unwrap() as i32
        };
        let want: Vec<i32> = x.rows().into_iter().map(first_of_largest).collect();
        assert_eq!(largest(&x), want, "{rows}x{columns}");
    }
}

#[test]
fn argmax_takes_nan_for_the_largest() {
    // torch.tensor([[1, nan, 3, nan], [2, 2, 1, 0], [0, -1, 5, 5], [-inf] * 4]).argmax(1)
    let (nan, low) = (f32::NAN, f32::NEG_INFINITY);
    let x = [[1.0, nan, 3.0, nan], [2.0, 2.0, 1.0, 0.0], [0.0, -1.0, 5.0, 5.0], [low; 4]];
    assert_eq!(largest(&shaped(4, 4, x.concat())), [1, 0, 2, 0]);
}

#[test]
fn same_bits_at_any_number_of_threads() {
    for (rows, columns) in [(1, 1000), (63, 65), (1000, 7), (10_007, 10)] {
        let x = matrix(rows, columns, 1);
        same_bits("argmax", || largest(&x).into_iter().map(f64::from).collect());
        same_bits("sum", || wide(summed(&x.clone().insert_axis(ndarray::Axis(0)), 0.1).view()));
    }
}

#[test]
fn sizes_of_zero_give_an_answer() {
    assert_eq!(summed(&cube(2, 0, 3), 1.0), Array2::<f32>::zeros((2, 3)));
    assert_eq!(summed(&cube(0, 2, 3), 1.0).dim(), (0, 3));
    assert_eq!(summed(&cube(2, 3, 0), 1.0).dim(), (2, 0));
    assert_eq!(largest(&blank(0, 3)), []);
}

#[test]
fn refuses_wrong_shapes() {
    for (result, message) in [
        (sum_axis(cube(2, 3, 4).view(), 1.0, blank(2, 3).view_mut()), "sum: out: expected shape [2, 4], got [2, 3]"),
        (
            argmax(blank(2, 3).view().insert_axis(ndarray::Axis(2)), true, &mut [0; 3]),
            "argmax: out: expected shape [2], got [3]",
        ),
        (
            argmax(blank(2, 0).view().insert_axis(ndarray::Axis(2)), true, &mut [0; 2]),
            "argmax: x: expected at least one row and one column, got shape [2, 0, 1]",
        ),
    ] {
        refuses(result, "SHAPE_MISMATCH", message);
    }
}

#[test]
fn argmax_of_a_middle_axis_and_of_the_smallest() {
    let x = cube(3, 7, 5);
    for largest in [true, false] {
        let mut out = vec![-1; 15];
        argmax(x.view(), largest, &mut out).unwrap();
        let sign = if largest { 1.0 } else { -1.0 };
        for (place, &got) in out.iter().enumerate() {
            let value = |k: usize| sign * x[[place / 5, k, place % 5]];
            let best = (1..7).fold(0, |best, k| if value(k) > value(best) { k } else { best });
            assert_eq!(got as usize, best);
        }
    }
}

#[test]
fn topk_is_the_start_of_a_stable_sort() {
    for (rows, length) in [(1, 1), (7, 5), (63, 10), (3, 1000)] {
        let x: Vec<f32> = fill(rows * length, 1).iter().map(|x| (x * 8.0).round() + 0.0).collect();
        for k in [0, 1, length / 2, length] {
            for largest in [true, false] {
                let run = || {
                    let mut out = vec![-1; rows * k];
                    topk(&x, length, k, largest, &mut out).unwrap();
                    out
                };
                let want: Vec<i32> = x
                    .chunks_exact(length)
                    .flat_map(|row| {
                        let mut order: Vec<i32> = (0..length as i32).collect();
                        order.sort_by(|&a, &b| {
                            let order = row[a as usize].total_cmp(&row[b as usize]);
                            if largest { order.reverse() } else { order }
                        });
                        order.truncate(k);
                        order
                    })
                    .collect();
                assert_eq!(run(), want, "{rows}x{length} {k} {largest}");
            }
        }
    }
}

#[test]
fn cumsum_forwards_and_backwards() {
    let x = cube(3, 7, 5);
    for reverse in [false, true] {
        let mut out = vec![f32::NAN; x.len()];
        cumsum(x.as_slice().unwrap(), [3, 7, 5], reverse, &mut out).unwrap();
        let sum = |i: usize, k: usize, j: usize| {
            let range = if reverse { k..7 } else { 0..k + 1 };
            range.map(|k| f64::from(x[[i, k, j]])).sum::<f64>()
        };
        let want: Vec<f64> = (0..x.len()).map(|at| sum(at / 35, at / 5 % 7, at % 5)).collect();
        close("cumsum", &out, &want, 1e-6);
    }
}
