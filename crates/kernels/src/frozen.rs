//! A network of dense layers whose weights do not change. It keeps a copy of them, and a pass reads and writes nothing
//! else but what it owns: so it can run beside other kernels, whatever becomes of the caller's arrays.

use crate::batch_norm::{Affine, Running};
use crate::error::{Result, expect_shape};
use crate::linear;
use crate::norm_relu_dropout::{self, Dropout, Linear, Mode, Norm, Outputs};
use crate::rng::Generator;
use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2};

const OP: &str = "frozen";
/// Numbers that are compared at a time.
const BLOCK: usize = 1024;

/// relu(linear(x)), or linear(x) alone.
pub struct Layer {
    /// The weight[outputs, inputs].
    pub weight: Array2<f32>,
    /// The bias[outputs].
    pub bias: Option<Array1<f32>>,
    /// What follows the product.
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

/// What a pass reads, besides the weights.
pub struct Question<'a> {
    /// The input[rows, inputs].
    pub input: &'a [f32],
    /// How many rows that is.
    pub rows: usize,
    /// Whether the layers are in train mode.
    pub train: bool,
    /// Where the random stream stands.
    pub state: &'a [u32],
    /// The running mean and variance of each normalised layer.
    pub statistics: &'a [&'a [f32]],
}

/// What one pass through a network reads and writes.
#[derive(Default)]
pub struct Pass {
    /// How many rows come in.
    pub rows: usize,
    /// Whether the layers are in train mode.
    pub train: bool,
    /// The input[rows, inputs].
    pub input: Vec<f32>,
    /// The random stream; a pass in train mode draws from it.
    pub state: Vec<u32>,
    /// The running mean and variance of each normalised layer, one after another; a pass in train mode moves them.
    pub statistics: Vec<f32>,
    /// The logits[rows, outputs] of the last layer.
    pub logits: Vec<f32>,
    /// The state and the statistics that it began with.
    began: (Vec<u32>, Vec<f32>),
    room: Room,
}

/// What a pass needs on its way, kept for the next one.
#[derive(Default)]
struct Room {
    input: Vec<f32>,
    output: Vec<f32>,
    inner: Inner,
}

/// What a hidden layer writes besides its output.
#[derive(Default)]
struct Inner {
    before: Vec<f32>,
    mask: Vec<u8>,
    mean: Vec<f32>,
    inv_std: Vec<f32>,
}

impl Pass {
    /// Takes up what it begins with.
    pub(crate) fn read(&mut self, Question { input, rows, train, state, statistics }: &Question) {
        (self.rows, self.train) = (*rows, *train);
        self.input.clear();
        self.input.extend_from_slice(input);
        for part in [&mut self.statistics, &mut self.began.1] {
            part.clear();
            statistics.iter().for_each(|more| part.extend_from_slice(more));
        }
        for part in [&mut self.state, &mut self.began.0] {
            part.clear();
            part.extend_from_slice(state);
        }
    }

    /// Whether this is what it began with, bit for bit.
    pub(crate) fn has_read(&self, Question { input, rows, train, state, statistics }: &Question) -> bool {
        let mut began = self.began.1.as_slice();
        let same = statistics.iter().all(|part| {
            let (head, rest) = began.split_at(part.len().min(began.len()));
            began = rest;
            same_bits(head, part)
        });
        (self.rows, self.train) == (*rows, *train)
            && same
            && began.is_empty()
            && self.began.0 == *state
            && same_bits(&self.input, input)
    }
}

impl Pass {
    /// Writes its logits[rows, outputs], and what it moved in train mode.
    pub fn write(&self, state: &mut [u32], statistics: &mut [&mut [f32]], out: &mut [f32]) -> Result<()> {
        expect_shape(OP, "out", &[out.len()], &[self.logits.len()])?;
        out.copy_from_slice(&self.logits);
        if self.train {
            state.copy_from_slice(&self.state);
            let mut moved = self.statistics.as_slice();
            for part in statistics {
                let (head, rest) = moved.split_at(part.len());
                part.copy_from_slice(head);
                moved = rest;
            }
        }
        Ok(())
    }
}

