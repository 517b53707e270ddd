//! One task of a convolution: the outputs of some images, or of rows of one, panel by panel and microtile by microtile.

use super::conv_elements::{Elements, ROWS_MAX};
use super::epilogue::Epilogue;
use super::in_place::{self, Vectors};
use super::mat::MatRef;
use super::microkernel::{self, MicroTile};
use super::params::{NR_MAX, kc_sum, nr};
use super::patches::{Images, Layout, Segment, Window};
use super::prefetch::Prefetch;
use super::runs;
use crate::prefetch::{into_l2, to_write};
use crate::relu;
use ndarray::ArrayView2;
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// The size of an edge tile: the sums of a microtile whose outputs can't be written as whole vectors.
pub(super) const EDGE: usize = ROWS_MAX * NR_MAX;

/// Where outputs go: element (n, m, y, x) to `n * image + m * row + y * self.y + x`; rows have `width` outputs.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub data: *mut f32,
    pub addend: Option<*const f32>,
    pub image: usize,
    pub row: usize,
    pub y: usize,
    pub width: usize,
}

// SAFETY: threads write outputs of images and rows of their own.
unsafe impl Sync for Target {}

pub(super) struct Convolution<'a> {
    pub elements: Elements,
    pub a: &'a [ArrayView2<'a, f32>],
    pub source: Images,
    pub images: usize,
    pub rows: usize,
    pub window: &'a Window,
    pub epilogue: Epilogue<'a>,
    pub target: Target,
}

/// What differs between the parts of the outputs.
pub(super) struct Part {
    pub a: MatRef,
    /// The distance of each row of patches from the first, in the copy.
    pub offsets: Vec<usize>,
    /// The distance of each row of a packed panel from the first, for pairs without tiles.
    pub packed_rows: Vec<usize>,
    /// The rows of a packed panel: those of the offsets, filled up with zeros.
    pub panel: usize,
    /// How many rows the packed panels of the parts before have.
    pub before: usize,
}

pub(super) struct Task<'a, 'b> {
    pub call: &'a Convolution<'b>,
    pub layout: &'a Layout,
    pub parts: &'a [Part],
    pub images: Range<usize>,
    pub rows: Range<usize>,
    pub copy: *mut f32,
    /// One edge tile for each part.
    pub edges: *mut f32,
    pub packed: *mut f32,
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
        let of_task = images.len() * rows.len() * width;
        for first in (0..of_task).step_by(nr::<S>()) {
            let columns = first..of_task.min(first + nr::<S>());
            let is_flat = layout.is_flat(width);
            let from = self.segments(&columns, is_flat, 1, &mut segments, |n, y| n * layout.image + y * layout.pitch);
            // The last vector may read beyond the copy. The buffer is long enough, and these outputs are never stored.
            let in_place = match call.elements.side() {
                1 => Vectors::of::<S>(source, &[], from, !layout.in_place),
                _ => None,
            };
            if in_place.is_none() {
                // SAFETY: the segments lie in the source for each offset, and there is room for a panel of each part.
                self.parts.iter().for_each(|part| unsafe { self.pack(simd, part, source, from, columns.len()) });
            }
            let is_flat = down == target_width && target_width == width * parts;
            let to = self.segments(&columns, is_flat, parts, &mut segments, |n, y| {
                (images.start + n) * image + (rows.start + y) * down
            });
            self.prefetch_source(source, columns.end..of_task.min(columns.end + nr::<S>()));
            self.multiply(simd, columns.len(), in_place, to);
        }
    }
}

impl Task<'_, '_> {
    /// Prefetches what the next columns read in each channel, if the source is read in place.
    #[inline(always)]
    fn prefetch_source(&self, source: *const f32, next: Range<usize>) {
        let Self { layout, ref rows, .. } = *self;
        let width = self.call.window.grid[1];
        if layout.in_place && layout.is_flat(width) {
            let Images { plane, channels, .. } = self.call.source;
            let (image, place) = (next.start / (rows.len() * width), next.start % (rows.len() * width));
            let from = source.wrapping_add(image * layout.image + place);
            (0..channels).for_each(|c| into_l2(from.wrapping_add(c * plane), next.len()));
        }
    }

