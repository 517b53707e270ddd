//! Batch normalisation over the rows of a matrix, `torch.nn.BatchNorm1d`: in train mode with the batch's statistics, in
//! eval mode with the running ones. Sums are taken in double precision, rows in order.

use crate::error::{KernelError, Result, dense, dense_mut, expect_shape};
use crate::parallel::{self, Rows};
use crate::vectorised::vectorised;
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2};

const OP: &str = "batch_norm";
/// Columns summed side by side: their double-precision sums stay in the first cache.
const BLOCK: usize = 256;
const GRAIN: usize = 1 << 14;

/// The scale and shift that the layer learns.
pub struct Affine<'a> {
    /// gamma[features].
    pub weight: ArrayView1<'a, f32>,
    /// beta[features].
    pub bias: ArrayView1<'a, f32>,
}

/// The statistics that train mode moves and eval mode uses.
pub struct Running<'a> {
    /// running_mean[features].
    pub mean: ArrayViewMut1<'a, f32>,
    /// running_var[features], unbiased.
    pub var: ArrayViewMut1<'a, f32>,
    /// The share of a batch's statistics in the running ones.
    pub momentum: f32,
}

/// The moments of a batch, for running statistics that are moved later.
pub struct Moments<'a> {
    /// The mean[features].
    pub average: &'a mut [f64],
    /// The unbiased variance[features].
    pub variance: &'a mut [f64],
}

/// Train mode: normalises x[rows, features] by its own mean and biased variance, which go to `mean` and `inv_std` for
/// the backward pass, and moves the running statistics.
pub fn forward_train(
    x: ArrayView2<f32>,
    affine: &Affine,
    running: Running,
    eps: f32,
    mut mean: ArrayViewMut1<f32>,
    mut inv_std: ArrayViewMut1<f32>,
    out: ArrayViewMut2<f32>,
) -> Result<()> {
    expect_batch(x.nrows())?;
    expect_shape(OP, "out", out.shape(), x.shape())?;
    check_affine(affine, x.ncols())?;
    statistics(x, running, eps, mean.view_mut(), inv_std.view_mut())?;
    normalise(x, affine, mean.view(), inv_std.view(), out)
}

/// The mean and the inverse standard deviation of each column of x[rows, features]; moves the running statistics.
pub(crate) fn statistics(
    x: ArrayView2<f32>,
    running: Running,
    eps: f32,
    mean: ArrayViewMut1<f32>,
    inv_std: ArrayViewMut1<f32>,
) -> Result<()> {
    let features = x.ncols();
    let Running { mean: mut running_mean, var: mut running_var, momentum } = running;
    for (what, shape) in [("running_mean", running_mean.shape()), ("running_var", running_var.shape())] {
        expect_shape(OP, what, shape, &[features])?;
    }
    let mean_and_var =
        (dense_mut(OP, "running_mean", &mut running_mean)?, dense_mut(OP, "running_var", &mut running_var)?);
    moments_into(x, Moved(mean_and_var.0, mean_and_var.1, momentum), eps, mean, inv_std)
}

/// The mean and the inverse standard deviation of each column of x[rows, features], and the moments.
pub(crate) fn moments(
    x: ArrayView2<f32>,
    moments: Moments,
    eps: f32,
    mean: ArrayViewMut1<f32>,
    inv_std: ArrayViewMut1<f32>,
) -> Result<()> {
    for (what, len) in [("average", moments.average.len()), ("variance", moments.variance.len())] {
        expect_shape(OP, what, &[len], &[x.ncols()])?;
    }
    moments_into(x, moments, eps, mean, inv_std)
}

