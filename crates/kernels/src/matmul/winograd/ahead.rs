//! Prefetches between the microtiles of products. A core can wait for only a few cache lines at once: many prefetches
//! in a row would stall it, but a few with each microtile arrive while it computes.

use crate::matmul::params::LINE;
use crate::prefetch::{line_into_l2, line_to_write};

/// An iterator over the cache lines of some planes of some images.
#[derive(Clone, Copy)]
pub(super) struct Lines {
    /// The current plane's first element, and how many of the plane's lines were taken.
    plane: *const f32,
    taken: usize,
    /// The number of lines in a plane.
    of_plane: usize,
    /// The number of planes in an image, and how many of the current image are left.
    planes: usize,
    left: usize,
    /// The distance from one plane to the next, and from an image's last plane to the next image's first.
    stride: usize,
    jump: usize,
    /// The number of lines that are left.
    len: usize,
}

impl Lines {
    pub const NONE: Self =
        Self { plane: std::ptr::null(), taken: 0, of_plane: 0, planes: 0, left: 0, stride: 0, jump: 0, len: 0 };

    /// The lines of the first `elements` elements of each plane; `from` is the first plane's first element.
    pub fn new(from: *const f32, [images, planes, elements]: [usize; 3], [image, stride]: [usize; 2]) -> Self {
        let of_plane = elements.div_ceil(LINE);
        let (left, len) = (planes, images * planes * of_plane);
        let jump = image.wrapping_sub(planes.saturating_sub(1) * stride);
        Self { plane: from, taken: 0, of_plane, planes, left, stride, jump, len }
    }

    /// Prefetches the next `count` lines, or those that are left.
    #[inline(always)]
    fn take(&mut self, count: usize, mut prefetch: impl FnMut(*const f32)) {
        for _ in 0..count.min(self.len) {
            prefetch(self.plane.wrapping_add(self.taken * LINE));
            self.taken += 1;
            if self.taken == self.of_plane {
                let (step, left) = if self.left == 1 { (self.jump, self.planes) } else { (self.stride, self.left - 1) };
                (self.plane, self.left, self.taken) = (self.plane.wrapping_add(step), left, 0);
            }
        }
        self.len -= count.min(self.len);
    }
}

/// What a task prefetches during its products: the lines that it writes after them, and those that the next task reads.
pub(super) struct Ahead {
    write: Lines,
    read: Lines,
    /// How many lines of each are prefetched with a microtile.
    share: [usize; 2],
}

impl Ahead {
    pub const NONE: Self = Self { write: Lines::NONE, read: Lines::NONE, share: [0; 2] };

    /// Spreads the lines evenly over `microtiles` microtiles.
    pub fn new(write: Lines, read: Lines, microtiles: usize) -> Self {
        Self { write, read, share: [write, read].map(|lines| lines.len.div_ceil(microtiles.max(1))) }
    }

    /// Prefetches the share of one microtile.
    #[inline(always)]
    pub fn issue(&mut self) {
        self.write.take(self.share[0], line_to_write);
        self.read.take(self.share[1], line_into_l2);
    }
}
