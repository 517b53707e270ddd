use crate::borrow::{F32, F32Mut, I32, Memory, matrix, matrix_mut};
use crate::error::{Result, kernel};
use distillery_kernels::cross_entropy as cross_entropy_kernel;
use distillery_kernels::kd_loss::{self as kd_loss_kernel, KdOptions};
use napi_derive::napi;

/// Logits and grad are [rows, classes], labels [rows]; grad receives the gradient of the student's logits
#[napi(object, object_to_js = false)]
pub struct KdLoss {
    pub student_logits: F32,
    pub teacher_logits: F32,
    pub labels: I32,
    pub grad: F32Mut,
    pub rows: u32,
    pub classes: u32,
    pub temperature: f64,
    pub alpha: f64,
    pub label_smoothing: f64,
}

/// The distillation loss as [total, soft, hard]; writes the gradient of the total
#[napi(catch_unwind, ts_return_type = "[total: number, soft: number, hard: number]")]
pub fn kd_loss(mut call: KdLoss) -> Result<Vec<f64>> {
    let KdLoss { rows, classes, temperature, alpha, label_smoothing, .. } = call;
    let mut memory = Memory::new();
    let student = matrix("studentLogits", memory.read(&call.student_logits)?, rows, classes)?;
    let teacher = matrix("teacherLogits", memory.read(&call.teacher_logits)?, rows, classes)?;
    let labels = memory.read(&call.labels)?;
    let grad = matrix_mut("grad", memory.write(&mut call.grad)?, rows, classes)?;
    let options = KdOptions { temperature, alpha, label_smoothing };
    let loss = kd_loss_kernel::kd_loss(student, teacher, labels, options, grad).map_err(kernel)?;
    Ok(vec![loss.total, loss.soft, loss.hard])
}

/// Logits and grad are [rows, classes], labels [rows]; grad receives the gradient of the logits
#[napi(object, object_to_js = false)]
pub struct CrossEntropy {
    pub logits: F32,
    pub labels: I32,
    pub grad: F32Mut,
    pub rows: u32,
    pub classes: u32,
    pub label_smoothing: f64,
}

/// The mean cross-entropy; writes its gradient
#[napi(catch_unwind)]
pub fn cross_entropy(mut call: CrossEntropy) -> Result<f64> {
    let CrossEntropy { rows, classes, label_smoothing, .. } = call;
    let mut memory = Memory::new();
    let logits = matrix("logits", memory.read(&call.logits)?, rows, classes)?;
    let labels = memory.read(&call.labels)?;
    let grad = matrix_mut("grad", memory.write(&mut call.grad)?, rows, classes)?;
    cross_entropy_kernel::cross_entropy(logits, labels, label_smoothing, grad).map_err(kernel)
}
