//! Builds a graph: checks what comes in, packs weights that no pass changes, gives nodes their buffers.

use super::call::{Op, Packed};
use super::{Attributes, Graph, Length, Node, OP, Place, Value, numel, of_rows, op, pack, wrong_inputs};
use crate::error::{Result, expect_shape, expect_that};
use crate::matmul::Precision;
use std::sync::OnceLock;

/// Collects the nodes of a graph, each after those whose outputs it reads.
pub struct GraphBuilder {
    values: Vec<Value>,
    constants: Vec<Vec<f32>>,
    nodes: Vec<Node>,
}

impl GraphBuilder {
    /// A graph that reads an input of this shape.
    pub fn new(input: Vec<Length>) -> Self {
        let input = Value { shape: input, place: Place::Input };
        Self { values: vec![input], constants: Vec::new(), nodes: Vec::new() }
    }

    /// Adds a constant; gives its number.
    pub fn constant(&mut self, data: &[f32], shape: &[usize]) -> Result<usize> {
        expect_shape(OP, "constant", &[data.len()], &[numel(shape)])?;
        self.constants.push(data.to_vec());
        let shape = shape.iter().map(|&length| Length::Fixed(length)).collect();
        Ok(self.value(shape, Place::Constant(self.constants.len() - 1)))
    }

    /// Adds an operation of these values, whose output has this shape; gives the output's number.
    pub fn node(
        &mut self,
        name: &str,
        inputs: Vec<usize>,
        shape: Vec<Length>,
        attributes: &Attributes,
    ) -> Result<usize> {
        for &input in &inputs {
            expect_that(input < self.values.len(), OP, "input", input as f64, "the number of a value")?;
        }
        if name == "reshape" {
            let [input] = inputs[..] else { return Err(wrong_inputs(inputs.len(), 1)) };
            let input = &self.values[input];
            // Lengths that are equal for one row and for two are equal for any number.
            for rows in [1, 2] {
                let [got, expected] = [&shape, &input.shape].map(|shape| numel(&of_rows(shape, rows)));
                expect_shape(OP, "reshape", &[got], &[expected])?;
            }
            // The same memory under another shape.
            return Ok(self.value(shape, input.place));
        }
        let op = op::named(name, inputs.len(), attributes.clone())?;
        let weight = match op.product {
            Some(precision @ Precision::Bfloat16(_)) => pack(precision, &self.values[inputs[1]], &self.constants),
            Some(Precision::Float32) => None,
            None => self.transformed(&op, &inputs)?,
        };
        let packed = weight.map_or_else(OnceLock::new, OnceLock::from);
        let output = self.value(shape, Place::Buffer(self.nodes.len()));
        self.nodes.push(Node { op, inputs, output, packed });
        Ok(output)
    }

    /// The transformed weight of a convolution of images whose size is known.
    fn transformed(&self, op: &Op, inputs: &[usize]) -> Result<Option<Packed>> {
        let [x, weight, ..] = inputs[..] else { return Ok(None) };
        let (x, weight) = (&self.values[x].shape, &self.values[weight]);
        let ([Length::Rows(1), image @ ..], Place::Constant(i)) = (&x[..], weight.place) else { return Ok(None) };
        let fixed = |length: &Length| if let Length::Fixed(length) = length { Some(*length) } else { None };
        let image: Option<Vec<usize>> = image.iter().map(fixed).collect();
        let (Some(image), Some(weight)) = (image, weight.shape.iter().map(fixed).collect::<Option<Vec<_>>>()) else {
            return Ok(None);
        };
        let transformed = op.transformed(&[&[1], &image[..]].concat(), &weight, &self.constants[i])?;
        Ok(transformed.map(Packed::Kernel))
    }

    /// The graph that computes these values.
    pub fn finish(mut self, outputs: Vec<usize>) -> Result<Graph> {
        for &output in &outputs {
            expect_that(output < self.values.len(), OP, "output", output as f64, "the number of a value")?;
        }
        let buffers = self.share_buffers(&outputs);
        self.drop_packed(&outputs);
        Ok(Graph { values: self.values, constants: self.constants, nodes: self.nodes, outputs, buffers })
    }

    /// Frees the constants that are read in packed form only.
    fn drop_packed(&mut self, outputs: &[usize]) {
        let mut read = vec![false; self.constants.len()];
        let of_nodes = self.nodes.iter().flat_map(|Node { inputs, packed, .. }| {
            inputs.iter().enumerate().filter(|&(i, _)| i != 1 || packed.get().is_none()).map(|(_, value)| value)
        });
        for &value in of_nodes.chain(outputs) {
            if let Place::Constant(i) = self.values[value].place {
                read[i] = true;
            }
        }
        self.constants.iter_mut().zip(read).filter(|(_, read)| !read).for_each(|(constant, _)| *constant = Vec::new());
    }

    fn value(&mut self, shape: Vec<Length>, place: Place) -> usize {
        self.values.push(Value { shape, place });
        self.values.len() - 1
    }

    /// Gives a node the buffer of a value that nothing after it reads; gives the number of buffers.
    fn share_buffers(&mut self, outputs: &[usize]) -> usize {
        let place_of = |values: &[Value], value: usize| match values[value].place {
            Place::Buffer(node) => Some(node),
            _ => None,
        };
        // The last node that reads what each node wrote; outputs are read after all.
        let mut last_read: Vec<usize> = (0..self.nodes.len()).collect();
        let read_by_node = self.nodes.iter().enumerate().flat_map(|(i, node)| node.inputs.iter().map(move |&v| (v, i)));
        let read_after = outputs.iter().map(|&value| (value, usize::MAX));
        for (value, reader) in read_by_node.chain(read_after) {
            if let Some(node) = place_of(&self.values, value) {
                last_read[node] = reader;
            }
        }
        let (mut free, mut buffers, mut buffer_of) = (Vec::new(), 0, vec![0; self.nodes.len()]);
        for node in 0..self.nodes.len() {
            buffer_of[node] = free.pop().unwrap_or_else(|| {
                buffers += 1;
                buffers - 1
            });
            free.extend((0..=node).filter(|&earlier| last_read[earlier] == node).map(|earlier| buffer_of[earlier]));
        }
        for value in &mut self.values {
            if let Place::Buffer(node) = &mut value.place {
                *node = buffer_of[*node];
            }
        }
        buffers
    }
}
