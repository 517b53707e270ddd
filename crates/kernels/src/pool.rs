//! Max and average pooling of images, plane by plane. A plane is a channel of an image.
//!
//! Several planes are interleaved, so that a vector holds one element of each: a loop over a window is then a loop over
//! vectors, whatever the window. A single plane, or a very large one, is read in place.

use crate::error::{KernelError, Result, expect_shape, expect_that};
use crate::matmul::{LANES, deinterleave, interleave, with_scratch};
use crate::parallel::{self, Rows};
use crate::prefetch::planes_to_write;
use crate::vectorised::vectorised;

/// The most elements of a plane and its outputs that are interleaved: 256 MiB for all lanes.
const LANES_MAX: usize = 1 << 22;

/// What one output reads along an axis, and what its mean is divided by.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// The first element.
    pub start: usize,
    /// The element after the last one.
    pub end: usize,
    /// The distance from one element to the next.
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
    forward("max_pool", windows, &Largest, x, out)
}

/// The gradient of max's input: each output's gradient goes to the element that was the largest. As in PyTorch, the
/// first of equal ones counts, and NaN counts as the largest.
pub fn max_backward(windows: &Windows, grad: &[f32], x: &[f32], grad_x: &mut [f32]) -> Result<()> {
    backward("max_pool", windows, &Largest, grad, x, grad_x)
}

/// out = scale * the sum of each window of x[planes, height, width] / its counts, in double precision.
pub fn average(windows: &Windows, scale: f64, x: &[f32], out: &mut [f32]) -> Result<()> {
    forward("avg_pool", windows, &Mean(scale), x, out)
}

/// The gradient of average's input x: each output's goes back in equal parts.
pub fn average_backward(windows: &Windows, scale: f64, grad: &[f32], x: &[f32], grad_x: &mut [f32]) -> Result<()> {
    backward("avg_pool", windows, &Mean(scale), grad, x, grad_x)
}

/// What becomes of a window, of N planes side by side.
trait Reduction: Sync {
    fn forward<const N: usize>(&self, windows: &Windows, x: &[[f32; N]], out: &mut [[f32; N]]);
    /// Adds to grad_x.
    fn backward<const N: usize>(&self, windows: &Windows, grad: &[[f32; N]], x: &[[f32; N]], grad_x: &mut [[f32; N]]);
}

struct Largest;

/// The mean, times a scale.
struct Mean(f64);

impl Reduction for Largest {
    fn forward<const N: usize>(&self, windows: &Windows, x: &[[f32; N]], out: &mut [[f32; N]]) {
        largest(windows, x, out);
    }
    fn backward<const N: usize>(&self, windows: &Windows, grad: &[[f32; N]], x: &[[f32; N]], grad_x: &mut [[f32; N]]) {
        largest_backward(windows, grad, x, grad_x);
    }
}

impl Reduction for Mean {
    fn forward<const N: usize>(&self, windows: &Windows, x: &[[f32; N]], out: &mut [[f32; N]]) {
        mean(windows, self.0, x, out);
    }
    fn backward<const N: usize>(&self, windows: &Windows, grad: &[[f32; N]], _: &[[f32; N]], grad_x: &mut [[f32; N]]) {
        mean_backward(windows, self.0, grad, grad_x);
    }
}

fn forward(op: &'static str, windows: &Windows, reduction: &impl Reduction, x: &[f32], out: &mut [f32]) -> Result<()> {
    let (plane, plane_out) = windows.check(op, x.len(), out.len())?;
    if out.is_empty() {
        return Ok(());
    }
    each_group(out, plane_out, plane + plane_out, |first, out| {
        let planes = out.len() / plane_out;
        let x = &x[first * plane..][..planes * plane];
        if planes == 1 {
            return reduction.forward::<1>(windows, x.as_chunks().0, out.as_chunks_mut().0);
        }
        with_lanes(plane + plane_out, |lanes| {
            let (x_lanes, out_lanes) = lanes.split_at_mut(plane);
            interleave(x, plane, planes, x_lanes);
            reduction.forward(windows, x_lanes, out_lanes);
            deinterleave(out_lanes, out, plane_out, planes);
        });
    });
    Ok(())
}

