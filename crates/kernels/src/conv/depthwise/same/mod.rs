//! Depthwise convolutions with stride 1 and as many outputs as inputs ("same" padding). For each tap, a vector of
//! outputs reads the vector of the plane at that tap's offset. A mask leaves out the lanes that would read beyond the
//! border. Planes that are smaller than a vector share one.
//!
//! ```text
//!   plane of 4 x 4                       lanes of a tap one to the left
//!   a b c d
//!   e f g h      a b c d e f g h ..      . a b c . e f g . i j k . m n o      (. keeps its sum)
//!   i j k l
//!   m n o p
//! ```

mod tasks;
mod units;

use super::{IMAGES, RUN};
use crate::conv::{Epilogue, Shape};
use crate::parallel;
use ndarray::{ArrayViewMut2, Axis};
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;
use tasks::{Backward, Forward};

/// Vectors of outputs whose sums are kept in registers at once.
const SUMS: usize = 4;
/// Channels of a task.
const CHANNELS: usize = 16;
/// The number of tasks aimed at for a call with enough images. It must not depend on the number of threads.
const TASKS: usize = 16;

/// A convolution whose planes have as many outputs as inputs.
pub(super) struct Same {
    images: usize,
    channels: usize,
    size: [usize; 2],
    /// The distance from an output to what each tap reads, by axis.
    taps: Vec<[isize; 2]>,
    /// How many elements before and after a plane its vectors may read.
    margin: usize,
    /// Where each tap of the first output reads, counted from the begin of the margin.
    offsets: Vec<usize>,
    /// `planes` planes are computed together (a unit), in `vectors` vectors. If planes share vectors, each vector has
    /// `of_vector` of them; otherwise a unit is one plane.
    planes: usize,
    vectors: usize,
    of_vector: Option<usize>,
    /// 1 if the lane reads inside of its plane, else 0; by tap, then by lane: those of one vector if all vectors have
    /// the same, else those of all vectors of a plane.
    inside: Vec<u32>,
}

/// The channels and images of one task.
struct Block {
    images: Range<usize>,
    channels: Range<usize>,
}

impl Same {
    /// `None` if the outputs are not as many as the inputs, or if planes are long: each vector of a plane has masks of
    /// its own, so there must not be many.
    pub fn new(shape: &Shape, out_shape: [usize; 4]) -> Option<Self> {
        let ([images, channels, height, width], window) = (shape.x, shape.window);
        let (plane, lanes) = (height * width, Arch::new().dispatch(Width));
        if window.stride != [1, 1] || out_shape != shape.x || plane > RUN * lanes {
            return None;
        }
        let [_, _, ky, kx] = shape.weight;
        let at = |axis: usize, tap: usize| (tap * window.dilation[axis]) as isize - window.padding[axis] as isize;
        let taps: Vec<_> = (0..ky * kx).map(|tap| [at(0, tap / kx), at(1, tap % kx)]).collect();
        let offset = |[y, x]: [isize; 2]| y * width as isize + x;
        let margin = taps.iter().map(|&tap| offset(tap).unsigned_abs()).max().unwrap_or(0);
        let offsets = taps.iter().map(|&tap| margin.wrapping_add_signed(offset(tap))).collect();
        let of_vector = (plane <= lanes).then(|| lanes / plane);
        let (planes, vectors) = of_vector.map_or((1, plane.div_ceil(lanes)), |of_vector| (SUMS * of_vector, SUMS));
        let inside = taps.iter().flat_map(|&tap| {
            let reads =
                |at: usize, axis: usize, length: usize| at.checked_add_signed(tap[axis]).is_some_and(|at| at < length);
            let columns: Vec<_> = (0..width).map(|x| u32::from(reads(x, 1, width))).collect();
            let mut lanes = vec![0; if of_vector.is_some() { lanes } else { vectors * lanes }];
            let rows = lanes.chunks_exact_mut(width).take(of_vector.unwrap_or(1) * height);
            rows.enumerate()
                .filter(|(y, _)| reads(y % height, 0, height))
                .for_each(|(_, row)| row.copy_from_slice(&columns));
            lanes
        });
        let inside = inside.collect();
        Some(Self {
            images,
            channels,
            size: [height, width],
            taps,
            margin,
            offsets,
            planes,
            vectors,
            of_vector,
            inside,
        })
    }

