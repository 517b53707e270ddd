//! Convolutions as matrix products whose right side is never in memory as a whole (implicit GEMM): a thread takes some
//! images, or rows of one, copies them with their padding, and packs panels of patches from that copy.
//!
//! ```text
//!   weight              patches of a task           outputs of a task
//!   K = channels, taps     NR    NR
//!   +-----------+        +-----+-----+               +-----+-----+
//!   |           |  x   K |     |     |       =     M |     |     |
//! M |           |        |     |     |               |     |     |
//!   +-----------+        +-----+-----+               +-----+-----+
//! ```

use super::conv_elements::Elements;
use super::epilogue::Epilogue;
use super::in_place::{self, Vectors};
use super::mat::MatRef;
use super::microkernel::{self, F32, MicroTile};
use super::pack;
use super::params::{LINE, MR_NARROW, NR_MAX, PARALLEL_MIN, TASKS_PER_THREAD, kc_sum, mr, nr};
use super::patches::{self, Images, Layout, Segment, Window};
use super::prefetch::{self, Prefetch};
use crate::parallel;
use crate::relu;
use ndarray::{ArrayView2, ArrayView4, ArrayViewMut4};
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

/// Elements of the copy of a task, at most if a row of outputs does not need more: half of a 1 MiB L2.
const COPY_ELEMS: usize = 1 << 17;
/// Elements of the sums of a microtile on their way to outputs that can't take whole vectors.
const EDGE: usize = MR_NARROW * NR_MAX;

/// out[n, m, y, x] = epilogue(the sum over channels c and taps t of a[m, c * taps + t] x[n, c, at t of (y, x)]), where a and the taps
/// are those of each part of the outputs. An addend lies as out does, which then has one part.
///
/// The rows of x, and of out, are adjacent elements.
pub(super) fn convolve(
    elements: Elements,
    a: &[ArrayView2<f32>],
    x: ArrayView4<f32>,
    window: &Window,
    epilogue: Epilogue,
    addend: Option<ArrayView4<f32>>,
    mut out: ArrayViewMut4<f32>,
) {
    let ((images, rows, height, width), parts) = (out.dim(), a.len());
    assert!(addend.is_none_or(|addend| parts == 1 && (addend.dim(), addend.strides()) == (out.dim(), out.strides())));
    assert!(a.iter().zip(&window.taps).all(|(a, taps)| a.dim() == (rows, x.dim().1 * taps.len())));
    assert_eq!((images, [height, width.div_ceil(parts)], parts), (x.dim().0, window.grid, window.taps.len()));
    if out.is_empty() {
        return;
    }
    assert!(width == 1 || out.strides()[3] == 1);
    let [image, row, y] = [0, 1, 2].map(|axis| out.strides()[axis] as usize);
    let addend = addend.map(|addend| addend.as_ptr());
    let target = Target { data: out.as_mut_ptr(), addend, image, row, y, width };
    Arch::new().dispatch(Convolution { elements, a, source: Images::new(&x), images, rows, window, epilogue, target });
}

/// Where outputs go: element (n, m, y, x) to `n * image + m * row + y * self.y + x`, of rows of `width`.
#[derive(Clone, Copy)]
struct Target {
    data: *mut f32,
    addend: Option<*const f32>,
    image: usize,
    row: usize,
    y: usize,
    width: usize,
}

struct Convolution<'a> {
    elements: Elements,
    a: &'a [ArrayView2<'a, f32>],
    source: Images,
    images: usize,
    rows: usize,
    window: &'a Window,
    epilogue: Epilogue<'a>,
    target: Target,
}

// SAFETY: the threads read what is borrowed for the whole call, and write outputs of images and rows of their own.
unsafe impl Sync for Convolution<'_> {}

