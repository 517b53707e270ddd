//! The inner loop: a tile of the product that lives in registers while k runs.
//!
//! A tile has up to `ROWS` rows (`TALL` where it is narrow) and up to `vectors::<S>()` vectors of columns. Each step over k reads one vector row of
//! the packed factor and one number of each row of the other factor, which lies unpacked where it is.

use pulp::Simd;

/// The rows of a full tile: with 4 vectors of columns its 24 sums, 4 vectors and one number fit 32 registers, and it
/// does 24 multiply-adds on 10 loads.
pub(super) const ROWS: usize = 6;
/// The rows of a full tile that is narrow: enough sums to hide the latency of a multiply-add.
pub(super) const TALL: usize = 12;
/// The most vectors of columns in a tile.
pub(super) const VECTORS: usize = 4;
/// Elements of a cache line.
pub(super) const LINE: usize = 16;

/// The vectors of columns in a full tile: all of them where the sums then still fit the registers.
pub(super) const fn vectors<S: Simd>() -> usize {
    if S::REGISTER_COUNT < 32 { VECTORS / 2 } else { VECTORS }
}

/// The rows of a full tile in a product of `columns` columns.
pub(super) const fn rows<S: Simd>(columns: usize) -> usize {
    if columns <= vectors::<S>() / 2 * S::F32_LANES { TALL } else { ROWS }
}

/// One tile: where its factors begin and where its sums go.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    /// The steps over k.
    pub depth: usize,
    /// The steps of a chain.
    pub chain: usize,
    /// The first number of the unpacked factor.
    pub a: *const f32,
    /// From one row of it to the next.
    pub a_row: isize,
    /// From one k of it to the next.
    pub a_step: isize,
    /// The packed factor: for each k the vectors of the tile's columns.
    pub b: *const f32,
    /// The first row of the sums.
    pub out: *mut f32,
    /// From one row of the sums to the next.
    pub out_row: isize,
    /// Whether the sums go on from what lies in `out`.
    pub carry: bool,
    /// What will be needed next.
    pub ahead: Ahead,
    /// What is added at the end.
    pub bias: TileBias,
    /// Whether what is below zero becomes zero at the end.
    pub relu: bool,
}

/// Cache lines to ask for while a tile is computed: `count` of them in each `LINE` steps over k.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    /// The first of them.
    pub start: *const f32,
    /// From one to the next.
    pub stride: isize,
    /// How many at a time.
    pub count: usize,
    /// From one time to the next.
    pub step: isize,
    /// How many times are left until `jump` is added.
    pub left: usize,
    /// How many times lie between jumps.
    pub run: usize,
    /// Added at the end of a run.
    pub jump: isize,
}

impl Ahead {
    #[inline(always)]
    fn fetch(&mut self) {
        for i in 0..self.count {
            fetch(self.start.wrapping_offset(i as isize * self.stride));
        }
        // Chosen without a branch, which would be guessed wrong at the end of each run.
        let (step, left) = if self.left == 1 { (self.step + self.jump, self.run) } else { (self.step, self.left - 1) };
        (self.start, self.left) = (self.start.wrapping_offset(step), left);
    }
}

/// The bias of a tile.
#[derive(Clone, Copy)]
pub(super) enum TileBias {
    None,
    /// One number a row.
    Rows(*const f32),
    /// One number a column, for all vectors of the tile.
    Columns(*const f32),
}

