//! The gradient of the weight. The transformed source has channels last, so that tiles are the rows of a product's
//! right side.
//!
//! Images are summed in groups, and the groups in order: how many there are depends on the shape alone, so the bits do
//! not depend on the threads.

use super::taps;
use super::transforms::{both_axes, load, of_outputs, of_source, store};
use super::{CHANNELS_MIN_WEIGHT, ELEMS, Products, TILES_MIN_WEIGHT, depth, pays, tiles};
use crate::matmul::conv_weight::ConvParams;
use crate::matmul::mat::MatRef;
use crate::matmul::pack;
use crate::matmul::params::{LINE, MR, threads_for};
use crate::matmul::patches::Images;
use crate::matmul::runs::{copy_of_pairs, zero};
use crate::parallel::{self, Rows};
use crate::prefetch::into_l2;
use ndarray::{ArrayView4, ArrayViewMut4};
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

/// Groups of images, at most.
const GROUPS: usize = 16;
/// Elements of all groups' sums together, about: 16 MiB.
const SUMS: usize = 1 << 22;
/// Elements of V and W of a block together, about, if these are enough tiles: a 1 MiB L2.
const BLOCK_ELEMS: usize = 1 << 18;
/// Tiles of a block, about, at least: less would read and write the sums too often.
const BLOCK_TILES_MIN: usize = 128;

/// The gradient as `conv_weight::weight_gradient` has it, if the kernel is one of 3 x 3 that moves by 1, and if the
/// sizes pay. Gives whether it did.
pub(in crate::matmul) fn weight_gradient(
    grad: ArrayView4<f32>,
    x: ArrayView4<f32>,
    params: ConvParams,
    grad_weight: &mut ArrayViewMut4<f32>,
) -> bool {
    let ((images, m, height, width), channels) = (grad.dim(), x.dim().1);
    let ConvParams { stride, padding, dilation } = params;
    let fits = grad_weight.shape()[2..] == [3, 3] && stride == [1, 1] && dilation == [1, 1];
    let pays = pays([channels, m], [height, width], CHANNELS_MIN_WEIGHT, TILES_MIN_WEIGHT);
    if !fits || padding.iter().any(|&padding| padding > 2) || !pays {
        return false;
    }
    let (grad, source) = (Images::new(&grad), Images::new(&x));
    let call = Gradient { grad, source, images, m, grid: [height, width], padding };
    let grad_weight = grad_weight.as_slice_mut().expect("a contiguous gradient");
    Arch::new().dispatch(Whole { call, grad_weight });
    true
}

#[derive(Clone, Copy)]
struct Gradient {
    grad: Images,
    source: Images,
    images: usize,
    m: usize,
    grid: [usize; 2],
    padding: [usize; 2],
}

/// How tiles are divided into blocks: of some images, or of rows of one.
#[derive(Clone, Copy)]
struct Blocks {
    images: usize,
    rows: usize,
    groups: usize,
}

impl Gradient {
    fn tiles(&self) -> [usize; 2] {
        tiles(self.grid)
    }

    fn blocks(&self) -> Blocks {
        let (channels, depth) = depth(self.source.channels);
        let [down, across] = self.tiles();
        let tiles = (BLOCK_ELEMS / (ELEMS * (channels + self.m))).max(BLOCK_TILES_MIN);
        let images = (tiles / (down * across)).clamp(1, self.images);
        let rows = (tiles / across).clamp(1, down);
        // A power of two, which threads can share.
        let groups = 1 << (SUMS / (self.m * depth)).clamp(1, GROUPS).min(self.images.div_ceil(images)).ilog2();
        Blocks { images, rows, groups }
    }
}

struct Whole<'a> {
    call: Gradient,
    grad_weight: &'a mut [f32],
}

