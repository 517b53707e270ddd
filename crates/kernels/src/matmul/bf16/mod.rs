//! Matrix products of bfloat16 operands with sums in single precision.
//!
//! Both operands are rounded to bfloat16 (`round`); C is written in single precision. The bits of an element depend on
//! its row of A, its column of B and the unit, but not on the number of threads nor on other rows and columns.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod amx_conv;
#[cfg(target_arch = "x86_64")]
mod amx_unit;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod few_rows;
#[cfg(target_arch = "x86_64")]
mod few_steps;
#[cfg(target_arch = "x86_64")]
mod gemm;
#[cfg(target_arch = "x86_64")]
mod pack;
#[cfg(target_arch = "x86_64")]
mod pairs;
mod round;

use super::conv;
use super::conv_elements::Elements;
#[cfg(target_arch = "x86_64")]
use super::conv_elements::PairKernels;
use super::conv_params::ConvParams;
use super::conv_weight;
use super::{Bias, Epilogue, Window, gemm_on};
use crate::error::{Result, expect_shape};
use ndarray::{Array2, Array4, ArrayView2, ArrayView4, ArrayViewMut2, ArrayViewMut4};
use pulp::Arch;
pub use round::{from_bits, to_bits};

/// The processor's unit that multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// `tdpbf16ps`: tiles of 16 x 16. It treats operands and sums below 2^-126 as zeros.
    Amx,
    /// `vdpbf16ps`: two products at a time. It treats operands and sums below 2^-126 as zeros.
    Avx512,
    /// Fused multiply-adds of the rounded operands in single precision, for any processor. It treats operands below
    /// 2^-126 as zeros, but not sums.
    Portable,
}

impl Unit {
    /// The fastest unit that this processor has.
    pub fn best() -> Self {
        if Self::Amx.is_available() {
            Self::Amx
        } else if Self::Avx512.is_available() {
            Self::Avx512
        } else {
            Self::Portable
        }
    }

    /// All units that this processor has, the fastest first.
    pub fn all() -> Vec<Self> {
        [Self::Amx, Self::Avx512, Self::Portable].into_iter().filter(|unit| unit.is_available()).collect()
    }

    fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Amx => amx_unit::is_available(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::is_available(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Amx | Self::Avx512 => false,
            Self::Portable => true,
        }
    }

    /// The unit's microkernel. `None` for `Portable`, or if this processor lacks the unit.
    #[cfg(target_arch = "x86_64")]
    fn kernel(self) -> Option<&'static gemm::Kernel> {
        let kernel = match self {
            Self::Amx => &amx::KERNEL,
            Self::Avx512 => &avx512::KERNEL,
            Self::Portable => return None,
        };
        self.is_available().then_some(kernel)
    }

    /// The innermost loops of the unit's convolutions. `None` for `Portable`, or if this processor lacks the unit.
    #[cfg(target_arch = "x86_64")]
    fn pair_kernels(self) -> Option<&'static PairKernels> {
        let kernels = match self {
            Self::Amx => &amx_conv::KERNELS,
            Self::Avx512 => &pairs::KERNELS,
            Self::Portable => return None,
        };
        (self.is_available() && matches!(Arch::new(), Arch::V4(_))).then_some(kernels)
    }

    /// The name to print.
    pub fn name(self) -> &'static str {
        match self {
            Self::Amx => "AMX-BF16",
            Self::Avx512 => "AVX512-BF16",
            Self::Portable => "float32 arithmetic",
        }
    }
}

/// B[k, n], rounded and packed in the order in which a unit reads it.
pub struct PackedBf16 {
    k: usize,
    n: usize,
    b: RoundedB,
}

/// The packed B, by kind of unit.
enum RoundedB {
    #[cfg(target_arch = "x86_64")]
    Pairs(gemm::PairPanels),
    Portable(Array2<f32>),
}

impl RoundedB {
    fn new(unit: Unit, b: ArrayView2<f32>) -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(kernel) = unit.kernel() {
            return Self::Pairs(gemm::PairPanels::new(kernel, &b));
        }
        let _ = unit;
        Self::Portable(rounded(b))
    }
}

impl PackedBf16 {
    /// Rounds and packs B.
    pub fn new(unit: Unit, b: ArrayView2<f32>) -> Self {
        Self { k: b.nrows(), n: b.ncols(), b: RoundedB::new(unit, b) }
    }

