//! Cross-entropy and its gradient: against a naive loop, slopes and PyTorch.

mod common;

use common::{blank, close, labels, matrix, pairs, ramp, refuses, same_bits, scaled, shaped, slope, wide};
use distillery_kernels::Result;
use distillery_kernels::cross_entropy::cross_entropy;
use ndarray::Array2;

fn run(logits: &Array2<f32>, labels: &[i32]) -> Result<(f64, Array2<f32>)> {
    let mut grad = blank(logits.nrows(), logits.ncols());
    cross_entropy(logits.view(), labels, grad.view_mut()).map(|loss| (loss, grad))
}

fn log_softmax(x: &[f64]) -> Vec<f64> {
    let log_sum = x.iter().map(|x| x.exp()).sum::<f64>().ln();
    x.iter().map(|x| x - log_sum).collect()
}

fn naive(logits: &[f64], labels: &[i32]) -> f64 {
    let rows = logits.chunks_exact(logits.len() / labels.len());
    -rows.zip(labels).map(|(row, &label)| log_softmax(row)[label as usize]).sum::<f64>() / labels.len() as f64
}

/// Times the number of rows: the gradient of each row's own loss.
fn naive_gradient(logits: &[f64], labels: &[i32]) -> Vec<f64> {
    let rows = logits.chunks_exact(logits.len() / labels.len()).zip(labels);
    rows.flat_map(|(row, &label)| {
        let hit = move |j: usize| f64::from(j == label as usize);
        log_softmax(row).into_iter().enumerate().map(move |(j, y)| y.exp() - hit(j))
    })
    .collect()
}

#[test]
fn loss_and_gradient_are_those_of_a_naive_loop() {
    for (rows, classes) in pairs() {
        let (logits, labels) = (matrix(rows, classes, 1) * 4.0, labels(rows, classes));
        let (loss, grad) = run(&logits, &labels).unwrap();
        let (label, logits) = (format!("{rows}x{classes}"), wide(logits.view()));
        close(&label, &[loss], &[naive(&logits, &labels)], 1e-6);
        close(&label, &scaled(grad.as_slice().unwrap(), rows as f64), &naive_gradient(&logits, &labels), 1e-6);
    }
}

#[test]
fn gradient_is_the_slope() {
    let (logits, labels) = (matrix(7, 5, 1), labels(7, 5));
    let want = slope(&wide(logits.view()), |logits| naive(logits, &labels));
    close("gradient", run(&logits, &labels).unwrap().1.as_slice().unwrap(), &want, 1e-7);
}

/// ```python
/// x = torch.tensor([(i * 7) % 11 / 4 - 1 for i in range(12)]).reshape(3, 4).requires_grad_()
/// loss = F.cross_entropy(x, torch.tensor([0, 3, 1])); loss.backward(); loss, x.grad
/// ```
#[test]
fn numbers_are_those_of_pytorch() {
    let (loss, grad) = run(&shaped(3, 4, ramp(12, 7, 11)), &[0, 3, 1]).unwrap();
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

#[test]
fn large_logits_do_not_overflow() {
    let (loss, grad) = run(&shaped(2, 2, vec![3e4, -3e4, -1e30, 0.0]), &[0, 1]).unwrap();
    assert_eq!((loss, grad.sum()), (0.0, 0.0));
}

#[test]
fn same_bits_at_any_number_of_threads() {
    for (rows, classes) in pairs().chain([(10_007, 10)]) {
        let (logits, labels) = (matrix(rows, classes, 1), labels(rows, classes));
        same_bits(&format!("{rows}x{classes}"), || {
            let (loss, grad) = run(&logits, &labels).unwrap();
            wide(grad.view()).into_iter().chain([loss]).collect()
        });
    }
}

#[test]
fn refuses_shapes_labels_and_what_is_not_finite() {
    let call = |rows, classes, labels: &[i32]| run(&matrix(rows, classes, 1), labels);
    let poisoned = |x: f32| run(&shaped(1, 2, vec![x, 0.0]), &[1]);
    let grad = cross_entropy(matrix(2, 3, 1).view(), &[0, 1], blank(3, 2).view_mut()).map(|loss| (loss, blank(0, 0)));
    let not_finite = |got| {
        let advice = "look for NaN or infinity in the data, or lower the learning rate";
        format!("cross_entropy: loss is not finite (got {got}): {advice}")
    };
    let shape = "SHAPE_MISMATCH";
    for (result, code, message) in [
        (call(0, 3, &[]), shape, "cross_entropy: logits: expected shape [1, 3], got [0, 3]"),
        (call(3, 0, &[0; 3]), shape, "cross_entropy: logits: expected shape [3, 1], got [3, 0]"),
        (call(2, 3, &[0]), shape, "cross_entropy: labels: expected shape [2], got [1]"),
        (grad, shape, "cross_entropy: grad: expected shape [2, 3], got [3, 2]"),
        (call(2, 3, &[0, 3]), "LABEL_OUT_OF_RANGE", "cross_entropy: labels[1]: expected a class from 0 to 2, got 3"),
        (call(2, 3, &[-1, 0]), "LABEL_OUT_OF_RANGE", "cross_entropy: labels[0]: expected a class from 0 to 2, got -1"),
        (poisoned(f32::NAN), "NON_FINITE", &not_finite("NaN")),
        (poisoned(f32::INFINITY), "NON_FINITE", &not_finite("NaN")),
        (run(&shaped(1, 2, vec![0.0, f32::NEG_INFINITY]), &[1]), "NON_FINITE", &not_finite("inf")),
    ] {
        refuses(result, code, message);
    }
}
