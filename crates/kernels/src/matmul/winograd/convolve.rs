//! The convolution. A thread takes the tiles of some images, or of rows of one; V of these stays in its L2 unless
//! channels are very many. Every element of a product is summed over the channels as `matmul` sums, so its bits depend
//! on neither tasks nor threads.

use super::taps::{transform, transformed_len};
use super::transforms::{both_axes, load, of_source, store, to_outputs};
use super::{ELEMS, Kernel, Products, depth, tiles};
use crate::matmul::conv_task::{Target, sum};
use crate::matmul::epilogue::Epilogue;
use crate::matmul::mat::MatRef;
use crate::matmul::pack;
use crate::matmul::params::{LINE, MR, TASKS_PER_THREAD, kc_sum, nr, threads_for};
use crate::matmul::patches::Images;
use crate::matmul::runs::{copy_masked, copy_of_pairs, interleave};
use crate::parallel;
use crate::prefetch::into_l2;
use ndarray::ArrayView2;
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

/// Elements of V in a task, about, but a panel at least: half of a 1 MiB L2.
const V_ELEMS: usize = 1 << 17;
/// Rows of P that are computed before they are transformed back.
const ROWS: usize = 24;

/// A convolution as `conv::convolve` has it.
pub(in crate::matmul) struct Winograd<'a> {
    pub(in crate::matmul) kernel: Kernel,
    pub(in crate::matmul) weight: Weight<'a>,
    /// How many outputs a place has.
    pub(in crate::matmul) rows: usize,
    pub(in crate::matmul) source: Images,
    pub(in crate::matmul) images: usize,
    pub(in crate::matmul) grid: [usize; 2],
    pub(in crate::matmul) epilogue: Epilogue<'a>,
    pub(in crate::matmul) target: Target,
}

/// The weight of a convolution.
#[derive(Clone, Copy)]
pub(in crate::matmul) enum Weight<'a> {
    /// [outputs, channels * taps], whose rows are adjacent elements.
    Taps(ArrayView2<'a, f32>),
    /// U.
    Transformed(&'a [f32]),
}

/// How tiles are divided into tasks.
#[derive(Clone, Copy)]
struct Tasks {
    /// Images of a task; those of several are whole.
    images: usize,
    /// Rows of tiles of a task, and the tiles of a row.
    rows: usize,
    across: usize,
    /// Tasks of an image.
    bands: usize,
    /// Outputs of a place that a task computes, and how many tasks compute those of the same tiles.
    outputs: usize,
    parts: usize,
    count: usize,
}

impl Winograd<'_> {
    pub fn run(self) {
        Arch::new().dispatch(self);
    }

    fn tasks<S: Simd>(&self, threads: usize) -> Tasks {
        let [down, across] = tiles(self.grid);
        let tiles = (V_ELEMS / (ELEMS * self.source.channels)).max(nr::<S>());
        let wanted = if threads == 1 { 1 } else { 2 * threads };
        let images = (tiles / (down * across)).clamp(1, self.images.div_ceil(wanted));
        let groups = self.images.div_ceil(images);
        // For the threads, bands of at least a panel; then they share the outputs of each, whose V each computes.
        let for_threads = wanted.div_ceil(groups).min((down * across).div_ceil(nr::<S>()));
        let bands = if images > 1 { 1 } else { (down * across).div_ceil(tiles).max(for_threads).min(down) };
        let rows = down.div_ceil(bands);
        let bands = down.div_ceil(rows);
        let parts = wanted.div_ceil(groups * bands).min(self.rows.div_ceil(ROWS));
        let outputs = self.rows.div_ceil(parts).next_multiple_of(MR);
        let parts = self.rows.div_ceil(outputs);
        Tasks { images, rows, across, bands, outputs, parts, count: groups * bands * parts }
    }
}

impl WithSimd for Winograd<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let work = self.images * self.grid[0] * self.grid[1] * self.rows * self.source.channels * 4;
        let threads = threads_for(work);
        match self.weight {
            Weight::Transformed(u) => self.run_tasks(simd, u, threads),
            Weight::Taps(a) => pack::with_scratch(transformed_len(a), |u| {
                transform(simd, &self.kernel, a, u, threads);
                self.run_tasks(simd, u, threads);
            }),
        }
    }
}

