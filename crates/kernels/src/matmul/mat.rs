//! Matrices as pointers with strides, which the loops split without bounds checks.

use ndarray::{ArrayView2, ArrayViewMut2};
use pulp::Simd;

/// A matrix that is read: element (i, j) is at `ptr + i * rs + j * cs`.
#[derive(Clone, Copy)]
pub(super) struct MatRef {
    pub ptr: *const f32,
    /// Row stride: the distance from one row to the next, in elements.
    pub rs: isize,
    /// Column stride.
    pub cs: isize,
}

/// A matrix that is written.
#[derive(Clone, Copy)]
pub(super) struct MatMut {
    pub ptr: *mut f32,
    pub rs: isize,
    pub cs: isize,
}

// SAFETY: the memory is borrowed for the whole call that threads share, and nobody writes it meanwhile.
unsafe impl Send for MatRef {}
// SAFETY: as above.
unsafe impl Sync for MatRef {}
// SAFETY: threads write parts that do not overlap.
unsafe impl Send for MatMut {}
// SAFETY: as above.
unsafe impl Sync for MatMut {}

/// A buffer that threads fill, each its own part.
#[derive(Clone, Copy)]
pub(super) struct Shared<T>(pub *mut T);

// SAFETY: each part is written by one thread, and read by others only after all have been written.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    pub fn add(&self, offset: usize) -> *mut T {
        self.0.wrapping_add(offset)
    }
}

impl MatRef {
    #[inline(always)]
    pub fn at(self, i: usize, j: usize) -> *const f32 {
        self.ptr.wrapping_offset(i as isize * self.rs + j as isize * self.cs)
    }

    /// The part of the matrix that begins at element (i, j).
    #[inline(always)]
    pub fn from(self, i: usize, j: usize) -> Self {
        Self { ptr: self.at(i, j), ..self }
    }

    #[inline(always)]
    pub fn transposed(self) -> Self {
        Self { rs: self.cs, cs: self.rs, ..self }
    }
}

impl MatMut {
    #[inline(always)]
    pub fn at(self, i: usize, j: usize) -> *mut f32 {
        self.ptr.wrapping_offset(i as isize * self.rs + j as isize * self.cs)
    }

    #[inline(always)]
    pub fn transposed(self) -> Self {
        Self { rs: self.cs, cs: self.rs, ..self }
    }

    /// Whether the elements of a column are adjacent and those of a row are not.
    #[inline(always)]
    pub fn is_column_major(self) -> bool {
        self.rs == 1 && self.cs != 1
    }
}

impl From<&ArrayView2<'_, f32>> for MatRef {
    fn from(view: &ArrayView2<f32>) -> Self {
        Self { ptr: view.as_ptr(), rs: view.strides()[0], cs: view.strides()[1] }
    }
}

impl From<&mut ArrayViewMut2<'_, f32>> for MatMut {
    fn from(view: &mut ArrayViewMut2<f32>) -> Self {
        let ptr = view.as_mut_ptr();
        Self { ptr, rs: view.strides()[0], cs: view.strides()[1] }
    }
}

/// The j-th vector of a row.
#[inline(always)]
pub(super) fn vector<S: Simd>(row: *const f32, j: usize) -> *const S::f32s {
    row.wrapping_add(j * S::F32_LANES).cast()
}
