//! The gradient of a convolution's weight: the sum over outputs of their gradient * what each tap reads. The source is
//! copied with its padding and with channels last: what a row of the kernel reads is then adjacent, and loads as
//! vectors.
//!
//! Images are summed in groups, and the groups in order. The number of groups depends on the shape alone, so the bits
//! do not depend on the number of threads.

use super::conv_elements::Elements;
use super::conv_params::ConvParams;
use super::pack;
use super::params::{LINE, nr_vectors, threads_for};
use super::patches::Images;
use super::weight_tile::WeightTile;
use super::winograd;
use crate::parallel::{self, Rows};
use ndarray::{ArrayView4, ArrayViewMut4};
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

/// The most groups of images.
const GROUPS: usize = 16;
/// The intended size of the images, with channels last, that a thread holds at once, in elements: half of a 1 MiB L2.
const COPY_ELEMS: usize = 1 << 17;
/// The intended size of all groups' sums together, in elements: 8 MiB.
const SUMS: usize = 1 << 21;
/// The most outputs of several images that are summed in one accumulator.
const OUTPUTS: usize = 128;

/// The gradients of outputs[images, m, height, width].
#[derive(Clone, Copy)]
pub(super) struct Gradients {
    pub data: *const f32,
    pub shape: [usize; 4],
    /// The distances from one image to the next, from one row m to the next and, in tiles, from one row of outputs to
    /// the next.
    pub image: usize,
    pub plane: usize,
    pub pitch: usize,
}

// SAFETY: as for `Images`.
unsafe impl Send for Gradients {}
// SAFETY: as for `Images`.
unsafe impl Sync for Gradients {}

impl Gradients {
    pub fn new(grad: &ArrayView4<f32>) -> Self {
        let ((images, m, height, width), Images { data, image, plane, .. }) = (grad.dim(), Images::new(grad));
        Self { data, shape: [images, m, height, width], image, plane, pitch: width }
    }
}

/// grad_weight[m, c, ky, kx] = sum over images n and outputs (y, x) of grad[n, m, y, x] x[n, c, what the tap reads].
pub(super) fn weight_gradient(
    grad: ArrayView4<f32>,
    x: ArrayView4<f32>,
    params: ConvParams,
    mut grad_weight: ArrayViewMut4<f32>,
) {
    if grad.is_empty() || x.is_empty() {
        return grad_weight.fill(0.0);
    }
    if !winograd::weight_gradient(grad, x, params, &mut grad_weight) {
        weight_gradient_of(Elements::Numbers, Gradients::new(&grad), x, params, grad_weight);
    }
}

/// The same for any kind of elements. There must be images and outputs.
pub(super) fn weight_gradient_of(
    elements: Elements,
    grad: Gradients,
    x: ArrayView4<f32>,
    params: ConvParams,
    grad_weight: ArrayViewMut4<f32>,
) {
    let ([images, m, height, width], (_, channels, ..)) = (grad.shape, x.dim());
    let (m_out, c_out, ky, kx) = grad_weight.dim();
    assert_eq!((images, m, channels), (x.dim().0, m_out, c_out));
    let mut call = Problem {
        elements,
        grad,
        source: Images::new(&x),
        images,
        m,
        kernel: [ky, kx],
        grid: [height, width],
        params,
        extent: params.extent([height, width], [ky, kx]),
    };
    if call.together() > 1 && ([ky, kx], params.stride, params.padding) == ([1, 1], [1, 1], [0, 0]) {
        // Each output reads one element, that at its own place: so all rows are taken as one long row.
        (call.grid, call.extent) = ([1, height * width], [1, height * width]);
        (call.source.height, call.source.width, call.grad.pitch) = (1, height * width, height * width);
    }
    Arch::new().dispatch(WeightGradient { call, grad_weight });
}

#[derive(Clone, Copy)]
struct Problem {
    elements: Elements,
    grad: Gradients,
    source: Images,
    images: usize,
    m: usize,
    kernel: [usize; 2],
    grid: [usize; 2],
    params: ConvParams,
    /// The rows and columns of the padded source.
    extent: [usize; 2],
}

impl Problem {
    /// How many adjacent elements an output reads: those of a row of the kernel or, with dilation, those of one tap.
    fn run(&self) -> usize {
        let channels = self.source.channels;
        if self.params.dilation[1] == 1 { self.kernel[1] * channels } else { channels }
    }

