//! The statistics of BatchNorm: mean and inverse standard deviation of each column of a batch, or the running ones.
//! Sums over the rows are taken in double precision and in row order.

use crate::error::{KernelError, Result, contiguous, expect_shape};
use crate::parallel::{self, GRAIN, Split};
use crate::plane_sums::{self, Planes};
use crate::prefetch;
use crate::vectorised::vectorised;
use ndarray::ArrayView3;

/// Columns that are summed side by side: 2 KiB of double-precision sums, which stay in L1.
pub(crate) const COLUMN_BLOCK: usize = 256;

/// Which statistics normalize a batch.
pub enum Statistics<'a> {
    /// The batch's own (train mode); the running statistics are updated.
    Batch(RunningUpdate<'a>),
    /// The batch's own; their moments are returned, so that the caller can update the running statistics later.
    BatchDeferred(Moments<'a>),
    /// The running statistics (eval mode).
    Running {
        /// running_mean[features].
        mean: &'a [f32],
        /// running_var[features].
        var: &'a [f32],
    },
}

/// The running statistics that a batch in train mode updates.
pub struct RunningUpdate<'a> {
    /// running_mean[features].
    pub mean: &'a mut [f32],
    /// running_var[features], unbiased.
    pub var: &'a mut [f32],
    /// The weight of the batch in the moving average.
    pub momentum: f32,
}

/// The moments of a batch.
pub struct Moments<'a> {
    /// mean[features].
    pub mean: &'a mut [f64],
    /// The unbiased variance[features].
    pub var: &'a mut [f64],
}

impl Statistics<'_> {
    /// Refuses a batch that has no variance, and arrays that do not hold one number per feature.
    pub(crate) fn check(&self, op: &'static str, rows: usize, features: usize) -> Result<()> {
        let (mean, var) = match self {
            Self::Batch(RunningUpdate { mean, var, .. }) => (mean.len(), var.len()),
            Self::BatchDeferred(Moments { mean, var }) => (mean.len(), var.len()),
            Self::Running { mean, var } => (mean.len(), var.len()),
        };
        if rows < 2 && !matches!(self, Self::Running { .. }) {
            return Err(KernelError::BatchTooSmall { op, rows });
        }
        expect_shape(op, "running_mean", &[mean], &[features])?;
        expect_shape(op, "running_var", &[var], &[features])
    }

    /// Writes the mean and 1 / sqrt(var + eps) of each column of x[rows, features], all of them checked before.
    pub(crate) fn compute(self, x: &[f32], rows: usize, eps: f32, mean: &mut [f32], inv_std: &mut [f32]) {
        match self {
            Self::Batch(sink) => batch_moments(x, rows, sink, eps, mean, inv_std),
            Self::BatchDeferred(sink) => batch_moments(x, rows, sink, eps, mean, inv_std),
            Self::Running { mean: running_mean, var } => {
                mean.copy_from_slice(running_mean);
                write_inv_std(var, eps, inv_std);
            }
        }
    }
}

/// 1 / standard deviation from a running variance.
pub(crate) fn inv_std(var: f32, eps: f32) -> f32 {
    1.0 / (var + eps).sqrt()
}

/// Writes `inv_std` of each feature.
pub(crate) fn write_inv_std(var: &[f32], eps: f32, out: &mut [f32]) {
    out.iter_mut().zip(var).for_each(|(out, var)| *out = inv_std(*var, eps));
}

/// Moves an exponential moving average towards a batch's value.
pub(crate) fn ema_update(running: &mut f32, batch: f64, momentum: f32) {
    *running = ((1.0 - f64::from(momentum)) * f64::from(*running) + f64::from(momentum) * batch) as f32;
}

/// Where the moments of a batch go, column by column.
trait MomentSink: Split {
    fn write(&mut self, column: usize, mean: f64, unbiased_var: f64);
}

impl MomentSink for RunningUpdate<'_> {
    fn write(&mut self, column: usize, mean: f64, unbiased_var: f64) {
        ema_update(&mut self.mean[column], mean, self.momentum);
        ema_update(&mut self.var[column], unbiased_var, self.momentum);
    }
}

impl Split for RunningUpdate<'_> {
    fn items(&self) -> usize {
        self.mean.len()
    }
    fn split_at(self, mid: usize) -> (Self, Self) {
        let Self { mean, var, momentum } = self;
        let ((mean, mean_tail), (var, var_tail)) = (mean.split_at_mut(mid), var.split_at_mut(mid));
        (Self { mean, var, momentum }, Self { mean: mean_tail, var: var_tail, momentum })
    }
}

