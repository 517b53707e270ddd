//! Views of an array by strides: what permute, slice, expand, cat and their gradients copy.

use crate::error::{KernelError, Result, expect_shape, expect_that};
use crate::parallel::{self, Rows};

/// A view: element [i, j, ...] lies at offset + i strides[0] + j strides[1] + ...
pub struct View<'a> {
    /// The length of each axis.
    pub shape: &'a [usize],
    /// The step of each axis in memory.
    pub strides: &'a [usize],
    /// Where the first element lies.
    pub offset: usize,
}

impl View<'_> {
    /// Refuses a view that reaches beyond `len` elements.
    fn check(&self, op: &'static str, len: usize) -> Result<usize> {
        expect_shape(op, "strides", &[self.strides.len()], &[self.shape.len()])?;
        let size = self.shape.iter().try_fold(1usize, |size, &n| size.checked_mul(n));
        let last = self.shape.iter().zip(self.strides).try_fold(self.offset, |last, (&n, &stride)| {
            stride.checked_mul(n.saturating_sub(1)).and_then(|reach| last.checked_add(reach))
        });
        let size = size.unwrap_or(usize::MAX);
        if size == 0 || last.is_some_and(|last| last < len) {
            return Ok(size);
        }
        expect_that(len == 0 || self.offset < len, op, "offset", self.offset as f64, "a place inside of the array")?;
        Err(KernelError::Shape { op, what: "view", got: self.shape.to_vec(), expected: vec![len] })
    }

    /// The axes but the last, and the last one's length and stride; axes that lie behind each other count as one.
    fn rows(&self) -> (Vec<(usize, usize)>, (usize, usize)) {
        let mut axes: Vec<(usize, usize)> = Vec::with_capacity(self.shape.len());
        for (&n, &stride) in self.shape.iter().zip(self.strides).filter(|(n, _)| **n != 1) {
            match axes.last_mut() {
                Some(last) if last.1 == stride * n => *last = (last.0 * n, stride),
                _ => axes.push((n, stride)),
            }
        }
        let last = axes.pop().unwrap_or((1, 1));
        (axes, last)
    }
}

/// How far apart in memory the elements of each axis lie, row by row.
pub(crate) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// The strides that repeat an array of shape `from` to a larger one: 0 along what is repeated.
fn broadcast_strides(from: &[usize], shape: &[usize]) -> Result<Vec<usize>> {
    let refused = || KernelError::Shape { op: "expand", what: "x", got: from.to_vec(), expected: shape.to_vec() };
    let lead = shape.len().checked_sub(from.len()).ok_or_else(refused)?;
    if from.iter().zip(&shape[lead..]).any(|(n, wide)| n != wide && *n != 1) {
        return Err(refused());
    }
    let own = strides(from).into_iter().zip(from).map(|(step, n)| if *n == 1 { 0 } else { step });
    Ok(std::iter::repeat_n(0, lead).chain(own).collect())
}

/// The offsets of the elements of a view, row by row.
pub(crate) struct Offsets<'a> {
    axes: &'a [(usize, usize)],
    place: Vec<usize>,
    at: usize,
}

impl<'a> Offsets<'a> {
    /// From element `first` on.
    pub(crate) fn new(axes: &'a [(usize, usize)], offset: usize, first: usize) -> Self {
        let (mut place, mut at, mut rest) = (vec![0; axes.len()], offset, first);
        for (i, &(n, stride)) in axes.iter().enumerate().rev() {
            place[i] = rest % n.max(1);
            rest /= n.max(1);
            at += place[i] * stride;
        }
        Self { axes, place, at }
    }
}

impl Iterator for Offsets<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let now = self.at;
        for (place, &(n, stride)) in self.place.iter_mut().zip(self.axes).rev() {
            *place += 1;
            self.at += stride;
            if *place < n {
                break;
            }
            self.at -= n * stride;
            *place = 0;
        }
        Some(now)
    }
}

/// out = the elements of a view of x, row by row.
pub fn copy(x: &[f32], view: &View, out: &mut [f32]) -> Result<()> {
    let size = view.check("stridedCopy", x.len())?;
    expect_shape("stridedCopy", "out", &[out.len()], &[size])?;
    if size == 0 {
        return Ok(());
    }
    let (axes, (length, stride)) = view.rows();
    parallel::for_each(Rows(out, length), parallel::grain(length), |first, part| {
        let offsets = Offsets::new(&axes, view.offset, first);
        for (row, at) in part.0.chunks_exact_mut(length).zip(offsets) {
            match stride {
                0 => row.fill(x[at]),
                1 => row.copy_from_slice(&x[at..at + length]),
                _ => row.iter_mut().zip(x[at..].iter().step_by(stride)).for_each(|(out, x)| *out = *x),
            }
        }
    });
    Ok(())
}

/// Repeats x along the axes where the shape of out is larger, as `torch.broadcast_to`.
pub fn expand(x: &[f32], from: &[usize], shape: &[usize], out: &mut [f32]) -> Result<()> {
    copy(x, &View { shape, strides: &broadcast_strides(from, shape)?, offset: 0 }, out)
}

/// The elements of a view of out = x, row by row; the others stay.
pub fn scatter(x: &[f32], view: &View, out: &mut [f32]) -> Result<()> {
    let size = view.check("stridedScatter", out.len())?;
    expect_shape("stridedScatter", "x", &[x.len()], &[size])?;
    if size == 0 {
        return Ok(());
    }
    let (axes, (length, stride)) = view.rows();
    for (row, at) in x.chunks_exact(length).zip(Offsets::new(&axes, view.offset, 0)) {
        if stride == 1 {
            out[at..at + length].copy_from_slice(row);
        } else {
            row.iter().enumerate().for_each(|(i, x)| out[at + i * stride] = *x);
        }
    }
    Ok(())
}

/// Sums x over the axes along which `target` is 1 or absent, row by row in double precision: the gradient of a
/// broadcast.
pub fn sum_to(x: &[f32], shape: &[usize], target: &[usize], out: &mut [f32]) -> Result<()> {
    let refused = || KernelError::Shape { op: "sum_to", what: "x", got: shape.to_vec(), expected: target.to_vec() };
    let strides = broadcast_strides(target, shape).map_err(|_| refused())?;
    expect_shape("sum_to", "x", &[x.len()], &[shape.iter().product()])?;
    expect_shape("sum_to", "out", &[out.len()], &[target.iter().product()])?;
    let mut sums = vec![0.0f64; out.len()];
    if !x.is_empty() {
        let (axes, (length, stride)) = View { shape, strides: &strides, offset: 0 }.rows();
        for (row, at) in x.chunks_exact(length).zip(Offsets::new(&axes, 0, 0)) {
            match stride {
                0 => sums[at] = row.iter().fold(sums[at], |sum, x| sum + f64::from(*x)),
                1 => sums[at..at + length].iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x)),
                _ => row.iter().enumerate().for_each(|(i, x)| sums[at + i * stride] += f64::from(*x)),
            }
        }
    }
    out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum as f32);
    Ok(())
}
