//! The distillation loss of Hinton, Vinyals and Dean (2015), with its gradient, in one pass over the rows:
//! alpha * T^2 * KL(softmax(teacher / T) || softmax(student / T)) + (1 - alpha) * cross-entropy(student, labels),
//! both averaged over the batch (`KLDivLoss(reduction="batchmean")`, `CrossEntropyLoss()`).

use crate::error::{
    KernelError, Result, contiguous, contiguous_mut, expect_labels, expect_non_empty, expect_shape, expect_that,
};
use crate::parallel::{self, Rows};
use crate::smoothed_label::SmoothedLabel;
use crate::softmax::LogSumExp;
use ndarray::{ArrayView2, ArrayViewMut2};

const OP: &str = "kd_loss";
/// Elements of a task, at least: each costs six exponentials, at a high temperature in double precision.
const GRAIN: usize = parallel::GRAIN / 64;
/// Above this temperature the divergence is a small difference, of which single precision keeps too few digits.
const DOUBLE_ABOVE: f32 = 10.0;

/// How soft the targets are, and how much they weigh.
#[derive(Debug, Clone, Copy)]
pub struct KdOptions {
    /// T > 0: logits are divided by it.
    pub temperature: f64,
    /// The weight of the soft targets, from 0 to 1; the true labels have the rest.
    pub alpha: f64,
    /// The share of a true label that all classes share, from 0 to 1; the soft targets are not smoothed.
    pub label_smoothing: f64,
}

/// The loss and its two parts, before they are weighted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KdLoss {
    /// alpha * soft + (1 - alpha) * hard.
    pub total: f64,
    /// T^2 times the divergence from the teacher.
    pub soft: f64,
    /// The cross-entropy with the labels.
    pub hard: f64,
}

/// The loss of student[rows, classes] against teacher[rows, classes] and labels[rows]; the gradient of the total by the
/// student's logits goes to grad[rows, classes].
pub fn kd_loss(
    student: ArrayView2<f32>,
    teacher: ArrayView2<f32>,
    labels: &[i32],
    options: KdOptions,
    mut grad: ArrayViewMut2<f32>,
) -> Result<KdLoss> {
    let (rows, classes) = student.dim();
    let KdOptions { temperature, alpha, label_smoothing } = options;
    expect_that(temperature > 0.0 && temperature.is_finite(), OP, "temperature", temperature, "a number above 0")?;
    expect_that((0.0..=1.0).contains(&alpha), OP, "alpha", alpha, "a number from 0 to 1")?;
    expect_non_empty(OP, "student_logits", student.shape())?;
    expect_shape(OP, "teacher_logits", teacher.shape(), &[rows, classes])?;
    expect_shape(OP, "labels", &[labels.len()], &[rows])?;
    expect_shape(OP, "grad", grad.shape(), &[rows, classes])?;
    expect_labels(OP, labels, classes)?;
    let target = SmoothedLabel::new(OP, label_smoothing, classes)?;
    let (student, teacher) = (contiguous(OP, "student_logits", &student)?, contiguous(OP, "teacher_logits", &teacher)?);
    let mut parts = vec![[0.0f64; 2]; rows];
    let work = (&mut parts[..], Rows(contiguous_mut(OP, "grad", &mut grad)?, classes));
    let row_loss = RowLoss::new(options, rows, target);
    parallel::for_each(work, GRAIN / classes + 1, |first, (parts, grad)| {
        for (i, (parts, grad)) in parts.iter_mut().zip(grad.0.chunks_exact_mut(classes)).enumerate() {
            let row = (first + i) * classes..(first + i + 1) * classes;
            *parts = row_loss.compute(&student[row.clone()], &teacher[row], labels[first + i] as usize, grad);
        }
    });
    let [soft, hard] = parts.iter().fold([0.0; 2], |[soft, hard], part| [soft + part[0], hard + part[1]]);
    let soft = soft * temperature * temperature / rows as f64;
    let hard = hard / rows as f64;
    // A part without weight may be infinite: a label that the student rules out.
    let weighted = |weight: f64, part: f64| if weight == 0.0 { 0.0 } else { weight * part };
    let total = weighted(alpha, soft) + weighted(1.0 - alpha, hard);
    if !total.is_finite() {
        return Err(KernelError::NonFinite { op: OP, what: "loss", got: total });
    }
    Ok(KdLoss { total, soft, hard })
}

