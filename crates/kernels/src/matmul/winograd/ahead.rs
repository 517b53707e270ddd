//! Prefetches beside products. A core waits for few lines at a time: those that it asks for in one go, it waits for,
//! while a few with each microtile come as it computes.

use crate::matmul::params::LINE;
use crate::prefetch::{line_into_l2, line_to_write};

/// The cache lines of some planes of some images.
#[derive(Clone, Copy)]
pub(super) struct Lines {
    /// The first of the next plane's, and how many of a plane's were taken.
    plane: *const f32,
    taken: usize,
    /// Lines of a plane.
    of_plane: usize,
    /// Planes of an image, and how many of it are left.
    planes: usize,
    left: usize,
    /// From one plane to the next, and from the last one of an image to the next image's first.
    stride: usize,
    jump: usize,
    /// Lines that are left.
    len: usize,
}

impl Lines {
    pub const NONE: Self =
        Self { plane: std::ptr::null(), taken: 0, of_plane: 0, planes: 0, left: 0, stride: 0, jump: 0, len: 0 };

    /// Those of `elements` elements of each plane, from the first one's `from` on.
    pub fn new(from: *const f32, [images, planes, elements]: [usize; 3], [image, stride]: [usize; 2]) -> Self {
        let of_plane = elements.div_ceil(LINE);
        let (left, len) = (planes, images * planes * of_plane);
        let jump = image.wrapping_sub(planes.saturating_sub(1) * stride);
        Self { plane: from, taken: 0, of_plane, planes, left, stride, jump, len }
    }

    /// The next `count` of them, if so many are left.
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

/// What the products of a task prefetch: what will be written behind them, and what will be read then.
pub(super) struct Ahead {
    write: Lines,
    read: Lines,
    /// Lines of each with a microtile.
    share: [usize; 2],
}

impl Ahead {
    pub const NONE: Self = Self { write: Lines::NONE, read: Lines::NONE, share: [0; 2] };

    /// Beside so many microtiles.
    pub fn new(write: Lines, read: Lines, microtiles: usize) -> Self {
        Self { write, read, share: [write, read].map(|lines| lines.len.div_ceil(microtiles.max(1))) }
    }

    /// A microtile's.
    #[inline(always)]
    pub fn issue(&mut self) {
        self.write.take(self.share[0], line_to_write);
        self.read.take(self.share[1], line_into_l2);
    }
}
