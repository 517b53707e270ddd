//! The tables of functions of two elements: name, value, slopes. Operands may be repeated as NumPy broadcasts them.

use crate::elementwise_loops::zip;
use crate::error::{Result, expect_shape, expect_that};
use crate::parallel::{self, GRAIN};
use crate::unary::power;
use crate::vectorised::vectorised;

/// An operand: each of its elements is repeated `each` times, and all of them again until the output is full.
#[derive(Clone, Copy)]
pub struct Operand<'a> {
    /// The elements.
    pub data: &'a [f32],
    /// How often each is repeated: 1 if the last axis is the operand's own.
    pub each: usize,
}

impl<'a> Operand<'a> {
    /// An operand of the output's own length, or one that is repeated as a whole.
    pub fn whole(data: &'a [f32]) -> Self {
        Self { data, each: 1 }
    }

    fn check(&self, op: &'static str, len: usize) -> Result<()> {
        if len == 0 {
            return Ok(());
        }
        let fits = self.each > 0 && len.is_multiple_of(self.each);
        expect_that(fits, op, "each", self.each as f64, "a number that divides the output's length")?;
        let times = len / self.each;
        let repeats = !self.data.is_empty() && times.is_multiple_of(self.data.len());
        if repeats { Ok(()) } else { expect_shape(op, "operand", &[self.data.len()], &[times]) }
    }

    /// The elements from output position `at` on: a run of them, or one that is repeated `length` times.
    fn run(&self, at: usize) -> Run<'a> {
        let (index, within) = (at / self.each % self.data.len(), at % self.each);
        if self.each == 1 && self.data.len() > 1 {
            Run::Elements(&self.data[index..])
        } else {
            let length = if self.data.len() == 1 { usize::MAX } else { self.each - within };
            Run::Repeated(self.data[index], length)
        }
    }
}

enum Run<'a> {
    Elements(&'a [f32]),
    Repeated(f32, usize),
}

impl Run<'_> {
    fn len(&self) -> usize {
        match self {
            Run::Elements(elements) => elements.len(),
            Run::Repeated(_, length) => *length,
        }
    }
}

/// out[i] = f(a's element, b's element), in parallel.
fn each_pair<T: Copy + Send>(
    op: &'static str,
    a: Operand,
    b: Operand,
    out: &mut [T],
    f: impl Fn(f32, f32) -> T + Sync,
) -> Result<()> {
    if out.is_empty() && !a.data.is_empty() && !b.data.is_empty() {
        expect_shape(op, "out", &[0], &[a.data.len().max(b.data.len())])?;
    }
    a.check(op, out.len())?;
    b.check(op, out.len())?;
    parallel::for_each(out, GRAIN, |first, part| {
        let mut done = 0;
        while done < part.len() {
            let (x, y) = (a.run(first + done), b.run(first + done));
            let length = x.len().min(y.len()).min(part.len() - done);
            let out = &mut part[done..done + length];
            match (x, y) {
                (Run::Elements(x), Run::Elements(y)) => zip(x, y, out, &f),
                (Run::Elements(x), Run::Repeated(y, _)) => zip(x, x, out, &|x, _| f(x, y)),
                (Run::Repeated(x, _), Run::Elements(y)) => zip(y, y, out, &|y, _| f(x, y)),
                (Run::Repeated(x, _), Run::Repeated(y, _)) => out.fill(f(x, y)),
            }
            done += length;
        }
    });
    Ok(())
}

/// A closure of the table with its types.
fn function<F: Fn(f32, f32) -> f32>(f: F) -> F {
    f
}

macro_rules! binary_table {
    ($($variant:ident $name:literal $value:expr, $slope_a:expr, $slope_b:expr;)*) => {
        /// A function of two elements.
        #[derive(Clone, Copy, Debug, PartialEq)]
        #[allow(missing_docs, reason = "each is named after PyTorch's function")]
        pub enum Binary { $($variant),* }

        impl Binary {
            /// Every function with its name, in a fixed order.
            pub const ALL: &[(&str, Binary)] = &[$(($name, Binary::$variant)),*];

            /// out = f(a, b).
            pub fn forward(self, a: Operand, b: Operand, out: &mut [f32]) -> Result<()> {
                match self { $(Binary::$variant => each_pair($name, a, b, out, function($value)),)* }
            }

            /// out = the slope by a, or by b if `second`: what the gradient is multiplied by.
            fn slope(self, second: bool, a: Operand, b: Operand, out: &mut [f32]) -> Result<()> {
                match self {
                    $(Binary::$variant if second => each_pair($name, a, b, out, function($slope_b)),
                    Binary::$variant => each_pair($name, a, b, out, function($slope_a)),)*
                }
            }
        }
    };
}