    fn plane(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// Splits the convolution into tasks of at most `images` images.
    fn blocks(&self, images: usize) -> Vec<Block> {
        let chunks = |len: usize, step: usize| (0..len).step_by(step).map(move |at| at..len.min(at + step));
        let of_images = |images: Range<usize>| {
            chunks(self.channels, CHANNELS).map(move |channels| Block { images: images.clone(), channels })
        };
        chunks(self.images, images).flat_map(of_images).collect()
    }

    /// Images of a task.
    fn images(&self) -> usize {
        self.images.div_ceil(TASKS.div_ceil(self.channels.div_ceil(CHANNELS))).max(IMAGES.min(self.images))
    }

    /// The part of `all`, an array of all planes, that each block writes.
    fn views<'a>(&self, images: usize, all: &'a mut [f32]) -> Vec<ArrayViewMut2<'a, f32>> {
        let shape = (self.images, self.channels * self.plane());
        let mut views = Vec::new();
        let mut rest = ArrayViewMut2::from_shape(shape, all).expect("all planes");
        while !rest.is_empty() {
            let first = images.min(rest.dim().0);
            let (mut some, behind) = rest.split_at(Axis(0), first);
            rest = behind;
            while !some.is_empty() {
                let first = (CHANNELS * self.plane()).min(some.dim().1);
                let (view, behind) = some.split_at(Axis(1), first);
                views.push(view);
                some = behind;
            }
        }
        views
    }

    /// out = epilogue(convolution of x with the weight + bias)
    pub fn forward(&self, [x, weight]: [&[f32]; 2], bias: Option<&[f32]>, epilogue: Epilogue, out: &mut [f32]) {
        let images = self.images();
        let mut tasks: Vec<_> = self.blocks(images).into_iter().zip(self.views(images, out)).collect();
        parallel::for_each(&mut tasks[..], 1, |_, tasks| {
            for (block, out) in tasks {
                Arch::new().dispatch(Forward { same: self, block, x, weight, bias, epilogue, out });
            }
        });
    }

    /// Computes those gradients, of x and of the weight, that the caller asks for.
    pub fn backward(
        &self,
        [grad, x, weight]: [&[f32]; 3],
        grad_x: Option<&mut [f32]>,
        grad_weight: Option<&mut [f32]>,
    ) {
        let images = self.images();
        let blocks = self.blocks(images);
        let taps = self.taps.len();
        let mut parts = vec![0.0; if grad_weight.is_some() { self.images.div_ceil(images) * weight.len() } else { 0 }];
        let mut views = grad_x.map(|grad_x| self.views(images, grad_x)).into_iter().flatten();
        let mut sums = parts.chunks_mut(weight.len()).flat_map(|part| part.chunks_mut(CHANNELS * taps));
        let mut tasks: Vec<_> = blocks.into_iter().map(|block| (block, views.next(), sums.next())).collect();
        parallel::for_each(&mut tasks[..], 1, |_, tasks| {
            for (block, grad_x, sums) in tasks {
                let (grad_x, sums) = (grad_x.as_mut(), sums.as_deref_mut());
                Arch::new().dispatch(Backward { same: self, block, grad, x, weight, grad_x, sums });
            }
        });
        for (i, into) in grad_weight.into_iter().flatten().enumerate() {
            *into = parts[i..].iter().step_by(weight.len()).sum::<f64>() as f32;
        }
    }
}

/// The number of lanes of the processor's vectors.
struct Width;

impl WithSimd for Width {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        S::F32_LANES
    }
}
