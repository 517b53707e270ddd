//! Resizing as Pillow does with BILINEAR, to the last bit: a triangle as wide as an output pixel, rows first, then
//! columns, weights in fixed point, rounded to bytes in between.

/// Bits of fraction of a weight.
const PRECISION: u32 = 32 - 8 - 2;

/// The input pixels that an output pixel is made of: the first, and their weights.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

/// Resizes a plane of rows of `width` bytes to `new_height` rows of `new_width` in `out`.
pub fn resize(plane: &[u8], width: usize, (new_width, new_height): (usize, usize), out: &mut [u8]) {
    let height = plane.len() / width;
    let narrowed = if new_width == width { plane.to_vec() } else { resize_rows(plane, width, new_width) };
    if new_height == height {
        return out.copy_from_slice(&narrowed);
    }
    for (row, taps) in out.chunks_exact_mut(new_width).zip(taps(height, new_height)) {
        for (column, out) in row.iter_mut().enumerate() {
            let values = narrowed[taps.first * new_width + column..].iter().step_by(new_width);
            *out = weigh(&taps.weights, values);
        }
    }
}

fn resize_rows(plane: &[u8], width: usize, new_width: usize) -> Vec<u8> {
    let taps = taps(width, new_width);
    let row = |row: &'_ [u8]| taps.iter().map(|taps| weigh(&taps.weights, &row[taps.first..])).collect::<Vec<u8>>();
    plane.chunks_exact(width).flat_map(row).collect()
}

fn weigh<'a>(weights: &[i32], values: impl IntoIterator<Item = &'a u8>) -> u8 {
    let half = 1 << (PRECISION - 1);
    let sum = weights.iter().zip(values).fold(half, |sum, (weight, &x)| sum + weight * i32::from(x));
    (sum >> PRECISION).clamp(0, 255) as u8
}

fn taps(size: usize, new_size: usize) -> Vec<Taps> {
    let scale = size as f64 / new_size as f64;
    let support = scale.max(1.0);
    let one = |i: usize| {
        let center = (i as f64 + 0.5) * scale;
        let first = (center - support + 0.5).max(0.0) as usize;
        let end = ((center + support + 0.5) as usize).min(size);
        let triangle = |x: f64| (1.0 - x.abs()).max(0.0);
        let weights: Vec<f64> = (first..end).map(|x| triangle((x as f64 - center + 0.5) * (1.0 / support))).collect();
        let sum: f64 = weights.iter().sum();
        let fixed = |weight: &f64| (0.5 + weight * (1.0 / sum) * f64::from(1 << PRECISION)) as i32;
        Taps { first, weights: weights.iter().map(fixed).collect() }
    };
    (0..new_size).map(one).collect()
}
