use crate::borrow::{F32, F32Mut, Memory, U32Mut, expect_len};
use crate::error::{Result, error, kernel};
use crate::list::List;
use distillery_kernels::graph::{Attributes, GraphBuilder, Length};
use distillery_kernels::inference_queue::{InferenceQueue, Request};
use distillery_kernels::pool::Span;
use napi::bindgen_prelude::External;
use napi_derive::napi;

/// What a node is told besides its inputs: each operation reads its own
#[napi(object, object_to_js = false)]
pub struct NodeAttributes {
    pub relu: Option<bool>,
    pub norm: Option<bool>,
    pub addend: Option<bool>,
    pub bfloat16: Option<bool>,
    pub training: Option<bool>,
    pub eps: Option<f64>,
    pub momentum: Option<f64>,
    pub p: Option<f64>,
    pub axes: Option<List<u32>>,
    pub start: Option<u32>,
    pub step: Option<u32>,
    pub indices: Option<List<i32>>,
    pub log: Option<bool>,
    pub factor: Option<f64>,
    pub offset: Option<f64>,
    pub window: Option<List<u32>>,
    pub mean: Option<bool>,
    pub padding: Option<i32>,
    pub rows: Option<List<u32>>,
    pub columns: Option<List<u32>>,
}

/// A node of a graph: the operation's name, the numbers of the values that it reads, the shape of its output
#[napi(object, object_to_js = false)]
pub struct GraphNode {
    pub op: String,
    pub inputs: List<u32>,
    pub shape: List<i32>,
    pub attributes: NodeAttributes,
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
    let shape: Vec<usize> = shape.iter().map(|&length| length as usize).collect();
    builder.constant(data, &shape).map(|value| value as u32).map_err(kernel)
}

/// Adds a node to a graph; gives the number of its output
#[napi(catch_unwind)]
pub fn graph_node(builder: &mut External<GraphBuilder>, node: GraphNode) -> Result<u32> {
    let GraphNode { op, inputs, shape, attributes: given } = node;
    let attributes = Attributes {
        relu: given.relu.unwrap_or_default(),
        norm: given.norm.unwrap_or_default(),
        addend: given.addend.unwrap_or_default(),
        bfloat16: given.bfloat16.unwrap_or_default(),
        training: given.training.unwrap_or_default(),
        eps: given.eps.unwrap_or_default(),
        momentum: given.momentum.unwrap_or_default(),
        p: given.p.unwrap_or_default(),
        axes: given.axes.map(|axes| axes.iter().map(|&axis| axis as usize).collect()),
        start: given.start.unwrap_or_default() as usize,
        step: given.step.unwrap_or(1) as usize,
        indices: given.indices.map(List::into_vec).unwrap_or_default(),
        log: given.log.unwrap_or_default(),
        factor: given.factor.unwrap_or_default(),
        offset: given.offset.unwrap_or_default(),
        window: given.window.map(|window| window.iter().map(|&n| n as usize).collect()).unwrap_or_default(),
        mean: given.mean.unwrap_or_default(),
        padding: given.padding.and_then(|padding| usize::try_from(padding).ok()),
        rows: given.rows.map(|spans| Span::list(&spans)).transpose().map_err(kernel)?.unwrap_or_default(),
        columns: given.columns.map(|spans| Span::list(&spans)).transpose().map_err(kernel)?.unwrap_or_default(),
        ..Attributes::default()
    };
    let inputs = inputs.iter().map(|&value| value as usize).collect();
    builder.node(&op, inputs, lengths(&shape), &attributes).map(|value| value as u32).map_err(kernel)
}

/// The queue of a graph that computes these values; the builder is empty afterwards
#[napi(catch_unwind)]
pub fn inference_queue(
    builder: &mut External<GraphBuilder>,
    outputs: List<u32>,
) -> Result<External<Option<InferenceQueue>>> {
    let builder = std::mem::replace(&mut **builder, GraphBuilder::new(Vec::new()));
    let graph = builder.finish(outputs.iter().map(|&value| value as usize).collect()).map_err(kernel)?;
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
    open(queue)?.enqueue(Request { input, rows: rows as usize, state }).map_err(kernel)
}

/// Runs a pass of an input of so many rows now, and writes its outputs; the random stream moves past its draws. Passes in flight
/// are discarded
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
    open(queue)?.run(Request { input, rows: rows as usize, state }, &mut outputs).map_err(kernel)
}

/// Writes the outputs of the oldest pass in flight, and moves the random stream past its draws. False, and nothing is
/// written, if none is in flight, its input was another one, or the stream is not where it began: all are discarded then
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
    open(queue)?.take(Request { input, rows: rows as usize, state }, &mut outputs).map_err(kernel)
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
    open(queue)?.move_statistics(node as usize, mean, variance).map_err(kernel)
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
