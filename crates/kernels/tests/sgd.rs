//! SGD: steps against a naive loop in double precision.

use crate::common::{SIZES, close, fill, refuses, same_bits};
use distillery_kernels::Result;
use distillery_kernels::optimizer::Slot;
use distillery_kernels::sgd::{SgdStep, step, step_momentum};

const USUAL: SgdStep = SgdStep {
    lr: 0.05,
    momentum: 0.9,
    dampening: 0.0,
    weight_decay: 5e-4,
    nesterov: false,
    is_first: true,
    grad_scale: 1.0,
};

fn with_momentum(param: &mut [f32], grad: &[f32], buffer: &mut [f32], numbers: SgdStep) -> Result<()> {
    step_momentum(vec![Slot { param, grad, state: [buffer] }], numbers)
}

#[test]
fn steps_are_those_of_a_naive_loop() {
    let kinds = [
        USUAL,
        SgdStep { nesterov: true, ..USUAL },
        SgdStep { dampening: 0.3, weight_decay: 0.0, ..USUAL },
        SgdStep { momentum: 0.0, ..USUAL },
        SgdStep { grad_scale: -0.25, weight_decay: 0.1, ..USUAL },
    ];
    for numbers in kinds {
        let SgdStep { lr, momentum, dampening, weight_decay, nesterov, grad_scale, .. } = numbers;
        for len in SIZES.into_iter().chain([0, 100_003]) {
            let (mut param, mut buffer) = (fill(len, 1), vec![7.0; len]);
            let mut wanted: Vec<[f64; 2]> = param.iter().map(|&x| [x.into(), 0.0]).collect();
            for count in 0..4 {
                let grad = fill(len, 2 + count);
                let numbers = SgdStep { is_first: count == 0, ..numbers };
                if momentum == 0.0 {
                    step(vec![Slot { param: &mut param, grad: &grad, state: [] }], numbers).unwrap();
                } else {
                    with_momentum(&mut param, &grad, &mut buffer, numbers).unwrap();
                }
                for ([param, buffer], &grad) in wanted.iter_mut().zip(&grad) {
                    let grad = f64::from(grad_scale) * f64::from(grad) + weight_decay * *param;
                    *buffer = if count == 0 { grad } else { momentum * *buffer + (1.0 - dampening) * grad };
                    let direction = if momentum == 0.0 {
                        grad
                    } else if nesterov {
                        grad + momentum * *buffer
                    } else {
                        *buffer
                    };
                    *param -= lr * direction;
                }
                let label = format!("{numbers:?} on {len}");
                close(&label, &param, &wanted.iter().map(|w| w[0]).collect::<Vec<_>>(), 5e-7);
            }
        }
    }
}

#[test]
fn a_buffer_that_would_become_subnormal_ends_at_zero() {
    let (mut param, mut buffer) = (vec![1.0], vec![f32::MIN_POSITIVE]);
    let numbers = SgdStep { weight_decay: 0.0, is_first: false, ..USUAL };
    with_momentum(&mut param, &[0.0], &mut buffer, numbers).unwrap();
    assert_eq!((param, buffer), (vec![1.0], vec![0.0]));
}

#[test]
fn same_bits_at_any_number_of_threads() {
    let (start, grad) = (fill(200_003, 1), fill(200_003, 2));
    same_bits("sgd", || {
        let (mut param, mut buffer) = (start.clone(), vec![0.0; start.len()]);
        for is_first in [true, false] {
            let numbers = SgdStep { nesterov: true, is_first, ..USUAL };
            with_momentum(&mut param, &grad, &mut buffer, numbers).unwrap();
        }
        [param, buffer].concat().into_iter().map(f64::from).collect()
    });
}

#[test]
fn refuses_numbers_and_lengths_and_then_moves_nothing() {
    let nan = f64::NAN;
    for (numbers, message) in [
        (SgdStep { lr: -1.0, ..USUAL }, "lr: expected a number of at least 0, got -1"),
        (SgdStep { lr: nan, ..USUAL }, "lr: expected a number of at least 0, got NaN"),
        (SgdStep { momentum: -0.5, ..USUAL }, "momentum: expected a number of at least 0, got -0.5"),
        (SgdStep { dampening: nan, ..USUAL }, "dampening: expected a number, got NaN"),
        (SgdStep { weight_decay: -1.0, ..USUAL }, "weight_decay: expected a number of at least 0, got -1"),
    ] {
        let (mut param, mut buffer) = (vec![1.0, 2.0], vec![0.0; 2]);
        let refused = with_momentum(&mut param, &[1.0, 1.0], &mut buffer, numbers);
        refuses(refused, "BAD_ARGUMENT", &format!("sgd: {message}"));
        assert_eq!((param, buffer), (vec![1.0, 2.0], vec![0.0; 2]));
    }
    let mut param = [1.0, 2.0];
    let refused = with_momentum(&mut param, &[1.0], &mut [0.0; 2], USUAL);
    refuses(refused, "SHAPE_MISMATCH", "sgd: grad: expected shape [2], got [1]");
    let refused = with_momentum(&mut param, &[1.0; 2], &mut [0.0; 3], USUAL);
    refuses(refused, "SHAPE_MISMATCH", "sgd: momentum_buffer: expected shape [2], got [3]");
    assert_eq!(param, [1.0, 2.0]);
}
