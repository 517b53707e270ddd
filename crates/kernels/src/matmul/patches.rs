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

    /// Copies an image's rows for the outputs from row `first` on, with zeros around them.
    ///
    /// # Safety
    /// `source` is such an image, and `to` has room for `image` elements.
    #[inline(always)]
    pub(super) unsafe fn copy(&self, source: Images, first: usize, rows: usize, to: *mut f32) {
        let read = (rows - 1) * self.step[0] + self.reach + 1;
        for c in 0..source.channels {
            for row in 0..read {
                let to = to.wrapping_add(c * self.plane + row * self.pitch);
                let y = (first * self.step[0] + row).wrapping_sub(self.before[0]);
                // SAFETY: the row lies inside the channel's rows, and what is read inside the source.
                unsafe {
                    if y >= source.height {
                        std::slice::from_raw_parts_mut(to, self.pitch).fill(0.0);
                    } else {
                        let from = source.data.add(c * source.plane + y * source.width);
                        self.copy_row(std::slice::from_raw_parts(from, source.width), to);
                    }
                }
            }
        }
    }

    /// # Safety
    /// `to` has room for a row.
    #[inline(always)]
    unsafe fn copy_row(&self, from: &[f32], to: *mut f32) {
        let step = self.step[1];
        for remainder in 0..step {
            // SAFETY: as promised by the caller.
            let part = unsafe { std::slice::from_raw_parts_mut(to.add(remainder * self.part), self.part) };
            // Element i of the part is column i * step + remainder - before of the source.
            let before = self.before[1].saturating_sub(remainder).div_ceil(step).min(part.len());
            let first = (before * step + remainder).saturating_sub(self.before[1]);
            let count = from.len().saturating_sub(first).div_ceil(step).min(part.len() - before);
            part[..before].fill(0.0);
            part[before + count..].fill(0.0);
            let part = &mut part[before..before + count];
            if step == 1 {
                part.copy_from_slice(&from[first..first + count]);
            } else {
                part.iter_mut().zip(from[first.min(from.len())..].iter().step_by(step)).for_each(|(to, x)| *to = *x);
            }
        }
    }
}
