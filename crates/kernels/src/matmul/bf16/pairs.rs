//! Convolutions in bfloat16. `vdpbf16ps` adds two products at once, so numbers are stored in pairs of what is summed
//! over: of channels for the outputs, of images for the gradient of the weight.
//!
//! ```text
//!  x: planes of channels         pairs: half as many planes        weight, a row: channels, taps
//!  c0: p0 p1 p2 ..               (c0 p0, c1 p0) (c0 p1, c1 p1) ..   (c0 t0, c1 t0) (c0 t1, c1 t1) ..
//!  c1: p0 p1 p2 ..       ->
//! ```
//!
//! A pair is as wide as a number in single precision. So everything outside the innermost loop (tasks, copies, places)
//! is that of single precision with half the channels or half the images (`conv.rs`, `conv_weight.rs`). The innermost
//! loop of AVX512-BF16 is here; that of AMX, for which weights and gradients are filled up to whole tiles, is in
//! `amx_conv.rs`.

use super::super::conv;
use super::super::conv_elements::{Elements, PairKernels};
use super::super::conv_params::ConvParams;
use super::super::conv_weight::{Gradients, weight_gradient_of};
use super::super::epilogue::Epilogue;
use super::super::in_place::Vectors;
use super::super::mat::MatRef;
use super::super::microkernel::{MicroTile, by_size};
use super::super::params::LINE;
use super::super::patches::Window;
use super::super::weight_tile::WeightTile;
use super::super::with_scratch;
use super::amx_conv;
use super::avx512::bf16s;
use super::pack::{across, mask};
use crate::parallel::{self, Rows};
use ndarray::{ArrayView2, ArrayView4, ArrayViewMut4, Axis, ShapeBuilder};
use std::arch::x86_64::*;
use std::ptr::null;

/// The pairs in a partial sum.
const PAIRS: usize = 128;
/// The least elements of x that are worth a task.
const GRAIN: usize = 1 << 16;

/// The innermost loops of AVX512-BF16.
pub static KERNELS: PairKernels = PairKernels { tile: None, multiply, add_products };

/// As `matmul::convolve`, in pairs. The processor must have the unit.
pub fn convolve(
    kernels: &'static PairKernels,
    a: &[ArrayView2<f32>],
    x: ArrayView4<f32>,
    window: &Window,
    epilogue: Epilogue,
    addend: Option<ArrayView4<f32>>,
    out: ArrayViewMut4<f32>,
) {
    let (images, channels, height, width) = x.dim();
    let (pairs, plane, m) = (channels.div_ceil(2), height * width, a.first().map_or(0, ArrayView2::nrows));
    let elements = Elements::Pairs(kernels);
    let (rows, pitch) =
        (m.next_multiple_of(elements.side()), |taps: usize| (pairs * taps).next_multiple_of(elements.side()));
    let len = window.taps.iter().map(|taps| rows * pitch(taps.len())).sum();
    with_scratch(images * pairs * plane, |planes| {
        with_scratch(len, |left| {
            left.fill(0.0);
            parallel::for_each(
                Rows(planes, pairs * plane),
                (GRAIN / (channels * plane)).max(1),
                |first, Rows(to, len)| {
                    for (i, to) in to.chunks_exact_mut(len).enumerate() {
                        let image = x.index_axis(Axis(0), first + i);
                        let of_channel = |c: usize| image.index_axis(Axis(0), c).as_ptr();
                        for (p, to) in to.chunks_exact_mut(plane).enumerate() {
                            let second = (2 * p + 1 < channels).then(|| of_channel(2 * p + 1));
                            // SAFETY: the elements of a plane are adjacent, and the processor has the unit.
                            unsafe { pair(of_channel(2 * p), second, to) };
                        }
                    }
                },
            );
            let (mut rest, mut parts) = (left, Vec::new());
            for (a, taps) in a.iter().zip(&window.taps) {
                let pitch = pitch(taps.len());
                let (left, behind) = rest.split_at_mut(rows * pitch);
                let rows = a.outer_iter().filter(|_| !taps.is_empty());
                for (row, to) in rows.zip(left.chunks_exact_mut(pitch.max(1))) {
                    let row = row.to_slice().expect("the rows of a weight are contiguous");
                    for (taps_of_pair, to) in row.chunks(2 * taps.len()).zip(to.chunks_exact_mut(taps.len())) {
                        let second = (taps_of_pair.len() > taps.len()).then(|| taps_of_pair[taps.len()..].as_ptr());
                        // SAFETY: each channel has as many taps.
                        unsafe { pair(taps_of_pair.as_ptr(), second, to) };
                    }
                }
                let shape = (m, pairs * taps.len()).strides((pitch, 1));
                parts.push(ArrayView2::from_shape(shape, &*left).expect("as long as its shape says"));
                rest = behind;
            }
            let planes =
                ArrayView4::from_shape((images, pairs, height, width), &*planes).expect("as long as its shape says");
            conv::convolve(conv::Weight::Parts(elements, &parts), planes, window, epilogue, addend, out);
        });
    });
}

