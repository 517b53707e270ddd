//! PNG, JPEG, WebP, BMP and GIF files into bytes, channel after channel, as a network takes them.
//!
//! A header's claim is compared with the most pixels that the file's bytes can hold before anything is allocated. A
//! file has to be whole, up to its last marker.

mod batch;
mod convert;
mod decode;
mod error;
mod header;
mod orientation;
mod resize;
mod whole;

pub use batch::{Failure, decode_all};
pub use decode::{Changes, Shape, decode};
pub use error::{ImageError, Result};
pub use header::{Format, Header, read_header};
pub use resize::resize;
