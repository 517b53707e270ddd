//! The nodes that are operations of arrays: their kernels, given the arrays of a pass. Lengths that depend on the batch are
//! known here, so what TypeScript works out of shapes for each call is worked out here for each pass.

use super::call::{Array, ArrayMut, Attributes, Room};
use super::{OP, first, numel};
use crate::binary::Operand;
use crate::elementwise;
use crate::error::{KernelError, Result, expect_shape, expect_that};
use crate::indexing::{self, Around, Gather};
use crate::matmul::{self as products, Form};
use crate::reduce;
use crate::softmax as softmaxes;
use crate::strided::{self, View, strides};
use ndarray::ArrayView3;

/// A function of the table of those of one element.
pub(super) fn unary(attributes: &Attributes, x: &[Array], out: ArrayMut, _: Room) -> Result<()> {
    let function = attributes.unary.expect("set by its name");
    function.forward(x[0].data, [attributes.factor as f32, attributes.offset as f32], out.data)
}

/// A function of the table of those of two elements.
pub(super) fn binary(attributes: &Attributes, x: &[Array], out: ArrayMut, room: Room) -> Result<()> {
    let [a, b, _] = room.scratch;
    let (a, b) = (operand(x[0], out.shape, a)?, operand(x[1], out.shape, b)?);
    attributes.binary.expect("set by its name").forward(a, b, out.data)
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

pub(super) fn affine(attributes: &Attributes, x: &[Array], out: ArrayMut, _: Room) -> Result<()> {
    elementwise::affine(x[0].data, attributes.factor as f32, attributes.offset as f32, out.data)
}

pub(super) fn relu(_: &Attributes, x: &[Array], out: ArrayMut, _: Room) -> Result<()> {
    elementwise::relu(x[0].data, out.data)
}

/// The product of two matrices, or of each two of two batches.
pub(super) fn matmul(attributes: &Attributes, x: &[Array], out: ArrayMut, _: Room) -> Result<()> {
    let [(batch, a), (batch_b, b), (batch_out, into)] =
        [batch_of(x[0].shape)?, batch_of(x[1].shape)?, batch_of(out.shape)?];
    let (m, k, n) = (a[0], a[1], b[1]);
    expect_shape(OP, "batches", &[batch_b, batch_out], &[batch; 2])?;
    expect_shape(OP, "b", b, &[k, n])?;
    expect_shape(OP, "out", into, &[m, n])?;
    products::batched_matmul(attributes.precision(), Form::Plain, batch, [m, k, n], [x[0].data, x[1].data], out.data)
}

/// How many matrices an array is, and the shape of one.
fn batch_of(shape: &[usize]) -> Result<(usize, &[usize])> {
    match shape.len().checked_sub(2) {
        Some(lead) => Ok((numel(&shape[..lead]), &shape[lead..])),
        None => Err(KernelError::Shape { op: OP, what: "rank", got: vec![shape.len()], expected: vec![2] }),
    }
}

pub(super) fn softmax(attributes: &Attributes, x: &[Array], out: ArrayMut, _: Room) -> Result<()> {
    let columns = x[0].shape.last().copied().unwrap_or(1);
    expect_shape(OP, "out", out.shape, x[0].shape)?;
    let shape = [x[0].data.len() / columns.max(1), columns];
    let kernel = if attributes.log { softmaxes::log_softmax } else { softmaxes::softmax };
    let x = Array { shape: &shape, ..x[0] }.matrix()?;
    kernel(x, ArrayMut { shape: &shape, data: out.data }.matrix()?)
}

/// The sum or the mean over axes, or over all.
pub(super) fn sum(attributes: &Attributes, x: Array, out: ArrayMut, room: Room, mean: bool) -> Result<()> {
    let axes = match &attributes.axes {
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
    reduce::sum_axis(
        cube(data, [outer, length, inner]),
        scale,
        ArrayMut { shape: &[outer, inner], data: out.data }.matrix()?,
    )
}

/// The largest or smallest along an axis, or of all.
pub(super) fn extremum(attributes: &Attributes, x: Array, out: ArrayMut, largest: bool) -> Result<()> {
    let [outer, length, inner] = match attributes.axes {
        None => [1, x.data.len(), 1],
        Some(_) => around(attributes, x)?,
    };
    let mut indices = vec![0; outer * inner];
    reduce::argmax(cube(x.data, [outer, length, inner]), largest, &mut indices)?;
    let (shape, index_shape) = ([outer, length, inner], [outer, 1, inner]);
    Gather { shape: &shape, axis: 1, indices: &indices, index_shape: &index_shape }.gather(x.data, out.data)
}

pub(super) fn cumsum(attributes: &Attributes, x: &[Array], out: ArrayMut, _: Room) -> Result<()> {
    reduce::cumsum(x[0].data, around(attributes, x[0])?, false, out.data)
}

pub(super) fn permute(attributes: &Attributes, x: &[Array], out: ArrayMut, _: Room) -> Result<()> {
    let order = attributes.axes.as_deref().unwrap_or_default();
    expect_shape(OP, "axes", &[order.len()], &[x[0].shape.len()])?;
    permute_to(x[0], expect_axes(order, x[0])?, out.data)
}

fn permute_to(x: Array, order: &[usize], out: &mut [f32]) -> Result<()> {
    let steps = strides(x.shape);
    let [shape, steps] = [x.shape, &steps].map(|of| order.iter().map(|&axis| of[axis]).collect::<Vec<_>>());
    strided::copy(x.data, &View { shape: &shape, strides: &steps, offset: 0 }, out)
}

pub(super) fn expand(_: &Attributes, x: &[Array], out: ArrayMut, _: Room) -> Result<()> {
    strided::expand(x[0].data, x[0].shape, out.shape, out.data)
}

pub(super) fn slice(attributes: &Attributes, x: &[Array], out: ArrayMut, _: Room) -> Result<()> {
    let axis = axis_of(attributes, x[0])?;
    let mut steps = strides(x[0].shape);
    let offset = attributes.start * steps[axis];
    steps[axis] *= attributes.step;
    strided::copy(x[0].data, &View { shape: out.shape, strides: &steps, offset }, out.data)
}

pub(super) fn cat(attributes: &Attributes, x: &[Array], out: ArrayMut, _: Room) -> Result<()> {
    let steps = strides(out.shape);
    let mut at = 0;
    for x in x {
        let axis = axis_of(attributes, *x)?;
        let offset = if x.data.is_empty() { 0 } else { at * steps[axis] };
        strided::scatter(x.data, &View { shape: x.shape, strides: &steps, offset }, out.data)?;
        at += x.shape[axis];
    }
    let axis = attributes.axes.as_deref().and_then(|axes| axes.first()).copied().unwrap_or_default();
    expect_shape(OP, "out", &[out.shape[axis]], &[at])
}

pub(super) fn index_select(attributes: &Attributes, x: &[Array], out: ArrayMut, _: Room) -> Result<()> {
    indexing::index_select(x[0].data, around(attributes, x[0])?, &attributes.indices, out.data)
}

pub(super) fn gather(attributes: &Attributes, x: &[Array], out: ArrayMut, _: Room) -> Result<()> {
    let axis = axis_of(attributes, x[0])?;
    Gather { shape: x[0].shape, axis, indices: &attributes.indices, index_shape: out.shape }.gather(x[0].data, out.data)
}

/// A copy of x with the source's elements at the indices.
pub(super) fn scatter(attributes: &Attributes, x: &[Array], out: ArrayMut, _: Room) -> Result<()> {
    let (axis, source) = (axis_of(attributes, x[0])?, x[1]);
    expect_shape(OP, "out", out.shape, x[0].shape)?;
    out.data.copy_from_slice(x[0].data);
    Gather { shape: x[0].shape, axis, indices: &attributes.indices, index_shape: source.shape }.scatter(
        source.data,
        false,
        out.data,
    )
}

fn cube(x: &[f32], lengths: Around) -> ArrayView3<'_, f32> {
    ArrayView3::from_shape(lengths, x).expect("as long as its shape says")
}

/// The lengths before, along and after the only axis.
fn around(attributes: &Attributes, x: Array) -> Result<Around> {
    let axis = axis_of(attributes, x)?;
    Ok([numel(&x.shape[..axis]), x.shape[axis], numel(&x.shape[axis + 1..])])
}

/// The only axis.
fn axis_of(attributes: &Attributes, x: Array) -> Result<usize> {
    let axes = attributes.axes.as_deref().unwrap_or_default();
    expect_shape(OP, "axes", &[axes.len()], &[1])?;
    Ok(expect_axes(axes, x)?[0])
}

fn expect_axes<'a>(axes: &'a [usize], x: Array) -> Result<&'a [usize]> {
    let rank = x.shape.len();
    let beyond = axes.iter().find(|&&axis| axis >= rank);
    beyond.map_or(Ok(axes), |&axis| expect_that(false, OP, "axis", axis as f64, "an axis of x").map(|()| axes))
}