/// As `matmul::weight_gradient`, in pairs. The processor must have the unit.
pub fn weight_gradient(
    kernels: &'static PairKernels,
    grad: ArrayView4<f32>,
    x: ArrayView4<f32>,
    params: ConvParams,
    grad_weight: ArrayViewMut4<f32>,
) {
    let (_, _, ky, kx) = grad_weight.dim();
    let multiply = |grad: Gradients| {
        with_image_pairs(&x, |x| weight_gradient_of(Elements::Pairs(kernels), grad, x, params, grad_weight));
    };
    if kernels.tile.is_some() {
        amx_conv::with_tiles(&grad, params, [ky, kx], multiply);
    } else {
        with_image_pairs(&grad, |grad| multiply(Gradients::new(&grad)));
    }
}

/// Calls `f` with pairs of images. If their number is odd, the last one is paired with zeros.
fn with_image_pairs(x: &ArrayView4<f32>, f: impl FnOnce(ArrayView4<f32>)) {
    let (images, channels, height, width) = x.dim();
    let (pairs, image) = (images.div_ceil(2), channels * height * width);
    with_scratch(pairs * image, |planes| {
        parallel::for_each(Rows(planes, image), (GRAIN / image).max(1), |first, Rows(to, _)| {
            for (i, to) in to.chunks_exact_mut(image).enumerate() {
                let of_image = |n: usize| x.index_axis(Axis(0), n).as_ptr();
                let n = 2 * (first + i);
                // SAFETY: the channels of an image are adjacent, and the processor has the unit.
                unsafe { pair(of_image(n), (n + 1 < images).then(|| of_image(n + 1)), to) };
            }
        });
        f(ArrayView4::from_shape((pairs, channels, height, width), planes).expect("as long as its shape says"));
    });
}

/// Rounds two arrays, or one and zeros, to pairs.
///
/// # Safety
/// The arrays are as long as `to`, and the processor has the unit.
#[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
unsafe fn pair(first: *const f32, second: Option<*const f32>, to: &mut [f32]) {
    let whole = to.len() - to.len() % LINE;
    let (all, rest) = ([!0, if second.is_some() { !0 } else { 0 }], mask(to.len() - whole));
    let (second, to) = (second.unwrap_or(first), to.as_mut_ptr().cast::<i32>());
    // No closures: they would not be compiled with this function's target features, so they would not be inlined.
    // SAFETY: the vectors lie inside the arrays, and the masks keep to them.
    unsafe {
        for i in (0..whole).step_by(LINE) {
            _mm512_storeu_si512(to.add(i).cast(), across([first.add(i), second.add(i)], all));
        }
        if rest != 0 {
            let pairs = across([first.add(whole), second.add(whole)], [all[0] & rest, all[1] & rest]);
            _mm512_mask_storeu_epi32(to.add(whole), rest, pairs);
        }
    }
}