fn moments_into(
    x: ArrayView2<f32>,
    keep: impl Keep,
    eps: f32,
    mut mean: ArrayViewMut1<f32>,
    mut inv_std: ArrayViewMut1<f32>,
) -> Result<()> {
    let (rows, features) = x.dim();
    expect_batch(rows)?;
    for (what, shape) in [("mean", mean.shape()), ("inv_std", inv_std.shape())] {
        expect_shape(OP, what, shape, &[features])?;
    }
    let x = dense(OP, "x", &x)?;
    let unbiased = rows as f64 / (rows as f64 - 1.0);
    let statistics = (dense_mut(OP, "mean", &mut mean)?, dense_mut(OP, "inv_std", &mut inv_std)?);
    let grain = (GRAIN / rows).max(BLOCK);
    parallel::for_each((statistics.0, statistics.1, keep), grain, |first, (mean, inv_std, mut keep)| {
        for start in (0..mean.len()).step_by(BLOCK) {
            let width = BLOCK.min(mean.len() - start);
            let (mut averages, mut squares) = ([0.0; BLOCK], [0.0; BLOCK]);
            column_sums(x, features, first + start, &mut averages[..width]);
            averages.iter_mut().for_each(|sum| *sum /= rows as f64);
            column_squares(x, features, first + start, &averages[..width], &mut squares[..width]);
            for j in 0..width {
                let (average, variance) = (averages[j], squares[j] / rows as f64);
                mean[start + j] = average as f32;
                inv_std[start + j] = (1.0 / (variance + f64::from(eps)).sqrt()) as f32;
                keep.put(start + j, average, variance * unbiased);
            }
        }
    });
    Ok(())
}

/// Eval mode: normalises x[rows, features] by the running statistics; `inv_std` is written for the backward pass.
pub fn forward_eval(
    x: ArrayView2<f32>,
    affine: &Affine,
    running_mean: ArrayView1<f32>,
    running_var: ArrayView1<f32>,
    eps: f32,
    mut inv_std: ArrayViewMut1<f32>,
    out: ArrayViewMut2<f32>,
) -> Result<()> {
    let features = x.ncols();
    expect_shape(OP, "running_mean", running_mean.shape(), &[features])?;
    expect_shape(OP, "running_var", running_var.shape(), &[features])?;
    expect_shape(OP, "inv_std", inv_std.shape(), &[features])?;
    expect_shape(OP, "out", out.shape(), x.shape())?;
    check_affine(affine, features)?;
    inverse_deviation(running_var, eps, inv_std.view_mut());
    normalise(x, affine, running_mean, inv_std.view(), out)
}

/// What the backward pass needs of the forward one.
pub struct Saved<'a> {
    /// The input x[rows, features].
    pub x: ArrayView2<'a, f32>,
    /// The mean that was taken off, [features].
    pub mean: ArrayView1<'a, f32>,
    /// The factor that was applied, [features].
    pub inv_std: ArrayView1<'a, f32>,
    /// Whether the statistics were the batch's own, and so depend on x.
    pub train: bool,
}

/// The gradients of x[rows, features], weight[features] and bias[features] from grad[rows, features].
pub fn backward(
    grad: ArrayView2<f32>,
    saved: &Saved,
    weight: ArrayView1<f32>,
    grad_x: ArrayViewMut2<f32>,
    grad_weight: ArrayViewMut1<f32>,
    grad_bias: ArrayViewMut1<f32>,
) -> Result<()> {
    expect_shape(OP, "grad", grad.shape(), saved.x.shape())?;
    let grad = dense(OP, "grad", &grad)?;
    let read = |at: usize, _: usize, part: &mut [f32]| part.copy_from_slice(&grad[at..at + part.len()]);
    backward_of(read, saved, weight, grad_x, grad_weight, grad_bias)
}