impl Winograd<'_> {
    /// Computes the outputs, task by task.
    #[inline(always)]
    fn run_tasks<S: Simd>(&self, simd: S, u: &[f32], threads: usize) {
        let tasks = self.tasks::<S>(threads);
        let layout = BufferLayout::of(self, &tasks);
        parallel::for_each_chunk(0..tasks.count, threads.saturating_mul(TASKS_PER_THREAD), |chunk| {
            pack::with_buffer(layout.len(), |buffer| {
                for task in chunk {
                    let (of_tiles, part) = (task / tasks.parts, task % tasks.parts);
                    let (group, band) = (of_tiles / tasks.bands, of_tiles % tasks.bands);
                    let outputs = part * tasks.outputs..self.rows.min((part + 1) * tasks.outputs);
                    let images = group * tasks.images..self.images.min((group + 1) * tasks.images);
                    let [down, _] = tiles(self.grid);
                    let rows = band * tasks.rows..down.min((band + 1) * tasks.rows);
                    simd.vectorize(Task { call: self, u, layout, images, rows, outputs, buffer });
                }
            });
        });
    }
}

/// Where a task's arrays lie in its buffer.
#[derive(Clone, Copy)]
struct BufferLayout {
    /// From one row of V, and of P, to the next.
    pitch: usize,
    /// From one element of V, and of P, to the next.
    of_v: usize,
    of_p: usize,
    /// From one row of the padded source to the next, and its length.
    padded_row: usize,
    padded: usize,
    /// The columns of the source that each column of a tile's 4 x 4 reads, even and odd rows.
    columns: usize,
}

impl BufferLayout {
    fn of(call: &Winograd, tasks: &Tasks) -> Self {
        let tiles = tasks.rows * tasks.across;
        // What is behind the last tile is written and read, and never used.
        let pitch = (tasks.images * tiles).next_multiple_of(LINE) + LINE;
        let padded_row = (2 * tasks.across + 2).next_multiple_of(LINE) + LINE;
        let padded = padded_row * (2 * tasks.rows + 2) + LINE;
        let columns = ((tasks.rows + 1) * tasks.across).next_multiple_of(LINE) + LINE;
        let of_v = call.source.channels * pitch + LINE;
        Self { pitch, of_v, of_p: ROWS * pitch + LINE, padded_row, padded, columns }
    }

    fn len(&self) -> usize {
        ELEMS * (self.of_v + self.of_p) + self.padded + 8 * self.columns
    }
}

/// The outputs of some rows of tiles of some images.
struct Task<'a, 'b> {
    call: &'a Winograd<'b>,
    u: &'a [f32],
    layout: BufferLayout,
    images: Range<usize>,
    rows: Range<usize>,
    outputs: Range<usize>,
    buffer: *mut f32,
}

impl WithSimd for Task<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { layout, ref outputs, .. } = self;
        let v = self.buffer;
        let p = v.wrapping_add(ELEMS * layout.of_v);
        let scratch = p.wrapping_add(ELEMS * layout.of_p);
        // SAFETY: the buffer has room for all of them.
        unsafe { self.transform_source(simd, scratch, v) };
        for first in outputs.clone().step_by(ROWS) {
            let rows = first..outputs.end.min(first + ROWS);
            // SAFETY: as above.
            unsafe {
                self.multiply(simd, rows.clone(), v, p);
                self.transform_products(simd, rows, p, scratch);
            }
        }
    }
}

impl Task<'_, '_> {
    fn tiles(&self) -> usize {
        self.rows.len() * self.across()
    }

    fn across(&self) -> usize {
        tiles(self.call.grid)[1]
    }

    /// V[element][channel][tile], image by image.
    ///
    /// # Safety
    /// There is room for the padded source and its columns, and for V.
    #[inline(always)]
    unsafe fn transform_source<S: Simd>(&self, simd: S, scratch: *mut f32, v: *mut f32) {
        let (call, layout, across) = (self.call, self.layout, self.across());
        let Images { data, image, plane, channels, height, width } = call.source;
        let [top, left] = call.kernel.first;
        let (padded, columns) = (scratch, scratch.wrapping_add(layout.padded));
        // The padding stays zero: each channel is copied inside of it.
        // SAFETY: there is room.
        unsafe { std::slice::from_raw_parts_mut(padded, layout.padded).fill(0.0) };
        // The rows of the padded source that exist.
        let first = 2 * self.rows.start as isize + top;
        let above = (-first).max(0) as usize;
        let from_row = first.max(0) as usize;
        let count = (2 * self.rows.len() + 2).saturating_sub(above).min(height.saturating_sub(from_row));
        let before = left.unsigned_abs();
        let wide = (2 * across + 2 - before).min(width);
        let rest = simd.mask_between_m32s(0, (wide % S::F32_LANES) as u32);
        let inside = padded.wrapping_add(above * layout.padded_row + before);
        let half = self.rows.len() + 1;
        for c in 0..channels {
            for (i, n) in self.images.clone().enumerate() {
                let from = data.wrapping_add(n * image + c * plane + from_row * width);
                // Planes are apart, so that hardware prefetchers begin anew with each.
                into_l2(from.wrapping_add(plane), count * width);
                // SAFETY: the rows exist, and lie inside of the padded source; there is room for whole vectors behind
                // the last tile.
                unsafe {
                    for y in 0..count {
                        let (from, to) = (from.wrapping_add(y * width), inside.wrapping_add(y * layout.padded_row));
                        copy_masked(simd, from, to, wide, rest);
                    }
                    // What each column of the tiles' 4 x 4 reads, even rows and odd ones: then tiles are adjacent.
                    for y in 0..2 * half {
                        let from = padded.wrapping_add(y * layout.padded_row);
                        let to = columns.wrapping_add(y % 2 * layout.columns + y / 2 * across);
                        for j in 0..4 {
                            copy_of_pairs::<0>(from.wrapping_add(j), to.wrapping_add(2 * j * layout.columns), across);
                        }
                    }
                    let to = v.wrapping_add(c * layout.pitch + i * self.tiles());
                    for at in (0..self.tiles()).step_by(S::F32_LANES) {
                        both_axes!(
                            simd, of_source, 4 -> 4,
                            |i, j| {
                                let at = (2 * j + i % 2) * layout.columns + i / 2 * across + at;
                                load::<S>(columns.wrapping_add(at))
                            },
                            |k, l, x| store::<S>(to.wrapping_add((4 * k + l) * layout.of_v + at), x)
                        );
                    }
                }
            }
        }
    }

