//! Products of the matrices of two batches, `torch.bmm`.

use super::params::PARALLEL_MIN;
use super::{Precision, product};
use crate::error::{Result, expect_shape};
use crate::parallel::{self, Rows};
use ndarray::{ArrayView2, ArrayViewMut2};

const OP: &str = "batched_matmul";

/// out[i] = a[i] b[i], each of [m, k, n], for each of `batch` matrices, with the bits of one product after the other.
/// `transposed`: whether a is stored as [k, m], and b as [n, k].
pub fn batched_matmul(
    precision: Precision,
    transposed: [bool; 2],
    batch: usize,
    [m, k, n]: [usize; 3],
    [a, b]: [&[f32]; 2],
    out: &mut [f32],
) -> Result<()> {
    expect_shape(OP, "a", &[a.len()], &[batch * m * k])?;
    expect_shape(OP, "b", &[b.len()], &[batch * k * n])?;
    expect_shape(OP, "out", &[out.len()], &[batch * m * n])?;
    if out.is_empty() {
        return Ok(());
    }
    parallel::for_each(Rows(out, m * n), batch_grain(batch, m * k * n), |first, Rows(out, len)| {
        for (i, out) in out.chunks_exact_mut(len).enumerate() {
            let (a, b) = (&a[(first + i) * m * k..][..m * k], &b[(first + i) * k * n..][..k * n]);
            let [a, b] =
                [(a, [m, k], transposed[0]), (b, [k, n], transposed[1])].map(|(x, [rows, columns], transposed)| {
                    let view = |shape| ArrayView2::from_shape(shape, x).expect("as long as its shape says");
                    if transposed { view([columns, rows]).reversed_axes() } else { view([rows, columns]) }
                });
            let out = ArrayViewMut2::from_shape((m, n), out).expect("as long as its shape says");
            product(precision, OP, a, b, out).expect("the shapes fit");
        }
    });
    Ok(())
}

/// The least products of a task, if each of a batch has so many multiply-adds: threads share each product if there are
/// few large ones, else they share the batch.
pub(crate) fn batch_grain(batch: usize, size: usize) -> usize {
    match size {
        PARALLEL_MIN.. if batch < 2 * parallel::threads() => batch,
        size => (PARALLEL_MIN / size.max(1)).max(1),
    }
}
