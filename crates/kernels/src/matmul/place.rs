//! Where the factors of a product and the product itself lie in memory.

use ndarray::{ArrayView2, ArrayViewMut2};

/// A factor where it lies: its first element, and the distance to the next row and to the next column.
#[derive(Clone, Copy)]
pub(super) struct Source {
    pub start: *const f32,
    pub row: isize,
    pub column: isize,
}

impl Source {
    #[inline(always)]
    pub fn at(&self, row: usize, column: usize) -> *const f32 {
        self.start.wrapping_offset(row as isize * self.row + column as isize * self.column)
    }

    pub fn turned(self) -> Self {
        Self { row: self.column, column: self.row, ..self }
    }
}

impl From<&ArrayView2<'_, f32>> for Source {
    fn from(view: &ArrayView2<f32>) -> Self {
        Self { start: view.as_ptr(), row: view.strides()[0], column: view.strides()[1] }
    }
}

/// Where the product goes.
#[derive(Clone, Copy)]
pub(super) struct Target(pub Source);

impl From<&mut ArrayViewMut2<'_, f32>> for Target {
    fn from(view: &mut ArrayViewMut2<f32>) -> Self {
        let start = view.as_mut_ptr();
        Self(Source { start, row: view.strides()[0], column: view.strides()[1] })
    }
}

impl Target {
    #[inline(always)]
    pub fn at(&self, row: usize, column: usize) -> *mut f32 {
        self.0.at(row, column).cast_mut()
    }
}
