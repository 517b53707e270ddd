//! Bags of embeddings against naive loops.

use crate::common::{fill, refuses};
use distillery_kernels::embedding_bag::{Bags, backward, distinct, forward, weights_backward};
use ndarray::{ArrayView2, ArrayViewMut2};

const ROWS: usize = 5;
const DIM: usize = 3;
const IDS: [f32; 12] = [4.0, 0.0, -4.0, 2.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, -3.0, 0.0];

fn matrix(data: &[f32], columns: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((data.len() / columns, columns), data).unwrap()
}

fn matrix_mut(data: &mut [f32], columns: usize) -> ArrayViewMut2<'_, f32> {
    ArrayViewMut2::from_shape((data.len() / columns, columns), data).unwrap()
}

/// The factor of each id: its sign, weight and, for a mean, one over the number of ids that are no padding.
fn factors(weights: Option<&[f32]>, padding: Option<usize>, mean: bool) -> Vec<f32> {
    let kept = |id: f32| padding.is_none_or(|padding| id.abs() as usize != padding);
    (0..12)
        .map(|i| {
            let bag = &IDS[i / 4 * 4..][..4];
            let count = bag.iter().filter(|&&id| kept(id)).count().max(1) as f32;
            let sign = if !kept(IDS[i]) {
                0.0
            } else if IDS[i] < 0.0 {
                -1.0
            } else {
                1.0
            };
            sign * weights.map_or(1.0, |weights| weights[i]) / if mean { count } else { 1.0 }
        })
        .collect()
}

#[test]
fn sums_means_weights_and_their_gradients() {
    let (table, grad, all_weights) = (fill(ROWS * DIM, 1), fill(3 * DIM, 2), fill(12, 3));
    for mean in [false, true] {
        for padding in [None, Some(0)] {
            for weights in [None, Some(&all_weights[..])] {
                let bags = Bags { ids: matrix(&IDS, 4), weights, padding, mean, signed: true };
                let factors = factors(weights, padding, mean);
                let mut out = vec![f32::NAN; 3 * DIM];
                forward(matrix(&table, DIM), bags, matrix_mut(&mut out, DIM)).unwrap();
                let (mut want, mut want_table, mut want_weights) =
                    (vec![0.0; 3 * DIM], vec![0.0; ROWS * DIM], vec![0.0; 12]);
                for (i, &factor) in factors.iter().enumerate() {
                    let row = IDS[i].abs() as usize;
                    for j in 0..DIM {
                        want[i / 4 * DIM + j] += factor * table[row * DIM + j];
                        want_table[row * DIM + j] += factor * grad[i / 4 * DIM + j];
                        if let Some(weights) = weights {
                            want_weights[i] += factor / weights[i] * grad[i / 4 * DIM + j] * table[row * DIM + j];
                        }
                    }
                }
                let close = |got: &[f32], want: &[f32]| {
                    got.iter().zip(want).for_each(|(a, b)| assert!((a - b).abs() < 1e-5, "{got:?} {want:?}"));
                };
                close(&out, &want);
                let mut dense = vec![f32::NAN; ROWS * DIM];
                backward(matrix(&grad, DIM), bags, ROWS, None, matrix_mut(&mut dense, DIM)).unwrap();
                close(&dense, &want_table);
                let mut named = [0; 12];
                let count = distinct(bags, ROWS, &mut named).unwrap();
                assert_eq!(&named[..count], if padding.is_none() { &[0, 1, 2, 3, 4][..] } else { &[1, 2, 3, 4][..] });
                let mut some = vec![f32::NAN; count * DIM];
                backward(matrix(&grad, DIM), bags, ROWS, Some(&named[..count]), matrix_mut(&mut some, DIM)).unwrap();
                for (i, &row) in named[..count].iter().enumerate() {
                    assert_eq!(some[i * DIM..][..DIM], dense[row as usize * DIM..][..DIM]);
                }
                if weights.is_some() {
                    let mut got = vec![f32::NAN; 12];
                    weights_backward(matrix(&grad, DIM), matrix(&table, DIM), bags, &mut got).unwrap();
                    close(&got, &want_weights);
                }
            }
        }
    }
}

#[test]
fn refuses_ids_that_are_no_rows() {
    let table = fill(ROWS * DIM, 1);
    for id in [5.0, -5.0, 0.5, f32::NAN, f32::INFINITY] {
        let ids = [id];
        let bags = Bags { ids: matrix(&ids, 1), weights: None, padding: None, mean: false, signed: true };
        let message = format!("embeddingBag: id: expected a whole number below the table's number of rows, got {id}");
        let mut out = [7.0; DIM];
        refuses(forward(matrix(&table, DIM), bags, matrix_mut(&mut out, DIM)), "BAD_ARGUMENT", &message);
        let mut rows = [7];
        refuses(distinct(bags, ROWS, &mut rows), "BAD_ARGUMENT", &message);
        let mut grad_table = [7.0; ROWS * DIM];
        let into = matrix_mut(&mut grad_table, DIM);
        refuses(backward(matrix(&table[..DIM], DIM), bags, ROWS, None, into), "BAD_ARGUMENT", &message);
        let mut grad_weights = [7.0];
        let grad = matrix(&table[..DIM], DIM);
        let refused = weights_backward(grad, matrix(&table, DIM), bags, &mut grad_weights);
        refuses(refused, "BAD_ARGUMENT", &message);
        assert!(out.iter().chain(&grad_table).chain(&grad_weights).all(|x| *x == 7.0) && rows == [7]);
    }
    let named = matrix(&[0.0, 3.0], 1);
    let bags = Bags { ids: named, weights: None, padding: None, mean: false, signed: true };
    let mut some = [7.0; DIM];
    let refused = backward(matrix(&table[..2 * DIM], DIM), bags, ROWS, Some(&[0]), matrix_mut(&mut some, DIM));
    refuses(refused, "BAD_ARGUMENT", "embeddingBag: rows: expected every row that an id names, got 3");
    assert_eq!(some, [7.0; DIM]);
}