impl MomentSink for Moments<'_> {
    fn write(&mut self, column: usize, mean: f64, unbiased_var: f64) {
        (self.mean[column], self.var[column]) = (mean, unbiased_var);
    }
}

impl Split for Moments<'_> {
    fn items(&self) -> usize {
        self.mean.len()
    }
    fn split_at(self, mid: usize) -> (Self, Self) {
        let ((mean, mean_tail), (var, var_tail)) = (self.mean.split_at_mut(mid), self.var.split_at_mut(mid));
        (Self { mean, var }, Self { mean: mean_tail, var: var_tail })
    }
}

/// Two passes over the columns: means first, then squared distances from them.
fn batch_moments(x: &[f32], rows: usize, sink: impl MomentSink, eps: f32, mean: &mut [f32], inv_std: &mut [f32]) {
    let (features, unbiased) = (mean.len(), rows as f64 / (rows as f64 - 1.0));
    parallel::for_each((mean, inv_std, sink), columns_per_task(rows), |first, (mean, inv_std, mut sink)| {
        for start in (0..mean.len()).step_by(COLUMN_BLOCK) {
            let width = COLUMN_BLOCK.min(mean.len() - start);
            let (mut means, mut squares) = ([0.0; COLUMN_BLOCK], [0.0; COLUMN_BLOCK]);
            let (means, squares) = (&mut means[..width], &mut squares[..width]);
            column_sums(x, features, first + start, means);
            means.iter_mut().for_each(|sum| *sum /= rows as f64);
            column_squares(x, features, first + start, means, squares);
            for j in 0..width {
                let var = squares[j] / rows as f64;
                mean[start + j] = means[j] as f32;
                inv_std[start + j] = (1.0 / (var + f64::from(eps)).sqrt()) as f32;
                sink.write(start + j, means[j], var * unbiased);
            }
        }
    });
}

/// The mean of each feature of x[rows, features, length], and the sum of squared distances from it: what BatchNorm adds
/// over parts of a batch.
pub fn moments(x: ArrayView3<f32>, mean: &mut [f64], squares: &mut [f64]) -> Result<()> {
    let (rows, features, length) = x.dim();
    let x = contiguous("moments", "x", &x)?;
    expect_shape("moments", "mean", &[mean.len()], &[features])?;
    expect_shape("moments", "squares", &[squares.len()], &[features])?;
    if features == 0 {
        return Ok(());
    }
    let count = (rows * length).max(1) as f64;
    if length == 1 {
        parallel::for_each((mean, squares), columns_per_task(rows), |first, (mean, squares)| {
            mean.fill(0.0);
            squares.fill(0.0);
            column_sums(x, features, first, mean);
            mean.iter_mut().for_each(|sum| *sum /= count);
            column_squares(x, features, first, mean, squares);
        });
        return Ok(());
    }
    parallel::for_each((mean, squares), parallel::grain(rows * length), |first, (mean, squares)| {
        for (c, (mean, squares)) in (first..).zip(mean.iter_mut().zip(squares)) {
            [*mean, *squares] = plane_sums::moments(Planes::new(x, c, features, length));
        }
    });
    Ok(())
}

/// The columns of a task that reads all rows.
pub(crate) fn columns_per_task(rows: usize) -> usize {
    (GRAIN / rows.max(1)).max(COLUMN_BLOCK)
}

vectorised! {
/// Adds the columns from `first` on to the sums.
pub(crate) fn column_sums<'a>(x: &'a [f32], features: usize, first: usize, sums: &'a mut [f64]) {
    let mut rows = x.chunks_exact(features).peekable();
    while let Some(row) = rows.next() {
        rows.peek().iter().for_each(|next| prefetch::to_read(&next[first..][..sums.len()]));
        sums.iter_mut().zip(&row[first..]).for_each(|(sum, &x)| *sum += f64::from(x));
    }
}
}

vectorised! {
/// Adds the squared distances from the means, for the columns from `first` on, to the sums.
pub(crate) fn column_squares<'a>(x: &'a [f32], features: usize, first: usize, means: &'a [f64], sums: &'a mut [f64]) {
    for row in x.chunks_exact(features) {
        for ((sum, &x), mean) in sums.iter_mut().zip(&row[first..]).zip(means) {
            let distance = f64::from(x) - mean;
            *sum += distance * distance;
        }
    }
}
}
