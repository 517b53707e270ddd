//! Matrix products of bfloat16 operands with sums in single precision.
//!
//! Both operands are rounded to bfloat16 (`round`), C is written in single precision. The bits of an element depend on its row
//! of A, its column of B and the unit: not on the number of threads, nor on other rows and columns.

#[cfg(target_arch = "x86_64")]
mod avx512;
mod round;

use super::{Bias, Epilogue, gemm_on};
use crate::error::{Result, expect_shape};
use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use pulp::Arch;
pub use round::{from_bits, to_bits};

/// What multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// `vdpbf16ps`: two products at a time. It takes operands and sums below 2^-126 for zeros.
    Avx512,
    /// Single precision's fused multiply-adds of the rounded operands. It takes operands below 2^-126 for zeros, not sums.
    Portable,
}

impl Unit {
    /// The best one that this processor has.
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if avx512::is_available() {
            return Self::Avx512;
        }
        Self::Portable
    }

    /// All that this processor has, the best one first.
    pub fn all() -> Vec<Self> {
        let mut units = vec![Self::best()];
        if units[0] != Self::Portable {
            units.push(Self::Portable);
        }
        units
    }

    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "AVX512-BF16",
            Self::Portable => "float32 arithmetic",
        }
    }
}

/// B[k, n], rounded and in the order in which a unit reads it.
pub struct Packed {
    k: usize,
    n: usize,
    panels: Panels,
}

enum Panels {
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Panels),
    Portable(Array2<f32>),
}

impl Packed {
    /// Packs B.
    pub fn new(unit: Unit, b: ArrayView2<f32>) -> Self {
        let panels = match unit {
            #[cfg(target_arch = "x86_64")]
            Unit::Avx512 if avx512::is_available() => Panels::Avx512(avx512::Panels::new(&b)),
            _ => Panels::Portable(rounded(b)),
        };
        Self { k: b.nrows(), n: b.ncols(), panels }
    }

    /// k.
    pub fn rows(&self) -> usize {
        self.k
    }

    /// n.
    pub fn columns(&self) -> usize {
        self.n
    }
}

/// The right operand.
#[derive(Clone, Copy)]
pub enum Rhs<'a> {
    /// A matrix, which the product rounds and packs.
    Matrix(ArrayView2<'a, f32>),
    /// One that was packed before.
    Packed(&'a Packed),
}

/// out[m, n] = a[m, k] b[k, n] + bias[n], then ReLU if `relu`.
pub fn multiply(
    unit: Unit,
    a: ArrayView2<f32>,
    b: Rhs,
    bias: Option<&[f32]>,
    relu: bool,
    out: ArrayViewMut2<f32>,
) -> Result<()> {
    gemm(unit, "bf16", a, b, bias, relu, out)
}

/// `multiply`, for an operation of this name.
pub(crate) fn gemm(
    unit: Unit,
    op: &'static str,
    a: ArrayView2<f32>,
    b: Rhs,
    bias: Option<&[f32]>,
    relu: bool,
    mut out: ArrayViewMut2<f32>,
) -> Result<()> {
    let (m, k) = a.dim();
    let (rows, n) = match b {
        Rhs::Matrix(b) => b.dim(),
        Rhs::Packed(b) => (b.k, b.n),
    };
    expect_shape(op, "b", &[rows, n], &[k, n])?;
    expect_shape(op, "out", out.shape(), &[m, n])?;
    if let Some(bias) = bias {
        expect_shape(op, "bias", &[bias.len()], &[n])?;
    }
    let b = match (unit, &b) {
        #[cfg(target_arch = "x86_64")]
        (_, Rhs::Packed(Packed { panels: Panels::Avx512(panels), .. })) => Some(avx512::Rhs::Panels(panels)),
        #[cfg(target_arch = "x86_64")]
        (Unit::Avx512, Rhs::Matrix(b)) if avx512::is_available() => Some(avx512::Rhs::Matrix(b.into())),
        _ => None,
    }
    .ok_or(b);
    match b {
        #[cfg(target_arch = "x86_64")]
        Ok(b) if out.strides()[1] == 1 || n < 2 => avx512::multiply(&a, b, bias, relu, &mut out),
        #[cfg(target_arch = "x86_64")]
        Ok(b) => {
            let mut rows = Array2::zeros((m, n));
            avx512::multiply(&a, b, bias, relu, &mut rows.view_mut());
            out.assign(&rows);
        }
        Err(b) => {
            let epilogue = Epilogue { bias: bias.map_or(Bias::None, Bias::Columns), relu, ..Epilogue::default() };
            let own;
            let b = match b {
                Rhs::Packed(Packed { panels: Panels::Portable(b), .. }) => b.view(),
                Rhs::Matrix(b) => {
                    own = rounded(b);
                    own.view()
                }
                #[cfg(target_arch = "x86_64")]
                Rhs::Packed(_) => unreachable!("panels of a unit are multiplied by it"),
            };
            gemm_on(Arch::new(), op, rounded(a).view(), b, epilogue, out)?;
        }
        #[cfg(not(target_arch = "x86_64"))]
        Ok(()) => unreachable!("there is no other unit"),
    }
    Ok(())
}

/// The matrix, in its own order, each element as bfloat16 has it.
fn rounded(x: ArrayView2<f32>) -> Array2<f32> {
    x.mapv(|x| from_bits(to_bits(x)))
}