/// What differs from part to part.
struct Part {
    a: MatRef,
    /// How far the element of each row of patches lies from the first.
    offsets: Vec<usize>,
    /// Of pairs: how far each row of a packed panel lies from the first.
    packed_rows: Vec<usize>,
    /// Rows of the packed panels of the parts before.
    before: usize,
}

// SAFETY: what `a` leads to is only read.
unsafe impl Sync for Part {}

impl Images {
    pub(super) fn new(x: &ArrayView4<f32>) -> Self {
        let ((_, channels, height, width), strides) = (x.dim(), x.strides());
        assert!(x.is_empty() || (width <= 1 || strides[3] == 1) && (height <= 1 || strides[2] == width as isize));
        Self { data: x.as_ptr(), image: strides[0] as usize, plane: strides[1] as usize, channels, height, width }
    }
}

/// How the outputs are divided into tasks.
struct Tasks {
    /// Images of a task; those of several are whole.
    images: usize,
    /// Rows of outputs of a task.
    rows: usize,
    /// Tasks of an image.
    bands: usize,
    count: usize,
}

impl WithSimd for Convolution<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let k: usize = self.a.iter().map(|a| a.ncols()).sum();
        let threads = if self.images * self.window.grid[0] * self.window.grid[1] * self.rows * k < PARALLEL_MIN {
            1
        } else {
            parallel::threads()
        };
        let tasks = self.tasks::<S>(threads);
        let layout = self.window.layout(&self.source, tasks.rows);
        let parts = self.parts::<S>(&layout);
        // What is computed for nothing reads a vector beyond the copy.
        let room = layout.len(tasks.images) + LINE;
        let edges = parts.len() * EDGE;
        parallel::for_each_chunk(0..tasks.count, threads.saturating_mul(TASKS_PER_THREAD), |chunk| {
            pack::with_buffer(room + edges + k * nr::<S>(), |copy| {
                // Parts without taps are zeros.
                // SAFETY: the buffer is longer.
                unsafe { std::slice::from_raw_parts_mut(copy, room + edges) }.fill(0.0);
                for task in chunk {
                    let (group, band) = (task / tasks.bands, task % tasks.bands);
                    let images = group * tasks.images..self.images.min((group + 1) * tasks.images);
                    let rows = band * tasks.rows..self.window.grid[0].min((band + 1) * tasks.rows);
                    let edges_at = copy.wrapping_add(room);
                    simd.vectorize(Task {
                        call: &self,
                        layout: &layout,
                        parts: &parts,
                        images,
                        rows,
                        copy,
                        edges: edges_at,
                        packed: edges_at.wrapping_add(edges),
                    });
                }
            });
        });
    }
}

impl Convolution<'_> {
    fn parts<S: Simd>(&self, layout: &Layout) -> Vec<Part> {
        let mut before = 0;
        let part = |(a, taps): (&ArrayView2<f32>, &Vec<[isize; 2]>)| {
            let taps: Vec<usize> = taps.iter().map(|&tap| layout.offset(&self.source, tap)).collect();
            let channels = 0..self.source.channels;
            let offsets: Vec<usize> =
                channels.flat_map(|c| taps.iter().map(move |tap| c * layout.plane + tap)).collect();
            let packed_rows = match self.elements {
                Elements::Numbers => Vec::new(),
                Elements::Pairs(_) => (0..offsets.len()).map(|row| row * nr::<S>()).collect(),
            };
            let a = MatRef { ptr: a.as_ptr(), rs: a.strides()[0], cs: a.strides()[1] };
            let part = Part { a, packed_rows, before, offsets };
            before += part.offsets.len();
            part
        };
        self.a.iter().zip(&self.window.taps).map(part).collect()
    }

    fn tasks<S: Simd>(&self, threads: usize) -> Tasks {
        let [height, width] = self.window.grid;
        let whole = self.window.layout(&self.source, height);
        let share = if threads == 1 { self.images } else { self.images.div_ceil(2 * threads) };
        // Several images if they are small: two panels whose vectors are full.
        let most = (2 * COPY_ELEMS / whole.len(1).max(1)).clamp(1, share);
        let are_full = |images: &usize| {
            let columns = images * height * width;
            let unused = columns.next_multiple_of(LINE) - columns;
            columns >= 2 * nr::<S>() && 32 * unused <= columns
        };
        let images = if height * width < 16 * nr::<S>() { (1..=most).find(are_full).unwrap_or(most) } else { 1 };
        let groups = self.images.div_ceil(images);
        let for_threads = if threads == 1 { 1 } else { (2 * threads).div_ceil(groups) };
        let bands = if images > 1 { 1 } else { whole.len(1).div_ceil(COPY_ELEMS).max(for_threads).min(height) };
        let rows = height.div_ceil(bands);
        // Rows that fill vectors together, unless threads would have less to share.
        let together = (1..=LINE).find(|rows| (rows * width).is_multiple_of(LINE)).unwrap_or(LINE);
        let full = rows.next_multiple_of(together).min(height);
        let rows = if height.div_ceil(full) < for_threads.min(bands) { rows } else { full };
        let bands = height.div_ceil(rows);
        Tasks { images, rows, bands, count: groups * bands }
    }
}

