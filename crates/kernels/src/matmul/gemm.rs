//! The loop nest of C = A B, blocked as in BLIS (Van Zee and van de Geijn, 2015), with three differences. Only B is
//! packed: A is usually a batch or a gradient with few rows, and is read in place. A block of B is packed by one thread
//! or by all, whichever is less work. And k is summed in runs of `kc_sum`, so that block sizes do not change the bits.
//!
//! ```text
//!          B   NC              Shared B: many rows of C              Private B: few rows of C
//!            +----+----
//!         KC |####|            for jc in n by NC                     for jc in n by NC         <- threads
//!            +----+              for pc in k by KC                     for pc in k by KC
//!            |    |                pack B[pc, jc]      <- threads        pack B[pc, jc]
//!   A  KC              C  NC       for ic in m by MC   <- threads        (all rows)
//!    +----+---+      +----+----      macrokernel                         macrokernel
//!  MC|####|   |    MC|####|             for ir in MC by MR                  for ir in m by MR
//!    +----+---+      +----+----           for jr in NC by NR                  for jr in NC by NR
//!    |    |          |    |                 microkernel: k                      microkernel: k
//! ```
//!
//! The packed block of B (KC x NC) stays in L2, a panel of it (KC x NR) streams through L1, and the microtile of C (MR
//! x NR) stays in registers. With shared B the threads wait for each other twice per block, with private B never.

use super::macrokernel::{MacroKernel, NextBlock};
use super::mat::Shared;
use super::pack::{self, PackB};
use super::params::{
    KC_MAX, KC_TASK, PACK_B_ELEMS, PRIVATE_TASKS_PER_THREAD, SHARED_TILES_MIN, TASKS_PER_THREAD, kc_sum, nr,
    threads_for,
};
use super::problem::Gemm;
use crate::parallel;
use pulp::{Simd, WithSimd};
use std::ops::Range;

impl WithSimd for Gemm<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (transposed, lanes) = (self.transposed(), S::F32_LANES);
        if transposed.cost(lanes) < self.cost(lanes) { transposed.run(simd) } else { self.run(simd) }
    }
}

impl Gemm<'_> {
    /// Chooses the schedule and the block sizes. KC is a multiple of `kc_sum`, so that the bits do not depend on it.
    fn run<S: Simd>(&self, simd: S) {
        let (panels, tiles) = (self.panels::<S>(), self.tiles::<S>());
        let threads = threads_for(self.m * self.n * self.k);
        let kc_sum = kc_sum(self.k);
        if tiles < SHARED_TILES_MIN * threads.max(2) && panels >= threads {
            // Half the elements, because the next block is prefetched into the other half.
            let nc_panels = PACK_B_ELEMS / 2 / (kc_sum * nr::<S>());
            let per_task = panels.div_ceil(PRIVATE_TASKS_PER_THREAD * threads);
            self.private_b(simd, kc_sum, nc_panels.min(per_task).max(1), threads);
        } else {
            let blocks = self.k.div_ceil(KC_MAX).max(1);
            let kc = self.k.div_ceil(blocks).next_multiple_of(kc_sum);
            // The macrokernel packs an A that is not row-major, `kc_sum` columns at a time.
            let kc = if self.a.cs == 1 { kc } else { kc_sum }.clamp(1, self.k.max(1));
            self.shared_b(simd, kc, (PACK_B_ELEMS / (kc * nr::<S>())).max(1), threads);
        }
    }

    /// All threads pack a block of B together, then share the rows of C.
    fn shared_b<S: Simd>(&self, simd: S, kc: usize, nc_panels: usize, threads: usize) {
        let (panels, tiles) = (self.panels::<S>(), self.tiles::<S>());
        pack::with_buffer(kc * nr::<S>() * nc_panels.min(panels), |packed| {
            let packed = Shared(packed);
            // LOOP jc: NC columns of B and C.
            for first in (0..panels).step_by(nc_panels) {
                let panels = first..panels.min(first + nc_panels);
                // LOOP pc: KC rows of B, columns of A. Sequential, because each block adds to what C holds.
                for ks in self.k_blocks(kc) {
                    self.pack_shared(simd, panels.clone(), ks.clone(), packed, threads);
                    // LOOP ic: MC rows of A and C, on all threads.
                    parallel::for_each_chunk(0..tiles, threads * TASKS_PER_THREAD, |tiles| {
                        let (panels, ks, packed) = (panels.clone(), ks.clone(), packed.add(0));
                        simd.vectorize(MacroKernel { gemm: self, panels, tiles, ks, packed, next: None });
                    });
                }
            }
        });
    }

    /// Each thread packs blocks of B for columns of its own, and computes all rows of C in these columns.
    fn private_b<S: Simd>(&self, simd: S, kc: usize, nc_panels: usize, threads: usize) {
        let (panels, tiles) = (self.panels::<S>(), self.tiles::<S>());
        // LOOP jc: NC columns of B and C, on all threads.
        parallel::for_each_chunk(0..panels.div_ceil(nc_panels), PRIVATE_TASKS_PER_THREAD * threads, |chunk| {
            let jc = chunk.map(|block| block * nc_panels..panels.min((block + 1) * nc_panels));
            // LOOP pc: KC rows of B, columns of A. One iterator for both loops, so that the next block is known.
            let mut blocks = jc.flat_map(|panels| self.k_blocks(kc).map(move |ks| (panels.clone(), ks)));
            let mut next = blocks.next();
            pack::with_buffer(kc * nr::<S>() * nc_panels, |packed| {
                while let Some((panels, ks)) = next.take() {
                    next = blocks.next();
                    self.pack(simd, panels.clone(), ks.clone(), packed);
                    // LOOP ic: a single block with all rows.
                    let next = next.clone().map(|(panels, ks)| NextBlock {
                        b: self.b,
                        ks,
                        columns: self.columns::<S>(&panels),
                    });
                    simd.vectorize(MacroKernel { gemm: self, panels, tiles: 0..tiles, ks, packed, next });
                }
            });
        });
    }

    /// Packs a block of B on all threads: each packs some panels or, if there are too few, some rows of a panel.
    fn pack_shared<S: Simd>(
        &self,
        simd: S,
        panels: Range<usize>,
        ks: Range<usize>,
        packed: Shared<f32>,
        threads: usize,
    ) {
        let parts = threads.div_ceil(panels.len()).min(ks.len().div_ceil(KC_TASK)).max(1);
        let rows = ks.len().div_ceil(parts).next_multiple_of(KC_TASK);
        parallel::for_each_chunk(0..panels.len() * parts, threads, |tasks| {
            for task in tasks {
                let (panel, row) = (panels.start + task / parts, task % parts * rows);
                let part = (ks.start + row).min(ks.end)..ks.end.min(ks.start + row + rows);
                let width = (self.n - panel * nr::<S>()).min(nr::<S>()).next_multiple_of(S::F32_LANES);
                let to = packed.add((panel - panels.start) * nr::<S>() * ks.len() + row * width);
                self.pack(simd, panel..panel + 1, part, to);
            }
        });
    }

    fn pack<S: Simd>(&self, simd: S, panels: Range<usize>, ks: Range<usize>, to: *mut f32) {
        let columns = self.columns::<S>(&panels);
        simd.vectorize(PackB { b: self.b.from(ks.start, columns.start), kc: ks.len(), nc: columns.len(), to });
    }
}
