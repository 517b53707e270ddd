//! What the kernels' tests share: odd sizes, reproducible numbers, comparison with a reference, thread counts,
//! refusals.

pub mod allocations;

use distillery_kernels::{Result, parallel};
use ndarray::{Array1, Array2, ArrayView};
use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};

/// One, and numbers on both sides of what vectors and blocks divide.
pub const SIZES: [usize; 5] = [1, 7, 63, 65, 1000];

static THREADS: Mutex<()> = Mutex::new(());

/// Every pair of `SIZES`.
pub fn pairs() -> impl Iterator<Item = (usize, usize)> {
    SIZES.into_iter().flat_map(|a| SIZES.into_iter().map(move |b| (a, b)))
}

/// Reproducible 64-bit numbers (SplitMix64).
pub fn bits(seed: u64) -> impl Iterator<Item = u64> {
    (1..).map(move |i: u64| {
        let z = (seed << 32).wrapping_add(i).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

/// Reproducible numbers of [-1, 1).
pub fn fill(len: usize, seed: u64) -> Vec<f32> {
    bits(seed).take(len).map(|z| (z >> 40) as f32 / (1 << 23) as f32 - 1.0).collect()
}

/// A vector of numbers of [-1, 1).
pub fn vector(len: usize, seed: u64) -> Array1<f32> {
    fill(len, seed).into()
}

/// A matrix of numbers of [-1, 1).
pub fn matrix(rows: usize, columns: usize, seed: u64) -> Array2<f32> {
    shaped(rows, columns, fill(rows * columns, seed))
}

/// A matrix of NaN: what a kernel leaves unwritten, or reads of its output's old values, shows.
pub fn blank(rows: usize, columns: usize) -> Array2<f32> {
    Array2::from_elem((rows, columns), f32::NAN)
}

/// A matrix of the given values.
pub fn shaped(rows: usize, columns: usize, values: Vec<f32>) -> Array2<f32> {
    Array2::from_shape_vec((rows, columns), values).unwrap()
}

/// A class for each row.
pub fn labels(rows: usize, classes: usize) -> Vec<i32> {
    bits(99).take(rows).map(|z| (z % classes as u64) as i32).collect()
}

/// The first of the inputs that `tests/*.rs` give to PyTorch too: `[(i * a) % b / 4 - 1 for i in range(len)]`.
pub fn ramp(len: usize, a: usize, b: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * a) % b) as f32 / 4.0 - 1.0).collect()
}

/// The values in double precision, row by row.
pub fn wide<D: ndarray::Dimension>(x: ArrayView<f32, D>) -> Vec<f64> {
    x.iter().map(|&x| x.into()).collect()
}

/// Fails if a value is further than `tolerance * max(1, |want|)` from what is wanted.
#[track_caller]
pub fn close<T: Copy + Into<f64>>(label: &str, got: &[T], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len(), "{label}: length");
    for (i, (&got, &want)) in got.iter().zip(want).enumerate() {
        let (got, limit) = (got.into(), tolerance * want.abs().max(1.0));
        assert!((got - want).abs() <= limit, "{label}[{i}]: got {got}, want {want} within {limit:e}");
    }
}

/// The values times a factor, which brings them to about 1 before `close` compares them.
pub fn scaled<T: Copy + Into<f64>>(x: &[T], factor: f64) -> Vec<f64> {
    x.iter().map(|&x| x.into() * factor).collect()
}

/// df/dx of a function in double precision, by central differences: within 1e-8 for functions of this size.
pub fn slope(x: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let h = 1e-5;
    let moved = |i: usize, by: f64| {
        let mut x = x.to_vec();
        x[i] += by;
        f(&x)
    };
    (0..x.len()).map(|i| (moved(i, h) - moved(i, -h)) / (2.0 * h)).collect()
}

/// The sum of a[i] * b[i]: the function whose slope a backward pass computes, from outputs and their gradient.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Runs `f` with a number of threads; tests that ask for one wait for each other.
pub fn with_threads<T>(threads: usize, f: impl FnOnce() -> T) -> T {
    let _turn = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
    parallel::set_threads(threads);
    let result = f();
    parallel::set_threads(0);
    result
}

/// Fails if 2, 3 or 7 threads give other bits than one.
#[track_caller]
pub fn same_bits(label: &str, f: impl Fn() -> Vec<f64>) {
    let run = |threads| with_threads(threads, || f().into_iter().map(f64::to_bits).collect::<Vec<_>>());
    let one = run(1);
    for threads in [7, 3, 2] {
        assert!(run(threads) == one, "{label}: {threads} threads give other bits than one");
    }
}

/// Fails if the kernel did not refuse with this code and message: the operation, the argument, the shapes.
#[track_caller]
pub fn refuses<T: Debug>(result: Result<T>, code: &str, message: &str) {
    let error = result.expect_err(message);
    assert_eq!((error.code(), error.to_string().as_str()), (code, message));
}
