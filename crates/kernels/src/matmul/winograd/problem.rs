//! A convolution by tiles: its operands, how it is divided into tasks, and what a task's buffer holds.

use super::taps::block;
use super::tiles::scratch_len;
use super::{Kernel, padded};
use crate::matmul::conv_task::Target;
use crate::matmul::epilogue::Epilogue;
use crate::matmul::params::{LINE, nr};
use crate::matmul::patches::Images;
use ndarray::ArrayView2;
use pulp::Simd;

/// The intended size of V, and of P of a block, in a task, in elements: half of a 1 MiB L2. The rest is for what is
/// prefetched.
const TASK_ELEMS: usize = 1 << 17;
/// The intended minimum of tiles in a task, with stride 1 and 2: each task reads U once. With stride 2 a tile's V and P
/// are more than twice as long, so half the tiles are enough.
const TASK_TILES_MIN: [usize; 2] = [48, 24];

/// How many channels are summed in one accumulator, with stride 1 and 2. The runs are shorter than in other sums,
/// because outputs are differences of larger products, which makes their rounding errors weigh more.
pub(super) const SUM: [usize; 2] = [32, 64];

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
pub(super) struct Tasks {
    /// How many images a task has. If more than one, they are whole images.
    pub images: usize,
    /// How many rows of tiles a task has.
    pub rows: usize,
    /// How many tasks share an image.
    pub bands: usize,
    /// How many blocks of outputs a task computes, and how many tasks share the blocks of the same tiles.
    pub blocks: usize,
    pub parts: usize,
    pub count: usize,
}

impl Winograd<'_> {
    /// The tasks for so many threads.
    pub(super) fn tasks(&self, threads: usize) -> Tasks {
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

/// Where a task's arrays begin in its buffer: V, P, scratch.
#[derive(Clone, Copy)]
pub(super) struct BufferLayout {
    /// The distance from one element of a tile to the next, in V and in P.
    pub of_v: usize,
    pub of_p: usize,
    /// Where P and the scratch begin. P overwrites V if each microtile reads whole rows of V before it writes the same
    /// rows of P.
    pub p: usize,
    pub scratch: usize,
    /// The distance from one output channel to the next in a row of tiles that was transposed back.
    pub line: usize,
    pub len: usize,
}

impl BufferLayout {
    pub fn of<S: Simd>(call: &Winograd, tasks: &Tasks) -> Self {
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
