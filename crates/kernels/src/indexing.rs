//! Elements picked by whole numbers along an axis: `torch.index_select`, `gather`, `scatter`, and their gradients.

use crate::error::{Result, expect_shape, expect_that};
use crate::parallel::{self, Rows};
use crate::strided::Offsets;

/// The lengths before, along and after an axis.
pub type Around = [usize; 3];

fn check(op: &'static str, indices: &[i32], length: usize) -> Result<()> {
    match indices.iter().find(|&&index| index < 0 || index as usize >= length) {
        None => Ok(()),
        Some(&index) => expect_that(false, op, "index", index.into(), "an index inside of the axis"),
    }
}

/// out[outer, i, inner] = x[outer, indices[i], inner].
pub fn index_select(x: &[f32], [outer, length, inner]: Around, indices: &[i32], out: &mut [f32]) -> Result<()> {
    const OP: &str = "indexSelect";
    expect_shape(OP, "x", &[x.len()], &[outer * length * inner])?;
    expect_shape(OP, "out", &[out.len()], &[outer * indices.len() * inner])?;
    check(OP, indices, length)?;
    if out.is_empty() {
        return Ok(());
    }
    let at = place([outer, length, inner], indices);
    parallel::for_each(Rows(out, inner), parallel::grain(inner), |first, part| {
        for (i, row) in (first..).zip(part.0.chunks_exact_mut(inner)) {
            row.copy_from_slice(&x[at(i)..][..inner]);
        }
    });
    Ok(())
}

/// out[outer, indices[i], inner] += grad[outer, i, inner], from zero: the gradient of `index_select`. On one thread,
/// for rows may be added to one place.
pub fn index_add(grad: &[f32], [outer, length, inner]: Around, indices: &[i32], out: &mut [f32]) -> Result<()> {
    const OP: &str = "indexSelect";
    expect_shape(OP, "grad", &[grad.len()], &[outer * indices.len() * inner])?;
    expect_shape(OP, "out", &[out.len()], &[outer * length * inner])?;
    check(OP, indices, length)?;
    out.fill(0.0);
    if grad.is_empty() {
        return Ok(());
    }
    let at = place([outer, length, inner], indices);
    for (i, row) in grad.chunks_exact(inner).enumerate() {
        out[at(i)..][..inner].iter_mut().zip(row).for_each(|(out, x)| *out += x);
    }
    Ok(())
}

/// Where the row of x lies that belongs to row i of the picked ones.
fn place([_, length, inner]: Around, indices: &[i32]) -> impl Fn(usize) -> usize {
    move |i| (i / indices.len() * length + indices[i % indices.len()] as usize) * inner
}

/// Indices along an axis of an array: element [i, j, ...] of `indices` says which one of the axis is meant, the other
/// coordinates are its own.
pub struct Gather<'a> {
    /// The array's shape.
    pub shape: &'a [usize],
    /// The axis.
    pub axis: usize,
    /// Which element of the axis.
    pub indices: &'a [i32],
    /// The shape of the indices, no larger than the array's along the other axes.
    pub index_shape: &'a [usize],
}

impl Gather<'_> {
    /// The place of each index's element in the array.
    fn places(&self, op: &'static str, len: usize) -> Result<Vec<usize>> {
        let Self { shape, axis, indices, index_shape } = *self;
        expect_shape(op, "x", &[len], &[shape.iter().product()])?;
        expect_shape(op, "index", &[index_shape.len()], &[shape.len()])?;
        expect_shape(op, "index", &[indices.len()], &[index_shape.iter().product()])?;
        expect_that(axis < shape.len(), op, "axis", axis as f64, "an axis of x")?;
        for (d, (i, n)) in index_shape.iter().zip(shape).enumerate() {
            if d != axis && i > n && !indices.is_empty() {
                expect_shape(op, "index", index_shape, shape)?;
            }
        }
        check(op, indices, shape[axis])?;
        let mut axes = vec![(0, 0); shape.len()];
        let (mut step, mut along) = (1, 0);
        for (d, &n) in shape.iter().enumerate().rev() {
            if d == axis {
                along = step;
            }
            axes[d] = (index_shape[d], if d == axis { 0 } else { step });
            step *= n;
        }
        Ok(Offsets::new(&axes, 0, 0).zip(indices).map(|(at, &index)| at + index as usize * along).collect())
    }

    /// out = x at the places.
    pub fn gather(&self, x: &[f32], out: &mut [f32]) -> Result<()> {
        expect_shape("gather", "out", &[out.len()], &[self.indices.len()])?;
        let places = self.places("gather", x.len())?;
        out.iter_mut().zip(places).for_each(|(out, at)| *out = x[at]);
        Ok(())
    }

    /// out at the places = x, or += x if `add`. x has the indices' length, or is one element.
    pub fn scatter(&self, x: &[f32], add: bool, out: &mut [f32]) -> Result<()> {
        if x.len() != 1 {
            expect_shape("scatter", "src", &[x.len()], &[self.indices.len()])?;
        }
        let places = self.places("scatter", out.len())?;
        for (i, at) in places.into_iter().enumerate() {
            let x = if x.len() == 1 { x[0] } else { x[i] };
            out[at] = if add { out[at] + x } else { x };
        }
        Ok(())
    }
}
