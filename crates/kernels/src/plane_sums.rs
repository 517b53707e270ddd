//! Sums over the elements of a channel, plane by plane, in the fixed order of their lanes. Products are summed in
//! single precision over a block, and the blocks in double precision.

use crate::normalized::{Numbers, relu_grad};
use crate::prefetch;
use crate::vectorised::vectorised;

/// How many sums run side by side in double precision.
const LANES: usize = 16;
/// How many sums run side by side in single precision: two vectors, because a single one would wait for each addition.
const LANES_F32: usize = 32;
/// Elements of a block.
const BLOCK: usize = 16 * LANES_F32;

/// The planes of one channel of an array [images, channels, length].
#[derive(Clone, Copy)]
pub(crate) struct Planes<'a> {
    x: &'a [f32],
    channel: usize,
    channels: usize,
    length: usize,
}

impl<'a> Planes<'a> {
    pub fn new(x: &'a [f32], channel: usize, channels: usize, length: usize) -> Self {
        Self { x, channel, channels, length }
    }

    /// The plane of an image.
    #[inline(always)]
    pub fn of(&self, image: usize) -> &'a [f32] {
        &self.x[(image * self.channels + self.channel) * self.length..][..self.length]
    }

    fn images(&self) -> usize {
        self.x.len().checked_div(self.channels * self.length).unwrap_or(0)
    }

    /// Prefetches the plane of an image, if there is one. The planes of a channel are far apart, so the processor does
    /// not prefetch them by itself.
    #[inline(always)]
    pub fn prefetch(&self, image: usize) {
        if image < self.images() {
            prefetch::to_read(self.of(image));
        }
    }
}

/// Adds the lanes of a block to the sums.
#[inline(always)]
fn flush(lanes: &[f32; LANES_F32], sums: &mut [f64; LANES_F32]) {
    sums.iter_mut().zip(lanes).for_each(|(sum, lane)| *sum += f64::from(*lane));
}

vectorised! {
/// The mean of a channel, and the sum of squared distances from it. They are computed for each plane, which stays in L1
/// for the second pass, and combined as by Chan, Golub and LeVeque (1979).
pub(crate) fn moments<'a>(planes: Planes<'a>) -> [f64; 2] {
    let (mut mean, mut squares, length) = (0.0, 0.0, planes.length as f64);
    for i in 0..planes.images() {
        planes.prefetch(i + 1);
        let plane = planes.of(i);
        let plane_mean = sum_of(plane) / length;
        let distance = plane_mean - mean;
        mean += distance / (i + 1) as f64;
        // The distances are from the rounded mean: this corrects for the rounding.
        let rest = plane_mean - f64::from(plane_mean as f32);
        squares += (squared_distances(plane, plane_mean as f32) - length * rest * rest).max(0.0);
        squares += distance * distance * length * (i as f64 / (i + 1) as f64);
    }
    [mean, squares]
}
}

vectorised! {
/// The sum of some elements, all of it in double precision.
pub(crate) fn sum<'a>(x: &'a [f32]) -> f64 {
    sum_of(x)
}
}

/// The sum of lanes, in halves.
#[inline(always)]
fn total<const N: usize>(mut lanes: [f64; N]) -> f64 {
    let mut half = N / 2;
    while half > 0 {
        for j in 0..half {
            lanes[j] += lanes[j + half];
        }
        half /= 2;
    }
    lanes[0]
}

#[inline(always)]
fn sum_of(x: &[f32]) -> f64 {
    let mut sums = [0.0f64; LANES];
    let (whole, rest) = x.as_chunks::<LANES>();
    for x in whole {
        sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    rest.iter().zip(&mut sums).for_each(|(x, sum)| *sum += f64::from(*x));
    total(sums)
}

/// The sum of squared distances from a mean.
#[inline(always)]
fn squared_distances(x: &[f32], mean: f32) -> f64 {
    let mut sums = [0.0f64; LANES_F32];
    for block in x.chunks(BLOCK) {
        let mut lanes = [0.0f32; LANES_F32];
        let (whole, rest) = block.as_chunks::<LANES_F32>();
        for x in whole {
            for j in 0..LANES_F32 {
                lanes[j] += (x[j] - mean) * (x[j] - mean);
            }
        }
        rest.iter().zip(&mut lanes).for_each(|(x, lane)| *lane += (x - mean) * (x - mean));
        flush(&lanes, &mut sums);
    }
    let sum = total(sums);
    // Squares of 2^128 and more overflow in single precision.
    if sum.is_finite() { sum } else { squared_distances_f64(x, mean) }
}

/// The same in double precision.
#[cold]
fn squared_distances_f64(x: &[f32], mean: f32) -> f64 {
    x.iter().map(|x| (f64::from(*x) - f64::from(mean)).powi(2)).sum()
}

vectorised! {
/// The sum of g[i] * (x[i] - mean), and the sum of g[i]. With `RELU`, g is grad where ReLU's output is not 0, else 0.
pub(crate) fn dots<'a, const RELU: bool>(grad: &'a [f32], x: &'a [f32], numbers: Numbers) -> [f64; 2] {
    let mean = numbers[0];
    let (mut dots, mut sums) = ([0.0f64; LANES_F32], [0.0f64; LANES_F32]);
    for (grad, x) in grad.chunks(BLOCK).zip(x.chunks(BLOCK)) {
        let (mut dot_lanes, mut sum_lanes) = ([0.0f32; LANES_F32], [0.0f32; LANES_F32]);
        let ((whole, rest), (whole_x, rest_x)) = (grad.as_chunks::<LANES_F32>(), x.as_chunks::<LANES_F32>());
        for (grad, x) in whole.iter().zip(whole_x) {
            for j in 0..LANES_F32 {
                let grad = relu_grad::<RELU>(grad[j], x[j], numbers);
                dot_lanes[j] += grad * (x[j] - mean);
                sum_lanes[j] += grad;
            }
        }
        for (j, (grad, x)) in rest.iter().zip(rest_x).enumerate() {
            let grad = relu_grad::<RELU>(*grad, *x, numbers);
            dot_lanes[j] += grad * (x - mean);
            sum_lanes[j] += grad;
        }
        flush(&dot_lanes, &mut dots);
        flush(&sum_lanes, &mut sums);
    }
    [total(dots), total(sums)]
}
}