binary_table! {
    Add "add" |a, b| a + b, |_, _| 1.0, |_, _| 1.0;
    Sub "sub" |a, b| a - b, |_, _| 1.0, |_, _| -1.0;
    Mul "mul" |a, b| a * b, |_, b| b, |a, _| a;
    Div "div" |a, b| a / b, |_, b| 1.0 / b, |a, b| -(a / b) / b;
    Maximum "maximum"
        |a, b| if a > b || a.is_nan() { a } else { b },
        |a, b| share(a, b, a < b), |a, b| share(a, b, b < a);
    Minimum "minimum"
        |a, b| if a < b || a.is_nan() { a } else { b },
        |a, b| share(a, b, a > b), |a, b| share(a, b, b > a);
    Pow "pow" power,
        |a, b| if b == 0.0 { 0.0 } else { b * power(a, b - 1.0) },
        |a, b| if a == 0.0 && b >= 0.0 { 0.0 } else { power(a, b) * a.ln() };
    // p log(p / q) - p + q of log p and log q: the terms of a divergence, each at least 0, without cancellation.
    KlTerm "klTerm" kl_term,
        |a, b| if a == f32::NEG_INFINITY { 0.0 } else { a.exp() * (a - b) },
        |a, b| exp_difference(b, a) as f32;
}

fn kl_term(a: f32, b: f32) -> f32 {
    let p = f64::from(a).exp();
    let divergence = if p == 0.0 { 0.0 } else { p * (f64::from(a) - f64::from(b)) };
    (divergence + exp_difference(b, a)) as f32
}

/// e^a - e^b, exact if they are close.
fn exp_difference(a: f32, b: f32) -> f64 {
    let (a, b) = (f64::from(a), f64::from(b));
    if a == b {
        0.0
    } else if a > b {
        -a.exp() * (b - a).exp_m1()
    } else {
        b.exp() * (a - b).exp_m1()
    }
}

impl Binary {
    /// grad_x = grad * the slope by a, or by b if `second`; of the output's length, to be summed over what is repeated.
    /// An operand that was not taken gets 0 for any gradient.
    pub fn backward(self, second: bool, grad: &[f32], a: Operand, b: Operand, grad_x: &mut [f32]) -> Result<()> {
        expect_shape("backward", "grad_x", &[grad_x.len()], &[grad.len()])?;
        self.slope(second, a, b, grad_x)?;
        let is_choice = matches!(self, Binary::Maximum | Binary::Minimum);
        let multiply = if is_choice { multiply_chosen } else { multiply };
        parallel::for_each(grad_x, GRAIN, |first, part| multiply(&grad[first..], part));
        Ok(())
    }
}

vectorised! {
fn multiply<'a>(x: &'a [f32], into: &'a mut [f32]) {
    into.iter_mut().zip(x).for_each(|(into, x)| *into *= x);
}
}

vectorised! {
/// The same for shares: infinity times none would be NaN.
fn multiply_chosen<'a>(x: &'a [f32], into: &'a mut [f32]) {
    into.iter_mut().zip(x).for_each(|(into, x)| *into = if *into == 0.0 { 0.0 } else { *into * x });
}
}

/// The share of the gradient: none if the other element was taken, half if both are equal.
fn share(a: f32, b: f32, other_taken: bool) -> f32 {
    if a == b {
        0.5
    } else if other_taken {
        0.0
    } else {
        1.0
    }
}

macro_rules! comparison_table {
    ($($variant:ident $name:literal $value:expr;)*) => {
        /// A comparison of two elements.
        #[derive(Clone, Copy, Debug, PartialEq)]
        #[allow(missing_docs, reason = "each is named after PyTorch's function")]
        pub enum Comparison { $($variant),* }

        impl Comparison {
            /// Every comparison with its name, in a fixed order.
            pub const ALL: &[(&str, Comparison)] = &[$(($name, Comparison::$variant)),*];

            /// out = 1 where the comparison holds, else 0.
            pub fn forward(self, a: Operand, b: Operand, out: &mut [i32]) -> Result<()> {
                fn holds<F: Fn(f32, f32) -> bool>(f: F) -> F { f }
                match self {
                    $(Comparison::$variant => {
                        let f = holds($value);
                        each_pair($name, a, b, out, |a, b| i32::from(f(a, b)))
                    })*
                }
            }
        }
    };
}

comparison_table! {
    Eq "eq" |a, b| a == b;
    Ne "ne" |a, b| a != b;
    Gt "gt" |a, b| a > b;
    Ge "ge" |a, b| a >= b;
    Lt "lt" |a, b| a < b;
    Le "le" |a, b| a <= b;
}

/// out = a where the mask is not 0, else b; a and b are of the mask's length or one element.
pub fn select(mask: &[i32], a: &[f32], b: &[f32], out: &mut [f32]) -> Result<()> {
    expect_shape("where", "out", &[out.len()], &[mask.len()])?;
    for (name, x) in [("a", a), ("b", b)] {
        if x.len() != 1 {
            expect_shape("where", name, &[x.len()], &[mask.len()])?;
        }
    }
    let of = |x: &[f32], i: usize| if x.len() == 1 { x[0] } else { x[i] };
    parallel::for_each(out, GRAIN, |first, part| {
        for (i, out) in part.iter_mut().enumerate() {
            let i = first + i;
            *out = if mask[i] != 0 { of(a, i) } else { of(b, i) };
        }
    });
    Ok(())
}
