//! What is done to C in its last write: bias and ReLU, while the microtile is still in L1.

use super::mat::vector;
use pulp::Simd;
use std::ops::Range;

/// C = relu(A B + bias), or less of it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Epilogue<'a> {
    /// What is added.
    pub bias: Bias<'a>,
    /// Whether ReLU follows.
    pub relu: bool,
}

/// A bias of C.
#[derive(Clone, Copy, Default)]
pub(crate) enum Bias<'a> {
    /// None.
    #[default]
    None,
    /// One number per row.
    Rows(&'a [f32]),
    /// One number per column.
    Columns(&'a [f32]),
}

/// The epilogue of one microtile.
#[derive(Clone, Copy)]
pub(super) struct TileEpilogue {
    bias: TileBias,
    relu: bool,
}

#[derive(Clone, Copy)]
enum TileBias {
    None,
    Rows(*const f32),
    /// Readable up to whole vectors.
    Columns(*const f32),
}

impl<'a> Epilogue<'a> {
    /// The same for the transposed product.
    pub(super) fn transposed(self) -> Self {
        let bias = match self.bias {
            Bias::None => Bias::None,
            Bias::Rows(bias) => Bias::Columns(bias),
            Bias::Columns(bias) => Bias::Rows(bias),
        };
        Self { bias, ..self }
    }

    /// The bias of some columns, if it is one by column.
    #[inline(always)]
    pub(super) fn column_bias(&self, columns: Range<usize>) -> Option<&'a [f32]> {
        if let Bias::Columns(bias) = self.bias { Some(&bias[columns]) } else { None }
    }

    /// The part for a microtile of these rows; `columns` points to the bias of its columns, if it is one by column.
    #[inline(always)]
    pub(super) fn tile(&self, rows: Range<usize>, columns: *const f32) -> TileEpilogue {
        let bias = match self.bias {
            Bias::None => TileBias::None,
            Bias::Rows(bias) => TileBias::Rows(bias[rows].as_ptr()),
            Bias::Columns(_) => TileBias::Columns(columns),
        };
        TileEpilogue { bias, relu: self.relu }
    }
}

impl TileEpilogue {
    /// Of a microtile whose sums are not complete yet.
    pub const NONE: Self = Self { bias: TileBias::None, relu: false };

    /// Applies it to the sums that the microkernel has just written.
    ///
    /// # Safety
    /// `c` may be read and written at `rows` rows of whole vectors, and the bias covers them.
    #[inline(always)]
    pub unsafe fn apply<S: Simd>(self, simd: S, rows: usize, vectors: usize, c: *mut f32, rs_c: isize) {
        if !self.relu && matches!(self.bias, TileBias::None) {
            return;
        }
        let zero = simd.splat_f32s(0.0);
        for i in 0..rows {
            for j in 0..vectors {
                let at = vector::<S>(c.wrapping_offset(i as isize * rs_c), j).cast_mut();
                // SAFETY: as promised by the caller.
                unsafe {
                    let mut sum = at.read_unaligned();
                    match self.bias {
                        TileBias::None => (),
                        TileBias::Rows(bias) => sum = simd.add_f32s(sum, simd.splat_f32s(*bias.add(i))),
                        TileBias::Columns(bias) => sum = simd.add_f32s(sum, vector::<S>(bias, j).read_unaligned()),
                    }
                    if self.relu {
                        sum = simd.select_f32s(simd.less_than_or_equal_f32s(sum, zero), zero, sum);
                    }
                    at.write_unaligned(sum);
                }
            }
        }
    }
}
