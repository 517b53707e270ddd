//! A batch from a data set: rows picked by index, bytes turned into normalised floats on the way.

use crate::error::{Result, contiguous, contiguous_mut, expect_shape, expect_that};
use crate::parallel::{self, GRAIN, Rows};
use ndarray::{ArrayView2, ArrayViewMut2};

const OP: &str = "gather";

/// out[i] = (pixels[indices[i]] / 255 - mean) / std, as torchvision's ToTensor and Normalize. A row is `mean.len()`
/// channels of the same size, one after the other, each with a mean and a deviation of its own.
pub fn gather_bytes(
    pixels: ArrayView2<u8>,
    indices: &[i32],
    mean: &[f32],
    std: &[f32],
    out: ArrayViewMut2<f32>,
) -> Result<()> {
    let (rows, width) = pixels.dim();
    expect_shape(OP, "mean", &[mean.len()], &[mean.len().max(1)])?;
    expect_shape(OP, "std", &[std.len()], &[mean.len()])?;
    let plane = width / mean.len();
    expect_shape(OP, "pixels", pixels.shape(), &[rows, mean.len() * plane])?;
    for &std in std {
        expect_that(std > 0.0, OP, "std", std.into(), "a number above 0")?;
    }
    gather(pixels, indices, out, |source, row| {
        let channels = row.chunks_exact_mut(plane).zip(source.chunks_exact(plane));
        for ((row, source), (mean, std)) in channels.zip(mean.iter().zip(std)) {
            row.iter_mut().zip(source).for_each(|(out, &byte)| *out = (f32::from(byte) / 255.0 - mean) / std);
        }
    })
}

/// out[i] = rows[indices[i]].
pub fn gather_rows(rows: ArrayView2<f32>, indices: &[i32], out: ArrayViewMut2<f32>) -> Result<()> {
    gather(rows, indices, out, |source, row| row.copy_from_slice(source))
}

fn gather<T: Sync>(
    from: ArrayView2<T>,
    indices: &[i32],
    mut out: ArrayViewMut2<f32>,
    fill: impl Fn(&[T], &mut [f32]) + Sync,
) -> Result<()> {
    let (count, width) = from.dim();
    expect_shape(OP, "out", out.shape(), &[indices.len(), width])?;
    for &index in indices {
        expect_that(index >= 0 && (index as usize) < count, OP, "index", index.into(), "an index of the data set")?;
    }
    if width == 0 {
        return Ok(());
    }
    let from = contiguous(OP, "from", &from)?;
    let out = Rows(contiguous_mut(OP, "out", &mut out)?, width);
    parallel::for_each(out, 2 * GRAIN / width + 1, |first, part| {
        for (row, &index) in part.0.chunks_exact_mut(width).zip(&indices[first..]) {
            fill(&from[index as usize * width..][..width], row);
        }
    });
    Ok(())
}

/// The index of the first value that is NaN or infinite.
pub fn first_non_finite(x: &[f32]) -> Option<usize> {
    x.iter().position(|x| !x.is_finite())
}
