//! Pictures changed at random: moved, mirrored, with noise.

use crate::error::{Result, dense, dense_mut, expect_shape, expect_that};
use crate::rng::Generator;
use ndarray::{ArrayView4, ArrayViewMut4};

const OP: &str = "augment";

/// How much of each change; 0 is none.
#[derive(Debug, Clone, Copy)]
pub struct Changes {
    /// Whole pixels that a picture moves at most, along both axes.
    pub reach: i32,
    /// The chance of being mirrored left to right.
    pub flip: f32,
    /// The standard deviation of the noise.
    pub noise: f32,
}

/// What is drawn for one picture: out(y, x) = picture(y + down, x + right), then mirrored.
struct Place {
    down: isize,
    right: isize,
    mirrored: bool,
}

/// Changes pictures [n, channels, height, width], one after the other, drawn as by torchvision's RandomCrop (its padding
/// is the reach, filled with `black` by channel), RandomHorizontalFlip, and x + noise * torch.randn_like(x).
pub fn augment(
    generator: &mut Generator,
    pictures: ArrayView4<f32>,
    black: &[f32],
    changes: Changes,
    mut out: ArrayViewMut4<f32>,
) -> Result<()> {
    let (_, channels, height, width) = pictures.dim();
    expect_shape(OP, "out", out.shape(), pictures.shape())?;
    expect_shape(OP, "black", &[black.len()], &[channels])?;
    let Changes { reach, flip, noise } = changes;
    expect_that((0..=1 << 30).contains(&reach), OP, "reach", reach.into(), "0 to 2^30")?;
    expect_that((0.0..=1.0).contains(&flip), OP, "flip", flip.into(), "a chance from 0 to 1")?;
    expect_that(noise >= 0.0 && noise.is_finite(), OP, "noise", noise.into(), "a number of at least 0")?;
    let (pictures, out) = (dense(OP, "pictures", &pictures)?, dense_mut(OP, "out", &mut out)?);
    if pictures.is_empty() {
        return Ok(());
    }
    let (plane, size) = (height * width, channels * height * width);
    let mut normals = vec![0.0; if noise > 0.0 { size } else { 0 }];
    for (picture, out) in pictures.chunks_exact(size).zip(out.chunks_exact_mut(size)) {
        let place = Place::draw(generator, changes)?;
        for ((from, to), black) in picture.chunks_exact(plane).zip(out.chunks_exact_mut(plane)).zip(black) {
            place.apply(from, to, width, *black);
        }
        generator.normal(&mut normals);
        out.iter_mut().zip(&normals).for_each(|(x, normal)| *x += noise * normal);
    }
    Ok(())
}

impl Place {
    /// Draws nothing for what is left out, nor for an empty slice of normals.
    fn draw(generator: &mut Generator, Changes { reach, flip, .. }: Changes) -> Result<Self> {
        let (mut moves, mut chance) = ([0; 2], [1.0]);
        if reach > 0 {
            generator.integers(&mut moves, -reach, reach + 1)?;
        }
        if flip > 0.0 {
            generator.uniform(&mut chance, 0.0, 1.0);
        }
        let [down, right] = moves.map(|by| by as isize);
        Ok(Self { down, right, mirrored: chance[0] < flip })
    }

    fn apply(&self, plane: &[f32], out: &mut [f32], width: usize, black: f32) {
        for (y, row) in out.chunks_exact_mut(width).enumerate() {
            let source = (y as isize).checked_add(self.down).and_then(|y| plane.chunks_exact(width).nth(y as usize));
            match source {
                Some(source) => slide(source, row, self.right, black),
                None => row.fill(black),
            }
            if self.mirrored {
                row.reverse();
            }
        }
    }
}

/// out(x) = row(x + right), black beyond its ends.
fn slide(row: &[f32], out: &mut [f32], right: isize, black: f32) {
    let width = row.len();
    let gone = right.unsigned_abs().min(width);
    if right >= 0 {
        out[..width - gone].copy_from_slice(&row[gone..]);
        out[width - gone..].fill(black);
    } else {
        out[gone..].copy_from_slice(&row[..width - gone]);
        out[..gone].fill(black);
    }
}
