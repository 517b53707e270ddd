//! The convolution by tiles. A task has the tiles of some images, or of some rows of one image: their V, and P of a
//! block of outputs, stay in the core's L2 unless there are very many channels. Each product is summed over the
//! channels in the same order, so its bits depend neither on tasks nor on threads.

use super::ahead::{Ahead, Lines};
use super::problem::{BufferLayout, SUM, Weight, Winograd};
use super::taps::{block, transform, transformed_len};
use super::tiles::{self, Tiles, Transformed, scratch_len};
use super::transforms::{
    OfSource, OfStridedSource, OfTransposedSource, ToOutputs, ToStridedOutputs, ToTransposedOutputs, Transform,
    both_axes, load, store,
};
use super::{ELEMS, Element, Form, Kernel, Products, padded};
use crate::matmul::conv_task::sum;
use crate::matmul::mat::MatRef;
use crate::matmul::pack::{self, Call};
use crate::matmul::params::{LINE, TASKS_PER_THREAD, threads_for};
use crate::matmul::runs;
use crate::matmul::transpose;
use crate::parallel;
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

/// The largest U, in elements, that each thread computes for itself: it must stay in L2 beside V and P.
const OWN_U: usize = 1 << 18;

impl Winograd<'_> {
    pub fn run(self) {
        Arch::new().dispatch(self);
    }
}

impl WithSimd for Winograd<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let work = self.images * self.grid[0] * self.grid[1] * self.rows * self.source.channels * 9 / 4;
        let threads = threads_for(work);
        match self.weight {
            Weight::Transformed(u) => self.run_tasks(simd, threads, |f| f(u)),
            Weight::Taps(a) if threads > 1 && transformed_len(a) <= OWN_U => {
                let call = Call::new();
                self.run_tasks(simd, threads, |f| {
                    pack::with_copy(call, transformed_len(a), |u| transform(simd, &self.kernel, a, u, 1), f)
                });
            }
            Weight::Taps(a) => pack::with_scratch(transformed_len(a), |u| {
                transform(simd, &self.kernel, a, u, threads);
                self.run_tasks(simd, threads, |f| f(u));
            }),
        }
    }
}

impl Winograd<'_> {
    /// Computes the outputs, task by task. `with_u` gives each task U.
    #[inline(always)]
    fn run_tasks<S: Simd>(&self, simd: S, threads: usize, with_u: impl Fn(&mut dyn FnMut(&[f32])) + Sync) {
        let tasks = self.tasks(threads);
        let layout = BufferLayout::of::<S>(self, &tasks);
        let [down, across] = self.kernel.form.tiles(self.grid);
        parallel::for_each_chunk(0..tasks.count, threads.saturating_mul(TASKS_PER_THREAD), |chunk| {
            pack::with_buffer(layout.len, |buffer| {
                let of = |task: usize| {
                    let (group, band) = (task / tasks.parts / tasks.bands, task / tasks.parts % tasks.bands);
                    let images = group * tasks.images..self.images.min((group + 1) * tasks.images);
                    Tiles { images, rows: band * tasks.rows..down.min((band + 1) * tasks.rows), across }
                };
                with_u(&mut |u| {
                    for task in chunk.clone() {
                        let part = task % tasks.parts;
                        let blocks = part * tasks.blocks..(part + 1) * tasks.blocks;
                        let next = (part + 1 == tasks.parts && task + 1 < chunk.end).then(|| of(task + 1));
                        simd.vectorize(Task { call: self, u, layout, tiles: of(task), next, blocks, buffer });
                    }
                });
            });
        });
    }
}

/// One task.
struct Task<'a, 'b> {
    call: &'a Winograd<'b>,
    u: &'a [f32],
    layout: BufferLayout,
    tiles: Tiles,
    /// The tiles of this thread's next task, to prefetch what they read.
    next: Option<Tiles>,
    blocks: Range<usize>,
    buffer: *mut f32,
}

