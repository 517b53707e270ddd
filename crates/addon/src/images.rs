use crate::borrow::{Memory, U8, U8Mut, expect_len};
use crate::error::{Result, error};
use crate::list::List;
use distillery_images::{Changes, Failure, Shape, decode_all, read_header, resize};
use napi::Either;
use napi_derive::napi;

/// A file of a list that is no image that can be taken
#[napi(object)]
pub struct ImageFailure {
    /// Its place in the list
    pub index: u32,
    /// What is wrong with it
    pub problem: String,
}

/// The channels (1 or 3), rows and columns of an image file, upright if asked, or what is wrong with it
#[napi(catch_unwind)]
pub fn image_size(file: U8, upright: bool) -> Result<Either<Vec<u32>, String>> {
    let mut memory = Memory::new();
    Ok(match read_header(memory.read(&file)?, upright) {
        Ok(header) => {
            let (width, height) = header.size();
            Either::A(vec![if header.colour { 3 } else { 1 }, height as u32, width as u32])
        }
        Err(reason) => Either::B(reason.to_string()),
    })
}

/// Decodes image files, each into bytes of `shape`, which is channels, height and width; the first that can't be, or
/// null
#[napi(catch_unwind)]
pub fn decode_images(
    files: List<U8>,
    mut out: U8Mut,
    shape: List<u32>,
    may_resize: bool,
    may_grey: bool,
    upright: bool,
) -> Result<Option<ImageFailure>> {
    let mut memory = Memory::new();
    let (files, out) = (memory.read_all(&files)?, memory.write(&mut out)?);
    let &[channels, height, width] = &shape[..] else {
        return Err(error("SHAPE_MISMATCH", "shape: expected channels, height and width"));
    };
    expect_len("out", out.len(), &[files.len() as u32, channels, height, width])?;
    if !matches!(channels, 1 | 3) {
        return Err(error("BAD_ARGUMENT", format!("channels: expected 1 or 3, got {channels}")));
    }
    let shape = Shape { channels: channels as usize, height: height as usize, width: width as usize };
    if out.is_empty() {
        return Ok(None);
    }
    let failure = decode_all(&files, shape, Changes { resize: may_resize, grey: may_grey, upright }, out).err();
    Ok(failure.map(|Failure { index, error }| ImageFailure { index: index as u32, problem: error.to_string() }))
}

/// Resizes planes of bytes, each height x width, as Pillow does with BILINEAR; `from` is planes, height and width, `to`
/// the new height and width
#[napi(catch_unwind)]
pub fn resize_planes(planes: U8, mut out: U8Mut, from: List<u32>, to: List<u32>) -> Result<()> {
    let mut memory = Memory::new();
    let (planes, out) = (memory.read(&planes)?, memory.write(&mut out)?);
    let (&[count, height, width], &[new_height, new_width]) = (&from[..], &to[..]) else {
        return Err(error("SHAPE_MISMATCH", "expected planes, height and width, and the new height and width"));
    };
    expect_len("planes", planes.len(), &[count, height, width])?;
    expect_len("out", out.len(), &[count, new_height, new_width])?;
    if planes.is_empty() || out.is_empty() {
        return Err(error("SHAPE_MISMATCH", "expected lengths of at least 1"));
    }
    let (old, new) = (height as usize * width as usize, new_height as usize * new_width as usize);
    for (plane, out) in planes.chunks_exact(old).zip(out.chunks_exact_mut(new)) {
        resize(plane, width as usize, (new_width as usize, new_height as usize), out);
    }
    Ok(())
}
