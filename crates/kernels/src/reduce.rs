//! Sums along an axis, running sums, and the places of the largest values.

use crate::error::{Result, contiguous, contiguous_mut, expect_non_empty, expect_shape};
use crate::parallel::{self, Rows};
use ndarray::{ArrayView3, ArrayViewMut2};

/// out[outer, inner] = scale * the sum over the middle axis of x[outer, length, inner], in order, in double precision.
pub fn sum_axis(x: ArrayView3<f32>, scale: f64, mut out: ArrayViewMut2<f32>) -> Result<()> {
    let (outer, length, inner) = x.dim();
    expect_shape("sum", "out", out.shape(), &[outer, inner])?;
    let x = contiguous("sum", "x", &x)?;
    let out = contiguous_mut("sum", "out", &mut out)?;
    parallel::for_each(out, parallel::grain(length), |first, part| {
        if inner == 1 {
            for (i, out) in (first..).zip(part) {
                let row = &x[i * length..][..length];
                *out = (row.iter().fold(0.0, |sum, x| sum + f64::from(*x)) * scale) as f32;
            }
            return;
        }
        for (i, out) in (first..).zip(part) {
            let block = &x[i / inner * length * inner..][..length * inner];
            let column = block.iter().skip(i % inner).step_by(inner);
            *out = (column.fold(0.0, |sum, x| sum + f64::from(*x)) * scale) as f32;
        }
    });
    Ok(())
}

/// Whether `x` comes before `best` as the largest (or smallest) of an axis: NaN before all, as in PyTorch.
#[inline]
fn is_ahead(x: f32, best: f32, largest: bool) -> bool {
    if best.is_nan() {
        return false;
    }
    x.is_nan() || if largest { x > best } else { x < best }
}

/// out[outer, inner] = where the largest (or smallest) value along the middle axis of x[outer, length, inner] lies: the
/// first of equals; NaN counts as largest and as smallest, as in PyTorch.
pub fn argmax(x: ArrayView3<f32>, largest: bool, out: &mut [i32]) -> Result<()> {
    let (outer, length, inner) = x.dim();
    expect_shape("argmax", "out", &[out.len()], &[outer * inner])?;
    if !out.is_empty() && length == 0 {
        expect_non_empty("argmax", "x", x.shape())?;
    }
    parallel::for_each(out, parallel::grain(length), |first, part| {
        for (i, out) in (first..).zip(part) {
            let (i, j) = (i / inner, i % inner);
            let mut best = 0;
            for k in 1..length {
                if is_ahead(x[[i, k, j]], x[[i, best, j]], largest) {
                    best = k;
                }
            }
            *out = best as i32;
        }
    });
    Ok(())
}

/// out[rows, k] = where the k largest (or smallest) values of each row of x[rows, length] lie, in their order.
pub fn topk(x: &[f32], length: usize, k: usize, largest: bool, out: &mut [i32]) -> Result<()> {
    expect_shape("topk", "k", &[k.min(length)], &[k])?;
    if k == 0 || length == 0 {
        return expect_shape("topk", "out", &[out.len()], &[0]);
    }
    expect_shape("topk", "x", &[x.len()], &[x.len() / length * length])?;
    expect_shape("topk", "out", &[out.len()], &[x.len() / length * k])?;
    parallel::for_each(Rows(out, k), parallel::grain(length), |first, part| {
        let mut order: Vec<i32> = Vec::with_capacity(length);
        for (row, out) in x[first * length..].chunks_exact(length).zip(part.0.chunks_exact_mut(k)) {
            let compare = |a: &i32, b: &i32| {
                // The smallest come in the order of the largest backwards: NaN last.
                let [x, y] = if largest { [a, b] } else { [b, a] }.map(|i| row[*i as usize]);
                is_ahead(y, x, true).cmp(&is_ahead(x, y, true)).then(a.cmp(b))
            };
            order.clear();
            order.extend(0..length as i32);
            if k < length {
                order.select_nth_unstable_by(k - 1, compare);
            }
            order[..k].sort_unstable_by(compare);
            out.copy_from_slice(&order[..k]);
        }
    });
    Ok(())
}

/// out[outer, k, inner] = the sum of x[outer, 0..=k, inner], or of x[outer, k.., inner] if `reverse`, in double
/// precision.
pub fn cumsum(x: &[f32], [outer, length, inner]: [usize; 3], reverse: bool, out: &mut [f32]) -> Result<()> {
    expect_shape("cumsum", "x", &[x.len()], &[outer * length * inner])?;
    expect_shape("cumsum", "out", &[out.len()], &[x.len()])?;
    if x.is_empty() {
        return Ok(());
    }
    let block = length * inner;
    parallel::for_each(Rows(out, block), parallel::grain(block), |first, part| {
        let mut sums = vec![0.0f64; inner];
        for (x, out) in x[first * block..].chunks_exact(block).zip(part.0.chunks_exact_mut(block)) {
            sums.fill(0.0);
            for k in 0..length {
                let at = if reverse { length - 1 - k } else { k } * inner;
                for ((sum, x), out) in sums.iter_mut().zip(&x[at..at + inner]).zip(&mut out[at..at + inner]) {
                    *sum += f64::from(*x);
                    *out = *sum as f32;
                }
            }
        }
    });
    Ok(())
}
