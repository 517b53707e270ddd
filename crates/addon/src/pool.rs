use crate::borrow::{F32, F32Mut, Memory};
use crate::error::{Result, kernel_error};
use crate::list::List;
use distillery_kernels::pool::{self, Span, Windows};
use napi_derive::napi;

/// The windows of planes[height, width]: for each row of outputs, and each column, four numbers: the first element,
/// that after the last, from one to the next, and what a mean counts
#[napi(object, object_to_js = false)]
pub struct PoolWindows {
    pub height: u32,
    pub width: u32,
    pub rows: List<u32>,
    pub columns: List<u32>,
}

/// What a pooling reads and writes: x[planes, height, width]; a mean is multiplied by scale
#[napi(object, object_to_js = false)]
pub struct PoolForward {
    pub x: F32,
    pub out: F32Mut,
    pub windows: PoolWindows,
    pub scale: f64,
}

/// What its gradient reads and writes: that of the output, x, and the gradient of x
#[napi(object, object_to_js = false)]
pub struct PoolBackward {
    pub grad: F32,
    pub x: F32,
    pub grad_x: F32Mut,
    pub windows: PoolWindows,
    pub scale: f64,
}

/// out = the largest element of each window of x
#[napi(catch_unwind)]
pub fn max_pool_forward(mut call: PoolForward) -> Result<()> {
    let mut memory = Memory::new();
    let (x, out) = (memory.read(&call.x)?, memory.write(&mut call.out)?);
    pool::max(&call.windows.read()?, x, out).map_err(kernel_error)
}

/// The gradient of maxPoolForward's x
#[napi(catch_unwind)]
pub fn max_pool_backward(mut call: PoolBackward) -> Result<()> {
    let mut memory = Memory::new();
    let (grad, x, grad_x) = (memory.read(&call.grad)?, memory.read(&call.x)?, memory.write(&mut call.grad_x)?);
    pool::max_backward(&call.windows.read()?, grad, x, grad_x).map_err(kernel_error)
}

/// out = scale * the sum of each window of x / its counts
#[napi(catch_unwind)]
pub fn avg_pool_forward(mut call: PoolForward) -> Result<()> {
    let mut memory = Memory::new();
    let (x, out) = (memory.read(&call.x)?, memory.write(&mut call.out)?);
    pool::average(&call.windows.read()?, call.scale, x, out).map_err(kernel_error)
}

/// The gradient of avgPoolForward's x
#[napi(catch_unwind)]
pub fn avg_pool_backward(mut call: PoolBackward) -> Result<()> {
    let mut memory = Memory::new();
    let (grad, x, grad_x) = (memory.read(&call.grad)?, memory.read(&call.x)?, memory.write(&mut call.grad_x)?);
    pool::average_backward(&call.windows.read()?, call.scale, grad, x, grad_x).map_err(kernel_error)
}

impl PoolWindows {
    fn read(&self) -> Result<Windows> {
        let [rows, columns] = [&self.rows, &self.columns].map(|list| Span::list(list).map_err(kernel_error));
        Ok(Windows { height: self.height as usize, width: self.width as usize, rows: rows?, columns: columns? })
    }
}
