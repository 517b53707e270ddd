//! Convolutions with kernels of 3 x 3 and stride 1 by Winograd's minimal filtering F(2x2, 3x3) (Lavin and Gray, 2016): a tile of
//! 2 x 2 outputs takes 16 multiplications a channel instead of 36.
//!
//! ```text
//!  weight g[m, c]                 U = G g G^T
//!                                                  16 products, one for each element of a 4 x 4:
//!  4 x 4 of the source d[c],      V = B^T d B        outputs   A^T P A,  P[m, tile] = sum of U[m, c] V[c, tile] over channels
//!  a tile and what is around it
//!                                                    gradient  G^T Q G,  Q[m, c] = sum of W[m, tile] V[tile, c] over tiles
//!  gradient of a tile y[m]        W = A y A^T
//! ```

mod convolve;
mod weight;

use super::params::LINE;
use super::patches::Window;
use crate::parallel;
pub(super) use convolve::{Weight, Winograd};
use ndarray::ArrayView2;
use pulp::{Arch, Simd, WithSimd};
pub(super) use weight::weight_gradient;

/// Elements of a transformed tile.
const ELEMS: usize = 16;
/// Channels and outputs from which on the transforms cost less than they save, of a convolution and of a gradient by the weight.
const CHANNELS_MIN: usize = 16;
const CHANNELS_MIN_WEIGHT: usize = 32;
/// Tiles of an image for the same: with fewer, a single image would wait longer for the weight than it gains. A gradient by the weight, of
/// which there is one a batch, takes fewer.
const TILES_MIN: usize = 16;
const TILES_MIN_WEIGHT: usize = 4;
/// Elements of a transformed row of tiles, at most: 2 MiB.
const ROW_MAX: usize = 1 << 19;

/// The taps of a kernel of 3 x 3 without gaps: the place of its upper left one, and where each is in the order of the weight.
#[derive(Clone, Copy)]
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
        (fits && pays([channels, outputs], window.grid, CHANNELS_MIN, TILES_MIN)).then_some(Self { first, order })
    }
}

/// Whether channels and outputs, and the tiles of an image, are at least so many, and whether a row of tiles stays in the cache. The images
/// of a batch do not matter: each has the bits that it has alone.
fn pays(channels: [usize; 2], grid: [usize; 2], channels_min: usize, tiles_min: usize) -> bool {
    let [down, across] = tiles(grid);
    channels.iter().all(|&channels| channels >= channels_min && ELEMS * channels * across <= ROW_MAX)
        && down * across >= tiles_min
}

/// The rows and columns of tiles of an image.
fn tiles(grid: [usize; 2]) -> [usize; 2] {
    grid.map(|length| length.div_ceil(2))
}

/// U of a weight, computed once for convolutions that read it many times: those of a frozen network.
pub struct TransformedWeight {
    pub(super) kernel: Kernel,
    pub(super) u: Vec<f32>,
    /// Outputs and channels.
    pub(super) size: [usize; 2],
}

impl TransformedWeight {
    /// That of weight[outputs, channels * taps], if a convolution with this window would compute it.
    pub(crate) fn new(weight: ArrayView2<f32>, window: &Window) -> Option<Self> {
        let size = [weight.nrows(), weight.ncols() / window.taps[0].len()];
        let kernel = Kernel::of(window, size[1], size[0])?;
        let mut u = vec![0.0; convolve::transformed_len(weight)];
        Arch::new().dispatch(Transform { kernel: &kernel, weight, u: &mut u });
        Some(Self { kernel, u, size })
    }

    /// Its outputs and channels.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }
}

struct Transform<'a> {
    kernel: &'a Kernel,
    weight: ArrayView2<'a, f32>,
    u: &'a mut [f32],
}

impl WithSimd for Transform<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        convolve::transform(simd, self.kernel, self.weight, self.u, parallel::threads());
    }
}