    /// P[element][row][tile] of some rows.
    ///
    /// # Safety
    /// V is as above, and there is room for P.
    #[inline(always)]
    unsafe fn multiply<S: Simd>(&self, simd: S, rows: Range<usize>, v: *const f32, p: *mut f32) {
        let (call, layout) = (self.call, self.layout);
        let channels = call.source.channels;
        let (pitch, depth) = depth(channels);
        let offsets: Vec<usize> = (0..channels).map(|c| c * layout.pitch).collect();
        let u = MatRef { ptr: self.u.as_ptr(), rs: depth as isize, cs: 1 };
        let products = Products {
            rows: rows.len(),
            columns: self.images.len() * self.tiles(),
            a: (u.from(rows.start, 0), pitch),
            b: (v, layout.of_v),
            offsets: &offsets,
            kc_sum: kc_sum(channels),
            c: (p, layout.of_p),
            rs_c: layout.pitch,
            accumulate: false,
        };
        // SAFETY: the tiles lie inside of P, and what they read inside of U and V.
        unsafe { products.compute(simd) };
    }

    /// The outputs of some rows, and what follows.
    ///
    /// # Safety
    /// P is as above, and there is room for the outputs of the tiles of an image, side by side.
    #[inline(always)]
    unsafe fn transform_products<S: Simd>(&self, simd: S, rows: Range<usize>, p: *const f32, scratch: *mut f32) {
        let (call, layout, across) = (self.call, self.layout, self.across());
        let Target { data, addend, image, row, y: down, .. } = call.target;
        let [height, width] = call.grid;
        let whole = self.tiles().next_multiple_of(S::F32_LANES);
        let line = scratch.wrapping_add(4 * layout.columns);
        for m in rows.clone() {
            let tile = call.epilogue.tile(m..m + 1, std::ptr::null());
            let tile = if addend.is_some() { tile.linear() } else { tile };
            for (i, n) in self.images.clone().enumerate() {
                let p = p.wrapping_add((m - rows.start) * layout.pitch + i * self.tiles());
                // SAFETY: as promised by the caller; the rows of outputs are this task's own, and the addend lies as
                // they do.
                unsafe {
                    for at in (0..whole).step_by(S::F32_LANES) {
                        both_axes!(
                            simd, to_outputs, 4 -> 2,
                            |i, j| load::<S>(p.wrapping_add((4 * i + j) * layout.of_p + at)),
                            |k, l, x| {
                                let to = scratch.wrapping_add((2 * k + l) * layout.columns + at);
                                store::<S>(to, x);
                            }
                        );
                    }
                    for part in 0..4 {
                        tile.apply(simd, 1, whole / S::F32_LANES, scratch.wrapping_add(part * layout.columns), 0);
                    }
                    for y in 0..(2 * self.rows.len()).min(height - 2 * self.rows.start) {
                        let at = n * image + m * row + (2 * self.rows.start + y) * down;
                        let of = |j: usize| {
                            scratch.wrapping_add((y % 2 * 2 + j) * layout.columns + y / 2 * across).cast_const()
                        };
                        let to = data.wrapping_add(at);
                        match addend {
                            None => interleave([of(0), of(1)], to, width),
                            Some(addend) => {
                                interleave([of(0), of(1)], line, width);
                                sum(simd, line, addend.wrapping_add(at), to, width, call.epilogue.relu);
                            }
                        }
                    }
                }
            }
        }
    }
}
