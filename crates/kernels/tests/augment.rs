//! Images changed at random, against a naive loop and torchvision.

use crate::common::{fill, refuses};
use distillery_kernels::Result;
use distillery_kernels::augment::{Augmentation, augment};
use distillery_kernels::rng::{Generator, STATE_WORDS};
use ndarray::{Array4, ArrayView4};

const SHAPES: [(usize, usize, usize, usize); 4] = [(5, 1, 28, 28), (3, 3, 32, 32), (4, 2, 7, 3), (9, 1, 1, 1)];
const AUGMENTATIONS: [Augmentation; 6] = [
    Augmentation { max_shift: 0, flip: 0.0, noise: 0.0 },
    Augmentation { max_shift: 2, flip: 0.0, noise: 0.0 },
    Augmentation { max_shift: 0, flip: 0.5, noise: 0.0 },
    Augmentation { max_shift: 0, flip: 0.0, noise: 0.3 },
    Augmentation { max_shift: 4, flip: 0.5, noise: 0.1 },
    Augmentation { max_shift: 1 << 30, flip: 1.0, noise: 0.0 },
];

fn images(shape: (usize, usize, usize, usize)) -> Array4<f32> {
    Array4::from_shape_vec(shape, fill(shape.0 * shape.1 * shape.2 * shape.3, 1)).unwrap()
}

/// The images, and the first draw after them.
fn change(x: ArrayView4<f32>, fill_value: &[f32], augmentation: Augmentation, seed: u32) -> Result<(Array4<f32>, u32)> {
    let mut state = [0; STATE_WORDS];
    let mut generator = Generator::seeded(&mut state, seed)?;
    let mut out = Array4::from_elem(x.dim(), f32::NAN);
    augment(&mut generator, x, fill_value, augmentation, out.view_mut())?;
    Ok((out, generator.next_u32()))
}

/// Pixel by pixel, each from where it comes.
fn naive(x: ArrayView4<f32>, fill_value: &[f32], augmentation: Augmentation, seed: u32) -> (Array4<f32>, u32) {
    let mut state = [0; STATE_WORDS];
    let mut generator = Generator::seeded(&mut state, seed).unwrap();
    let (n, channels, height, width) = x.dim();
    let mut out = Array4::from_elem(x.dim(), f32::NAN);
    for i in 0..n {
        let mut place = [0; 2];
        if augmentation.max_shift > 0 {
            generator.fill_integers(&mut place, 0, 2 * augmentation.max_shift + 1).unwrap();
            place = place.map(|by| by - augmentation.max_shift);
        }
        let mut uniform = [0.0];
        if augmentation.flip > 0.0 {
            generator.fill_uniform(&mut uniform, 0.0, 1.0);
        }
        let mut noise = vec![0.0; channels * height * width];
        if augmentation.noise > 0.0 {
            generator.fill_normal(&mut noise, 0.0, 1.0);
        }
        for (at, (channel, y, x_out)) in ndarray::indices((channels, height, width)).into_iter().enumerate() {
            let mirrored = augmentation.flip > 0.0 && uniform[0] < augmentation.flip;
            let column = if mirrored { width - 1 - x_out } else { x_out };
            let (from_y, from_x) = (y as i64 + i64::from(place[0]), column as i64 + i64::from(place[1]));
            let inside = (0..height as i64).contains(&from_y) && (0..width as i64).contains(&from_x);
            let pixel = if inside { x[[i, channel, from_y as usize, from_x as usize]] } else { fill_value[channel] };
            out[[i, channel, y, x_out]] = pixel + augmentation.noise * noise[at];
        }
    }
    (out, generator.next_u32())
}

#[test]
fn every_pixel_comes_from_where_it_was() {
    for shape in SHAPES {
        let (x, fill_value) = (images(shape), fill(shape.1, 7));
        for augmentation in AUGMENTATIONS {
            if augmentation.max_shift == 1 << 30 {
                continue; // Twice that and one is beyond 32 bits in the naive loop.
            }
            let got = change(x.view(), &fill_value, augmentation, 3).unwrap();
            assert_eq!(got, naive(x.view(), &fill_value, augmentation, 3), "{shape:?} {augmentation:?}");
        }
    }
}

