//! Convolutions with kernels of 3 x 3 by Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray, 2016): a tile of 4 x 4
//! outputs takes 36 multiplications a channel instead of 144. With stride 2 it takes 81: along an axis, the first and the
//! last tap are a filter F(4, 2) over every second place, with 5 multiplications, and the middle tap multiplies the 4
//! places in between. The gradient of the input is the same turned round, a tile of 8 x 8.
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

mod ahead;
mod convolve;
mod taps;
mod tiles;
mod transforms;
mod weight;

use super::conv_params::ConvParams;
use super::epilogue::TileEpilogue;
use super::in_place::{self, Vectors};
use super::mat::MatRef;
use super::microkernel::MicroTile;
use super::params::{LINE, mr, nr};
use super::patches::Window;
use super::prefetch::Prefetch;
use ahead::Ahead;
pub(super) use convolve::{Weight, Winograd};
use pulp::Simd;
pub use taps::TransformedWeight;
pub(super) use weight::weight_gradient;

/// Kernels are of 3 x 3.
const TAPS: usize = 3;
/// Rows and columns of a transformed kernel, and of a transformed tile with stride 1.
const SIDE: usize = 6;
/// Elements of a transformed kernel.
const ELEMS: usize = SIDE * SIDE;

/// What a convolution of tiles computes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One with stride 1.
    Dense,
    /// One with stride 2.
    Strided,
    /// The gradient of the input of one with stride 2 and a padding of 1.
    Transposed,
}

impl Form {
    /// That of the convolution which it is, or whose gradient.
    fn stride(self) -> usize {
        if self == Self::Dense { 1 } else { 2 }
    }

    /// Rows and columns of a tile of outputs.
    fn tile(self) -> usize {
        if self == Self::Transposed { 8 } else { 4 }
    }

    /// The same of what such a tile reads.
    fn window(self) -> usize {
        match self {
            Self::Dense => 6,
            Self::Strided => 9,
            Self::Transposed => 5,
        }
    }

    /// From what a tile reads to what the next one reads.
    fn step(self) -> usize {
        if self == Self::Strided { 8 } else { 4 }
    }

    /// Rows and columns of a transformed tile.
    fn side(self) -> usize {
        if self == Self::Dense { SIDE } else { 9 }
    }

    /// Elements of a transformed tile.
    fn elements(self) -> usize {
        self.side() * self.side()
    }

    /// That of a convolution with a stride.
    fn of(stride: [usize; 2]) -> Option<Self> {
        match stride {
            [1, 1] => Some(Self::Dense),
            [2, 2] => Some(Self::Strided),
            _ => None,
        }
    }

    /// The element of the transformed kernel that one of a transformed tile is multiplied by.
    fn of_kernel(self, element: usize) -> usize {
        let [i, j] = [element / self.side(), element % self.side()].map(|place| place.min(SIDE - 1));
        SIDE * i + j
    }

    /// The rows and columns of tiles of an image.
    fn tiles(self, grid: [usize; 2]) -> [usize; 2] {
        grid.map(|length| length.div_ceil(self.tile()))
    }

    /// Whether an image, or those that are computed in one way, have enough tiles for what U costs.
    fn pays_for_weight(self, grid: [usize; 2], together: usize) -> bool {
        let tiles: usize = self.tiles(grid).iter().product();
        tiles >= TILES_MIN || tiles * together >= TOGETHER_MIN
    }

    /// Whether there are enough channels and outputs, the outputs fill their tiles at least by half, and a row of tiles
    /// stays in the cache.
    fn pays(self, channels: [usize; 2], grid: [usize; 2]) -> bool {
        let [down, across] = self.tiles(grid);
        let least = self.stride() * CHANNELS_MIN;
        channels.iter().all(|&channels| channels >= least && self.elements() * channels * across <= ROW_MAX)
            && 2 * grid[0] * grid[1] >= self.tile() * self.tile() * down * across
    }
}

/// Channels and outputs from which on the transforms cost less than they save; twice as many if the stride is 2.
const CHANNELS_MIN: usize = 16;
/// Tiles of an image for the same: with fewer, a single image would wait longer for the weight than it gains.
const TILES_MIN: usize = 4;
/// The same of images that are computed in one way: with fewer, reading U takes as long as a direct sum.
const TOGETHER_MIN: usize = 48;
/// Elements of a transformed row of tiles, at most: 2 MiB.
const ROW_MAX: usize = 1 << 19;