/// `backward` of a gradient that is made as it is needed: `grad(place, column, part)` fills a part of a row.
pub(crate) fn backward_of(
    grad: impl Fn(usize, usize, &mut [f32]) + Sync,
    saved: &Saved,
    weight: ArrayView1<f32>,
    mut grad_x: ArrayViewMut2<f32>,
    mut grad_weight: ArrayViewMut1<f32>,
    mut grad_bias: ArrayViewMut1<f32>,
) -> Result<()> {
    let (rows, features) = saved.x.dim();
    expect_shape(OP, "grad_x", grad_x.shape(), &[rows, features])?;
    for (what, shape) in [
        ("mean", saved.mean.shape()),
        ("inv_std", saved.inv_std.shape()),
        ("weight", weight.shape()),
        ("grad_weight", grad_weight.shape()),
        ("grad_bias", grad_bias.shape()),
    ] {
        expect_shape(OP, what, shape, &[features])?;
    }
    let x = dense(OP, "x", &saved.x)?;
    let (mean, inv_std) = (dense(OP, "mean", &saved.mean)?, dense(OP, "inv_std", &saved.inv_std)?);
    let weight = dense(OP, "weight", &weight)?;
    if features == 0 {
        return Ok(());
    }
    let sums = (dense_mut(OP, "grad_weight", &mut grad_weight)?, dense_mut(OP, "grad_bias", &mut grad_bias)?);
    parallel::for_each(sums, (GRAIN / rows.max(1)).max(BLOCK), |first, (grad_weight, grad_bias)| {
        for start in (0..grad_bias.len()).step_by(BLOCK) {
            let (column, width) = (first + start, BLOCK.min(grad_bias.len() - start));
            let (mut along, mut total) = ([0.0; BLOCK], [0.0; BLOCK]);
            let mean = &mean[column..column + width];
            let mut part = [0.0; BLOCK];
            for at in (0..rows).map(|i| i * features + column) {
                grad(at, column, &mut part[..width]);
                add_gradients(&x[at..at + width], &part[..width], mean, &mut along[..width], &mut total[..width]);
            }
            for j in 0..width {
                grad_weight[start + j] = (along[j] * f64::from(inv_std[column + j])) as f32;
                grad_bias[start + j] = total[j] as f32;
            }
        }
    });
    let (grad_weight, grad_bias) = (grad_weight.view(), grad_bias.view());
    let (along, total) = (dense(OP, "grad_weight", &grad_weight)?, dense(OP, "grad_bias", &grad_bias)?);
    let share = if saved.train { 1.0 / rows as f32 } else { 0.0 };
    let out = Rows(dense_mut(OP, "grad_x", &mut grad_x)?, features);
    parallel::for_each(out, GRAIN / features + 1, |first, part| {
        for (i, row) in part.0.chunks_exact_mut(features).enumerate() {
            let at = (first + i) * features;
            grad(at, 0, row);
            input_gradient(&x[at..at + features], mean, inv_std, weight, along, total, share, row);
        }
    });
    Ok(())
}

/// What a batch's moments are written to.
trait Keep: parallel::Split {
    fn put(&mut self, column: usize, average: f64, unbiased: f64);
}

/// The running mean and variance, and the share of a batch in them.
struct Moved<'a>(&'a mut [f32], &'a mut [f32], f32);

impl Keep for Moved<'_> {
    fn put(&mut self, column: usize, average: f64, unbiased: f64) {
        blend(&mut self.0[column], average, self.2);
        blend(&mut self.1[column], unbiased, self.2);
    }
}

impl parallel::Split for Moved<'_> {
    fn items(&self) -> usize {
        self.0.len()
    }
    fn cut(self, mid: usize) -> (Self, Self) {
        let ((a, b), (c, d)) = (self.0.split_at_mut(mid), self.1.split_at_mut(mid));
        (Moved(a, c, self.2), Moved(b, d, self.2))
    }
}

impl Keep for Moments<'_> {
    fn put(&mut self, column: usize, average: f64, unbiased: f64) {
        self.average[column] = average;
        self.variance[column] = unbiased;
    }
}

impl parallel::Split for Moments<'_> {
    fn items(&self) -> usize {
        self.average.len()
    }
    fn cut(self, mid: usize) -> (Self, Self) {
        let ((a, b), (c, d)) = (self.average.split_at_mut(mid), self.variance.split_at_mut(mid));
        (Moments { average: a, variance: c }, Moments { average: b, variance: d })
    }
}

pub(crate) fn expect_batch(rows: usize) -> Result<()> {
    if rows < 2 { Err(KernelError::BatchTooSmall { op: OP, rows }) } else { Ok(()) }
}

pub(crate) fn check_affine(affine: &Affine, features: usize) -> Result<()> {
    expect_shape(OP, "weight", affine.weight.shape(), &[features])?;
    expect_shape(OP, "bias", affine.bias.shape(), &[features])
}

/// Moves a running statistic by a batch's.
pub(crate) fn blend(running: &mut f32, batch: f64, momentum: f32) {
    *running = ((1.0 - f64::from(momentum)) * f64::from(*running) + f64::from(momentum) * batch) as f32;
}