/// Computes a tile of `rows` rows and `vectors` vectors of columns.
///
/// # Safety
/// The pointers reach what the tile's size, depth and strides say, and `out` is written by nobody else meanwhile.
#[inline(always)]
pub(super) unsafe fn compute<S: Simd>(simd: S, rows: usize, vectors: usize, tile: Tile) {
    macro_rules! by_size {
        ($($rows:literal)+; $vectors:tt) => {
            match rows {
                $($rows => by_size!(@ $rows $vectors),)+
                _ => unreachable!("no tile has {rows} rows"),
            }
        };
        (@ $rows:literal ($($vectors:literal)+)) => {
            match vectors {
                // SAFETY: as promised by the caller.
                $($vectors => unsafe { run::<S, $rows, $vectors>(simd, tile) },)+
                _ => unreachable!("no tile has {vectors} vectors"),
            }
        };
    }
    if rows > ROWS {
        by_size!(12 11 10 9 8 7; (1 2));
    } else {
        by_size!(6 5 4 3 2 1; (1 2 3 4));
    }
    if tile.relu || !matches!(tile.bias, TileBias::None) {
        // SAFETY: as promised by the caller.
        unsafe { finish(simd, rows, vectors, tile) };
    }
}

/// # Safety
/// As `compute`.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "plain counted loops are unrolled, and keep the sums in registers")]
unsafe fn run<S: Simd, const R: usize, const V: usize>(simd: S, tile: Tile) {
    let Tile { a_row, a_step, out, out_row, .. } = tile;
    let (mut a, mut b, mut ahead) = (tile.a, tile.b, tile.ahead);
    let (mut left, mut carry) = (tile.depth, tile.carry);
    // SAFETY: the caller's promise covers every element that the loops below name; fetching ahead reads nothing.
    unsafe {
        loop {
            let steps = left.min(tile.chain);
            let mut sums = [[simd.splat_f32s(0.0); V]; R];
            for start in (0..steps).step_by(LINE) {
                ahead.fetch();
                for _ in start..steps.min(start + LINE) {
                    let mut columns = [simd.splat_f32s(0.0); V];
                    for j in 0..V {
                        columns[j] = vector::<S>(b, j).read_unaligned();
                    }
                    for i in 0..R {
                        let x = simd.splat_f32s(*a.offset(i as isize * a_row));
                        for j in 0..V {
                            sums[i][j] = simd.mul_add_f32s(x, columns[j], sums[i][j]);
                        }
                    }
                    a = a.wrapping_offset(a_step);
                    b = b.wrapping_add(V * S::F32_LANES);
                }
            }
            if carry {
                for i in 0..R {
                    for j in 0..V {
                        let so_far = vector::<S>(out.offset(i as isize * out_row), j).read_unaligned();
                        sums[i][j] = simd.add_f32s(so_far, sums[i][j]);
                    }
                }
            }
            for i in 0..R {
                for j in 0..V {
                    vector::<S>(out.offset(i as isize * out_row), j).cast_mut().write_unaligned(sums[i][j]);
                }
            }
            left -= steps;
            if left == 0 {
                break;
            }
            carry = true;
        }
    }
}

/// Adds the bias and cuts off what is below zero, on the sums that `run` has just written.
///
/// # Safety
/// As `compute`.
#[inline(always)]
unsafe fn finish<S: Simd>(simd: S, rows: usize, vectors: usize, tile: Tile) {
    let zero = simd.splat_f32s(0.0);
    for i in 0..rows {
        for j in 0..vectors {
            let at = vector::<S>(tile.out.wrapping_offset(i as isize * tile.out_row), j).cast_mut();
            // SAFETY: the element lies in the tile, and the bias is as long as the tile.
            unsafe {
                let mut sum = at.read_unaligned();
                match tile.bias {
                    TileBias::None => (),
                    TileBias::Rows(bias) => sum = simd.add_f32s(sum, simd.splat_f32s(*bias.add(i))),
                    TileBias::Columns(bias) => sum = simd.add_f32s(sum, vector::<S>(bias, j).read_unaligned()),
                }
                if tile.relu {
                    sum = simd.select_f32s(simd.less_than_or_equal_f32s(sum, zero), zero, sum);
                }
                at.write_unaligned(sum);
            }
        }
    }
}

#[inline(always)]
fn vector<S: Simd>(row: *const f32, j: usize) -> *const S::f32s {
    row.wrapping_add(j * S::F32_LANES).cast()
}

/// Asks for a cache line before it is needed; any address will do.
#[inline(always)]
fn fetch(_address: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint that neither reads nor faults.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(_address.cast());
    }
}
