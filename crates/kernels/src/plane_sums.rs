//! Sums over the elements of a channel in double precision, in the fixed order of their lanes.

use crate::vectorised::vectorised;

/// Sums that run side by side.
const LANES: usize = 16;

vectorised! {
/// The sum of some elements.
pub(crate) fn sum<'a>(x: &'a [f32]) -> f64 {
    let mut sums = [0.0f64; LANES];
    let (whole, rest) = x.as_chunks::<LANES>();
    for x in whole {
        for j in 0..LANES {
            sums[j] += f64::from(x[j]);
        }
    }
    rest.iter().zip(&mut sums).for_each(|(x, sum)| *sum += f64::from(*x));
    sums.iter().sum()
}
}

vectorised! {
/// The sum of squared distances from a mean.
pub(crate) fn squares<'a>(x: &'a [f32], mean: f64) -> f64 {
    let mut sums = [0.0f64; LANES];
    let (whole, rest) = x.as_chunks::<LANES>();
    for x in whole {
        for j in 0..LANES {
            let distance = f64::from(x[j]) - mean;
            sums[j] += distance * distance;
        }
    }
    for (x, sum) in rest.iter().zip(&mut sums) {
        let distance = f64::from(*x) - mean;
        *sum += distance * distance;
    }
    sums.iter().sum()
}
}

vectorised! {
/// The sum of grad[i] * (x[i] - mean), and that of grad[i].
pub(crate) fn dots<'a>(grad: &'a [f32], x: &'a [f32], mean: f32) -> [f64; 2] {
    let (mut dots, mut sums) = ([0.0f64; LANES], [0.0f64; LANES]);
    let ((whole, rest), (whole_x, rest_x)) = (grad.as_chunks::<LANES>(), x.as_chunks::<LANES>());
    for (grad, x) in whole.iter().zip(whole_x) {
        for j in 0..LANES {
            dots[j] += f64::from(grad[j]) * f64::from(x[j] - mean);
            sums[j] += f64::from(grad[j]);
        }
    }
    for (j, (grad, x)) in rest.iter().zip(rest_x).enumerate() {
        dots[j] += f64::from(*grad) * f64::from(x - mean);
        sums[j] += f64::from(*grad);
    }
    [dots.iter().sum(), sums.iter().sum()]
}
}
