//! What the elements of a convolution's operands are: all but the innermost loops is the same for each.

use super::in_place::Vectors;
use super::microkernel::MicroTile;
use super::params::{LINE, MR, mr};
use pulp::Simd;

/// The elements of both operands.
#[derive(Clone, Copy)]
pub(super) enum Elements {
    /// Numbers in single precision.
    Numbers,
    /// Pairs of numbers, as wide as one of them, of two channels or two images.
    Pairs(&'static PairKernels),
}

/// Rows of a microtile, at most.
pub(super) const ROWS_MAX: usize = 2 * LINE;

impl Elements {
    /// Rows of a full microtile of so many columns of outputs.
    #[inline(always)]
    pub fn rows<S: Simd>(self, columns: usize) -> usize {
        match self {
            Self::Pairs(PairKernels { tile: Some(_), .. }) => ROWS_MAX,
            _ => mr::<S>(columns),
        }
    }

    /// Rows of a full tile of the gradient of a weight.
    pub fn rows_of_weight(self) -> usize {
        if self.tile().is_some() { ROWS_MAX } else { MR }
    }

    /// What steps over k, and rows of the gradient of a weight, are filled up to a multiple of: the side of a tile.
    pub fn side(self) -> usize {
        if self.tile().is_some() { LINE } else { 1 }
    }

    /// Calls `f` while this thread's registers are set up.
    #[inline(always)]
    pub fn with_registers(self, f: impl FnOnce()) {
        if let Some(tile) = self.tile() {
            (tile.enter)();
            f();
            (tile.leave)();
        } else {
            f();
        }
    }

    #[inline(always)]
    fn tile(self) -> Option<&'static TileRegisters> {
        if let Self::Pairs(PairKernels { tile, .. }) = self { tile.as_ref() } else { None }
    }
}

/// The innermost loops for pairs, with vectors of 16, on a processor that has what they take.
pub(super) struct PairKernels {
    /// If they read whole tiles of 16 x 16 pairs: patches are then packed, and what fills tiles up is zero.
    pub tile: Option<TileRegisters>,
    /// As `in_place::compute` for a microtile of rows and vectors, without its epilogue. Tiles read the packed panel.
    pub multiply: unsafe fn(usize, usize, MicroTile, Vectors),
    /// As `WeightTile::by_size` for a number of rows.
    pub add_products: unsafe fn(usize, WeightTile),
}

/// How a thread's tiles are set up.
pub(super) struct TileRegisters {
    /// Called before kernels run.
    pub enter: fn(),
    /// Called after them, on the same thread.
    pub leave: fn(),
}

/// Rows of gradients times vectors of the source, in registers while the outputs of some images run.
#[derive(Clone, Copy)]
pub(super) struct WeightTile<'a> {
    pub grad: *const f32,
    pub rs_grad: usize,
    /// From one row of outputs to the next in the gradients.
    pub pitch: usize,
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