#[test]
fn nothing_asked_for_draws_nothing() {
    let x = images((3, 1, 4, 5));
    let mut state = [0; STATE_WORDS];
    let next = Generator::seeded(&mut state, 3).unwrap().next_u32();
    assert_eq!(change(x.view(), &[0.0], AUGMENTATIONS[0], 3), Ok((x, next)));
}

#[test]
fn far_away_all_is_black() {
    let x = images((20, 2, 3, 4));
    let (out, _) = change(x.view(), &[-1.5, 2.5], AUGMENTATIONS[5], 3).unwrap();
    for image in out.outer_iter() {
        for (plane, fill_value) in image.outer_iter().zip([-1.5, 2.5]) {
            assert!(plane.iter().all(|&x| x == fill_value));
        }
    }
}

/// ```python
/// torch.manual_seed(0)
/// change = T.Compose([T.RandomCrop((3, 4), padding=1, fill=-5), T.RandomHorizontalFlip(0.5)])
/// [change(torch.arange(12.0).reshape(1, 3, 4)) for _ in range(3)]
/// ```
#[test]
fn images_are_those_of_torchvision() {
    let x = Array4::from_shape_fn((3, 1, 3, 4), |(_, _, y, x)| (4 * y + x) as f32);
    let (out, _) = change(x.view(), &[-5.0], Augmentation { max_shift: 1, flip: 0.5, noise: 0.0 }, 0).unwrap();
    let want = [
        6.0, 5.0, 4.0, -5.0, 10.0, 9.0, 8.0, -5.0, -5.0, -5.0, -5.0, -5.0, -5.0, -5.0, -5.0, -5.0, 0.0, 1.0, 2.0, 3.0,
        4.0, 5.0, 6.0, 7.0, 3.0, 2.0, 1.0, 0.0, 7.0, 6.0, 5.0, 4.0, 11.0, 10.0, 9.0, 8.0,
    ];
    assert_eq!(out.as_slice().unwrap(), want);
}

#[test]
fn sizes_of_zero_give_an_answer() {
    for shape in [(0, 1, 2, 2), (2, 0, 2, 2), (2, 1, 0, 2), (2, 1, 2, 0)] {
        let x = Array4::zeros(shape);
        assert_eq!(change(x.view(), &vec![0.0; shape.1], AUGMENTATIONS[4], 1).unwrap().0.dim(), shape);
    }
}

#[test]
fn refuses_what_makes_no_sense() {
    let x = images((2, 1, 3, 4));
    let of = |max_shift, flip, noise| change(x.view(), &[0.0], Augmentation { max_shift, flip, noise }, 1);
    for (result, code, message) in [
        (of(-1, 0.0, 0.0), "BAD_ARGUMENT", "augment: max_shift: expected 0 to 2^30, got -1"),
        (of(i32::MAX, 0.0, 0.0), "BAD_ARGUMENT", "augment: max_shift: expected 0 to 2^30, got 2147483647"),
        (of(0, 1.5, 0.0), "BAD_ARGUMENT", "augment: flip: expected a probability from 0 to 1, got 1.5"),
        (of(0, f32::NAN, 0.0), "BAD_ARGUMENT", "augment: flip: expected a probability from 0 to 1, got NaN"),
        (of(0, 0.0, -1.0), "BAD_ARGUMENT", "augment: noise: expected a number of at least 0, got -1"),
        (of(0, 0.0, f32::INFINITY), "BAD_ARGUMENT", "augment: noise: expected a number of at least 0, got inf"),
        (change(x.view(), &[], AUGMENTATIONS[1], 1), "SHAPE_MISMATCH", "augment: fill: expected shape [1], got [0]"),
        (
            change(x.t(), &[0.0; 3], AUGMENTATIONS[1], 1),
            "SHAPE_MISMATCH",
            "augment: images: expected a contiguous row-major array",
        ),
    ] {
        refuses(result, code, message);
    }
}