    /// The number of rows, k.
    pub fn rows(&self) -> usize {
        self.k
    }

    /// The number of columns, n.
    pub fn columns(&self) -> usize {
        self.n
    }
}

/// The right operand.
#[derive(Clone, Copy)]
pub enum Rhs<'a> {
    /// A matrix that the product rounds and packs.
    Matrix(ArrayView2<'a, f32>),
    /// A matrix that was packed before.
    Packed(&'a PackedBf16),
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

/// As `multiply`; errors name the operation `op`.
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
    #[cfg(target_arch = "x86_64")]
    if let Some(b) = pairs(unit, &b) {
        if out.strides()[1] == 1 || n < 2 {
            gemm::multiply(&a, b, bias, relu, &mut out);
        } else {
            let mut rows = Array2::zeros((m, n));
            gemm::multiply(&a, b, bias, relu, &mut rows.view_mut());
            out.assign(&rows);
        }
        return Ok(());
    }
    let _ = unit;
    let own;
    let b = match b {
        Rhs::Packed(PackedBf16 { b: RoundedB::Portable(b), .. }) => b.view(),
        Rhs::Matrix(b) => {
            own = rounded(b);
            own.view()
        }
        #[cfg(target_arch = "x86_64")]
        Rhs::Packed(_) => unreachable!("panels of pairs were multiplied above"),
    };
    let epilogue = Epilogue { bias: bias.map_or(Bias::None, Bias::Columns), relu, ..Epilogue::default() };
    gemm_on(Arch::new(), op, rounded(a).view(), b, epilogue, out)
}

/// The microkernel to use and B for it: a packed B decides the kernel, otherwise the unit does.
#[cfg(target_arch = "x86_64")]
fn pairs<'a>(unit: Unit, b: &Rhs<'a>) -> Option<gemm::Rhs<'a>> {
    match b {
        Rhs::Packed(PackedBf16 { b: RoundedB::Pairs(panels), .. }) => Some(gemm::Rhs::Panels(panels)),
        Rhs::Packed(_) => None,
        Rhs::Matrix(b) => unit.kernel().map(|kernel| gemm::Rhs::Matrix(kernel, b.into())),
    }
}

/// As `matmul::convolve`, with operands rounded to bfloat16.
pub(super) fn convolve(
    unit: Unit,
    a: &[ArrayView2<f32>],
    x: ArrayView4<f32>,
    window: &Window,
    epilogue: Epilogue,
    addend: Option<ArrayView4<f32>>,
    out: ArrayViewMut4<f32>,
) {
    #[cfg(target_arch = "x86_64")]
    if let Some(kernels) = unit.pair_kernels() {
        return pairs::convolve(kernels, a, x, window, epilogue, addend, out);
    }
    let _ = unit;
    let a: Vec<_> = a.iter().map(|a| rounded(*a)).collect();
    let a: Vec<_> = a.iter().map(|a| a.view()).collect();
    conv::convolve(
        conv::Weight::Parts(Elements::Numbers, &a),
        rounded_images(&x).view(),
        window,
        epilogue,
        addend,
        out,
    );
}

/// As `matmul::weight_gradient`, with operands rounded to bfloat16.
pub(super) fn weight_gradient(
    unit: Unit,
    grad: ArrayView4<f32>,
    x: ArrayView4<f32>,
    params: ConvParams,
    grad_weight: ArrayViewMut4<f32>,
) {
    #[cfg(target_arch = "x86_64")]
    if let Some(kernels) = unit.pair_kernels() {
        return pairs::weight_gradient(kernels, grad, x, params, grad_weight);
    }
    let _ = unit;
    let (grad, x) = (rounded_images(&grad), rounded_images(&x));
    conv_weight::weight_gradient(grad.view(), x.view(), params, grad_weight);
}

/// The images with every element rounded to bfloat16, contiguous as convolutions need them.
fn rounded_images(x: &ArrayView4<f32>) -> Array4<f32> {
    x.as_standard_layout().mapv(|x| from_bits(to_bits(x)))
}

/// The matrix with every element rounded to bfloat16, in the same memory order.
fn rounded(x: ArrayView2<f32>) -> Array2<f32> {
    x.mapv(|x| from_bits(to_bits(x)))
}
