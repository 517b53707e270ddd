use crate::borrow::{F32, F32Mut, I32, Memory};
use crate::error::{Result, kernel_error};
use distillery_kernels::cross_entropy;
use distillery_kernels::kd_loss::{self, KdOptions};
use napi_derive::napi;

/// The distillation loss of logits [rows, classes] and labels [rows] as [total, soft, hard]; grad receives the gradient
/// of the total by the student's logits
#[napi(catch_unwind, ts_return_type = "[total: number, soft: number, hard: number]")]
pub fn kd_loss(
    student_logits: F32,
    teacher_logits: F32,
    labels: I32,
    mut grad: F32Mut,
    rows: u32,
    classes: u32,
    temperature: f64,
    alpha: f64,
    label_smoothing: f64,
) -> Result<Vec<f64>> {
    let mut memory = Memory::new();
    let student = memory.view("studentLogits", &student_logits, [rows, classes])?;
    let teacher = memory.view("teacherLogits", &teacher_logits, [rows, classes])?;
    let labels = memory.read(&labels)?;
    let grad = memory.view_mut("grad", &mut grad, [rows, classes])?;
    let options = KdOptions { temperature, alpha, label_smoothing };
    let loss = kd_loss::kd_loss(student, teacher, labels, options, grad).map_err(kernel_error)?;
    Ok(vec![loss.total, loss.soft, loss.hard])
}

/// The mean cross-entropy of logits [rows, classes] and labels [rows]; grad receives its gradient by the logits
#[napi(catch_unwind)]
pub fn cross_entropy(
    logits: F32,
    labels: I32,
    mut grad: F32Mut,
    rows: u32,
    classes: u32,
    label_smoothing: f64,
) -> Result<f64> {
    let mut memory = Memory::new();
    let logits = memory.view("logits", &logits, [rows, classes])?;
    let labels = memory.read(&labels)?;
    let grad = memory.view_mut("grad", &mut grad, [rows, classes])?;
    cross_entropy::cross_entropy(logits, labels, label_smoothing, grad).map_err(kernel_error)
}
