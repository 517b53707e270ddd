//! Sums over the elements of a channel, in the fixed order of their lanes. Products are summed in single precision over a
//! block, and the blocks in double precision.

use crate::parallel;
use crate::relu;
use crate::vectorised::vectorised;

/// Sums that run side by side in double precision.
const LANES: usize = 16;
/// Sums that run side by side in single precision: two vectors, for one would wait for its last addition.
const LANES_F32: usize = 32;
/// Elements of a block.
const BLOCK: usize = 16 * LANES_F32;
/// Elements of a task, at least.
const GRAIN: usize = 1 << 14;

/// The mean of each channel of x[images, channels, length], and the sum of squared distances from it.
pub(crate) fn moments(x: &[f32], channels: usize, length: usize) -> Vec<[f64; 2]> {
    let planes = x.len().checked_div(length).unwrap_or(0);
    let count = (planes.checked_div(channels).unwrap_or(0) * length).max(1) as f64;
    let mut sums = vec![[0.0]; planes];
    let mut each = |f: &(dyn Fn(usize, &[f32]) -> f64 + Sync)| -> Vec<[f64; 1]> {
        parallel::for_each(&mut sums[..], GRAIN / length.max(1) + 1, |first, sums| {
            (first..).zip(sums).for_each(|(i, to)| *to = [f(i % channels, &x[i * length..][..length])]);
        });
        by_channel(&sums, channels).collect()
    };
    let means: Vec<f64> = each(&|_, plane| sum(plane)).iter().map(|[sum]| sum / count).collect();
    let distances = each(&|c, plane| squared_distances(plane, means[c] as f32));
    let moments = means.iter().zip(distances).map(|(&mean, [squares])| {
        // The distances are from the rounded mean: what that lacks is taken off.
        let rest = mean - f64::from(mean as f32);
        let squares = squares - count * rest * rest;
        [mean, if squares < 0.0 { 0.0 } else { squares }]
    });
    moments.collect()
}

/// What the planes of each channel add up to, image by image.
pub(crate) fn by_channel<const N: usize>(
    planes: &[[f64; N]],
    channels: usize,
) -> impl Iterator<Item = [f64; N]> + use<'_, N> {
    (0..channels).map(move |c| {
        planes
            .iter()
            .skip(c)
            .step_by(channels)
            .fold([0.0; N], |sums, plane| std::array::from_fn(|i| sums[i] + plane[i]))
    })
}

/// Adds the lanes of a block to the sums.
#[inline(always)]
fn flush(lanes: &[f32; LANES_F32], sums: &mut [f64; LANES_F32]) {
    sums.iter_mut().zip(lanes).for_each(|(sum, lane)| *sum += f64::from(*lane));
}

vectorised! {
/// The sum of some elements, all of it in double precision.
pub(crate) fn sum<'a>(x: &'a [f32]) -> f64 {
    let mut sums = [0.0f64; LANES];
    let (whole, rest) = x.as_chunks::<LANES>();
    for x in whole {
        sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    rest.iter().zip(&mut sums).for_each(|(x, sum)| *sum += f64::from(*x));
    sums.iter().sum()
}
}

vectorised! {
/// The sum of squared distances from a mean.
pub(crate) fn squared_distances<'a>(x: &'a [f32], mean: f32) -> f64 {
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
    sums.iter().sum()
}
}

vectorised! {
/// The sum of g[i] * (x[i] - mean), and that of g[i]; g is grad, or what ReLU of the output y leaves of it.
pub(crate) fn dots<'a>(grad: &'a [f32], y: Option<&'a [f32]>, x: &'a [f32], mean: f32) -> [f64; 2] {
    match y {
        None => sum_dots::<false>(grad, grad, x, mean),
        Some(y) => sum_dots::<true>(grad, y, x, mean),
    }
}
}

#[inline(always)]
fn sum_dots<const RELU: bool>(grad: &[f32], y: &[f32], x: &[f32], mean: f32) -> [f64; 2] {
    let behind = |grad: f32, y: f32| if RELU { relu::backward(grad, y) } else { grad };
    let (mut dots, mut sums) = ([0.0f64; LANES_F32], [0.0f64; LANES_F32]);
    for ((grad, y), x) in grad.chunks(BLOCK).zip(y.chunks(BLOCK)).zip(x.chunks(BLOCK)) {
        let (mut dot_lanes, mut sum_lanes) = ([0.0f32; LANES_F32], [0.0f32; LANES_F32]);
        let ((whole, rest), (whole_y, rest_y), (whole_x, rest_x)) =
            (grad.as_chunks::<LANES_F32>(), y.as_chunks::<LANES_F32>(), x.as_chunks::<LANES_F32>());
        for ((grad, y), x) in whole.iter().zip(whole_y).zip(whole_x) {
            for j in 0..LANES_F32 {
                let grad = behind(grad[j], y[j]);
                dot_lanes[j] += grad * (x[j] - mean);
                sum_lanes[j] += grad;
            }
        }
        for (j, ((grad, y), x)) in rest.iter().zip(rest_y).zip(rest_x).enumerate() {
            let grad = behind(*grad, *y);
            dot_lanes[j] += grad * (x - mean);
            sum_lanes[j] += grad;
        }
        flush(&dot_lanes, &mut dots);
        flush(&sum_lanes, &mut sums);
    }
    [dots.iter().sum(), sums.iter().sum()]
}
