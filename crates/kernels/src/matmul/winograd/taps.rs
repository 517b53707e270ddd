//! Between the taps of kernels and their 4 x 4: U of a weight, and the gradient of a weight from Q.

use super::transforms::{both_axes, load, of_taps, store, to_taps};
use super::{Kernel, depth};
use crate::matmul::pack;
use crate::matmul::patches::Window;
use crate::matmul::transpose;
use crate::parallel::{self, Rows};
use ndarray::ArrayView2;
use pulp::{Arch, Simd, WithSimd};

/// U of a weight, computed once for convolutions that read it many times: those of a frozen network.
pub struct TransformedWeight {
    pub(in crate::matmul) kernel: Kernel,
    pub(in crate::matmul) u: Vec<f32>,
    /// Outputs and channels.
    pub(in crate::matmul) size: [usize; 2],
}

impl TransformedWeight {
    /// That of weight[outputs, channels * taps], if a convolution with this window would compute it.
    pub(crate) fn new(weight: ArrayView2<f32>, window: &Window) -> Option<Self> {
        let size = [weight.nrows(), weight.ncols() / window.taps[0].len()];
        let kernel = Kernel::of(window, size[1], size[0])?;
        let mut u = vec![0.0; transformed_len(weight)];
        Arch::new().dispatch(Transform { kernel: &kernel, weight, u: &mut u });
        Some(Self { kernel, u, size })
    }

    /// Whether a convolution with this window would compute it, of a weight with so many outputs and channels.
    pub(crate) fn fits(&self, window: &Window, [outputs, channels]: [usize; 2]) -> bool {
        self.size == [outputs, channels] && Kernel::of(window, channels, outputs) == Some(self.kernel)
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
        transform(simd, self.kernel, self.weight, self.u, parallel::threads());
    }
}

/// Elements of U of a weight[outputs, channels * taps].
pub(super) fn transformed_len(a: ArrayView2<f32>) -> usize {
    a.nrows() * depth(a.ncols() / 9).1
}

/// U of a weight[outputs, channels * taps].
#[inline(always)]
pub(super) fn transform<S: Simd>(simd: S, kernel: &Kernel, a: ArrayView2<f32>, u: &mut [f32], threads: usize) {
    assert!(a.ncols() <= 1 || a.strides()[1] == 1);
    let channels = a.ncols() / 9;
    let (pitch, depth) = depth(channels);
    let grain = if threads == 1 { a.nrows() } else { (1 << 12) / channels + 1 };
    parallel::for_each(Rows(u, depth), grain, |first, Rows(u, _)| {
        pack::with_scratch(9 * pitch, |taps| simd.vectorize(Rewrite { kernel, a, first, u, taps }));
    });
}

/// U of some rows.
struct Rewrite<'a> {
    kernel: &'a Kernel,
    a: ArrayView2<'a, f32>,
    first: usize,
    u: &'a mut [f32],
    /// Room for the taps of a row, each of all channels.
    taps: &'a mut [f32],
}

impl WithSimd for Rewrite<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { kernel, a, first, u, taps } = self;
        let channels = a.ncols() / 9;
        let (pitch, depth) = depth(channels);
        taps.fill(0.0);
        for (i, u) in u.chunks_exact_mut(depth).enumerate() {
            let row = a.row(first + i);
            // SAFETY: the row has 9 taps of each channel, adjacent, and whole vectors lie inside of a row of taps and
            // of an element of U.
            unsafe {
                transpose::matrix::<S>(row.as_ptr(), 9, [channels, 9], taps.as_mut_ptr(), pitch);
                for at in (0..pitch).step_by(S::F32_LANES) {
                    both_axes!(
                        simd, of_taps, 3 -> 4,
                        |i, j| load::<S>(taps.as_ptr().add(kernel.order[3 * i + j] * pitch + at)),
                        |k, l, x| store::<S>(u.as_mut_ptr().add((4 * k + l) * pitch + at), x)
                    );
                }
            }
        }
    }
}

/// The gradient of some rows from the groups' sums.
pub(super) struct Gradient<'a> {
    pub sums: &'a [f32],
    /// From one group to the next.
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
        let (pitch, depth) = depth(channels);
        for (i, out) in out.chunks_exact_mut(9 * channels).enumerate() {
            let sums = &sums[(first + i) * depth..];
            for at in (0..pitch).step_by(S::F32_LANES) {
                // SAFETY: whole vectors lie inside of an element of the sums, and of a row of taps.
                unsafe {
                    both_axes!(
                        simd, to_taps, 4 -> 3,
                        |i, j| {
                            let of_group = |group: usize| sums[group + (4 * i + j) * pitch + at..].as_ptr();
                            let mut sum = load::<S>(of_group(0));
                            for other in (group..sums.len()).step_by(group) {
                                sum = simd.add_f32s(sum, load::<S>(of_group(other)));
                            }
                            sum
                        },
                        |k, l, x| store::<S>(taps.as_mut_ptr().add((3 * k + l) * pitch + at), x)
                    );
                }
            }
            // SAFETY: the taps of all channels lie in both.
            unsafe { transpose::matrix::<S>(taps.as_ptr(), pitch, [9, channels], out.as_mut_ptr(), 9) };
        }
    }
}
