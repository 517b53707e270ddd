//! The kernel of a node, and what it is called with: arrays, and a workspace.

use super::wrong_rank;
use crate::conv::{self, TransformedWeight};
use crate::error::Result;
use crate::matmul::{PackedB, Precision};
use ndarray::{ArrayView2, ArrayView3, ArrayViewMut2, ArrayViewMut3};
use std::ops::RangeInclusive;

/// Computes the output of a node.
type Kernel = Box<dyn Fn(&[Array], ArrayMut, Workspace) -> Result<()> + Send + Sync>;

/// An operation that has read its attributes.
pub(super) struct Op {
    pub kernel: Kernel,
    /// How many inputs it has.
    pub arity: RangeInclusive<usize>,
    /// The probability of dropout, if it draws a mask.
    pub drop_chance: Option<f64>,
    /// The momentum of the running statistics, if it normalises by the batch.
    pub momentum: Option<f32>,
    /// The precision of its product, whose weight is its second input.
    pub product: Option<Precision>,
    /// Stride, padding, dilation and groups of a convolution in single precision.
    pub window: Option<Vec<usize>>,
}

/// An operation of so many inputs.
pub(super) fn op(
    arity: RangeInclusive<usize>,
    kernel: impl Fn(&[Array], ArrayMut, Workspace) -> Result<()> + Send + Sync + 'static,
) -> Op {
    Op { kernel: Box::new(kernel), arity, drop_chance: None, momentum: None, product: None, window: None }
}

impl Op {
    /// The weight of a convolution of an x in this shape, transformed, if that is how it is computed.
    pub fn transformed(&self, x: &[usize], weight: &[usize], data: &[f32]) -> Result<Option<TransformedWeight>> {
        let Some(window) = &self.window else { return Ok(None) };
        conv::transform(&conv::Shape::of(x, weight, window)?, data)
    }
}

/// What a node gets from its pass besides inputs and output.
pub(super) struct Workspace<'a> {
    pub mask: Option<&'a mut [u8]>,
    pub moments: &'a mut [f64],
    pub scratch: &'a mut [Vec<f32>; 3],
    /// The node's weight, if it was packed.
    pub packed: Option<&'a Packed>,
}

/// A constant weight as its product reads it.
pub(super) enum Packed {
    /// Of a linear layer.
    Matrix(PackedB),
    /// Of a convolution.
    Kernel(TransformedWeight),
}

/// An array that is read.
#[derive(Clone, Copy)]
pub(super) struct Array<'a> {
    pub shape: &'a [usize],
    pub data: &'a [f32],
}

/// An array that is written.
pub(super) struct ArrayMut<'a> {
    pub shape: &'a [usize],
    pub data: &'a mut [f32],
}

impl<'a> Array<'a> {
    /// The array as [rows, features, length].
    pub fn planes(&self) -> Result<ArrayView3<'a, f32>> {
        Ok(ArrayView3::from_shape(three(self.shape)?, self.data).expect("as long as its shape says"))
    }

    pub fn matrix(&self) -> Result<ArrayView2<'a, f32>> {
        let (rows, columns) = two(self.shape)?;
        Ok(ArrayView2::from_shape((rows, columns), self.data).expect("as long as its shape says"))
    }
}

impl<'a> ArrayMut<'a> {
    pub fn planes(self) -> Result<ArrayViewMut3<'a, f32>> {
        Ok(ArrayViewMut3::from_shape(three(self.shape)?, self.data).expect("as long as its shape says"))
    }

    pub fn matrix(self) -> Result<ArrayViewMut2<'a, f32>> {
        let (rows, columns) = two(self.shape)?;
        Ok(ArrayViewMut2::from_shape((rows, columns), self.data).expect("as long as its shape says"))
    }
}

fn three(shape: &[usize]) -> Result<[usize; 3]> {
    match *shape {
        [rows, features, ref rest @ ..] => Ok([rows, features, rest.iter().product()]),
        _ => Err(wrong_rank(shape, 2)),
    }
}

fn two(shape: &[usize]) -> Result<(usize, usize)> {
    match *shape {
        [rows, columns] => Ok((rows, columns)),
        _ => Err(wrong_rank(shape, 2)),
    }
}
