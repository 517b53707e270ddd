//! Against what Pillow makes of the same files.

use crate::common::{expected, file, planes, rows_of};
use distillery_images::{Changes, Shape, decode, read_header};

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
fn other_lossless_formats_are_pillows_to_the_last_bit() {
    for name in ["lossless.webp", "clear.webp", "bitmap.bmp", "dots.bmp", "sixteen.bmp", "still.gif", "frames.gif"] {
        assert_eq!(distances(name), (0, 0), "{name}");
    }
}

#[test]
fn bitmaps_whose_rows_are_filled_up_are_pillows_to_the_last_bit() {
    for name in ["bits_1.bmp", "bits_4.bmp", "top_down.bmp", "bits_555.bmp", "bits_565.bmp", "black_white.bmp"] {
        assert_eq!(distances(name), (0, 0), "{name}");
    }
}

/// As Pillow writes them: shorter than the longest header.
#[test]
fn bitmaps_of_one_and_two_pixels_are_read() {
    for ([width, height], rows, rgb) in [
        ([1, 1], &[30, 20, 10, 0][..], &[10, 20, 30][..]),
        ([2, 1], &[30, 20, 10, 60, 50, 40, 0, 0], &[10, 20, 30, 40, 50, 60]),
        ([1, 2], &[60, 50, 40, 0, 30, 20, 10, 0], &[10, 20, 30, 40, 50, 60]),
    ] {
        let numbers =
            [54 + rows.len() as u32, 0, 54, 40, width, height, 24 << 16 | 1, 0, rows.len() as u32, 3780, 3780, 0, 0];
        let bytes = [b"BM", numbers.map(u32::to_le_bytes).as_flattened(), rows].concat();
        let shape = Shape { channels: 3, height: height as usize, width: width as usize };
        assert_eq!(planes(&bytes, shape, false).unwrap(), rows_of(rgb, 3), "{width} x {height}");
        let cut = planes(&bytes[..bytes.len() - 4], shape, false).unwrap_err().to_string();
        assert_eq!(cut, "damaged: it ends before its last pixel");
    }
    let cut = planes(&file("bitmap.bmp")[..40], Shape { channels: 3, height: 9, width: 13 }, false).unwrap_err();
    assert_eq!(cut.to_string(), "damaged: Not enough bytes, expected 4 but found 2");
}

#[test]
fn webp_is_near_libwebps() {
    let (rgb, grey) = distances("lossy.webp");
    assert!(rgb <= 3 && grey <= 3, "{rgb}, {grey}");
}

#[test]
fn an_image_is_turned_as_its_orientation_says_if_asked() {
    let stored = planes(&file("turned_1.png"), Shape { channels: 3, height: 9, width: 13 }, false).unwrap();
    let turned = |name: &str| {
        let bytes = file(name);
        let (width, height) = read_header(&bytes, true).unwrap().size();
        let shape = Shape { channels: 3, height, width };
        let mut out = vec![0; shape.len()];
        decode(&bytes, shape, Changes { upright: true, ..Changes::default() }, &mut out).unwrap();
        ((width, height), out)
    };
    for orientation in 1..=8 {
        let name = format!("turned_{orientation}.png");
        let (size, pixels) = turned(&name);
        assert_eq!(size, if orientation > 4 { (9, 13) } else { (13, 9) }, "{name}");
        assert!(pixels == rows_of(&expected(&format!("turned_{orientation}.rgb")), 3), "{name}");
        let plain = planes(&file(&name), Shape { channels: 3, height: 9, width: 13 }, false).unwrap();
        assert!(plain == stored, "{name}");
    }
    assert!(turned("turned_6.webp").1 == rows_of(&expected("turned_6.rgb"), 3));
    let (size, pixels) = turned("turned_soft.jpg");
    assert_eq!(size, (9, 13));
    let want = rows_of(&expected("turned_soft.rgb"), 3);
    assert!(pixels.iter().zip(&want).all(|(a, b)| a.abs_diff(*b) <= 1));
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
    for (width, height) in [(8, 8), (61, 20), (30, 47), (90, 70), (1, 1), (50, 20), (47, 19), (80, 33)] {
        let got = planes(&bytes, Shape { channels: 3, height, width }, true).unwrap();
        let want = rows_of(&expected(&format!("resized_{width}x{height}.rgb")), 3);
        assert!(got == want, "{width} x {height}");
    }
}

#[test]
fn nothing_outside_of_the_image_is_written() {
    let (width, height) = SIZE;
    let mut out = vec![7; 3 * width * height];
    decode(&file("colour.png"), Shape { channels: 3, height, width }, Changes::default(), &mut out).unwrap();
    assert_eq!(out, rows_of(&expected("colour.rgb"), 3));
}
