//! What a file says of itself, before anything is decoded.

use crate::error::{ImageError, Result, guarded};
use crate::orientation::{orientation_of, swaps_sides};
use crate::whole::{JPEG_SIGNATURE, PNG_SIGNATURE, jpeg_ends, png_ends, riff_ends};
use image_webp::WebPDecoder;
use std::borrow::Cow;
use std::io::Cursor;
use zune_bmp::BmpDecoder;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

/// The most pixels of an image: 192 MiB of RGB.
const MAX_PIXELS: usize = 1 << 26;
/// DEFLATE makes at most this many bytes of one.
const MAX_DEFLATE: usize = 1032;
/// A block of 64 pixels takes a bit at least.
const MAX_JPEG: usize = 64 * 8;

/// Two bytes of a run of a bitmap, or a bit, make at most so many pixels of one byte.
const MAX_RUN: usize = 128;
/// A code of LZW has 3 bits at least and stands for at most 4096 pixels.
const MAX_LZW: usize = 4096 * 8 / 3;
/// Bytes of the headers of a bitmap, and of the masks that may follow.
const BMP_HEADER: usize = 54;
const BMP_MASKS: usize = 12;
/// How a bitmap says it.
const UNCOMPRESSED: [u8; 4] = [0; 4];
/// The bytes that a decoder may take: those of the largest image in RGBA.
const MEMORY: std::num::NonZeroU64 = std::num::NonZeroU64::new(4 * MAX_PIXELS as u64).unwrap();

/// The formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP; the first frame of an animation.
    WebP,
    /// Windows' bitmaps.
    Bmp,
    /// The first frame of a GIF.
    Gif,
}

/// An image's size, and whether it has colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// By its first bytes, not its name.
    pub format: Format,
    /// Columns, as stored.
    pub width: usize,
    /// Rows, as stored.
    pub height: usize,
    /// Whether it has more than one channel, alpha not counted.
    pub colour: bool,
    /// What makes it upright, as EXIF counts: 1 to 8.
    pub orientation: u8,
}

impl Header {
    /// The columns and rows of the image when it is upright.
    pub fn size(&self) -> (usize, usize) {
        if swaps_sides(self.orientation) { (self.height, self.width) } else { (self.width, self.height) }
    }
}

