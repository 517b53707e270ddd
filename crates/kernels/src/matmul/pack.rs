//! The packed factor: panels of columns, in each panel row after row of k, as the inner loop reads it.

use super::micro::{self, LINE};
use super::place::Source;
use super::transpose::{self, SIDE};
use pulp::{Simd, WithSimd};
use std::cell::Cell;

/// A cache line: vectors that do not cross lines load at full speed.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[allow(dead_code, reason = "read through pointers only")] [f32; 16]);

thread_local! {
    static SCRATCH: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

/// Calls `f` with room for `len` numbers that this thread keeps for the next call.
pub(super) fn with_scratch(len: usize, f: impl FnOnce(*mut f32)) {
    // Taken out, so that a product that starts while this one waits for another thread finds none and makes its own.
    let mut lines = SCRATCH.take();
    if lines.len() < len.div_ceil(16) {
        lines.resize(len.div_ceil(16), Line([0.0; 16]));
    }
    f(lines.as_mut_ptr().cast());
    SCRATCH.set(lines);
}

/// Writes panels, one after the other: `to[k][j] = from[k][j]` for the columns of a panel, with zeros up to a whole
/// vector in the last one.
pub(super) struct Pack {
    /// The factor, from the first k and the first column of the first panel on.
    pub from: Source,
    /// The rows of k.
    pub depth: usize,
    /// The columns.
    pub columns: usize,
    /// Where the panels go: room for `depth` rows of whole vectors, which nobody else uses.
    pub to: *mut f32,
}

impl WithSimd for Pack {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = micro::vectors::<S>() * S::F32_LANES;
        // SAFETY: `from` reaches `depth` rows and all columns, and `to` holds them as whole vectors.
        unsafe {
            if self.from.column == 1 {
                self.copy(simd, width);
            } else {
                for start in (0..self.columns).step_by(width) {
                    self.turn::<S>(start, width.min(self.columns - start));
                }
            }
        }
    }
}

impl Pack {
    /// Rows that lie along the columns: copied, each row for all panels, as they come.
    ///
    /// # Safety
    /// As in `with_simd`.
    #[inline(always)]
    unsafe fn copy<S: Simd>(&self, simd: S, width: usize) {
        let whole = self.columns - self.columns % S::F32_LANES;
        let rest_width = (self.columns % width).next_multiple_of(S::F32_LANES);
        for k in 0..self.depth {
            let row = self.from.at(k, 0);
            let place = |j: usize| {
                let (panel, inside) = (j - j % width, j % width);
                let width = if panel + width <= self.columns { width } else { rest_width };
                self.to.wrapping_add(panel * self.depth + k * width + inside)
            };
            for j in (0..whole).step_by(S::F32_LANES) {
                // SAFETY: the vector lies inside the row and inside its panel.
                unsafe {
                    let vector = row.add(j).cast::<S::f32s>().read_unaligned();
                    place(j).cast::<S::f32s>().write_unaligned(vector);
                }
            }
            if whole < self.columns {
                // SAFETY: the last vector of the last panel, of which the row has a part.
                unsafe {
                    place(whole).cast::<S::f32s>().write_unaligned(simd.splat_f32s(0.0));
                    row.add(whole).copy_to_nonoverlapping(place(whole), self.columns - whole);
                }
            }
        }
    }

    /// One panel of a factor whose rows lie along k: turned block by block.
    ///
    /// # Safety
    /// As in `with_simd`.
    #[inline(always)]
    unsafe fn turn<S: Simd>(&self, start: usize, count: usize) {
        let Self { from, depth, .. } = *self;
        let to = self.to.wrapping_add(start * depth);
        let width = count.next_multiple_of(S::F32_LANES);
        let (blocks, lines) = if from.row == 1 { (count / SIDE, depth / LINE) } else { (0, 0) };
        // SAFETY: blocks and elements lie inside the factor and inside the panel.
        unsafe {
            if count < width {
                std::slice::from_raw_parts_mut(to, depth * width).fill(0.0);
            }
            for line in 0..lines {
                for j in (0..blocks).map(|block| block * SIDE) {
                    // All of a cache line at once: the lines of a power of two of rows push each other out.
                    for k in (line * LINE..(line + 1) * LINE).step_by(SIDE) {
                        let to = to.add(k * width + j);
                        transpose::block::<S>(from.at(k, start + j), from.column, to, width as isize);
                    }
                }
            }
            for k in 0..depth {
                let done = if k < lines * LINE { blocks * SIDE } else { 0 };
                for j in done..count {
                    *to.add(k * width + j) = *from.at(k, start + j);
                }
            }
        }
    }
}