impl WithSimd for Whole<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { call, grad_weight } = self;
        let (channels, m) = (call.source.channels, call.m);
        let (pitch, depth) = depth(channels);
        let blocks = call.blocks();
        let [down, across] = call.tiles();
        let work = m * pitch * call.images * down * across * ELEMS;
        let threads = threads_for(work);
        // A task is a part of the rows of a group, of which each computes V.
        let parts = threads.div_ceil(blocks.groups).min(m.div_ceil(MR));
        let part = m.div_ceil(parts).next_multiple_of(MR);
        pack::with_scratch(blocks.groups * m * depth, |sums| {
            let mut pieces: Vec<_> = sums
                .chunks_mut(m * depth)
                .enumerate()
                .flat_map(|(group, sums)| {
                    let images = group * call.images / blocks.groups..(group + 1) * call.images / blocks.groups;
                    let rows = (0..m).step_by(part).map(move |first| first..m.min(first + part));
                    rows.zip(sums.chunks_mut(part * depth)).map(move |(rows, sums)| (images.clone(), rows, sums))
                })
                .collect();
            let grain = if threads == 1 { pieces.len() } else { 1 };
            let layout = BufferLayout::of(&call, &blocks, part);
            parallel::for_each(&mut pieces[..], grain, |_, pieces| {
                pack::with_buffer(layout.len(), |buffer| {
                    for (images, rows, sums) in pieces {
                        let (images, rows) = (images.clone(), rows.clone());
                        simd.vectorize(Group { call, blocks, layout, images, rows, sums, buffer });
                    }
                });
            });
            let grain = if threads == 1 { m } else { (1 << 12) / channels + 1 };
            parallel::for_each(Rows(grad_weight, channels * 9), grain, |first, Rows(out, _)| {
                pack::with_scratch(9 * pitch, |taps| {
                    simd.vectorize(taps::Gradient { sums, group: m * depth, channels, first, out, taps });
                });
            });
        });
    }
}

/// Where a group's arrays lie in its buffer.
#[derive(Clone, Copy)]
struct BufferLayout {
    /// From one element of V to the next.
    of_v: usize,
    /// From one row of W to the next, and from one element to the next.
    row: usize,
    of_w: usize,
    /// Of the source with channels last, with its padding: from one row to the next, and its length.
    padded_row: usize,
    padded: usize,
    /// From one to the next of the four elements of the tiles' gradients, each side by side.
    quarter: usize,
}

impl BufferLayout {
    fn of(call: &Gradient, blocks: &Blocks, rows: usize) -> Self {
        let channels = call.source.channels;
        let (pitch, _) = depth(channels);
        let across = call.tiles()[1];
        let tiles = blocks.images * blocks.rows * across;
        // What is behind the last tile, or channel, may be left over, is read, and never used.
        let row = tiles.next_multiple_of(LINE) + LINE;
        let padded_row = (2 * across + 2) * channels;
        let padded = padded_row * (2 * blocks.rows + 2) + LINE;
        let quarter = (blocks.rows * across).next_multiple_of(LINE) + LINE;
        Self { of_v: tiles * pitch + LINE, row, of_w: rows * row + LINE, padded_row, padded, quarter }
    }

    fn len(&self) -> usize {
        ELEMS * (self.of_v + self.of_w) + self.padded.next_multiple_of(LINE) + 4 * self.quarter
    }
}

/// Some images' part of some rows of the sums.
struct Group<'a> {
    call: Gradient,
    blocks: Blocks,
    layout: BufferLayout,
    images: Range<usize>,
    rows: Range<usize>,
    sums: &'a mut [f32],
    buffer: *mut f32,
}

impl WithSimd for Group<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let Self { call, blocks, layout, .. } = self;
        let [down, _] = call.tiles();
        let v = self.buffer;
        let w = v.wrapping_add(ELEMS * layout.of_v);
        let padded = w.wrapping_add(ELEMS * layout.of_w);
        let quarters = padded.wrapping_add(layout.padded.next_multiple_of(LINE));
        let mut is_first = true;
        for first in self.images.clone().step_by(blocks.images) {
            let images = first..self.images.end.min(first + blocks.images);
            for top in (0..down).step_by(blocks.rows) {
                let tiles = top..down.min(top + blocks.rows);
                // SAFETY: the buffer has room for all of them.
                unsafe {
                    self.transform_source(simd, images.clone(), tiles.clone(), padded, v);
                    self.transform_gradient(simd, images.clone(), tiles.clone(), quarters, w);
                    let count = images.len() * tiles.len() * call.tiles()[1];
                    self.multiply(simd, count, [w, v], !is_first);
                }
                is_first = false;
            }
        }
    }
}