fn backward(
    op: &'static str,
    windows: &Windows,
    reduction: &impl Reduction,
    grad: &[f32],
    x: &[f32],
    grad_x: &mut [f32],
) -> Result<()> {
    let (plane, plane_out) = windows.check(op, x.len(), grad.len())?;
    expect_shape(op, "grad_x", &[grad_x.len()], &[x.len()])?;
    if x.is_empty() {
        return Ok(());
    }
    each_group(grad_x, plane, 2 * plane + plane_out, |first, grad_x| {
        let planes = grad_x.len() / plane;
        let (grad, x) = (&grad[first * plane_out..][..planes * plane_out], &x[first * plane..][..planes * plane]);
        if planes == 1 {
            grad_x.fill(0.0);
            return reduction.backward::<1>(windows, grad.as_chunks().0, x.as_chunks().0, grad_x.as_chunks_mut().0);
        }
        with_lanes(2 * plane + plane_out, |lanes| {
            let (grad_lanes, lanes) = lanes.split_at_mut(plane_out);
            let (x_lanes, grad_x_lanes) = lanes.split_at_mut(plane);
            interleave(grad, plane_out, planes, grad_lanes);
            interleave(x, plane, planes, x_lanes);
            grad_x_lanes.fill([0.0; LANES]);
            planes_to_write(grad_x, plane, planes, plane);
            reduction.backward(windows, grad_lanes, x_lanes, grad_x_lanes);
            deinterleave(grad_x_lanes, grad_x, plane, planes);
        });
    });
    Ok(())
}

vectorised! {
fn largest<'a, const N: usize>(windows: &'a Windows, x: &'a [[f32; N]], out: &'a mut [[f32; N]]) {
    windows.each(|at, places| {
        let mut most = [f32::NEG_INFINITY; N];
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
fn largest_backward<'a, const N: usize>(windows: &'a Windows, grad: &'a [[f32; N]], x: &'a [[f32; N]], grad_x: &'a mut [[f32; N]]) {
    windows.each(|at, places| {
        let mut most = [f32::NEG_INFINITY; N];
        let mut chosen = [(places.rows.start * places.width + places.columns.start) as u32; N];
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
fn mean<'a, const N: usize>(windows: &'a Windows, scale: f64, x: &'a [[f32; N]], out: &'a mut [[f32; N]]) {
    windows.each(|at, places| {
        let mut sums = [0.0; N];
        places.each(|place| sums.iter_mut().zip(&x[place]).for_each(|(sum, x)| *sum += f64::from(*x)));
        out[at] = sums.map(|sum| places.share(scale, sum));
    });
}
}

vectorised! {
fn mean_backward<'a, const N: usize>(windows: &'a Windows, scale: f64, grad: &'a [[f32; N]], grad_x: &'a mut [[f32; N]]) {
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

/// Calls `f` with some planes of `size` elements and the number of the first: as many as a vector has lanes or, if
/// these would need too much memory, one. A plane needs room for `elements`.
fn each_group(planes: &mut [f32], size: usize, elements: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
    let group = if elements > LANES_MAX { 1 } else { LANES };
    parallel::for_each(Rows(planes, size), parallel::grain(elements), |first, part| {
        part.0.chunks_mut(group * size).enumerate().for_each(|(i, planes)| f(first + i * group, planes));
    });
}

/// Calls `f` with room for `len` elements of each plane.
fn with_lanes<R>(len: usize, f: impl FnOnce(&mut [[f32; LANES]]) -> R) -> R {
    with_scratch(len * LANES, |scratch| f(scratch.as_chunks_mut().0))
}