impl WithSimd for Task<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.call.kernel.form {
            Form::Dense => self.run::<S, OfSource, ToOutputs, 6, 6, 4>(simd),
            Form::Strided => self.run::<S, OfStridedSource, ToStridedOutputs, 9, 9, 4>(simd),
            Form::Transposed => self.run::<S, OfTransposedSource, ToTransposedOutputs, 5, 9, 8>(simd),
        }
    }
}

impl Task<'_, '_> {
    #[inline(always)]
    fn run<
        S: Simd,
        Of: Transform<WINDOW, SIDE>,
        To: Transform<SIDE, TILE>,
        const WINDOW: usize,
        const SIDE: usize,
        const TILE: usize,
    >(
        self,
        simd: S,
    ) {
        let Self { call: Winograd { source, kernel, rows, .. }, layout, ref tiles, .. } = self;
        let v = self.buffer;
        let p = v.wrapping_add(layout.p);
        let scratch = v.wrapping_add(layout.scratch);
        let padding = kernel.first.map(isize::unsigned_abs);
        let result = Transformed { to: v, of_element: layout.of_v, of_tile: padded(source.channels) };
        let step = kernel.form.step();
        // SAFETY: the buffer has room for all of them.
        unsafe { tiles::transform::<S, Of, WINDOW, SIDE>(simd, *source, tiles, step, padding, scratch, result) };
        for i in self.blocks.clone() {
            let outputs = (i * block(*rows)).min(*rows)..((i + 1) * block(*rows)).min(*rows);
            // SAFETY: as above.
            unsafe {
                self.multiply(simd, i, outputs.len(), v, p);
                self.transform_products::<S, To, SIDE, TILE>(simd, outputs, p, scratch);
            }
        }
    }

    /// Computes P[element][tile][output] of block i.
    ///
    /// # Safety
    /// V is as above, and there is room for P.
    #[inline(always)]
    unsafe fn multiply<S: Simd>(&self, simd: S, i: usize, outputs: usize, v: *const f32, p: *mut f32) {
        let Self { call, layout, .. } = *self;
        let (channels, block) = (call.source.channels, block(call.rows));
        let first = i * block;
        let offsets: Vec<usize> = (0..channels).map(|c| c * block).collect();
        let of_element = channels * block;
        let form = call.kernel.form;
        let products = Products {
            rows: self.tiles.len(),
            columns: outputs,
            a: MatRef { ptr: v, rs: padded(channels) as isize, cs: 1 },
            b: self.u.as_ptr().wrapping_add(i * ELEMS * of_element),
            offsets: &offsets,
            kc_sum: SUM[form.stride() - 1],
            c: p,
            rs_c: block,
            accumulate: false,
            ahead: Ahead::NONE,
        };
        let microtiles = form.elements() * products.microtiles::<S>();
        let ahead = self.ahead(first..first + outputs, i + 1 == self.blocks.end, microtiles);
        let products = Products { ahead, ..products };
        let elements = (0..form.elements()).map(|e| {
            let b = form.of_kernel(e) * of_element;
            Element { a: e * layout.of_v, b, c: e * layout.of_p }
        });
        // SAFETY: the tiles lie inside of V and P, and the outputs inside of the block.
        unsafe { products.compute(simd, elements) };
    }

    /// Prefetches for the products of `outputs`: the lines where these are written and, if they are the task's last,
    /// what the next task reads.
    fn ahead(&self, outputs: Range<usize>, is_last: bool, microtiles: usize) -> Ahead {
        let Self {
            call: Winograd { kernel: Kernel { form, first, .. }, target, source, grid: [height, ..], .. },
            ref tiles,
            ..
        } = *self;
        let rows = form.tile() * tiles.rows.start..(*height).min(form.tile() * tiles.rows.end);
        let at = tiles.images.start * target.image + outputs.start * target.row + rows.start * target.y;
        let size = [tiles.images.len(), outputs.len(), rows.len() * target.y];
        let write = Lines::new(target.data.wrapping_add(at), size, [target.image, target.row]);
        let next = self.next.as_ref().filter(|_| is_last);
        let read =
            next.map_or(Lines::NONE, |next| next.source(source, [form.window(), form.step()], first[0].unsigned_abs()));
        Ahead::new(write, read, microtiles)
    }

