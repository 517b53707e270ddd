//! Convolutions of single planes: what an output reads, and bands of rows of which a copy stays in the cache.

use super::lanes::{Lanes, put_rows};
use crate::conv::{Shape, Window};
use crate::matmul::interleave;
use std::ops::Range;

/// Places of a copy, at most if a row of outputs does not need more: 128 KiB.
const COPY_PLACES: usize = 1 << 11;
/// Columns of a kernel that are read together, at most.
pub(super) const TOGETHER: usize = 3;

/// On each axis, tap t of output o reads the source's element (o * down + t * dilation - first) / up, if that is whole;
/// outside of the source are zeros.
struct Axis {
    source: usize,
    up: usize,
    first: isize,
    out: usize,
    down: usize,
    kernel: usize,
    dilation: usize,
}

/// A tap, and the place of the grid that it reads, on one axis.
#[derive(Clone, Copy)]
pub(super) struct Read {
    pub tap: usize,
    pub at: usize,
}

/// Some adjacent places that taps read, which are `step` from each other.
#[derive(Clone, Copy)]
pub(super) struct Reads {
    pub first: Read,
    pub step: usize,
    pub count: usize,
}

/// Outputs of a row that read through the same taps, `step` from each other.
pub(super) struct Run {
    pub first: usize,
    pub step: usize,
    pub count: usize,
    /// What the first one reads.
    pub reads: Vec<Reads>,
}

/// Some rows of outputs.
pub(super) struct Band {
    pub rows: Range<usize>,
    /// The rows of the grid that they read, and of those the ones in the source.
    pub grid: Range<usize>,
    source: Range<usize>,
}

/// A convolution of single planes, whose source lies in a grid with the zeros around it that are read.
pub(super) struct Planes {
    pub source: [usize; 2],
    pub out: [usize; 2],
    /// Where the source begins in the grid.
    begin: [usize; 2],
    /// Places of a row of the grid.
    pub pitch: usize,
    /// From what an output of a run reads to what the next one reads.
    pub down: [usize; 2],
    pub kernel: [usize; 2],
    /// What each row of outputs reads.
    pub rows: Vec<Vec<Read>>,
    pub runs: Vec<Run>,
    pub bands: Vec<Band>,
}

impl Shape {
    /// Outputs of each channel.
    pub(super) fn multiplier(&self) -> usize {
        self.weight[0] / self.x[1]
    }

    pub(super) fn forward_planes(&self, out_shape: [usize; 4]) -> Planes {
        Planes::new([0, 1].map(|axis| self.axis(axis, out_shape)))
    }

    /// The gradients of x read those of the outputs, with the kernel turned round.
    pub(super) fn backward_planes(&self, out_shape: [usize; 4]) -> Planes {
        Planes::new([0, 1].map(|axis| {
            let forward = self.axis(axis, out_shape);
            let first = ((forward.kernel - 1) * forward.dilation) as isize - forward.first;
            Axis { source: forward.out, up: forward.down, first, out: forward.source, down: 1, ..forward }
        }))
    }

    fn axis(&self, axis: usize, out_shape: [usize; 4]) -> Axis {
        let Window { stride, padding, dilation } = self.window;
        Axis {
            source: self.x[2 + axis],
            up: 1,
            first: padding[axis] as isize,
            out: out_shape[2 + axis],
            down: stride[axis],
            kernel: self.weight[2 + axis],
            dilation: dilation[axis],
        }
    }
}

impl Axis {
    /// What each output reads of the grid, where the source begins in it, and how long it is.
    fn reads(&self) -> (Vec<Vec<Read>>, usize, usize) {
        let place = |output: usize, tap: usize| {
            let place = (output * self.down + tap * self.dilation) as isize - self.first;
            (place % self.up as isize == 0).then_some(place / self.up as isize)
        };
        let places = || (0..self.out).flat_map(|output| (0..self.kernel).filter_map(move |tap| place(output, tap)));
        let begin = places().min().unwrap_or(0).min(0).unsigned_abs();
        let end = places().max().map_or(0, |last| last + 1).max(self.source as isize);
        let of = |output| {
            let read = |tap| place(output, tap).map(|at| Read { tap, at: at.wrapping_add_unsigned(begin) as usize });
            (0..self.kernel).filter_map(read).collect()
        };
        ((0..self.out).map(of).collect(), begin, begin.wrapping_add_signed(end))
    }
}

impl Planes {
    fn new([down, across]: [Axis; 2]) -> Self {
        let ((rows, top, _), (columns, left, pitch)) = (down.reads(), across.reads());
        let runs = (0..across.up.min(across.out)).map(|first| Run {
            first,
            step: across.up,
            count: (across.out - first).div_ceil(across.up),
            reads: together(&columns[first]),
        });
        let reach = (down.kernel - 1) * down.dilation / down.up + 1;
        let most = (COPY_PLACES / pitch.max(1)).saturating_sub(reach) * down.up / down.down + 1;
        let band = |first: usize| {
            let of_band = first..down.out.min(first + most);
            let read = || rows[of_band.clone()].iter().flatten().map(|read| read.at);
            let grid = read().min().unwrap_or(0)..read().max().map_or(0, |last| last + 1);
            let source = grid.start.clamp(top, top + down.source)..grid.end.clamp(top, top + down.source);
            Band { rows: of_band, grid, source: source.start - top..source.end - top }
        };
        Self {
            source: [down.source, across.source],
            out: [down.out, across.out],
            begin: [top, left],
            pitch,
            down: [down.down, across.down],
            kernel: [down.kernel, across.kernel],
            bands: (0..down.out).step_by(most).map(band).collect(),
            runs: runs.collect(),
            rows,
        }
    }

    /// Places of the largest grid, and elements of the largest part of a source and of outputs.
    pub fn room(&self) -> [usize; 3] {
        let most = |rows: fn(&Band) -> usize| self.bands.iter().map(rows).max().unwrap_or(0);
        [
            most(|band| band.grid.len()) * self.pitch,
            most(|band| band.source.len()) * self.source[1],
            most(|band| band.rows.len()) * self.out[1],
        ]
    }

    /// Copies a band's part of some planes, which begin `stride` elements from each other, to its grid. What it had held
    /// around them stays, if there is one band: zeros.
    pub fn copy<'a>(
        &self,
        band: &Band,
        from: &[f32],
        [stride, planes]: [usize; 2],
        part: &mut [Lanes],
        grid: &'a mut [Lanes],
    ) -> &'a [Lanes] {
        let ([top, left], width, pitch) = (self.begin, self.source[1], self.pitch);
        let grid = &mut grid[..band.grid.len() * pitch];
        if self.bands.len() > 1 {
            grid.fill([0.0; super::LANES]);
        }
        let part = &mut part[..band.source.len() * width];
        if !part.is_empty() {
            interleave(&from[band.source.start * width..], stride, planes, part);
            put_rows(part, width, &mut grid[(band.source.start + top - band.grid.start) * pitch + left..], pitch);
        }
        grid
    }
}

/// The same reads, those together that are adjacent.
fn together(reads: &[Read]) -> Vec<Reads> {
    let mut all: Vec<Reads> = Vec::new();
    for &read in reads {
        match all.last_mut() {
            Some(last) if last.count < TOGETHER && last.first.at + last.count == read.at => {
                if last.count == 1 {
                    last.step = read.tap - last.first.tap;
                }
                last.count += 1;
            }
            _ => all.push(Reads { first: read, step: 1, count: 1 }),
        }
    }
    all
}
