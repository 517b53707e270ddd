//! Microtiles of a convolution without packed patches. If each vector of columns is adjacent in the source, the
//! microkernel reads it there, at the offset of each row of patches. The sums and their order are those of the packed
//! form.

use super::mat::{MatRef, vector};
use super::microkernel::{MicroTile, by_size};
use super::params::NR_VECTORS;
use super::patches::Segment;
use pulp::Simd;

/// Where the vectors of a panel are in the source.
#[derive(Clone, Copy)]
pub(super) struct Vectors<'a> {
    /// Where each vector begins in the first row of patches.
    columns: [*const f32; NR_VECTORS],
    /// The distance of each row of patches from the first.
    offsets: &'a [usize],
}

impl<'a> Vectors<'a> {
    /// The vectors of segments. `None` if a segment is not whole vectors; the last one may end with a part of a vector
    /// if the rest may be read.
    #[inline(always)]
    pub fn of<S: Simd>(
        source: *const f32,
        offsets: &'a [usize],
        segments: &[Segment],
        may_read_on: bool,
    ) -> Option<Self> {
        let mut columns = [std::ptr::null(); NR_VECTORS];
        for (i, segment) in segments.iter().enumerate() {
            let may_end = may_read_on && i + 1 == segments.len();
            if segment.column % S::F32_LANES != 0 || segment.len % S::F32_LANES != 0 && !may_end {
                return None;
            }
            for i in 0..segment.len.div_ceil(S::F32_LANES) {
                columns[segment.column / S::F32_LANES + i] = source.wrapping_add(segment.at + i * S::F32_LANES);
            }
        }
        Some(Self { columns, offsets })
    }

    /// The same vectors with other offsets of the rows.
    #[inline(always)]
    pub fn at<'b>(self, offsets: &'b [usize]) -> Vectors<'b> {
        Vectors { columns: self.columns, offsets }
    }

    /// The vectors of a packed panel, which are adjacent; its rows are at these offsets.
    #[inline(always)]
    pub fn packed<S: Simd>(panel: *const f32, offsets: &'a [usize]) -> Self {
        let columns = std::array::from_fn(|j| panel.wrapping_add(j * S::F32_LANES));
        Self { columns, offsets }
    }

    /// Where each vector begins in the first row of patches.
    #[inline(always)]
    pub fn columns(&self) -> &[*const f32; NR_VECTORS] {
        &self.columns
    }

    /// The distance of each row of patches from the first.
    #[inline(always)]
    pub fn offsets(&self) -> &'a [usize] {
        self.offsets
    }
}

/// Computes a microtile of any size up to the full one, and applies its epilogue. Reads `b` instead of `tile.b`.
///
/// # Safety
/// As for `microkernel::compute`, with the vectors at `b`.
#[inline(always)]
pub(super) unsafe fn compute<S: Simd>(simd: S, rows: usize, vectors: usize, tile: MicroTile, b: Vectors) {
    // SAFETY: as promised by the caller.
    by_size!(rows, vectors, |R, V| unsafe { run::<S, R, V>(simd, tile, b) });
    // SAFETY: as promised by the caller.
    unsafe { tile.epilogue.apply(simd, rows, vectors, tile.c, tile.rs_c) };
}

/// # Safety
/// As `compute`.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "counted loops are unrolled, which keeps the sums in registers")]
unsafe fn run<S: Simd, const R: usize, const V: usize>(simd: S, tile: MicroTile, b: Vectors) {
    let MicroTile { a: MatRef { mut ptr, rs, cs }, c, rs_c, accumulate, .. } = tile;
    // SAFETY: the caller's promise covers every element that is read or written.
    unsafe {
        for (part, offsets) in b.offsets.chunks(tile.kc_sum).enumerate() {
            let mut sums = [[simd.splat_f32s(0.0); V]; R];
            for &offset in offsets {
                let mut columns = [simd.splat_f32s(0.0); V];
                for j in 0..V {
                    columns[j] = b.columns[j].add(offset).cast::<S::f32s>().read_unaligned();
                }
                for i in 0..R {
                    let x = simd.splat_f32s(*ptr.offset(i as isize * rs));
                    for j in 0..V {
                        sums[i][j] = simd.mul_add_f32s(x, columns[j], sums[i][j]);
                    }
                }
                ptr = ptr.wrapping_offset(cs);
            }
            for i in 0..R {
                for j in 0..V {
                    let to = vector::<S>(c.offset(i as isize * rs_c), j).cast_mut();
                    to.write_unaligned(if part == 0 && !accumulate {
                        sums[i][j]
                    } else {
                        simd.add_f32s(to.read_unaligned(), sums[i][j])
                    });
                }
            }
        }
    }
}
