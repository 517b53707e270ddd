//! Against what Pillow makes of the same files.

use crate::common::{expected, file, planes, rows_of};
use distillery_images::{Shape, decode};

const SIZE: (usize, usize) = (13, 9);

/// The largest difference from Pillow's pixels, in RGB and in grey.
fn distances(name: &str) -> (u8, u8) {
    let (stem, _) = name.split_once('.').unwrap();
    let distance = |channels: usize, suffix: &str| {
        let (width, height) = SIZE;
        let got = planes(&file(name), Shape { channels, height, width }, false).unwrap();
        let want = rows_of(&expected(&format!("{stem}.{suffix}")), channels);
        assert_eq!(got.len(), want.len(), "{name}");
        got.iter().zip(&want).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
    };
    (distance(3, "rgb"), distance(1, "grey"))
}

#[test]
fn png_is_pillows_to_the_last_bit() {
    for name in
        ["colour.png", "grey.png", "alpha.png", "grey_alpha.png", "palette.png", "one_bit.png", "sixteen_bits.png"]
    {
        assert_eq!(distances(name), (0, 0), "{name}");
    }
}

#[test]
fn jpeg_is_near_libjpegs() {
    // The formats leave rounding and the upsampling of colours to the decoder.
    for (name, most) in
        [("full.jpg", 1), ("progressive.jpg", 2), ("shades.jpg", 1), ("halved.jpg", 2), ("four_inks.jpg", 1)]
    {
        let (rgb, grey) = distances(name);
        assert!(rgb <= most && grey <= most, "{name}: {rgb}, {grey}");
    }
}

#[test]
fn resizing_is_pillows_bilinear_to_the_last_bit() {
    let bytes = file("large.png");
    for (width, height) in [(8, 8), (61, 20), (30, 47), (90, 70), (1, 1)] {
        let got = planes(&bytes, Shape { channels: 3, height, width }, true).unwrap();
        let want = rows_of(&expected(&format!("resized_{width}x{height}.rgb")), 3);
        assert!(got == want, "{width} x {height}");
    }
}

#[test]
fn nothing_outside_of_the_image_is_written() {
    let (width, height) = SIZE;
    let mut out = vec![7; 3 * width * height];
    decode(&file("colour.png"), Shape { channels: 3, height, width }, false, false, &mut out).unwrap();
    assert_eq!(out, rows_of(&expected("colour.rgb"), 3));
}
