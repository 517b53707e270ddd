//! Products by AVX512-BF16. `vdpbf16ps` adds two products to each of 16 sums, so that k runs in pairs:
//!
//! ```text
//!                          packed B: per pair of steps, NR pairs
//!                         | v0 | v1 | v2 | v3 |
//!  packed A: per pair     | c  | c  | c  | c  |
//!  of steps, a pair of    | c  | c  | c  | c  |    c += a_even * v_even + a_odd * v_odd
//!  each row               | .. |    |    |    |
//! ```
//!
//! k is cut into blocks of KC. A is packed whole, block after block, in each row after row. B is packed panel by panel, in each block
//! after block: one block of a panel stays in L1 while the rows of A stream past it. The sums of a block are added to what C holds.

use super::super::mat::{MatMut, MatRef};
use super::super::microkernel::by_size;
use super::super::pack::{self, Line};
use super::super::params::{LINE, MR, MR_NARROW, NR_VECTORS, PARALLEL_MIN, TASKS_PER_THREAD};
use super::super::prefetch::Prefetch;
use super::round::to_bits;
use crate::parallel;
use ndarray::{ArrayView2, ArrayViewMut2};
use std::arch::x86_64::*;
use std::ops::Range;
use std::ptr::null;

/// Steps over k of a block: a block of a panel of B has 32 KiB.
const KC: usize = 256;
/// Pairs of such a block.
const PAIRS: usize = KC / 2;
/// Pairs between two prefetches.
const AHEAD: usize = 4;
/// Columns of a panel.
const NR: usize = NR_VECTORS * LINE;

/// Whether the processor has it.
pub fn is_available() -> bool {
    is_x86_feature_detected!("avx512bf16")
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
}

/// The right operand.
#[derive(Clone, Copy)]
pub enum Rhs<'a> {
    Matrix(MatRef),
    Panels(&'a Panels),
}

/// B in panels.
pub struct Panels(Vec<Line>);

/// A buffer that threads fill, each its own part.
#[derive(Clone, Copy)]
struct Shared(*mut u32);

// SAFETY: each part is written by one thread, and read by others only after all have been written.
unsafe impl Sync for Shared {}

impl Shared {
    fn add(&self, offset: usize) -> *mut u32 {
        self.0.wrapping_add(offset)
    }
}

impl Panels {
    /// Packs B; the processor has the unit.
    pub fn new(b: &ArrayView2<f32>) -> Self {
        let (k, n) = b.dim();
        let mut lines = vec![Line::ZERO; pairs(k) * n.next_multiple_of(LINE) / LINE];
        let (b, to) = (Source(b.into()), Shared(lines.as_mut_ptr().cast()));
        parallel::for_each_chunk(0..n.div_ceil(NR), usize::MAX, |panels| {
            for panel in panels {
                let columns = panel * NR..n.min((panel + 1) * NR);
                for ks in blocks(k) {
                    let at = pairs(k) * columns.start + pairs(ks.start) * width(&columns);
                    // SAFETY: this block lies inside B, and its place in the buffer is its own.
                    unsafe { pack_b(b.from(ks.start, columns.start), ks.len(), columns.len(), to.add(at)) };
                }
            }
        });
        Self(lines)
    }

    /// A block of a panel, if there are `k` steps in all.
    fn block(&self, k: usize, ks: &Range<usize>, columns: &Range<usize>) -> *const u32 {
        self.0.as_ptr().cast::<u32>().wrapping_add(pairs(k) * columns.start + pairs(ks.start) * width(columns))
    }
}

/// A matrix that threads read.
#[derive(Clone, Copy)]
struct Source(MatRef);

// SAFETY: it is borrowed for the whole call, and nobody writes it.
unsafe impl Sync for Source {}

impl Source {
    fn from(&self, i: usize, j: usize) -> MatRef {
        self.0.from(i, j)
    }
}

/// C[m, n] = relu(A[m, k] B[k, n] + bias[n]), whose rows are contiguous.
struct Gemm<'a> {
    m: usize,
    n: usize,
    k: usize,
    a: MatRef,
    b: Rhs<'a>,
    c: MatMut,
    bias: Option<&'a [f32]>,
    relu: bool,
}

// SAFETY: the threads read A and B, which are borrowed for the whole call, and write parts of C that do not overlap.
unsafe impl Sync for Gemm<'_> {}

