//! The gradient of the weight. Both transformed arrays have channels last, so a product sums over tiles.
//!
//! Images are summed in groups, and the groups in order. The number of groups depends on the shape alone, so the bits
//! do not depend on the number of threads.

use super::ahead::Ahead;
use super::taps::{self, depth};
use super::tiles::{self, Tiles, Transformed, scratch_len};
use super::transforms::{OfOutputs, OfSource};
use super::{ELEMS, Element, Form, Products, SIDE, padded};
use crate::matmul::conv_params::ConvParams;
use crate::matmul::mat::MatRef;
use crate::matmul::pack;
use crate::matmul::params::{LINE, MR, threads_for};
use crate::matmul::patches::Images;
use crate::parallel::{self, Rows};
use ndarray::{ArrayView4, ArrayViewMut4};
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

/// Only stride 1: with stride 2, tiles take longer than direct sums.
const FORM: Form = Form::Dense;

/// The most groups of images.
const GROUPS: usize = 16;
/// The intended size of all groups' sums together, in elements: 8 MiB.
const SUMS: usize = 1 << 21;
/// The intended size of V and W of a block together, in elements: a 1 MiB L2. It is exceeded for `BLOCK_TILES_MIN`.
const BLOCK_ELEMS: usize = 1 << 18;
/// The intended minimum of tiles in a block: with fewer, the sums would be read and written too often.
const BLOCK_TILES_MIN: usize = 64;

/// How many tiles are summed in one accumulator; short for the reason of `SUM` in `convolve.rs`.
const SUM: usize = 32;

/// Computes the gradient as `conv_weight::weight_gradient` does if the kernel is 3 x 3 with stride 1 and tiles pay off
/// at these sizes. Otherwise writes nothing and returns false.
pub(in crate::matmul) fn weight_gradient(
    grad: ArrayView4<f32>,
    x: ArrayView4<f32>,
    params: ConvParams,
    grad_weight: &mut ArrayViewMut4<f32>,
) -> bool {
    let ((images, m, height, width), channels) = (grad.dim(), x.dim().1);
    let ConvParams { stride, padding, dilation } = params;
    let fits = grad_weight.shape()[2..] == [3, 3] && stride == [1, 1] && dilation == [1, 1];
    let pays = FORM.pays([channels, m], [height, width]);
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

/// How tiles are divided into blocks: a block has some images, or some rows of one.
#[derive(Clone, Copy)]
struct Blocks {
    images: usize,
    rows: usize,
    groups: usize,
}

impl Gradient {
    fn tiles(&self) -> [usize; 2] {
        FORM.tiles(self.grid)
    }

    fn blocks(&self) -> Blocks {
        let [down, across] = self.tiles();
        let tiles = (BLOCK_ELEMS / (ELEMS * (padded(self.source.channels) + padded(self.m)))).max(BLOCK_TILES_MIN);
        let images = (tiles / (down * across)).clamp(1, self.images);
        let rows = (tiles / across).clamp(1, down);
        // A power of two, so that the threads get equal shares.
        let groups = 1
            << (SUMS / (self.m * depth(self.source.channels)))
                .clamp(1, GROUPS)
                .min(self.images.div_ceil(images))
                .ilog2();
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
        let (pitch, depth) = (padded(channels), depth(channels));
        let blocks = call.blocks();
        let [down, across] = call.tiles();
        let work = m * pitch * call.images * down * across * ELEMS;
        let threads = threads_for(work);
        // Tasks may share the rows of a group; then each of them computes the group's V.
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
                pack::with_buffer(layout.len, |buffer| {
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

/// Where a group's arrays begin in its buffer.
#[derive(Clone, Copy)]
struct BufferLayout {
    /// The distance from one element of a tile to the next, in V and in W.
    of_v: usize,
    of_w: usize,
    len: usize,
}

impl BufferLayout {
    fn of(call: &Gradient, blocks: &Blocks, rows: usize) -> Self {
        let (channels, across) = (call.source.channels, call.tiles()[1]);
        let tiles = blocks.images * blocks.rows * across;
        let (of_v, of_w) = (tiles * padded(channels) + LINE, tiles * padded(rows) + LINE);
        Self { of_v, of_w, len: ELEMS * (of_v + of_w) + scratch_len([SIDE, FORM.step()], across) }
    }
}

/// What some images add to some rows of the sums.
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
        let Self { call: Gradient { grad, source, padding, .. }, blocks, layout, ref rows, .. } = self;
        let [down, across] = self.call.tiles();
        let grad = Images { data: grad.data.wrapping_add(rows.start * grad.plane), channels: rows.len(), ..grad };
        let v = self.buffer;
        let w = v.wrapping_add(ELEMS * layout.of_v);
        let scratch = w.wrapping_add(ELEMS * layout.of_w);
        let of_source = Transformed { to: v, of_element: layout.of_v, of_tile: padded(source.channels) };
        let of_grad = Transformed { to: w, of_element: layout.of_w, of_tile: padded(grad.channels) };
        let (step, mut is_first) = (FORM.step(), true);
        for first in self.images.clone().step_by(blocks.images) {
            let images = first..self.images.end.min(first + blocks.images);
            for top in (0..down).step_by(blocks.rows) {
                let tiles = Tiles { images: images.clone(), rows: top..down.min(top + blocks.rows), across };
                // SAFETY: the buffer has room for all of them.
                unsafe {
                    tiles::transform::<S, OfSource, SIDE, SIDE>(
                        simd, source, &tiles, step, padding, scratch, of_source,
                    );
                    tiles::transform::<S, OfOutputs, 4, SIDE>(simd, grad, &tiles, step, [0, 0], scratch, of_grad);
                    self.multiply(simd, tiles.len(), [of_grad, of_source], !is_first);
                }
                is_first = false;
            }
        }
    }
}

impl Group<'_> {
    /// Adds the products of these tiles to the sums, or sets the sums to them.
    ///
    /// # Safety
    /// W and V must have this many tiles.
    #[inline(always)]
    unsafe fn multiply<S: Simd>(&mut self, simd: S, tiles: usize, [w, v]: [Transformed; 2], accumulate: bool) {
        let channels = self.call.source.channels;
        let offsets: Vec<usize> = (0..tiles).map(|tile| tile * v.of_tile).collect();
        let products = Products {
            rows: self.rows.len(),
            columns: padded(channels),
            a: MatRef { ptr: w.to, rs: 1, cs: w.of_tile as isize },
            b: v.to,
            offsets: &offsets,
            kc_sum: SUM,
            c: self.sums.as_mut_ptr(),
            rs_c: depth(channels),
            accumulate,
            ahead: Ahead::NONE,
        };
        let elements =
            (0..ELEMS).map(|e| Element { a: e * w.of_element, b: e * v.of_element, c: e * padded(channels) });
        // SAFETY: rows and columns lie inside of the operands and the sums.
        unsafe { products.compute(simd, elements) };
    }
}
