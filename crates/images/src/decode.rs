//! A file into planes of bytes.

use crate::convert::to_planes;
use crate::error::{ImageError, Result, guarded};
use crate::header::{Format, Header, damaged, jpeg_options, png_decoder, read_header};
use crate::resize::resize;
use std::io::Cursor;
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

/// Decodes an image into `out`, channel after channel, each row by row. One of another size is resized or refused; so is
/// one with colours where grey ones are expected.
pub fn decode(bytes: &[u8], shape: Shape, may_resize: bool, may_grey: bool, out: &mut [u8]) -> Result<()> {
    let header = read_header(bytes)?;
    let Header { width, height, colour, .. } = header;
    let fits = (width, height) == (shape.width, shape.height);
    if !fits && !may_resize {
        let (expected_width, expected_height) = (shape.width, shape.height);
        return Err(ImageError::Size { width, height, expected_width, expected_height });
    }
    if colour && shape.channels == 1 && !may_grey {
        return Err(ImageError::Colour);
    }
    let pixels = guarded(|| match header.format {
        Format::Png => decode_png(bytes),
        Format::Jpeg => decode_jpeg(bytes, colour),
    })?;
    let plane = width * height;
    let bytes_each = pixels.len() / plane;
    if fits {
        to_planes(&pixels, bytes_each, shape.channels, out);
        return Ok(());
    }
    let mut planes = vec![0; plane * shape.channels];
    to_planes(&pixels, bytes_each, shape.channels, &mut planes);
    for (plane, out) in planes.chunks_exact(plane).zip(out.chunks_exact_mut(shape.width * shape.height)) {
        resize(plane, width, (shape.width, shape.height), out);
    }
    Ok(())
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
