//! Pooling: values and gradients against naive loops.

use crate::common::{close, fill, refuses, same_bits};
use distillery_kernels::pool::{Span, Windows, average, average_backward, max, max_backward};

/// Windows of a length, `stride` apart.
fn spans(length: usize, size: usize, stride: usize) -> Vec<Span> {
    let starts = (0..length).step_by(stride).filter(|start| start + size <= length);
    starts.map(|start| Span { start, end: start + size, step: 1, count: size }).collect()
}

fn windows(height: usize, width: usize, size: usize, stride: usize) -> Windows {
    Windows { height, width, rows: spans(height, size, stride), columns: spans(width, size, stride) }
}

/// For each output of each plane the places that it reads.
fn read(windows: &Windows, planes: usize) -> Vec<Vec<usize>> {
    let one = |plane: usize, rows: &Span, columns: &Span| {
        let (rows, columns) = (rows.start..rows.end, *columns);
        rows.flat_map(|y| (columns.start..columns.end).map(move |x| (y, x)))
            .map(|(y, x)| (plane * windows.height + y) * windows.width + x)
            .collect()
    };
    (0..planes)
        .flat_map(|plane| {
            windows
                .rows
                .iter()
                .flat_map(move |rows| windows.columns.iter().map(move |columns| one(plane, rows, columns)))
        })
        .collect()
}

#[test]
fn values_and_gradients_are_the_naive_loops() {
    for (planes, height, width, size, stride) in [(1, 1, 1, 1, 1), (3, 5, 7, 2, 2), (4, 9, 6, 3, 1), (50, 33, 31, 3, 2)]
    {
        let windows = windows(height, width, size, stride);
        let places = read(&windows, planes);
        let (x, grad) = (fill(planes * height * width, 1), fill(places.len(), 2));
        let (mut largest, mut means) = (vec![f32::NAN; places.len()], vec![f32::NAN; places.len()]);
        max(&windows, &x, &mut largest).unwrap();
        average(&windows, 0.5, &x, &mut means).unwrap();
        let (mut grad_max, mut grad_mean) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
        max_backward(&windows, &grad, &x, &mut grad_max).unwrap();
        average_backward(&windows, 0.5, &grad, &x, &mut grad_mean).unwrap();
        let (mut want_max, mut want_mean) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        for (i, places) in places.iter().enumerate() {
            let at = places.iter().copied().reduce(|best, at| if x[at] > x[best] { at } else { best }).unwrap();
            assert_eq!(largest[i], x[at]);
            want_max[at] += f64::from(grad[i]);
            let share = 0.5 / places.len() as f64;
            let mean = places.iter().map(|&at| f64::from(x[at])).sum::<f64>() * share;
            close("mean", &means[i..=i], &[mean], 1e-6);
            places.iter().for_each(|&at| want_mean[at] += f64::from(grad[i]) * share);
        }
        close("gradient of max", &grad_max, &want_max, 1e-6);
        close("gradient of mean", &grad_mean, &want_mean, 1e-6);
        same_bits("pool", || {
            let mut out = vec![0.0; places.len()];
            average(&windows, 0.5, &x, &mut out).unwrap();
            out.into_iter().map(f64::from).collect()
        });
    }
}

#[test]
fn windows_beyond_the_plane_are_refused() {
    let mut windows = windows(4, 4, 2, 2);
    windows.rows[1].end = 5;
    let message = "max_pool: window: expected shape [4], got [2, 5]";
    refuses(max(&windows, &[0.0; 16], &mut [0.0; 4]), "SHAPE_MISMATCH", message);
}
