//! The layout of a convolution's source, with its padding. Every tap of the kernel becomes a constant offset, and what
//! it reads for adjacent outputs is adjacent, whatever the stride.
//!
//! ```text
//!  a channel of an image     rows of whole vectors: a copy       other rows, here with a step of 2: a copy of as many
//!                            with its padding (step 1)           columns as there are outputs for each column of taps
//!
//!   a b c d                   0 a b c d 0                         0 b   a c   b d
//!   e f g h                   0 e f g h 0                         0 f   e g   f h
//! ```
//!
//! The second form, for kernels with few columns, has no padding between rows: a vector may extend from one row of
//! outputs to the next.

use super::params::LINE;
use super::runs::{copy_masked, copy_of_pairs, copy_shifted, zero};
use super::transpose;
use crate::prefetch::into_l2;
use pulp::Simd;
use std::ops::Range;

/// The most copies for columns of taps. Each takes as much memory as the source.
const COPIES: usize = 8;

/// Images whose rows of elements are adjacent: element (n, c, y, x) is at `n * image + c * plane + y * width + x`.
#[derive(Clone, Copy)]
pub(super) struct Images {
    pub data: *const f32,
    pub image: usize,
    pub plane: usize,
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

// SAFETY: the images are borrowed for the whole call that threads share, and nobody writes them meanwhile.
unsafe impl Send for Images {}
// SAFETY: as above.
unsafe impl Sync for Images {}

impl Images {
    /// Copies rows of an image, the first `columns` columns of each, to channels last.
    ///
    /// # Safety
    /// The image exists, and `to` has room for them; rows are `pitch` apart there, and places `of_place`.
    #[inline(always)]
    pub(super) unsafe fn copy_channels_last<S: Simd>(
        &self,
        image: usize,
        rows: Range<usize>,
        columns: usize,
        to: *mut f32,
        [pitch, of_place]: [usize; 2],
    ) {
        let Self { data, plane, channels, width, .. } = *self;
        for (i, y) in rows.enumerate() {
            let from = data.wrapping_add(image * self.image + y * width);
            // There are more channels than hardware prefetchers can follow.
            (0..channels).for_each(|c| into_l2(from.wrapping_add(c * plane + width), columns));
            // SAFETY: as promised by the caller.
            unsafe { transpose::matrix::<S>(from, plane, [channels, columns], to.wrapping_add(i * pitch), of_place) };
        }
    }
}

/// How outputs read a source. The outputs of a row belong to the parts in turn. In each part, tap (dy, dx) of output
/// (y, x) reads element (y * step + dy, x * step + dx) of the source, or 0 outside of it.
pub(crate) struct Window {
    /// The rows and columns of outputs in a part. The last parts may have one column less.
    pub grid: [usize; 2],
    /// The distance in the source between what adjacent outputs of a part read, by axis.
    pub step: [usize; 2],
    /// The places that the taps of each part's first output read.
    pub taps: Vec<Vec<[isize; 2]>>,
    /// How many images may decide together how they are computed; 1 if each must get the bits that it gets alone.
    pub together: usize,
}

/// Where the elements that outputs read are: by channel, then by copy for columns, then by copy for rows.
pub(super) struct Layout {
    rows: Axis,
    columns: Axis,
    /// Whether the source is read in place, without a copy.
    pub in_place: bool,
    /// The distance from one row of outputs to the next.
    pub pitch: usize,
    /// The distance from one channel to the next, and from one image to the next.
    pub plane: usize,
    pub image: usize,
}

/// The copies along an axis.
struct Axis {
    /// The places in the source where the copies begin.
    first: Vec<isize>,
    /// The distance in the source between adjacent elements of a copy.
    step: usize,
    /// The length of a copy.
    len: usize,
    /// How many elements taps read beyond one for each output.
    reach: usize,
}

/// Adjacent columns of a panel that are adjacent in the source or in the outputs, too.
#[derive(Clone, Copy, Default)]
pub(super) struct Segment {
    pub at: usize,
    pub column: usize,
    pub len: usize,
    /// Whether it ends a row of outputs, if rows are not adjacent.
    pub ends_row: bool,
}

impl Axis {
    /// One copy for each remainder of the taps' places modulo the step or, if `each`, one for each place.
    fn new(window: &Window, axis: usize, outputs: usize, each: bool) -> Self {
        let (places, step) = (|| window.places(axis), window.step[axis]);
        let least = places().min().unwrap_or(0);
        let begin = |place: isize| if each { place } else { least + (place - least) % step as isize };
        let mut first: Vec<_> = places().map(begin).collect();
        first.sort_unstable();
        first.dedup();
        let reach = places().map(|place| (place - begin(place)).unsigned_abs() / step).max().unwrap_or(0);
        Self { first, step, len: outputs + reach, reach }
    }

    /// Which copy a tap reads, and which of its elements for the first output.
    fn find(&self, place: isize) -> (usize, usize) {
        let at = |first: &isize| usize::try_from(place - first).ok().filter(|at| at % self.step == 0);
        let of_copy = |(i, first)| at(first).map(|at| (i, at / self.step)).filter(|(_, at)| *at <= self.reach);
        self.first.iter().enumerate().find_map(of_copy).expect("a copy for every tap")
    }

