//! Pooling of images, plane by plane: the largest or the mean of windows. A plane is a channel of an image.
//!
//! Some planes at a time are interleaved, so that a vector holds one element of each: a loop over a window is then a loop over vectors,
//! whatever the window.

use crate::error::{KernelError, Result, expect_shape, expect_that};
use crate::matmul::{LANES, deinterleave, interleave, with_scratch};
use crate::parallel::{self, Rows};
use crate::prefetch::planes_to_write;
use crate::vectorised::vectorised;

/// Elements read per task, at least.
const GRAIN: usize = 1 << 14;

/// The element at one place of each of some planes.
type Lanes = [f32; LANES];

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

    /// The number of each output, and the places that it reads, row by row.
    #[inline(always)]
    fn each(&self, mut f: impl FnMut(usize, Places)) {
        for (y, rows) in self.rows.iter().enumerate() {
            for (x, columns) in self.columns.iter().enumerate() {
                f(y * self.columns.len() + x, Places { rows: *rows, columns: *columns, width: self.width });
            }
        }
    }
}

/// The places of a plane that an output reads.
#[derive(Clone, Copy)]
struct Places {
    rows: Span,
    columns: Span,
    width: usize,
}

impl Places {
    /// Calls `f` with each, row by row.
    #[inline(always)]
    fn each(self, mut f: impl FnMut(usize)) {
        let (mut y, Self { rows, columns, width }) = (self.rows.start, self);
        while y < rows.end {
            let mut x = columns.start;
            while x < columns.end {
                f(y * width + x);
                x += columns.step;
            }
            y += rows.step;
        }
    }

    /// A sum divided by the counts, and scaled.
    #[inline(always)]
    fn share(&self, scale: f64, sum: f64) -> f32 {
        (sum * scale / (self.rows.count * self.columns.count) as f64) as f32
    }
}

/// out = the largest element of each window of x[planes, height, width]; of an empty window -infinity.
pub fn max(windows: &Windows, x: &[f32], out: &mut [f32]) -> Result<()> {
    windows.forward("max_pool", x, out, |x, out| largest(windows, x, out))
}

/// The gradient of max's input: each output's goes to the element that it is, the first of equals, NaN above all, as in PyTorch.
pub fn max_backward(windows: &Windows, grad: &[f32], x: &[f32], grad_x: &mut [f32]) -> Result<()> {
    windows.backward("max_pool", grad, x, grad_x, |grad, x, grad_x| largest_backward(windows, grad, x, grad_x))
}

/// out = scale * the sum of each window of x[planes, height, width] / its counts, in double precision.
pub fn average(windows: &Windows, scale: f64, x: &[f32], out: &mut [f32]) -> Result<()> {
    windows.forward("avg_pool", x, out, |x, out| mean(windows, scale, x, out))
}

/// The gradient of average's input x: each output's goes back in equal parts.
pub fn average_backward(windows: &Windows, scale: f64, grad: &[f32], x: &[f32], grad_x: &mut [f32]) -> Result<()> {
    windows.backward("avg_pool", grad, x, grad_x, |grad, _, grad_x| mean_backward(windows, scale, grad, grad_x))
}

impl Windows {
    /// Calls `f` with x and out of some planes at a time, interleaved.
    fn forward(
        &self,
        op: &'static str,
        x: &[f32],
        out: &mut [f32],
        f: impl Fn(&[Lanes], &mut [Lanes]) + Sync,
    ) -> Result<()> {
        let (plane, plane_out) = self.check(op, x.len(), out.len())?;
        if out.is_empty() {
            return Ok(());
        }
        each_group(out, plane_out, plane + plane_out, |first, out| {
            with_lanes(plane + plane_out, |lanes| {
                let ((lanes, lanes_out), planes) = (lanes.split_at_mut(plane), out.len() / plane_out);
                interleave(&x[first * plane..], plane, planes, lanes);
                f(lanes, lanes_out);
                deinterleave(lanes_out, out, plane_out, planes);
            });
        });
        Ok(())
    }

