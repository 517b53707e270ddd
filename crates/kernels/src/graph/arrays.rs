//! Nodes that are operations on arrays: each reads its attributes and calls its kernel. Lengths that depend on the
//! batch are known only in a pass, so what TypeScript computes from shapes for each call is computed there.

use super::attributes::Attributes;
use super::call::{Array, ArrayMut, Op, op};
use super::{OP, first, numel, wrong_rank};
use crate::binary::{Binary, Operand};
use crate::elementwise;
use crate::error::{Result, expect_shape, expect_that};
use crate::indexing::{self, Around, Gather};
use crate::matmul::batched_matmul;
use crate::reduce;
use crate::softmax;
use crate::strided::{self, View, strides};
use crate::unary::Unary;
use ndarray::ArrayView3;

/// A function of one element; `factor` and `offset` are its parameters.
pub(super) fn unary(function: Unary, given: &mut Attributes) -> Result<Op> {
    let parameters = [given.number("factor", 0.0)? as f32, given.number("offset", 0.0)? as f32];
    Ok(op(1..=1, move |x, out, _| function.forward(x[0].data, parameters, out.data)))
}

/// A function of two elements.
pub(super) fn binary(function: Binary) -> Op {
    op(2..=2, move |x, out, room| {
        let [a, b, _] = room.scratch;
        let (a, b) = (operand(x[0], out.shape, a)?, operand(x[1], out.shape, b)?);
        function.forward(a, b, out.data)
    })
}

/// An operand of a function of two elements; expanded into `wide` if the kernel can't repeat it by itself.
fn operand<'a>(x: Array<'a>, shape: &[usize], wide: &'a mut Vec<f32>) -> Result<Operand<'a>> {
    if shape.ends_with(x.shape) || x.data.len() == 1 {
        return Ok(Operand::whole(x.data));
    }
    let wide = first(wide, numel(shape));
    strided::expand(x.data, x.shape, shape, wide)?;
    Ok(Operand::whole(wide))
}

/// x times a `factor`, plus an `offset`.
pub(super) fn affine(given: &mut Attributes) -> Result<Op> {
    let (factor, offset) = (given.number("factor", 0.0)? as f32, given.number("offset", 0.0)? as f32);
    Ok(op(1..=1, move |x, out, _| elementwise::affine(x[0].data, factor, offset, out.data)))
}

pub(super) fn relu() -> Op {
    op(1..=1, |x, out, _| elementwise::relu(x[0].data, out.data))
}

/// The product of two matrices, or of two batches of matrices.
pub(super) fn matmul(given: &mut Attributes) -> Result<Op> {
    let precision = given.precision()?;
    Ok(op(2..=2, move |x, out, _| {
        let [(batch, a), (batch_b, b), (batch_out, into)] =
            [batch_of(x[0].shape)?, batch_of(x[1].shape)?, batch_of(out.shape)?];
        let (m, k, n) = (a[0], a[1], b[1]);
        expect_shape(OP, "batches", &[batch_b, batch_out], &[batch; 2])?;
        expect_shape(OP, "b", b, &[k, n])?;
        expect_shape(OP, "out", into, &[m, n])?;
        batched_matmul(precision, [false, false], batch, [m, k, n], [x[0].data, x[1].data], out.data)
    }))
}

/// How many matrices an array is, and the shape of one.
fn batch_of(shape: &[usize]) -> Result<(usize, &[usize])> {
    match shape.len().checked_sub(2) {
        Some(lead) => Ok((numel(&shape[..lead]), &shape[lead..])),
        None => Err(wrong_rank(shape, 2)),
    }
}

/// The softmax along the last axis, or its logarithm (`log`).
pub(super) fn softmax(given: &mut Attributes) -> Result<Op> {
    let kernel = if given.flag("log")? { softmax::log_softmax } else { softmax::softmax };
    Ok(op(1..=1, move |x, out, _| {
        let columns = x[0].shape.last().copied().unwrap_or(1);
        expect_shape(OP, "out", out.shape, x[0].shape)?;
        let shape = [x[0].data.len() / columns.max(1), columns];
        let x = Array { shape: &shape, ..x[0] }.matrix()?;
        kernel(x, ArrayMut { shape: &shape, data: out.data }.matrix()?)
    }))
}

/// The sum or the mean over `axes`, or over all.
pub(super) fn sum(given: &mut Attributes, mean: bool) -> Result<Op> {
    let reduced = given.lengths("axes")?;
    Ok(op(1..=1, move |x, out, room| {
        let x = x[0];
        let axes = match &reduced {
            None => (0..x.shape.len()).collect(),
            Some(axes) => expect_axes(axes, x)?.to_vec(),
        };
        let adjacent = axes.windows(2).all(|pair| pair[0] + 1 == pair[1]);
        let kept: Vec<usize> = (0..x.shape.len()).filter(|axis| !axes.contains(axis)).collect();
        let before = if adjacent { axes.first().copied().unwrap_or_default() } else { kept.len() };
        let lengths = |axes: &[usize]| axes.iter().map(|&axis| x.shape[axis]).product();
        let [outer, length, inner] = [lengths(&kept[..before]), lengths(&axes), lengths(&kept[before..])];
        let data = if adjacent {
            x.data
        } else {
            // The reduced axes side by side.
            let order = [&kept[..], &axes].concat();
            let wide = first(&mut room.scratch[0], x.data.len());
            permute_to(x, &order, wide)?;
            wide
        };
        let scale = if mean { 1.0 / length as f64 } else { 1.0 };
        expect_shape(OP, "out", &[out.data.len()], &[outer * inner])?;
        let shape = [outer, inner];
        let out = ArrayMut { shape: &shape, data: out.data }.matrix()?;
        reduce::sum_axis(cube(data, [outer, length, inner]), scale, out)
    }))
}

