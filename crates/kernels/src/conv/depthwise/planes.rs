//! Planes inside of zeros: where the taps of an output lie, and bands of rows of which a copy stays in the cache.

use super::lanes::Lanes;
use crate::conv::{Shape, Window};
use crate::matmul::{LANES, interleave};
use std::ops::Range;

/// Places of a copy, at most if a row of outputs does not need more: 128 KiB.
const COPY_PLACES: usize = 1 << 11;

/// A convolution of single planes: output (y, x) reads the place (y * down, x * down) + tap of a grid of zeros, where
/// the source's element (y, x) stands at (y * up, x * up) + first, if that is inside.
pub(super) struct Planes {
    pub source: [usize; 2],
    up: [usize; 2],
    first: [isize; 2],
    pub out: [usize; 2],
    pub down: [usize; 2],
    kernel: [usize; 2],
    dilation: [usize; 2],
}

/// Some rows of outputs, and where the grid lies that they read.
pub(super) struct Band {
    pub rows: Range<usize>,
    /// The rows of the source in it.
    pub source: Range<usize>,
    /// How many places the grid has.
    pub places: usize,
}

impl Shape {
    /// Outputs of each channel.
    pub(super) fn multiplier(&self) -> usize {
        self.weight[0] / self.x[1]
    }

    pub(super) fn forward_planes(&self, [_, _, height, width]: [usize; 4]) -> Planes {
        let Window { stride, padding, dilation } = self.window;
        Planes {
            source: [self.x[2], self.x[3]],
            up: [1, 1],
            first: padding.map(|padding| padding as isize),
            out: [height, width],
            down: stride,
            kernel: [self.weight[2], self.weight[3]],
            dilation,
        }
    }

    /// The gradients of x read those of the outputs, with zeros between them if there is a stride, with the kernel
    /// turned round.
    pub(super) fn backward_planes(&self, out_shape: [usize; 4]) -> Planes {
        let forward = self.forward_planes(out_shape);
        let first = [0, 1].map(|axis| forward.reach(axis) as isize - forward.first[axis]);
        Planes { source: forward.out, up: forward.down, first, out: forward.source, down: [1, 1], ..forward }
    }
}

impl Planes {
    /// From the first tap to the last one.
    fn reach(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilation[axis]
    }

    pub fn pitch(&self) -> usize {
        (self.out[1] - 1) * self.down[1] + self.reach(1) + 1
    }

    /// How far each tap reads from an output's place.
    pub fn offsets(&self) -> Vec<usize> {
        let ([ky, kx], [down, across]) = (self.kernel, self.dilation);
        (0..ky * kx).map(|tap| tap / kx * down * self.pitch() + tap % kx * across).collect()
    }

    /// All rows of outputs.
    pub fn bands(&self) -> impl Iterator<Item = Band> {
        let of_rows = |rows: usize| (rows - 1) * self.down[0] + self.reach(0) + 1;
        let most = (COPY_PLACES / self.pitch()).saturating_sub(self.reach(0) + 1) / self.down[0] + 1;
        (0..self.out[0]).step_by(most).map(move |row| {
            let rows = row..self.out[0].min(row + most);
            let height = of_rows(rows.len());
            // The source's rows y with 0 <= y * up + first - top < height.
            let before = |place: isize| {
                let y = (place - self.first[0]).max(0) as usize;
                y.div_ceil(self.up[0]).min(self.source[0])
            };
            let top = (row * self.down[0]) as isize;
            Band { rows, source: before(top)..before(top + height as isize), places: height * self.pitch() }
        })
    }

    /// Places of the largest grid, and elements of the largest part of a source and of outputs.
    pub fn room(&self) -> [usize; 3] {
        self.bands().fold([0; 3], |[places, source, out], band| {
            [
                places.max(band.places),
                source.max(band.source.len() * self.source[1]),
                out.max(band.rows.len() * self.out[1]),
            ]
        })
    }

    /// Copies a band's part of some planes, which begin `stride` elements from each other, to its grid.
    pub fn copy(
        &self,
        band: &Band,
        from: &[f32],
        stride: usize,
        planes: usize,
        part: &mut [Lanes],
        grid: &mut [Lanes],
    ) {
        let (width, pitch) = (self.source[1], self.pitch());
        grid.fill([0.0; LANES]);
        if band.source.is_empty() {
            return;
        }
        interleave(&from[band.source.start * width..], stride, planes, part);
        let columns = (0..width).filter_map(|x| {
            let at = usize::try_from((x * self.up[1]) as isize + self.first[1]).ok()?;
            (at < pitch).then_some((x, at))
        });
        let Some((left, at)) = columns.clone().next() else { return };
        let count = columns.count();
        for (y, row) in band.source.clone().zip(part.chunks_exact(width)) {
            let place = (y * self.up[0]) as isize + self.first[0] - (band.rows.start * self.down[0]) as isize;
            let to = grid[place as usize * pitch + at..].iter_mut().step_by(self.up[1]);
            to.zip(&row[left..left + count]).for_each(|(to, from)| *to = *from);
        }
    }
}