/// out = relu(a b + bias); the shapes fit, and the rows of `out` are contiguous.
pub fn multiply(a: &ArrayView2<f32>, b: Rhs, bias: Option<&[f32]>, relu: bool, out: &mut ArrayViewMut2<f32>) {
    let ((m, k), n) = (a.dim(), out.ncols());
    let gemm = Gemm { m, n, k, a: a.into(), b, c: out.into(), bias, relu };
    pack::with_buffer(m * pairs(k), |packed| gemm.run(Shared(packed.cast())));
}

/// Pairs of so many steps over k; the last one is filled up with zeros.
const fn pairs(k: usize) -> usize {
    k.div_ceil(2)
}

/// k in blocks; if k is 0 one empty block, which writes the zeros.
fn blocks(k: usize) -> impl Iterator<Item = Range<usize>> {
    (0..k.max(1)).step_by(KC).map(move |start| start.min(k)..k.min(start + KC))
}

/// The columns of a panel in whole vectors.
fn width(columns: &Range<usize>) -> usize {
    columns.len().next_multiple_of(LINE)
}

impl Gemm<'_> {
    fn run(&self, packed: Shared) {
        let Self { m, n, k, .. } = *self;
        let tasks = if m * n * k < PARALLEL_MIN { 1 } else { parallel::threads() * TASKS_PER_THREAD };
        let rows_of_tile = if n <= NR / 2 { MR_NARROW } else { MR };
        let (panels, tiles) = (n.div_ceil(NR), m.div_ceil(rows_of_tile));
        if panels == 0 || m == 0 {
            return;
        }
        parallel::for_each_chunk(0..m.div_ceil(LINE), tasks, |lines| {
            let rows = lines.start * LINE..m.min(lines.end * LINE);
            for ks in blocks(k) {
                let to = packed.add(pairs(ks.start) * m + rows.start * pairs(ks.len()));
                // SAFETY: the block lies inside A, and its place in the buffer is its own.
                unsafe { pack_a(self.a.from(rows.start, ks.start), ks.len(), rows.len(), to) };
            }
        });
        // Panels are shared out; if they are few, so are the rows: each part packs the panel for itself.
        let parts = tasks.div_ceil(panels).min(tiles.div_ceil(8));
        let rows = tiles.div_ceil(parts) * rows_of_tile;
        parallel::for_each_chunk(0..panels * parts, if tasks == 1 { 1 } else { usize::MAX }, |tasks| {
            let end = tasks.end;
            for task in tasks {
                let (panel, part) = (task / parts, task % parts);
                let columns = panel * NR..n.min((panel + 1) * NR);
                let rows = (part * rows).min(m)..m.min((part + 1) * rows);
                let next = (task + 1 < end && parts == 1).then(|| columns.end..n.min(columns.end + NR));
                // SAFETY: rows and columns lie inside C, and are no other task's.
                unsafe { self.panel(packed, rows, rows_of_tile, columns, next) };
            }
        });
    }

    /// Some rows of a panel of C; `next` are the columns that follow.
    ///
    /// # Safety
    /// Nobody else accesses them, A is packed, and the processor has the unit.
    unsafe fn panel(
        &self,
        packed_a: Shared,
        rows: Range<usize>,
        rows_of_tile: usize,
        columns: Range<usize>,
        next: Option<Range<usize>>,
    ) {
        let (width, k) = (width(&columns), self.k);
        pack::with_buffer(NR * PAIRS, |buffer| {
            for ks in blocks(k) {
                let kp = pairs(ks.len());
                let b = match self.b {
                    Rhs::Panels(panels) => panels.block(k, &ks, &columns),
                    Rhs::Matrix(b) => {
                        let to = buffer.cast::<u32>();
                        // SAFETY: the block lies inside B, and the buffer holds it.
                        unsafe { pack_b(b.from(ks.start, columns.start), ks.len(), columns.len(), to) };
                        to
                    }
                };
                let is_last = ks.end == k;
                let ahead = if is_last {
                    next.clone().map(|next| (0..k.min(KC), next))
                } else {
                    Some((ks.end..k.min(ks.end + KC), columns.clone()))
                };
                let (tiles, times) = (rows.len().div_ceil(rows_of_tile), kp.div_ceil(AHEAD));
                for (i, first) in rows.clone().step_by(rows_of_tile).enumerate() {
                    let tile = Tile {
                        kp,
                        a: packed_a.add(pairs(ks.start) * self.m + first * kp),
                        b,
                        c: self.c.at(first, columns.start),
                        rs_c: self.c.rs,
                        columns: columns.len(),
                        accumulate: ks.start > 0,
                        bias: self.bias.filter(|_| is_last).map_or(null(), |bias| bias[columns.clone()].as_ptr()),
                        relu: self.relu && is_last,
                        prefetch: self.prefetch(ahead.as_ref(), i * times, tiles * times),
                    };
                    let rows = rows_of_tile.min(rows.end - first);
                    // SAFETY: as promised by the caller.
                    by_size!(rows, width / LINE, |R, V| unsafe { compute::<R, V>(tile) });
                }
            }
        });
    }
}

