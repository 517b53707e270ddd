//! Cross-entropy and its gradient: against a naive loop, slopes and PyTorch.

use crate::common::{blank, close, labels, matrix, pairs, ramp, refuses, same_bits, scaled, shaped, slope, wide};
use distillery_kernels::Result;
use distillery_kernels::cross_entropy::cross_entropy;
use ndarray::Array2;

const SMOOTHINGS: [f64; 4] = [0.0, 0.1, 0.5, 1.0];

fn run(logits: &Array2<f32>, labels: &[i32], smoothing: f64) -> Result<(f64, Array2<f32>)> {
    let mut grad = blank(logits.nrows(), logits.ncols());
    cross_entropy(logits.view(), labels, smoothing, grad.view_mut()).map(|loss| (loss, grad))
}

fn log_softmax(x: &[f64]) -> Vec<f64> {
    let log_sum = x.iter().map(|x| x.exp()).sum::<f64>().ln();
    x.iter().map(|x| x - log_sum).collect()
}

/// What the class j of a row is expected with.
fn target(j: usize, label: i32, classes: usize, smoothing: f64) -> f64 {
    (1.0 - smoothing) * f64::from(j == label as usize) + smoothing / classes as f64
}

fn naive(logits: &[f64], labels: &[i32], smoothing: f64) -> f64 {
    let classes = logits.len() / labels.len();
    let rows = logits.chunks_exact(classes).zip(labels);
    let terms = rows.flat_map(|(row, &label)| {
        let weighed = move |(j, y): (usize, f64)| -y * target(j, label, classes, smoothing);
        log_softmax(row).into_iter().enumerate().map(weighed)
    });
    terms.sum::<f64>() / labels.len() as f64
}

/// Times the number of rows: the gradient of each row's own loss.
fn naive_gradient(logits: &[f64], labels: &[i32], smoothing: f64) -> Vec<f64> {
    let classes = logits.len() / labels.len();
    let rows = logits.chunks_exact(classes).zip(labels);
    rows.flat_map(|(row, &label)| {
        let slope = move |(j, y): (usize, f64)| y.exp() - target(j, label, classes, smoothing);
        log_softmax(row).into_iter().enumerate().map(slope)
    })
    .collect()
}

#[test]
fn loss_and_gradient_are_those_of_a_naive_loop() {
    for (rows, classes) in pairs() {
        let (logits, labels) = (matrix(rows, classes, 1) * 4.0, labels(rows, classes));
        for smoothing in SMOOTHINGS {
            let (loss, grad) = run(&logits, &labels, smoothing).unwrap();
            let (label, logits) = (format!("{rows}x{classes} {smoothing}"), wide(logits.view()));
            close(&label, &[loss], &[naive(&logits, &labels, smoothing)], 1e-6);
            let want = naive_gradient(&logits, &labels, smoothing);
            close(&label, &scaled(grad.as_slice().unwrap(), rows as f64), &want, 1e-6);
        }
    }
}

#[test]
fn gradient_is_the_slope() {
    let (logits, labels) = (matrix(7, 5, 1), labels(7, 5));
    for smoothing in SMOOTHINGS {
        let want = slope(&wide(logits.view()), |logits| naive(logits, &labels, smoothing));
        close("gradient", run(&logits, &labels, smoothing).unwrap().1.as_slice().unwrap(), &want, 1e-7);
    }
}

/// ```python
/// x = torch.tensor([(i * 7) % 11 / 4 - 1 for i in range(12)]).reshape(3, 4).requires_grad_()
/// loss = F.cross_entropy(x, torch.tensor([0, 3, 1])); loss.backward(); loss, x.grad
/// ```
#[test]
fn numbers_are_those_of_pytorch() {
    let (loss, grad) = run(&shaped(3, 4, ramp(12, 7, 11)), &[0, 3, 1], 0.0).unwrap();
    close("loss", &[loss], &[1.7547426223754883], 2e-7);
    let want = [
        -0.31750109791755676,
        0.09110821783542633,
        0.033516839146614075,
        0.19287608563899994,
        0.07817971706390381,
        0.02876070886850357,
        0.16550646722316742,
        -0.2724469304084778,
        0.034540873020887375,
        -0.1345643699169159,
        0.0731230229139328,
        0.026900459080934525,
    ];
    close("gradient", grad.as_slice().unwrap(), &want, 1e-7);
}

