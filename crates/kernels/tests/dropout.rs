//! Dropout: PyTorch's mask from PyTorch's stream, the factor, and the gradient.

use crate::common::{close, dot, fill, ramp, refuses, same_bits, slope};
use distillery_kernels::dropout::{Mask, backward, forward};
use distillery_kernels::rng::{Generator, STATE_WORDS};

const CHANCES: [f64; 5] = [0.0, 0.2, 0.3, 0.5, 1.0];

/// The outputs, the mask, and the first draw after them.
fn drop_out(x: &[f32], p: f64, seed: u32) -> (Vec<f32>, Vec<u8>, u32) {
    let mut state = [0; STATE_WORDS];
    let mut generator = Generator::seeded(&mut state, seed).unwrap();
    let (mut out, mut keep) = (vec![f32::NAN; x.len()], vec![9; x.len()]);
    forward(x, p, &mut generator, &mut keep, &mut out).unwrap();
    (out, keep, generator.next_u32())
}

fn gradient(grad: &[f32], p: f64, keep: &[u8]) -> Vec<f32> {
    let mut grad_x = vec![f32::NAN; grad.len()];
    backward(grad, Mask { keep, p }, &mut grad_x).unwrap();
    grad_x
}

/// What is kept is divided by the chance to be kept.
fn naive(x: &[f64], p: f64, keep: &[u8]) -> Vec<f64> {
    x.iter().zip(keep).map(|(x, keep)| if *keep == 1 { x / (1.0 - p) } else { 0.0 }).collect()
}

#[test]
fn outputs_are_those_of_the_stream() {
    for len in crate::common::SIZES {
        for p in CHANCES {
            let x = fill(len, 1);
            let (out, keep, next) = drop_out(&x, p, 3);
            let mut state = [0; STATE_WORDS];
            let mut stream = Generator::seeded(&mut state, 3).unwrap();
            // As in PyTorch, if nothing is left to chance, nothing is drawn.
            let drawn = |stream: &mut Generator| p == 0.0 || p < 1.0 && stream.unit_f64() < 1.0 - p;
            let want: Vec<u8> = (0..len).map(|_| drawn(&mut stream).into()).collect();
            assert_eq!(keep, want, "{len} at {p}");
            assert_eq!(next, stream.next_u32(), "{len} at {p}: the stream goes on behind the mask");
            let x: Vec<f64> = x.into_iter().map(f64::from).collect();
            close(&format!("{len} at {p}"), &out, &naive(&x, p, &keep), 2e-7);
        }
    }
}

/// ```python
/// torch.manual_seed(0); F.dropout(torch.tensor([(i * 7) % 11 / 4 - 1 for i in range(16)]), 0.3)
/// torch.manual_seed(0); (F.dropout(torch.ones(4096), 0.3) > 0).sum()
/// ```
#[test]
fn masks_are_those_of_pytorch() {
    let want: Vec<f64> = [-0.0, 0.0, -0.25, 0.0, 0.5, -0.0, 1.25, 0.25, -0.75, 1.0, 0.0, -1.0, 0.75, -0.25, 1.5, 0.5]
        .map(|x| x / 0.7)
        .to_vec();
    close("p = 0.3", &drop_out(&ramp(16, 7, 11), 0.3, 0).0, &want, 1e-7);
    assert_eq!(drop_out(&[1.0; 4096], 0.3, 0).1.iter().filter(|&&keep| keep == 1).count(), 2865);
}

#[test]
fn gradient_is_the_slope() {
    let (x, grad) = (fill(65, 1), fill(65, 2));
    let [wide_x, wide_grad] = [&x, &grad].map(|v| v.iter().map(|&x| f64::from(x)).collect::<Vec<_>>());
    for p in CHANCES {
        let keep = drop_out(&x, p, 3).1;
        let want = slope(&wide_x, |x| dot(&naive(x, p, &keep), &wide_grad));
        close(&format!("p = {p}"), &gradient(&grad, p, &keep), &want, 3e-7);
    }
}

#[test]
fn same_bits_at_any_number_of_threads() {
    for len in [0, 1, 1000, 300_007] {
        let x = fill(len, 1);
        same_bits(&format!("{len}"), || {
            let (out, keep, next) = drop_out(&x, 0.3, 3);
            let grad = gradient(&x, 0.3, &keep);
            out.into_iter().chain(grad).map(f64::from).chain([next.into()]).collect()
        });
    }
}

#[test]
fn refuses_what_is_wrong_before_it_draws() {
    let mut state = [0; STATE_WORDS];
    let mut generator = Generator::seeded(&mut state, 0).unwrap();
    let (x, mut keep) = ([1.0; 4], [9; 4]);
    let mut call = |p, keep: &mut [u8], out: usize| forward(&x, p, &mut generator, keep, &mut vec![0.0; out]);
    for (result, code, message) in [
        (call(-0.1, &mut keep, 4), "BAD_ARGUMENT", "dropout: p: expected a probability from 0 to 1, got -0.1"),
        (call(1.5, &mut keep, 4), "BAD_ARGUMENT", "dropout: p: expected a probability from 0 to 1, got 1.5"),
        (call(f64::NAN, &mut keep, 4), "BAD_ARGUMENT", "dropout: p: expected a probability from 0 to 1, got NaN"),
        (call(0.5, &mut [0; 3], 4), "SHAPE_MISMATCH", "dropout: mask: expected shape [4], got [3]"),
        (call(0.5, &mut keep, 3), "SHAPE_MISMATCH", "dropout: out: expected shape [4], got [3]"),
        (
            backward(&x, Mask { keep: &[1; 3], p: 0.5 }, &mut [0.0; 4]),
            "SHAPE_MISMATCH",
            "dropout: mask: expected shape [4], got [3]",
        ),
        (
            backward(&x, Mask { keep: &[1; 4], p: 0.5 }, &mut [0.0; 3]),
            "SHAPE_MISMATCH",
            "dropout: out: expected shape [4], got [3]",
        ),
    ] {
        refuses(result, code, message);
    }
    assert_eq!(keep, [9; 4], "nothing is written when a kernel refuses");
    let mut fresh = [0; STATE_WORDS];
    assert_eq!(generator.next_u32(), Generator::seeded(&mut fresh, 0).unwrap().next_u32(), "nor drawn");
}
