//! A list of the caller. napi's `Vec` reserves memory for the length that the list claims, which ends the process for a
//! list of holes; here memory grows with the items that are there.

use napi::bindgen_prelude::{Array, FromNapiValue, TypeName, ValidateNapiValue};
use napi::{Error, Status, ValueType, sys};
use std::ops::{Deref, DerefMut};

/// More items than any call has: parameters, axes, indices.
const MOST: u32 = 1 << 24;

/// Items of one type, each there.
pub struct List<T>(Vec<T>);

impl<T> List<T> {
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl List<u32> {
    /// As lengths and indices of Rust.
    pub fn to_usizes(&self) -> Vec<usize> {
        self.0.iter().map(|&n| n as usize).collect()
    }
}

impl<T> Deref for List<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for List<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T> TypeName for List<T> {
    fn type_name() -> &'static str {
        "Array<T>"
    }
    fn value_type() -> ValueType {
        ValueType::Object
    }
}

impl<T: FromNapiValue> ValidateNapiValue for List<T> {
    unsafe fn validate(env: sys::napi_env, value: sys::napi_value) -> napi::Result<sys::napi_value> {
        // SAFETY: `env` and `value` are those of the running call.
        unsafe { <Vec<T> as ValidateNapiValue>::validate(env, value) }
    }
}

impl<T: FromNapiValue> FromNapiValue for List<T> {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> napi::Result<Self> {
        // SAFETY: `env` and `value` are those of the running call.
        let array = unsafe { Array::from_napi_value(env, value)? };
        let length = array.len();
        if length > MOST {
            let text = format!("expected a list of at most {MOST} items, got {length}");
            return Err(Error::new(Status::InvalidArg, text));
        }
        let mut items = Vec::new();
        for index in 0..length {
            let absent =
                || Error::new(Status::InvalidArg, format!("expected a list without holes, got none at {index}"));
            items.push(array.get(index)?.ok_or_else(absent)?);
        }
        Ok(Self(items))
    }
}