struct Task<'a, 'b> {
    call: &'a Convolution<'b>,
    layout: &'a Layout,
    parts: &'a [Part],
    images: Range<usize>,
    rows: Range<usize>,
    copy: *mut f32,
    /// An edge tile of each part.
    edges: *mut f32,
    packed: *mut f32,
}

type Segments = [Segment; NR_MAX];

impl WithSimd for Task<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { call, layout, ref images, ref rows, .. } = self;
        let Images { data, image, .. } = call.source;
        let source = if layout.in_place {
            data.wrapping_add(images.start * image + rows.start * layout.pitch)
        } else {
            for (i, n) in images.clone().enumerate() {
                let from = Images { data: data.wrapping_add(n * image), ..call.source };
                // SAFETY: the image exists, and the copy has room for all of the task's.
                unsafe { layout.copy(simd, from, rows.start, rows.len(), self.copy.wrapping_add(i * layout.image)) };
            }
            self.copy.cast_const()
        };
        let mut segments = [Segment::default(); NR_MAX];
        let Target { image, y: down, width: target_width, .. } = call.target;
        let (width, parts) = (call.window.grid[1], self.parts.len());
        let columns = images.len() * rows.len() * width;
        for first in (0..columns).step_by(nr::<S>()) {
            let columns = first..columns.min(first + nr::<S>());
            let is_flat = layout.is_flat(width);
            let from = self.segments(&columns, is_flat, 1, &mut segments, |n, y| n * layout.image + y * layout.pitch);
            // What a copy's last vector reads beyond it is never used; there is room.
            let in_place = Vectors::of::<S>(source, &[], from, !layout.in_place);
            if in_place.is_none() {
                // SAFETY: the segments lie in the source for each offset, and there is room for a panel of each part.
                self.parts.iter().for_each(|part| unsafe { self.pack(simd, part, source, from, columns.len()) });
            }
            let is_flat = down == target_width && target_width == width * parts;
            let to = self.segments(&columns, is_flat, parts, &mut segments, |n, y| {
                (images.start + n) * image + (rows.start + y) * down
            });
            self.multiply(simd, columns.len(), in_place, to);
        }
    }
}