impl Group<'_> {
    /// V[element][tile][channel] of the tiles of some rows of some images.
    ///
    /// # Safety
    /// There is room for the padded source and for V.
    #[inline(always)]
    unsafe fn transform_source<S: Simd>(
        &self,
        simd: S,
        images: Range<usize>,
        tiles: Range<usize>,
        padded: *mut f32,
        v: *mut f32,
    ) {
        let Self { call: Gradient { source, padding: [top, left], .. }, layout, .. } = *self;
        let across = self.call.tiles()[1];
        let (pitch, _) = depth(source.channels);
        // SAFETY: there is room.
        unsafe { std::slice::from_raw_parts_mut(padded, layout.padded).fill(0.0) };
        // The rows of the padded source that exist.
        let above = top.saturating_sub(2 * tiles.start);
        let from = (2 * tiles.start).saturating_sub(top);
        let end = source.height.min((2 * tiles.end + 2).saturating_sub(top));
        let columns = source.width.min(2 * across + 2 - left);
        let inside = padded.wrapping_add(above * layout.padded_row + left * source.channels);
        for (i, n) in images.enumerate() {
            // SAFETY: the elements exist, and lie inside the padded source; so do whole vectors, with the line behind
            // it.
            unsafe {
                source.copy_channels_last::<S>(n, from..end, columns, inside, layout.padded_row);
                for tile in 0..tiles.len() * across {
                    let at = 2 * (tile / across) * layout.padded_row + 2 * (tile % across) * source.channels;
                    let from = padded.wrapping_add(at).cast_const();
                    let to = v.wrapping_add((i * tiles.len() * across + tile) * pitch);
                    for c in (0..source.channels).step_by(S::F32_LANES) {
                        both_axes!(
                            simd, of_source, 4 -> 4,
                            |i, j| load::<S>(from.wrapping_add(i * layout.padded_row + j * source.channels + c)),
                            |k, l, x| store::<S>(to.wrapping_add((4 * k + l) * layout.of_v + c), x)
                        );
                    }
                }
            }
        }
    }

    /// W[element][row][tile] of the same.
    ///
    /// # Safety
    /// There is room for the parts of the gradient and for W.
    #[inline(always)]
    unsafe fn transform_gradient<S: Simd>(
        &self,
        simd: S,
        images: Range<usize>,
        tiles: Range<usize>,
        quarters: *mut f32,
        w: *mut f32,
    ) {
        let Self { call: Gradient { grad, grid: [height, width], .. }, layout, .. } = *self;
        let across = self.call.tiles()[1];
        let count = tiles.len() * across;
        for (row, m) in self.rows.clone().enumerate() {
            for (i, n) in images.clone().enumerate() {
                let from = grad.data.wrapping_add(n * grad.image + m * grad.plane + 2 * tiles.start * width);
                // Planes are apart, so that hardware prefetchers begin anew with each.
                into_l2(from.wrapping_add(grad.plane), (2 * tiles.len()).min(height - 2 * tiles.start) * width);
                // SAFETY: the elements exist; there is room for whole vectors.
                unsafe {
                    for y in 0..2 * tiles.len() {
                        let from = from.wrapping_add(y * width);
                        let [even, odd] =
                            [0, 1].map(|x| quarters.wrapping_add((y % 2 * 2 + x) * layout.quarter + y / 2 * across));
                        if 2 * tiles.start + y >= height {
                            zero(simd, even, across);
                            zero(simd, odd, across);
                            continue;
                        }
                        copy_of_pairs::<0>(from, even, width / 2);
                        copy_of_pairs::<1>(from, odd, width / 2);
                        if width % 2 == 1 {
                            *even.add(across - 1) = *from.add(width - 1);
                            *odd.add(across - 1) = 0.0;
                        }
                    }
                    let to = w.wrapping_add(row * layout.row + i * count);
                    for at in (0..count).step_by(S::F32_LANES) {
                        both_axes!(
                            simd, of_outputs, 2 -> 4,
                            |i, j| load::<S>(quarters.wrapping_add((2 * i + j) * layout.quarter + at)),
                            |k, l, x| store::<S>(to.wrapping_add((4 * k + l) * layout.of_w + at), x)
                        );
                    }
                }
            }
        }
    }

    /// Adds the products of so many tiles to the sums or, if not, sets these.
    ///
    /// # Safety
    /// W and V are as above.
    #[inline(always)]
    unsafe fn multiply<S: Simd>(&mut self, simd: S, count: usize, [w, v]: [*const f32; 2], accumulate: bool) {
        let Self { call, layout, ref rows, .. } = *self;
        let (pitch, depth) = depth(call.source.channels);
        let offsets: Vec<usize> = (0..count).map(|tile| tile * pitch).collect();
        let products = Products {
            rows: rows.len(),
            columns: pitch,
            a: (MatRef { ptr: w, rs: layout.row as isize, cs: 1 }, layout.of_w),
            b: (v, layout.of_v),
            offsets: &offsets,
            kc_sum: count,
            c: (self.sums.as_mut_ptr(), pitch),
            rs_c: depth,
            accumulate,
        };
        // SAFETY: rows and columns lie inside of the operands and the sums.
        unsafe { products.compute(simd) };
    }
}