fn same_bits(a: &[f32], b: &[f32]) -> bool {
    // Block by block: a loop that may end at each element is not vectorised.
    let differs =
        |(a, b): (&[f32], &[f32])| a.iter().zip(b).fold(0, |all, (a, b)| all | (a.to_bits() ^ b.to_bits())) != 0;
    a.len() == b.len() && !a.chunks(BLOCK).zip(b.chunks(BLOCK)).any(differs)
}

impl Layer {
    fn outputs(&self) -> usize {
        self.weight.nrows()
    }
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
            crate::batch_norm::check_affine(&hidden.affine(), outputs)?;
            crate::dropout::expect_chance(hidden.p)?;
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

    /// How many numbers the statistics of its layers are.
    pub fn statistics(&self) -> usize {
        let hidden = self.layers.iter().filter(|layer| matches!(layer.then, Then::Hidden(_)));
        hidden.map(|layer| 2 * layer.outputs()).sum()
    }

    /// Runs the layers, as their kernels would one by one.
    pub fn forward(&self, pass: &mut Pass) -> Result<()> {
        let Pass { rows, train, input, state, statistics, logits, room, .. } = pass;
        let rows = *rows;
        expect_shape(OP, "input", &[input.len()], &[rows * self.inputs()])?;
        expect_shape(OP, "statistics", &[statistics.len()], &[self.statistics()])?;
        logits.resize(rows * self.outputs(), 0.0);
        let mut generator = Generator::new(state)?;
        let mut statistics = statistics.as_mut_slice();
        for (i, layer) in self.layers.iter().enumerate() {
            let (inputs, outputs) = (layer.weight.ncols(), layer.outputs());
            let read = if i == 0 { &*input } else { &room.input };
            let write = if i + 1 == self.layers.len() { &mut *logits } else { &mut room.output };
            let (x, mut out) = (matrix(read, rows, inputs), matrix_mut(write, rows, outputs));
            let (weight, bias) = (layer.weight.view(), layer.bias.as_ref().map(|bias| bias.view()));
            match &layer.then {
                Then::Nothing => linear::forward(x, weight, bias, false, out)?,
                Then::Relu => linear::forward(x, weight, bias, true, out)?,
                Then::Hidden(hidden) => {
                    let (own, rest) = statistics.split_at_mut(2 * outputs);
                    statistics = rest;
                    let linear = Linear { input: x, weight, bias };
                    let dropout = (*train && hidden.p > 0.0).then_some(&mut generator);
                    hidden.forward(linear, own, *train, dropout, &mut room.inner, out.view_mut())?;
                }
            }
            std::mem::swap(&mut room.input, &mut room.output);
        }
        Ok(())
    }
}

impl Hidden {
    fn affine(&self) -> Affine<'_> {
        Affine { weight: self.weight.view(), bias: self.bias.view() }
    }

    fn forward(
        &self,
        linear: Linear,
        statistics: &mut [f32],
        train: bool,
        dropout: Option<&mut Generator>,
        room: &mut Inner,
        out: ArrayViewMut2<f32>,
    ) -> Result<()> {
        let (rows, outputs) = out.dim();
        let Inner { before, mask, mean, inv_std } = room;
        let (running_mean, running_var) = statistics.split_at_mut(outputs);
        let mode = if train {
            Mode::Train(Running { mean: running_mean.into(), var: running_var.into(), momentum: self.momentum })
        } else {
            Mode::Eval((&*running_mean).into(), (&*running_var).into())
        };
        let norm = Norm { affine: self.affine(), mode, eps: self.eps };
        let keep = first(mask, rows * outputs);
        let dropout = dropout.map(|generator| Dropout { p: self.p, generator, keep });
        let (mean, inv_std) = (first(mean, outputs).into(), first(inv_std, outputs).into());
        let outputs_of = Outputs { mean, inv_std, out };
        norm_relu_dropout::linear_forward(linear, matrix_mut(before, rows, outputs), norm, dropout, outputs_of)
    }
}

/// The first `len` of a vector that never shrinks: what it once held need not be cleared again.
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
