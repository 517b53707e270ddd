//! Kernel errors become JavaScript errors here; `code` carries the kernel's stable code.

use distillery_kernels::KernelError;

/// A stable error code, the `code` of the JavaScript error.
pub struct Code(pub &'static str);

impl AsRef<str> for Code {
    fn as_ref(&self) -> &str {
        self.0
    }
}

/// The error of every exported function.
pub type Error = napi::Error<Code>;
/// The result of every exported function.
pub type Result<T> = std::result::Result<T, Error>;

/// An error with a code and a text.
pub fn error(code: &'static str, reason: impl Into<String>) -> Error {
    Error::new(Code(code), reason.into())
}

/// Maps a kernel's error.
pub fn kernel_error(cause: KernelError) -> Error {
    error(cause.code(), cause.to_string())
}
