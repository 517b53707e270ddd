use crate::borrow::{F32, F32Mut, Memory, U32Mut, expect_len, shape_error};
use crate::error::{Result, kernel};
use distillery_kernels::augment::{self, Augmentation};
use distillery_kernels::rng::Generator;
use napi_derive::napi;
use ndarray::{ArrayView4, ArrayViewMut4};

/// Shifts and mirrors images at random and adds noise
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments, reason = "a flat call costs less than an object that is cloned")]
pub fn augment(
    mut state: U32Mut,
    images: F32,
    fill: F32,
    mut out: F32Mut,
    rows: u32,
    channels: u32,
    height: u32,
    width: u32,
    max_shift: i32,
    flip: f64,
    noise: f64,
) -> Result<()> {
    let mut memory = Memory::new();
    let (images, fill) = (memory.read(&images)?, memory.read(&fill)?);
    let (state, out) = (memory.write(&mut state)?, memory.write(&mut out)?);
    let shape = [rows, channels, height, width];
    expect_len("images", images.len(), &shape)?;
    expect_len("out", out.len(), &shape)?;
    let dim = (rows as usize, channels as usize, height as usize, width as usize);
    let images = ArrayView4::from_shape(dim, images).map_err(shape_error)?;
    let out = ArrayViewMut4::from_shape(dim, out).map_err(shape_error)?;
    let mut generator = Generator::new(state).map_err(kernel)?;
    let augmentation = Augmentation { max_shift, flip: flip as f32, noise: noise as f32 };
    augment::augment(&mut generator, images, fill, augmentation, out).map_err(kernel)
}
