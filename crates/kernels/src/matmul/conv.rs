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
use std::mem::MaybeUninit;
use std::ops::Range;

/// Elements of the padded copy of a task, at most if a row of outputs does not need more: half of a 1 MiB L2.
const COPY_ELEMS: usize = 1 << 17;

/// out[n, m, y, x] = epilogue(the sum over channels c and taps t of a[m, c * taps + t] x[n, c, at t of (y, x)]).
///
/// The rows of x, and of out, are adjacent; out may be every other element of an array. The epilogue's addend lies as out does.
pub(super) fn convolve(
    elements: Elements,
    a: ArrayView2<f32>,
    x: ArrayView4<f32>,
    window: &Window,
    epilogue: Epilogue,
    addend: Option<ArrayView4<f32>>,
    mut out: ArrayViewMut4<f32>,
) {
    let (images, rows, height, width) = out.dim();
    assert!(addend.is_none_or(|addend| (addend.dim(), addend.strides()) == (out.dim(), out.strides())));
    assert_eq!(a.dim(), (rows, x.dim().1 * window.taps.len()));
    assert_eq!((images, [height, width]), (x.dim().0, window.grid));
    if out.is_empty() {
        return;
    }
    let [image, row, down, across] = [0, 1, 2, 3].map(|axis| out.strides()[axis] as usize);
    let addend = addend.map(|addend| addend.as_ptr());
    let target = Target { data: out.as_mut_ptr(), addend, image, row, y: down, x: across };
    Arch::new().dispatch(Convolution { elements, a, source: Images::new(&x), images, window, epilogue, target });
}

/// Where outputs go: element (n, m, y, x) to `n * image + m * row + y * self.y + x * self.x`.
#[derive(Clone, Copy)]
struct Target {
    data: *mut f32,
    addend: Option<*const f32>,
    image: usize,
    row: usize,
    y: usize,
    x: usize,
}

struct Convolution<'a> {
    elements: Elements,
    a: ArrayView2<'a, f32>,
    source: Images,
    images: usize,
    window: &'a Window,
    epilogue: Epilogue<'a>,
    target: Target,
}

// SAFETY: the threads read what is borrowed for the whole call, and write outputs of images and rows of their own.
unsafe impl Sync for Convolution<'_> {}

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
        let (m, k) = self.a.dim();
        let threads = if self.images * self.window.grid[0] * self.window.grid[1] * m * k < PARALLEL_MIN {
            1
        } else {
            parallel::threads()
        };
        let tasks = self.tasks::<S>(threads);
        let layout = self.window.layout(&self.source, tasks.rows);
        let taps = self.window.taps.iter().map(|&tap| layout.offset(&self.source, tap));
        let taps: Vec<usize> = taps.collect();
        let offsets: Vec<usize> =
            (0..self.source.channels).flat_map(|c| taps.iter().map(move |tap| c * layout.plane + tap)).collect();
        // Where the rows of a packed panel of pairs are.
        let packed_rows: Vec<usize> = match self.elements {
            Elements::Numbers => Vec::new(),
            Elements::Pairs(_) => (0..k).map(|row| row * nr::<S>()).collect(),
        };
        // What is computed for nothing reads a vector beyond the copy.
        let room = layout.len(tasks.images) + LINE;
        parallel::for_each_chunk(0..tasks.count, threads.saturating_mul(TASKS_PER_THREAD), |chunk| {
            pack::with_buffer(room + k * nr::<S>(), |copy| {
                // SAFETY: the buffer is longer.
                unsafe { std::slice::from_raw_parts_mut(copy, room) }.fill(0.0);
                for task in chunk {
                    let (group, band) = (task / tasks.bands, task % tasks.bands);
                    let images = group * tasks.images..self.images.min((group + 1) * tasks.images);
                    let rows = band * tasks.rows..self.window.grid[0].min((band + 1) * tasks.rows);
                    let packed = copy.wrapping_add(room);
                    let (call, layout, offsets, packed_rows) = (&self, &layout, &offsets[..], &packed_rows[..]);
                    simd.vectorize(Task { call, layout, offsets, packed_rows, images, rows, copy, packed });
                }
            });
        });
    }
}

