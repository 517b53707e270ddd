//! Sources of convolutions, with their padding, as the loops read them: every tap of a kernel is then an offset.
//!
//! ```text
//!  one channel of an image         padded, its columns by remainders of the step (here 2)
//!
//!   a b c d e                       0 b d 0 | a c e 0
//!   f g h i j             ->        0 g i 0 | f h j 0
//! ```
//!
//! What a tap reads for adjacent outputs is then adjacent, whatever the step.

use super::params::LINE;
use pulp::{MemMask, Simd};

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

/// How outputs read a source: the output (y, x) reads at each tap (dy, dx) the element (y * step + dy, x * step + dx),
/// which is 0 outside.
pub(crate) struct Window {
    /// Rows and columns of the outputs.
    pub grid: [usize; 2],
    /// From one output to the next.
    pub step: [usize; 2],
    /// The places that the first output reads.
    pub taps: Vec<[isize; 2]>,
}

/// Where the padded rows of some images lie.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    /// Padding before the source's first row and column.
    before: [usize; 2],
    /// Rows above what a task's first output row reads, per output row.
    step: [usize; 2],
    /// Columns of one remainder.
    part: usize,
    /// From one row to the next.
    pub pitch: usize,
    /// From one channel to the next, and from one image to the next.
    pub plane: usize,
    pub image: usize,
    /// Rows that outputs read beyond those of their first tap.
    reach: usize,
    /// Whether the source can be read as it is.
    pub in_place: bool,
}

/// Adjacent columns of a panel whose elements are adjacent somewhere.
#[derive(Clone, Copy, Default)]
pub(super) struct Segment {
    pub at: usize,
    pub column: usize,
    pub len: usize,
}

impl Window {
    /// The layout for so many rows of outputs at a time.
    pub(super) fn layout(&self, source: &Images, rows: usize) -> Layout {
        let least = |axis: usize| self.taps.iter().map(|tap| tap[axis]).min().unwrap_or(0).min(0).unsigned_abs();
        let most = |axis: usize| self.taps.iter().map(|tap| tap[axis]).max().unwrap_or(0).max(0).unsigned_abs();
        let before = [least(0), least(1)];
        let [reach, across] = [before[0] + most(0), before[1] + most(1)];
        let extent = |axis: usize, outputs: usize| (outputs - 1) * self.step[axis] + most(axis) + 1;
        let in_place = before == [0, 0]
            && self.step[1] == 1
            && extent(0, self.grid[0]) <= source.height
            && extent(1, self.grid[1]) <= source.width;
        if in_place {
            let Images { plane, image, width, .. } = *source;
            return Layout { before, step: self.step, part: width, pitch: width, plane, image, reach, in_place };
        }
        let part = ((self.grid[1] - 1) * self.step[1] + across + 1).div_ceil(self.step[1]);
        let pitch = part * self.step[1];
        let plane = pitch * ((rows - 1) * self.step[0] + reach + 1);
        Layout { before, step: self.step, part, pitch, plane, image: plane * source.channels, reach, in_place }
    }
}

impl Layout {
    /// How far from the first output's element the one of a tap lies.
    pub(super) fn offset(&self, [dy, dx]: [isize; 2]) -> usize {
        let row = (dy + self.before[0] as isize) as usize;
        let column = (dx + self.before[1] as isize) as usize;
        row * self.pitch + column % self.step[1] * self.part + column / self.step[1]
    }

    /// How far from the first output's element that of another one lies, for the same tap.
    pub(super) fn at(&self, y: usize, x: usize) -> usize {
        y * self.step[0] * self.pitch + x
    }

    /// Elements of the padded rows of so many images.
    pub(super) fn len(&self, images: usize) -> usize {
        if self.in_place { 0 } else { (images * self.image).next_multiple_of(LINE) }
    }

    /// Copies an image's rows for the outputs from row `first` on to where zeros are, or what this wrote before: the columns of the
    /// padding are left as they are.
    ///
    /// # Safety
    /// `source` is such an image, and `to` has room for `image` elements.
    #[inline(always)]
    pub(super) unsafe fn copy<S: Simd>(&self, simd: S, source: Images, first: usize, rows: usize, to: *mut f32) {
        let first = first * self.step[0];
        let read = (rows - 1) * self.step[0] + self.reach + 1;
        // The rows of the source among them, and how many of a step are read: the others are left as they are.
        let above = self.before[0].saturating_sub(first).min(read);
        let inside = above..(source.height + self.before[0]).saturating_sub(first).clamp(above, read);
        let used = self.step[0].min(self.reach + 1);
        let columns = [0, 1].map(|remainder| self.columns(remainder, source.width));
        let rest = simd.mask_between_m32s(0, (columns[0].count % S::F32_LANES) as u32);
        for c in 0..source.channels {
            let to = to.wrapping_add(c * self.plane);
            let from = (source.data).wrapping_add(c * source.plane + first * source.width);
            let from = from.wrapping_sub(self.before[0] * source.width);
            // SAFETY: the rows lie inside the channel's, and what is read inside the source.
            unsafe {
                zero(simd, to, inside.start * self.pitch);
                zero(simd, to.wrapping_add(inside.end * self.pitch), (read - inside.end) * self.pitch);
                for start in (0..read).step_by(self.step[0]) {
                    for row in inside.start.max(start)..inside.end.min(start + used) {
                        let (from, to) = (from.wrapping_add(row * source.width), to.wrapping_add(row * self.pitch));
                        if self.step[1] == 1 {
                            let Columns { first, count, at } = columns[0];
                            copy_masked(simd, from.add(first), to.add(at), count, rest);
                        } else {
                            self.copy_row(columns, from, source.width, to);
                        }
                    }
                }
            }
        }
    }

