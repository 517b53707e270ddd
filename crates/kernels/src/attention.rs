//! softmax(q k^T scale + biases) v in each head, `torch.nn.functional.scaled_dot_product_attention`, and its gradients.
//! The weights of a head are in the scratch memory of its thread alone: the backward pass computes them again.

use crate::dropout::{Mask, mask_in_place};
use crate::error::{Result, expect_shape, expect_that};
use crate::matmul::{Precision, batch_grain, product, with_scratch};
use crate::parallel;
use crate::softmax::{softmax_backward_rows, softmax_rows};
use crate::vectorised::vectorised;
use ndarray::{ArrayView2, ArrayView4, ArrayViewMut2, ArrayViewMut4};

const OP: &str = "attention";

/// What a call reads. Axes may have any strides, so that heads need no copies.
#[derive(Clone, Copy)]
pub struct Attention<'a> {
    /// What the operands of the products are rounded to.
    pub precision: Precision,
    /// The queries, [batch, heads, queries, width].
    pub q: ArrayView4<'a, f32>,
    /// [batch, heads, keys, width].
    pub k: ArrayView4<'a, f32>,
    /// [batch, heads, keys, width of a value].
    pub v: ArrayView4<'a, f32>,
    /// What the queries are multiplied by.
    pub scale: f32,
    /// Added to the scores of a key, [batch, keys].
    pub key_bias: Option<&'a [f32]>,
    /// Added to the scores then, [queries, keys] or [batch, heads, queries, keys].
    pub bias: Option<&'a [f32]>,
    /// Which weights are kept, [batch, heads, queries, keys].
    pub dropout: Option<Mask<'a>>,
}

/// The lengths of a head.
#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    heads: usize,
    queries: usize,
    keys: usize,
    width: usize,
    value_width: usize,
}

impl Sizes {
    fn scores(&self) -> usize {
        self.queries * self.keys
    }

    /// The least heads of a task.
    fn grain(&self) -> usize {
        batch_grain(self.batch * self.heads, self.scores() * self.width)
    }
}

