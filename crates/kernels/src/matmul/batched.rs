//! Products of the matrices of two batches, `torch.bmm`.

use super::params::PARALLEL_MIN;
use super::{Precision, product};
use crate::error::{Result, expect_shape};
use crate::parallel::{self, Rows};
use ndarray::{ArrayView2, ArrayViewMut2};

const OP: &str = "batched_matmul";

/// Which factor is stored transposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// None: a[m, k] b[k, n].
    Plain,
    /// The right one: a[m, k] b[n, k]^T.
    Right,
    /// The left one: a[k, m]^T b[k, n].
    Left,
}

/// out[i] = a[i] b[i], each of [m, k, n], for each of `batch` matrices, with the bits of one product after the other.
pub fn batched_matmul(
    precision: Precision,
    form: Form,
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
    let ((a_rows, a_columns), (b_rows, b_columns)) = match form {
        Form::Plain => ((m, k), (k, n)),
        Form::Right => ((m, k), (n, k)),
        Form::Left => ((k, m), (k, n)),
    };
    // Threads share each product if there are few large ones, else they share the batch.
    let grain = match m * k * n {
        PARALLEL_MIN.. if batch < 2 * parallel::threads() => batch,
        size => (PARALLEL_MIN / size.max(1)).max(1),
    };
    parallel::for_each(Rows(out, m * n), grain, |first, Rows(out, len)| {
        for (i, out) in out.chunks_exact_mut(len).enumerate() {
            let (a, b) = (&a[(first + i) * m * k..][..m * k], &b[(first + i) * k * n..][..k * n]);
            let view =
                |x, rows, columns| ArrayView2::from_shape((rows, columns), x).expect("as long as its shape says");
            let (a, b) = (view(a, a_rows, a_columns), view(b, b_rows, b_columns));
            let (a, b) = match form {
                Form::Plain => (a, b),
                Form::Right => (a, b.reversed_axes()),
                Form::Left => (a.reversed_axes(), b),
            };
            let out = ArrayViewMut2::from_shape((m, n), out).expect("as long as its shape says");
            product(precision, OP, a, b, out).expect("the shapes fit");
        }
    });
    Ok(())
}
