//! Pooling of images, plane by plane: the largest or the mean of windows. A plane is a channel of an image.

use crate::error::{KernelError, Result, expect_shape, expect_that};
use crate::parallel::{self, Rows};

/// Elements read per task, at least.
const GRAIN: usize = 1 << 14;

/// What one output reads along an axis: these elements, and how many it counts as where a mean is taken.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// The first element.
    pub start: usize,
    /// The element after the last one.
    pub end: usize,
    /// From one element to the next.
    pub step: usize,
    /// What a sum is divided by.
    pub count: usize,
}

/// The windows of all outputs of a plane[height, width].
#[derive(Clone, Debug)]
pub struct Windows {
    /// Rows of the plane.
    pub height: usize,
    /// Columns of the plane.
    pub width: usize,
    /// Of each row of outputs.
    pub rows: Vec<Span>,
    /// Of each column of outputs.
    pub columns: Vec<Span>,
}

impl Span {
    /// The spans of a list of numbers, four of each.
    pub fn list(numbers: &[u32]) -> Result<Vec<Self>> {
        expect_shape("pool", "windows", &[numbers.len()], &[numbers.len() / 4 * 4])?;
        let span = |[start, end, step, count]: [usize; 4]| Self { start, end, step, count };
        Ok(numbers.as_chunks().0.iter().map(|numbers: &[u32; 4]| span(numbers.map(|n| n as usize))).collect())
    }
}

impl Windows {
    /// Refuses windows that reach beyond the plane, and arrays of other sizes; gives the elements of both planes.
    fn check(&self, op: &'static str, x: usize, out: usize) -> Result<(usize, usize)> {
        for (spans, length) in [(&self.rows, self.height), (&self.columns, self.width)] {
            for span in spans.iter() {
                if span.start > span.end || span.end > length {
                    let got = vec![span.start, span.end];
                    return Err(KernelError::Shape { op, what: "window", got, expected: vec![length] });
                }
                expect_that(span.step > 0, op, "step", 0.0, "at least 1")?;
            }
        }
        let (plane, plane_out) = (self.height.saturating_mul(self.width), self.rows.len() * self.columns.len());
        let planes = x.checked_div(plane).unwrap_or(0);
        expect_shape(op, "x", &[x], &[planes.saturating_mul(plane)])?;
        expect_shape(op, "out", &[out], &[planes * plane_out])?;
        Ok((plane, plane_out))
    }

    /// Calls `f` with each output's place and window.
    fn each(&self, mut f: impl FnMut(usize, &Span, &Span)) {
        for (y, rows) in self.rows.iter().enumerate() {
            for (x, columns) in self.columns.iter().enumerate() {
                f(y * self.columns.len() + x, rows, columns);
            }
        }
    }

    /// Where the largest element of a window lies: the first of equals, NaN above all, as in PyTorch.
    #[inline]
    fn largest(&self, x: &[f32], rows: &Span, columns: &Span) -> Option<usize> {
        let mut best = None;
        let mut most = f32::NEG_INFINITY;
        for y in (rows.start..rows.end).step_by(rows.step) {
            for column in (columns.start..columns.end).step_by(columns.step) {
                let at = y * self.width + column;
                if best.is_none() || x[at] > most || x[at].is_nan() {
                    (best, most) = (Some(at), x[at]);
                }
            }
        }
        best
    }
}

/// out = the largest element of each window of x[planes, height, width]; of an empty window -infinity.
pub fn max(windows: &Windows, x: &[f32], out: &mut [f32]) -> Result<()> {
    let (plane, plane_out) = windows.check("max_pool", x.len(), out.len())?;
    if out.is_empty() {
        return Ok(());
    }
    each_plane(out, plane_out, plane + plane_out, |i, out| {
        let x = &x[i * plane..][..plane];
        windows.each(|at, rows, columns| {
            out[at] = windows.largest(x, rows, columns).map_or(f32::NEG_INFINITY, |at| x[at]);
        });
    });
    Ok(())
}

/// The gradient of max's input: each output's goes to the element that it is.
pub fn max_backward(windows: &Windows, grad: &[f32], x: &[f32], grad_x: &mut [f32]) -> Result<()> {
    let (plane, plane_out) = windows.check("max_pool", x.len(), grad.len())?;
    expect_shape("max_pool", "grad_x", &[grad_x.len()], &[x.len()])?;
    if x.is_empty() {
        return Ok(());
    }
    each_plane(grad_x, plane, plane + plane_out, |i, grad_x| {
        let (x, grad) = (&x[i * plane..][..plane], &grad[i * plane_out..][..plane_out]);
        grad_x.fill(0.0);
        windows.each(|at, rows, columns| {
            if let Some(place) = windows.largest(x, rows, columns) {
                grad_x[place] += grad[at];
            }
        });
    });
    Ok(())
}

/// out = scale * the sum of each window of x[planes, height, width] / its counts, in double precision.
pub fn average(windows: &Windows, scale: f64, x: &[f32], out: &mut [f32]) -> Result<()> {
    let (plane, plane_out) = windows.check("avg_pool", x.len(), out.len())?;
    if out.is_empty() {
        return Ok(());
    }
    each_plane(out, plane_out, plane + plane_out, |i, out| {
        let x = &x[i * plane..][..plane];
        windows.each(|at, rows, columns| {
            let mut sum = 0.0;
            for y in (rows.start..rows.end).step_by(rows.step) {
                let row = &x[y * windows.width + columns.start..y * windows.width + columns.end];
                sum = row.iter().step_by(columns.step).fold(sum, |sum, x| sum + f64::from(*x));
            }
            out[at] = (sum * scale / (rows.count * columns.count) as f64) as f32;
        });
    });
    Ok(())
}

/// The gradient of average's input x: each output's goes back in equal parts.
pub fn average_backward(windows: &Windows, scale: f64, grad: &[f32], x: &[f32], grad_x: &mut [f32]) -> Result<()> {
    let (plane, plane_out) = windows.check("avg_pool", x.len(), grad.len())?;
    expect_shape("avg_pool", "grad_x", &[grad_x.len()], &[x.len()])?;
    if grad_x.is_empty() {
        return Ok(());
    }
    each_plane(grad_x, plane, plane + plane_out, |i, grad_x| {
        let grad = &grad[i * plane_out..][..plane_out];
        grad_x.fill(0.0);
        windows.each(|at, rows, columns| {
            let share = (f64::from(grad[at]) * scale / (rows.count * columns.count) as f64) as f32;
            for y in (rows.start..rows.end).step_by(rows.step) {
                let row = &mut grad_x[y * windows.width + columns.start..y * windows.width + columns.end];
                row.iter_mut().step_by(columns.step).for_each(|into| *into += share);
            }
        });
    });
    Ok(())
}

/// Calls `f` with each plane of `size` elements and its number, for work on `read` elements a plane.
fn each_plane(planes: &mut [f32], size: usize, read: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
    parallel::for_each(Rows(planes, size), GRAIN / read + 1, |first, part| {
        part.0.chunks_exact_mut(size).enumerate().for_each(|(i, plane)| f(first + i, plane));
    });
}