impl Attention<'_> {
    /// out[batch, heads, queries, width of a value].
    pub fn forward(&self, mut out: ArrayViewMut4<f32>) -> Result<()> {
        let sizes = self.check()?;
        let Sizes { batch, heads, queries, keys, width, value_width } = sizes;
        expect_shape(OP, "out", out.shape(), &[batch, heads, queries, value_width])?;
        if keys == 0 {
            out.fill(0.0);
            return Ok(());
        }
        let mut rows: Vec<_> = out.outer_iter_mut().collect();
        let mut outs: Vec<_> = rows.iter_mut().flat_map(|row| row.outer_iter_mut()).collect();
        parallel::for_each(outs.as_mut_slice(), sizes.grain(), |first, outs| {
            with_scratch(queries * width + 2 * sizes.scores(), |scratch| {
                let (scaled, scratch) = scratch.split_at_mut(queries * width);
                let (scores, weights) = scratch.split_at_mut(sizes.scores());
                for (i, out) in outs.iter_mut().enumerate() {
                    self.weights(sizes, first + i, scaled, scores, weights);
                    self.drop(sizes, first + i, weights);
                    let v = head(self.v, first + i);
                    self.product(matrix(weights, [queries, keys]), v, out.view_mut());
                }
            });
        });
        Ok(())
    }

    /// The gradients of q, k and v, where one is asked for, from grad[batch, heads, queries, width of a value].
    pub fn backward(&self, grad: ArrayView4<f32>, into: [Option<ArrayViewMut4<f32>>; 3]) -> Result<()> {
        let sizes = self.check()?;
        let Sizes { batch, heads, queries, keys, width, value_width } = sizes;
        expect_shape(OP, "grad", grad.shape(), &[batch, heads, queries, value_width])?;
        for (what, into, of) in
            [("grad_q", &into[0], self.q), ("grad_k", &into[1], self.k), ("grad_v", &into[2], self.v)]
        {
            into.as_ref().map_or(Ok(()), |into| expect_shape(OP, what, into.shape(), of.shape()))?;
        }
        let [mut q, mut k, mut v] = into;
        let (mut q_rows, mut k_rows, mut v_rows) = (batches(&mut q), batches(&mut k), batches(&mut v));
        let count = batch * heads;
        let [mut q, mut k, mut v] = [&mut q_rows, &mut k_rows, &mut v_rows].map(|rows| heads_of(rows, count));
        if keys == 0 {
            q.iter_mut().flatten().for_each(|into| into.fill(0.0));
            return Ok(());
        }
        let work = (q.as_mut_slice(), k.as_mut_slice(), v.as_mut_slice());
        parallel::for_each(work, sizes.grain(), |first, (q, k, v)| {
            with_scratch(queries * width + 3 * sizes.scores(), |scratch| {
                let (scaled, scratch) = scratch.split_at_mut(queries * width);
                let (scores, scratch) = scratch.split_at_mut(sizes.scores());
                let (weights, grads) = scratch.split_at_mut(sizes.scores());
                for (i, (q, (k, v))) in q.iter_mut().zip(k.iter_mut().zip(v)).enumerate() {
                    let at = first + i;
                    let grad = head(grad, at);
                    self.weights(sizes, at, scaled, scores, weights);
                    if let Some(into) = v {
                        scores.copy_from_slice(weights);
                        self.drop(sizes, at, scores);
                        self.product(matrix(scores, [queries, keys]).reversed_axes(), grad, into.view_mut());
                    }
                    if q.is_none() && k.is_none() {
                        continue;
                    }
                    self.product(grad, head(self.v, at).reversed_axes(), matrix_mut(grads, [queries, keys]));
                    self.drop(sizes, at, grads);
                    softmax_backward_rows(grads, weights, scores, keys);
                    let of_scores = matrix(scores, [queries, keys]);
                    if let Some(into) = k {
                        self.product(of_scores.reversed_axes(), matrix(scaled, [queries, width]), into.view_mut());
                    }
                    if let Some(into) = q {
                        self.product(of_scores, head(self.k, at), into.view_mut());
                        into.map_inplace(|x| *x *= self.scale);
                    }
                }
            });
        });
        Ok(())
    }

    /// The lengths, which fit each other.
    fn check(&self) -> Result<Sizes> {
        let (batch, heads, queries, width) = self.q.dim();
        let (_, _, keys, value_width) = self.v.dim();
        expect_shape(OP, "k", self.k.shape(), &[batch, heads, keys, width])?;
        expect_shape(OP, "v", self.v.shape(), &[batch, heads, keys, value_width])?;
        let sizes = Sizes { batch, heads, queries, keys, width, value_width };
        let all = batch * heads * sizes.scores();
        if let Some(bias) = self.key_bias {
            expect_shape(OP, "key_bias", &[bias.len()], &[batch * keys])?;
        }
        if let Some(bias) = self.bias {
            let expected = if bias.len() == sizes.scores() { sizes.scores() } else { all };
            expect_shape(OP, "bias", &[bias.len()], &[expected])?;
        }
        if let Some(mask) = &self.dropout {
            mask.check(OP, all)?;
        }
        expect_that(self.scale.is_finite(), OP, "scale", self.scale.into(), "a finite number")?;
        Ok(sizes)
    }

    /// Writes the queries of a head, scaled, and its weights before dropout; `scores` has them before softmax.
    fn weights(&self, sizes: Sizes, at: usize, scaled: &mut [f32], scores: &mut [f32], weights: &mut [f32]) {
        let Sizes { heads, queries, keys, width, .. } = sizes;
        let q = head(self.q, at);
        matrix_mut(scaled, [queries, width]).zip_mut_with(&q, |to, x| *to = x * self.scale);
        let k = head(self.k, at).reversed_axes();
        self.product(matrix(scaled, [queries, width]), k, matrix_mut(scores, [queries, keys]));
        if let Some(bias) = self.key_bias {
            add_to_rows(scores, &bias[at / heads * keys..][..keys], keys);
        }
        if let Some(bias) = self.bias {
            let first = if bias.len() == sizes.scores() { 0 } else { at * sizes.scores() };
            add_to_rows(scores, &bias[first..][..sizes.scores()], keys);
        }
        softmax_rows(scores, weights, keys);
    }

    /// Zeroes the weights of a head, or the gradients of its weights, that dropout does not keep.
    fn drop(&self, sizes: Sizes, at: usize, weights: &mut [f32]) {
        if let Some(Mask { keep, p }) = self.dropout {
            mask_in_place(&keep[at * sizes.scores()..][..sizes.scores()], p, weights);
        }
    }

    fn product(&self, a: ArrayView2<f32>, b: ArrayView2<f32>, out: ArrayViewMut2<f32>) {
        product(self.precision, OP, a, b, out).expect("the shapes were checked");
    }
}

/// A head of all rows of the batch.
fn head(x: ArrayView4<'_, f32>, at: usize) -> ArrayView2<'_, f32> {
    let heads = x.dim().1;
    x.index_axis_move(ndarray::Axis(0), at / heads).index_axis_move(ndarray::Axis(0), at % heads)
}

fn matrix(x: &[f32], shape: [usize; 2]) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape(shape, x).expect("as long as its shape says")
}

fn matrix_mut(x: &mut [f32], shape: [usize; 2]) -> ArrayViewMut2<'_, f32> {
    ArrayViewMut2::from_shape(shape, x).expect("as long as its shape says")
}

/// The rows of the batch of an array that there may be.
fn batches<'a>(x: &'a mut Option<ArrayViewMut4<'_, f32>>) -> Vec<ndarray::ArrayViewMut3<'a, f32>> {
    x.iter_mut().flat_map(|x| x.outer_iter_mut()).collect()
}

/// Each head of these rows; `count` times none if there are no rows.
fn heads_of<'a>(rows: &'a mut [ndarray::ArrayViewMut3<'_, f32>], count: usize) -> Vec<Option<ArrayViewMut2<'a, f32>>> {
    let heads = rows.iter_mut().flat_map(|row| row.outer_iter_mut()).map(Some);
    heads.chain(std::iter::repeat_with(|| None)).take(count).collect()
}

vectorised! {
/// Adds a row of biases to each row, or each to its own.
fn add_to_rows<'a>(rows: &'a mut [f32], bias: &'a [f32], width: usize) {
    for (row, bias) in rows.chunks_exact_mut(width).zip(bias.chunks_exact(width).cycle()) {
        row.iter_mut().zip(bias).for_each(|(x, bias)| *x += bias);
    }
}
}
