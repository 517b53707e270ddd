//! The unit of AMX-BF16: whether this process may use it, and its tile registers.

use super::super::params::LINE;
use super::avx512;
use std::arch::asm;
use std::arch::x86_64::*;
use std::sync::LazyLock;

/// The rows of a tile, and the pairs or sums in each of its rows.
pub const SIDE: usize = LINE;
/// The bytes of a tile's row.
const ROW: usize = 4 * SIDE;

/// Whether the processor has AMX-BF16 and the operating system lets this process use it. Asks the system once.
pub fn is_available() -> bool {
    static IS_AVAILABLE: LazyLock<bool> = LazyLock::new(|| avx512::is_available() && has_tiles() && is_permitted());
    *IS_AVAILABLE
}

/// Whether the processor has AMX's tiles and the operating system saves them.
fn has_tiles() -> bool {
    const AMX_BF16: u32 = 1 << 22;
    const AMX_TILE: u32 = 1 << 24;
    const TILE_STATE: u64 = 1 << 17 | 1 << 18;
    let has = |bits: u32, of: u32| of & bits == bits;
    // SAFETY: every x86-64 processor has `cpuid`.
    #[allow(unused_unsafe, reason = "safe from Rust 1.94 on")]
    let (leaves, extensions) = unsafe { (__cpuid(0).eax, __cpuid_count(7, 0).edx) };
    // SAFETY: the operating system saves AVX-512's registers, so that there is `xgetbv`.
    leaves >= 7 && has(AMX_BF16 | AMX_TILE, extensions) && unsafe { saved_state() } & TILE_STATE == TILE_STATE
}

/// Which registers the operating system saves, as bits (XCR0).
///
/// # Safety
/// The processor must have `xgetbv`.
#[target_feature(enable = "xsave")]
unsafe fn saved_state() -> u64 {
    // SAFETY: as promised by the caller.
    unsafe { _xgetbv(0) }
}

/// Asks Linux for permission to use the tiles. Linux then saves them with a thread's registers once the thread uses
/// them. From then on signal handlers need more stack in the whole process: `sigaltstack` refuses stacks that cannot
/// hold the tiles, even if they were large enough before.
#[cfg(target_os = "linux")]
fn is_permitted() -> bool {
    const ARCH_PRCTL: isize = 158;
    const ARCH_REQ_XCOMP_PERM: usize = 0x1023;
    const TILE_DATA: usize = 18;
    let answer: isize;
    // SAFETY: the system call accesses no memory of this process. An operating system that does not know it returns an
    // error, and so do most seccomp filters that refuse it; a filter that kills ends the process.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => answer,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") TILE_DATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    answer == 0
}

#[cfg(not(target_os = "linux"))]
fn is_permitted() -> bool {
    false
}

/// The shapes of the tiles, as `ldtilecfg` reads them.
#[repr(C, align(64))]
struct Config {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes_per_row: [u16; 8],
    no_more_bytes: [u16; 8],
    rows: [u8; 8],
    no_more_rows: [u8; 8],
}

/// Sets up this thread's eight tiles.
pub fn configure() {
    static CONFIG: Config = Config {
        palette: 1,
        start_row: 0,
        reserved: [0; 14],
        bytes_per_row: [ROW as u16; 8],
        no_more_bytes: [0; 8],
        rows: [SIDE as u8; 8],
        no_more_rows: [0; 8],
    };
    // SAFETY: kernels of this unit run where it is available; all other code leaves the tiles alone.
    unsafe {
        asm!(
            "ldtilecfg [{}]", in(reg) &raw const CONFIG,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack, readonly, preserves_flags),
        );
    }
}

/// Releases this thread's tiles, so that the operating system need not save them.
pub fn release() {
    // SAFETY: as in `configure`.
    unsafe {
        asm!(
            "tilerelease",
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack, nomem, preserves_flags),
        );
    }
}