    /// How many images are summed in one accumulator. Images with few outputs are taken together: otherwise reading and
    /// writing the sums would take as long as adding to them.
    fn together(&self) -> usize {
        (OUTPUTS / (self.grid[0] * self.grid[1])).max(1)
    }

    /// The room that a padded source with channels last needs, including what is read beyond it by the last vector of a
    /// run and by the outputs that fill up a tile.
    fn room(&self, vectors: &[usize]) -> usize {
        let [step, jump] = self.steps();
        let outputs = (self.grid[0] * self.grad.pitch).next_multiple_of(self.elements.side());
        let rows = outputs.div_ceil(self.grad.pitch);
        let last = (rows - 1) * jump + (self.grad.pitch - 1) * step + vectors.last().copied().unwrap_or(0);
        (self.extent[0] * self.extent[1] * self.source.channels).max(last) + LINE
    }

    /// The distance between what an output reads and what its right and its lower neighbour read.
    fn steps(&self) -> [usize; 2] {
        let [down, across] = self.params.stride;
        [across * self.source.channels, down * self.extent[1] * self.source.channels]
    }

    /// Where the vectors of each run begin in the source.
    fn vectors(&self, lanes: usize) -> Vec<usize> {
        let ([ky, kx], channels) = (self.kernel, self.source.channels);
        let taps = if self.params.dilation[1] == 1 { 1 } else { kx };
        let starts = (0..ky).flat_map(|y| (0..taps).map(move |x| (y, x)));
        let at = |(y, x)| {
            let [down, across] = self.params.dilation;
            (y * down * self.extent[1] + x * across) * channels
        };
        starts.flat_map(|start| (0..self.run()).step_by(lanes).map(move |i| at(start) + i)).collect()
    }
}

struct WeightGradient<'a> {
    call: Problem,
    grad_weight: ArrayViewMut4<'a, f32>,
}

impl WithSimd for WeightGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { call, mut grad_weight } = self;
        let vectors = call.vectors(S::F32_LANES);
        // The width with the widest vectors, so that the groups, and with them the bits, are the same at every SIMD
        // level.
        let width = call.vectors(LINE).len() * LINE;
        let together = call.together();
        let groups = (SUMS / (call.m * width)).clamp(1, GROUPS).min(call.images.div_ceil(together));
        let row = vectors.len() * S::F32_LANES;
        let of_group = call.m.next_multiple_of(call.elements.side()) * row;
        pack::with_scratch(groups * of_group, |sums| {
            sums.fill(0.0);
            call.add_groups(simd, &vectors, groups, width, sums);
            let (sums, others) = sums.split_at_mut(of_group);
            parallel::for_each(&mut *sums, 1 << 14, |first, part| {
                for other in others.chunks(of_group) {
                    part.iter_mut().zip(&other[first..]).for_each(|(sum, other)| *sum += other);
                }
            });
            call.place(sums, row, S::F32_LANES, &mut grad_weight);
        });
    }
}

impl Problem {
    /// Adds each group's part to its sums.
    #[inline(always)]
    fn add_groups<S: Simd>(&self, simd: S, vectors: &[usize], groups: usize, width: usize, sums: &mut [f32]) {
        let (call, row) = (*self, vectors.len() * S::F32_LANES);
        let work = call.m * width * call.images * call.grid[0] * call.grid[1];
        let threads = threads_for(work);
        // Tasks may share the rows of a group.
        let of_tile = call.elements.rows_of_weight();
        let parts = (2 * threads).div_ceil(groups).min(call.m.div_ceil(of_tile)).max(1);
        let parts = if threads == 1 { 1 } else { parts };
        let part = call.m.div_ceil(parts).next_multiple_of(of_tile);
        let mut pieces: Vec<_> = sums
            .chunks_mut(sums.len() / groups)
            .enumerate()
            .flat_map(|(group, sums)| {
                let images = group * call.images / groups..(group + 1) * call.images / groups;
                sums.chunks_mut(part * row).enumerate().map(move |(i, sums)| {
                    let rows = i * part..call.m.min((i + 1) * part);
                    (images.clone(), rows, sums)
                })
            })
            .collect();
        let room = call.room(vectors);
        let at_once = (COPY_ELEMS / room).clamp(1, call.images.div_ceil(groups));
        let grain = if threads == 1 { pieces.len() } else { 1 };
        parallel::for_each(&mut pieces[..], grain, |_, pieces| {
            pack::with_buffer(at_once * room, |source| {
                // The padding is written once: each image is copied to the same place inside of it.
                // SAFETY: the buffer is this long.
                unsafe { std::slice::from_raw_parts_mut(source, at_once * room).fill(0.0) };
                call.elements.with_registers(|| {
                    for (images, rows, sums) in pieces {
                        let (images, rows) = (images.clone(), rows.clone());
                        simd.vectorize(Group { call, vectors, images, rows, sums, source, room, at_once });
                    }
                });
            });
        });
    }