impl Convolution<'_> {
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
        let bands = if images > 1 {
            1
        } else {
            let for_threads = if threads == 1 { 1 } else { (2 * threads).div_ceil(groups) };
            whole.len(1).div_ceil(COPY_ELEMS).max(for_threads).min(height)
        };
        // Rows that fill vectors together, if they are not all.
        let together = (1..=LINE).find(|rows| (rows * width).is_multiple_of(LINE)).unwrap_or(LINE);
        let rows = height.div_ceil(bands).next_multiple_of(together).min(height);
        let bands = height.div_ceil(rows);
        Tasks { images, rows, bands, count: groups * bands }
    }
}

struct Task<'a, 'b> {
    call: &'a Convolution<'b>,
    layout: &'a Layout,
    /// How far the element of each row of patches lies from the first.
    offsets: &'a [usize],
    /// Of pairs: how far each row of a packed panel lies from the first.
    packed_rows: &'a [usize],
    images: Range<usize>,
    rows: Range<usize>,
    copy: *mut f32,
    packed: *mut f32,
}

type Segments = [Segment; NR_MAX];

/// The sums of a microtile on their way to outputs that can't take whole vectors.
#[repr(align(64))]
struct EdgeTile([MaybeUninit<f32>; MR_NARROW * NR_MAX]);

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
        let mut edge = EdgeTile([const { MaybeUninit::uninit() }; _]);
        let mut segments = [Segment::default(); NR_MAX];
        let Target { image, y: down, x: across, .. } = call.target;
        let width = call.window.grid[1];
        let columns = images.len() * rows.len() * width;
        for first in (0..columns).step_by(nr::<S>()) {
            let columns = first..columns.min(first + nr::<S>());
            let is_flat = layout.is_flat(width);
            let from = self.segments(&columns, is_flat, 1, &mut segments, |n, y| n * layout.image + y * layout.pitch);
            // What a copy's last vector reads beyond it is never used; there is room.
            let vectors = Vectors::of::<S>(source, self.offsets, from, !layout.in_place).or_else(|| {
                // SAFETY: the segments lie in the source for each offset, and there is room for a panel.
                unsafe { self.pack(simd, source, from, columns.len()) };
                match call.elements {
                    Elements::Numbers => None,
                    Elements::Pairs(_) => Some(Vectors::packed::<S>(self.packed, self.packed_rows)),
                }
            });
            let is_flat = down == width * across;
            let to = self.segments(&columns, is_flat, across, &mut segments, |n, y| {
                (images.start + n) * image + (rows.start + y) * down
            });
            self.multiply(simd, columns.len(), vectors, to, edge.0.as_mut_ptr().cast());
        }
    }
}

