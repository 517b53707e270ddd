//! What the elements of a convolution's operands are: all but the innermost loops is the same for each.

use super::in_place::Vectors;
use super::microkernel::MicroTile;

/// The elements of both operands.
#[derive(Clone, Copy)]
pub(super) enum Elements {
    /// Numbers in single precision.
    Numbers,
    /// Pairs of numbers, as wide as one of them, of two channels or two images.
    Pairs(&'static PairKernels),
}

/// The innermost loops for pairs, with vectors of 16, on a processor that has what they take.
pub(super) struct PairKernels {
    /// As `in_place::compute` for a microtile of rows and vectors, without its epilogue.
    pub multiply: unsafe fn(usize, usize, MicroTile, Vectors),
    /// As `WeightTile::by_size` for a number of rows.
    pub add_products: unsafe fn(usize, WeightTile),
}

/// Rows of gradients times vectors of the source, in registers while the outputs of some images run.
#[derive(Clone, Copy)]
pub(super) struct WeightTile<'a> {
    pub grad: *const f32,
    pub rs_grad: usize,
    pub images: usize,
    pub grid: [usize; 2],
    pub source: *const f32,
    /// From one image's gradients to the next one's, and from its source.
    pub of_image: [usize; 2],
    /// From one output's element of the source to the next in its row, and to that below.
    pub step: usize,
    pub jump: usize,
    pub vectors: &'a [usize],
    pub sums: *mut f32,
    pub rs_sums: usize,
}

impl WeightTile<'_> {
    /// The first of each image's gradients, and of its source.
    #[inline(always)]
    pub fn places(&self) -> impl Iterator<Item = [*const f32; 2]> + use<> {
        let (grad, source, [of_grad, of_source]) = (self.grad, self.source, self.of_image);
        (0..self.images).map(move |i| [grad.wrapping_add(i * of_grad), source.wrapping_add(i * of_source)])
    }
}
