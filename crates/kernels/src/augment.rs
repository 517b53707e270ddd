//! Random transforms of images: shift, mirror, noise.

use crate::error::{Result, contiguous, contiguous_mut, expect_shape, expect_that};
use crate::rng::Generator;
use ndarray::{ArrayView4, ArrayViewMut4};

const OP: &str = "augment";

/// The amount of each change; 0 is none.
#[derive(Debug, Clone, Copy)]
pub struct Augmentation {
    /// The most whole pixels that an image moves along each axis.
    pub max_shift: i32,
    /// The probability of a mirror image, left to right.
    pub flip: f32,
    /// The standard deviation of the noise.
    pub noise: f32,
}

/// What is drawn for one image: out(y, x) = image(y + down, x + right), then mirrored.
struct Transform {
    down: isize,
    right: isize,
    mirrored: bool,
}

/// Transforms images [n, channels, height, width], one after the other, with the draws of torchvision's RandomCrop (its
/// padding is `max_shift`, filled with `fill` by channel), RandomHorizontalFlip, and x + noise * torch.randn_like(x).
pub fn augment(
    generator: &mut Generator,
    images: ArrayView4<f32>,
    fill: &[f32],
    augmentation: Augmentation,
    mut out: ArrayViewMut4<f32>,
) -> Result<()> {
    let (_, channels, height, width) = images.dim();
    expect_shape(OP, "out", out.shape(), images.shape())?;
    expect_shape(OP, "fill", &[fill.len()], &[channels])?;
    let Augmentation { max_shift, flip, noise } = augmentation;
    expect_that((0..=1 << 30).contains(&max_shift), OP, "max_shift", max_shift.into(), "0 to 2^30")?;
    expect_that((0.0..=1.0).contains(&flip), OP, "flip", flip.into(), "a probability from 0 to 1")?;
    expect_that(noise >= 0.0 && noise.is_finite(), OP, "noise", noise.into(), "a number of at least 0")?;
    let (images, out) = (contiguous(OP, "images", &images)?, contiguous_mut(OP, "out", &mut out)?);
    if images.is_empty() {
        return Ok(());
    }
    let (plane, size) = (height * width, channels * height * width);
    let mut normals = vec![0.0; if noise > 0.0 { size } else { 0 }];
    for (image, out) in images.chunks_exact(size).zip(out.chunks_exact_mut(size)) {
        let transform = Transform::draw(generator, augmentation)?;
        for ((from, to), fill) in image.chunks_exact(plane).zip(out.chunks_exact_mut(plane)).zip(fill) {
            transform.apply(from, to, width, *fill);
        }
        generator.fill_normal(&mut normals, 0.0, 1.0);
        out.iter_mut().zip(&normals).for_each(|(x, normal)| *x += noise * normal);
    }
    Ok(())
}

impl Transform {
    /// Draws nothing for a change whose amount is 0.
    fn draw(generator: &mut Generator, Augmentation { max_shift, flip, .. }: Augmentation) -> Result<Self> {
        let (mut shift, mut uniform) = ([0; 2], [1.0]);
        if max_shift > 0 {
            generator.fill_integers(&mut shift, -max_shift, max_shift + 1)?;
        }
        if flip > 0.0 {
            generator.fill_uniform(&mut uniform, 0.0, 1.0);
        }
        let [down, right] = shift.map(|by| by as isize);
        Ok(Self { down, right, mirrored: uniform[0] < flip })
    }

    fn apply(&self, plane: &[f32], out: &mut [f32], width: usize, fill: f32) {
        for (y, row) in out.chunks_exact_mut(width).enumerate() {
            let source = (y as isize).checked_add(self.down).and_then(|y| plane.chunks_exact(width).nth(y as usize));
            match source {
                Some(source) => shift_row(source, row, self.right, fill),
                None => row.fill(fill),
            }
            if self.mirrored {
                row.reverse();
            }
        }
    }
}

/// out(x) = row(x + right), `fill` beyond its ends.
fn shift_row(row: &[f32], out: &mut [f32], right: isize, fill: f32) {
    let width = row.len();
    let gone = right.unsigned_abs().min(width);
    if right >= 0 {
        out[..width - gone].copy_from_slice(&row[gone..]);
        out[width - gone..].fill(fill);
    } else {
        out[gone..].copy_from_slice(&row[..width - gone]);
        out[..gone].fill(fill);
    }
}
