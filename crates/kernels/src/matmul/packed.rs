//! B packed once for many products, such as the weight of a frozen network. The sums are those of the loop nest. With
//! few rows, nothing but the panels is read from memory.

use super::Precision;
use super::bf16;
use super::epilogue::Epilogue;
use super::macrokernel::{MacroKernel, NextBlock};
use super::mat::MatRef;
use super::pack::{Line, PackB};
use super::params::{LINE, PARALLEL_MIN, TASKS_PER_THREAD, kc_sum, nr};
use super::problem::Gemm;
use crate::parallel;
use ndarray::{ArrayView2, ArrayViewMut2};
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

/// The least elements of B for which several threads share it, however few rows A has: 1 MiB.
const SHARED_MIN: usize = 1 << 18;

/// B[k, n], packed for products in a precision.
pub enum PackedB {
    /// Single precision.
    Float32(PackedF32),
    /// bfloat16, for one unit.
    Bfloat16(bf16::PackedBf16),
}

/// B[k, n] in single precision: panels of all its rows, as the macrokernel reads them.
pub struct PackedF32 {
    arch: Arch,
    k: usize,
    n: usize,
    lines: Vec<Line>,
}

impl PackedB {
    /// Packs B.
    pub fn new(precision: Precision, b: ArrayView2<f32>) -> Self {
        match precision {
            Precision::Float32 => Self::Float32(PackedF32::new(Arch::new(), b)),
            Precision::Bfloat16(unit) => Self::Bfloat16(bf16::PackedBf16::new(unit, b)),
        }
    }

    /// The number of rows, k.
    pub fn rows(&self) -> usize {
        match self {
            Self::Float32(panels) => panels.k,
            Self::Bfloat16(packed) => packed.rows(),
        }
    }

    /// The number of columns, n.
    pub fn columns(&self) -> usize {
        match self {
            Self::Float32(panels) => panels.n,
            Self::Bfloat16(packed) => packed.columns(),
        }
    }
}

impl PackedF32 {
    fn new(arch: Arch, b: ArrayView2<f32>) -> Self {
        let (k, n) = b.dim();
        let mut lines = vec![Line::ZERO; k * n.div_ceil(LINE)];
        arch.dispatch(PackB { b: (&b).into(), kc: k, nc: n, to: lines.as_mut_ptr().cast() });
        Self { arch, k, n, lines }
    }

    /// c[m, n] = epilogue(a[m, k] B); the shapes fit.
    pub(crate) fn multiply(&self, a: &ArrayView2<f32>, epilogue: Epilogue, c: &mut ArrayViewMut2<f32>) {
        debug_assert_eq!((a.ncols(), c.dim()), (self.k, (a.nrows(), self.n)));
        let b = MatRef { ptr: self.lines.as_ptr().cast(), rs: 0, cs: 1 };
        self.arch.dispatch(Product(Gemm { m: a.nrows(), n: self.n, k: self.k, a: a.into(), b, c: c.into(), epilogue }));
    }
}

/// A product whose B is panels.
struct Product<'a>(Gemm<'a>);

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let gemm = &self.0;
        let is_small = gemm.m * gemm.n * gemm.k < PARALLEL_MIN && gemm.n * gemm.k < SHARED_MIN;
        let tasks = if is_small { 1 } else { parallel::threads() * TASKS_PER_THREAD };
        parallel::for_each_chunk(0..gemm.panels::<S>(), tasks, |panels| {
            let kc = kc_sum(gemm.k);
            let mut blocks = panels.flat_map(|panel| gemm.k_blocks(kc).map(move |ks| (panel, ks)));
            let mut next = blocks.next();
            while let Some((panel, ks)) = next.take() {
                next = blocks.next();
                let (packed, _) = gemm.block::<S>(panel, &ks);
                let next = next.clone().map(|(panel, ks)| {
                    let (ptr, len) = gemm.block::<S>(panel, &ks);
                    NextBlock { b: MatRef { ptr, ..gemm.b }, ks: 0..1, columns: 0..len }
                });
                let (panels, tiles) = (panel..panel + 1, 0..gemm.tiles::<S>());
                simd.vectorize(MacroKernel { gemm, panels, tiles, ks, packed, next });
            }
        });
    }
}

impl Gemm<'_> {
    /// Where these rows of a panel begin, and how many elements they have.
    fn block<S: Simd>(&self, panel: usize, ks: &Range<usize>) -> (*const f32, usize) {
        let first = panel * nr::<S>();
        let width = (self.n - first).min(nr::<S>()).next_multiple_of(S::F32_LANES);
        (self.b.at(0, first * self.k + ks.start * width), ks.len() * width)
    }
}
