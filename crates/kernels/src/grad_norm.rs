//! The Euclidean norm of all gradients, and their scaling: `torch.nn.utils.clip_grad_norm_`.

use crate::parallel;
use crate::vectorised::vectorised;

/// Squares are added in blocks of this many elements, blocks in order: the same sum at any number of threads.
const BLOCK: usize = 1 << 13;
/// Sums that run side by side in a block, so that the compiler can use vectors.
const LANES: usize = 16;

/// The norm of all gradients seen as one vector.
pub fn norm(grads: &[&[f32]]) -> f64 {
    let blocks: Vec<&[f32]> = grads.iter().flat_map(|grad| grad.chunks(BLOCK)).collect();
    let mut sums = vec![0.0; blocks.len()];
    parallel::for_each(&mut sums[..], 4, |first, part| {
        for (sum, block) in part.iter_mut().zip(&blocks[first..]) {
            *sum = sum_of_squares(block);
        }
    });
    sums.iter().fold(0.0, |total, sum| total + sum).sqrt()
}

vectorised! {
fn sum_of_squares<'a>(block: &'a [f32]) -> f64 {
    let mut lanes = [0.0f64; LANES];
    let (chunks, rest) = block.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += f64::from(*x) * f64::from(*x);
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane += f64::from(*x) * f64::from(*x);
    }
    lanes.iter().sum()
}
}

/// Multiplies all gradients by a coefficient.
pub fn scale(grads: Vec<&mut [f32]>, coefficient: f32) {
    let mut blocks: Vec<&mut [f32]> = grads.into_iter().flat_map(|grad| grad.chunks_mut(BLOCK)).collect();
    parallel::for_each(&mut blocks[..], 4, |_, blocks| {
        blocks.iter_mut().for_each(|block| multiply(coefficient, block));
    });
}

vectorised! {
fn multiply<'a>(coefficient: f32, block: &'a mut [f32]) {
    block.iter_mut().for_each(|x| *x *= coefficient);
}
}
