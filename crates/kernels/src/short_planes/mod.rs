//! BatchNorm of images whose planes are short. Going plane by plane would be slow: a plane fills few vectors, and the
//! planes of a channel are far apart in memory. So an image is treated as a row and its elements as columns: columns
//! are summed over the images, and the sums of a channel's columns are added at the end.

mod gradients;

use crate::batch_norm::normalize_row;
use crate::batch_stats::{self, COLUMN_BLOCK, column_squares, column_sums};
use crate::norm_pass::{Backward, Forward};
use crate::parallel;
use crate::prefetch;
use crate::relu;
use crate::vectorised::vectorised;
use gradients::{Dots, InputGradient};
use ndarray::{ArrayViewMut3, Axis};
use pulp::Arch;
use std::ops::Range;

/// The most elements of a short plane.
const LENGTH: usize = 64;
/// Rows whose gradients are computed together. Their sums, in single precision, and the statistics of the columns stay
/// in registers.
const ROWS: usize = 4;

/// Whether planes of `length` elements are short.
pub(crate) fn is_short(length: usize) -> bool {
    (1..=LENGTH).contains(&length)
}

/// The number of channels in a block, whose columns are summed side by side.
fn block_of(length: usize) -> usize {
    COLUMN_BLOCK / length
}

/// Repeats the number of each channel for each of its columns.
fn repeat_per_column(numbers: &[f32], length: usize) -> [f32; COLUMN_BLOCK] {
    let mut columns = [0.0; COLUMN_BLOCK];
    columns.chunks_exact_mut(length).zip(numbers).for_each(|(columns, number)| columns.fill(*number));
    columns
}

/// Writes mean and 1 / standard deviation that normalized, and the output. Without `running` it also writes
/// `moments`, the mean and the unbiased variance of the batch.
pub(crate) fn forward(
    pass: Forward,
    mean: &mut [f32],
    inv_std: &mut [f32],
    moments: &mut [[f64; 2]],
    mut out: ArrayViewMut3<f32>,
) {
    let Forward { x, affine, running, eps, addend, relu } = pass;
    let (images, channels, length) = out.dim();
    let (block, features, count) = (block_of(length), channels * length, (images * length) as f64);
    let mut parts: Vec<_> = out
        .axis_chunks_iter_mut(Axis(1), block)
        .zip(mean.chunks_mut(block).zip(inv_std.chunks_mut(block)).zip(moments.chunks_mut(block)))
        .collect();
    parallel::for_each(&mut parts[..], parallel::grain(images * COLUMN_BLOCK), |at, parts| {
        for (i, (out, ((mean, inv_std), moments))) in parts.iter_mut().enumerate() {
            let first = (at + i) * block;
            let (last, start, width) = (first + mean.len(), first * length, mean.len() * length);
            if let Some((running_mean, var)) = running {
                mean.copy_from_slice(&running_mean[first..last]);
                batch_stats::write_inv_std(&var[first..last], eps, inv_std);
            } else {
                let (mut sums, mut means, mut squares) =
                    ([0.0; COLUMN_BLOCK], [0.0; COLUMN_BLOCK], [0.0; COLUMN_BLOCK]);
                column_sums(x, features, start, &mut sums[..width]);
                for (means, sums) in means.chunks_exact_mut(length).zip(sums.chunks_exact(length)) {
                    means.fill(sums.iter().sum::<f64>() / count);
                }
                column_squares(x, features, start, &means[..width], &mut squares[..width]);
                for (c, squares) in squares[..width].chunks_exact(length).enumerate() {
                    let var = squares.iter().sum::<f64>() / count;
                    (mean[c], inv_std[c]) = (means[c * length] as f32, (1.0 / (var + f64::from(eps)).sqrt()) as f32);
                    moments[c] = [means[c * length], var * (count / (count - 1.0))];
                }
            }
            let numbers = [&**mean, &**inv_std, &affine.weight[first..last], &affine.bias[first..last]];
            let [mean, inv_std, weight, bias] = numbers.map(|numbers| repeat_per_column(numbers, length));
            let mut outs = out.outer_iter_mut().enumerate().peekable();
            while let Some((n, mut out)) = outs.next() {
                if let Some((next, row)) = outs.peek() {
                    prefetch::to_write(row.as_ptr(), width);
                    prefetch::to_read(&x[next * features + start..][..width]);
                    addend.iter().for_each(|addend| prefetch::to_read(&addend[next * features + start..][..width]));
                }
                let out = out.as_slice_mut().expect("checked before");
                let row = &x[n * features + start..][..width];
                if relu && addend.is_none() {
                    normalize_row::<true>(row, &mean, &inv_std, &weight, &bias, out);
                } else {
                    normalize_row::<false>(row, &mean, &inv_std, &weight, &bias, out);
                }
                if let Some(addend) = addend {
                    add(&addend[n * features + start..][..width], relu, out);
                }
            }
        }
    });
}

/// Which columns of the images belong to a block.
struct Columns {
    features: usize,
    start: usize,
    width: usize,
}

impl Columns {
    /// The columns in these rows. If there are fewer than `ROWS`, the others are empty.
    fn of<'a>(&self, all: &'a [f32], rows: &Range<usize>) -> [&'a [f32]; ROWS] {
        let row = |n: usize| &all[n * self.features + self.start..][..self.width];
        std::array::from_fn(|i| if i < rows.len() { row(rows.start + i) } else { &[] })
    }
}

