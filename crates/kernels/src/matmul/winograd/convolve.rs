//! The convolution by tiles. A task has the tiles of some images, or of some rows of one image: their V, and P of a
//! block of outputs, stay in the core's L2 unless there are very many channels. Each product is summed over the
//! channels in the same order, so its bits depend neither on tasks nor on threads.

use super::ahead::{Ahead, Lines};
use super::taps::{block, transform, transformed_len};
use super::tiles::{self, Tiles, Transformed, scratch_len};
use super::transforms::{
    OfSource, OfStridedSource, OfTransposedSource, ToOutputs, ToStridedOutputs, ToTransposedOutputs, Transform,
    both_axes, load, store,
};
use super::{ELEMS, Element, Form, Kernel, Products, padded};
use crate::matmul::conv_task::{Target, sum};
use crate::matmul::epilogue::Epilogue;
use crate::matmul::mat::MatRef;
use crate::matmul::pack::{self, Call};
use crate::matmul::params::{LINE, TASKS_PER_THREAD, nr, threads_for};
use crate::matmul::patches::Images;
use crate::matmul::runs;
use crate::matmul::transpose;
use crate::parallel;
use ndarray::ArrayView2;
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

/// The intended size of V, and of P of a block, in a task, in elements: half of a 1 MiB L2. The rest is for what is
/// prefetched.
const TASK_ELEMS: usize = 1 << 17;
/// The intended minimum of tiles in a task, with stride 1 and 2: each task reads U once. With stride 2 a tile's V and P
/// are more than twice as long, so half the tiles are enough.
const TASK_TILES_MIN: [usize; 2] = [48, 24];

/// The largest U, in elements, that each thread computes for itself: it must stay in L2 beside V and P.
const OWN_U: usize = 1 << 18;

/// How many channels are summed in one accumulator, with stride 1 and 2. The runs are shorter than in other sums,
/// because outputs are differences of larger products, which makes their rounding errors weigh more.
const SUM: [usize; 2] = [32, 64];

/// The operands of a convolution, as in `conv::convolve`.
pub(in crate::matmul) struct Winograd<'a> {
    pub(in crate::matmul) kernel: Kernel,
    pub(in crate::matmul) weight: Weight<'a>,
    /// The number of output channels.
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
    /// U, computed before.
    Transformed(&'a [f32]),
}

/// How tiles are divided into tasks.
#[derive(Clone, Copy)]
struct Tasks {
    /// How many images a task has. If more than one, they are whole images.
    images: usize,
    /// How many rows of tiles a task has.
    rows: usize,
    /// How many tasks share an image.
    bands: usize,
    /// How many blocks of outputs a task computes, and how many tasks share the blocks of the same tiles.
    blocks: usize,
    parts: usize,
    count: usize,
}

impl Winograd<'_> {
    pub fn run(self) {
        Arch::new().dispatch(self);
    }

    fn tasks(&self, threads: usize) -> Tasks {
        let form = self.kernel.form;
        let tiles_min = TASK_TILES_MIN[form.stride() - 1];
        let [down, across] = form.tiles(self.grid);
        let tiles = TASK_ELEMS / (form.elements() * (padded(self.source.channels) + block(self.rows)));
        let tiles = tiles.max(tiles_min);
        let wanted = if threads == 1 { 1 } else { 2 * threads };
        // Fewer images per task if threads would otherwise have none, but not so few that reading U dominates.
        let for_threads = self.images.div_ceil(wanted).max(tiles_min / (down * across));
        let images = (tiles / (down * across)).clamp(1, for_threads).min(self.images);
        let groups = self.images.div_ceil(images).next_multiple_of(threads).min(self.images);
        let images = self.images.div_ceil(groups);
        let groups = self.images.div_ceil(images);
        // If there are still too few tasks, images are split into bands of at least `tiles_min` tiles. If that is not
        // enough, tasks share the outputs of a band, and each of them computes the band's V.
        let for_threads = wanted.div_ceil(groups).min((down * across).div_ceil(tiles_min));
        let bands = if images > 1 { 1 } else { (down * across).div_ceil(tiles).max(for_threads).min(down) };
        let rows = down.div_ceil(bands);
        let bands = down.div_ceil(rows);
        let of_outputs = self.rows.div_ceil(block(self.rows));
        let blocks = of_outputs.div_ceil(wanted.div_ceil(groups * bands).min(of_outputs));
        let parts = of_outputs.div_ceil(blocks);
        Tasks { images, rows, bands, blocks, parts, count: groups * bands * parts }
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

/// Where a task's arrays begin in its buffer: V, P, scratch.
#[derive(Clone, Copy)]
struct BufferLayout {
    /// The distance from one element of a tile to the next, in V and in P.
    of_v: usize,
    of_p: usize,
    /// Where P and the scratch begin. P overwrites V if each microtile reads whole rows of V before it writes the same
    /// rows of P.
    p: usize,
    scratch: usize,
    /// The distance from one output channel to the next in a row of tiles that was transposed back.
    line: usize,
    len: usize,
}

impl BufferLayout {
    fn of<S: Simd>(call: &Winograd, tasks: &Tasks) -> Self {
        let form = call.kernel.form;
        let (across, tile) = (form.tiles(call.grid)[1], form.tile());
        let tiles = tasks.images * tasks.rows * across;
        let (channels, block) = (padded(call.source.channels), block(call.rows));
        let (of_v, of_p) = (tiles * channels + LINE, tiles * block + LINE);
        let read_at_once = channels <= SUM[form.stride() - 1] && channels <= nr::<S>();
        let p = if channels == block && call.rows <= block && read_at_once { 0 } else { form.elements() * of_v };
        let scratch = p + form.elements() * of_p;
        let line = tile * tile * across + LINE;
        let of_source = scratch_len([form.window(), form.step()], across);
        let of_outputs = scratch_len([tile, tile], across) + LINE * line;
        Self { of_v, of_p, p, scratch, line, len: scratch + of_source.max(of_outputs) }
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