impl Gemm<'_> {
    /// What a microtile prefetches of the next block of B, if `done` of `total` parts were before.
    fn prefetch(&self, next: Option<&(Range<usize>, Range<usize>)>, done: usize, total: usize) -> Prefetch {
        match (next, self.b) {
            (Some((ks, columns)), Rhs::Panels(panels)) => {
                let line = MatRef { ptr: panels.block(self.k, ks, columns).cast(), rs: 0, cs: 1 };
                Prefetch::block(line, 0..1, 0..pairs(ks.len()) * width(columns), done, total)
            }
            (Some((ks, columns)), Rhs::Matrix(b)) if b.cs == 1 => {
                Prefetch::block(b, ks.clone(), columns.clone(), done, total)
            }
            (Some((ks, columns)), Rhs::Matrix(b)) if b.rs == 1 => {
                Prefetch::block(b.transposed(), columns.clone(), ks.clone(), done, total)
            }
            _ => Prefetch::rows(self.a, 0),
        }
    }
}

/// A microtile: its operands, and where its sums go.
struct Tile {
    /// Pairs.
    kp: usize,
    /// The rows of A, one after the other.
    a: *const u32,
    /// A block of a panel of B.
    b: *const u32,
    c: *mut f32,
    rs_c: isize,
    columns: usize,
    accumulate: bool,
    /// Of its columns; null: none.
    bias: *const f32,
    relu: bool,
    /// What will be read soon.
    prefetch: Prefetch,
}

/// Computes a microtile of R rows and V vectors, of which the last one may be in part.
///
/// # Safety
/// The pointers reach what the sizes say, nobody else accesses C's part, and the processor has the unit.
#[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
#[allow(clippy::needless_range_loop, reason = "counted loops are unrolled, which keeps the sums in registers")]
unsafe fn compute<const R: usize, const V: usize>(tile: Tile) {
    let Tile { kp, a, mut b, c, rs_c, columns, mut prefetch, .. } = tile;
    let zero = _mm512_setzero_ps();
    let mut sums = [[zero; V]; R];
    // SAFETY: as promised by the caller; masks keep to the columns that there are.
    unsafe {
        for start in (0..kp).step_by(AHEAD) {
            prefetch.issue();
            for p in start..kp.min(start + AHEAD) {
                let mut right = [_mm512_setzero_si512(); V];
                for j in 0..V {
                    right[j] = _mm512_loadu_si512(b.add(j * LINE).cast());
                }
                for i in 0..R {
                    let left = _mm512_set1_epi32(*a.add(i * kp + p) as i32);
                    for j in 0..V {
                        sums[i][j] = _mm512_dpbf16_ps(sums[i][j], bf16s(left), bf16s(right[j]));
                    }
                }
                b = b.add(V * LINE);
            }
        }
        // Loops of one thing each: the compiler unrolls them whole, without which the sums would lie in memory.
        let mut masks = [0; V];
        for j in 0..V {
            masks[j] = mask(columns - j * LINE);
        }
        if tile.accumulate {
            for i in 0..R {
                for j in 0..V {
                    let before = _mm512_maskz_loadu_ps(masks[j], c.offset(i as isize * rs_c).add(j * LINE));
                    sums[i][j] = _mm512_add_ps(before, sums[i][j]);
                }
            }
        }
        if !tile.bias.is_null() {
            for j in 0..V {
                let bias = _mm512_maskz_loadu_ps(masks[j], tile.bias.add(j * LINE));
                for i in 0..R {
                    sums[i][j] = _mm512_add_ps(sums[i][j], bias);
                }
            }
        }
        if tile.relu {
            for i in 0..R {
                for j in 0..V {
                    // NaN stays NaN.
                    let negative = _mm512_cmp_ps_mask::<_CMP_LE_OQ>(sums[i][j], zero);
                    sums[i][j] = _mm512_mask_mov_ps(sums[i][j], negative, zero);
                }
            }
        }
        // Masked stores of lines that no cache holds take about twice as long on Zen 5.
        if columns == V * LINE {
            for i in 0..R {
                for j in 0..V {
                    _mm512_storeu_ps(c.offset(i as isize * rs_c).add(j * LINE), sums[i][j]);
                }
            }
            return;
        }
        for i in 0..R {
            for j in 0..V {
                _mm512_mask_storeu_ps(c.offset(i as isize * rs_c).add(j * LINE), masks[j], sums[i][j]);
            }
        }
    }
}

