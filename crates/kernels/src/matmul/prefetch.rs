//! Software prefetches. Hardware prefetchers follow one row, but the data read next are several rows, or begin pages
//! away.
//!
//! A microtile prefetches `count` cache lines every LINE steps over k. There are two patterns:
//!
//! ```text
//! the next MR rows of A, side by side                   the next block of B, row by row
//!
//!         1st   2nd   3rd time                                    1st     2nd   3rd time (run = 3)
//! row 0  |line |line |line | ...                        row k    |l l l |l l l |l l l |
//! row 1  |line |line |line |         stride = rs_a      row k+1  |l l l |l l l |l l l |   stride = 1 line
//!  ...    each time: one line further                     ...     after a run: to the next row (jump)
//! ```

use super::mat::MatRef;
use super::params::LINE;
use crate::prefetch::line_into_l2;
use std::ops::Range;

/// What a microtile prefetches.
#[derive(Clone, Copy)]
pub(super) struct Prefetch {
    next: *const f32,
    /// How many lines are prefetched at a time.
    count: usize,
    /// The distance from one of them to the next.
    stride: isize,
    /// The distance from one time to the next.
    step: isize,
    /// How many times a run has, and how many of them are left.
    run: usize,
    left: usize,
    /// Added to `step` at the end of a run.
    jump: isize,
}

impl Prefetch {
    /// Prefetches the rows of A that begin at this element, those of the next microtile.
    #[inline(always)]
    pub fn rows(a: MatRef, count: usize) -> Self {
        let (run, left) = (usize::MAX, usize::MAX);
        Self { next: a.ptr, count, stride: a.rs, step: LINE as isize, run, left, jump: 0 }
    }

    /// Prefetches one microtile's share of the next block of B, which has rows `ks` (adjacent elements) and columns
    /// `columns`. The whole block is prefetched in `total` times, `done` of which were before this microtile.
    #[inline(always)]
    pub fn block(b: MatRef, ks: Range<usize>, columns: Range<usize>, done: usize, total: usize) -> Self {
        let lines = columns.len().div_ceil(LINE).max(1);
        // The least lines at a time that reach the end of the block.
        let count = (1..lines).find(|count| lines.div_ceil(*count) * ks.len() <= total).unwrap_or(lines);
        let (run, step) = (lines.div_ceil(count), (count * LINE) as isize);
        let next = b.at(ks.start + done / run, columns.start + done % run * count * LINE);
        let (stride, jump) = (LINE as isize, b.rs - run as isize * step);
        Self { next, count, stride, step, run, left: run - done % run, jump }
    }

    #[inline(always)]
    pub fn issue(&mut self) {
        for i in 0..self.count {
            line_into_l2(self.next.wrapping_offset(i as isize * self.stride));
        }
        // Written as a select: a branch would be mispredicted at the end of each run.
        let (step, left) = if self.left == 1 { (self.step + self.jump, self.run) } else { (self.step, self.left - 1) };
        (self.next, self.left) = (self.next.wrapping_offset(step), left);
    }
}