    /// Writes a row of the gradient from its sums, which are in the order of the source with channels last.
    fn place(&self, sums: &[f32], row: usize, lanes: usize, grad_weight: &mut ArrayViewMut4<f32>) {
        let (run, channels) = (self.run(), self.source.channels);
        let per_run = run.div_ceil(lanes) * lanes;
        let taps = self.kernel[0] * self.kernel[1];
        let slice = grad_weight.as_slice_mut().expect("a contiguous gradient");
        parallel::for_each(Rows(slice, channels * taps), (1 << 14) / row + 1, |first, part| {
            for (i, out) in part.0.chunks_exact_mut(channels * taps).enumerate() {
                for tap in 0..taps {
                    let at = (first + i) * row + tap * channels / run * per_run + tap * channels % run;
                    let into = out[tap..].iter_mut().step_by(taps);
                    into.zip(&sums[at..at + channels]).for_each(|(into, sum)| *into = *sum);
                }
            }
        });
    }
}

/// What some images add to some rows of the gradient.
struct Group<'a> {
    call: Problem,
    vectors: &'a [usize],
    images: Range<usize>,
    rows: Range<usize>,
    sums: &'a mut [f32],
    /// A buffer for padded sources, all zeros at first: the length of one, and how many fit.
    source: *mut f32,
    room: usize,
    at_once: usize,
}

impl WithSimd for Group<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { call, vectors, images, rows, sums, source, room, at_once } = self;
        let (row, channels) = (vectors.len() * S::F32_LANES, call.source.channels);
        let (together, of_tile, [step, jump]) = (call.together(), call.elements.rows_of_weight(), call.steps());
        for first_image in images.clone().step_by(at_once) {
            let images = first_image..images.end.min(first_image + at_once);
            for (i, n) in images.clone().enumerate() {
                let ([top, left], pitch) = (call.params.padding, call.extent[1] * channels);
                // Rows that no output reads are not copied.
                let rows = 0..call.source.height.min(call.extent[0].saturating_sub(top));
                let columns = call.source.width.min(call.extent[1].saturating_sub(left));
                let to = source.wrapping_add(i * room + top * pitch + left * channels);
                // SAFETY: the buffer has room for the padded images.
                unsafe { call.source.copy_channels_last::<S>(n, rows, columns, to, [pitch, call.source.channels]) };
            }
            for first in (0..vectors.len()).step_by(nr_vectors::<S>()) {
                let count = nr_vectors::<S>().min(vectors.len() - first);
                for i in (0..images.len()).step_by(together) {
                    let n = images.start + i;
                    // All rows m, one tile after the other, while what they read of these images is in the cache.
                    for m in rows.clone().step_by(of_tile) {
                        let tile = WeightTile {
                            grad: call.grad.data.wrapping_add(n * call.grad.image + m * call.grad.plane),
                            rs_grad: call.grad.plane,
                            pitch: call.grad.pitch,
                            images: together.min(images.len() - i),
                            grid: call.grid,
                            source: source.wrapping_add(i * room),
                            of_image: [call.grad.image, room],
                            step,
                            jump,
                            vectors: &vectors[first..first + count],
                            sums: sums[(m - rows.start) * row + first * S::F32_LANES..].as_mut_ptr(),
                            rs_sums: row,
                        };
                        let rows = of_tile.min(rows.end - m);
                        // SAFETY: gradients, source and sums reach what the sizes say.
                        unsafe {
                            match call.elements {
                                Elements::Numbers => tile.by_size(simd, rows),
                                Elements::Pairs(kernels) => (kernels.add_products)(rows, tile),
                            }
                        }
                    }
                }
            }
        }
    }
}
