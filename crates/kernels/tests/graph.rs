//! A graph has the bits of its kernels one after another; its passes run beside each other and change nothing before
//! their results are taken.

use crate::common::allocations::{COUNTED, allocations};
use crate::common::{blank, matrix, refuses, vector, with_threads};
use distillery_kernels::batch_norm::{Affine, Norm, Outputs};
use distillery_kernels::batch_stats::{RunningUpdate, Statistics};
use distillery_kernels::graph::Attribute::{self, Flag, List, Number};
use distillery_kernels::graph::{Attributes, Graph, GraphBuilder, Length};
use distillery_kernels::inference_queue::{InferenceQueue, Request};
use distillery_kernels::linear::Weight;
use distillery_kernels::matmul::Precision;
use distillery_kernels::norm_relu_dropout::{self, Dropout, Linear};
use distillery_kernels::rng::{Generator, STATE_WORDS};
use distillery_kernels::{KernelError, Result, batch_norm, elementwise, linear, matmul, reduce, softmax};
use ndarray::{Array1, Array2, Axis};

const WIDTHS: [usize; 4] = [63, 130, 65, 7];
const CHANCES: [f64; 2] = [0.3, 0.0];
const ROWS: usize = 40;
const EPS: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

/// What a pass moves: the random stream, and mean and variance of the two layers that normalise.
#[derive(Clone, Debug, PartialEq)]
struct State {
    stream: Vec<u32>,
    means: Vec<Vec<f32>>,
    variances: Vec<Vec<f32>>,
}

impl State {
    fn new() -> Self {
        let mut stream = vec![0; STATE_WORDS];
        Generator::seeded(&mut stream, 5).unwrap();
        let of = |seed| [130, 65].map(|len| vector(len, seed).mapv(|x| 1.0 + 0.5 * x).to_vec()).to_vec();
        Self { stream, means: of(3), variances: of(4) }
    }

    /// Takes the next result, if there is one; in train mode the statistics move.
    fn take(&mut self, queue: &mut InferenceQueue, input: &Array2<f32>, train: bool) -> Option<Vec<f32>> {
        let rows = input.nrows();
        let mut out = vec![f32::NAN; rows * WIDTHS[3]];
        let request = Request { input: input.as_slice().unwrap(), rows, state: &mut self.stream };
        if !queue.take(request, &mut [&mut out]).unwrap() {
            return None;
        }
        for i in (0..2).filter(|_| train) {
            queue.move_statistics(i, &mut self.means[i], &mut self.variances[i]).unwrap();
        }
        Some(out)
    }
}

fn enqueue(queue: &mut InferenceQueue, stream: &mut [u32], input: &Array2<f32>) {
    let (input, rows) = (input.as_slice().unwrap(), input.nrows());
    queue.enqueue(Request { input, rows, state: stream }).unwrap();
}

fn weights(i: usize) -> (Array2<f32>, Array1<f32>) {
    let bound = (WIDTHS[i] as f32).sqrt();
    (matrix(WIDTHS[i + 1], WIDTHS[i], i as u64) / bound, vector(WIDTHS[i + 1], 10 + i as u64))
}

fn scale_and_shift(i: usize) -> (Array1<f32>, Array1<f32>) {
    (vector(WIDTHS[i + 1], 20 + i as u64), vector(WIDTHS[i + 1], 30 + i as u64))
}

fn given(attributes: &[(&str, Attribute)]) -> Attributes {
    Attributes(attributes.iter().map(|(name, value)| (name.to_string(), value.clone())).collect())
}

