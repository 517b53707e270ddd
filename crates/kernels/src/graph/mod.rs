//! A network as a list of operations, run without its caller's memory: the graph owns its constants, and a pass owns
//! what it reads and writes. So passes can run beside other kernels and beside each other.
//!
//! Lengths of axes are known when the graph is built, except the number of rows of a batch, which each pass brings.

mod arrays;
mod attributes;
mod builder;
mod call;
mod layers;
mod op;

pub use attributes::{Attribute, Attributes};
pub use builder::GraphBuilder;

use crate::batch_stats::ema_update;
use crate::dropout;
use crate::error::{KernelError, Result, expect_shape, expect_that};
use crate::matmul::{PackedB, Precision};
use crate::rng::Generator;
use call::{Array, ArrayMut, Op, Packed, Workspace};
use ndarray::ArrayView2;
use std::sync::OnceLock;

const OP: &str = "graph";
/// The most rows for which a packed weight in single precision pays off. With more rows the product packs the rows,
/// which are smaller, and reads the weight in place.
const FEW_ROWS: usize = 16;

/// The length of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Of every batch.
    Fixed(usize),
    /// So many times the number of rows of the batch.
    Rows(usize),
}

/// The input, a constant, or the output of a node. Their numbers count from 0, which is the input.
struct Value {
    shape: Vec<Length>,
    place: Place,
}

#[derive(Clone, Copy)]
enum Place {
    Input,
    Constant(usize),
    /// An activation buffer.
    Buffer(usize),
}

struct Node {
    op: Op,
    inputs: Vec<usize>,
    output: usize,
    /// The packed weight of its product. In bfloat16, and for Winograd's tiles, it is packed when the graph is built;
    /// for a linear layer in single precision, by the first pass of few rows with `keep_packed`.
    packed: OnceLock<Packed>,
}

/// A network: its nodes in their order.
pub struct Graph {
    values: Vec<Value>,
    constants: Vec<Vec<f32>>,
    nodes: Vec<Node>,
    outputs: Vec<usize>,
    buffers: usize,
}

/// Mean and unbiased variance, one after the other, of the nodes that normalise by the batch, in their order.
pub type BatchMoments = Vec<Vec<f64>>;

/// What one pass reads and writes. Vectors never shrink: a warm pass allocates no activations.
#[derive(Default)]
pub struct Pass {
    /// How many rows come in.
    pub rows: usize,
    /// The input, [rows, ...].
    pub input: Vec<f32>,
    buffers: Vec<Vec<f32>>,
    /// The masks of the nodes that draw one, in their order.
    masks: Vec<Vec<u8>>,
    moments: BatchMoments,
    scratch: [Vec<f32>; 3],
}

impl Pass {
    /// Exchanges the moments of the nodes that normalise by the batch with those of another pass.
    pub fn swap_moments(&mut self, moments: &mut BatchMoments) {
        std::mem::swap(&mut self.moments, moments);
    }
}

impl Graph {
    /// How many numbers an input of `rows` rows has.
    pub fn input_len(&self, rows: usize) -> usize {
        numel(&self.shape(0, rows))
    }

    /// Whether its nodes draw random numbers.
    pub fn draws(&self) -> bool {
        self.nodes.iter().any(|node| node.op.drop_chance.is_some())
    }

    /// Draws the masks of a pass, in the order of the nodes.
    pub fn draw(&self, pass: &mut Pass, generator: &mut Generator) {
        let rows = pass.rows;
        let drawing = self.nodes.iter().filter_map(|node| Some((node.output, node.op.drop_chance?)));
        for (i, (output, p)) in drawing.enumerate() {
            if pass.masks.len() <= i {
                pass.masks.push(Vec::new());
            }
            dropout::draw(p, generator, first(&mut pass.masks[i], numel(&self.shape(output, rows))));
        }
    }

    /// Runs the nodes, as their kernels would one by one; `draw` comes before.
    ///
    /// With `keep_packed` weights in single precision are packed at the first pass of few rows, and kept so beside
    /// themselves: twice the memory, for a caller that asks for few rows again and again.
    pub fn run(&self, pass: &mut Pass, keep_packed: bool) -> Result<()> {
        let Pass { rows, input, buffers, masks, moments, scratch } = pass;
        let rows = *rows;
        expect_shape(OP, "input", &[input.len()], &[self.input_len(rows)])?;
        buffers.resize_with(buffers.len().max(self.buffers), Vec::new);
        let (mut masks, mut normalised) = (masks.iter_mut(), 0);
        for node in &self.nodes {
            let shape = self.shape(node.output, rows);
            let Place::Buffer(buffer) = self.values[node.output].place else { unreachable!("a node writes a buffer") };
            let mut data = std::mem::take(&mut buffers[buffer]);
            let shapes: Vec<Vec<usize>> = node.inputs.iter().map(|&value| self.shape(value, rows)).collect();
            let inputs: Vec<Array> = node
                .inputs
                .iter()
                .zip(&shapes)
                .map(|(&value, shape)| {
                    // The data of a packed constant were dropped.
                    let data = self.data(value, input, buffers).get(..numel(shape)).unwrap_or_default();
                    Array { shape, data }
                })
                .collect();
            let mask = node.op.drop_chance.and_then(|_| masks.next()).map(|mask| &mut mask[..numel(&shape)]);
            let kept = if node.op.momentum.is_some() {
                normalised += 1;
                if moments.len() < normalised {
                    moments.push(Vec::new());
                }
                moments[normalised - 1].resize(2 * shape.get(1).copied().unwrap_or(1), 0.0);
                &mut moments[normalised - 1][..]
            } else {
                &mut []
            };
            let out = ArrayMut { shape: &shape, data: first(&mut data, numel(&shape)) };
            let packed = self.packed(node, &shapes, keep_packed);
            let done = (node.op.kernel)(&inputs, out, Workspace { mask, moments: kept, scratch, packed });
            buffers[buffer] = data;
            done?;
        }
        Ok(())
    }

