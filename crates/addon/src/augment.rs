use crate::borrow::{F32, F32Mut, Memory, U32Mut, expect_len, shape_error};
use crate::error::{Result, kernel};
use distillery_kernels::augment::{self, Changes};
use distillery_kernels::rng::Generator;
use napi_derive::napi;
use ndarray::{ArrayView4, ArrayViewMut4};

/// Moves and mirrors pictures at random and adds noise
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments, reason = "a flat call costs less than an object that is cloned")]
pub fn augment(
    mut state: U32Mut,
    pictures: F32,
    black: F32,
    mut out: F32Mut,
    rows: u32,
    channels: u32,
    height: u32,
    width: u32,
    reach: i32,
    flip: f64,
    noise: f64,
) -> Result<()> {
    let mut memory = Memory::new();
    let (pictures, black) = (memory.read(&pictures)?, memory.read(&black)?);
    let (state, out) = (memory.write(&mut state)?, memory.write(&mut out)?);
    let shape = [rows, channels, height, width];
    expect_len("pictures", pictures.len(), &shape)?;
    expect_len("out", out.len(), &shape)?;
    let dim = (rows as usize, channels as usize, height as usize, width as usize);
    let pictures = ArrayView4::from_shape(dim, pictures).map_err(shape_error)?;
    let out = ArrayViewMut4::from_shape(dim, out).map_err(shape_error)?;
    let mut generator = Generator::new(state).map_err(kernel)?;
    let changes = Changes { reach, flip: flip as f32, noise: noise as f32 };
    augment::augment(&mut generator, pictures, black, changes, out).map_err(kernel)
}
