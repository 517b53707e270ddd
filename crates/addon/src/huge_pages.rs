use crate::borrow::{Memory, U8Mut};
use crate::error::Result;
use napi_derive::napi;

/// Bytes of a huge page of processors with pages of 4 KiB.
const HUGE_PAGE: usize = 1 << 21;

/// Asks the operating system to lay an array that nobody has written yet in huge pages; gives the place of the first
/// byte where one begins
#[napi(catch_unwind)]
pub fn use_huge_pages(mut array: U8Mut) -> Result<u32> {
    let mut memory = Memory::new();
    let array = memory.write(&mut array)?;
    let first = array.as_ptr().align_offset(HUGE_PAGE).min(array.len());
    advise(array.split_at_mut(first).1);
    Ok(first as u32)
}

#[cfg(target_os = "linux")]
fn advise(pages: &mut [u8]) {
    let whole = pages.len() / HUGE_PAGE * HUGE_PAGE;
    // SAFETY: the pages are the caller's, and keep their contents; a refusal changes nothing.
    unsafe { libc::madvise(pages.as_mut_ptr().cast(), whole, libc::MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn advise(_: &mut [u8]) {}
