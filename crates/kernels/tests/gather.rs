//! Batches of a data set: rows picked, bytes normalised.

use crate::common::{bits, blank, close, matrix, refuses, same_bits, wide};
use distillery_kernels::gather::{first_non_finite, gather_bytes, gather_rows};
use ndarray::Array2;

const MEAN: f32 = 0.286;
const STD: f32 = 0.353;

fn pixels(rows: usize, width: usize) -> Array2<u8> {
    Array2::from_shape_vec((rows, width), bits(1).take(rows * width).map(|z| z as u8).collect()).unwrap()
}

fn picks(len: usize, rows: usize) -> Vec<i32> {
    bits(2).take(len).map(|z| (z % rows as u64) as i32).collect()
}

fn batch(pixels: &Array2<u8>, indices: &[i32]) -> Array2<f32> {
    let mut out = blank(indices.len(), pixels.ncols());
    gather_bytes(pixels.view(), indices, &[MEAN], &[STD], out.view_mut()).unwrap();
    out
}

fn rows_of(x: &Array2<f32>, indices: &[i32]) -> Array2<f32> {
    let mut out = blank(indices.len(), x.ncols());
    gather_rows(x.view(), indices, out.view_mut()).unwrap();
    out
}

#[test]
fn rows_are_those_of_the_indices() {
    for (rows, width) in crate::common::pairs() {
        for len in [0, 1, 63, 1000] {
            let (bytes, x, indices) = (pixels(rows, width), matrix(rows, width, 1), picks(len, rows));
            let places: Vec<usize> = indices.iter().map(|&i| i as usize).collect();
            let normal = |byte: &u8| (f64::from(*byte) / 255.0 - f64::from(MEAN)) / f64::from(STD);
            let want: Vec<f64> = places.iter().flat_map(|&i| bytes.row(i).map(normal)).collect();
            let label = format!("{len} of {rows}x{width}");
            close(&label, batch(&bytes, &indices).as_slice().unwrap(), &want, 5e-7);
            assert_eq!(rows_of(&x, &indices), x.select(ndarray::Axis(0), &places), "{label}");
        }
    }
}

#[test]
fn bytes_are_normalised_as_torchvision_does() {
    // (torch.tensor([0, 1, 127, 255], dtype=torch.uint8).float() / 255 - 0.286) / 0.353
    let bytes = Array2::from_shape_vec((1, 4), vec![0, 1, 127, 255]).unwrap();
    let want = [-0.8101983666419983, -0.7990891337394714, 0.6006776690483093, 2.022662878036499].map(|x| x as f32);
    assert_eq!(batch(&bytes, &[0]).as_slice().unwrap(), want);
}

#[test]
fn each_channel_has_numbers_of_its_own() {
    let (bytes, mean, std) = (pixels(5, 12), [0.5, 0.25, 0.125], [0.2, 0.3, 0.4]);
    let mut out = blank(4, 12);
    gather_bytes(bytes.view(), &[4, 0, 2, 4], &mean, &std, out.view_mut()).unwrap();
    for (row, index) in out.rows().into_iter().zip([4, 0, 2, 4]) {
        for (i, got) in row.iter().enumerate() {
            let c = i / 4;
            assert_eq!(*got, (f32::from(bytes[[index, i]]) / 255.0 - mean[c]) / std[c]);
        }
    }
}

#[test]
fn refuses_channels_that_do_not_fit() {
    let call = |mean: &[f32], std: &[f32]| gather_bytes(pixels(3, 4).view(), &[0], mean, std, blank(1, 4).view_mut());
    for (result, message) in [
        (call(&[], &[]), "gather: mean: expected shape [1], got [0]"),
        (call(&[0.0; 2], &[1.0]), "gather: std: expected shape [2], got [1]"),
        (call(&[0.0; 3], &[1.0; 3]), "gather: pixels: expected shape [3, 3], got [3, 4]"),
        (call(&[0.0; 5], &[1.0; 5]), "gather: pixels: expected shape [3, 0], got [3, 4]"),
    ] {
        refuses(result, "SHAPE_MISMATCH", message);
    }
    refuses(call(&[0.0; 2], &[1.0, -1.0]), "BAD_ARGUMENT", "gather: std: expected a number above 0, got -1");
}

#[test]
fn same_bits_at_any_number_of_threads() {
    for (rows, width, len) in [(7, 65, 1000), (1000, 784, 1000), (3, 1, 300_007)] {
        let (bytes, x, indices) = (pixels(rows, width), matrix(rows, width, 1), picks(len, rows));
        same_bits("gather_bytes", || wide(batch(&bytes, &indices).view()));
        same_bits("gather_rows", || wide(rows_of(&x, &indices).view()));
    }
}

#[test]
fn sizes_of_zero_give_an_answer() {
    assert_eq!(batch(&pixels(0, 3), &[]).dim(), (0, 3));
    assert_eq!(batch(&pixels(3, 0), &[2, 0]).dim(), (2, 0));
    assert_eq!(rows_of(&blank(3, 0), &[1]).dim(), (1, 0));
}

#[test]
fn refuses_what_is_not_in_the_data_set() {
    let (x, std) = (blank(3, 2), 1.0);
    let rows = |indices: &[i32], out: [usize; 2]| gather_rows(x.view(), indices, blank(out[0], out[1]).view_mut());
    let bytes = |std| gather_bytes(pixels(3, 2).view(), &[0], &[0.0], &[std], blank(1, 2).view_mut());
    assert_eq!(bytes(std), Ok(()));
    for (result, code, message) in [
        (rows(&[0, 1], [2, 3]), "SHAPE_MISMATCH", "gather: out: expected shape [2, 2], got [2, 3]"),
        (rows(&[0, 1], [1, 2]), "SHAPE_MISMATCH", "gather: out: expected shape [2, 2], got [1, 2]"),
        (rows(&[0, 3], [2, 2]), "BAD_ARGUMENT", "gather: index: expected an index of the data set, got 3"),
        (rows(&[-1, 0], [2, 2]), "BAD_ARGUMENT", "gather: index: expected an index of the data set, got -1"),
        (bytes(0.0), "BAD_ARGUMENT", "gather: std: expected a number above 0, got 0"),
        (bytes(f32::NAN), "BAD_ARGUMENT", "gather: std: expected a number above 0, got NaN"),
        (
            gather_rows(x.t(), &[0], blank(1, 3).view_mut()),
            "SHAPE_MISMATCH",
            "gather: from: expected a contiguous row-major array",
        ),
    ] {
        refuses(result, code, message);
    }
}

#[test]
fn finds_the_first_value_that_is_not_finite() {
    let infinity = f32::INFINITY;
    for (x, want) in [
        (&[][..], None),
        (&[1.0, f32::MAX], None),
        (&[0.0, f32::NAN, infinity], Some(1)),
        (&[0.0, 1.0, -infinity], Some(2)),
    ] {
        assert_eq!(first_non_finite(x), want, "{x:?}");
    }
}
