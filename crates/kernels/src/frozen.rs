//! A network of dense layers whose weights do not change. It keeps a copy of them, and a pass reads and writes nothing but
//! what it owns: so passes can run beside other kernels, and beside each other, whatever becomes of the caller's arrays.

use crate::batch_norm::{Affine, Norm, Outputs};
use crate::batch_stats::{Moments, Statistics, ema_update};
use crate::dropout;
use crate::error::{Result, expect_shape};
use crate::linear;
use crate::norm_relu_dropout::{self, Dropout, Linear};
use crate::rng::Generator;
use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2};

const OP: &str = "frozen";

/// A layer: a product, and what follows it.
pub struct Layer {
    /// The weight[outputs, inputs].
    pub weight: Array2<f32>,
    /// The bias[outputs].
    pub bias: Option<Array1<f32>>,
    /// What follows.
    pub then: Then,
}

/// What follows a layer's product.
pub enum Then {
    /// Nothing.
    Nothing,
    /// ReLU.
    Relu,
    /// BatchNorm, ReLU and dropout.
    Hidden(Hidden),
}

/// BatchNorm, ReLU and dropout behind a product.
pub struct Hidden {
    /// The scale[outputs].
    pub weight: Array1<f32>,
    /// The shift[outputs].
    pub bias: Array1<f32>,
    /// Added to the variance.
    pub eps: f32,
    /// The share of a batch's statistics in the running ones.
    pub momentum: f32,
    /// The chance to be dropped, in train mode.
    pub p: f64,
}

/// A network: its layers, one after another.
#[derive(Default)]
pub struct Network {
    layers: Vec<Layer>,
}

/// What one pass through a network reads and writes. Vectors never shrink: what they held need not be cleared again.
#[derive(Default)]
pub struct Pass {
    /// How many rows come in.
    pub rows: usize,
    /// Whether the layers are in train mode.
    pub train: bool,
    /// The input[rows, inputs].
    pub input: Vec<f32>,
    /// In eval mode the running mean and variance of each normalised layer, one after another.
    pub statistics: Vec<f32>,
    /// The logits[rows, outputs] of the last layer.
    pub logits: Vec<f32>,
    /// In train mode the masks of the layers that drop, one after another, and the moments of those that normalise.
    masks: Vec<u8>,
    moments: Vec<f64>,
    room: [Vec<f32>; 5],
}

impl Network {
    /// Adds a layer.
    pub fn push(&mut self, layer: Layer) -> Result<()> {
        let outputs = layer.outputs();
        if let Some(last) = self.layers.last() {
            expect_shape(OP, "weight", layer.weight.shape(), &[outputs, last.outputs()])?;
        }
        if let Some(bias) = &layer.bias {
            expect_shape(OP, "bias", bias.shape(), &[outputs])?;
        }
        if let Then::Hidden(hidden) = &layer.then {
            hidden.affine().check(outputs)?;
            dropout::expect_probability(hidden.p)?;
        }
        self.layers.push(layer);
        Ok(())
    }