/// The header of a file that is whole and whose bytes can hold what it claims. Its orientation is looked for if it is
/// to be made `upright`.
pub fn read_header(bytes: &[u8], upright: bool) -> Result<Header> {
    let header = guarded(|| match format_of(bytes)? {
        Format::Png => png_header(bytes, upright),
        Format::Jpeg => jpeg_header(bytes, upright),
        Format::WebP => webp_header(bytes, upright),
        Format::Bmp => bmp_header(bytes),
        Format::Gif => gif_header(bytes),
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
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => {
            if riff_ends(bytes) {
                Ok(Format::WebP)
            } else {
                Err(ImageError::Truncated("the end of RIFF"))
            }
        }
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Ok(Format::Gif),
        // The reserved bytes and the header's length tell it from a text.
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Ok(Format::Bmp),
        _ => Err(ImageError::Foreign(bytes[..bytes.len().min(4)].to_vec())),
    }
}

fn png_header(bytes: &[u8], upright: bool) -> Result<Header> {
    let mut decoder = png_decoder(bytes);
    let info = decoder.read_header_info().map_err(damaged)?;
    let (width, height) = (info.width as usize, info.height as usize);
    let row = info.raw_row_length();
    let colour = !matches!(info.color_type, png::ColorType::Grayscale | png::ColorType::GrayscaleAlpha);
    let max = bytes.len().saturating_mul(MAX_DEFLATE);
    expect_backed(row.checked_mul(height).is_some_and(|claimed| claimed <= max), width, height, bytes)?;
    let mut orientation = 1;
    if upright {
        let reader = png_decoder(bytes).read_info().map_err(damaged)?;
        orientation = reader.info().exif_metadata.as_deref().map_or(1, orientation_of);
    }
    Ok(Header { format: Format::Png, width, height, colour, orientation })
}

fn jpeg_header(bytes: &[u8], upright: bool) -> Result<Header> {
    let mut decoder = JpegDecoder::new_with_options(Cursor::new(bytes), jpeg_options());
    decoder.decode_headers().map_err(damaged)?;
    let info = decoder.info().ok_or_else(|| damaged("no frame"))?;
    let (width, height) = (usize::from(info.width), usize::from(info.height));
    let max = bytes.len().saturating_mul(MAX_JPEG);
    expect_backed(width * height <= max, width, height, bytes)?;
    let orientation = decoder.exif().filter(|_| upright).map_or(1, |exif| orientation_of(exif));
    Ok(Header { format: Format::Jpeg, width, height, colour: info.components > 1, orientation })
}

fn webp_header(bytes: &[u8], upright: bool) -> Result<Header> {
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    let exif = if upright { decoder.exif_metadata().map_err(damaged)? } else { None };
    let orientation = exif.as_deref().map_or(1, orientation_of);
    Ok(Header { format: Format::WebP, width: width as usize, height: height as usize, colour: true, orientation })
}

fn bmp_header(bytes: &[u8]) -> Result<Header> {
    let padded = padded_bmp(bytes);
    let mut decoder = BmpDecoder::new_with_options(Cursor::new(&*padded), bmp_options());
    decoder.decode_headers().map_err(damaged_bitmap)?;
    let (width, height) = decoder.dimensions().ok_or_else(|| damaged("no size"))?;
    expect_backed(
        width.checked_mul(height).is_some_and(|claimed| claimed <= bytes.len().saturating_mul(MAX_RUN)),
        width,
        height,
        bytes,
    )?;
    let colour = decoder.colorspace().is_none_or(|space| space.num_components() > 2);
    Ok(Header { format: Format::Bmp, width, height, colour, orientation: 1 })
}

fn gif_header(bytes: &[u8]) -> Result<Header> {
    let decoder = gif_decoder(bytes)?;
    let (width, height) = (usize::from(decoder.width()), usize::from(decoder.height()));
    expect_backed(width * height <= bytes.len().saturating_mul(MAX_LZW), width, height, bytes)?;
    Ok(Header { format: Format::Gif, width, height, colour: true, orientation: 1 })
}

/// Colours by their indices in a palette.
pub fn gif_decoder(bytes: &[u8]) -> Result<gif::Decoder<Cursor<&[u8]>>> {
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::Indexed);
    options.set_memory_limit(gif::MemoryLimit::Bytes(MEMORY));
    options.read_info(Cursor::new(bytes)).map_err(damaged)
}

/// The decoder reads three masks behind a header even if pixels begin there, which may be fewer bytes.
pub fn padded_bmp(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !(BMP_HEADER..BMP_HEADER + BMP_MASKS).contains(&bytes.len()) || bytes[30..34] != UNCOMPRESSED {
        return bytes.into();
    }
    let mut padded = bytes.to_vec();
    padded.resize(BMP_HEADER + BMP_MASKS, 0);
    padded.into()
}

/// Nothing is filled in if data lack.
pub fn bmp_options() -> DecoderOptions {
    DecoderOptions::default().set_strict_mode(true).set_max_width(65_535).set_max_height(65_535)
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

/// Nothing is filled in if data lack.
pub fn jpeg_options() -> DecoderOptions {
    DecoderOptions::default().set_strict_mode(true).set_max_width(65_535).set_max_height(65_535)
}

/// The same of a decoder whose errors are not for display.
pub fn damaged_bitmap(problem: impl std::fmt::Debug) -> ImageError {
    damaged(format_args!("{problem:?}"))
}

/// A decoder's own words, on one line.
pub fn damaged(problem: impl std::fmt::Display) -> ImageError {
    ImageError::Damaged(problem.to_string().split_whitespace().collect::<Vec<_>>().join(" "))
}
