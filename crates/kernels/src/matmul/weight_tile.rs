//! A tile of the gradient of a convolution's weight, and its innermost loop for numbers in single precision.

use super::mat::vector;
use super::microkernel::by_size;
use pulp::Simd;

/// A tile of the weight's gradient: rows of gradients times vectors of the source. Its sums stay in registers over all
/// outputs of some images.
#[derive(Clone, Copy)]
pub(super) struct WeightTile<'a> {
    pub grad: *const f32,
    pub rs_grad: usize,
    /// The distance from one row of outputs to the next in the gradients.
    pub pitch: usize,
    pub images: usize,
    pub grid: [usize; 2],
    pub source: *const f32,
    /// The distance from one image to the next, in the gradients and in the source.
    pub of_image: [usize; 2],
    /// The distance in the source between what an output reads and what its right and its lower neighbour read.
    pub step: usize,
    pub jump: usize,
    pub vectors: &'a [usize],
    pub sums: *mut f32,
    pub rs_sums: usize,
}

impl WeightTile<'_> {
    /// The first elements of each image's gradients and of its source.
    #[inline(always)]
    pub fn places(&self) -> impl Iterator<Item = [*const f32; 2]> + use<> {
        let (grad, source, [of_grad, of_source]) = (self.grad, self.source, self.of_image);
        (0..self.images).map(move |i| [grad.wrapping_add(i * of_grad), source.wrapping_add(i * of_source)])
    }

    /// # Safety
    /// As `run`.
    #[inline(always)]
    pub unsafe fn by_size<S: Simd>(self, simd: S, rows: usize) {
        // SAFETY: as promised by the caller.
        by_size!(wide rows, self.vectors.len(), |R, V| unsafe { self.run::<S, R, V>(simd) });
    }

    /// Adds the products of the tile's images to the sums.
    ///
    /// # Safety
    /// The pointers reach what the sizes say, and nobody else accesses the sums meanwhile.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "counted loops are unrolled, which keeps the sums in registers")]
    unsafe fn run<S: Simd, const R: usize, const V: usize>(self, simd: S) {
        let mut offsets = [0; V];
        offsets.copy_from_slice(self.vectors);
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        // SAFETY: as promised by the caller.
        unsafe {
            for [mut grad, source] in self.places() {
                for y in 0..self.grid[0] {
                    let mut source = source.wrapping_add(y * self.jump);
                    for _ in 0..self.grid[1] {
                        let mut columns = [simd.splat_f32s(0.0); V];
                        for j in 0..V {
                            columns[j] = source.add(offsets[j]).cast::<S::f32s>().read_unaligned();
                        }
                        for i in 0..R {
                            let x = simd.splat_f32s(*grad.add(i * self.rs_grad));
                            for j in 0..V {
                                sums[i][j] = simd.mul_add_f32s(x, columns[j], sums[i][j]);
                            }
                        }
                        grad = grad.wrapping_add(1);
                        source = source.wrapping_add(self.step);
                    }
                }
            }
            for i in 0..R {
                for j in 0..V {
                    let to = vector::<S>(self.sums.add(i * self.rs_sums), j).cast_mut();
                    to.write_unaligned(simd.add_f32s(to.read_unaligned(), sums[i][j]));
                }
            }
        }
    }
}