/// The largest or smallest along an axis, or of all.
pub(super) fn extremum(given: &mut Attributes, largest: bool) -> Result<Op> {
    let axis = given.axis_if_any()?;
    Ok(op(1..=1, move |x, out, _| {
        let [outer, length, inner] = match axis {
            None => [1, x[0].data.len(), 1],
            Some(axis) => around(axis, x[0])?,
        };
        let mut indices = vec![0; outer * inner];
        reduce::argmax(cube(x[0].data, [outer, length, inner]), largest, &mut indices)?;
        let (shape, index_shape) = ([outer, length, inner], [outer, 1, inner]);
        Gather { shape: &shape, axis: 1, indices: &indices, index_shape: &index_shape }.gather(x[0].data, out.data)
    }))
}

pub(super) fn cumsum(given: &mut Attributes) -> Result<Op> {
    let axis = given.axis()?;
    Ok(op(1..=1, move |x, out, _| reduce::cumsum(x[0].data, around(axis, x[0])?, false, out.data)))
}

/// Its axes in the order of `axes`.
pub(super) fn permute(given: &mut Attributes) -> Result<Op> {
    let order = given.lengths("axes")?.unwrap_or_default();
    Ok(op(1..=1, move |x, out, _| {
        expect_shape(OP, "axes", &[order.len()], &[x[0].shape.len()])?;
        permute_to(x[0], expect_axes(&order, x[0])?, out.data)
    }))
}

fn permute_to(x: Array, order: &[usize], out: &mut [f32]) -> Result<()> {
    let steps = strides(x.shape);
    let [shape, steps] = [x.shape, &steps].map(|of| order.iter().map(|&axis| of[axis]).collect::<Vec<_>>());
    strided::copy(x.data, &View { shape: &shape, strides: &steps, offset: 0 }, out)
}

pub(super) fn expand() -> Op {
    op(1..=1, |x, out, _| strided::expand(x[0].data, x[0].shape, out.shape, out.data))
}

/// Every `step`-th element along an axis, from `start` on.
pub(super) fn slice(given: &mut Attributes) -> Result<Op> {
    let (axis, start, step) = (given.axis()?, given.length("start", 0)?, given.length("step", 1)?);
    Ok(op(1..=1, move |x, out, _| {
        expect_axes(&[axis], x[0])?;
        let mut steps = strides(x[0].shape);
        let offset = start * steps[axis];
        steps[axis] *= step;
        strided::copy(x[0].data, &View { shape: out.shape, strides: &steps, offset }, out.data)
    }))
}

pub(super) fn cat(given: &mut Attributes) -> Result<Op> {
    let axis = given.axis()?;
    Ok(op(1..=usize::MAX, move |x, out, _| {
        let steps = strides(out.shape);
        let mut at = 0;
        for x in x {
            expect_axes(&[axis], *x)?;
            expect_shape(OP, "rank", &[out.shape.len()], &[x.shape.len()])?;
            let offset = if x.data.is_empty() { 0 } else { at * steps[axis] };
            strided::scatter(x.data, &View { shape: x.shape, strides: &steps, offset }, out.data)?;
            at += x.shape[axis];
        }
        expect_shape(OP, "out", &[out.shape[axis]], &[at])
    }))
}

/// The elements at `indices` along an axis.
pub(super) fn index_select(given: &mut Attributes) -> Result<Op> {
    let (axis, indices) = (given.axis()?, given.list("indices")?.unwrap_or_default());
    Ok(op(1..=1, move |x, out, _| indexing::index_select(x[0].data, around(axis, x[0])?, &indices, out.data)))
}

pub(super) fn gather(given: &mut Attributes) -> Result<Op> {
    let (axis, indices) = (given.axis()?, given.list("indices")?.unwrap_or_default());
    Ok(op(1..=1, move |x, out, _| {
        expect_axes(&[axis], x[0])?;
        Gather { shape: x[0].shape, axis, indices: &indices, index_shape: out.shape }.gather(x[0].data, out.data)
    }))
}

/// A copy of x with the source's elements at `indices`.
pub(super) fn scatter(given: &mut Attributes) -> Result<Op> {
    let (axis, indices) = (given.axis()?, given.list("indices")?.unwrap_or_default());
    Ok(op(2..=2, move |x, out, _| {
        let [x, source] = [x[0], x[1]];
        expect_axes(&[axis], x)?;
        expect_shape(OP, "out", out.shape, x.shape)?;
        out.data.copy_from_slice(x.data);
        let places = Gather { shape: x.shape, axis, indices: &indices, index_shape: source.shape };
        places.scatter(source.data, false, out.data)
    }))
}

fn cube(x: &[f32], lengths: Around) -> ArrayView3<'_, f32> {
    ArrayView3::from_shape(lengths, x).expect("as long as its shape says")
}

/// The lengths before, along and after an axis.
fn around(axis: usize, x: Array) -> Result<Around> {
    expect_axes(&[axis], x)?;
    Ok([numel(&x.shape[..axis]), x.shape[axis], numel(&x.shape[axis + 1..])])
}

fn expect_axes<'a>(axes: &'a [usize], x: Array) -> Result<&'a [usize]> {
    let rank = x.shape.len();
    let beyond = axes.iter().find(|&&axis| axis >= rank);
    beyond.map_or(Ok(axes), |&axis| expect_that(false, OP, "axis", axis as f64, "an axis of x").map(|()| axes))
}
