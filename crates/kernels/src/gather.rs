//! A batch from a data set: rows picked by index, bytes turned into normalised floats on the way.

use crate::error::{Result, expect_shape, expect_that};
use crate::parallel::{self, Rows};
use ndarray::{ArrayView2, ArrayViewMut2};

const OP: &str = "gather";

/// out[i] = (pixels[indices[i]] / 255 - mean) / std, as torchvision's ToTensor and Normalize.
pub fn gather_bytes(
    pixels: ArrayView2<u8>,
    indices: &[i32],
    mean: f32,
    std: f32,
    out: ArrayViewMut2<f32>,
) -> Result<()> {
    expect_that(std > 0.0, OP, "std", std.into(), "a number above 0")?;
    gather(pixels, indices, out, |byte| (f32::from(byte) / 255.0 - mean) / std)
}

/// out[i] = rows[indices[i]].
pub fn gather_rows(rows: ArrayView2<f32>, indices: &[i32], out: ArrayViewMut2<f32>) -> Result<()> {
    gather(rows, indices, out, |x| x)
}

fn gather<T: Copy + Sync>(
    from: ArrayView2<T>,
    indices: &[i32],
    mut out: ArrayViewMut2<f32>,
    f: impl Fn(T) -> f32 + Sync,
) -> Result<()> {
    let (count, width) = from.dim();
    expect_shape(OP, "out", out.shape(), &[indices.len(), width])?;
    for &index in indices {
        expect_that(index >= 0 && (index as usize) < count, OP, "index", index.into(), "an index of the data set")?;
    }
    if width == 0 {
        return Ok(());
    }
    let from = crate::error::dense(OP, "from", &from)?;
    let out = Rows(crate::error::dense_mut(OP, "out", &mut out)?, width);
    parallel::for_each(out, (1 << 15) / width + 1, |first, part| {
        for (row, &index) in part.0.chunks_exact_mut(width).zip(&indices[first..]) {
            let source = &from[index as usize * width..][..width];
            row.iter_mut().zip(source).for_each(|(out, x)| *out = f(*x));
        }
    });
    Ok(())
}

/// The index of the first value that is NaN or infinite.
pub fn first_non_finite(x: &[f32]) -> Option<usize> {
    x.iter().position(|x| !x.is_finite())
}