vectorised! {
/// Adds up some columns, rows in order.
fn column_sums<'a>(x: &'a [f32], stride: usize, first: usize, sums: &'a mut [f64]) {
    for row in x.chunks_exact(stride) {
        sums.iter_mut().zip(&row[first..]).for_each(|(sum, &x)| *sum += f64::from(x));
    }
}
}

vectorised! {
/// Adds up the squares of the distances from the averages, rows in order.
fn column_squares<'a>(x: &'a [f32], stride: usize, first: usize, averages: &'a [f64], sums: &'a mut [f64]) {
    for row in x.chunks_exact(stride) {
        for ((sum, &x), average) in sums.iter_mut().zip(&row[first..]).zip(averages) {
            let distance = f64::from(x) - average;
            *sum += distance * distance;
        }
    }
}
}

vectorised! {
/// Adds a row to the sums by column: of grad times the distance from the mean, and of grad.
fn add_gradients<'a>(
    x: &'a [f32],
    grad: &'a [f32],
    mean: &'a [f32],
    along: &'a mut [f64],
    total: &'a mut [f64],
) {
    for ((((along, total), &grad), &x), &mean) in along.iter_mut().zip(total).zip(grad).zip(x).zip(mean) {
        *along += f64::from(grad) * f64::from(x - mean);
        *total += f64::from(grad);
    }
}
}

vectorised! {
/// A row of the input's gradient, in place of the output's.
fn input_gradient<'a>(
    x: &'a [f32],
    mean: &'a [f32],
    inv_std: &'a [f32],
    weight: &'a [f32],
    along: &'a [f32],
    total: &'a [f32],
    share: f32,
    grad: &'a mut [f32],
) {
    let n = grad.len();
    let (x, mean, inv_std) = (&x[..n], &mean[..n], &inv_std[..n]);
    let (weight, along, total) = (&weight[..n], &along[..n], &total[..n]);
    for j in 0..n {
        let normal = (x[j] - mean[j]) * inv_std[j];
        grad[j] = weight[j] * inv_std[j] * (grad[j] - share * (total[j] + normal * along[j]));
    }
}
}

/// inv_std = 1 / sqrt(var + eps).
pub(crate) fn inverse_deviation(var: ArrayView1<f32>, eps: f32, mut inv_std: ArrayViewMut1<f32>) {
    inv_std.zip_mut_with(&var, |inv_std, var| *inv_std = 1.0 / (var + eps).sqrt());
}

/// One normalised element: the batch_norm kernels agree on its bits.
#[inline(always)]
pub(crate) fn normal(x: f32, mean: f32, inv_std: f32, weight: f32, bias: f32) -> f32 {
    (x - mean) * inv_std * weight + bias
}

fn normalise(
    x: ArrayView2<f32>,
    affine: &Affine,
    mean: ArrayView1<f32>,
    inv_std: ArrayView1<f32>,
    mut out: ArrayViewMut2<f32>,
) -> Result<()> {
    let features = x.ncols();
    let (x, mean, inv_std) = (dense(OP, "x", &x)?, dense(OP, "mean", &mean)?, dense(OP, "inv_std", &inv_std)?);
    let (weight, bias) = (dense(OP, "weight", &affine.weight)?, dense(OP, "bias", &affine.bias)?);
    let out = dense_mut(OP, "out", &mut out)?;
    if features == 0 {
        return Ok(());
    }
    parallel::for_each(Rows(out, features), GRAIN / features + 1, |first, part| {
        for (i, row) in part.0.chunks_exact_mut(features).enumerate() {
            normalise_row(&x[(first + i) * features..][..features], mean, inv_std, weight, bias, row);
        }
    });
    Ok(())
}

vectorised! {
fn normalise_row<'a>(
    x: &'a [f32],
    mean: &'a [f32],
    inv_std: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    out: &'a mut [f32],
) {
    let n = out.len();
    let (x, mean, inv_std, weight, bias) = (&x[..n], &mean[..n], &inv_std[..n], &weight[..n], &bias[..n]);
    for j in 0..n {
        out[j] = normal(x[j], mean[j], inv_std[j], weight[j], bias[j]);
    }
}
}
