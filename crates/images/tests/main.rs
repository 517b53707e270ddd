//! Decoding against Pillow, and files that are no image.

mod common;

mod decode;
mod hostile;
