//! The transforms of kernels: U from a weight, and the gradient of a weight from Q.

use super::transforms::{OfStridedTaps, OfTaps, ToTaps, Transform, both_axes, load, store};
use super::{ELEMS, Form, Kernel, SIDE, TAPS, padded};
use crate::matmul::pack;
use crate::matmul::params::{LINE, NR_MAX};
use crate::matmul::patches::Window;
use crate::matmul::transpose;
use crate::parallel::{self, Rows};
use ndarray::ArrayView2;
use pulp::{Arch, Simd, WithSimd};

/// Channels whose taps are transposed together.
const CHANNELS: usize = 16;

/// U of a weight that many convolutions read, such as those of a frozen network.
pub struct TransformedWeight {
    pub(in crate::matmul) kernel: Kernel,
    pub(in crate::matmul) u: Vec<f32>,
    /// Outputs and channels.
    pub(in crate::matmul) size: [usize; 2],
}

impl TransformedWeight {
    /// Transforms weight[outputs, channels * taps]; `None` if a convolution with this window doesn't use tiles.
    pub(crate) fn new(weight: ArrayView2<f32>, window: &Window) -> Option<Self> {
        let size = [weight.nrows(), weight.ncols() / window.taps[0].len()];
        let kernel = Kernel::of(window, size[1], size[0])?;
        let mut u = vec![0.0; transformed_len(weight)];
        Arch::new().dispatch(Transformation { kernel: &kernel, weight, u: &mut u });
        Some(Self { kernel, u, size })
    }

    /// Whether it can be used for this window and for a weight with so many outputs and channels.
    pub(crate) fn fits(&self, window: &Window, [outputs, channels]: [usize; 2]) -> bool {
        self.size == [outputs, channels] && Kernel::of(window, channels, outputs) == Some(self.kernel)
    }
}

struct Transformation<'a> {
    kernel: &'a Kernel,
    weight: ArrayView2<'a, f32>,
    u: &'a mut [f32],
}

impl WithSimd for Transformation<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        transform(simd, self.kernel, self.weight, self.u, parallel::threads());
    }
}

/// How many outputs a block of U[element][channel][output] has: at most those of a panel of the products.
pub(super) fn block(outputs: usize) -> usize {
    padded(outputs).min(NR_MAX)
}

/// The length of U for weight[outputs, channels * taps].
pub(super) fn transformed_len(a: ArrayView2<f32>) -> usize {
    let block = block(a.nrows());
    a.nrows().div_ceil(block) * ELEMS * (a.ncols() / 9) * block
}

/// Writes U of weight[outputs, channels * taps].
#[inline(always)]
pub(super) fn transform<S: Simd>(simd: S, kernel: &Kernel, a: ArrayView2<f32>, u: &mut [f32], threads: usize) {
    assert!(a.ncols() <= 1 || a.strides()[1] == 1);
    let block = block(a.nrows());
    let grain = if threads == 1 { a.nrows() } else { 1 };
    parallel::for_each(Rows(u, ELEMS * (a.ncols() / 9) * block), grain, |first, Rows(u, _)| {
        pack::with_scratch(9 * CHANNELS * LINE, |taps| simd.vectorize(Blocks { kernel, a, first, u, taps }));
    });
}

/// The blocks of U of one task.
struct Blocks<'a> {
    kernel: &'a Kernel,
    a: ArrayView2<'a, f32>,
    first: usize,
    u: &'a mut [f32],
    /// Scratch memory for the taps of `CHANNELS` channels and a cache line of outputs.
    taps: &'a mut [f32],
}

impl WithSimd for Blocks<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.kernel.form {
            Form::Dense => self.run::<S, OfTaps>(simd),
            Form::Strided | Form::Transposed => self.run::<S, OfStridedTaps>(simd),
        }
    }
}

impl Blocks<'_> {
    #[inline(always)]
    fn run<S: Simd, T: Transform<TAPS, SIDE>>(self, simd: S) {
        let Self { kernel, a, first, u, taps } = self;
        let (outputs, channels, block) = (a.nrows(), a.ncols() / 9, block(a.nrows()));
        for (i, u) in u.chunks_exact_mut(ELEMS * channels * block).enumerate() {
            let of_block = (first + i) * block..outputs.min((first + i + 1) * block);
            for output in of_block.clone().step_by(LINE) {
                let rows = LINE.min(of_block.end - output);
                if rows < LINE {
                    taps.fill(0.0);
                }
                for channel in (0..channels).step_by(CHANNELS) {
                    let count = CHANNELS.min(channels - channel);
                    // SAFETY: the rows have 9 adjacent taps of each channel, and whole lines lie inside of the taps
                    // and of a row of U.
                    unsafe {
                        let from = a.as_ptr().offset(output as isize * a.strides()[0]).add(9 * channel);
                        transpose::matrix::<S>(
                            from,
                            a.strides()[0] as usize,
                            [rows, 9 * count],
                            taps.as_mut_ptr(),
                            LINE,
                        );
                        for c in 0..count {
                            let taps = taps.as_ptr().add(9 * c * LINE);
                            let to = u.as_mut_ptr().add((channel + c) * block + output - of_block.start);
                            for at in (0..LINE).step_by(S::F32_LANES) {
                                both_axes!(
                                    simd, T, TAPS => SIDE,
                                    |i, j| load::<S>(taps.add(kernel.order[3 * i + j] * LINE + at)),
                                    |k, l, x| store::<S>(to.add((SIDE * k + l) * channels * block + at), x)
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The distance between the rows of Q[element][channel]: one cache line more than they need, so that they don't all
/// fall into the same set of the cache.
pub(super) fn depth(channels: usize) -> usize {
    ELEMS * padded(channels) + LINE
}

/// Computes rows of the gradient from the groups' sums.
pub(super) struct Gradient<'a> {
    pub sums: &'a [f32],
    /// The distance from one group to the next.
    pub group: usize,
    pub channels: usize,
    pub first: usize,
    pub out: &'a mut [f32],
    pub taps: &'a mut [f32],
}

impl WithSimd for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { sums, group, channels, first, out, taps } = self;
        let pitch = padded(channels);
        for (i, out) in out.chunks_exact_mut(9 * channels).enumerate() {
            let sums = &sums[(first + i) * depth(channels)..];
            for at in (0..pitch).step_by(S::F32_LANES) {
                // SAFETY: whole vectors lie inside of an element of the sums, and of a row of taps.
                unsafe {
                    both_axes!(
                        simd, ToTaps, SIDE => TAPS,
                        |i, j| {
                            let of_group = |group: usize| sums[group + (SIDE * i + j) * pitch + at..].as_ptr();
                            let mut sum = load::<S>(of_group(0));
                            for other in (group..sums.len()).step_by(group) {
                                sum = simd.add_f32s(sum, load::<S>(of_group(other)));
                            }
                            sum
                        },
                        |k, l, x| store::<S>(taps.as_mut_ptr().add((TAPS * k + l) * pitch + at), x)
                    );
                }
            }
            // SAFETY: the taps of all channels lie in both.
            unsafe { transpose::matrix::<S>(taps.as_ptr(), pitch, [9, channels], out.as_mut_ptr(), 9) };
        }
    }
}
