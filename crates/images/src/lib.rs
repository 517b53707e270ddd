//! PNG and JPEG files into bytes, channel after channel, as a network takes them.
//!
//! Nothing is allocated that the length of a file does not back: what a header claims is compared with the most that so
//! many bytes can hold. A file has to be whole, up to its last marker.

mod batch;
mod convert;
mod decode;
mod error;
mod header;
mod resize;
mod whole;

pub use batch::{Failure, decode_all};
pub use decode::{Shape, decode};
pub use error::{ImageError, Result};
pub use header::{Format, Header, read_header};
