//! Convolutions with kernels of 3 x 3 and stride 1 by Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray, 2016):
//! a tile of 4 x 4 outputs takes 36 multiplications a channel instead of 144.
//!
//! ```text
//!  weight g[m, c]                 U = G g G^T
//!                                                  36 products, one for each element of a 6 x 6:
//!  6 x 6 of the source d[c],      V = B^T d B        outputs   A^T P A,  P[tile, m] = sum of V[tile, c] U[c, m] over channels
//!  a tile and what is around it
//!                                                    gradient  G^T Q G,  Q[m, c] = sum of W[tile, m] V[tile, c] over tiles
//!  gradient of a tile y[m]        W = A y A^T
//! ```
//!
//! Channels are last everywhere but in what the caller has: `tiles.rs` transposes it.

mod convolve;
mod taps;
mod tiles;
mod transforms;
mod weight;

use super::epilogue::TileEpilogue;
use super::in_place::{self, Vectors};
use super::mat::MatRef;
use super::microkernel::MicroTile;
use super::params::{LINE, mr, nr};
use super::patches::Window;
use super::prefetch::Prefetch;
pub(super) use convolve::{Weight, Winograd};
use pulp::Simd;
pub use taps::TransformedWeight;
use tiles::tiles;
pub(super) use weight::weight_gradient;

/// Rows and columns of a tile of outputs.
const TILE: usize = 4;
/// The same of what such a tile reads, and of its transformed form.
const SIDE: usize = TILE + 2;
/// Elements of a transformed tile.
const ELEMS: usize = SIDE * SIDE;
/// Channels and outputs from which on the transforms cost less than they save.
const CHANNELS_MIN: usize = 16;
/// Tiles of an image for the same: with fewer, a single image would wait longer for the weight than it gains. A
/// gradient by the weight, of which there is one a batch, needs no more than one.
const TILES_MIN: usize = 4;
/// Elements of a transformed row of tiles, at most: 2 MiB.
const ROW_MAX: usize = 1 << 19;

/// The taps of a kernel of 3 x 3 without gaps: the place of its upper left one, and where each is in the order of the
/// weight.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Kernel {
    first: [isize; 2],
    order: [usize; 9],
}

impl Kernel {
    /// That of a window, if it moves by 1, and if the sizes pay.
    pub fn of(window: &Window, channels: usize, outputs: usize) -> Option<Self> {
        let [taps] = &window.taps[..] else { return None };
        let first = [0, 1].map(|axis| taps.iter().map(|tap| tap[axis]).min().unwrap_or(0));
        let place = |i: usize| [first[0] + (i / 3) as isize, first[1] + (i % 3) as isize];
        let mut order = [0; 9];
        for (i, to) in order.iter_mut().enumerate() {
            *to = taps.iter().position(|tap| *tap == place(i))?;
        }
        let fits = taps.len() == 9 && window.step == [1, 1] && first.iter().all(|place| (-2..=0).contains(place));
        (fits && pays([channels, outputs], window.grid, TILES_MIN)).then_some(Self { first, order })
    }
}

/// Whether there are enough channels and outputs, and tiles of an image, which the outputs fill at least by half, and
/// whether a row of tiles stays in the cache. The images of a batch do not matter: each has the bits that it has alone.
fn pays(channels: [usize; 2], grid: [usize; 2], tiles_min: usize) -> bool {
    let [down, across] = tiles(grid);
    channels.iter().all(|&channels| channels >= CHANNELS_MIN && ELEMS * channels * across <= ROW_MAX)
        && down * across >= tiles_min
        && 2 * grid[0] * grid[1] >= TILE * TILE * down * across
}

/// Channels filled up to whole vectors of any length.
fn padded(channels: usize) -> usize {
    channels.next_multiple_of(LINE)
}

/// Products c = a b of all elements of the transformed tiles. With each operand, how far its next element is.
struct Products<'a> {
    rows: usize,
    columns: usize,
    a: (MatRef, usize),
    b: (*const f32, usize),
    /// How far each row of b is from the first.
    offsets: &'a [usize],
    kc_sum: usize,
    c: (*mut f32, usize),
    rs_c: usize,
    /// Whether the products are added to c.
    accumulate: bool,
}

impl Products<'_> {
    /// Calls `before` before those of each element.
    ///
    /// # Safety
    /// Rows and columns, these filled up to whole vectors, lie inside of the operands.
    #[inline(always)]
    unsafe fn compute<S: Simd>(self, simd: S, before: impl Fn(usize)) {
        let Self { rows, columns, a: (a, of_a), b: (b, of_b), offsets, kc_sum, c: (c, of_c), rs_c, accumulate, .. } =
            self;
        for e in 0..ELEMS {
            before(e);
            let a = MatRef { ptr: a.ptr.wrapping_add(e * of_a), ..a };
            for first in (0..columns).step_by(nr::<S>()) {
                let columns = nr::<S>().min(columns - first);
                let b = Vectors::packed::<S>(b.wrapping_add(e * of_b + first), offsets);
                let mr = mr::<S>(columns);
                for row in (0..rows).step_by(mr) {
                    let micro = MicroTile {
                        kc: offsets.len(),
                        kc_sum,
                        a: a.from(row, 0),
                        b: std::ptr::null(),
                        c: c.wrapping_add(e * of_c + row * rs_c + first),
                        rs_c: rs_c as isize,
                        accumulate,
                        prefetch: Prefetch::rows(a, 0),
                        epilogue: TileEpilogue::NONE,
                    };
                    // SAFETY: as promised by the caller.
                    unsafe { in_place::compute(simd, mr.min(rows - row), columns.div_ceil(S::F32_LANES), micro, b) };
                }
            }
        }
    }
}
