//! softmax(q k^T scale + biases) v in each head, `torch.nn.functional.scaled_dot_product_attention`, and its gradients.
//! Weights are in the scratch memory of a thread alone, a block of queries at a time: the backward pass computes them
//! again.

use crate::dropout::{Mask, mask_in_place};
use crate::error::{Result, expect_shape, expect_that};
use crate::matmul::{Precision, batch_grain, product, with_scratch};
use crate::parallel;
use crate::softmax::{softmax_backward_rows, softmax_rows};
use crate::vectorised::vectorised;
use ndarray::{ArrayView2, ArrayView4, ArrayViewMut2, ArrayViewMut3, ArrayViewMut4, Axis, Slice};
use std::ops::Range;

const OP: &str = "attention";
/// The most scores in memory together, if a query has no more: 256 KiB, of which L2 holds several.
const BLOCK: usize = 1 << 16;

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

    /// The queries whose scores are in memory together: the bits of the gradients of k and v depend on it.
    fn block(&self) -> usize {
        (BLOCK / self.keys.max(1)).clamp(1, self.queries.max(1))
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
        let block = sizes.block();
        parallel::for_each(outs.as_mut_slice(), sizes.grain(), |first, outs| {
            with_scratch(block * (width + 2 * keys), |scratch| {
                for (i, out) in outs.iter_mut().enumerate() {
                    for (rows, mut out) in blocks(queries, block).zip(out.axis_chunks_iter_mut(Axis(0), block)) {
                        let part = Part { sizes, at: first + i, rows };
                        let [scaled, scores, weights] = parts(scratch, [width, keys, keys].map(|n| part.len() * n));
                        self.weights(&part, scaled, scores, weights);
                        self.drop(&part, weights);
                        self.product(part.matrix(weights, keys), head(self.v, part.at), out.view_mut());
                    }
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
        if queries == 0 || keys == 0 {
            [q, k, v].iter_mut().flatten().flatten().for_each(|into| into.fill(0.0));
            return Ok(());
        }
        let work = (q.as_mut_slice(), k.as_mut_slice(), v.as_mut_slice());
        let (block, widest) = (sizes.block(), width.max(value_width));
        parallel::for_each(work, sizes.grain(), |first, (q, k, v)| {
            with_scratch(block * (width + 3 * keys) + keys * widest, |scratch| {
                for (i, (q, (k, v))) in q.iter_mut().zip(k.iter_mut().zip(v)).enumerate() {
                    for rows in blocks(queries, block) {
                        let part = Part { sizes, at: first + i, rows };
                        let into = [q.as_mut(), k.as_mut(), v.as_mut()].map(|into| into.map(|into| into.view_mut()));
                        self.backward_part(&part, part.rows_of(head(grad, part.at)), scratch, into);
                    }
                }
            });
        });
        Ok(())
    }

    /// Writes what some queries of a head contribute to the gradients: all of q's rows; to those of k and v it is added,
    /// unless it comes first.
    fn backward_part(
        &self,
        part: &Part,
        grad: ArrayView2<f32>,
        scratch: &mut [f32],
        [q, k, v]: [Option<ArrayViewMut2<f32>>; 3],
    ) {
        let Sizes { keys, width, value_width, .. } = part.sizes;
        let (sum, rest) = scratch.split_at_mut(keys * width.max(value_width));
        let [scaled, scores, weights, grads] = parts(rest, [width, keys, keys, keys].map(|n| part.len() * n));
        self.weights(part, scaled, scores, weights);
        if let Some(into) = v {
            scores.copy_from_slice(weights);
            self.drop(part, scores);
            self.add_product(part, part.matrix(scores, keys).reversed_axes(), grad, sum, into);
        }
        if q.is_none() && k.is_none() {
            return;
        }
        self.product(grad, head(self.v, part.at).reversed_axes(), part.matrix_mut(grads, keys));
        self.drop(part, grads);
        softmax_backward_rows(grads, weights, scores, keys);
        let of_scores = part.matrix(scores, keys);
        if let Some(into) = k {
            self.add_product(part, of_scores.reversed_axes(), part.matrix(scaled, width), sum, into);
        }
        if let Some(mut into) = q {
            let mut into = into.slice_axis_mut(Axis(0), Slice::from(part.rows.clone()));
            self.product(of_scores, head(self.k, part.at), into.view_mut());
            into.map_inplace(|x| *x *= self.scale);
        }
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

    /// Writes the queries, scaled, and their weights before dropout; `scores` has them before softmax.
    fn weights(&self, part: &Part, scaled: &mut [f32], scores: &mut [f32], weights: &mut [f32]) {
        let Sizes { heads, keys, width, .. } = part.sizes;
        let q = part.rows_of(head(self.q, part.at));
        part.matrix_mut(scaled, width).zip_mut_with(&q, |to, x| *to = x * self.scale);
        let k = head(self.k, part.at).reversed_axes();
        self.product(part.matrix(scaled, width), k, part.matrix_mut(scores, keys));
        if let Some(bias) = self.key_bias {
            add_to_rows(scores, &bias[part.at / heads * keys..][..keys], keys);
        }
        if let Some(bias) = self.bias {
            let all = part.sizes.scores();
            let own = if bias.len() == all { bias } else { &bias[part.at * all..][..all] };
            add_to_rows(scores, &own[part.rows.start * keys..][..scores.len()], keys);
        }
        softmax_rows(scores, weights, keys);
    }

    /// Zeroes the weights, or the gradients of weights, that dropout does not keep.
    fn drop(&self, part: &Part, weights: &mut [f32]) {
        if let Some(Mask { keep, p }) = self.dropout {
            let first = part.at * part.sizes.scores() + part.rows.start * part.sizes.keys;
            mask_in_place(&keep[first..][..weights.len()], p, weights);
        }
    }

    fn product(&self, a: ArrayView2<f32>, b: ArrayView2<f32>, out: ArrayViewMut2<f32>) {
        product(self.precision, OP, a, b, out).expect("the shapes were checked");
    }

    /// Writes a product of the first queries, and adds those of others; `sum` is scratch memory.
    fn add_product(
        &self,
        part: &Part,
        a: ArrayView2<f32>,
        b: ArrayView2<f32>,
        sum: &mut [f32],
        mut into: ArrayViewMut2<f32>,
    ) {
        if part.rows.start == 0 {
            return self.product(a, b, into);
        }
        let shape = into.dim();
        let mut sum =
            ArrayViewMut2::from_shape(shape, &mut sum[..shape.0 * shape.1]).expect("as long as its shape says");
        self.product(a, b, sum.view_mut());
        into += &sum;
    }
}

/// Some queries of a head.
struct Part {
    sizes: Sizes,
    /// The head, of all rows of the batch.
    at: usize,
    rows: Range<usize>,
}

impl Part {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn rows_of<'a>(&self, x: ArrayView2<'a, f32>) -> ArrayView2<'a, f32> {
        x.slice_axis_move(Axis(0), Slice::from(self.rows.clone()))
    }

    fn matrix<'a>(&self, x: &'a [f32], columns: usize) -> ArrayView2<'a, f32> {
        ArrayView2::from_shape([self.len(), columns], x).expect("as long as its shape says")
    }

    fn matrix_mut<'a>(&self, x: &'a mut [f32], columns: usize) -> ArrayViewMut2<'a, f32> {
        ArrayViewMut2::from_shape([self.len(), columns], x).expect("as long as its shape says")
    }
}

/// The rows of each block.
fn blocks(rows: usize, block: usize) -> impl Iterator<Item = Range<usize>> {
    (0..rows).step_by(block).map(move |start| start..rows.min(start + block))
}

/// The first so many elements, then the next ones.
fn parts<const N: usize>(mut x: &mut [f32], lengths: [usize; N]) -> [&mut [f32]; N] {
    lengths.map(|length| x.split_off_mut(..length).expect("as long as its parts"))
}

/// A head of all rows of the batch.
fn head(x: ArrayView4<'_, f32>, at: usize) -> ArrayView2<'_, f32> {
    let heads = x.dim().1;
    x.index_axis_move(Axis(0), at / heads).index_axis_move(Axis(0), at % heads)
}

/// The rows of the batch of an array that there may be.
fn batches<'a>(x: &'a mut Option<ArrayViewMut4<'_, f32>>) -> Vec<ArrayViewMut3<'a, f32>> {
    x.iter_mut().flat_map(|x| x.outer_iter_mut()).collect()
}

/// Each head of these rows; `count` times none if there are no rows.
fn heads_of<'a>(rows: &'a mut [ArrayViewMut3<'_, f32>], count: usize) -> Vec<Option<ArrayViewMut2<'a, f32>>> {
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