fn of_norm(train: bool) -> [(&'static str, Attribute); 3] {
    [("training", Flag(train)), ("eps", Number(EPS)), ("momentum", Number(MOMENTUM))]
}

fn rows_of(columns: usize) -> Vec<Length> {
    vec![Length::Rows(1), Length::Fixed(columns)]
}

/// Two layers that normalise, of which one drops, and a last one; fused, or each operation a node.
fn network(train: bool, fused: bool) -> InferenceQueue {
    network_in(Precision::Float32, train, fused)
}

fn network_in(precision: Precision, train: bool, fused: bool) -> InferenceQueue {
    let of_linear = [("bfloat16", Flag(precision != Precision::Float32))];
    let state = State::new();
    let mut graph = GraphBuilder::new(rows_of(WIDTHS[0]));
    let mut value = 0;
    for (i, p) in CHANCES.into_iter().enumerate() {
        let ((weight, bias), (scale, shift)) = (weights(i), scale_and_shift(i));
        let shape = rows_of(WIDTHS[i + 1]);
        let mut constant = |x: &[f32]| graph.constant(x, &[x.len()]).unwrap();
        let bias = constant(bias.as_slice().unwrap());
        let norm = [scale.as_slice().unwrap(), shift.as_slice().unwrap(), &state.means[i], &state.variances[i]];
        let norm = norm.map(&mut constant).to_vec();
        let weight = graph.constant(weight.as_slice().unwrap(), weight.shape()).unwrap();
        let p = if train { p } else { 0.0 };
        if fused {
            let attributes = given(&[&of_norm(train)[..], &of_linear, &[("p", Number(p))]].concat());
            let inputs = [vec![value, weight, bias], norm].concat();
            value = graph.node("linearBatchNormReluDropout", inputs, shape, &attributes).unwrap();
            continue;
        }
        value = graph.node("linear", vec![value, weight, bias], shape.clone(), &given(&of_linear)).unwrap();
        value = graph.node("batchNorm", [vec![value], norm].concat(), shape.clone(), &given(&of_norm(train))).unwrap();
        value = graph.node("relu", vec![value], shape.clone(), &Attributes::default()).unwrap();
        if p > 0.0 {
            value = graph.node("dropout", vec![value], shape, &given(&[("p", Number(p))])).unwrap();
        }
    }
    let (weight, bias) = weights(2);
    let weight = graph.constant(weight.as_slice().unwrap(), weight.shape()).unwrap();
    let bias = graph.constant(bias.as_slice().unwrap(), bias.shape()).unwrap();
    let last = given(&[&of_linear[..], &[("relu", Flag(true))]].concat());
    let out = graph.node("linear", vec![value, weight, bias], rows_of(WIDTHS[3]), &last).unwrap();
    InferenceQueue::new(graph.finish(vec![out]).unwrap())
}

/// The same, kernel by kernel.
fn by_hand(state: &mut State, input: &Array2<f32>, train: bool) -> Vec<f32> {
    by_hand_in(Precision::Float32, state, input, train)
}

fn by_hand_in(precision: Precision, state: &mut State, input: &Array2<f32>, train: bool) -> Vec<f32> {
    let rows = input.nrows();
    let mut generator = Generator::new(&mut state.stream).unwrap();
    let mut values = input.clone();
    for (i, p) in CHANCES.into_iter().enumerate() {
        let ((weight, bias), (scale, shift)) = (weights(i), scale_and_shift(i));
        let features = WIDTHS[i + 1];
        let (mut x, mut out, mut keep) = (blank(rows, features), blank(rows, features), vec![0; rows * features]);
        let (mut mean, mut inv_std) = (vec![0.0; features], vec![0.0; features]);
        let (running_mean, running_var) = (&mut state.means[i], &mut state.variances[i]);
        let statistics = if train {
            Statistics::Batch(RunningUpdate { mean: running_mean, var: running_var, momentum: MOMENTUM as f32 })
        } else {
            Statistics::Running { mean: running_mean, var: running_var }
        };
        let affine = Affine { weight: scale.as_slice().unwrap(), bias: shift.as_slice().unwrap() };
        let norm = Norm { affine, statistics, eps: EPS as f32 };
        let dropout = (train && p > 0.0).then_some(Dropout { p, generator: Some(&mut generator), keep: &mut keep });
        let linear =
            Linear { input: values.view(), weight: Weight::Matrix(weight.view(), precision), bias: Some(bias.view()) };
        let outputs = Outputs { mean: &mut mean, inv_std: &mut inv_std, out: out.view_mut() };
        norm_relu_dropout::linear_forward(linear, x.view_mut(), norm, dropout, outputs).unwrap();
        values = out;
    }
    let (weight, bias) = weights(2);
    let mut out = blank(rows, WIDTHS[3]);
    linear::forward(values.view(), Weight::Matrix(weight.view(), precision), Some(bias.view()), true, out.view_mut())
        .unwrap();
    out.into_raw_vec_and_offset().0
}

fn batches() -> Vec<Array2<f32>> {
    // The last one is short, as at the end of an epoch.
    (0..6).map(|i| matrix(if i == 5 { 9 } else { ROWS }, WIDTHS[0], 40 + i)).collect()
}

#[test]
fn passes_in_flight_have_the_bits_of_the_kernels() {
    let modes = [(false, false), (false, true), (true, false), (true, true)];
    let modes = [Precision::Float32, Precision::bfloat16()]
        .into_iter()
        .flat_map(|precision| modes.map(|mode| (precision, mode)));
    for (threads, (precision, (train, fused))) in
        [1, 2, 3].into_iter().flat_map(|threads| modes.clone().map(move |mode| (threads, mode)))
    {
        with_threads(threads, || {
            let label = format!("{threads} threads, {precision:?}, train {train}, fused {fused}");
            let queue = network_in(precision, train, fused);
            let (mut queue, mut state, mut want) = (queue, State::new(), State::new());
            let mut stream = state.stream.clone();
            let batches = batches();
            for input in &batches[..3] {
                enqueue(&mut queue, &mut stream, input);
            }
            for (i, input) in batches.iter().enumerate() {
                let logits = by_hand_in(precision, &mut want, input, train);
                assert_eq!(state.take(&mut queue, input, train), Some(logits), "pass {i}, {label}");
                assert_eq!(state, want, "pass {i}, {label}");
                if let Some(input) = batches.get(i + 3) {
                    enqueue(&mut queue, &mut stream, input);
                }
            }
            assert_eq!(state.take(&mut queue, &batches[0], train), None);
        });
    }
}

#[test]
fn a_stream_that_moved_discards_what_is_in_flight_and_changes_nothing() {
    let (mut queue, mut state, input) = (network(true, true), State::new(), matrix(ROWS, WIDTHS[0], 1));
    let mut stream = state.stream.clone();
    enqueue(&mut queue, &mut stream, &input);
    enqueue(&mut queue, &mut stream, &input);
    state.stream[3] ^= 1;
    let before = state.clone();
    assert_eq!(state.take(&mut queue, &input, true), None);
    assert_eq!(state, before);
    let mut stream = state.stream.clone();
    enqueue(&mut queue, &mut stream, &input);
    let mut want = state.clone();
    let logits = by_hand(&mut want, &input, true);
    assert_eq!(state.take(&mut queue, &input, true), Some(logits));
    assert_eq!(state, want);
}

#[test]
fn another_input_discards_what_is_in_flight_and_changes_nothing() {
    let [input, other] = [1, 2].map(|seed| matrix(ROWS, WIDTHS[0], seed));
    for other in [other, matrix(9, WIDTHS[0], 1)] {
        let (mut queue, mut state) = (network(true, true), State::new());
        let mut stream = state.stream.clone();
        enqueue(&mut queue, &mut stream, &input);
        enqueue(&mut queue, &mut stream, &other);
        let before = state.clone();
        assert_eq!(state.take(&mut queue, &other, true), None);
        assert_eq!(state.take(&mut queue, &other, true), None);
        assert_eq!(state, before);
    }
}

#[test]
fn a_graph_that_draws_nothing_does_not_look_at_the_stream() {
    let (mut queue, mut state, input) = (network(false, true), State::new(), matrix(ROWS, WIDTHS[0], 1));
    enqueue(&mut queue, &mut state.stream.clone(), &input);
    state.stream[3] ^= 1;
    let mut want = state.clone();
    let logits = by_hand(&mut want, &input, false);
    assert_eq!(state.take(&mut queue, &input, false), Some(logits));
    assert_eq!(state, want);
}

/// Runs a graph of one input[ROWS, columns] once.
fn run(graph: Graph, input: &Array2<f32>, lens: &[usize]) -> Result<Vec<Vec<f32>>> {
    let mut queue = InferenceQueue::new(graph);
    let mut state = State::new().stream;
    let (input, rows) = (input.as_slice().unwrap(), input.nrows());
    queue.enqueue(Request { input, rows, state: &mut state })?;
    let mut outputs: Vec<Vec<f32>> = lens.iter().map(|&len| vec![f32::NAN; len]).collect();
    let request = Request { input, rows, state: &mut state };
    assert!(queue.take(request, &mut outputs.iter_mut().map(Vec::as_mut_slice).collect::<Vec<_>>())?);
    Ok(outputs)
}

#[test]
fn operations_broadcast_branch_and_give_several_outputs() {
    let (x, row, mix) = (matrix(ROWS, 12, 1), vector(12, 2), matrix(12, 5, 3));
    let none = Attributes::default();
    let mut graph = GraphBuilder::new(rows_of(12));
    let row_value = graph.constant(row.as_slice().unwrap(), &[1, 12]).unwrap();
    let mix_value = graph.constant(mix.as_slice().unwrap(), &[12, 5]).unwrap();
    let mean = given(&[("axes", List(vec![1]))]);
    let log = given(&[("log", Flag(true))]);
    let shifted = graph.node("add", vec![row_value, 0], rows_of(12), &none).unwrap();
    let means = graph.node("mean", vec![shifted], vec![Length::Rows(1), Length::Fixed(1)], &mean).unwrap();
    let gated = graph.node("mul", vec![shifted, means], rows_of(12), &none).unwrap();
    let mixed = graph.node("matmul", vec![gated, mix_value], rows_of(5), &none).unwrap();
    let soft = graph.node("softmax", vec![mixed], rows_of(5), &log).unwrap();
    let flat =
        graph.node("reshape", vec![soft], vec![Length::Rows(1), Length::Fixed(5), Length::Fixed(1)], &none).unwrap();
    let total = graph.node("sum", vec![flat], vec![], &none).unwrap();
    let halved = given(&[("factor", Number(0.5)), ("offset", Number(-0.25))]);
    let halved = graph.node("affine", vec![mixed], rows_of(5), &halved).unwrap();
    let relu = graph.node("relu", vec![halved], rows_of(5), &none).unwrap();
    let graph = graph.finish(vec![soft, total, relu, 0]).unwrap();
    let outputs = run(graph, &x, &[ROWS * 5, 1, ROWS * 5, ROWS * 12]).unwrap();

    let shifted = &x + &row;
    let mut means = blank(ROWS, 1);
    let three = shifted.view().insert_axis(Axis(2));
    reduce::sum_axis(three, 1.0 / 12.0, means.view_mut()).unwrap();
    let gated = &shifted * &means;
    let (mut mixed, mut soft, mut relu) = (blank(ROWS, 5), blank(ROWS, 5), blank(ROWS, 5));
    matmul::matmul(gated.view(), mix.view(), mixed.view_mut()).unwrap();
    softmax::log_softmax(mixed.view(), soft.view_mut()).unwrap();
    let halved = mixed.mapv(|x| 0.5 * x - 0.25);
    elementwise::relu(halved.as_slice().unwrap(), relu.as_slice_mut().unwrap()).unwrap();
    let total: f64 = soft.iter().map(|&x| f64::from(x)).sum();
    let want = [soft.into_raw_vec_and_offset().0, vec![total as f32], relu.into_raw_vec_and_offset().0];
    assert_eq!(outputs[..3], want);
    assert_eq!(outputs[3], x.as_slice().unwrap());
}

#[test]
fn batch_norm_alone_has_the_bits_of_its_kernel() {
    let (x, scale, shift) = (matrix(ROWS, 9, 1), vector(9, 2), vector(9, 3));
    let (mut running_mean, mut running_var) = (vector(9, 4), vector(9, 5).mapv(|x| 2.0 + x));
    let mut graph = GraphBuilder::new(rows_of(9));
    let scale_value = graph.constant(scale.as_slice().unwrap(), &[9]).unwrap();
    let shift_value = graph.constant(shift.as_slice().unwrap(), &[9]).unwrap();
    let attributes = given(&of_norm(true));
    let out = graph
        .node("batchNorm", vec![0, scale_value, shift_value, scale_value, shift_value], rows_of(9), &attributes)
        .unwrap();
    let mut queue = InferenceQueue::new(graph.finish(vec![out]).unwrap());
    let (mut state, mut got) = (State::new().stream, vec![f32::NAN; ROWS * 9]);
    enqueue(&mut queue, &mut state, &x);
    let request = Request { input: x.as_slice().unwrap(), rows: ROWS, state: &mut state };
    assert!(queue.take(request, &mut [&mut got]).unwrap());
    let (mut mean, mut var) = (running_mean.to_vec(), running_var.to_vec());
    queue.move_statistics(0, &mut mean, &mut var).unwrap();

    let affine = Affine { weight: scale.as_slice().unwrap(), bias: shift.as_slice().unwrap() };
    let (running_mean_slice, running_var_slice) =
        (running_mean.as_slice_mut().unwrap(), running_var.as_slice_mut().unwrap());
    let running = RunningUpdate { mean: running_mean_slice, var: running_var_slice, momentum: MOMENTUM as f32 };
    let (mut own_mean, mut inv_std, mut want) = (vec![0.0; 9], vec![0.0; 9], blank(ROWS, 9));
    let norm = Norm { affine, statistics: Statistics::Batch(running), eps: EPS as f32 };
    let outputs = Outputs { mean: &mut own_mean, inv_std: &mut inv_std, out: want.view_mut() };
    batch_norm::forward(x.view(), norm, outputs).unwrap();
    assert_eq!(got, want.into_raw_vec_and_offset().0);
    assert_eq!((mean, var), (running_mean.to_vec(), running_var.to_vec()));
}

#[test]
fn what_does_not_fit_is_refused() {
    let code = "SHAPE_MISMATCH";
    let mut state = State::new().stream;
    let mut queue = network(true, true);
    let request = Request { input: &[0.0; 125], rows: 2, state: &mut state };
    refuses(queue.enqueue(request), code, "inference: input: expected shape [126], got [125]");
    let request = Request { input: &[], rows: 0, state: &mut state };
    refuses(queue.take(request, &mut []), code, "inference: outputs: expected shape [1], got [0]");
    let message = "inference: passes taken: expected 1 or more, got 0";
    refuses(queue.move_statistics(0, &mut [], &mut []), "BAD_ARGUMENT", message);

    let mut graph = GraphBuilder::new(rows_of(3));
    let none = Attributes::default();
    refuses(graph.constant(&[1.0], &[2]), code, "graph: constant: expected shape [2], got [1]");
    let message = "graph: inputs: expected shape [2], got [1]";
    refuses(graph.node("linear", vec![0], rows_of(3), &none), code, message);
    let message = "graph: input: expected the number of a value, got 7";
    refuses(graph.node("relu", vec![7], rows_of(3), &none), "BAD_ARGUMENT", message);
    assert_eq!(graph.node("cubed", vec![0], rows_of(3), &none).unwrap_err().code(), "BAD_ARGUMENT");
    for (name, attribute, value, code, message) in [
        ("sum", "axis", List(vec![1]), "BAD_ARGUMENT", "graph: no attribute is named axis"),
        ("sum", "axes", Flag(true), "BAD_DTYPE", "graph: axes: expected a list of whole numbers"),
        ("sum", "axes", List(vec![-1]), "BAD_ARGUMENT", "graph: axes: expected whole numbers from 0, got -1"),
        ("cumsum", "axes", List(vec![0, 1]), code, "graph: axes: expected shape [1], got [2]"),
        ("softmax", "log", Number(1.0), "BAD_DTYPE", "graph: log: expected true or false"),
        ("dropout", "p", List(vec![1]), "BAD_DTYPE", "graph: p: expected a number"),
        ("dropout", "p", Number(f64::NAN), "BAD_ARGUMENT", "dropout: p: expected a probability from 0 to 1, got NaN"),
    ] {
        refuses(graph.node(name, vec![0], rows_of(3), &given(&[(attribute, value)])), code, message);
    }
    let slice = given(&[("axes", List(vec![1])), ("start", Number(0.5))]);
    let message = "graph: start: expected a whole number from 0, got 0.5";
    refuses(graph.node("slice", vec![0], rows_of(3), &slice), "BAD_ARGUMENT", message);
    let wide = graph.node("relu", vec![0], rows_of(4), &none).unwrap();
    let result = run(graph.finish(vec![wide]).unwrap(), &matrix(2, 3, 1), &[8]);
    refuses(result, code, "relu: out: expected shape [6], got [8]");
}

#[test]
fn a_node_that_is_refused_leaves_the_graph_as_it_was() {
    let image = || [Length::Rows(1), Length::Fixed(16), Length::Fixed(8), Length::Fixed(8)].to_vec();
    let mut graph = GraphBuilder::new(image());
    let weight = graph.constant(&[0.5; 16 * 15 * 9], &[16, 15, 3, 3]).unwrap();
    let conv = given(&[("window", List(vec![1; 7]))]);
    let message = "conv2d: weight: expected shape [16, 16, 3, 3], got [16, 15, 3, 3]";
    refuses(graph.node("conv2d", vec![0, weight], image(), &conv), "SHAPE_MISMATCH", message);
    let relu = graph.node("relu", vec![0], image(), &Attributes::default()).unwrap();
    let input = matrix(3, 16 * 64, 1);
    let got = run(graph.finish(vec![relu]).unwrap(), &input, &[input.len()]).unwrap();
    assert_eq!(got[0], input.iter().map(|x| x.max(0.0)).collect::<Vec<_>>());
}

#[test]
fn a_batch_of_one_in_train_mode_is_refused_when_it_is_taken() {
    let (mut queue, mut state, input) = (network(true, true), State::new(), matrix(1, WIDTHS[0], 1));
    let mut stream = state.stream.clone();
    enqueue(&mut queue, &mut stream, &input);
    let request = Request { input: input.as_slice().unwrap(), rows: 1, state: &mut state.stream };
    let refused = queue.take(request, &mut [&mut [0.0; 7]]);
    assert_eq!(refused, Err(KernelError::BatchTooSmall { op: "batch_norm", rows: 1 }));
}

#[test]
fn passes_right_now_keep_packed_weights_and_those_ahead_do_not() {
    let (inputs, outputs, rows) = (301_usize, 1021_usize, 4);
    assert_eq!(COUNTED, inputs * outputs.next_multiple_of(16) * 4);
    let mut graph = GraphBuilder::new(rows_of(inputs));
    let weight = graph.constant(matrix(outputs, inputs, 1).as_slice().unwrap(), &[outputs, inputs]).unwrap();
    let out = graph.node("linear", vec![0, weight], rows_of(outputs), &Attributes::default()).unwrap();
    let mut queue = InferenceQueue::new(graph.finish(vec![out]).unwrap());
    let (x, mut state) = (matrix(rows, inputs, 2), State::new().stream);
    let (mut ahead, mut now) = (vec![f32::NAN; rows * outputs], vec![f32::NAN; rows * outputs]);
    let before = allocations();
    enqueue(&mut queue, &mut state, &x);
    let input = x.as_slice().unwrap();
    assert!(queue.take(Request { input, rows, state: &mut state }, &mut [&mut ahead]).unwrap());
    assert_eq!(allocations() - before, 0);
    for _ in 0..2 {
        queue.run(Request { input, rows, state: &mut state }, &mut [&mut now]).unwrap();
        assert_eq!(allocations() - before, 1);
        assert_eq!(now, ahead);
    }
}

#[test]
fn a_reshape_to_another_length_and_an_unknown_operation_are_refused() {
    let none = Attributes::default();
    let input = [Length::Rows(1), Length::Fixed(4)];
    for (shape, message) in [
        (vec![Length::Rows(1), Length::Fixed(8)], "graph: reshape: expected shape [4], got [8]"),
        (vec![Length::Fixed(4)], "graph: reshape: expected shape [8], got [4]"),
        (vec![Length::Rows(2), Length::Rows(2)], "graph: reshape: expected shape [8], got [16]"),
    ] {
        let mut graph = GraphBuilder::new(input.to_vec());
        refuses(graph.node("reshape", vec![0], shape, &none), "SHAPE_MISMATCH", message);
    }
    let mut graph = GraphBuilder::new(input.to_vec());
    graph.node("reshape", vec![0], vec![Length::Fixed(2), Length::Rows(2)], &none).unwrap();
    let message = "graph: no operation is named relv";
    refuses(graph.node("relv", vec![0], input.to_vec(), &none), "BAD_ARGUMENT", message);
}
