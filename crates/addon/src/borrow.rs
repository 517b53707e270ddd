//! Typed arrays become slices, without a copy. But for the traits of napi in `list.rs`, the only unsafe file of the
//! binding.
//!
//! A typed array arrives as a handle, by itself or as a property of an object (`#[napi(object)]`). `Memory` looks up
//! the memory of the arrays of one call, makes sure that nothing written overlaps anything else, and gives slices. It
//! starts when all arguments have arrived: a getter of an object or a list may run JavaScript before, but none runs
//! between the first lookup and the end of the synchronous call, so no buffer can be detached or resized. Shared
//! memory, which another thread could write, is refused.

use crate::error::{Error, Result, error, kernel_error};
use distillery_kernels::KernelError;
use distillery_kernels::rng::Generator;
use napi::bindgen_prelude::{FromNapiValue, TypeName, ValidateNapiValue};
use napi::{ValueType, sys};
use ndarray::{ArrayView, ArrayViewMut, Dimension, IntoDimension, ShapeError};
use std::marker::PhantomData;
use std::ops::Range;
use std::ptr;

/// A typed array of the caller. `W` says whether the kernel writes it.
pub struct Array<T, const W: bool> {
    env: sys::napi_env,
    value: sys::napi_value,
    element: PhantomData<T>,
}

pub type F32 = Array<f32, false>;
pub type F32Mut = Array<f32, true>;
pub type I32 = Array<i32, false>;
pub type I32Mut = Array<i32, true>;
pub type U8 = Array<u8, false>;
pub type U8Mut = Array<u8, true>;
pub type U32Mut = Array<u32, true>;

/// The element types that can be borrowed.
pub trait Element {
    const KIND: sys::napi_typedarray_type;
    const NAME: &'static str;
}
impl Element for f32 {
    const KIND: sys::napi_typedarray_type = sys::TypedarrayType::float32_array;
    const NAME: &'static str = "Float32Array";
}
impl Element for i32 {
    const KIND: sys::napi_typedarray_type = sys::TypedarrayType::int32_array;
    const NAME: &'static str = "Int32Array";
}
impl Element for u32 {
    const KIND: sys::napi_typedarray_type = sys::TypedarrayType::uint32_array;
    const NAME: &'static str = "Uint32Array";
}
impl Element for u8 {
    const KIND: sys::napi_typedarray_type = sys::TypedarrayType::uint8_array;
    const NAME: &'static str = "Uint8Array";
}

impl<T: Element, const W: bool> TypeName for Array<T, W> {
    fn type_name() -> &'static str {
        T::NAME
    }
    fn value_type() -> ValueType {
        ValueType::Object
    }
}

impl<T: Element, const W: bool> ValidateNapiValue for Array<T, W> {}

impl<T: Element, const W: bool> FromNapiValue for Array<T, W> {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> napi::Result<Self> {
        Ok(Self { env, value, element: PhantomData })
    }
}

impl<T: Element, const W: bool> Array<T, W> {
    /// The first element and the length.
    fn lookup(&self) -> Result<(*mut T, usize)> {
        let refuse = |what: &str| error("InvalidArg", format!("expected a {}, got {what}", T::NAME));
        let (mut kind, mut len, mut data) = (0, 0, ptr::null_mut());
        let (mut buffer, mut offset) = (ptr::null_mut(), 0);
        // SAFETY: `env` and `value` are those of the running call, and every out-pointer is a live local.
        let status = unsafe {
            sys::napi_get_typedarray_info(
                self.env,
                self.value,
                &mut kind,
                &mut len,
                &mut data,
                &mut buffer,
                &mut offset,
            )
        };
        if status != sys::Status::napi_ok {
            return Err(refuse("another kind of value"));
        }
        if kind != T::KIND {
            return Err(refuse("a typed array of another kind"));
        }
        let mut unshared = false;
        // SAFETY: as above; `buffer` was just handed out by the same environment.
        let status = unsafe { sys::napi_is_arraybuffer(self.env, buffer, &mut unshared) };
        if status != sys::Status::napi_ok || !unshared {
            return Err(refuse("one on shared memory"));
        }
        Ok((data.cast(), len))
    }
}

/// What one call has borrowed so far.
#[derive(Default)]
pub struct Memory {
    read: Vec<Range<usize>>,
    written: Vec<Range<usize>>,
}

impl Memory {
    pub fn new() -> Self {
        Self::default()
    }

