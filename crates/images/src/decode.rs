//! A file into planes of bytes.

use crate::convert::to_planes;
use crate::error::{ImageError, Result, guarded};
use crate::header::{
    Format, Header, bmp_options, damaged, damaged_bitmap, gif_decoder, jpeg_options, padded_bmp, png_decoder,
    read_header,
};
use crate::orientation::upright;
use crate::resize::resize;
use image_webp::WebPDecoder;
use std::io::Cursor;
use zune_bmp::BmpDecoder;
use zune_core::colorspace::ColorSpace;
use zune_jpeg::JpegDecoder;

/// What a network takes: the channels (1 grey, 3 RGB), rows and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// 1 or 3.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Shape {
    /// The number of bytes.
    pub fn len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What may become of an image so that it fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changes {
    /// Another size is resized; otherwise refused.
    pub resize: bool,
    /// Colours become grey; otherwise refused.
    pub grey: bool,
    /// It is turned as its EXIF orientation says.
    pub upright: bool,
}

/// Decodes an image into `out`, channel after channel, each row by row.
pub fn decode(bytes: &[u8], shape: Shape, changes: Changes, out: &mut [u8]) -> Result<()> {
    let header = read_header(bytes, changes.upright)?;
    let Header { colour, orientation, .. } = header;
    let (width, height) = header.size();
    let fits = (width, height) == (shape.width, shape.height);
    if !fits && !changes.resize {
        let (expected_width, expected_height) = (shape.width, shape.height);
        return Err(ImageError::Size { width, height, expected_width, expected_height });
    }
    if colour && shape.channels == 1 && !changes.grey {
        return Err(ImageError::Colour);
    }
    let pixels = guarded(|| match header.format {
        Format::Png => decode_png(bytes),
        Format::Jpeg => decode_jpeg(bytes, colour),
        Format::WebP => decode_webp(bytes),
        Format::Bmp => decode_bmp(bytes, header),
        Format::Gif => decode_gif(bytes, header),
    })?;
    let plane = width * height;
    let bytes_each = pixels.len() / plane;
    if fits && orientation == 1 {
        to_planes(&pixels, bytes_each, shape.channels, out);
        return Ok(());
    }
    let mut planes = vec![0; plane * shape.channels];
    to_planes(&pixels, bytes_each, shape.channels, &mut planes);
    for (plane, out) in planes.chunks_exact(plane).zip(out.chunks_exact_mut(shape.width * shape.height)) {
        let turned = upright(plane, header.width, orientation);
        resize(&turned, width, (shape.width, shape.height), out);
    }
    Ok(())
}

fn decode_bmp(bytes: &[u8], Header { width, height, .. }: Header) -> Result<Vec<u8>> {
    // The decoder makes an image of a file that ends in its palette or in its rows.
    let number = |at: usize, length: usize| {
        let digits = bytes.get(at..at + length)?;
        Some(digits.iter().rev().fold(0, |sum, &byte| sum << 8 | usize::from(byte)))
    };
    let is_core = number(14, 4) == Some(12);
    let (pixels, bits) = (number(10, 4), number(if is_core { 24 } else { 28 }, 2));
    let is_compressed = !is_core && matches!(number(30, 4), Some(1 | 2));
    let (Some(pixels), Some(bits)) = (pixels, bits) else { return Err(damaged("it ends in its header")) };
    let row = width * bits;
    // The padding of the last row may be left out.
    let rows = if is_compressed { 1 } else { row.div_ceil(32) * 4 * (height - 1) + row.div_ceil(8) };
    if pixels + rows > bytes.len() {
        return Err(damaged("it ends before its last pixel"));
    }
    // The decoder does not skip what fills up their rows.
    if !is_compressed && matches!(bits, 1 | 2 | 4 | 16) {
        let is_top_down = !is_core && bytes[25] & 0x80 != 0;
        let row_at = |y: usize| pixels + row.div_ceil(32) * 4 * if is_top_down { y } else { height - 1 - y };
        let rows = (0..height).map(|y| &bytes[row_at(y)..][..row.div_ceil(8)]);
        if bits == 16 {
            let masks = [54, 58, 62].map(|at| number(at, 4).unwrap_or(0));
            return match masks {
                _ if is_core || number(30, 4) == Some(0) => Ok(rows.flat_map(|row| short_colours(row, 5)).collect()),
                [0x7c00, 0x3e0, 0x1f] => Ok(rows.flat_map(|row| short_colours(row, 5)).collect()),
                [0xf800, 0x7e0, 0x1f] => Ok(rows.flat_map(|row| short_colours(row, 6)).collect()),
                _ => Err(damaged("expected 16 bits of 5, 5 and 5 or of 5, 6 and 5 a pixel: save it as PNG")),
            };
        }
        let start = 14 + number(14, 4).unwrap_or(0);
        let palette = bytes.get(start..pixels).ok_or_else(|| damaged("it ends in its palette"))?;
        let colours: Vec<[u8; 3]> =
            palette.chunks_exact(if is_core { 3 } else { 4 }).map(|bgr| [bgr[2], bgr[1], bgr[0]]).collect();
        let indices = rows.flat_map(|row| indices(row, bits).take(width));
        let rgb: Option<Vec<[u8; 3]>> = indices.map(|index| colours.get(index).copied()).collect();
        return rgb.map(|all| all.into_flattened()).ok_or_else(|| damaged("a pixel is not in its palette"));
    }
    BmpDecoder::new_with_options(Cursor::new(&*padded_bmp(bytes)), bmp_options()).decode().map_err(damaged_bitmap)
}

