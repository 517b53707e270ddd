//! Convolutions with kernels of 3 x 3 by Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray, 2016): a tile of 4 x
//! 4 outputs takes 36 multiplications a channel instead of 144. With stride 2 it takes 81: along an axis, the first and
//! the last tap are a filter F(4, 2) over every second place, with 5 multiplications, and the middle tap multiplies the
//! 4 places in between. The gradient of the input with stride 2 is the transposed computation, by tiles of 8 x 8.
//!
//! ```text
//!  weight g[m, c]                                U = G g G^T
//!  6 x 6 of the source d[c], a tile's window     V = B^T d B
//!  gradient of a tile y[m]                       W = A y A^T
//!
//!  outputs                  A^T P A,   P[tile, m] = sum over channels of V[tile, c] U[c, m]
//!  gradient of the weight   G^T Q G,   Q[m, c] = sum over tiles of W[tile, m] V[tile, c]
//!
//!  P and Q are 36 products, one for each element of the 6 x 6
//! ```
//!
//! U, V, P, Q and W have channels last. The caller's images have them first: `tiles.rs` transposes them.

mod ahead;
mod convolve;
mod problem;
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
pub(super) use problem::{Weight, Winograd};
use pulp::Simd;
pub use taps::TransformedWeight;
pub(super) use weight::weight_gradient;

/// Kernels are of 3 x 3.
const TAPS: usize = 3;
/// The side of a transformed kernel, and of a transformed tile with stride 1.
const SIDE: usize = 6;
/// Elements of a transformed kernel.
const ELEMS: usize = SIDE * SIDE;

/// The three kinds of convolution that tiles compute.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Stride 1.
    Dense,
    /// Stride 2.
    Strided,
    /// The gradient of the input of a convolution with stride 2 and padding 1.
    Transposed,
}

impl Form {
    /// The stride of the convolution, or of the one whose gradient this is.
    fn stride(self) -> usize {
        if self == Self::Dense { 1 } else { 2 }
    }

    /// The side of a tile of outputs.
    fn tile(self) -> usize {
        if self == Self::Transposed { 8 } else { 4 }
    }

    /// The side of the window of the source that a tile reads.
    fn window(self) -> usize {
        match self {
            Self::Dense => 6,
            Self::Strided => 9,
            Self::Transposed => 5,
        }
    }

    /// The distance from the window of one tile to the window of the next.
    fn step(self) -> usize {
        if self == Self::Strided { 8 } else { 4 }
    }

    /// The side of a transformed tile.
    fn side(self) -> usize {
        if self == Self::Dense { SIDE } else { 9 }
    }

    /// The number of elements of a transformed tile.
    fn elements(self) -> usize {
        self.side() * self.side()
    }

    /// The form of a convolution with this stride.
    fn of(stride: [usize; 2]) -> Option<Self> {
        match stride {
            [1, 1] => Some(Self::Dense),
            [2, 2] => Some(Self::Strided),
            _ => None,
        }
    }

    /// Which element of the transformed kernel multiplies this element of a transformed tile.
    fn of_kernel(self, element: usize) -> usize {
        let [i, j] = [element / self.side(), element % self.side()].map(|place| place.min(SIDE - 1));
        SIDE * i + j
    }

    /// How many rows and columns of tiles an image has.
    fn tiles(self, grid: [usize; 2]) -> [usize; 2] {
        grid.map(|length| length.div_ceil(self.tile()))
    }

    /// Whether there are enough tiles to pay for computing U: in one image, or in `together` images if their number may
    /// decide.
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

/// The least channels and outputs for which the transforms cost less than they save; twice as many with stride 2.
const CHANNELS_MIN: usize = 16;
/// The least tiles in an image: with fewer, transforming the weight takes longer than the tiles save.
const TILES_MIN: usize = 4;
/// The least tiles in all images, if their number may decide: with fewer, reading U takes as long as a direct sum.
const TOGETHER_MIN: usize = 48;
/// The largest transformed row of tiles, in elements: 2 MiB.
const ROW_MAX: usize = 1 << 19;

/// A 3 x 3 kernel without dilation: the place of its upper left tap, and the index of each tap in the weight.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kernel {
    form: Form,
    first: [isize; 2],
    order: [usize; 9],
}

impl Kernel {
    /// The kernel of a window; `None` if the stride is neither 1 nor 2, or if tiles don't pay off at these sizes.
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

    /// The kernel of an input's gradient, for inputs of these rows and columns. It reads the taps in reverse order.
    /// `None` if kernel, stride or padding are not those of `Form::Transposed`, or if tiles don't pay off at these
    /// sizes.
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

/// `channels` rounded up to whole vectors, whatever the processor's vector length.
fn padded(channels: usize) -> usize {
    channels.next_multiple_of(LINE)
}

/// The products c = a b, one for each element of a transformed tile.
struct Products<'a> {
    rows: usize,
    columns: usize,
    a: MatRef,
    b: *const f32,
    /// The distance of each row of b from the first.
    offsets: &'a [usize],
    kc_sum: usize,
    c: *mut f32,
    rs_c: usize,
    /// Whether the products are added to c instead of replacing it.
    accumulate: bool,
    ahead: Ahead,
}

/// The distance of an element's operands from those of the first element.
struct Element {
    a: usize,
    b: usize,
    c: usize,
}

impl Products<'_> {
    /// About how many microtiles an element's product has.
    fn microtiles<S: Simd>(&self) -> usize {
        self.columns.div_ceil(nr::<S>()) * self.rows.div_ceil(mr::<S>(self.columns.min(nr::<S>())))
    }

    /// Computes the products element by element. `elements` is advanced only when the one before is done.
    ///
    /// # Safety
    /// The operands of each element must contain all rows and all columns, the latter rounded up to whole vectors.
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
