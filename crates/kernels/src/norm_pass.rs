//! A pass of BatchNorm over x[images, channels, length], checked: what planes of any length compute.

use crate::batch_norm::Affine;

/// The forward pass of x[images, channels, length].
pub(crate) struct Forward<'a> {
    pub x: &'a [f32],
    pub affine: Affine<'a>,
    /// The running mean and variance if these normalize (eval mode); `None` to use those of the batch.
    pub running: Option<(&'a [f32], &'a [f32])>,
    pub eps: f32,
    pub addend: Option<&'a [f32]>,
    pub relu: bool,
}

/// The backward pass of x[images, channels, length].
pub(crate) struct Backward<'a> {
    pub grad: &'a [f32],
    /// The output, needed if ReLU followed.
    pub y: Option<&'a [f32]>,
    pub x: &'a [f32],
    pub mean: &'a [f32],
    pub inv_std: &'a [f32],
    pub affine: Affine<'a>,
    /// 1 / the number of elements of a channel in train mode, 0 in eval mode.
    pub scale: f32,
}