/// The channels of U, V or Q, filled up to whole vectors, and from one row of U or Q to the next: 16 elements of all channels, and a
/// line so that rows do not share a set of the cache.
fn depth(channels: usize) -> (usize, usize) {
    let channels = channels.next_multiple_of(LINE);
    (channels, ELEMS * channels + LINE)
}

/// A vector of adjacent elements.
///
/// # Safety
/// They exist.
#[inline(always)]
unsafe fn load<S: Simd>(from: *const f32) -> S::f32s {
    // SAFETY: as promised by the caller.
    unsafe { from.cast::<S::f32s>().read_unaligned() }
}

/// Writes a vector.
///
/// # Safety
/// There is room.
#[inline(always)]
unsafe fn store<S: Simd>(to: *mut f32, x: S::f32s) {
    // SAFETY: as promised by the caller.
    unsafe { to.cast::<S::f32s>().write_unaligned(x) };
}

/// G g for a column g.
#[inline(always)]
fn of_taps<S: Simd>(simd: S, [a, b, c]: [S::f32s; 3]) -> [S::f32s; 4] {
    let half = simd.splat_f32s(0.5);
    let (outer, inner) = (simd.mul_f32s(half, simd.add_f32s(a, c)), simd.mul_f32s(half, b));
    [a, simd.add_f32s(outer, inner), simd.sub_f32s(outer, inner), c]
}

/// G^T q for a column q.
#[inline(always)]
fn to_taps<S: Simd>(simd: S, [a, b, c, d]: [S::f32s; 4]) -> [S::f32s; 3] {
    let half = simd.splat_f32s(0.5);
    let (sum, difference) = (simd.mul_f32s(half, simd.add_f32s(b, c)), simd.mul_f32s(half, simd.sub_f32s(b, c)));
    [simd.add_f32s(a, sum), difference, simd.add_f32s(sum, d)]
}

/// B^T d for a column d.
#[inline(always)]
fn of_source<S: Simd>(simd: S, [a, b, c, d]: [S::f32s; 4]) -> [S::f32s; 4] {
    [simd.sub_f32s(a, c), simd.add_f32s(b, c), simd.sub_f32s(c, b), simd.sub_f32s(b, d)]
}

/// A y for a column y.
#[inline(always)]
fn of_outputs<S: Simd>(simd: S, [a, b]: [S::f32s; 2]) -> [S::f32s; 4] {
    [a, simd.add_f32s(a, b), simd.sub_f32s(a, b), simd.sub_f32s(simd.splat_f32s(0.0), b)]
}

/// A^T p for a column p.
#[inline(always)]
fn to_outputs<S: Simd>(simd: S, [a, b, c, d]: [S::f32s; 4]) -> [S::f32s; 2] {
    [simd.add_f32s(simd.add_f32s(a, b), c), simd.sub_f32s(simd.sub_f32s(b, c), d)]
}

/// Transforms the columns of a matrix of $n x $n vectors, then the rows, which makes it $m x $m: B^T d B, G g G^T and so on.
macro_rules! both_axes {
    ($simd:expr, $transform:ident, $n:literal -> $m:literal, |$i:ident, $j:ident| $read:expr, |$k:ident, $l:ident, $x:ident| $write:expr) => {{
        // Counted loops, which are unrolled: the elements stay in registers.
        let zero = $simd.splat_f32s(0.0);
        let mut columns = [[zero; $m]; $n];
        for $j in 0..$n {
            let mut column = [zero; $n];
            for $i in 0..$n {
                column[$i] = $read;
            }
            columns[$j] = $transform($simd, column);
        }
        for $k in 0..$m {
            let mut row = [zero; $n];
            for j in 0..$n {
                row[j] = columns[j][$k];
            }
            let row = $transform($simd, row);
            for $l in 0..$m {
                let $x = row[$l];
                $write;
            }
        }
    }};
}
use both_axes;
