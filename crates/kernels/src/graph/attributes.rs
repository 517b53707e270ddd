//! The attributes of an operation. They are read by name, once, when its node is made.

use super::OP;
use crate::error::{KernelError, Result, expect_shape, expect_that};
use crate::matmul::Precision;
use crate::pool::Span;
use std::collections::HashMap;

/// An attribute's value.
#[derive(Clone, Debug)]
pub enum Attribute {
    /// True or false.
    Flag(bool),
    /// A number.
    Number(f64),
    /// A list of whole numbers.
    List(Vec<i32>),
}

/// Attributes by name. An operation removes those that it reads; what is left is refused.
#[derive(Clone, Debug, Default)]
pub struct Attributes(pub HashMap<String, Attribute>);

impl Attributes {
    /// A flag; false if it is absent.
    pub(super) fn flag(&mut self, what: &'static str) -> Result<bool> {
        match self.0.remove(what) {
            None => Ok(false),
            Some(Attribute::Flag(flag)) => Ok(flag),
            _ => Err(KernelError::Kind { op: OP, what, expected: "true or false" }),
        }
    }

    /// A number.
    pub(super) fn number(&mut self, what: &'static str, default: f64) -> Result<f64> {
        match self.0.remove(what) {
            None => Ok(default),
            Some(Attribute::Number(number)) => Ok(number),
            _ => Err(KernelError::Kind { op: OP, what, expected: "a number" }),
        }
    }

    /// A whole number from 0.
    pub(super) fn length(&mut self, what: &'static str, default: u32) -> Result<usize> {
        let number = self.number(what, default.into())?;
        expect_that(number == f64::from(number as u32), OP, what, number, "a whole number from 0")?;
        Ok(number as usize)
    }

    /// A list, if it is present.
    pub(super) fn list(&mut self, what: &'static str) -> Result<Option<Vec<i32>>> {
        match self.0.remove(what) {
            None => Ok(None),
            Some(Attribute::List(list)) => Ok(Some(list)),
            _ => Err(KernelError::Kind { op: OP, what, expected: "a list of whole numbers" }),
        }
    }

    /// A list of whole numbers from 0, if it is present.
    pub(super) fn lengths(&mut self, what: &'static str) -> Result<Option<Vec<usize>>> {
        let Some(list) = self.list(what)? else { return Ok(None) };
        let refuse = |n: i32| KernelError::Argument { op: OP, what, got: n.into(), expected: "whole numbers from 0" };
        let length = |n| usize::try_from(n).map_err(|_| refuse(n));
        list.into_iter().map(length).collect::<Result<_>>().map(Some)
    }

    /// The only axis, if one is given.
    pub(super) fn axis_if_any(&mut self) -> Result<Option<usize>> {
        let Some(axes) = self.lengths("axes")? else { return Ok(None) };
        expect_shape(OP, "axes", &[axes.len()], &[1])?;
        Ok(Some(axes[0]))
    }

    /// The only axis.
    pub(super) fn axis(&mut self) -> Result<usize> {
        let none = KernelError::Shape { op: OP, what: "axes", got: vec![0], expected: vec![1] };
        self.axis_if_any()?.ok_or(none)
    }

    /// The spans of a pooling's rows or columns.
    pub(super) fn spans(&mut self, what: &'static str) -> Result<Vec<Span>> {
        let numbers = self.lengths(what)?.unwrap_or_default();
        Span::list(&numbers.into_iter().map(|n| n as u32).collect::<Vec<_>>())
    }

    /// What the operands of a product are rounded to.
    pub(super) fn precision(&mut self) -> Result<Precision> {
        Ok(if self.flag("bfloat16")? { Precision::bfloat16() } else { Precision::Float32 })
    }

    /// Refuses attributes that were not read.
    pub(super) fn expect_none(self) -> Result<()> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(name) => Err(KernelError::Unknown { op: OP, what: "attribute", name }),
        }
    }
}