impl Task<'_, '_> {
    /// The segments of some columns, by the place of the first output of a row of an image; outputs are `step` apart there, and
    /// so are rows if they are flat.
    #[inline(always)]
    fn segments<'a>(
        &self,
        columns: &Range<usize>,
        is_flat: bool,
        step: usize,
        into: &'a mut Segments,
        place: impl Fn(usize, usize) -> usize,
    ) -> &'a [Segment] {
        let (rows, width) = (self.rows.len(), self.call.window.grid[1]);
        let (run, runs) = if is_flat { (rows * width, 1) } else { (width, rows) };
        let (mut count, mut at) = (0, columns.start);
        while at < columns.end {
            let (i, x) = (at / run, at % run);
            let len = (run - x).min(columns.end - at);
            let (place, ends_row) = (place(i / runs, i % runs) + x * step, !is_flat && x + len == run);
            into[count] = Segment { at: place, column: at - columns.start, len, ends_row };
            (count, at) = (count + 1, at + len);
        }
        &into[..count]
    }

    /// Packs a panel of a part's patches, filled up to whole vectors.
    ///
    /// # Safety
    /// The segments lie in the source at each offset.
    #[inline(always)]
    unsafe fn pack<S: Simd>(&self, simd: S, part: &Part, source: *const f32, segments: &[Segment], columns: usize) {
        let width = columns.next_multiple_of(S::F32_LANES);
        let pitch = match self.call.elements {
            Elements::Numbers => width,
            Elements::Pairs(_) => nr::<S>(),
        };
        let to = self.packed_panel::<S>(part);
        for (k, offset) in part.offsets.iter().enumerate() {
            let (from, to) = (source.wrapping_add(*offset), to.wrapping_add(k * pitch));
            // SAFETY: as promised by the caller; the buffer has room for k rows of a panel.
            unsafe {
                if columns < width {
                    to.add(width - S::F32_LANES).cast::<S::f32s>().write_unaligned(simd.splat_f32s(0.0));
                }
                for segment in segments {
                    patches::copy::<S>(from.add(segment.at), to.add(segment.column), segment.len);
                }
            }
        }
    }

    #[inline(always)]
    fn packed_panel<S: Simd>(&self, part: &Part) -> *mut f32 {
        self.packed.wrapping_add(part.before * nr::<S>())
    }

    /// Computes the outputs of a panel, which is packed or read in place, tile by tile, as they are or by the edge tiles.
    #[inline(always)]
    fn multiply<S: Simd>(&self, simd: S, columns: usize, in_place: Option<Vectors>, segments: &[Segment]) {
        let Convolution { rows: m, epilogue, target, .. } = *self.call;
        let mr = mr::<S>(columns);
        let (vectors, width) = (columns.div_ceil(S::F32_LANES), columns.next_multiple_of(S::F32_LANES));
        // Rows of outputs are often a multiple of 4 KiB apart, so that their lines share a set of the cache: what is more than a
        // write of each waits in the edge tile.
        let direct = matches!(segments, [segment] if segment.len == width)
            && self.parts.len() == 1
            && target.addend.is_none()
            && epilogue.norm.is_none();
        for row in (0..m).step_by(mr) {
            let rows = row..m.min(row + mr);
            let place = |row: usize, segment: &Segment| row * target.row + segment.at;
            let (c, rs_c) = if direct {
                (target.data.wrapping_add(place(row, &segments[0])), target.row)
            } else {
                (self.edges, width)
            };
            let mut tile = epilogue.tile(rows.clone(), std::ptr::null());
            if let Some(addend) = target.addend {
                tile = tile.linear();
                for row in rows.clone() {
                    for segment in segments {
                        prefetch::line_by_line(addend.wrapping_add(place(row, segment)), segment.len);
                    }
                }
            }
            for (i, part) in self.parts.iter().enumerate().filter(|(_, part)| !part.offsets.is_empty()) {
                let k = part.offsets.len();
                let micro = MicroTile::<F32> {
                    kc: k,
                    kc_sum: kc_sum(k),
                    a: part.a.from(row, 0),
                    b: self.packed_panel::<S>(part),
                    c: c.wrapping_add(i * EDGE),
                    rs_c: rs_c as isize,
                    accumulate: false,
                    prefetch: Prefetch::rows(part.a, 0),
                    epilogue: tile,
                };
                let in_place = in_place.map(|vectors| vectors.at(&part.offsets));
                // SAFETY: the tile lies inside the outputs or the edge tile, and its panel was packed to whole vectors, or is
                // read where each vector of each row of patches lies.
                unsafe {
                    match (self.call.elements, in_place) {
                        (Elements::Numbers, None) => microkernel::compute(simd, rows.len(), vectors, micro),
                        (Elements::Numbers, Some(b)) => in_place::compute(simd, rows.len(), vectors, micro, b),
                        (Elements::Pairs(kernels), b) => {
                            let b = b.unwrap_or_else(|| Vectors::packed::<S>(micro.b, &part.packed_rows));
                            (kernels.multiply)(rows.len(), vectors, micro, b);
                            micro.epilogue.apply(simd, rows.len(), vectors, micro.c, micro.rs_c);
                        }
                    }
                }
            }
            if direct {
                continue;
            }
            for (i, row) in rows.enumerate() {
                for segment in segments {
                    let from = self.edges.wrapping_add(i * width + segment.column).cast_const();
                    let (at, len) = (place(row, segment), segment.len);
                    let to = target.data.wrapping_add(at);
                    // SAFETY: the segment's outputs are this task's own, and the addend lies as they do.
                    unsafe {
                        match (self.parts.len(), target.addend) {
                            (1, None) => patches::copy::<S>(from, to, len),
                            (1, Some(addend)) => sum(simd, from, addend.wrapping_add(at), to, len, epilogue.relu),
                            (parts, _) => {
                                // The last parts' column beyond the row is left away.
                                let beyond =
                                    if segment.ends_row { parts * self.call.window.grid[1] - target.width } else { 0 };
                                in_turn(from, parts, to, parts * len - beyond);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// to = from + addend, then ReLU if `relu`.
///
/// # Safety
/// As `patches::copy`.
#[inline(always)]
unsafe fn sum<S: Simd>(simd: S, from: *const f32, addend: *const f32, to: *mut f32, len: usize, relu: bool) {
    let zero = simd.splat_f32s(0.0);
    let mut at = 0;
    // SAFETY: as promised by the caller.
    unsafe {
        while at + S::F32_LANES <= len {
            let a = from.add(at).cast::<S::f32s>().read_unaligned();
            let b = addend.add(at).cast::<S::f32s>().read_unaligned();
            let mut sum = simd.add_f32s(a, b);
            if relu {
                sum = simd.select_f32s(simd.less_than_or_equal_f32s(sum, zero), zero, sum);
            }
            to.add(at).cast::<S::f32s>().write_unaligned(sum);
            at += S::F32_LANES;
        }
        for i in at..len {
            let sum = *from.add(i) + *addend.add(i);
            *to.add(i) = if relu { relu::forward(sum) } else { sum };
        }
    }
}

/// Writes the elements of some edge tiles in turn: the first of each, the second of each, and so on.
///
/// # Safety
/// The tiles have so many elements from `from` on, and `to` has room.
#[inline(always)]
unsafe fn in_turn(from: *const f32, parts: usize, to: *mut f32, len: usize) {
    let mut done = 0;
    // SAFETY: as promised by the caller.
    unsafe {
        macro_rules! blocks {
            ($($n:literal)+) => {$(
                while parts == 2 && len - done >= 2 * $n {
                    let [a, b] = [0, EDGE].map(|tile| from.add(tile + done / 2).cast::<[f32; $n]>().read_unaligned());
                    let pairs: [f32; 2 * $n] = std::array::from_fn(|i| if i % 2 == 0 { a[i / 2] } else { b[i / 2] });
                    to.add(done).cast::<[f32; 2 * $n]>().write_unaligned(pairs);
                    done += 2 * $n;
                }
            )+};
        }
        blocks!(16 4 1);
        (done..len).for_each(|i| *to.add(i) = *from.add(i % parts * EDGE + i / parts));
    }
}
