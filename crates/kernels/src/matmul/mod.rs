//! Matrix products in single precision.
//!
//! Every element of a product is a sum over k of chains (`chain`): fused multiply-adds in ascending order from zero make
//! one chain, and the chains are added up in order. So its bits depend on its row and its column only: not on the
//! threads, on the rows and columns that come along, or on which of the processor's vector units did the work.

mod chain;
mod micro;
mod pack;
mod piece;
mod place;
mod plan;
mod transpose;

use crate::error::{Result, expect_shape};
use ndarray::{ArrayView2, ArrayViewMut2};
use plan::{Bias, Product};
use pulp::Arch;

/// out[m, n] = a[m, k] b[k, n].
pub fn matmul(a: ArrayView2<f32>, b: ArrayView2<f32>, out: ArrayViewMut2<f32>) -> Result<()> {
    product("matmul", a, b, Finish::default(), out)
}

/// out[m, n] = a[m, k] b[n, k]^T.
pub fn matmul_nt(a: ArrayView2<f32>, b: ArrayView2<f32>, out: ArrayViewMut2<f32>) -> Result<()> {
    product_nt("matmul_nt", a, b, Finish::default(), out)
}

/// out[m, n] = a[k, m]^T b[k, n].
pub fn matmul_tn(a: ArrayView2<f32>, b: ArrayView2<f32>, out: ArrayViewMut2<f32>) -> Result<()> {
    product("matmul_tn", a.reversed_axes(), b, Finish::default(), out)
}

/// out[m, n] = finish(a[m, k] b[n, k]^T).
pub(crate) fn product_nt(
    op: &'static str,
    a: ArrayView2<f32>,
    b: ArrayView2<f32>,
    finish: Finish,
    out: ArrayViewMut2<f32>,
) -> Result<()> {
    // Checked here, as it lies: turned, it would be refused with its shape the other way round.
    expect_shape(op, "b", b.shape(), &[b.nrows(), a.ncols()])?;
    product(op, a, b.reversed_axes(), finish, out)
}

/// What is done to an element in the product's last write.
#[derive(Clone, Copy, Default)]
pub(crate) struct Finish<'a> {
    /// Added to each column, [n].
    pub bias: Option<&'a [f32]>,
    /// Whether what is below zero becomes zero.
    pub relu: bool,
}

/// out[m, n] = finish(a[m, k] b[k, n]).
fn product(
    op: &'static str,
    a: ArrayView2<f32>,
    b: ArrayView2<f32>,
    finish: Finish,
    out: ArrayViewMut2<f32>,
) -> Result<()> {
    product_on(Arch::new(), op, a, b, finish, out)
}

fn product_on(
    arch: Arch,
    op: &'static str,
    a: ArrayView2<f32>,
    b: ArrayView2<f32>,
    Finish { bias, relu }: Finish,
    mut out: ArrayViewMut2<f32>,
) -> Result<()> {
    let ((m, k), n) = (a.dim(), b.ncols());
    expect_shape(op, "b", b.shape(), &[k, n])?;
    expect_shape(op, "out", out.shape(), &[m, n])?;
    if let Some(bias) = bias {
        expect_shape(op, "bias", &[bias.len()], &[n])?;
    }
    let bias = bias.map_or(Bias::None, Bias::Columns);
    arch.dispatch(Product { m, n, k, a: (&a).into(), b: (&b).into(), out: (&mut out).into(), bias, relu });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    fn archs() -> Vec<Arch> {
        let mut archs = vec![Arch::Scalar, Arch::new()];
        #[cfg(target_arch = "x86_64")]
        archs.extend(pulp::x86::V3::try_new().map(Arch::V3));
        archs
    }

    fn numbers(rows: usize, columns: usize) -> Array2<f32> {
        Array2::from_shape_fn((rows, columns), |(i, j)| ((i * 37 + j * 101) % 211) as f32 / 105.0 - 1.0)
    }

    #[test]
    fn every_vector_unit_gives_the_bits_of_the_chains() {
        for (m, k, n) in [(1, 1, 1), (7, 63, 65), (65, 7, 63), (13, 2500, 70), (130, 20, 33), (64, 10, 100), (3, 0, 5)]
        {
            let (a, b, bias) = (numbers(m, k), numbers(k, n), numbers(1, n).into_raw_vec_and_offset().0);
            let b_turned = b.t().as_standard_layout().into_owned();
            let want = Array2::from_shape_fn((m, n), |(i, j)| {
                let sum = |ks: std::ops::Range<usize>| ks.fold(0.0, |sum, p| a[[i, p]].mul_add(b[[p, j]], sum));
                let chains = (0..k).step_by(chain::length(k)).map(|start| sum(start..k.min(start + chain::length(k))));
                let sum = chains.reduce(|a, b| a + b).unwrap_or(0.0) + bias[j];
                if sum <= 0.0 { 0.0 } else { sum }
            });
            for arch in archs() {
                for b in [b.view(), b_turned.t()] {
                    let mut out = Array2::from_elem((m, n), f32::NAN);
                    let finish = Finish { bias: Some(&bias), relu: true };
                    product_on(arch, "test", a.view(), b, finish, out.view_mut()).unwrap();
                    assert_eq!(out.mapv(f32::to_bits), want.mapv(f32::to_bits), "{arch:?} {m}x{k}x{n}");
                }
            }
        }
    }
}