    /// Splits columns into segments that are adjacent in the source. `place` gives where an output row of an image
    /// begins; outputs are `step` apart there, and so are rows if they are flat.
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
        let pitch = if part.packed_rows.is_empty() { width } else { nr::<S>() };
        let to = self.packed_panel::<S>(part);
        for at in (part.offsets.len() * pitch..part.panel * pitch).step_by(S::F32_LANES) {
            // SAFETY: the buffer has room for the rows of a panel.
            unsafe { to.add(at).cast::<S::f32s>().write_unaligned(simd.splat_f32s(0.0)) };
        }
        for (k, offset) in part.offsets.iter().enumerate() {
            let (from, to) = (source.wrapping_add(*offset), to.wrapping_add(k * pitch));
            // SAFETY: as promised by the caller; the buffer has room for k rows of a panel.
            unsafe {
                if columns < width {
                    to.add(width - S::F32_LANES).cast::<S::f32s>().write_unaligned(simd.splat_f32s(0.0));
                }
                for segment in segments {
                    runs::copy::<S>(from.add(segment.at), to.add(segment.column), segment.len);
                }
            }
        }
    }

    #[inline(always)]
    fn packed_panel<S: Simd>(&self, part: &Part) -> *mut f32 {
        self.packed.wrapping_add(part.before * nr::<S>())
    }

    /// Computes the outputs of a panel, tile by tile. The panel is packed or read in place; the sums are written to the
    /// outputs directly or through the edge tiles.
    #[inline(always)]
    fn multiply<S: Simd>(&self, simd: S, columns: usize, in_place: Option<Vectors>, segments: &[Segment]) {
        let Convolution { rows: m, epilogue, target, .. } = *self.call;
        let mr = self.call.elements.rows::<S>(columns);
        let (vectors, width) = (columns.div_ceil(S::F32_LANES), columns.next_multiple_of(S::F32_LANES));
        // Rows of outputs are often a multiple of 4 KiB apart, so that their cache lines share a set and evict each
        // other. So if sums are not written exactly once, they are collected in the edge tile.
        let direct = matches!(segments, [segment] if segment.len == width)
            && self.parts.len() == 1
            && target.addend.is_none()
            && epilogue.norm.is_none();
        let place = |row: usize, segment: &Segment| row * target.row + segment.at;
        self.prefetch_outputs(0..m.min(mr), segments);
        for row in (0..m).step_by(mr) {
            let rows = row..m.min(row + mr);
            self.prefetch_outputs(rows.end..m.min(rows.end + mr), segments);
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
                        into_l2(addend.wrapping_add(place(row, segment)), segment.len);
                    }
                }
            }
            for (i, part) in self.parts.iter().enumerate().filter(|(_, part)| !part.offsets.is_empty()) {
                let k = part.offsets.len();
                let micro = MicroTile {
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
                // SAFETY: the tile lies inside the outputs or the edge tile, and its panel was packed to whole vectors,
                // or is read where each vector of each row of patches lies.
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
            if !direct {
                self.write_back(simd, rows, width, segments);
            }
        }
    }

    /// Prefetches rows of a panel's outputs for writing.
    #[inline(always)]
    fn prefetch_outputs(&self, rows: Range<usize>, segments: &[Segment]) {
        let target = &self.call.target;
        for row in rows {
            for segment in segments {
                to_write(target.data.wrapping_add(row * target.row + segment.at), self.parts.len() * segment.len);
            }
        }
    }

    /// Writes rows of the edge tiles, `width` long each, to the outputs of a panel, with addend and ReLU.
    #[inline(always)]
    fn write_back<S: Simd>(&self, simd: S, rows: Range<usize>, width: usize, segments: &[Segment]) {
        let Convolution { epilogue: Epilogue { relu, .. }, target, .. } = *self.call;
        for (i, row) in rows.enumerate() {
            for segment in segments {
                let from = self.edges.wrapping_add(i * width + segment.column).cast_const();
                let (at, len) = (row * target.row + segment.at, segment.len);
                let to = target.data.wrapping_add(at);
                // SAFETY: the segment's outputs are this task's own, and the addend lies as they do.
                unsafe {
                    match (self.parts.len(), target.addend) {
                        (1, None) => runs::copy::<S>(from, to, len),
                        (1, Some(addend)) => sum(simd, from, addend.wrapping_add(at), to, len, relu),
                        (parts, _) => {
                            // The last parts may have one column less: theirs beyond the row is left out.
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

/// to = from + addend, then ReLU if `relu`.
///
/// # Safety
/// As `runs::copy`.
#[inline(always)]
pub(super) unsafe fn sum<S: Simd>(simd: S, from: *const f32, addend: *const f32, to: *mut f32, len: usize, relu: bool) {
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

/// Interleaves the edge tiles of the parts: the first element of each, the second of each, and so on.
///
/// # Safety
/// The `parts` tiles from `from` on have `len` elements together, and `to` has room.
#[inline(always)]
unsafe fn in_turn(from: *const f32, parts: usize, to: *mut f32, len: usize) {
    // SAFETY: as promised by the caller.
    unsafe {
        if parts == 2 {
            return runs::interleave([from, from.add(EDGE)], to, len);
        }
        (0..len).for_each(|i| *to.add(i) = *from.add(i % parts * EDGE + i / parts));
    }
}
