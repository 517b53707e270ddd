use crate::error::{Result, error};
use napi_derive::napi;
use std::fs::{File, OpenOptions, TryLockError};

/// A lock on a file, until it is released or the process ends, however it ends
#[napi]
pub struct FileLock {
    file: Option<File>,
}

/// Takes a lock on a file, which is made where it is missing; null where another holds it
#[napi(catch_unwind)]
pub fn lock_file(path: String) -> Result<Option<FileLock>> {
    let refuse = |e: std::io::Error| error("IO_ERROR", format!("{path}: can't lock it: {e}"));
    OpenOptions::new().create(true).append(true).open(&path).map_err(refuse)?;
    // Held for reading: a file held for writing would keep its disk from being made read-only.
    let file = File::open(&path).map_err(refuse)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(FileLock { file: Some(file) })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(refuse(e)),
    }
}

#[napi]
impl FileLock {
    /// Lets it go
    #[napi(catch_unwind)]
    pub fn release(&mut self) {
        self.file = None;
    }
}
