//! The norm of all gradients, and their scaling.

use crate::common::{SIZES, close, fill, ramp, same_bits};
use distillery_kernels::grad_norm::{norm, scale};

/// The usual sizes, none, and one that is split over seven threads.
fn many() -> Vec<Vec<f32>> {
    SIZES.into_iter().chain([0, 300_007]).map(|len| fill(len, len as u64)).collect()
}

fn norm_of(grads: &[Vec<f32>]) -> f64 {
    norm(&grads.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

fn scale_all(grads: &mut [Vec<f32>], coefficient: f32) {
    scale(grads.iter_mut().map(Vec::as_mut_slice).collect(), coefficient);
}

#[test]
fn norm_is_the_root_of_all_squares() {
    let root = |grads: &[Vec<f32>]| grads.iter().flatten().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    for count in 0..=many().len() {
        let grads = &many()[..count];
        close(&format!("the first {count}"), &[norm_of(grads)], &[root(grads)], 1e-12);
    }
}

#[test]
fn norm_neither_overflows_nor_vanishes() {
    close("large", &[norm(&[&[f32::MAX; 4]]) / f64::from(f32::MAX)], &[2.0], 1e-12);
    close("small", &[norm(&[&[1e-40; 4]]) / f64::from(1e-40f32)], &[2.0], 1e-12);
    assert!(norm(&[&[1.0, f32::NAN], &[2.0]]).is_nan());
    assert_eq!(norm(&[&[1.0, f32::INFINITY]]), f64::INFINITY);
}

#[test]
fn scale_multiplies_every_gradient() {
    let (grads, mut scaled) = (many(), many());
    scale_all(&mut scaled, 0.37);
    let want: Vec<Vec<f32>> = grads.iter().map(|grad| grad.iter().map(|g| g * 0.37).collect()).collect();
    assert_eq!(scaled, want);
}

/// ```python
/// ramp = lambda n, a, b: torch.tensor([(i * a) % b / 4 - 1 for i in range(n)])
/// a, b = nn.Parameter(torch.zeros(5)), nn.Parameter(torch.zeros(3)); a.grad, b.grad = ramp(5, 7, 11), ramp(3, 5, 7)
/// nn.utils.clip_grad_norm_([a, b], 1.0), a.grad, b.grad
/// ```
#[test]
fn clipping_gives_pytorchs_numbers() {
    let mut grads = [ramp(5, 7, 11), ramp(3, 5, 7)];
    let length = norm_of(&grads);
    close("norm", &[length], &[2.291287899017334], 1e-7);
    scale_all(&mut grads, (1.0 / (length + 1e-6)) as f32);
    let want = [
        -0.4364355802536011,
        0.3273266851902008,
        -0.10910889506340027,
        0.6546533703804016,
        0.21821779012680054,
        -0.4364355802536011,
        0.10910889506340027,
        -0.10910889506340027,
    ];
    close("clipped", &grads.concat(), &want, 6e-8);
}

#[test]
fn same_bits_at_any_number_of_threads() {
    let grads = many();
    same_bits("norm", || vec![norm_of(&grads)]);
    same_bits("scale", || {
        let mut grads = grads.clone();
        scale_all(&mut grads, 0.37);
        grads.concat().into_iter().map(f64::from).collect()
    });
}

#[test]
fn nothing_has_norm_zero() {
    assert_eq!(norm(&[]), 0.0);
    assert_eq!(norm(&[&[], &[]]), 0.0);
    scale(vec![], 2.0);
    scale(vec![&mut []], 2.0);
}