struct RowLoss {
    temperature: f32,
    soft_weight: f32,
    hard_weight: f32,
    target: SmoothedLabel,
}

impl RowLoss {
    /// The gradient's weights: T^2 from the loss meets 1/T from the division of the logits.
    fn new(KdOptions { temperature, alpha, .. }: KdOptions, rows: usize, target: SmoothedLabel) -> Self {
        let rows = rows as f64;
        Self {
            temperature: temperature as f32,
            soft_weight: (alpha * temperature / rows) as f32,
            hard_weight: ((1.0 - alpha) / rows) as f32,
            target,
        }
    }

    /// By the C library's exponentials, as it always was: a long run ends elsewhere if a loss is rounded otherwise, and
    /// the reference script's has to end where it did. Of ten classes they take a hundredth of a step.
    fn compute(&self, student: &[f32], teacher: &[f32], label: usize, grad: &mut [f32]) -> [f64; 2] {
        if self.temperature > DOUBLE_ABOVE {
            return self.compute_in_double(student, teacher, label, grad);
        }
        let t = self.temperature;
        let student_soft = LogSumExp::of(student.iter().map(|s| s / t));
        let teacher_soft = LogSumExp::of(teacher.iter().map(|s| s / t));
        let student_hard = LogSumExp::of(student.iter().copied());
        let mut divergence = 0.0f64;
        for (j, ((g, &s), &z)) in grad.iter_mut().zip(student).zip(teacher).enumerate() {
            let (log_p, log_q) = (teacher_soft.log_softmax(z / t), student_soft.log_softmax(s / t));
            let p = log_p.exp();
            // 0 * log 0 is 0: a class that the teacher rules out adds nothing; NaN is no 0.
            if p != 0.0 {
                divergence += f64::from(p) * f64::from(log_p - log_q);
            }
            let hard = student_hard.log_softmax(s).exp() - self.target.of(j, label);
            *g = self.soft_weight * (log_q.exp() - p) + self.hard_weight * hard;
        }
        [divergence, self.target.loss(student_hard, student, label)]
    }

    /// The same for a high temperature, whose probabilities are close to each other.
    fn compute_in_double(&self, student: &[f32], teacher: &[f32], label: usize, grad: &mut [f32]) -> [f64; 2] {
        let t = f64::from(self.temperature);
        let student_hard = LogSumExp::of(student.iter().copied());
        let (of_student, of_teacher) = (log_sum_exp(student, t), log_sum_exp(teacher, t));
        let mut divergence = 0.0f64;
        for (j, ((g, &s), &z)) in grad.iter_mut().zip(student).zip(teacher).enumerate() {
            let (log_p, log_q) = (f64::from(z) / t - of_teacher, f64::from(s) / t - of_student);
            let (p, d) = (log_p.exp(), log_p - log_q);
            let difference = if d.abs() < 1.0 { p * (-d).exp_m1() } else { log_q.exp() - p };
            // The differences of a row add up to 0; with them no digits are lost.
            divergence += difference + if p == 0.0 { 0.0 } else { p * d };
            let hard = student_hard.log_softmax(s).exp() - self.target.of(j, label);
            *g = (f64::from(self.soft_weight) * difference) as f32 + self.hard_weight * hard;
        }
        [divergence, self.target.loss(student_hard, student, label)]
    }
}

/// log(sum(exp(x / t))).
fn log_sum_exp(x: &[f32], t: f64) -> f64 {
    let max = x.iter().fold(f64::NEG_INFINITY, |max, &x| max.max(f64::from(x))) / t;
    max + x.iter().map(|&x| (f64::from(x) / t - max).exp()).sum::<f64>().ln()
}
