//! What a file says of itself, before anything is decoded.

use crate::error::{ImageError, Result, guarded};
use crate::whole::{JPEG_SIGNATURE, PNG_SIGNATURE, jpeg_ends, png_ends};
use std::io::Cursor;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

/// The most pixels of an image: 192 MiB of RGB.
const MAX_PIXELS: usize = 1 << 26;
/// DEFLATE makes at most this many bytes of one.
const MAX_DEFLATE: usize = 1032;
/// A block of 64 pixels takes a bit at least.
const MAX_JPEG: usize = 64 * 8;

/// The formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
}

/// An image's size, and whether it has colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// By its first bytes, not its name.
    pub format: Format,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Whether it has more than one channel, alpha not counted.
    pub colour: bool,
}

/// The header of a file that is whole and whose bytes can hold what it claims.
pub fn read_header(bytes: &[u8]) -> Result<Header> {
    let header = guarded(|| match format_of(bytes)? {
        Format::Png => png_header(bytes),
        Format::Jpeg => jpeg_header(bytes),
    })?;
    let Header { width, height, .. } = header;
    match width.checked_mul(height) {
        Some(0) => Err(damaged("it has no pixels")),
        Some(pixels) if pixels <= MAX_PIXELS => Ok(header),
        _ => Err(ImageError::TooLarge { width, height, max: MAX_PIXELS }),
    }
}

fn format_of(bytes: &[u8]) -> Result<Format> {
    let begins = |signature: &[u8]| bytes.starts_with(&signature[..signature.len().min(bytes.len())]);
    match bytes {
        [] => Err(ImageError::Foreign(Vec::new())),
        _ if begins(PNG_SIGNATURE) => {
            if png_ends(bytes) {
                Ok(Format::Png)
            } else {
                Err(ImageError::Truncated("IEND"))
            }
        }
        _ if begins(JPEG_SIGNATURE) => {
            if jpeg_ends(bytes) {
                Ok(Format::Jpeg)
            } else {
                Err(ImageError::Truncated("EOI"))
            }
        }
        _ => Err(ImageError::Foreign(bytes[..bytes.len().min(4)].to_vec())),
    }
}

fn png_header(bytes: &[u8]) -> Result<Header> {
    let mut decoder = png_decoder(bytes);
    let info = decoder.read_header_info().map_err(damaged)?;
    let (width, height) = (info.width as usize, info.height as usize);
    let row = info.raw_row_length();
    let colour = !matches!(info.color_type, png::ColorType::Grayscale | png::ColorType::GrayscaleAlpha);
    let max = bytes.len().saturating_mul(MAX_DEFLATE);
    expect_backed(row.checked_mul(height).is_some_and(|claimed| claimed <= max), width, height, bytes)?;
    Ok(Header { format: Format::Png, width, height, colour })
}

fn jpeg_header(bytes: &[u8]) -> Result<Header> {
    let mut decoder = JpegDecoder::new_with_options(Cursor::new(bytes), jpeg_options());
    decoder.decode_headers().map_err(damaged)?;
    let info = decoder.info().ok_or_else(|| damaged("no frame"))?;
    let (width, height) = (usize::from(info.width), usize::from(info.height));
    let max = bytes.len().saturating_mul(MAX_JPEG);
    expect_backed(width * height <= max, width, height, bytes)?;
    Ok(Header { format: Format::Jpeg, width, height, colour: info.components > 1 })
}

fn expect_backed(backed: bool, width: usize, height: usize, bytes: &[u8]) -> Result<()> {
    if backed { Ok(()) } else { Err(ImageError::Unbacked { width, height, bytes: bytes.len() }) }
}

/// Eight bits a channel, palettes looked up, texts and colour profiles not read.
pub fn png_decoder(bytes: &[u8]) -> png::Decoder<Cursor<&[u8]>> {
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.ignore_checksums(false);
    decoder
}

/// Nothing is filled in where data lack.
pub fn jpeg_options() -> DecoderOptions {
    DecoderOptions::default().set_strict_mode(true).set_max_width(65_535).set_max_height(65_535)
}

/// A decoder's own words.
pub fn damaged(problem: impl std::fmt::Display) -> ImageError {
    ImageError::Damaged(problem.to_string())
}