/// The first `count` lanes, at most all.
#[inline]
fn mask(count: usize) -> __mmask16 {
    if count < LINE { (1 << count) - 1 } else { !0 }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn bf16s(bits: __m512i) -> __m512bh {
    // SAFETY: both are 512 bits of any value.
    unsafe { std::mem::transmute(bits) }
}

/// 32 numbers of a row as 16 pairs; zeros in the place of those that the masks leave out.
///
/// # Safety
/// What the masks leave may be read.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
unsafe fn along(from: *const f32, masks: [__mmask16; 2]) -> __m512i {
    // SAFETY: as promised by the caller; the types have the same size.
    unsafe {
        let low = _mm512_maskz_loadu_ps(masks[0], from);
        let high = _mm512_maskz_loadu_ps(masks[1], from.wrapping_add(LINE));
        std::mem::transmute(_mm512_cvtne2ps_pbh(high, low))
    }
}

/// 16 numbers of each of two rows as pairs; zeros in the place of those that the masks leave out.
///
/// # Safety
/// What the masks leave may be read.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
unsafe fn across(rows: [*const f32; 2], masks: [__mmask16; 2]) -> __m512i {
    const ORDER: [u16; 2 * LINE] = {
        let mut order = [0; 2 * LINE];
        let mut i = 0;
        while i < 2 * LINE {
            order[i] = (i / 2 + i % 2 * LINE) as u16;
            i += 1;
        }
        order
    };
    // SAFETY: as promised by the caller; the types have the same size.
    unsafe {
        let low = _mm512_maskz_loadu_ps(masks[0], rows[0]);
        let high = _mm512_maskz_loadu_ps(masks[1], rows[1]);
        let both: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(high, low));
        _mm512_permutexvar_epi16(_mm512_loadu_si512(ORDER.as_ptr().cast()), both)
    }
}

/// Packs a block of `kc` rows and up to NR columns of B; what fills the last vector up is never stored in C.
///
/// # Safety
/// B has them, `to` holds as many pairs of whole vectors, and the processor has the unit.
#[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
#[allow(clippy::needless_range_loop, reason = "counted loops are unrolled, which keeps the block in registers")]
unsafe fn pack_b(b: MatRef, kc: usize, nc: usize, to: *mut u32) {
    let (kp, width) = (pairs(kc), nc.next_multiple_of(LINE));
    // SAFETY: as promised by the caller; masks and clamped columns keep to B.
    unsafe {
        if b.cs == 1 {
            for p in 0..kp {
                let has_second = 2 * p + 1 < kc;
                for j in (0..nc).step_by(LINE) {
                    let first = mask(nc - j);
                    let pairs =
                        across([b.at(2 * p, j), b.at(2 * p + 1, j)], [first, if has_second { first } else { 0 }]);
                    _mm512_storeu_si512(to.add(p * width + j).cast(), pairs);
                }
            }
        } else if b.rs == 1 {
            for start in (0..nc).step_by(LINE) {
                for first in (0..kp).step_by(LINE) {
                    let masks = masks(kc - 2 * first);
                    let mut block = [_mm512_setzero_si512(); LINE];
                    for j in 0..LINE {
                        block[j] = along(b.at(2 * first, (start + j).min(nc - 1)), masks);
                    }
                    let block = transpose(block);
                    for p in 0..LINE {
                        let at = to.wrapping_add((first + p) * width + start);
                        _mm512_mask_storeu_epi32(at.cast(), if first + p < kp { !0 } else { 0 }, block[p]);
                    }
                }
            }
        } else {
            for p in 0..kp {
                for j in 0..nc {
                    *to.add(p * width + j) = pair_at(b, 2 * p, kc, j);
                }
            }
        }
    }
}

