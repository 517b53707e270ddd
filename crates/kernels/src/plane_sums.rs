//! Sums over the elements of a channel, in the fixed order of their lanes. Products are summed in single precision over a
//! block, and the blocks in double precision.

use crate::vectorised::vectorised;

/// Sums that run side by side.
const LANES: usize = 16;
/// Elements of a block.
const BLOCK: usize = 16 * LANES;

/// Adds the lanes of a block to the sums.
#[inline(always)]
fn flush(lanes: &[f32; LANES], sums: &mut [f64; LANES]) {
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
    let mut sums = [0.0f64; LANES];
    for block in x.chunks(BLOCK) {
        let mut lanes = [0.0f32; LANES];
        let (whole, rest) = block.as_chunks::<LANES>();
        for x in whole {
            for j in 0..LANES {
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
/// The sum of grad[i] * (x[i] - mean), and that of grad[i].
pub(crate) fn dots<'a>(grad: &'a [f32], x: &'a [f32], mean: f32) -> [f64; 2] {
    let (mut dots, mut sums) = ([0.0f64; LANES], [0.0f64; LANES]);
    for (grad, x) in grad.chunks(BLOCK).zip(x.chunks(BLOCK)) {
        let (mut dot_lanes, mut sum_lanes) = ([0.0f32; LANES], [0.0f32; LANES]);
        let ((whole, rest), (whole_x, rest_x)) = (grad.as_chunks::<LANES>(), x.as_chunks::<LANES>());
        for (grad, x) in whole.iter().zip(whole_x) {
            for j in 0..LANES {
                dot_lanes[j] += grad[j] * (x[j] - mean);
                sum_lanes[j] += grad[j];
            }
        }
        for (j, (grad, x)) in rest.iter().zip(rest_x).enumerate() {
            dot_lanes[j] += grad * (x - mean);
            sum_lanes[j] += grad;
        }
        flush(&dot_lanes, &mut dots);
        flush(&sum_lanes, &mut sums);
    }
    [dots.iter().sum(), sums.iter().sum()]
}
}
