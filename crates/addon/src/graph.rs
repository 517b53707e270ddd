use crate::borrow::{F32, F32Mut, Memory, U32Mut, expect_len};
use crate::error::{Result, error, kernel_error};
use crate::list::List;
use distillery_kernels::graph::{Attribute, Attributes, GraphBuilder, Length};
use distillery_kernels::inference_queue::{InferenceQueue, Request};
use napi::bindgen_prelude::{Either3, External};
use napi_derive::napi;
use std::collections::HashMap;

/// An attribute of an operation
type Given = Either3<bool, f64, List<i32>>;

/// A node of a graph: the operation's name, the numbers of the values that it reads, the shape of its output
#[napi(object, object_to_js = false)]
pub struct GraphNode {
    pub op: String,
    pub inputs: List<u32>,
    pub shape: List<i32>,
    #[napi(ts_type = "Record<string, unknown>")]
    pub attributes: HashMap<String, Option<Given>>,
}

/// A graph without nodes, of an input of this shape: value 0. In shapes -n is n times the number of rows of the
/// batch
#[napi(catch_unwind)]
pub fn graph_builder(input_shape: List<i32>) -> External<GraphBuilder> {
    External::new(GraphBuilder::new(lengths(&input_shape)))
}

/// Copies a constant into a graph; gives the number of its value
#[napi(catch_unwind)]
pub fn graph_constant(builder: &mut External<GraphBuilder>, data: F32, shape: List<u32>) -> Result<u32> {
    let mut memory = Memory::new();
    let data = memory.read(&data)?;
    expect_len("data", data.len(), &shape)?;
    builder.constant(data, &shape.to_usizes()).map(|value| value as u32).map_err(kernel_error)
}

/// Adds a node to a graph; gives the number of its output
#[napi(catch_unwind)]
pub fn graph_node(builder: &mut External<GraphBuilder>, node: GraphNode) -> Result<u32> {
    let GraphNode { op, inputs, shape, attributes } = node;
    let attribute = |value: Given| match value {
        Either3::A(flag) => Attribute::Flag(flag),
        Either3::B(number) => Attribute::Number(number),
        Either3::C(list) => Attribute::List(list.into_vec()),
    };
    let attributes = attributes.into_iter().filter_map(|(name, value)| Some((name, attribute(value?))));
    let attributes = Attributes(attributes.collect());
    builder.node(&op, inputs.to_usizes(), lengths(&shape), &attributes).map(|value| value as u32).map_err(kernel_error)
}

/// The queue of a graph that computes these values; the builder is empty afterwards
#[napi(catch_unwind)]
pub fn inference_queue(
    builder: &mut External<GraphBuilder>,
    outputs: List<u32>,
) -> Result<External<Option<InferenceQueue>>> {
    let builder = std::mem::replace(&mut **builder, GraphBuilder::new(Vec::new()));
    let graph = builder.finish(outputs.to_usizes()).map_err(kernel_error)?;
    Ok(External::new(Some(InferenceQueue::new(graph))))
}

/// Starts a pass of an input of so many rows beside whatever follows; the random stream moves past its draws
#[napi(catch_unwind)]
pub fn inference_enqueue(
    queue: &mut External<Option<InferenceQueue>>,
    input: F32,
    rows: u32,
    mut state: U32Mut,
) -> Result<()> {
    let mut memory = Memory::new();
    let (input, state) = (memory.read(&input)?, memory.write(&mut state)?);
    open(queue)?.enqueue(Request { input, rows: rows as usize, state }).map_err(kernel_error)
}

/// Runs a pass of an input of so many rows now, and writes its outputs; the random stream moves past its draws. Passes
/// in flight are discarded
#[napi(catch_unwind)]
pub fn inference_run(
    queue: &mut External<Option<InferenceQueue>>,
    input: F32,
    rows: u32,
    mut state: U32Mut,
    mut outputs: List<F32Mut>,
) -> Result<()> {
    let mut memory = Memory::new();
    let (input, state) = (memory.read(&input)?, memory.write(&mut state)?);
    let mut outputs = memory.write_all(&mut outputs)?;
    open(queue)?.run(Request { input, rows: rows as usize, state }, &mut outputs).map_err(kernel_error)
}

/// Writes the outputs of the oldest pass in flight, and moves the random stream past its draws. False, and nothing is
/// written, if none is in flight, its input was another one, or the stream is not where it began: all are discarded
/// then
#[napi(catch_unwind)]
pub fn inference_take(
    queue: &mut External<Option<InferenceQueue>>,
    input: F32,
    rows: u32,
    mut state: U32Mut,
    mut outputs: List<F32Mut>,
) -> Result<bool> {
    let mut memory = Memory::new();
    let (input, state) = (memory.read(&input)?, memory.write(&mut state)?);
    let mut outputs = memory.write_all(&mut outputs)?;
    open(queue)?.take(Request { input, rows: rows as usize, state }, &mut outputs).map_err(kernel_error)
}

/// Moves the running statistics of a node that normalises by the batch, by the pass that was taken last
#[napi(catch_unwind)]
pub fn inference_move_statistics(
    queue: &mut External<Option<InferenceQueue>>,
    node: u32,
    mut mean: F32Mut,
    mut variance: F32Mut,
) -> Result<()> {
    let mut memory = Memory::new();
    let (mean, variance) = (memory.write(&mut mean)?, memory.write(&mut variance)?);
    open(queue)?.move_statistics(node as usize, mean, variance).map_err(kernel_error)
}

/// Forgets the passes in flight
#[napi(catch_unwind)]
pub fn inference_discard(queue: &mut External<Option<InferenceQueue>>) {
    if let Some(queue) = &mut **queue {
        queue.discard();
    }
}

/// Frees a queue's memory, which the garbage collector might hold for long
#[napi(catch_unwind)]
pub fn inference_release(queue: &mut External<Option<InferenceQueue>>) {
    **queue = None;
}

fn open(queue: &mut External<Option<InferenceQueue>>) -> Result<&mut InferenceQueue> {
    (**queue).as_mut().ok_or_else(|| error("BAD_ARGUMENT", "queue: expected one that was not released"))
}

fn lengths(shape: &[i32]) -> Vec<Length> {
    let length = |&length: &i32| {
        let times = length.unsigned_abs() as usize;
        if length < 0 { Length::Rows(times) } else { Length::Fixed(times) }
    };
    shape.iter().map(length).collect()
}
