//! Elements picked by index against naive loops.

use crate::common::{fill, refuses};
use distillery_kernels::indexing::{Gather, index_add, index_select};

#[test]
fn index_select_and_its_gradient() {
    let (outer, length, inner) = (3, 5, 4);
    let (x, indices) = (fill(60, 1), [4, 0, 4, 2]);
    let place = |o: usize, i: usize, j: usize| (o * length + i) * inner + j;
    let mut out = vec![f32::NAN; outer * 4 * inner];
    index_select(&x, [outer, length, inner], &indices, &mut out).unwrap();
    let mut want = vec![0.0; 60];
    for (at, got) in out.iter().enumerate() {
        let source = place(at / 16, indices[at / 4 % 4] as usize, at % 4);
        assert_eq!(*got, x[source]);
        want[source] += out[at];
    }
    let mut grad = vec![f32::NAN; 60];
    index_add(&out, [outer, length, inner], &indices, &mut grad).unwrap();
    assert_eq!(grad, want);
}

#[test]
fn gather_and_scatter_along_each_axis() {
    let (x, shape, index_shape) = (fill(60, 1), [3, 5, 4], [2, 3, 3]);
    for axis in 0..3 {
        let indices: Vec<i32> = (0..18).map(|i| (i * 7 % shape[axis]) as i32).collect();
        let gather = Gather { shape: &shape, axis, indices: &indices, index_shape: &index_shape };
        let place = |i: usize| {
            let mut at = [i / 9, i / 3 % 3, i % 3];
            at[axis] = indices[i] as usize;
            (at[0] * 5 + at[1]) * 4 + at[2]
        };
        let mut out = [f32::NAN; 18];
        gather.gather(&x, &mut out).unwrap();
        let (mut added, mut want) = (vec![0.0; 60], vec![0.0; 60]);
        for (i, got) in out.iter().enumerate() {
            assert_eq!(*got, x[place(i)]);
            want[place(i)] += got;
        }
        gather.scatter(&out, true, &mut added).unwrap();
        assert_eq!(added, want);
        let mut put = vec![0.0; 60];
        gather.scatter(&[2.0], false, &mut put).unwrap();
        (0..18).for_each(|i| assert_eq!(put[place(i)], 2.0));
    }
}

#[test]
fn refuses_indices_outside_of_the_axis() {
    let message = "indexSelect: index: expected an index inside of the axis, got 3";
    refuses(index_select(&[0.0; 6], [1, 3, 2], &[0, 3], &mut [0.0; 4]), "BAD_ARGUMENT", message);
    let gather = Gather { shape: &[2, 2], axis: 0, indices: &[0; 6], index_shape: &[2, 3] };
    let message = "gather: index: expected shape [2, 2], got [2, 3]";
    refuses(gather.gather(&[0.0; 4], &mut [0.0; 6]), "SHAPE_MISMATCH", message);
}
