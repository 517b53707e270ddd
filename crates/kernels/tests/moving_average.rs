//! Averaged weights: updates against a naive loop in double precision.

use crate::common::{SIZES, close, fill, refuses, same_bits};
use distillery_kernels::Result;
use distillery_kernels::moving_average;
use distillery_kernels::optimizer::Slot;

fn update(param: &mut [f32], grad: &[f32], decay: f64) -> Result<()> {
    moving_average::update(vec![Slot { param, grad, state: [] }], decay)
}

#[test]
fn updates_are_those_of_a_naive_loop() {
    for decay in [0.0, 0.9, 0.999, 1.0] {
        for len in SIZES.into_iter().chain([0, 100_003]) {
            let mut averages = fill(len, 1);
            let mut wanted: Vec<f64> = averages.iter().map(|&x| x.into()).collect();
            for count in 0..3 {
                let values = fill(len, 2 + count);
                update(&mut averages, &values, decay).unwrap();
                for (average, value) in wanted.iter_mut().zip(values) {
                    *average = decay * *average + (1.0 - decay) * f64::from(value);
                }
            }
            close(&format!("{decay} on {len}"), &averages, &wanted, 5e-7);
        }
    }
}

#[test]
fn same_bits_at_any_number_of_threads() {
    let (start, values) = (fill(200_003, 1), fill(200_003, 2));
    same_bits("moving_average", || {
        let mut averages = start.clone();
        update(&mut averages, &values, 0.99).unwrap();
        averages.into_iter().map(f64::from).collect()
    });
}

#[test]
fn refuses_numbers_and_lengths_and_then_moves_nothing() {
    let mut averages = [1.0, 2.0];
    for decay in [-0.1, 1.5, f64::NAN] {
        let message = format!("moving_average: decay: expected a number from 0 to 1, got {decay}");
        refuses(update(&mut averages, &[0.0; 2], decay), "BAD_ARGUMENT", &message);
    }
    let refused = update(&mut averages, &[0.0], 0.5);
    refuses(refused, "SHAPE_MISMATCH", "moving_average: grad: expected shape [2], got [1]");
    assert_eq!(averages, [1.0, 2.0]);
}
