//! A true label as a distribution over the classes, with label smoothing if that is not 0 (Szegedy et al., 2016):
//! `label_smoothing` of `torch.nn.functional.cross_entropy`.

use crate::error::{Result, expect_that};
use crate::softmax::LogSumExp;

/// The targets of the label's class and of every other class: 1 - e + e / classes, and e / classes.
#[derive(Clone, Copy)]
pub(crate) struct SmoothedLabel {
    smoothing: f64,
    own: f32,
    other: f32,
}

impl SmoothedLabel {
    pub(crate) fn new(op: &'static str, smoothing: f64, classes: usize) -> Result<Self> {
        expect_that((0.0..=1.0).contains(&smoothing), op, "label_smoothing", smoothing, "a number from 0 to 1")?;
        let other = smoothing / classes as f64;
        Ok(Self { smoothing, own: (1.0 - smoothing + other) as f32, other: other as f32 })
    }

    /// The target of the class j.
    #[inline]
    pub(crate) fn of(self, j: usize, label: usize) -> f32 {
        if j == label { self.own } else { self.other }
    }

    /// The cross-entropy of a row of logits with the target.
    #[inline]
    pub(crate) fn loss(self, norm: LogSumExp, row: &[f32], label: usize) -> f64 {
        let own = f64::from(-norm.log_softmax(row[label]));
        // 0 * infinity would be NaN: without smoothing the other classes add nothing.
        if self.smoothing == 0.0 {
            return own;
        }
        let all: f64 = row.iter().map(|&x| f64::from(-norm.log_softmax(x))).sum();
        (1.0 - self.smoothing) * own + self.smoothing / row.len() as f64 * all
    }
}
