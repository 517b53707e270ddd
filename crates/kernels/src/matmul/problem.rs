//! The product that the loop nest computes: its operands, its size in tiles, and whether it or its transpose is
//! cheaper.

use super::epilogue::Epilogue;
use super::mat::{MatMut, MatRef};
use super::params::{KC_MAX, NR_VECTORS, kc_sum, mr, nr};
use pulp::Simd;
use std::ops::Range;

/// C[m, n] = epilogue(A[m, k] B[k, n]).
#[derive(Clone, Copy)]
pub(super) struct Gemm<'a> {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub a: MatRef,
    pub b: MatRef,
    pub c: MatMut,
    pub epilogue: Epilogue<'a>,
}

impl Gemm<'_> {
    /// The same product as C^T = B^T A^T, which packs A^T and reads B^T in place.
    pub(super) fn transposed(self) -> Self {
        let (a, b, c) = (self.b.transposed(), self.a.transposed(), self.c.transposed());
        Self { m: self.n, n: self.m, a, b, c, epilogue: self.epilogue.transposed(), ..self }
    }

    /// An estimate of its cycles: multiply-adds (2 vectors per cycle), reading or packing A if it is not row-major,
    /// packing B and writing C for each block of k, both slower if they are transposed.
    pub(super) fn cost(&self, lanes: usize) -> usize {
        let multiply = self.m * self.n.div_ceil(lanes) * self.k / 2;
        let packs = self.a.rs == 1 && self.n > NR_VECTORS * lanes && !self.c.is_column_major();
        let read = if self.a.cs == 1 { 0 } else { self.m * self.k / if packs { 3 } else { 1 } };
        let pack = self.n * self.k / if self.b.cs == 1 { 10 } else { 2 };
        let blocks = if self.a.cs == 1 { self.k.div_ceil(KC_MAX) } else { self.k.div_ceil(kc_sum(self.k)) };
        let write = blocks * self.m * self.n / if self.c.cs == 1 { lanes } else { 2 };
        multiply + read + pack + write
    }

    /// Rows of a full microtile.
    pub(super) const fn mr<S: Simd>(&self) -> usize {
        mr::<S>(self.n)
    }

    /// Row tiles of C.
    pub(super) fn tiles<S: Simd>(&self) -> usize {
        self.m.div_ceil(self.mr::<S>())
    }

    /// Panels of B.
    pub(super) fn panels<S: Simd>(&self) -> usize {
        self.n.div_ceil(nr::<S>())
    }

    /// The columns of some panels.
    pub(super) fn columns<S: Simd>(&self, panels: &Range<usize>) -> Range<usize> {
        panels.start * nr::<S>()..self.n.min(panels.end * nr::<S>())
    }

    /// Splits k into blocks of `kc`. If k is 0 there is one empty block, which writes zeros to C.
    pub(super) fn k_blocks(&self, kc: usize) -> impl Iterator<Item = Range<usize>> {
        let k = self.k;
        (0..k.max(1)).step_by(kc).map(move |start| start.min(k)..k.min(start + kc))
    }
}
