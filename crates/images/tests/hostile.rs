//! Files that are no image, are cut, or claim what they can't hold.

use crate::common::{chunk, file, planes, png_chunk};
use distillery_images::{Changes, Failure, ImageError, Shape, decode, decode_all, read_header, resize};

const SHAPE: Shape = Shape { channels: 3, height: 9, width: 13 };
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

fn refusal(bytes: &[u8]) -> String {
    planes(bytes, SHAPE, false).unwrap_err().to_string()
}

/// A PNG file with a header of its own and one stored pixel.
fn claiming(width: u32, height: u32) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    let data = [0x78, 1, 1, 1, 0, 0xfe, 0xff, 0, 0, 1, 0, 1];
    [PNG, &png_chunk(b"IHDR", &header), &png_chunk(b"IDAT", &data), &png_chunk(b"IEND", &[])].concat()
}

#[test]
fn what_is_no_image_is_refused() {
    for (bytes, text) in [
        (&b""[..], "no PNG, JPEG, WebP, BMP or GIF image: it begins with []"),
        (b"II*\0", "no PNG, JPEG, WebP, BMP or GIF image: it begins with [49, 49, 2a, 00]"),
        (b"\x89PNX", "no PNG, JPEG, WebP, BMP or GIF image: it begins with [89, 50, 4e, 58]"),
        (b"<", "no PNG, JPEG, WebP, BMP or GIF image: it begins with [3c]"),
    ] {
        assert_eq!(refusal(bytes), text);
    }
}

#[test]
fn every_cut_is_refused() {
    for name in
        ["colour.png", "palette.png", "full.jpg", "halved.jpg", "progressive.jpg", "shades.jpg", "four_inks.jpg"]
    {
        let bytes = file(name);
        let last = if name.ends_with("png") { "IEND" } else { "EOI" };
        for end in 1..bytes.len() {
            let text = refusal(&bytes[..end]);
            assert_eq!(text, format!("truncated: it ends before its last marker, {last}"), "{name} {end}");
        }
    }
}

#[test]
fn every_cut_of_the_other_formats_is_refused_or_has_all_pixels() {
    // Behind the pixels are a GIF's end code and trailer, and the padding of a bitmap's last row.
    for (name, rest) in [("lossless.webp", 0), ("lossy.webp", 0), ("bitmap.bmp", 1), ("dots.bmp", 3), ("still.gif", 4)]
    {
        let bytes = file(name);
        let whole = planes(&bytes, SHAPE, false).unwrap();
        for end in 1..bytes.len() {
            match planes(&bytes[..end], SHAPE, false) {
                Ok(read) => {
                    assert!(end >= bytes.len() - rest, "{name}: {end} of {}", bytes.len());
                    assert_eq!(read, whole, "{name}: {end} of {}", bytes.len());
                }
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
    }
}

#[test]
fn every_flipped_byte_is_refused_or_read_without_harm() {
    for name in [
        "colour.png",
        "palette.png",
        "one_bit.png",
        "full.jpg",
        "halved.jpg",
        "progressive.jpg",
        "lossless.webp",
        "lossy.webp",
        "bitmap.bmp",
        "dots.bmp",
        "frames.gif",
    ] {
        let bytes = file(name);
        for at in 0..bytes.len() {
            for bit in [1, 0x10, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= bit;
                let read = planes(&damaged, SHAPE, true);
                // The pixels are under a checksum; the signature, lengths and names are not.
                let idat = if name.ends_with("png") { chunk(&bytes, b"IDAT") + 8..bytes.len() - 12 } else { 0..0 };
                assert!(!idat.contains(&at) || read.is_err(), "{name} {at}");
            }
        }
    }
}

#[test]
fn a_wrong_checksum_is_named() {
    let mut bytes = file("colour.png");
    let at = bytes.len() - 13;
    bytes[at] ^= 1;
    let text = refusal(&bytes);
    assert!(text.starts_with("damaged: ") && text.contains("CRC"), "{text}");
}

#[test]
fn claims_that_the_bytes_do_not_back_are_refused_before_anything_is_decoded() {
    let bytes = claiming(60_000, 60_000);
    assert_eq!(refusal(&bytes), format!("claims 60000 x 60000 pixels, more than its {} bytes can hold", bytes.len()));
    let most = claiming(u32::MAX, u32::MAX);
    let text = format!("claims {0} x {0} pixels, more than its {1} bytes can hold", u32::MAX, most.len());
    assert_eq!(refusal(&most), text);
    assert_eq!(refusal(&claiming(0, 5)).split(':').next(), Some("damaged"));
    let mut jpeg = file("full.jpg");
    let frame = jpeg.windows(2).position(|window| window == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xdc, 0xff, 0xdc]);
    assert_eq!(refusal(&jpeg), format!("claims 65500 x 65500 pixels, more than its {} bytes can hold", jpeg.len()));
}

#[test]
fn more_pixels_than_are_read_are_refused() {
    let mut bytes = claiming(8192, 8193);
    bytes.splice(bytes.len() - 12..bytes.len() - 12, png_chunk(b"teXt", &vec![0; 200_000]));
    assert_eq!(refusal(&bytes), "8192 x 8193 pixels; at most 67108864 are read");
}

#[test]
fn a_narrow_image_is_resized_in_little_memory() {
    // The most that this process ever had, in kB; 0 if the system does not tell.
    let peak = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap()
    };
    let (plane, mut out) = (vec![9; 1 << 18], vec![0; 1 << 10]);
    let before = peak();
    resize(&plane, 1, (out.len(), 1), &mut out);
    assert!(out.iter().all(|x| *x == 9));
    // All rows as wide as `out` would be 262,144 kB.
    assert!(peak() - before < 100_000, "{} kB", peak() - before);
}

#[test]
fn other_sizes_and_colours_among_grey_are_refused() {
    let grey = Shape { channels: 1, ..SHAPE };
    let mut out = vec![0; grey.len()];
    let call = |name: &str, shape, out: &mut [u8]| decode(&file(name), shape, Changes::default(), out);
    assert_eq!(call("colour.png", grey, &mut out), Err(ImageError::Colour));
    assert_eq!(call("grey_alpha.png", grey, &mut out), Ok(()));
    let other = Shape { channels: 1, height: 13, width: 9 };
    let text = call("grey.png", other, &mut out).unwrap_err().to_string();
    assert_eq!(text, "expected 9 x 13 pixels, got 13 x 9");
}

#[test]
fn the_first_file_that_is_refused_is_named() {
    let good = file("colour.png");
    let files = [&good[..], b"x", &good, &good[..50], &good];
    let mut out = vec![0; files.len() * SHAPE.len()];
    let failure = decode_all(&files, SHAPE, Changes::default(), &mut out).unwrap_err();
    assert_eq!(failure, Failure { index: 1, error: ImageError::Foreign(b"x".to_vec()) });
    let same = [&good[..]; 5];
    decode_all(&same, SHAPE, Changes::default(), &mut out).unwrap();
    let one = planes(&good, SHAPE, false).unwrap();
    assert!(out.chunks_exact(SHAPE.len()).all(|image| image == one));
}

#[test]
fn headers() {
    for (name, colour) in [
        ("colour.png", true),
        ("palette.png", true),
        ("grey_alpha.png", false),
        ("shades.jpg", false),
        ("lossy.webp", true),
    ] {
        let header = read_header(&file(name), false).unwrap();
        assert_eq!((header.width, header.height, header.colour), (13, 9, colour), "{name}");
    }
}
