//! Convolutions by AMX-BF16. Outputs are the product of the weight and packed panels of patches. The gradient of the
//! weight sums over outputs in blocks of 16, because a tile has 16 pairs:
//!
//! ```text
//!  gradients of 16 rows m, a block      source, channels last            sums
//!   m0: p0 p1 .. p15                     p0:  c0 c1 .. c15                m0: c0 c1 .. c15
//!   m1: p0 p1 .. p15             x       p1:  c0 c1 .. c15         =      m1: ..
//!   ..                                   ..
//! ```
//!
//! The 16 rows of the source's tile must be equally far apart. But a row of the padded source is longer than a row of
//! outputs. So the gradients are filled up with zeros: either by as many columns as the source has more, or until a row
//! of outputs is whole blocks, whichever takes fewer. The zeros are multiplied by elements that no output reads: if one
//! of these is infinite or NaN, the sum becomes NaN.

use super::super::conv_elements::{PairKernels, TileRegisters};
use super::super::conv_params::ConvParams;
use super::super::conv_weight::Gradients;
use super::super::in_place::Vectors;
use super::super::microkernel::MicroTile;
use super::super::params::LINE;
use super::super::weight_tile::WeightTile;
use super::super::with_scratch;
use super::amx::{self, Start, Strides};
use super::amx_unit::{self, SIDE};
use super::gemm::Tile;
use super::pack::{across, mask};
use crate::parallel::{self, Rows};
use ndarray::{ArrayView4, Axis};
use std::arch::x86_64::*;
use std::ptr::null;

/// The pairs of a tile.
const TILE: usize = SIDE * SIDE;
/// The least pairs that are worth a task.
const GRAIN: usize = 1 << 15;

/// The innermost loops of AMX-BF16.
pub static KERNELS: PairKernels = PairKernels {
    tile: Some(TileRegisters { enter: amx_unit::configure, leave: amx_unit::release }),
    multiply,
    add_products,
};

/// Computes a microtile, which is up to 2 tiles high, from a packed panel whose rows are filled up to whole tiles.
///
/// # Safety
/// As for `Kernel::compute`; the caller is between `enter` and `leave`.
unsafe fn multiply(rows: usize, vectors: usize, tile: MicroTile, _: Vectors) {
    let MicroTile { kc, a, b, c, rs_c, prefetch, .. } = tile;
    let (kp, columns) = (kc.next_multiple_of(SIDE), vectors * LINE);
    debug_assert_eq!((a.rs, a.cs), (kp as isize, 1));
    let (a, b) = (a.ptr.cast(), b.cast());
    let tile = Tile { kp, a, b, c, rs_c, columns, accumulate: false, bias: null(), relu: false, prefetch };
    // SAFETY: as promised by the caller.
    unsafe { (amx::KERNEL.compute)(rows, vectors, tile) };
}

/// Adds the products of pairs of images to the sums, which are whole tiles.
///
/// # Safety
/// As for `WeightTile::by_size`; the caller is between `enter` and `leave`, and the gradients are tiles.
unsafe fn add_products(rows: usize, tile: WeightTile) {
    for first in (0..tile.vectors.len()).step_by(2) {
        // SAFETY: as promised by the caller.
        unsafe {
            match (rows.div_ceil(SIDE), &tile.vectors[first..]) {
                (1, [vector]) => add::<1, 1>(tile, first, [*vector; 2]),
                (1, [vector, beside, ..]) => add::<1, 2>(tile, first, [*vector, *beside]),
                (2, [vector]) => add::<2, 1>(tile, first, [*vector; 2]),
                (2, [vector, beside, ..]) => add::<2, 2>(tile, first, [*vector, *beside]),
                (rows, _) => unreachable!("no {rows} tiles below each other"),
            }
        }
    }
}