/// Packs a block of `rows` rows and `kc` columns of A, row after row.
///
/// # Safety
/// A has them, `to` holds their pairs, and the processor has the unit.
#[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
#[allow(clippy::needless_range_loop, reason = "counted loops are unrolled, which keeps the block in registers")]
unsafe fn pack_a(a: MatRef, kc: usize, rows: usize, to: *mut u32) {
    let kp = pairs(kc);
    // SAFETY: as promised by the caller; masks keep to A and to what `to` holds.
    unsafe {
        if a.cs == 1 {
            for i in 0..rows {
                for first in (0..kp).step_by(LINE) {
                    let row = along(a.at(i, 2 * first), masks(kc - 2 * first));
                    _mm512_mask_storeu_epi32(to.add(i * kp + first).cast(), mask(kp - first), row);
                }
            }
        } else if a.rs == 1 {
            for start in (0..rows).step_by(LINE) {
                for first in (0..kp).step_by(LINE) {
                    let there = mask(rows - start);
                    let mut block = [_mm512_setzero_si512(); LINE];
                    for p in 0..LINE {
                        let k = 2 * (first + p);
                        let masks = [if k < kc { there } else { 0 }, if k + 1 < kc { there } else { 0 }];
                        block[p] = across([a.at(start, k), a.at(start, k + 1)], masks);
                    }
                    let (block, columns) = (transpose(block), mask(kp - first));
                    for i in 0..LINE {
                        let at = to.wrapping_add((start + i) * kp + first);
                        _mm512_mask_storeu_epi32(at.cast(), if start + i < rows { columns } else { 0 }, block[i]);
                    }
                }
            }
        } else {
            for i in 0..rows {
                for p in 0..kp {
                    *to.add(i * kp + p) = pair_at(a.transposed(), 2 * p, kc, i);
                }
            }
        }
    }
}

/// The masks of up to 32 numbers.
#[inline]
fn masks(count: usize) -> [__mmask16; 2] {
    [mask(count), mask(count.saturating_sub(LINE))]
}

/// The pair of the rows k and k + 1, of which there are `kc`, in a column.
///
/// # Safety
/// They may be read.
unsafe fn pair_at(x: MatRef, k: usize, kc: usize, column: usize) -> u32 {
    // SAFETY: as promised by the caller.
    let bits = |k: usize| if k < kc { u32::from(to_bits(unsafe { *x.at(k, column) })) } else { 0 };
    bits(k) | bits(k + 1) << 16
}

/// A block of 16 x 16 pairs with rows and columns exchanged.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(x: [__m512i; LINE]) -> [__m512i; LINE] {
    let (mut by_two, mut by_four, mut transposed) = (x, x, x);
    for i in 0..LINE / 2 {
        by_two[2 * i] = _mm512_unpacklo_epi32(x[2 * i], x[2 * i + 1]);
        by_two[2 * i + 1] = _mm512_unpackhi_epi32(x[2 * i], x[2 * i + 1]);
    }
    // Then row 4 i + c has in its lane l the elements of column 4 l + c of rows 4 i to 4 i + 3.
    for i in 0..LINE / 4 {
        by_four[4 * i] = _mm512_unpacklo_epi64(by_two[4 * i], by_two[4 * i + 2]);
        by_four[4 * i + 1] = _mm512_unpackhi_epi64(by_two[4 * i], by_two[4 * i + 2]);
        by_four[4 * i + 2] = _mm512_unpacklo_epi64(by_two[4 * i + 1], by_two[4 * i + 3]);
        by_four[4 * i + 3] = _mm512_unpackhi_epi64(by_two[4 * i + 1], by_two[4 * i + 3]);
    }
    const EVEN: i32 = 0x88;
    const ODD: i32 = 0xdd;
    for c in 0..4 {
        let even = _mm512_shuffle_i32x4::<EVEN>(by_four[c], by_four[4 + c]);
        let even_below = _mm512_shuffle_i32x4::<EVEN>(by_four[8 + c], by_four[12 + c]);
        let odd = _mm512_shuffle_i32x4::<ODD>(by_four[c], by_four[4 + c]);
        let odd_below = _mm512_shuffle_i32x4::<ODD>(by_four[8 + c], by_four[12 + c]);
        transposed[c] = _mm512_shuffle_i32x4::<EVEN>(even, even_below);
        transposed[4 + c] = _mm512_shuffle_i32x4::<EVEN>(odd, odd_below);
        transposed[8 + c] = _mm512_shuffle_i32x4::<ODD>(even, even_below);
        transposed[12 + c] = _mm512_shuffle_i32x4::<ODD>(odd, odd_below);
    }
    transposed
}