/// Splits all rows into groups of `ROWS`.
fn groups(rows: usize) -> impl Iterator<Item = Range<usize>> {
    (0..rows).step_by(ROWS).map(move |first| first..rows.min(first + ROWS))
}

/// A block's columns of each image.
fn rows_of<'a>(block: &'a mut ArrayViewMut3<f32>) -> impl Iterator<Item = &'a mut [f32]> {
    block.outer_iter_mut().map(|row| row.into_slice().expect("checked before"))
}

/// Writes the gradients of x, addend, weight and bias.
pub(crate) fn backward(
    pass: Backward,
    mut grad_x: ArrayViewMut3<f32>,
    addend: Option<&mut [f32]>,
    grad_weight: &mut [f32],
    grad_bias: &mut [f32],
) {
    let Backward { grad, y, x, mean, inv_std, affine, scale } = pass;
    let (images, channels, length) = grad_x.dim();
    let (block, features) = (block_of(length), channels * length);
    let shape = grad_x.dim();
    let mut addend = addend.map(|addend| ArrayViewMut3::from_shape(shape, addend).expect("checked before"));
    let mut addends = addend.as_mut().map(|addend| addend.axis_chunks_iter_mut(Axis(1), block));
    let mut parts: Vec<_> = grad_x
        .axis_chunks_iter_mut(Axis(1), block)
        .zip(grad_weight.chunks_mut(block).zip(grad_bias.chunks_mut(block)))
        .map(|(x, sums)| (x, addends.as_mut().and_then(Iterator::next), sums))
        .collect();
    parallel::for_each(&mut parts[..], parallel::grain(images * COLUMN_BLOCK), |at, parts| {
        for (i, (grad_x, addend, (grad_weight, grad_bias))) in parts.iter_mut().enumerate() {
            let first = (at + i) * block;
            let (last, width) = (first + grad_bias.len(), grad_bias.len() * length);
            let columns = Columns { features, start: first * length, width };
            let numbers = [mean, inv_std, affine.weight, affine.bias]
                .map(|numbers| repeat_per_column(&numbers[first..last], length));
            let (arch, ahead) = (Arch::new(), ROWS * features);
            let (mut dots, mut sums) = ([0.0; COLUMN_BLOCK], [0.0; COLUMN_BLOCK]);
            let (dots, sums) = (&mut dots[..width], &mut sums[..width]);
            // The addend's gradient is the gradient before ReLU. It is written first, because the others are
            // computed from it.
            let mut addend: Option<Vec<_>> = addend.as_mut().map(|addend| rows_of(addend).collect());
            for rows in groups(images) {
                let ([x, grad], count) = ([x, grad].map(|all| columns.of(all, &rows)), rows.len());
                let Some(addend) = &mut addend else {
                    let (grad, x) = (&grad[..count], &x[..count]);
                    arch.dispatch(Dots { relu: y.is_some(), grad, x, numbers: &numbers, ahead, dots, sums });
                    continue;
                };
                let addend = &mut addend[rows.clone()];
                match y.map(|y| columns.of(y, &rows)) {
                    Some(y) => {
                        grad.iter().zip(y).zip(&mut *addend).for_each(|((grad, y), to)| relu::gradient(grad, y, to))
                    }
                    None => grad.iter().zip(&mut *addend).for_each(|(grad, to)| to.copy_from_slice(grad)),
                }
                let grad: [&[f32]; ROWS] = std::array::from_fn(|i| addend.get(i).map_or(&[][..], |row| &**row));
                let (grad, x) = (&grad[..count], &x[..count]);
                arch.dispatch(Dots { relu: false, grad, x, numbers: &numbers, ahead, dots, sums });
            }
            let of_channels = dots.chunks_exact(length).zip(sums.chunks_exact(length));
            for (c, (dots, sums)) in of_channels.enumerate() {
                grad_weight[c] = (dots.iter().sum::<f64>() * f64::from(inv_std[first + c])) as f32;
                grad_bias[c] = sums.iter().sum::<f64>() as f32;
            }
            let sums = [&**grad_weight, &**grad_bias].map(|sums| repeat_per_column(sums, length));
            let mut outs = rows_of(grad_x);
            for rows in groups(images) {
                let outs = std::array::from_fn(|_| outs.next().unwrap_or_default());
                let ([x, mut of_rows], count) = ([x, grad].map(|all| columns.of(all, &rows)), rows.len());
                if let Some(addend) = &addend {
                    of_rows = std::array::from_fn(|i| addend.get(rows.start + i).map_or(&[][..], |row| &**row));
                }
                let (relu, grad, x) = (y.is_some() && addend.is_none(), &of_rows[..count], &x[..count]);
                arch.dispatch(InputGradient { relu, grad, x, numbers: &numbers, sums: &sums, scale, ahead, outs });
            }
        }
    });
}

vectorised! {
/// out += addend, then ReLU if it follows.
fn add<'a>(addend: &'a [f32], relu: bool, out: &'a mut [f32]) {
    let sums = out.iter_mut().zip(addend);
    if relu {
        sums.for_each(|(out, addend)| *out = relu::forward(*out + addend));
    } else {
        sums.for_each(|(out, addend)| *out += addend);
    }
}
}