/// # Safety
/// As `add_products`.
unsafe fn add<const R: usize, const V: usize>(tile: WeightTile, first: usize, vectors: [usize; 2]) {
    let WeightTile { step, jump, pitch, grid: [height, _], .. } = tile;
    // Rows of outputs that are adjacent in the source, too, are taken as one.
    let (rows, blocks) =
        if pitch * step == jump { (1, (height * pitch).div_ceil(SIDE)) } else { (height, pitch / SIDE) };
    let blocks = |y: usize| (0..blocks).map(move |block| (y * blocks + block, y * jump + block * SIDE * step));
    let steps = tile.places().flat_map(|[grad, source]| {
        (0..rows).flat_map(blocks).map(move |(block, at)| {
            let source = source.wrapping_add(at);
            (grad.wrapping_add(block * TILE).cast(), vectors.map(|vector| source.wrapping_add(vector).cast()))
        })
    });
    let strides = Strides { a: SIDE, below: SIDE * tile.rs_grad, b: step, c: tile.rs_sums };
    // SAFETY: as promised by the caller.
    unsafe { amx::multiply::<R, V>(steps, strides, Start::Sums, tile.sums.add(first * LINE)) };
}

/// Calls `f` with the gradients of pairs of images as tiles: for each 16 rows m, one block of outputs after the other.
pub fn with_tiles(grad: &ArrayView4<f32>, params: ConvParams, kernel: [usize; 2], f: impl FnOnce(Gradients)) {
    let (images, m, height, width) = grad.dim();
    let (pairs, columns) = (images.div_ceil(2), params.extent([height, width], kernel)[1]);
    let whole = width.next_multiple_of(SIDE);
    let pitch = if params.stride == [1, 1] && columns <= whole { columns } else { whole };
    let plane = (height * pitch).next_multiple_of(SIDE);
    let (tiles, image) = (Tiles { m, height, width, pitch, plane }, m.next_multiple_of(SIDE) * plane);
    with_scratch(pairs * image, |data| {
        parallel::for_each(Rows(&mut *data, image), (GRAIN / image).max(1), |first, Rows(to, _)| {
            for (i, to) in to.chunks_exact_mut(image).enumerate() {
                let n = 2 * (first + i);
                let of_image = |n: usize| grad.index_axis(Axis(0), n).as_ptr();
                let second = (n + 1 < images).then(|| of_image(n + 1));
                // SAFETY: the channels of an image are adjacent, `to` is this long, and the processor has the unit.
                unsafe { tiles.fill(of_image(n), second, to) };
            }
        });
        f(Gradients { data: data.as_ptr(), shape: [pairs, m, height, width], image, plane, pitch });
    });
}

/// How the gradients of `m` output channels are laid out in tiles.
#[derive(Clone, Copy)]
struct Tiles {
    m: usize,
    height: usize,
    width: usize,
    /// The distance from one row of outputs to the next.
    pitch: usize,
    /// The length of a plane, in whole blocks, zeros included.
    plane: usize,
}

impl Tiles {
    /// Writes the pairs of two images, or of one image and zeros.
    ///
    /// # Safety
    /// The images have the outputs, one after the other, `to` has room, and the processor has AVX512-BF16.
    #[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
    unsafe fn fill(self, first: *const f32, second: Option<*const f32>, to: &mut [f32]) {
        let Self { m, height, width, pitch, plane } = self;
        if to.len() > m * height * width {
            to.fill(0.0);
        }
        let all = [!0, if second.is_some() { !0 } else { 0 }];
        let images = [first, second.unwrap_or(first)];
        for i in 0..m {
            let row = to.as_mut_ptr().wrapping_add(i / SIDE * SIDE * plane + i % SIDE * SIDE);
            for y in 0..height {
                let mut x = 0;
                while x < width {
                    let (place, from) = (y * pitch + x, (i * height + y) * width + x);
                    let count = (width - x).min(SIDE - place % SIDE);
                    let some = mask(count);
                    let row = row.wrapping_add(place / SIDE * TILE + place % SIDE).cast();
                    // SAFETY: as promised by the caller; the masks keep to the row of outputs, and to the tile's.
                    unsafe {
                        let from = [images[0].add(from), images[1].add(from)];
                        _mm512_mask_storeu_epi32(row, some, across(from, [all[0] & some, all[1] & some]));
                    }
                    x += count;
                }
            }
        }
    }
}
