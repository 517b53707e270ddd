//! What a kernel refuses, as data: the operation, the argument, what came and what was expected.

use ndarray::{ArrayView, ArrayViewMut, Dimension};

/// The result of a kernel.
pub type Result<T> = std::result::Result<T, KernelError>;

/// Why a kernel failed. All but `NonFinite` are returned before anything is written; `NonFinite` is returned after all
/// outputs were written in full, as unusable as the value that it reports.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum KernelError {
    /// An array has another shape than the operation needs.
    #[error("{op}: {what}: expected shape {expected:?}, got {got:?}")]
    Shape { op: &'static str, what: &'static str, got: Vec<usize>, expected: Vec<usize> },
    /// A number lies outside its range.
    #[error("{op}: {what}: expected {expected}, got {got}")]
    Argument { op: &'static str, what: &'static str, got: f64, expected: &'static str },
    /// An argument is of another kind.
    #[error("{op}: {what}: expected {expected}")]
    Kind { op: &'static str, what: &'static str, expected: &'static str },
    /// Nothing has such a name.
    #[error("{op}: no {what} is named {name}")]
    Unknown { op: &'static str, what: &'static str, name: String },
    /// An array has no rows or no columns.
    #[error("{op}: {what}: expected at least one row and one column, got shape {got:?}")]
    Empty { op: &'static str, what: &'static str, got: Vec<usize> },
    /// A label names no class.
    #[error("{op}: labels[{index}]: expected a class from 0 to {}, got {got}", classes - 1)]
    Label { op: &'static str, index: usize, got: i32, classes: usize },
    /// A result is NaN or infinite.
    #[error("{op}: {what} is not finite (got {got}): look for NaN or infinity in the data, or lower the learning rate")]
    NonFinite { op: &'static str, what: &'static str, got: f64 },
    /// BatchNorm in train mode needs two values per channel.
    #[error("{op}: expected more than 1 value per channel when training, got a batch of {rows}")]
    BatchTooSmall { op: &'static str, rows: usize },
    /// An array is not contiguous in row-major order.
    #[error("{op}: {what}: expected a contiguous row-major array")]
    Layout { op: &'static str, what: &'static str },
}

impl KernelError {
    /// The stable code that users of the library match on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Shape { .. } | Self::Empty { .. } | Self::Layout { .. } => "SHAPE_MISMATCH",
            Self::Argument { .. } | Self::Unknown { .. } => "BAD_ARGUMENT",
            Self::Kind { .. } => "BAD_DTYPE",
            Self::Label { .. } => "LABEL_OUT_OF_RANGE",
            Self::NonFinite { .. } => "NON_FINITE",
            Self::BatchTooSmall { .. } => "BATCH_TOO_SMALL",
        }
    }
}

/// Refuses a shape that is not the expected one.
pub fn expect_shape(op: &'static str, what: &'static str, got: &[usize], expected: &[usize]) -> Result<()> {
    if got == expected {
        return Ok(());
    }
    Err(KernelError::Shape { op, what, got: got.to_vec(), expected: expected.to_vec() })
}

/// Refuses an array without elements.
pub fn expect_non_empty(op: &'static str, what: &'static str, shape: &[usize]) -> Result<()> {
    if !shape.contains(&0) {
        return Ok(());
    }
    Err(KernelError::Empty { op, what, got: shape.to_vec() })
}

/// Refuses a number that is not in its range.
pub fn expect_that(ok: bool, op: &'static str, what: &'static str, got: f64, expected: &'static str) -> Result<()> {
    if ok {
        return Ok(());
    }
    Err(KernelError::Argument { op, what, got, expected })
}

/// Refuses labels that name no class.
pub fn expect_labels(op: &'static str, labels: &[i32], classes: usize) -> Result<()> {
    match labels.iter().position(|&label| label < 0 || label as usize >= classes) {
        None => Ok(()),
        Some(index) => Err(KernelError::Label { op, index, got: labels[index], classes }),
    }
}

/// The elements of a contiguous row-major view.
pub fn contiguous<'a, T, D: Dimension>(
    op: &'static str,
    what: &'static str,
    view: &'a ArrayView<T, D>,
) -> Result<&'a [T]> {
    view.as_slice().ok_or(KernelError::Layout { op, what })
}

/// The elements of a contiguous row-major view, to write.
pub fn contiguous_mut<'a, T, D: Dimension>(
    op: &'static str,
    what: &'static str,
    view: &'a mut ArrayViewMut<T, D>,
) -> Result<&'a mut [T]> {
    view.as_slice_mut().ok_or(KernelError::Layout { op, what })
}
