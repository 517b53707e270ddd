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

/// Windows as padding, a step between taps and a length make them: spans that the edges cut.
fn cut(length: usize, size: usize, stride: usize, padding: usize, step: usize) -> Vec<Span> {
    let reach = (size - 1) * step + 1;
    let outputs = (length + 2 * padding - reach) / stride + 1;
    let one = |i: usize| {
        let places = (0..size).map(|tap| (i * stride + tap * step) as isize - padding as isize);
        let inside: Vec<usize> = places.filter_map(|at| usize::try_from(at).ok().filter(|at| *at < length)).collect();
        let start = inside.first().copied().unwrap_or(0);
        Span { start, end: inside.last().map_or(start, |last| last + 1), step, count: size }
    };
    (0..outputs).map(one).collect()
}

#[test]
fn of_equal_elements_the_first_is_the_largest_and_the_last_nan_above_all() {
    for (planes, height, width, size, stride, padding, step) in
        [(17, 6, 5, 3, 2, 1, 1), (3, 9, 11, 2, 3, 1, 2), (33, 4, 4, 3, 1, 1, 1), (16, 7, 8, 3, 2, 1, 3)]
    {
        let [rows, columns] = [height, width].map(|length| cut(length, size, stride, padding, step));
        let windows = Windows { height, width, rows, columns };
        // Few values, so that many are equal, with infinities, zeros of both signs and NaN among them.
        let values = [f32::NEG_INFINITY, f32::NEG_INFINITY, -0.0, 0.0, 1.0, 1.0, f32::NAN, f32::INFINITY];
        let x: Vec<f32> =
            fill(planes * height * width, 5).iter().map(|x| values[(x.abs() * 997.0) as usize % 8]).collect();
        let outputs = windows.rows.len() * windows.columns.len();
        let grad = fill(planes * outputs, 6);
        let (mut out, mut grad_x) = (vec![0.0; grad.len()], vec![f32::NAN; x.len()]);
        max(&windows, &x, &mut out).unwrap();
        max_backward(&windows, &grad, &x, &mut grad_x).unwrap();
        let mut expected = vec![0.0f32; x.len()];
        for plane in 0..planes {
            for at in 0..outputs {
                let (rows, columns) =
                    (windows.rows[at / windows.columns.len()], windows.columns[at % windows.columns.len()]);
                let mut best: Option<usize> = None;
                for y in (rows.start..rows.end).step_by(rows.step) {
                    for column in (columns.start..columns.end).step_by(columns.step) {
                        let place = (plane * height + y) * width + column;
                        if best.is_none_or(|best| x[place] > x[best] || x[place].is_nan()) {
                            best = Some(place);
                        }
                    }
                }
                let largest = best.map_or(f32::NEG_INFINITY, |best| x[best]);
                assert_eq!(out[plane * outputs + at].to_bits(), largest.to_bits());
                if let Some(best) = best {
                    expected[best] += grad[plane * outputs + at];
                }
            }
        }
        assert_eq!(grad_x, expected);
    }
}

#[test]
fn a_plane_that_is_too_large_to_interleave_is_pooled_as_small_ones_are() {
    let (height, width) = (3, (1 << 20) + 1);
    let windows = windows(height, width, 3, 1);
    let x: Vec<f32> = (0..2 * height * width).map(|i| ((i * 7919) % 10_007) as f32).collect();
    let outputs = windows.rows.len() * windows.columns.len();
    let (mut largest, mut means) = (vec![f32::NAN; 2 * outputs], vec![f32::NAN; 2 * outputs]);
    max(&windows, &x, &mut largest).unwrap();
    average(&windows, 1.0, &x, &mut means).unwrap();
    let mut grad_x = vec![f32::NAN; x.len()];
    max_backward(&windows, &vec![1.0; 2 * outputs], &x, &mut grad_x).unwrap();
    let mut counts = vec![0.0; x.len()];
    for (i, places) in read(&windows, 2).iter().enumerate() {
        let at = places.iter().copied().reduce(|best, at| if x[at] > x[best] { at } else { best }).unwrap();
        let sum: f64 = places.iter().map(|&at| f64::from(x[at])).sum();
        assert_eq!((largest[i], means[i]), (x[at], (sum / 9.0) as f32));
        counts[at] += 1.0;
    }
    assert_eq!(grad_x, counts);
}

#[test]
fn windows_beyond_the_plane_are_refused() {
    let mut windows = windows(4, 4, 2, 2);
    windows.rows[1].end = 5;
    let message = "max_pool: window: expected shape [4], got [2, 5]";
    refuses(max(&windows, &[0.0; 16], &mut [0.0; 4]), "SHAPE_MISMATCH", message);
}
