//! What the kernel of a node is called with: attributes, arrays, and room in its pass.

use super::OP;
use crate::binary::Binary;
use crate::conv::TransformedWeight;
use crate::error::{KernelError, Result};
use crate::matmul::{PackedB, Precision};
use crate::pool::Span;
use crate::unary::Unary;
use ndarray::{ArrayView2, ArrayView3, ArrayViewMut2, ArrayViewMut3};

/// What an operation is told besides its inputs; each reads its own.
#[derive(Clone, Debug, Default)]
pub struct Attributes {
    /// Whether ReLU follows.
    pub relu: bool,
    /// Whether BatchNorm with running statistics comes before.
    pub norm: bool,
    /// Whether an input is added before ReLU.
    pub addend: bool,
    /// Whether a product is one in bfloat16.
    pub bfloat16: bool,
    /// Whether the statistics are the batch's own.
    pub training: bool,
    /// Added to a variance.
    pub eps: f64,
    /// The share of a batch's statistics in the running ones.
    pub momentum: f64,
    /// The chance to be dropped.
    pub p: f64,
    /// Axes, counted from 0: those that are reduced (none: all), the one that is sliced, the order of a permutation.
    pub axes: Option<Vec<usize>>,
    /// The first element of a slice.
    pub start: usize,
    /// A slice takes every `step`-th element.
    pub step: usize,
    /// Places along an axis.
    pub indices: Vec<i32>,
    /// Whether it is the logarithm.
    pub log: bool,
    /// What x is multiplied by.
    pub factor: f64,
    /// Added to x.
    pub offset: f64,
    /// How a convolution moves: stride, padding and dilation, each of rows and columns, and the groups.
    pub window: Vec<usize>,
    /// Whether bags become means.
    pub mean: bool,
    /// The id that stands for nothing in a bag.
    pub padding: Option<usize>,
    /// The windows of a pooling's rows of outputs.
    pub rows: Vec<Span>,
    /// The spans of its columns.
    pub columns: Vec<Span>,
    /// The row of the table of functions of one element; `factor` and `offset` are its parameters. Set by the name.
    pub unary: Option<Unary>,
    /// The row of the table of functions of two elements. Set by the name.
    pub binary: Option<Binary>,
}

impl Attributes {
    /// What the operands of its product are rounded to.
    pub(super) fn precision(&self) -> Precision {
        if self.bfloat16 { Precision::Bfloat16 } else { Precision::Float32 }
    }
}

/// What a node has of its pass besides its inputs and its output.
pub(super) struct Room<'a> {
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
    /// Rows, features and what lies behind a feature.
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
        _ => Err(KernelError::Shape { op: OP, what: "rank", got: vec![shape.len()], expected: vec![2] }),
    }
}

fn two(shape: &[usize]) -> Result<(usize, usize)> {
    match *shape {
        [rows, columns] => Ok((rows, columns)),
        _ => Err(KernelError::Shape { op: OP, what: "rank", got: vec![shape.len()], expected: vec![2] }),
    }
}