    /// The packed weight of a node for inputs of these shapes, if it has one that pays.
    fn packed<'a>(&self, node: &'a Node, shapes: &[Vec<usize>], keep: bool) -> Option<&'a Packed> {
        let Some(precision) = node.op.product else { return node.packed.get() };
        if precision == Precision::Float32 {
            if shapes[0].first().is_none_or(|&rows| rows > FEW_ROWS) {
                return None;
            }
            if keep && node.packed.get().is_none() {
                let weight = pack(precision, &self.values[node.inputs[1]], &self.constants)?;
                // Another pass may have packed it first.
                node.packed.get_or_init(|| weight);
            }
        }
        node.packed.get()
    }

    /// How many outputs it has.
    pub fn outputs(&self) -> usize {
        self.outputs.len()
    }

    /// How many numbers an output has for `rows` rows.
    pub fn output_len(&self, i: usize, rows: usize) -> usize {
        numel(&self.shape(self.outputs[i], rows))
    }

    /// An output of a pass that ran.
    pub fn output<'a>(&'a self, pass: &'a Pass, i: usize) -> &'a [f32] {
        let value = self.outputs[i];
        &self.data(value, &pass.input, &pass.buffers)[..numel(&self.shape(value, pass.rows))]
    }

    /// Moves the running mean and variance of the i-th node that normalises by the batch, by those of a batch.
    pub fn move_statistics(
        &self,
        batch: &BatchMoments,
        i: usize,
        mean: &mut [f32],
        variance: &mut [f32],
    ) -> Result<()> {
        let momentum = self.nodes.iter().filter_map(|node| node.op.momentum).nth(i);
        let (Some(momentum), Some(moments)) = (momentum, batch.get(i)) else {
            return expect_that(false, OP, "node", i as f64, "the number of a node that normalises by the batch");
        };
        let features = moments.len() / 2;
        for (what, running) in [("mean", &*mean), ("variance", &*variance)] {
            expect_shape(OP, what, &[running.len()], &[features])?;
        }
        for (running, moments) in [(mean, &moments[..features]), (variance, &moments[features..])] {
            running.iter_mut().zip(moments).for_each(|(running, &x)| ema_update(running, x, momentum));
        }
        Ok(())
    }

    fn shape(&self, value: usize, rows: usize) -> Vec<usize> {
        of_rows(&self.values[value].shape, rows)
    }

    fn data<'a>(&'a self, value: usize, input: &'a [f32], buffers: &'a [Vec<f32>]) -> &'a [f32] {
        match self.values[value].place {
            Place::Input => input,
            Place::Constant(i) => &self.constants[i],
            Place::Buffer(i) => &buffers[i],
        }
    }
}

/// A constant weight[outputs, inputs], packed for a product.
fn pack(precision: Precision, weight: &Value, constants: &[Vec<f32>]) -> Option<Packed> {
    let Value { shape, place: Place::Constant(i) } = weight else { return None };
    let [Length::Fixed(outputs), Length::Fixed(inputs)] = shape[..] else { return None };
    let weight = ArrayView2::from_shape((outputs, inputs), &constants[*i]).ok()?;
    Some(Packed::Matrix(PackedB::new(precision, weight.reversed_axes())))
}

/// The first `len` of a vector, which grows if it is shorter.
fn first<T: Clone + Default>(data: &mut Vec<T>, len: usize) -> &mut [T] {
    if data.len() < len {
        data.resize(len, T::default());
    }
    &mut data[..len]
}

/// A shape for `rows` rows.
fn of_rows(shape: &[Length], rows: usize) -> Vec<usize> {
    let length = |length: &Length| match length {
        Length::Fixed(length) => *length,
        Length::Rows(times) => times * rows,
    };
    shape.iter().map(length).collect()
}

fn numel(shape: &[usize]) -> usize {
    shape.iter().product()
}

fn wrong_inputs(got: usize, expected: usize) -> KernelError {
    KernelError::Shape { op: OP, what: "inputs", got: vec![got], expected: vec![expected] }
}

fn wrong_rank(shape: &[usize], expected: usize) -> KernelError {
    KernelError::Shape { op: OP, what: "rank", got: vec![shape.len()], expected: vec![expected] }
}
