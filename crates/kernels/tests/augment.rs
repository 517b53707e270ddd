//! Pictures changed at random, against a naive loop and torchvision.

mod common;

use common::{fill, refuses};
use distillery_kernels::Result;
use distillery_kernels::augment::{Changes, augment};
use distillery_kernels::rng::{Generator, STATE_WORDS};
use ndarray::{Array4, ArrayView4};

const SHAPES: [(usize, usize, usize, usize); 4] = [(5, 1, 28, 28), (3, 3, 32, 32), (4, 2, 7, 3), (9, 1, 1, 1)];
const CHANGES: [Changes; 6] = [
    Changes { reach: 0, flip: 0.0, noise: 0.0 },
    Changes { reach: 2, flip: 0.0, noise: 0.0 },
    Changes { reach: 0, flip: 0.5, noise: 0.0 },
    Changes { reach: 0, flip: 0.0, noise: 0.3 },
    Changes { reach: 4, flip: 0.5, noise: 0.1 },
    Changes { reach: 1 << 30, flip: 1.0, noise: 0.0 },
];

fn pictures(shape: (usize, usize, usize, usize)) -> Array4<f32> {
    Array4::from_shape_vec(shape, fill(shape.0 * shape.1 * shape.2 * shape.3, 1)).unwrap()
}

/// The pictures, and the first draw after them.
fn change(x: ArrayView4<f32>, black: &[f32], changes: Changes, seed: u32) -> Result<(Array4<f32>, u32)> {
    let mut state = [0; STATE_WORDS];
    let mut generator = Generator::seeded(&mut state, seed)?;
    let mut out = Array4::from_elem(x.dim(), f32::NAN);
    augment(&mut generator, x, black, changes, out.view_mut())?;
    Ok((out, generator.next_u32()))
}

/// Pixel by pixel, each from where it comes.
fn naive(x: ArrayView4<f32>, black: &[f32], changes: Changes, seed: u32) -> (Array4<f32>, u32) {
    let mut state = [0; STATE_WORDS];
    let mut generator = Generator::seeded(&mut state, seed).unwrap();
    let (n, channels, height, width) = x.dim();
    let mut out = Array4::from_elem(x.dim(), f32::NAN);
    for i in 0..n {
        let mut place = [0; 2];
        if changes.reach > 0 {
            generator.integers(&mut place, 0, 2 * changes.reach + 1).unwrap();
            place = place.map(|by| by - changes.reach);
        }
        let mut chance = [0.0];
        if changes.flip > 0.0 {
            generator.uniform(&mut chance, 0.0, 1.0);
        }
        let mut noise = vec![0.0; channels * height * width];
        if changes.noise > 0.0 {
            generator.normal(&mut noise);
        }
        for (at, (channel, y, x_out)) in ndarray::indices((channels, height, width)).into_iter().enumerate() {
            let mirrored = changes.flip > 0.0 && chance[0] < changes.flip;
            let column = if mirrored { width - 1 - x_out } else { x_out };
            let (from_y, from_x) = (y as i64 + i64::from(place[0]), column as i64 + i64::from(place[1]));
            let inside = (0..height as i64).contains(&from_y) && (0..width as i64).contains(&from_x);
            let pixel = if inside { x[[i, channel, from_y as usize, from_x as usize]] } else { black[channel] };
            out[[i, channel, y, x_out]] = pixel + changes.noise * noise[at];
        }
    }
    (out, generator.next_u32())
}

#[test]
fn every_pixel_comes_from_where_it_was() {
    for shape in SHAPES {
        let (x, black) = (pictures(shape), fill(shape.1, 7));
        for changes in CHANGES {
            if changes.reach == 1 << 30 {
                continue; // Twice that and one is beyond 32 bits in the naive loop.
            }
            let got = change(x.view(), &black, changes, 3).unwrap();
            assert_eq!(got, naive(x.view(), &black, changes, 3), "{shape:?} {changes:?}");
        }
    }
}

#[test]
fn nothing_asked_for_draws_nothing() {
    let x = pictures((3, 1, 4, 5));
    let mut state = [0; STATE_WORDS];
    let next = Generator::seeded(&mut state, 3).unwrap().next_u32();
    assert_eq!(change(x.view(), &[0.0], CHANGES[0], 3), Ok((x, next)));
}

#[test]
fn far_away_all_is_black() {
    let x = pictures((20, 2, 3, 4));
    let (out, _) = change(x.view(), &[-1.5, 2.5], CHANGES[5], 3).unwrap();
    for picture in out.outer_iter() {
        for (plane, black) in picture.outer_iter().zip([-1.5, 2.5]) {
            assert!(plane.iter().all(|&x| x == black));
        }
    }
}

/// ```python
/// torch.manual_seed(0)
/// change = T.Compose([T.RandomCrop((3, 4), padding=1, fill=-5), T.RandomHorizontalFlip(0.5)])
/// [change(torch.arange(12.0).reshape(1, 3, 4)) for _ in range(3)]
/// ```
#[test]
fn pictures_are_those_of_torchvision() {
    let x = Array4::from_shape_fn((3, 1, 3, 4), |(_, _, y, x)| (4 * y + x) as f32);
    let (out, _) = change(x.view(), &[-5.0], Changes { reach: 1, flip: 0.5, noise: 0.0 }, 0).unwrap();
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
        assert_eq!(change(x.view(), &vec![0.0; shape.1], CHANGES[4], 1).unwrap().0.dim(), shape);
    }
}

#[test]
fn refuses_what_makes_no_sense() {
    let x = pictures((2, 1, 3, 4));
    let of = |reach, flip, noise| change(x.view(), &[0.0], Changes { reach, flip, noise }, 1);
    for (result, code, message) in [
        (of(-1, 0.0, 0.0), "BAD_ARGUMENT", "augment: reach: expected 0 to 2^30, got -1"),
        (of(i32::MAX, 0.0, 0.0), "BAD_ARGUMENT", "augment: reach: expected 0 to 2^30, got 2147483647"),
        (of(0, 1.5, 0.0), "BAD_ARGUMENT", "augment: flip: expected a chance from 0 to 1, got 1.5"),
        (of(0, f32::NAN, 0.0), "BAD_ARGUMENT", "augment: flip: expected a chance from 0 to 1, got NaN"),
        (of(0, 0.0, -1.0), "BAD_ARGUMENT", "augment: noise: expected a number of at least 0, got -1"),
        (of(0, 0.0, f32::INFINITY), "BAD_ARGUMENT", "augment: noise: expected a number of at least 0, got inf"),
        (change(x.view(), &[], CHANGES[1], 1), "SHAPE_MISMATCH", "augment: black: expected shape [1], got [0]"),
        (
            change(x.t(), &[0.0; 3], CHANGES[1], 1),
            "SHAPE_MISMATCH",
            "augment: pictures: expected a contiguous row-major array",
        ),
    ] {
        refuses(result, code, message);
    }
}