    /// Borrows an array to read.
    pub fn read<'a, T: Element>(&mut self, array: &'a Array<T, false>) -> Result<&'a [T]> {
        let (start, len) = array.lookup()?;
        let range = range(start, len);
        refuse_overlap(&self.written, &range)?;
        self.read.push(range);
        if len == 0 {
            return Ok(&[]);
        }
        // SAFETY: V8 keeps `len` aligned elements alive at `start` during the call; none is borrowed mutably.
        Ok(unsafe { std::slice::from_raw_parts(start, len) })
    }

    /// Borrows an array to write.
    pub fn write<'a, T: Element>(&mut self, array: &'a mut Array<T, true>) -> Result<&'a mut [T]> {
        let (start, len) = array.lookup()?;
        let range = range(start, len);
        refuse_overlap(&self.written, &range)?;
        refuse_overlap(&self.read, &range)?;
        self.written.push(range);
        if len == 0 {
            return Ok(&mut []);
        }
        // SAFETY: as in `read`, and the range overlaps nothing else that this call borrowed.
        Ok(unsafe { std::slice::from_raw_parts_mut(start, len) })
    }

    /// Borrows an array to read, if there is one.
    pub fn read_some<'a, T: Element>(&mut self, array: &'a Option<Array<T, false>>) -> Result<Option<&'a [T]>> {
        array.as_ref().map(|array| self.read(array)).transpose()
    }

    /// Borrows an array to write, if there is one.
    pub fn write_some<'a, T: Element>(&mut self, array: &'a mut Option<Array<T, true>>) -> Result<Option<&'a mut [T]>> {
        array.as_mut().map(|array| self.write(array)).transpose()
    }

    /// Borrows an array of this shape to read.
    pub fn view<'a, T: Element, D: Dimension, const N: usize>(
        &mut self,
        what: &'static str,
        array: &'a Array<T, false>,
        shape: [u32; N],
    ) -> Result<ArrayView<'a, T, D>>
    where
        [usize; N]: IntoDimension<Dim = D>,
    {
        let data = self.read(array)?;
        expect_len(what, data.len(), &shape)?;
        ArrayView::from_shape(shape.map(|n| n as usize), data).map_err(shape_error)
    }

    /// Borrows an array of this shape to write.
    pub fn view_mut<'a, T: Element, D: Dimension, const N: usize>(
        &mut self,
        what: &'static str,
        array: &'a mut Array<T, true>,
        shape: [u32; N],
    ) -> Result<ArrayViewMut<'a, T, D>>
    where
        [usize; N]: IntoDimension<Dim = D>,
    {
        let data = self.write(array)?;
        expect_len(what, data.len(), &shape)?;
        ArrayViewMut::from_shape(shape.map(|n| n as usize), data).map_err(shape_error)
    }

    /// Borrows the state of a random stream.
    pub fn generator<'a>(&mut self, state: &'a mut U32Mut) -> Result<Generator<'a>> {
        Generator::new(self.write(state)?).map_err(kernel_error)
    }

    /// Borrows a list of arrays to read.
    pub fn read_all<'a, T: Element>(&mut self, arrays: &'a [Array<T, false>]) -> Result<Vec<&'a [T]>> {
        arrays.iter().map(|array| self.read(array)).collect()
    }

    /// Borrows a list of arrays to write.
    pub fn write_all<'a, T: Element>(&mut self, arrays: &'a mut [Array<T, true>]) -> Result<Vec<&'a mut [T]>> {
        arrays.iter_mut().map(|array| self.write(array)).collect()
    }
}

/// The addresses of an array.
fn range<T>(start: *const T, len: usize) -> Range<usize> {
    start as usize..start as usize + len * size_of::<T>()
}

fn refuse_overlap(borrowed: &[Range<usize>], range: &Range<usize>) -> Result<()> {
    let meets = |other: &Range<usize>| other.start < range.end && range.start < other.end && !other.is_empty();
    if !range.is_empty() && borrowed.iter().any(meets) {
        return Err(error("OVERLAP", "an output shares memory with another argument: pass arrays that do not overlap"));
    }
    Ok(())
}

/// Refuses a length that is not the product of the dimensions: ndarray takes a longer one too.
pub fn expect_len(what: &'static str, len: usize, shape: &[u32]) -> Result<()> {
    let product = shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n as usize));
    if product == Some(len) {
        return Ok(());
    }
    let expected = shape.iter().map(|&n| n as usize).collect();
    Err(kernel_error(KernelError::Shape { op: "view", what, got: vec![len], expected }))
}

/// What remains for ndarray to refuse: dimensions whose product overflows.
fn shape_error(reason: ShapeError) -> Error {
    error("SHAPE_MISMATCH", reason.to_string())
}
