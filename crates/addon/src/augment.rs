use crate::borrow::{F32, F32Mut, Memory, U32Mut};
use crate::error::{Result, kernel_error};
use distillery_kernels::augment::{self, Augmentation};
use napi_derive::napi;

/// Shifts and mirrors images at random and adds noise
#[napi(catch_unwind)]
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
    let shape = [rows, channels, height, width];
    let (images, fill) = (memory.view("images", &images, shape)?, memory.read(&fill)?);
    let (mut generator, out) = (memory.generator(&mut state)?, memory.view_mut("out", &mut out, shape)?);
    let augmentation = Augmentation { max_shift, flip: flip as f32, noise: noise as f32 };
    augment::augment(&mut generator, images, fill, augmentation, out).map_err(kernel_error)
}