/// Numbers of a few bits each, the highest first.
fn indices(row: &[u8], bits: usize) -> impl Iterator<Item = usize> {
    let each = 8 / bits;
    row.iter().flat_map(move |byte| (1..=each).map(move |i| usize::from(byte >> (8 - i * bits)) & ((1 << bits) - 1)))
}

/// RGB of pixels of two bytes: five bits of blue, then green, then five of red.
fn short_colours(row: &[u8], green: u32) -> impl Iterator<Item = u8> {
    row.chunks_exact(2).flat_map(move |pair| {
        let pixel = u32::from(u16::from_le_bytes([pair[0], pair[1]]));
        let byte = |shift: u32, bits: u32| {
            let most = (1 << bits) - 1;
            ((pixel >> shift & most) * 255 / most) as u8
        };
        [byte(5 + green, 5), byte(5, green), byte(0, 5)]
    })
}

/// Pixels of 1 to 4 bytes each: grey, grey and alpha, RGB or RGBA.
fn decode_png(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut reader = png_decoder(bytes).read_info().map_err(damaged)?;
    let size = reader.output_buffer_size().ok_or_else(|| damaged("its size"))?;
    let mut pixels = vec![0; size];
    reader.next_frame(&mut pixels).map_err(damaged)?;
    reader.finish().map_err(damaged)?;
    Ok(pixels)
}

/// Pixels of 1 or 3 bytes each.
fn decode_jpeg(bytes: &[u8], colour: bool) -> Result<Vec<u8>> {
    let space = if colour { ColorSpace::RGB } else { ColorSpace::Luma };
    let options = jpeg_options().jpeg_set_out_colorspace(space);
    JpegDecoder::new_with_options(Cursor::new(bytes), options).decode().map_err(damaged)
}

/// Pixels of 3 or 4 bytes each; of an animation, its first frame.
fn decode_webp(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(damaged)?;
    let mut pixels = vec![0; decoder.output_buffer_size().ok_or_else(|| damaged("its size"))?];
    decoder.read_image(&mut pixels).map_err(damaged)?;
    Ok(pixels)
}

/// Pixels of 3 bytes each: the first frame, on the background.
fn decode_gif(bytes: &[u8], Header { width, height, .. }: Header) -> Result<Vec<u8>> {
    let mut decoder = gif_decoder(bytes)?;
    let background = decoder.bg_color().unwrap_or(0);
    let global = decoder.global_palette().map(<[u8]>::to_vec).unwrap_or_default();
    let frame = decoder.read_next_frame().map_err(damaged)?.ok_or_else(|| damaged("it has no frame"))?;
    let local = frame.palette.as_deref().unwrap_or(&global);
    let colour = |palette: &[u8], index: usize| -> [u8; 3] {
        palette.get(3 * index..3 * index + 3).map_or([0; 3], |rgb| [rgb[0], rgb[1], rgb[2]])
    };
    let mut pixels = colour(&global, background).repeat(width * height);
    let (left, top, columns) = (usize::from(frame.left), usize::from(frame.top), usize::from(frame.width));
    for (y, row) in frame.buffer.chunks_exact(columns.max(1)).enumerate() {
        for (x, &index) in row.iter().enumerate() {
            if left + x >= width || top + y >= height {
                continue;
            }
            let at = 3 * ((top + y) * width + left + x);
            pixels[at..at + 3].copy_from_slice(&colour(local, usize::from(index)));
        }
    }
    Ok(pixels)
}
