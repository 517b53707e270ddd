//! What makes a tile, a kernel or a block of products of one size another: small matrices times vectors, element by
//! element.

use pulp::Simd;

/// A vector of adjacent elements.
///
/// # Safety
/// They exist.
#[inline(always)]
pub(super) unsafe fn load<S: Simd>(from: *const f32) -> S::f32s {
    // SAFETY: as promised by the caller.
    unsafe { from.cast::<S::f32s>().read_unaligned() }
}

/// Writes a vector.
///
/// # Safety
/// There is room.
#[inline(always)]
pub(super) unsafe fn store<S: Simd>(to: *mut f32, x: S::f32s) {
    // SAFETY: as promised by the caller.
    unsafe { to.cast::<S::f32s>().write_unaligned(x) };
}

/// G g for a column g.
#[inline(always)]
pub(super) fn of_taps<S: Simd>(simd: S, [a, b, c]: [S::f32s; 3]) -> [S::f32s; 4] {
    let half = simd.splat_f32s(0.5);
    let (outer, inner) = (simd.mul_f32s(half, simd.add_f32s(a, c)), simd.mul_f32s(half, b));
    [a, simd.add_f32s(outer, inner), simd.sub_f32s(outer, inner), c]
}

/// G^T q for a column q.
#[inline(always)]
pub(super) fn to_taps<S: Simd>(simd: S, [a, b, c, d]: [S::f32s; 4]) -> [S::f32s; 3] {
    let half = simd.splat_f32s(0.5);
    let (sum, difference) = (simd.mul_f32s(half, simd.add_f32s(b, c)), simd.mul_f32s(half, simd.sub_f32s(b, c)));
    [simd.add_f32s(a, sum), difference, simd.add_f32s(sum, d)]
}

/// B^T d for a column d.
#[inline(always)]
pub(super) fn of_source<S: Simd>(simd: S, [a, b, c, d]: [S::f32s; 4]) -> [S::f32s; 4] {
    [simd.sub_f32s(a, c), simd.add_f32s(b, c), simd.sub_f32s(c, b), simd.sub_f32s(b, d)]
}

/// A y for a column y.
#[inline(always)]
pub(super) fn of_outputs<S: Simd>(simd: S, [a, b]: [S::f32s; 2]) -> [S::f32s; 4] {
    [a, simd.add_f32s(a, b), simd.sub_f32s(a, b), simd.sub_f32s(simd.splat_f32s(0.0), b)]
}

/// A^T p for a column p.
#[inline(always)]
pub(super) fn to_outputs<S: Simd>(simd: S, [a, b, c, d]: [S::f32s; 4]) -> [S::f32s; 2] {
    [simd.add_f32s(simd.add_f32s(a, b), c), simd.sub_f32s(simd.sub_f32s(b, c), d)]
}

/// Transforms the columns of a matrix of $n x $n vectors, then the rows, which makes it $m x $m: B^T d B, G g G^T and
/// so on.
macro_rules! both_axes {
    ($simd:expr, $transform:ident, $n:literal -> $m:literal, |$i:ident, $j:ident| $read:expr, |$k:ident, $l:ident, $x:ident| $write:expr) => {{
        // Counted loops, which are unrolled: the elements stay in registers.
        let zero = $simd.splat_f32s(0.0);
        let mut columns = [[zero; $m]; $n];
        for $j in 0..$n {
            let mut column = [zero; $n];
            for $i in 0..$n {
                column[$i] = $read;
            }
            columns[$j] = $transform($simd, column);
        }
        for $k in 0..$m {
            let mut row = [zero; $n];
            for j in 0..$n {
                row[j] = columns[j][$k];
            }
            let row = $transform($simd, row);
            for $l in 0..$m {
                let $x = row[$l];
                $write;
            }
        }
    }};
}
pub(super) use both_axes;
