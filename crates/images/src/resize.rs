//! Resizing as Pillow 13 does with BILINEAR, to the last bit: a triangle as wide as an output pixel, weights in fixed
//! point, rounded to bytes between rows and columns.

/// Bits of fraction of a weight.
const PRECISION: u32 = 32 - 8 - 2;

/// The input pixels that an output pixel is made of: the first, and their weights.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

impl Taps {
    /// The output pixel of this row or column.
    fn of(&self, pixels: &[u8]) -> u8 {
        let products = self.weights.iter().zip(&pixels[self.first..]).map(|(weight, &x)| weight * i32::from(x));
        rounded(HALF + products.sum::<i32>())
    }
}

/// Half of the last bit that a byte keeps.
const HALF: i32 = 1 << (PRECISION - 1);

/// Resizes a plane of rows of `width` bytes to `new_height` rows of `new_width` in `out`.
pub fn resize(plane: &[u8], width: usize, (new_width, new_height): (usize, usize), out: &mut [u8]) {
    let height = plane.len() / width;
    let (columns, rows) = (taps(width, new_width), taps(height, new_height));
    // Pillow's choice, which shows where a byte is rounded.
    if new_height < height && height + 2 * new_width > new_height + 2 * width {
        lower(plane, width, &rows, &columns, out);
    } else {
        narrow(plane, width, &rows, &columns, out);
    }
}

/// Columns first: each output row is added up, then narrowed.
fn lower(plane: &[u8], width: usize, rows: &[Taps], columns: &[Taps], out: &mut [u8]) {
    let mut sums = vec![HALF; width];
    let mut lowered = vec![0; width];
    for (taps, out) in rows.iter().zip(out.chunks_exact_mut(columns.len())) {
        sums.fill(HALF);
        for (weight, row) in taps.weights.iter().zip(plane.chunks_exact(width).skip(taps.first)) {
            sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += weight * i32::from(x));
        }
        lowered.iter_mut().zip(&sums).for_each(|(out, &sum)| *out = rounded(sum));
        out.iter_mut().zip(columns).for_each(|(out, taps)| *out = taps.of(&lowered));
    }
}

/// Rows first.
fn narrow(plane: &[u8], width: usize, rows: &[Taps], columns: &[Taps], out: &mut [u8]) {
    let new_width = columns.len();
    // Each row is narrowed and added where it belongs: all of them, narrowed, may need far more memory than `plane` and
    // `out`.
    let (mut narrowed, mut sums, mut first) = (vec![0; new_width], vec![HALF; out.len()], 0);
    for (y, row) in plane.chunks_exact(width).enumerate() {
        narrowed.iter_mut().zip(columns).for_each(|(out, taps)| *out = i32::from(taps.of(row)));
        first += rows[first..].iter().take_while(|taps| taps.first + taps.weights.len() <= y).count();
        let reached = rows[first..].iter().take_while(|taps| taps.first <= y);
        for (taps, sums) in reached.zip(sums[first * new_width..].chunks_exact_mut(new_width)) {
            let weight = taps.weights[y - taps.first];
            sums.iter_mut().zip(&narrowed).for_each(|(sum, x)| *sum += weight * x);
        }
    }
    out.iter_mut().zip(sums).for_each(|(out, sum)| *out = rounded(sum));
}

fn rounded(sum: i32) -> u8 {
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
