//! Sources of convolutions, with their padding, as the loops read them: every tap of a kernel is then an offset, and
//! what it reads for adjacent outputs is adjacent, whatever the step.
//!
//! ```text
//!  a channel of an image     rows of whole vectors: a copy          other rows, here with a step of 2: a copy of as many
//!                            with its padding (step 1)              columns as there are outputs for each column of taps
//!
//!   a b c d                   0 a b c d 0                            0 b   a c   b d
//!   e f g h                   0 e f g h 0                            0 f   e g   f h
//! ```
//!
//! The second form, of kernels with few columns, has no padding between rows: a vector may go on from one row of
//! outputs to the next.

use super::params::LINE;
use super::runs::{copy_masked, copy_of_pairs, copy_shifted, zero};
use super::transpose;
use crate::prefetch::into_l2;
use pulp::Simd;
use std::ops::Range;

/// Copies for the columns of taps, at most: a row takes as much memory each time.
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

// SAFETY: they are borrowed for the whole call that threads share, and nobody writes them meanwhile.
unsafe impl Send for Images {}
// SAFETY: as above.
unsafe impl Sync for Images {}

impl Images {
    /// Copies some rows of an image, and columns from the first on, to channels last.
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
            // Channels are apart, and more than hardware prefetchers follow.
            (0..channels).for_each(|c| into_l2(from.wrapping_add(c * plane + width), columns));
            // SAFETY: as promised by the caller.
            unsafe { transpose::matrix::<S>(from, plane, [channels, columns], to.wrapping_add(i * pitch), of_place) };
        }
    }
}

/// How outputs read a source. Those of a row belong to some parts in turn; in each the output (y, x) reads at each tap
/// (dy, dx) the element (y * step + dy, x * step + dx), which is 0 outside.
pub(crate) struct Window {
    /// Rows and columns of the outputs of a part, at most: the last parts may have a column less.
    pub grid: [usize; 2],
    /// From one output of a part to the next.
    pub step: [usize; 2],
    /// The places that the first output of each part reads.
    pub taps: Vec<Vec<[isize; 2]>>,
    /// Images that are computed in one way; 1 if each has the bits that it has alone.
    pub together: usize,
}

/// Where what outputs read lies: for each channel, copy of its columns and copy of its rows, the rows of one.
pub(super) struct Layout {
    rows: Axis,
    columns: Axis,
    /// Whether the source is read as it is.
    pub in_place: bool,
    /// From one row of outputs to the next.
    pub pitch: usize,
    /// From one channel to the next, and from one image to the next.
    pub plane: usize,
    pub image: usize,
}

/// What is read along an axis.
struct Axis {
    /// The places that copies begin at.
    first: Vec<isize>,
    /// From one element of a copy to the next in the source.
    step: usize,
    /// Elements of a copy.
    len: usize,
    /// How far taps reach beyond the elements of the outputs.
    reach: usize,
}

/// Adjacent columns of a panel whose elements are adjacent somewhere.
#[derive(Clone, Copy, Default)]
pub(super) struct Segment {
    pub at: usize,
    pub column: usize,
    pub len: usize,
    /// Whether a row of outputs ends with it, if rows are apart.
    pub ends_row: bool,
}

impl Axis {
    /// Copies for taps at these places: one for each remainder of the step or, if `each`, one for each place.
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

    /// The copy that a tap reads, and the element of it for the first output.
    fn find(&self, place: isize) -> (usize, usize) {
        let at = |first: &isize| usize::try_from(place - first).ok().filter(|at| at % self.step == 0);
        let of_copy = |(i, first)| at(first).map(|at| (i, at / self.step)).filter(|(_, at)| *at <= self.reach);
        self.first.iter().enumerate().find_map(of_copy).expect("a copy for every tap")
    }

    /// The elements of a copy that exist in a source of `length`, and the first of them there.
    #[inline(always)]
    fn inside(&self, copy: usize, length: usize) -> Inside {
        let first = self.first[copy];
        let before = if first < 0 { first.unsigned_abs().div_ceil(self.step).min(self.len) } else { 0 };
        let from = (first + (before * self.step) as isize) as usize;
        Inside { before, from, count: length.saturating_sub(from).div_ceil(self.step).min(self.len - before) }
    }
}

/// Elements of a copy: `count` from `before` on hold those of the source from `from` on.
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

    /// The layout for `rows` rows of outputs at a time.
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
    /// How far from the first output's element the one of a tap lies, in a source of these rows if it is read as it is.
    pub(super) fn offset(&self, source: &Images, [dy, dx]: [isize; 2]) -> usize {
        if self.in_place {
            return dy as usize * source.width + dx as usize;
        }
        let ((row, y), (column, x)) = (self.rows.find(dy), self.columns.find(dx));
        ((column * self.rows.first.len() + row) * self.rows.len + y) * self.pitch + x
    }

    /// Whether what adjacent rows of outputs, of this width, read is adjacent.
    pub(super) fn is_flat(&self, width: usize) -> bool {
        self.pitch == width
    }

    /// Elements of the copies of `images` images.
    pub(super) fn len(&self, images: usize) -> usize {
        if self.in_place { 0 } else { (images * self.image).next_multiple_of(LINE) }
    }

    /// Copies an image's rows for the outputs from row `first` on to where zeros are, or what this wrote before: the
    /// columns of the padding are left as they are.
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
                        // Of taps beyond the source there is nothing to copy, not even a place.
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
                            // Every second element is the second of a pair, or the first: of the last pair the other
                            // may lie beyond the row.
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