/// The taps of a kernel of 3 x 3 without gaps: the place of its upper left one, and where each is in the order of the
/// weight.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kernel {
    form: Form,
    first: [isize; 2],
    order: [usize; 9],
}

impl Kernel {
    /// That of a window, if it moves by 1 or 2, and if the sizes pay.
    pub fn of(window: &Window, channels: usize, outputs: usize) -> Option<Self> {
        let [taps] = &window.taps[..] else { return None };
        let first = [0, 1].map(|axis| taps.iter().map(|tap| tap[axis]).min().unwrap_or(0));
        let place = |i: usize| [first[0] + (i / 3) as isize, first[1] + (i % 3) as isize];
        let mut order = [0; 9];
        for (i, to) in order.iter_mut().enumerate() {
            *to = taps.iter().position(|tap| *tap == place(i))?;
        }
        let form = Form::of(window.step)?;
        let fits = taps.len() == 9 && first.iter().all(|place| (-2..=0).contains(place));
        let pays = form.pays([channels, outputs], window.grid) && form.pays_for_weight(window.grid, window.together);
        (fits && pays).then_some(Self { form, first, order })
    }

    /// That of the gradient of an input of images of these rows and columns, if kernel and stride are those of `Form::Transposed`, and if the
    /// sizes pay. It reads the taps from the last one on.
    pub fn transposed(
        kernel: [usize; 2],
        params: ConvParams,
        channels: [usize; 2],
        [images, height, width]: [usize; 3],
    ) -> Option<Self> {
        let form = Form::Transposed;
        let fits = (kernel, params) == ([3, 3], ConvParams { stride: [2, 2], padding: [1, 1], dilation: [1, 1] });
        let order = std::array::from_fn(|i| 8 - i);
        let pays = form.pays(channels, [height, width]) && form.pays_for_weight([height, width], images);
        (fits && pays).then_some(Self { form, first: [0, 0], order })
    }
}

/// Channels filled up to whole vectors of any length.
fn padded(channels: usize) -> usize {
    channels.next_multiple_of(LINE)
}

/// Products c = a b of the elements of transformed tiles.
struct Products<'a> {
    rows: usize,
    columns: usize,
    a: MatRef,
    b: *const f32,
    /// How far each row of b is from the first.
    offsets: &'a [usize],
    kc_sum: usize,
    c: *mut f32,
    rs_c: usize,
    /// Whether the products are added to c.
    accumulate: bool,
    ahead: Ahead,
}

/// How far the operands of an element are from those of the first one.
struct Element {
    a: usize,
    b: usize,
    c: usize,
}

impl Products<'_> {
    /// The microtiles of an element, about.
    fn microtiles<S: Simd>(&self) -> usize {
        self.columns.div_ceil(nr::<S>()) * self.rows.div_ceil(mr::<S>(self.columns.min(nr::<S>())))
    }

    /// Asks for an element when those before are done.
    ///
    /// # Safety
    /// Rows and columns, these filled up to whole vectors, lie inside of the operands of each element.
    #[inline(always)]
    unsafe fn compute<S: Simd>(self, simd: S, elements: impl Iterator<Item = Element>) {
        let Self { rows, columns, offsets, kc_sum, rs_c, accumulate, mut ahead, .. } = self;
        for Element { a, b, c } in elements {
            let a = MatRef { ptr: self.a.ptr.wrapping_add(a), ..self.a };
            for first in (0..columns).step_by(nr::<S>()) {
                let columns = nr::<S>().min(columns - first);
                let b = Vectors::packed::<S>(self.b.wrapping_add(b + first), offsets);
                let mr = mr::<S>(columns);
                for row in (0..rows).step_by(mr) {
                    let micro = MicroTile {
                        kc: offsets.len(),
                        kc_sum,
                        a: a.from(row, 0),
                        b: std::ptr::null(),
                        c: self.c.wrapping_add(c + row * rs_c + first),
                        rs_c: rs_c as isize,
                        accumulate,
                        prefetch: Prefetch::rows(a, 0),
                        epilogue: TileEpilogue::NONE,
                    };
                    ahead.issue();
                    // SAFETY: as promised by the caller.
                    unsafe { in_place::compute(simd, mr.min(rows - row), columns.div_ceil(S::F32_LANES), micro, b) };
                }
            }
        }
    }
}