    /// The columns of its input.
    pub fn inputs(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.weight.ncols())
    }

    /// The columns of its output.
    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(0, Layer::outputs)
    }

    /// How many features it normalises in all.
    pub fn normalised(&self) -> usize {
        self.hidden().map(|(layer, _)| layer.outputs()).sum()
    }

    /// Draws the masks of a pass in train mode, in the order in which its layers would.
    pub fn draw(&self, pass: &mut Pass, generator: &mut Generator) {
        let mut masks = first(&mut pass.masks, pass.rows * self.normalised());
        for (layer, hidden) in self.hidden() {
            let (own, rest) = masks.split_at_mut(pass.rows * layer.outputs());
            masks = rest;
            // As the layers do, which leave the mask out where nothing is dropped.
            if hidden.p > 0.0 {
                dropout::draw(hidden.p, generator, own);
            }
        }
    }

    /// Runs the layers, as their kernels would one by one; in train mode after `draw`.
    pub fn forward(&self, pass: &mut Pass) -> Result<()> {
        let rows = pass.rows;
        expect_shape(OP, "input", &[pass.input.len()], &[rows * self.inputs()])?;
        pass.logits.resize(rows * self.outputs(), 0.0);
        let mut masks = first(&mut pass.masks, rows * self.normalised());
        let mut moments = first(&mut pass.moments, 2 * self.normalised());
        let mut statistics = first(&mut pass.statistics, 2 * self.normalised());
        let [from, to, before, mean, inv_std] = &mut pass.room;
        for (i, layer) in self.layers.iter().enumerate() {
            let (inputs, outputs) = (layer.weight.ncols(), layer.outputs());
            let x = matrix(if i == 0 { &pass.input } else { from }, rows, inputs);
            let out = if i + 1 == self.layers.len() { &mut pass.logits } else { &mut *to };
            let out = matrix_mut(out, rows, outputs);
            let (weight, bias) = (layer.weight.view(), layer.bias.as_ref().map(|bias| bias.view()));
            let Then::Hidden(hidden) = &layer.then else {
                linear::forward(x, weight, bias, matches!(layer.then, Then::Relu), out)?;
                std::mem::swap(from, to);
                continue;
            };
            let (mask, own_moments, own_statistics);
            (mask, masks) = masks.split_at_mut(rows * outputs);
            (own_moments, moments) = moments.split_at_mut(2 * outputs);
            (own_statistics, statistics) = statistics.split_at_mut(2 * outputs);
            let statistics = if pass.train {
                let (mean, var) = own_moments.split_at_mut(outputs);
                Statistics::BatchDeferred(Moments { mean, var })
            } else {
                let (mean, var) = own_statistics.split_at(outputs);
                Statistics::Running { mean, var }
            };
            let drops = pass.train && hidden.p > 0.0;
            let dropout = drops.then_some(Dropout { p: hidden.p, generator: None, keep: mask });
            let norm = Norm { affine: hidden.affine(), statistics, eps: hidden.eps };
            let (mean, inv_std) = (first(mean, outputs), first(inv_std, outputs));
            let linear = Linear { input: x, weight, bias };
            let x = matrix_mut(before, rows, outputs);
            norm_relu_dropout::linear_forward(linear, x, norm, dropout, Outputs { mean, inv_std, out })?;
            std::mem::swap(from, to);
        }
        Ok(())
    }

    /// Moves the running mean and variance of each normalised layer by the moments of a pass in train mode.
    pub fn move_statistics(&self, pass: &Pass, means: &mut [&mut [f32]], variances: &mut [&mut [f32]]) {
        let mut moments = pass.moments.as_slice();
        for ((layer, hidden), (mean, variance)) in self.hidden().zip(means.iter_mut().zip(variances)) {
            for running in [&mut **mean, &mut **variance] {
                let (own, rest) = moments.split_at(layer.outputs());
                moments = rest;
                running.iter_mut().zip(own).for_each(|(running, &x)| ema_update(running, x, hidden.momentum));
            }
        }
    }

    /// Refuses statistics that are not a mean and a variance for each normalised layer.
    pub fn expect_statistics<T: AsRef<[f32]>>(&self, means: &[T], variances: &[T]) -> Result<()> {
        let features: Vec<usize> = self.hidden().map(|(layer, _)| layer.outputs()).collect();
        for (what, parts) in [("means", means), ("variances", variances)] {
            let got: Vec<usize> = parts.iter().map(|part| part.as_ref().len()).collect();
            expect_shape(OP, what, &got, &features)?;
        }
        Ok(())
    }

    fn hidden(&self) -> impl Iterator<Item = (&Layer, &Hidden)> {
        self.layers.iter().filter_map(|layer| match &layer.then {
            Then::Hidden(hidden) => Some((layer, hidden)),
            _ => None,
        })
    }
}

impl Layer {
    fn outputs(&self) -> usize {
        self.weight.nrows()
    }
}

impl Hidden {
    fn affine(&self) -> Affine<'_> {
        Affine { weight: slice(&self.weight), bias: slice(&self.bias) }
    }
}

/// The first `len` of a vector, which grows where it is shorter.
fn first<T: Clone + Default>(data: &mut Vec<T>, len: usize) -> &mut [T] {
    if data.len() < len {
        data.resize(len, T::default());
    }
    &mut data[..len]
}

fn matrix(data: &[f32], rows: usize, columns: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((rows, columns), &data[..rows * columns]).expect("as long as its shape says")
}

fn matrix_mut(data: &mut Vec<f32>, rows: usize, columns: usize) -> ArrayViewMut2<'_, f32> {
    ArrayViewMut2::from_shape((rows, columns), first(data, rows * columns)).expect("as long as its shape says")
}

fn slice(x: &Array1<f32>) -> &[f32] {
    x.as_slice().expect("an array of its own is contiguous")
}