    /// Writes outputs, with their epilogue: transforms rows of tiles back, output channels last, then transposes them.
    ///
    /// # Safety
    /// P is as above, and there is room for the outputs of a row of tiles.
    #[inline(always)]
    unsafe fn transform_products<S: Simd, T: Transform<SIDE, TILE>, const SIDE: usize, const TILE: usize>(
        &self,
        simd: S,
        outputs: Range<usize>,
        p: *const f32,
        scratch: *mut f32,
    ) {
        let Self { call: Winograd { grid: [height, ..], rows, .. }, layout, ref tiles, .. } = *self;
        let (block, row) = (block(*rows), TILE * tiles.across);
        let lines = scratch.wrapping_add(scratch_len([TILE, TILE], tiles.across));
        for (i, image) in tiles.images.clone().enumerate() {
            for (j, y) in tiles.rows.clone().enumerate() {
                let down = TILE.min(height - TILE * y);
                for m in outputs.clone().step_by(LINE) {
                    for x in 0..tiles.across {
                        let tile = i * tiles.of_image() + j * tiles.across + x;
                        let from = p.wrapping_add(tile * block + m - outputs.start);
                        let to = scratch.wrapping_add(TILE * x * LINE);
                        for at in (0..LINE).step_by(S::F32_LANES) {
                            // SAFETY: as promised by the caller.
                            unsafe {
                                both_axes!(
                                    simd, T, SIDE => TILE,
                                    |i, j| load::<S>(from.wrapping_add((SIDE * i + j) * layout.of_p + at)),
                                    |k, l, x| store::<S>(to.wrapping_add((k * row + l) * LINE + at), x)
                                );
                            }
                        }
                    }
                    let some = m..outputs.end.min(m + LINE);
                    // SAFETY: the outputs of the row of tiles lie in the scratch, and there is room for their lines.
                    unsafe {
                        transpose::matrix::<S>(scratch, LINE, [down * row, some.len()], lines, layout.line);
                        self.write(simd, image, TILE * y..TILE * y + down, some, lines);
                    }
                }
            }
        }
    }

    /// Writes rows of an image's outputs. Each line in the scratch has one output channel's row of tiles.
    ///
    /// # Safety
    /// The lines exist, up to whole vectors.
    #[inline(always)]
    unsafe fn write<S: Simd>(&self, simd: S, image: usize, rows: Range<usize>, outputs: Range<usize>, lines: *mut f32) {
        let Winograd { target, epilogue, grid: [_, width], .. } = *self.call;
        let row = self.call.kernel.form.tile() * self.tiles.across;
        let tile = epilogue.tile(outputs.clone(), std::ptr::null());
        let tile = if target.addend.is_some() { tile.linear() } else { tile };
        let vectors = (rows.len() * row).div_ceil(S::F32_LANES);
        // SAFETY: as promised by the caller.
        unsafe { tile.apply(simd, outputs.len(), vectors, lines, self.layout.line as isize) };
        // Rows that are adjacent in both arrays are copied as one.
        let (run, runs) = if target.y == width && row == width { (rows.len() * width, 1) } else { (width, rows.len()) };
        for (i, m) in outputs.enumerate() {
            for y in 0..runs {
                let from = lines.wrapping_add(i * self.layout.line + y * row).cast_const();
                let at = image * target.image + m * target.row + (rows.start + y) * target.y;
                let to = target.data.wrapping_add(at);
                // SAFETY: the outputs are this task's own, and the addend lies as they do.
                unsafe {
                    match target.addend {
                        None => runs::copy::<S>(from, to, run),
                        Some(addend) => sum(simd, from, addend.wrapping_add(at), to, run, epilogue.relu),
                    }
                }
            }
        }
    }
}
