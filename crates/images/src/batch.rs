//! Several files at once.

use crate::decode::{Changes, Shape, decode};
use crate::error::ImageError;
use distillery_kernels::parallel::{self, Rows};
use std::sync::Mutex;

/// The first file that is refused, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its index in the list.
    pub index: usize,
    /// What is wrong with it.
    pub error: ImageError,
}

/// Decodes files of one shape into `out`, one after the other, in parallel; see [`decode`].
pub fn decode_all(files: &[&[u8]], shape: Shape, changes: Changes, out: &mut [u8]) -> std::result::Result<(), Failure> {
    let first_failure = Mutex::new(None::<Failure>);
    parallel::for_each(Rows(out, shape.len()), 1, |first, part| {
        for (i, row) in part.0.chunks_exact_mut(shape.len()).enumerate() {
            let index = first + i;
            let Err(error) = decode(files[index], shape, changes, row) else { continue };
            let mut failure = first_failure.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            if failure.as_ref().is_none_or(|other| index < other.index) {
                *failure = Some(Failure { index, error });
            }
            return;
        }
    });
    first_failure.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()).map_or(Ok(()), Err)
}
