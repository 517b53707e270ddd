//! Which elements each output of a plane reads. Planes are split into bands of rows: the copy of a band stays in cache.

use super::lanes::{Lanes, put_rows};
use crate::conv::{Shape, Window};
use crate::matmul::interleave;
use std::ops::Range;

/// The most places of a copy, 128 KiB of sixteen planes. A copy is larger only if one row of outputs reads more.
const COPY_PLACES: usize = 1 << 11;
/// The most adjacent columns of a kernel that one inner loop reads.
pub(super) const TOGETHER: usize = 3;

/// One axis of a convolution. Tap t of output o reads element (o * down + t * dilation - first) / up of the source if
/// this is a whole number, and nothing otherwise. Elements outside of the source are zeros.
struct Axis {
    source: usize,
    up: usize,
    first: isize,
    out: usize,
    down: usize,
    kernel: usize,
    dilation: usize,
}

/// A tap and the place in the grid that it reads, on one axis.
#[derive(Clone, Copy)]
pub(super) struct Read {
    pub tap: usize,
    pub at: usize,
}

/// `count` adjacent places of the grid. The taps that read them are `step` apart.
#[derive(Clone, Copy)]
pub(super) struct Reads {
    pub first: Read,
    pub step: usize,
    pub count: usize,
}

/// `count` outputs of a row, `step` apart, that use the same taps.
pub(super) struct Run {
    pub first: usize,
    pub step: usize,
    pub count: usize,
    /// What the first of these outputs reads.
    pub reads: Vec<Reads>,
}

/// Adjacent rows of outputs, computed from one copy.
pub(super) struct Band {
    pub rows: Range<usize>,
    /// The rows of the grid that these outputs read. `source` has those of them that are no zeros, as rows of the
    /// source.
    pub grid: Range<usize>,
    source: Range<usize>,
}

/// A convolution of single planes. The source is copied to a grid, which includes the zeros around it that are read.
pub(super) struct Planes {
    pub source: [usize; 2],
    pub out: [usize; 2],
    /// Where the source begins in the grid.
    begin: [usize; 2],
    /// The length of the grid's rows.
    pub pitch: usize,
    /// The distance between the places that adjacent outputs of a run read, by axis.
    pub down: [usize; 2],
    pub kernel: [usize; 2],
    /// The rows of the kernel and of the grid that each row of outputs reads.
    pub rows: Vec<Vec<Read>>,
    pub runs: Vec<Run>,
    pub bands: Vec<Band>,
}

impl Shape {
    /// The number of outputs of each channel.
    pub(super) fn multiplier(&self) -> usize {
        self.weight[0] / self.x[1]
    }

    pub(super) fn forward_planes(&self, out_shape: [usize; 4]) -> Planes {
        Planes::new([0, 1].map(|axis| self.axis(axis, out_shape)))
    }

    /// The gradient of x as a convolution of the output's gradient. The caller turns the kernel by 180 degrees.
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
    /// What each output reads of the grid, where the source begins in the grid, and the grid's length.
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

    /// The scratch memory that a band needs at most, in places: for its grid, its part of the source, its outputs.
    pub fn room(&self) -> [usize; 3] {
        let most = |rows: fn(&Band) -> usize| self.bands.iter().map(rows).max().unwrap_or(0);
        [
            most(|band| band.grid.len()) * self.pitch,
            most(|band| band.source.len()) * self.source[1],
            most(|band| band.rows.len()) * self.out[1],
        ]
    }

    /// Copies a band's part of `planes` planes, which begin `stride` elements from each other, to the grid. The caller
    /// has filled the grid with zeros. If there is one band, the border still has them, because each copy writes the
    /// same places; otherwise the grid is filled again.
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

/// Groups reads of adjacent places, at most `TOGETHER` in each group.
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