    /// The columns of a padded row that hold every `step`-th element of the source's, from a remainder on.
    #[inline(always)]
    fn columns(&self, remainder: usize, width: usize) -> Columns {
        let step = self.step[1];
        let before = self.before[1].saturating_sub(remainder).div_ceil(step).min(self.part);
        let first = (before * step + remainder).saturating_sub(self.before[1]);
        let count = width.saturating_sub(first).div_ceil(step).min(self.part - before);
        Columns { first, count, at: remainder * self.part + before }
    }

    /// # Safety
    /// `from` is a row of so many elements, and `to` has room for a padded one.
    #[inline(always)]
    unsafe fn copy_row(&self, columns: [Columns; 2], from: *const f32, width: usize, to: *mut f32) {
        let step = self.step[1];
        // SAFETY: as promised by the caller.
        unsafe {
            let mut done = 0;
            if step == 2 {
                let [even, odd] = if columns[0].first == 0 { columns } else { [columns[1], columns[0]] };
                debug_assert_eq!([even.first, odd.first], [0, 1]);
                done = split_pairs(from, even.count.min(odd.count), to.add(even.at), to.add(odd.at));
            }
            for remainder in 0..step {
                let Columns { first, count, at } =
                    columns.get(remainder).copied().unwrap_or_else(|| self.columns(remainder, width));
                (done..count).for_each(|i| *to.add(at + i) = *from.add(first + step * i));
            }
        }
    }
}

/// Some columns of a padded row: `count` from `at` on hold elements of the source's row from `first` on.
#[derive(Clone, Copy)]
struct Columns {
    first: usize,
    count: usize,
    at: usize,
}

/// Copies some elements: whole vectors, and the rest of the mask.
///
/// # Safety
/// The elements exist, and do not overlap.
#[inline(always)]
unsafe fn copy_masked<S: Simd>(simd: S, from: *const f32, to: *mut f32, len: usize, rest: MemMask<S::m32s>) {
    let whole = len / S::F32_LANES * S::F32_LANES;
    // SAFETY: as promised by the caller.
    unsafe {
        for at in (0..whole).step_by(S::F32_LANES) {
            to.add(at).cast::<S::f32s>().write_unaligned(from.add(at).cast::<S::f32s>().read_unaligned());
        }
        if whole < len {
            simd.mask_store_ptr_f32s(rest, to.add(whole), simd.mask_load_ptr_f32s(rest, from.add(whole)));
        }
    }
}

/// Copies the first and the second element of some pairs, as many as fill vectors; returns how many.
///
/// # Safety
/// The elements exist, and do not overlap.
#[inline(always)]
unsafe fn split_pairs(from: *const f32, pairs: usize, first: *mut f32, second: *mut f32) -> usize {
    let mut done = 0;
    macro_rules! blocks {
        ($($n:literal)+) => {$(
            while pairs - done >= $n {
                // SAFETY: as promised by the caller.
                unsafe {
                    let block = from.add(2 * done).cast::<[[f32; 2]; $n]>().read_unaligned();
                    first.add(done).cast::<[f32; $n]>().write_unaligned(block.map(|pair| pair[0]));
                    second.add(done).cast::<[f32; $n]>().write_unaligned(block.map(|pair| pair[1]));
                }
                done += $n;
            }
        )+};
    }
    blocks!(16 8);
    done
}

/// Copies a few elements: whole vectors, then halves of what is left.
///
/// # Safety
/// The elements exist, and do not overlap.
#[inline(always)]
pub(super) unsafe fn copy<S: Simd>(from: *const f32, to: *mut f32, len: usize) {
    let mut at = 0;
    // SAFETY: as promised by the caller.
    unsafe {
        while at + S::F32_LANES <= len {
            let vector = from.add(at).cast::<S::f32s>().read_unaligned();
            to.add(at).cast::<S::f32s>().write_unaligned(vector);
            at += S::F32_LANES;
        }
        macro_rules! part {
            ($($n:literal)+) => {$(
                while len - at >= $n {
                    to.add(at).cast::<[f32; $n]>().write_unaligned(from.add(at).cast::<[f32; $n]>().read_unaligned());
                    at += $n;
                }
            )+};
        }
        part!(8 4 2 1);
    }
}

/// Sets some elements to zero, by whole vectors that overlap if there is room for one.
///
/// # Safety
/// The elements exist.
#[inline(always)]
unsafe fn zero<S: Simd>(simd: S, to: *mut f32, len: usize) {
    // SAFETY: as promised by the caller.
    unsafe {
        if len < S::F32_LANES {
            return (0..len).for_each(|i| *to.add(i) = 0.0);
        }
        for at in (0..len).step_by(S::F32_LANES) {
            let at = at.min(len - S::F32_LANES);
            to.add(at).cast::<S::f32s>().write_unaligned(simd.splat_f32s(0.0));
        }
    }
}
