//! What is applied to sums before C is written for the last time, while the microtile is still in L1: bias, norm, ReLU.

use super::mat::vector;
use pulp::Simd;
use std::ops::Range;

/// C = relu(norm(A B + bias) + addend), each part optional. The addend has C's shape and is passed separately.
#[derive(Clone, Copy, Default)]
pub(crate) struct Epilogue<'a> {
    /// Added to the sums.
    pub bias: Bias<'a>,
    /// The normalisation of rows.
    pub norm: Option<RowNorm<'a>>,
    /// Whether ReLU follows.
    pub relu: bool,
}

/// (x - mean) * inv_std * weight + bias with one of each per row: BatchNorm in eval mode, rounded as that kernel does.
#[derive(Clone, Copy)]
pub struct RowNorm<'a> {
    /// The mean.
    pub mean: &'a [f32],
    /// 1 / standard deviation.
    pub inv_std: &'a [f32],
    /// The scale.
    pub weight: &'a [f32],
    /// The shift.
    pub bias: &'a [f32],
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
    norm: Option<TileNorm>,
    relu: bool,
}

/// Pointers to mean, inv_std, weight and bias of the tile's first row.
type TileNorm = [*const f32; 4];

#[derive(Clone, Copy)]
enum TileBias {
    None,
    Rows(*const f32),
    /// One number per column, readable up to whole vectors.
    Columns(*const f32),
}

impl<'a> RowNorm<'a> {
    /// The part for these rows.
    pub(crate) fn rows(&self, rows: Range<usize>) -> Self {
        let [mean, inv_std, weight, bias] = self.arrays().map(|array| &array[rows.clone()]);
        Self { mean, inv_std, weight, bias }
    }

    /// Mean, inv_std, weight and bias of a row.
    pub(crate) fn row(&self, row: usize) -> [f32; 4] {
        self.arrays().map(|array| array[row])
    }

    /// Mean, inv_std, weight and bias of all rows.
    pub(crate) fn arrays(&self) -> [&'a [f32]; 4] {
        [self.mean, self.inv_std, self.weight, self.bias]
    }
}

impl<'a> Epilogue<'a> {
    /// The epilogue of the transposed product.
    pub(super) fn transposed(self) -> Self {
        let bias = match self.bias {
            Bias::None => Bias::None,
            Bias::Rows(bias) => Bias::Columns(bias),
            Bias::Columns(bias) => Bias::Rows(bias),
        };
        Self { bias, ..self }
    }

    /// The bias of these columns, if it has one number per column.
    #[inline(always)]
    pub(super) fn column_bias(&self, columns: Range<usize>) -> Option<&'a [f32]> {
        if let Bias::Columns(bias) = self.bias { Some(&bias[columns]) } else { None }
    }

    /// The part for a microtile of these rows. `columns` points to the bias of its columns, if there is one per column.
    #[inline(always)]
    pub(super) fn tile(&self, rows: Range<usize>, columns: *const f32) -> TileEpilogue {
        let bias = match self.bias {
            Bias::None => TileBias::None,
            Bias::Rows(bias) => TileBias::Rows(bias[rows.clone()].as_ptr()),
            Bias::Columns(_) => TileBias::Columns(columns),
        };
        let norm = self.norm.map(|norm| norm.rows(rows).arrays().map(<[f32]>::as_ptr));
        TileEpilogue { bias, norm, relu: self.relu }
    }
}

impl TileEpilogue {
    /// The epilogue of a microtile whose sums are not complete yet.
    pub const NONE: Self = Self { bias: TileBias::None, norm: None, relu: false };

    /// The same without ReLU.
    #[inline(always)]
    pub fn linear(self) -> Self {
        Self { relu: false, ..self }
    }

    /// Applies it to the sums that the microkernel has just written.
    ///
    /// # Safety
    /// `c` may be read and written at `rows` rows of whole vectors, and bias and norm cover them.
    #[inline(always)]
    pub unsafe fn apply<S: Simd>(self, simd: S, rows: usize, vectors: usize, c: *mut f32, rs_c: isize) {
        if !self.relu && matches!(self.bias, TileBias::None) && self.norm.is_none() {
            return;
        }
        let zero = simd.splat_f32s(0.0);
        for i in 0..rows {
            let [mut mean, mut inv_std, mut weight, mut shift] = [zero; 4];
            if let Some(arrays) = self.norm {
                // SAFETY: as promised by the caller.
                unsafe {
                    mean = simd.splat_f32s(*arrays[0].add(i));
                    inv_std = simd.splat_f32s(*arrays[1].add(i));
                    weight = simd.splat_f32s(*arrays[2].add(i));
                    shift = simd.splat_f32s(*arrays[3].add(i));
                }
            }
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
                    if self.norm.is_some() {
                        let scaled = simd.mul_f32s(simd.mul_f32s(simd.sub_f32s(sum, mean), inv_std), weight);
                        sum = simd.add_f32s(scaled, shift);
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
