//! Why a file is no image that can be taken.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// The result of reading an image.
pub type Result<T> = std::result::Result<T, ImageError>;

/// What is wrong with a file; the text is what follows its name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// It begins as no format does.
    #[error("no PNG, JPEG, WebP, BMP or GIF image: it begins with {0:02x?}")]
    Foreign(Vec<u8>),
    /// It ends before the marker that ends an image.
    #[error("truncated: it ends before its last marker, {0}")]
    Truncated(&'static str),
    /// Its header claims more pixels than its bytes can hold.
    #[error("claims {width} x {height} pixels, more than its {bytes} bytes can hold")]
    Unbacked {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
        /// The length of the file.
        bytes: usize,
    },
    /// It has more pixels than are read.
    #[error("{width} x {height} pixels; at most {max} are read")]
    TooLarge {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
        /// The most pixels.
        max: usize,
    },
    /// The decoder refused it.
    #[error("damaged: {0}")]
    Damaged(String),
    /// It has another size than the others.
    #[error("expected {expected_width} x {expected_height} pixels, got {width} x {height}")]
    Size {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
        /// The columns of the others.
        expected_width: usize,
        /// The rows of the others.
        expected_height: usize,
    },
    /// It has colours where grey images are expected.
    #[error("a colour image among grey ones")]
    Colour,
}

/// A decoder that gives up with a panic has refused the file like any other.
pub(crate) fn guarded<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    let gave_up = |_| Err(ImageError::Damaged("its decoder gave up".into()));
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(gave_up)
}
