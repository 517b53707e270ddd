//! Views by strides against a naive loop over their coordinates.

use crate::common::{fill, refuses, same_bits};
use distillery_kernels::strided::{View, copy, scatter};

/// Shape, strides, offset: permuted, sliced with a step, repeated, of one element, of none, large.
const VIEWS: [(&[usize], &[usize], usize); 9] = [
    (&[4, 2, 3], &[1, 12, 4], 0),
    (&[2, 3, 4], &[12, 4, 1], 0),
    (&[2, 2], &[12, 3], 1),
    (&[2, 3, 5], &[4, 0, 1], 2),
    (&[3, 4], &[0, 0], 7),
    (&[], &[], 5),
    (&[1, 1], &[99, 99], 5),
    (&[0, 3], &[5, 1], 0),
    (&[200, 300], &[1, 200], 3),
];

fn places((shape, strides, offset): (&[usize], &[usize], usize)) -> Vec<usize> {
    let size: usize = shape.iter().product();
    (0..size)
        .map(|i| {
            let mut rest = i;
            shape.iter().zip(strides).rev().fold(offset, |at, (n, stride)| {
                let place = rest % n;
                rest /= n;
                at + place * stride
            })
        })
        .collect()
}

#[test]
fn copy_and_scatter_are_the_naive_loops() {
    for case in VIEWS {
        let places = places(case);
        let (shape, strides, offset) = case;
        let view = View { shape, strides, offset };
        let x = fill(70_000, 1);
        let copied = || {
            let mut out = vec![f32::NAN; places.len()];
            copy(&x, &view, &mut out).unwrap();
            out
        };
        assert_eq!(copied(), places.iter().map(|&at| x[at]).collect::<Vec<_>>(), "{shape:?}");
        same_bits("copy", || copied().into_iter().map(f64::from).collect());
        let (mut got, mut want) = (x.clone(), x.clone());
        let values = fill(places.len(), 2);
        scatter(&values, &view, &mut got).unwrap();
        places.iter().zip(&values).for_each(|(&at, value)| want[at] = *value);
        assert_eq!(got, want, "{shape:?}");
    }
}

#[test]
fn refuses_views_that_reach_outside() {
    let (x, mut out) = ([0.0; 6], [0.0; 6]);
    let view = View { shape: &[2, 3], strides: &[3, 1], offset: 1 };
    refuses(copy(&x, &view, &mut out), "SHAPE_MISMATCH", "stridedCopy: view: expected shape [6], got [2, 3]");
    let view = View { shape: &[1], strides: &[1], offset: 6 };
    let message = "stridedScatter: offset: expected a place inside of the array, got 6";
    refuses(scatter(&x[..1], &view, &mut out), "BAD_ARGUMENT", message);
}