/// As above, with `label_smoothing=0.2`.
#[test]
fn smoothed_numbers_are_those_of_pytorch() {
    let (loss, grad) = run(&shaped(3, 4, ramp(12, 7, 11)), &[0, 3, 1], 0.2).unwrap();
    close("loss", &[loss], &[1.742242693901062], 2e-7);
    let want = [
        -0.2675011157989502,
        0.0744415670633316,
        0.016850179061293602,
        0.1762094497680664,
        0.061513058841228485,
        0.0120940450578928,
        0.1488398164510727,
        -0.22244693338871002,
        0.017874211072921753,
        -0.08456434309482574,
        0.056456372141838074,
        0.010233796201646328,
    ];
    close("gradient", grad.as_slice().unwrap(), &want, 1e-7);
}

#[test]
fn large_logits_do_not_overflow() {
    let logits = shaped(2, 2, vec![3e4, -3e4, -1e30, 0.0]);
    let (loss, grad) = run(&logits, &[0, 1], 0.0).unwrap();
    assert_eq!((loss, grad.sum()), (0.0, 0.0));
    let (loss, grad) = run(&logits, &[0, 1], 0.5).unwrap();
    close("loss", &[loss], &[(0.25 * 6e4 + 0.25 * 1e30) / 2.0], 1e-6);
    close("gradient", grad.as_slice().unwrap(), &[0.125, -0.125, -0.125, 0.125], 1e-7);
}

#[test]
fn a_class_that_is_ruled_out_costs_only_the_smoothed() {
    let logits = shaped(1, 2, vec![0.0, f32::NEG_INFINITY]);
    assert_eq!(run(&logits, &[0], 0.0).unwrap(), (0.0, shaped(1, 2, vec![0.0, 0.0])));
    assert_eq!(run(&logits, &[0], 0.1).unwrap_err().code(), "NON_FINITE");
}

#[test]
fn same_bits_at_any_number_of_threads() {
    for (rows, classes) in pairs().chain([(10_007, 10)]) {
        let (logits, labels) = (matrix(rows, classes, 1), labels(rows, classes));
        same_bits(&format!("{rows}x{classes}"), || {
            let (loss, grad) = run(&logits, &labels, 0.1).unwrap();
            wide(grad.view()).into_iter().chain([loss]).collect()
        });
    }
}

#[test]
fn refuses_shapes_labels_and_what_is_not_finite() {
    let call = |rows, classes, labels: &[i32]| run(&matrix(rows, classes, 1), labels, 0.0);
    let poisoned = |x: f32| run(&shaped(1, 2, vec![x, 0.0]), &[1], 0.0);
    let smoothed = |smoothing| run(&matrix(2, 3, 1), &[0, 1], smoothing);
    let grad =
        cross_entropy(matrix(2, 3, 1).view(), &[0, 1], 0.0, blank(3, 2).view_mut()).map(|loss| (loss, blank(0, 0)));
    let not_finite = |got| {
        let advice = "look for NaN or infinity in the data, or lower the learning rate";
        format!("cross_entropy: loss is not finite (got {got}): {advice}")
    };
    let (shape, argument) = ("SHAPE_MISMATCH", "BAD_ARGUMENT");
    let share = "cross_entropy: label_smoothing: expected a number from 0 to 1, got";
    for (result, code, message) in [
        (call(0, 3, &[]), shape, "cross_entropy: logits: expected at least one row and one column, got shape [0, 3]"),
        (
            call(3, 0, &[0; 3]),
            shape,
            "cross_entropy: logits: expected at least one row and one column, got shape [3, 0]",
        ),
        (call(2, 3, &[0]), shape, "cross_entropy: labels: expected shape [2], got [1]"),
        (grad, shape, "cross_entropy: grad: expected shape [2, 3], got [3, 2]"),
        (call(2, 3, &[0, 3]), "LABEL_OUT_OF_RANGE", "cross_entropy: labels[1]: expected a class from 0 to 2, got 3"),
        (call(2, 3, &[-1, 0]), "LABEL_OUT_OF_RANGE", "cross_entropy: labels[0]: expected a class from 0 to 2, got -1"),
        (smoothed(-0.1), argument, &format!("{share} -0.1")),
        (smoothed(1.1), argument, &format!("{share} 1.1")),
        (smoothed(f64::NAN), argument, &format!("{share} NaN")),
        (poisoned(f32::NAN), "NON_FINITE", &not_finite("NaN")),
        (poisoned(f32::INFINITY), "NON_FINITE", &not_finite("NaN")),
        (run(&shaped(1, 2, vec![0.0, f32::NEG_INFINITY]), &[1], 0.0), "NON_FINITE", &not_finite("inf")),
    ] {
        refuses(result, code, message);
    }
}
