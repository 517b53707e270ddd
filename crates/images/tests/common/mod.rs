//! What the tests of images share.

use distillery_images::{Changes, Result, Shape, decode};

/// A file of `fixtures/`.
pub fn file(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|reason| panic!("{path}: {reason}"))
}

/// Pillow's pixels.
pub fn expected(name: &str) -> Vec<u8> {
    file(name)
}

/// Pixels as Pillow stores them, pixel after pixel, made into planes.
pub fn rows_of(pixels: &[u8], channels: usize) -> Vec<u8> {
    (0..channels).flat_map(|c| pixels.iter().skip(c).step_by(channels).copied()).collect()
}

/// A file decoded into planes; colours may become grey.
pub fn planes(bytes: &[u8], shape: Shape, may_resize: bool) -> Result<Vec<u8>> {
    let mut out = vec![0; shape.len()];
    decode(bytes, shape, Changes { resize: may_resize, grey: true, upright: false }, &mut out).map(|()| out)
}

/// The first eight bytes of a chunk of a PNG file, and its place.
pub fn chunk(bytes: &[u8], name: &[u8; 4]) -> usize {
    bytes.windows(4).position(|window| window == name).unwrap() - 4
}

/// A PNG chunk with its checksum.
pub fn png_chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [name.as_slice(), data].concat();
    [&(data.len() as u32).to_be_bytes(), body.as_slice(), &crc32(&body).to_be_bytes()].concat()
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 })
    })
}