impl Task<'_, '_> {
    /// The segments of some columns, by the places of the first output of a row of an image; outputs are `step` apart there, and
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
            into[count] = Segment { at: place(i / runs, i % runs) + x * step, column: at - columns.start, len };
            (count, at) = (count + 1, at + len);
        }
        &into[..count]
    }

    /// Packs a panel of patches, filled up to whole vectors.
    ///
    /// # Safety
    /// The segments lie in the source at each offset.
    #[inline(always)]
    unsafe fn pack<S: Simd>(&self, simd: S, source: *const f32, segments: &[Segment], columns: usize) {
        let width = columns.next_multiple_of(S::F32_LANES);
        let pitch = match self.call.elements {
            Elements::Numbers => width,
            Elements::Pairs(_) => nr::<S>(),
        };
        for (k, offset) in self.offsets.iter().enumerate() {
            let (from, to) = (source.wrapping_add(*offset), self.packed.wrapping_add(k * pitch));
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

    /// Computes the outputs of a panel, which is packed or read in place, tile by tile, as they are or by the edge tile.
    #[inline(always)]
    fn multiply<S: Simd>(
        &self,
        simd: S,
        columns: usize,
        in_place: Option<Vectors>,
        segments: &[Segment],
        edge: *mut f32,
    ) {
        let Convolution { ref a, epilogue, target, .. } = *self.call;
        let ((m, k), mr) = (a.dim(), mr::<S>(columns));
        let left = MatRef { ptr: a.as_ptr(), rs: a.strides()[0], cs: a.strides()[1] };
        let (vectors, width) = (columns.div_ceil(S::F32_LANES), columns.next_multiple_of(S::F32_LANES));
        // Rows of outputs are often a multiple of 4 KiB apart, so that their lines share a set of the cache: what is more than a
        // write of each waits in the edge tile.
        let direct = matches!(segments, [segment] if segment.len == width)
            && target.x == 1
            && target.addend.is_none()
            && epilogue.norm.is_none();
        for row in (0..m).step_by(mr) {
            let rows = row..m.min(row + mr);
            let place = |row: usize, segment: &Segment| row * target.row + segment.at;
            let (c, rs_c) =
                if direct { (target.data.wrapping_add(place(row, &segments[0])), target.row) } else { (edge, width) };
            let mut micro = MicroTile::<F32> {
                kc: k,
                kc_sum: kc_sum(k),
                a: left.from(row, 0),
                b: self.packed,
                c,
                rs_c: rs_c as isize,
                accumulate: false,
                prefetch: Prefetch::rows(left, 0),
                epilogue: epilogue.tile(rows.clone(), std::ptr::null()),
            };
            if let Some(addend) = target.addend {
                micro.epilogue = micro.epilogue.linear();
                for row in rows.clone() {
                    for segment in segments {
                        prefetch::line_by_line(addend.wrapping_add(place(row, segment)), segment.len);
                    }
                }
            }
            // SAFETY: the tile lies inside the outputs or the edge tile, and its panel was packed to whole vectors, or is
            // read where each vector of each row of patches lies.
            unsafe {
                match (self.call.elements, in_place) {
                    (Elements::Numbers, None) => microkernel::compute(simd, rows.len(), vectors, micro),
                    (Elements::Numbers, Some(b)) => in_place::compute(simd, rows.len(), vectors, micro, b),
                    (Elements::Pairs(kernels), Some(b)) => {
                        (kernels.multiply)(rows.len(), vectors, micro, b);
                        micro.epilogue.apply(simd, rows.len(), vectors, micro.c, micro.rs_c);
                    }
                    (Elements::Pairs(_), None) => unreachable!("pairs are read where they are, or in their panel"),
                }
            }
            if direct {
                continue;
            }
            for (i, row) in rows.enumerate() {
                for segment in segments {
                    let from = edge.wrapping_add(i * width + segment.column).cast_const();
                    let to = target.data.wrapping_add(place(row, segment));
                    // SAFETY: the segment's outputs are this task's own, and the addend lies as they do.
                    unsafe {
                        if let Some(addend) = target.addend {
                            let addend = addend.wrapping_add(place(row, segment));
                            scatter_sum(simd, from, addend, to, segment.len, target.x, epilogue.relu);
                        } else {
                            scatter::<S>(from, to, segment.len, target.x);
                        }
                    }
                }
            }
        }
    }
}

/// to[i * step] = from[i] + addend[i * step], then ReLU if `relu`.
///
/// # Safety
/// As `patches::copy`.
#[inline(always)]
unsafe fn scatter_sum<S: Simd>(
    simd: S,
    from: *const f32,
    addend: *const f32,
    to: *mut f32,
    len: usize,
    step: usize,
    relu: bool,
) {
    let zero = simd.splat_f32s(0.0);
    let mut at = 0;
    // SAFETY: as promised by the caller.
    unsafe {
        while step == 1 && at + S::F32_LANES <= len {
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
            let sum = *from.add(i) + *addend.add(i * step);
            *to.add(i * step) = if relu { relu::forward(sum) } else { sum };
        }
    }
}

/// to[i * step] = from[i].
///
/// # Safety
/// As `patches::copy`.
#[inline(always)]
unsafe fn scatter<S: Simd>(from: *const f32, to: *mut f32, len: usize, step: usize) {
    // SAFETY: as promised by the caller.
    unsafe {
        if step == 1 {
            return patches::copy::<S>(from, to, len);
        }
        for i in 0..len {
            *to.add(i * step) = *from.add(i);
        }
    }
}
