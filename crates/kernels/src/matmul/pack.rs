//! The packed factor: panels of columns, in each panel row after row of k, as the inner loop reads it.

use super::plan::Source;
use super::transpose::{self, SIDE};
use pulp::{Simd, WithSimd};
use std::cell::Cell;
use std::ops::Range;

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

/// Writes one panel: `to[k][j] = from[k][columns.start + j]`, with zeros where the panel is wider than `columns`.
pub(super) struct Pack {
    /// The factor, from the first k of the panel on.
    pub from: Source,
    /// The rows of k.
    pub depth: usize,
    /// The columns of the panel.
    pub columns: Range<usize>,
    /// The panel's width, in elements.
    pub width: usize,
    /// Where the panel goes: `depth * width` numbers that nobody else uses.
    pub to: *mut f32,
}

impl WithSimd for Pack {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { from, depth, columns, width, to } = self;
        let count = columns.len();
        // SAFETY: `from` reaches `depth` rows and `columns`, and `to` holds `depth * width` numbers.
        unsafe {
            if count < width {
                std::slice::from_raw_parts_mut(to, depth * width).fill(0.0);
            }
            if from.column == 1 {
                for k in 0..depth {
                    from.at(k, columns.start).copy_to_nonoverlapping(to.add(k * width), count);
                }
                return;
            }
            let (blocks, turned) = if from.row == 1 { (count / SIDE, depth / SIDE) } else { (0, 0) };
            for k in 0..turned {
                for j in 0..blocks {
                    let source = from.at(k * SIDE, columns.start + j * SIDE);
                    transpose::block::<S>(source, from.column, to.add(k * SIDE * width + j * SIDE), width as isize);
                }
            }
            for k in 0..depth {
                let done = if k < turned * SIDE { blocks * SIDE } else { 0 };
                for j in done..count {
                    *to.add(k * width + j) = *from.at(k, columns.start + j);
                }
            }
        }
    }
}
