//! The two kinds of elements of a convolution's operands. Only the innermost loops differ between them.

use super::in_place::Vectors;
use super::microkernel::MicroTile;
use super::params::{LINE, MR, mr};
use super::weight_tile::WeightTile;
use pulp::Simd;

/// The elements of both operands.
#[derive(Clone, Copy)]
pub(super) enum Elements {
    /// Numbers in single precision.
    Numbers,
    /// Pairs of bfloat16 numbers of two channels or two images, as wide as one number in single precision.
    Pairs(&'static PairKernels),
}

/// The most rows of a microtile.
pub(super) const ROWS_MAX: usize = 2 * LINE;

impl Elements {
    /// The rows of a full microtile, for outputs with so many columns.
    #[inline(always)]
    pub fn rows<S: Simd>(self, columns: usize) -> usize {
        match self {
            Self::Pairs(PairKernels { tile: Some(_), .. }) => ROWS_MAX,
            _ => mr::<S>(columns),
        }
    }

    /// The rows of a full tile of a weight's gradient.
    pub fn rows_of_weight(self) -> usize {
        if self.tile().is_some() { ROWS_MAX } else { MR }
    }

    /// The side of a tile: steps over k, and rows of a weight's gradient, are filled up to a multiple of it. 1 without
    /// tiles.
    pub fn side(self) -> usize {
        if self.tile().is_some() { LINE } else { 1 }
    }

    /// Calls `f` with this thread's tile registers set up, if the kernels use any.
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

/// The innermost loops for pairs, with vectors of 16 lanes. The processor must have the instructions that they use.
pub(super) struct PairKernels {
    /// If the loops read whole tiles of 16 x 16 pairs: patches are then always packed, and tiles are filled up with
    /// zeros.
    pub tile: Option<TileRegisters>,
    /// As `in_place::compute` for a microtile of rows and vectors, but without the epilogue. With tiles it reads the
    /// packed panel.
    pub multiply: unsafe fn(usize, usize, MicroTile, Vectors),
    /// As `WeightTile::by_size` for a number of rows.
    pub add_products: unsafe fn(usize, WeightTile),
}

/// How a thread sets up and releases its tile registers.
pub(super) struct TileRegisters {
    /// Called before kernels run.
    pub enter: fn(),
    /// Called after them, on the same thread.
    pub leave: fn(),
}
