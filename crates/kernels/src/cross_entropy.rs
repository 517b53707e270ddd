//! Cross-entropy of logits with true labels, averaged over the batch, `torch.nn.functional.cross_entropy`.

use crate::error::{KernelError, Result, contiguous, contiguous_mut, expect_labels, expect_non_empty, expect_shape};
use crate::parallel::{self, Rows};
use crate::smoothed_label::SmoothedLabel;
use crate::softmax::{exponentials, rows_of_block};
use crate::vectorised::vectorised;
use ndarray::{ArrayView2, ArrayViewMut2};

const OP: &str = "cross_entropy";
/// Elements of a task, at least: each costs two exponentials.
const GRAIN: usize = parallel::GRAIN / 4;

/// The mean loss of logits[rows, classes] with labels[rows], of which all classes share `label_smoothing`, from 0 to 1;
/// its gradient goes to grad[rows, classes].
pub fn cross_entropy(
    logits: ArrayView2<f32>,
    labels: &[i32],
    label_smoothing: f64,
    mut grad: ArrayViewMut2<f32>,
) -> Result<f64> {
    let (rows, classes) = logits.dim();
    expect_non_empty(OP, "logits", logits.shape())?;
    expect_shape(OP, "labels", &[labels.len()], &[rows])?;
    expect_shape(OP, "grad", grad.shape(), &[rows, classes])?;
    expect_labels(OP, labels, classes)?;
    let target = SmoothedLabel::new(OP, label_smoothing, classes)?;
    let logits = contiguous(OP, "logits", &logits)?;
    let mut losses = vec![0.0f64; rows];
    let work = (&mut losses[..], Rows(contiguous_mut(OP, "grad", &mut grad)?, classes));
    parallel::for_each(work, GRAIN / classes + 1, |first, (losses, grad)| {
        let block = rows_of_block(classes);
        let parts = losses.chunks_mut(block).zip(grad.0.chunks_mut(block * classes));
        for (i, (losses, grad)) in parts.enumerate() {
            let rows_before = first + i * block;
            let logits = &logits[rows_before * classes..][..grad.len()];
            cross_entropy_block(logits, &labels[rows_before..], target, losses, grad, rows as f32);
        }
    });
    let loss = losses.iter().sum::<f64>() / rows as f64;
    if loss.is_finite() { Ok(loss) } else { Err(KernelError::NonFinite { op: OP, what: "loss", got: loss }) }
}

vectorised! {
fn cross_entropy_block<'a>(
    logits: &'a [f32],
    labels: &'a [i32],
    target: SmoothedLabel,
    losses: &'a mut [f64],
    grad: &'a mut [f32],
    rows: f32,
) {
    let classes = logits.len() / losses.len();
    let norms = exponentials(logits, 1.0, grad, classes);
    let inputs = logits.chunks_exact(classes).zip(labels).zip(norms);
    for ((loss, grad), ((row, &label), norm)) in losses.iter_mut().zip(grad.chunks_exact_mut(classes)).zip(inputs) {
        *loss = target.loss(norm, row, label as usize);
        for (j, g) in grad.iter_mut().enumerate() {
            *g = (norm.softmax(*g) - target.of(j, label as usize)) / rows;
        }
    }
}
}