/// Computes a microtile of any size up to the full one from the pairs at `b`.
///
/// # Safety
/// As `in_place::compute`, with vectors of 16, and the processor has the unit.
unsafe fn multiply(rows: usize, vectors: usize, tile: MicroTile, b: Vectors) {
    // SAFETY: as promised by the caller.
    by_size!(rows, vectors, |R, V| unsafe { run::<R, V>(tile, b) });
}

/// # Safety
/// As `WeightTile::by_size`, with vectors of 16, and the processor has the unit.
unsafe fn add_products(rows: usize, tile: WeightTile) {
    // SAFETY: as promised by the caller.
    by_size!(wide rows, tile.vectors.len(), |R, V| unsafe { add::<R, V>(tile) });
}

/// # Safety
/// As `multiply`.
#[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
#[allow(clippy::needless_range_loop, reason = "counted loops are unrolled, which keeps the sums in registers")]
unsafe fn run<const R: usize, const V: usize>(tile: MicroTile, b: Vectors) {
    let MicroTile { a: MatRef { mut ptr, rs, cs }, c, rs_c, .. } = tile;
    let mut columns = [null(); V];
    columns.copy_from_slice(&b.columns()[..V]);
    // SAFETY: the caller's promise covers every element that is read or written.
    unsafe {
        for (part, offsets) in b.offsets().chunks(PAIRS).enumerate() {
            let mut sums = [[_mm512_setzero_ps(); V]; R];
            for &offset in offsets {
                let mut right = [_mm512_setzero_si512(); V];
                for j in 0..V {
                    right[j] = _mm512_loadu_si512(columns[j].add(offset).cast());
                }
                for i in 0..R {
                    let left = _mm512_set1_epi32(ptr.offset(i as isize * rs).cast::<i32>().read());
                    for j in 0..V {
                        sums[i][j] = _mm512_dpbf16_ps(sums[i][j], bf16s(left), bf16s(right[j]));
                    }
                }
                ptr = ptr.wrapping_offset(cs);
            }
            for i in 0..R {
                for j in 0..V {
                    let to = c.offset(i as isize * rs_c).add(j * LINE);
                    if part > 0 {
                        sums[i][j] = _mm512_add_ps(_mm512_loadu_ps(to), sums[i][j]);
                    }
                    _mm512_storeu_ps(to, sums[i][j]);
                }
            }
        }
    }
}

/// Adds the products of the tile's pairs of images to the sums.
///
/// # Safety
/// As `add_products`.
#[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
#[allow(clippy::needless_range_loop, reason = "counted loops are unrolled, which keeps the sums in registers")]
unsafe fn add<const R: usize, const V: usize>(tile: WeightTile) {
    let mut offsets = [0; V];
    offsets.copy_from_slice(tile.vectors);
    let mut sums = [[_mm512_setzero_ps(); V]; R];
    // SAFETY: as promised by the caller.
    unsafe {
        for [mut grad, source] in tile.places() {
            for y in 0..tile.grid[0] {
                let mut source = source.wrapping_add(y * tile.jump);
                for _ in 0..tile.grid[1] {
                    let mut right = [_mm512_setzero_si512(); V];
                    for j in 0..V {
                        right[j] = _mm512_loadu_si512(source.add(offsets[j]).cast());
                    }
                    for i in 0..R {
                        let left = _mm512_set1_epi32(grad.add(i * tile.rs_grad).cast::<i32>().read());
                        for j in 0..V {
                            sums[i][j] = _mm512_dpbf16_ps(sums[i][j], bf16s(left), bf16s(right[j]));
                        }
                    }
                    grad = grad.wrapping_add(1);
                    source = source.wrapping_add(tile.step);
                }
            }
        }
        for i in 0..R {
            for j in 0..V {
                let to = tile.sums.add(i * tile.rs_sums + j * LINE);
                _mm512_storeu_ps(to, _mm512_add_ps(_mm512_loadu_ps(to), sums[i][j]));
            }
        }
    }
}