    /// Calls `f` with grad, x and grad_x of some planes at a time, interleaved; grad_x is 0.
    fn backward(
        &self,
        op: &'static str,
        grad: &[f32],
        x: &[f32],
        grad_x: &mut [f32],
        f: impl Fn(&[Lanes], &[Lanes], &mut [Lanes]) + Sync,
    ) -> Result<()> {
        let (plane, plane_out) = self.check(op, x.len(), grad.len())?;
        expect_shape(op, "grad_x", &[grad_x.len()], &[x.len()])?;
        if x.is_empty() {
            return Ok(());
        }
        each_group(grad_x, plane, plane + plane_out, |first, grad_x| {
            with_lanes(2 * plane + plane_out, |lanes| {
                let (lanes_out, lanes) = lanes.split_at_mut(plane_out);
                let ((lanes, lanes_x), planes) = (lanes.split_at_mut(plane), grad_x.len() / plane);
                interleave(&grad[first * plane_out..], plane_out, planes, lanes_out);
                interleave(&x[first * plane..], plane, planes, lanes);
                lanes_x.fill([0.0; LANES]);
                planes_to_write(grad_x, plane, planes, plane);
                f(lanes_out, lanes, lanes_x);
                deinterleave(lanes_x, grad_x, plane, planes);
            });
        });
        Ok(())
    }
}

vectorised! {
fn largest<'a>(windows: &'a Windows, x: &'a [Lanes], out: &'a mut [Lanes]) {
    windows.each(|at, places| {
        let mut most = [f32::NEG_INFINITY; LANES];
        places.each(|place| {
            for (most, x) in most.iter_mut().zip(&x[place]) {
                *most = if above(*x, *most) { *x } else { *most };
            }
        });
        out[at] = most;
    });
}
}

vectorised! {
fn largest_backward<'a>(windows: &'a Windows, grad: &'a [Lanes], x: &'a [Lanes], grad_x: &'a mut [Lanes]) {
    windows.each(|at, places| {
        let mut most = [f32::NEG_INFINITY; LANES];
        let mut chosen = [(places.rows.start * places.width + places.columns.start) as u32; LANES];
        places.each(|place| {
            let (x, before, number) = (x[place], most, place as u32);
            most = std::array::from_fn(|i| if above(x[i], before[i]) { x[i] } else { before[i] });
            chosen = std::array::from_fn(|i| if above(x[i], before[i]) { number } else { chosen[i] });
        });
        let grad = grad[at];
        places.each(|place| {
            let into = grad_x[place];
            grad_x[place] = std::array::from_fn(|i| into[i] + if chosen[i] == place as u32 { grad[i] } else { 0.0 });
        });
    });
}
}

vectorised! {
fn mean<'a>(windows: &'a Windows, scale: f64, x: &'a [Lanes], out: &'a mut [Lanes]) {
    windows.each(|at, places| {
        let mut sums = [0.0; LANES];
        places.each(|place| sums.iter_mut().zip(&x[place]).for_each(|(sum, x)| *sum += f64::from(*x)));
        out[at] = sums.map(|sum| places.share(scale, sum));
    });
}
}

vectorised! {
fn mean_backward<'a>(windows: &'a Windows, scale: f64, grad: &'a [Lanes], grad_x: &'a mut [Lanes]) {
    windows.each(|at, places| {
        let shares = grad[at].map(|grad| places.share(scale, f64::from(grad)));
        places.each(|place| grad_x[place].iter_mut().zip(&shares).for_each(|(into, share)| *into += share));
    });
}
}

/// Whether x replaces the largest element so far.
#[inline(always)]
fn above(x: f32, most: f32) -> bool {
    x > most || x.is_nan()
}

/// Calls `f` with some planes of `size` elements, at most as many as a vector has lanes, and the number of the first, for work on
/// `read` elements a plane.
fn each_group(planes: &mut [f32], size: usize, read: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
    parallel::for_each(Rows(planes, size), GRAIN / read + 1, |first, part| {
        part.0.chunks_mut(LANES * size).enumerate().for_each(|(i, planes)| f(first + i * LANES, planes));
    });
}

/// Calls `f` with room for so many elements of each plane.
fn with_lanes<R>(len: usize, f: impl FnOnce(&mut [Lanes]) -> R) -> R {
    with_scratch(len * LANES, |scratch| f(scratch.as_chunks_mut().0))
}
