use distillery_kernels::{parallel, peak};
use napi_derive::napi;

/// Sets how many threads the kernels may use; 0 stands for the cores
#[napi(catch_unwind)]
pub fn set_threads(threads: u32) {
    parallel::set_threads(threads.min(1024) as usize);
}

/// How many cores this process may use: those of its affinity, and no more than the CPUs of its control group's quota
#[napi(catch_unwind)]
pub fn cores() -> u32 {
    parallel::cores() as u32
}

/// How many threads the kernels may use
#[napi(catch_unwind)]
pub fn threads() -> u32 {
    parallel::threads() as u32
}

/// GFLOP/s of fused multiply-adds that touch no memory, on all threads
#[napi(catch_unwind)]
pub fn peak_rate() -> f64 {
    peak::fused_multiply_add_rate()
}
