//! What the benchmarks share.

use ndarray::Array2;

/// Numbers between -1 and 1, the same at every call.
pub fn numbers(rows: usize, columns: usize) -> Array2<f32> {
    Array2::from_shape_fn((rows, columns), |(i, j)| ((i * 7 + j * 13) % 17) as f32 / 8.0 - 1.0)
}
