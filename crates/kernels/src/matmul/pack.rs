//! Packing of B into panels, as the microkernel reads it:
//!
//! ```text
//!  B, a block of KC x NC                 packed
//!
//!      NR     NR    rest                 panel 0: row 0 | row 1 | ... | row KC-1    NR columns each
//!    +------+------+---+                 panel 1: row 0 | row 1 | ... | row KC-1
//! KC |  0   |  1   | 2 |        ->       panel 2: row 0 | row 1 | ... | row KC-1    the rest, filled up to whole
//!    |      |      |   |                                                            vectors with zeros
//!    +------+------+---+
//! ```

use super::mat::MatRef;
use super::params::{LINE, nr, nr_vectors};
use super::transpose::{self, SIDE};
use pulp::{Simd, WithSimd};
use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A cache line: vectors that do not cross lines load at full speed.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Line(#[allow(dead_code, reason = "read through pointers only")] [f32; LINE]);

impl Line {
    pub const ZERO: Self = Self([0.0; LINE]);
}

/// The largest buffer that is kept for reuse, in cache lines: 64 MiB. A call that needs more takes so long that
/// allocating does not matter.
const KEPT: usize = 1 << 20;

thread_local! {
    /// This thread's unused buffers; the last one is the one that was used last.
    static BUFFERS: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
    /// The copy that `with_copy` made last, and for which call.
    static COPY: RefCell<(usize, Vec<Line>)> = const { RefCell::new((0, Vec::new())) };
}

/// Calls `f` with a buffer of `len` elements that this thread reuses. It isn't initialized: it has what an earlier call
/// left. A nested call gets another buffer.
pub(super) fn with_buffer<T>(len: usize, f: impl FnOnce(*mut f32) -> T) -> T {
    let mut lines = BUFFERS.with_borrow_mut(|buffers| buffers.pop().unwrap_or_default());
    if lines.len() < len.div_ceil(LINE) {
        lines.resize(len.div_ceil(LINE), Line::ZERO);
    }
    let result = f(lines.as_mut_ptr().cast());
    if lines.len() <= KEPT {
        BUFFERS.with_borrow_mut(|buffers| buffers.push(lines));
    }
    result
}

/// As `with_buffer`, with a slice.
pub(crate) fn with_scratch<T>(len: usize, f: impl FnOnce(&mut [f32]) -> T) -> T {
    // SAFETY: the buffer is this long, and all of it was set.
    with_buffer(len, |data| f(unsafe { std::slice::from_raw_parts_mut(data, len) }))
}

/// Identifies a call of a kernel for `with_copy`.
#[derive(Clone, Copy)]
pub(super) struct Call(usize);

impl Call {
    /// A new call, for which no thread has a copy yet.
    pub fn new() -> Self {
        static CALLS: AtomicUsize = AtomicUsize::new(1);
        Self(CALLS.fetch_add(1, Ordering::Relaxed))
    }
}

/// Calls `f` with `len` elements that `fill` has written on this thread. `fill` runs once per thread and call of a
/// kernel, however many tasks the thread takes. Each thread has its own copy, because reading what another core has
/// just written is slower than reading memory.
pub(super) fn with_copy(call: Call, len: usize, fill: impl FnOnce(&mut [f32]), f: impl FnOnce(&[f32])) {
    let (of, mut lines) = COPY.take();
    if lines.len() < len.div_ceil(LINE) {
        lines.resize(len.div_ceil(LINE), Line::ZERO);
    }
    // SAFETY: the lines are this long, and all of them were set.
    let copy = unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), len) };
    if of != call.0 {
        fill(copy);
    }
    f(copy);
    COPY.set((call.0, lines));
}

/// Packs rows and columns of B. The first column must be a panel's first.
pub(super) struct PackB {
    /// B, from the first of these rows and columns on.
    pub b: MatRef,
    /// The number of rows.
    pub kc: usize,
    /// The number of columns.
    pub nc: usize,
    /// Room for `kc` rows of whole vectors, which nobody else uses.
    pub to: *mut f32,
}

impl WithSimd for PackB {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let nr = nr::<S>();
        // SAFETY: `b` reaches `kc` rows and `nc` columns, and `to` holds them as whole vectors.
        unsafe {
            if self.b.cs == 1 {
                self.copy_rows(simd, nr);
            } else {
                for start in (0..self.nc).step_by(nr) {
                    self.transpose_panel::<S>(start, nr.min(self.nc - start));
                }
            }
        }
    }
}

impl PackB {
    /// Packs a row-major B: copies each row to all panels, so that it is read sequentially.
    ///
    /// # Safety
    /// As in `with_simd`.
    #[inline(always)]
    unsafe fn copy_rows<S: Simd>(&self, simd: S, nr: usize) {
        let full = self.nc / nr;
        let (rest, width) = (self.nc % nr, (self.nc % nr).next_multiple_of(S::F32_LANES));
        for k in 0..self.kc {
            let (mut from, mut to) = (self.b.at(k, 0), self.to.wrapping_add(k * nr));
            for _ in 0..full {
                for j in 0..nr_vectors::<S>() {
                    // SAFETY: the vector lies inside the row and inside its panel.
                    unsafe {
                        let vector = from.cast::<S::f32s>().add(j).read_unaligned();
                        to.cast::<S::f32s>().add(j).write_unaligned(vector);
                    }
                }
                (from, to) = (from.wrapping_add(nr), to.wrapping_add(nr * self.kc));
            }
            if rest > 0 {
                let to = self.to.wrapping_add(full * nr * self.kc + k * width);
                // SAFETY: the last panel has this row, filled up to whole vectors.
                unsafe {
                    let last = to.add(width - S::F32_LANES).cast::<S::f32s>();
                    last.write_unaligned(simd.splat_f32s(0.0));
                    from.copy_to_nonoverlapping(to, rest);
                }
            }
        }
    }

    /// Packs one panel of `count` columns of a B that is not row-major, in transposed blocks if it is column-major.
    ///
    /// # Safety
    /// As in `with_simd`.
    #[inline(always)]
    unsafe fn transpose_panel<S: Simd>(&self, start: usize, count: usize) {
        let Self { b, kc, .. } = *self;
        let to = self.to.wrapping_add(start * kc);
        let width = count.next_multiple_of(S::F32_LANES);
        let (blocks, lines) = if b.rs == 1 { (count / SIDE, kc / LINE) } else { (0, 0) };
        // SAFETY: blocks and elements lie inside B and inside the panel.
        unsafe {
            if count < width {
                std::slice::from_raw_parts_mut(to, kc * width).fill(0.0);
            }
            for line in 0..lines {
                for j in (0..blocks).map(|block| block * SIDE) {
                    // A whole cache line of each column at once: if columns are a power of two apart, their lines share
                    // a set of the cache and evict each other.
                    for k in (line * LINE..(line + 1) * LINE).step_by(SIDE) {
                        let to = to.add(k * width + j);
                        transpose::block::<S>(b.at(k, start + j), b.cs, to, width as isize);
                    }
                }
            }
            for k in 0..kc {
                let done = if k < lines * LINE { blocks * SIDE } else { 0 };
                for j in done..count {
                    *to.add(k * width + j) = *b.at(k, start + j);
                }
            }
        }
    }
}