    /// Which elements of a copy exist in a source of this length, and where the first of them is there.
    #[inline(always)]
    fn inside(&self, copy: usize, length: usize) -> Inside {
        let first = self.first[copy];
        let before = if first < 0 { first.unsigned_abs().div_ceil(self.step).min(self.len) } else { 0 };
        let from = (first + (before * self.step) as isize) as usize;
        Inside { before, from, count: length.saturating_sub(from).div_ceil(self.step).min(self.len - before) }
    }
}

/// A part of a copy: its `count` elements from `before` on are elements of the source from `from` on.
#[derive(Clone, Copy)]
struct Inside {
    before: usize,
    from: usize,
    count: usize,
}

impl Window {
    /// The places of all taps along an axis.
    fn places(&self, axis: usize) -> impl Iterator<Item = isize> {
        self.taps.iter().flatten().map(move |tap| tap[axis])
    }

    /// The layout for tasks of `rows` rows of outputs.
    pub(super) fn layout(&self, source: &Images, rows: usize) -> Layout {
        let whole = self.grid[1].is_multiple_of(LINE);
        let axis = |axis: usize, outputs: usize, each: bool| Axis::new(self, axis, outputs, each);
        let fits = |axis: usize, length: usize| {
            let last = self.places(axis).max().unwrap_or(0) + ((self.grid[axis] - 1) * self.step[axis]) as isize;
            self.places(axis).all(|place| place >= 0) && last < length as isize
        };
        let flat = self.grid[1] == source.width && self.step[0] == 1;
        if fits(0, source.height) && fits(1, source.width) && self.step[1] == 1 && (whole || flat) {
            let Images { plane, image, width, .. } = *source;
            let (rows, columns) = (axis(0, rows, false), axis(1, self.grid[1], false));
            return Layout { rows, columns, in_place: true, pitch: width * self.step[0], plane, image };
        }
        let (rows, shared) = (axis(0, rows, false), axis(1, self.grid[1], false));
        let each = axis(1, self.grid[1], true);
        let columns = if whole || each.first.len() > COPIES { shared } else { each };
        let pitch = columns.len;
        let plane = columns.first.len() * rows.first.len() * rows.len * pitch;
        Layout { rows, columns, in_place: false, pitch, plane, image: plane * source.channels }
    }
}

impl Layout {
    /// The offset of a tap: from the layout's begin to the element that the tap of the first output reads.
    pub(super) fn offset(&self, source: &Images, [dy, dx]: [isize; 2]) -> usize {
        if self.in_place {
            return dy as usize * source.width + dx as usize;
        }
        let ((row, y), (column, x)) = (self.rows.find(dy), self.columns.find(dx));
        ((column * self.rows.first.len() + row) * self.rows.len + y) * self.pitch + x
    }

    /// Whether rows of outputs of this width read adjacent elements from one row to the next.
    pub(super) fn is_flat(&self, width: usize) -> bool {
        self.pitch == width
    }

    /// The length of the copies of `images` images.
    pub(super) fn len(&self, images: usize) -> usize {
        if self.in_place { 0 } else { (images * self.image).next_multiple_of(LINE) }
    }

    /// Copies the rows of an image that the outputs from row `first` on read. Columns of the padding are not written:
    /// `to` must have zeros there.
    ///
    /// # Safety
    /// `source` is such an image, and `to` has room for `image` elements.
    #[inline(always)]
    pub(super) unsafe fn copy<S: Simd>(&self, simd: S, source: Images, first: usize, rows: usize, to: *mut f32) {
        let Self { rows: down, columns: across, pitch, .. } = self;
        let read = rows + down.reach;
        let shifted = across.step == 1 && down.step == 1 && *pitch == source.width;
        for (row, place) in down.first.iter().enumerate() {
            let place = place + (first * down.step) as isize;
            // The rows of the copy that exist in the source.
            let above = if place < 0 { place.unsigned_abs().div_ceil(down.step) } else { 0 }.min(read);
            let top = (place + (above * down.step) as isize) as usize;
            let count = source.height.saturating_sub(top).div_ceil(down.step).min(read - above);
            for column in 0..across.first.len() {
                let inside = across.inside(column, source.width);
                let rest = simd.mask_between_m32s(0, (inside.count % S::F32_LANES) as u32);
                let from = source.data.wrapping_add(top.wrapping_mul(source.width).wrapping_add(inside.from));
                let to = to.wrapping_add((column * down.first.len() + row) * down.len * pitch);
                for c in 0..source.channels {
                    let (from, to) = (from.wrapping_add(c * source.plane), to.wrapping_add(c * self.plane));
                    // SAFETY: the rows lie inside the copy, and what is read inside the source.
                    unsafe {
                        zero(simd, to, above * pitch);
                        zero(simd, to.add((above + count) * pitch), (read - above - count) * pitch);
                        // If taps read only beyond the source, there is nothing to copy.
                        if inside.count == 0 {
                            continue;
                        }
                        let to = to.add(above * pitch + inside.before);
                        if shifted {
                            copy_shifted(simd, from, to, [count, *pitch], inside.count);
                            continue;
                        }
                        for y in 0..count {
                            let from = from.wrapping_add(y * down.step * source.width);
                            let to = to.wrapping_add(y * pitch);
                            // Every second element is copied: one of each pair. The other one of the last pair may lie
                            // beyond the row.
                            match across.step {
                                1 => copy_masked(simd, from, to, inside.count, rest),
                                2 if inside.from % 2 == 1 => copy_of_pairs::<1>(from.sub(1), to, inside.count),
                                2 if c + 1 < source.channels => copy_of_pairs::<0>(from, to, inside.count),
                                step => (0..inside.count).for_each(|i| *to.add(i) = *from.add(step * i)),
                            }
                        }
                    }
                }
            }
        }
    }
}
