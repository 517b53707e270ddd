//! Passes of a frozen network that begin before they are asked for: the bits of its kernels one after another, whatever
//! was guessed.

use crate::common::{blank, matrix, refuses, vector, with_threads};
use distillery_kernels::ahead::{Ahead, Question};
use distillery_kernels::batch_norm::{Affine, Norm, Outputs};
use distillery_kernels::batch_stats::{RunningUpdate, Statistics};
use distillery_kernels::frozen::{Hidden, Layer, Then};
use distillery_kernels::norm_relu_dropout::{self, Dropout, Linear};
use distillery_kernels::rng::{Generator, STATE_WORDS};
use distillery_kernels::{KernelError, linear};
use ndarray::{Array1, Array2};

const WIDTHS: [usize; 4] = [63, 130, 65, 7];
const CHANCES: [f64; 2] = [0.3, 0.0];
const ROWS: usize = 40;

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

    fn answer(&mut self, ahead: &mut Ahead, input: &Array2<f32>, train: bool) -> (Vec<f32>, bool) {
        let mut out = vec![f32::NAN; input.nrows() * WIDTHS[3]];
        let means = &mut self.means.iter_mut().map(Vec::as_mut_slice).collect::<Vec<_>>()[..];
        let variances = &mut self.variances.iter_mut().map(Vec::as_mut_slice).collect::<Vec<_>>()[..];
        let (input, rows, state) = (input.as_slice().unwrap(), input.nrows(), &mut self.stream[..]);
        let guessed = ahead.answer(&mut Question { input, rows, train, state, means, variances }, &mut out).unwrap();
        (out, guessed)
    }

    /// Begins a pass at a place of the stream, which moves.
    fn begin(&mut self, ahead: &mut Ahead, stream: &mut [u32], input: &Array2<f32>, train: bool) {
        let (input, rows, state) = (input.as_slice().unwrap(), input.nrows(), stream);
        let (means, variances) = (&mut self.means[..], &mut self.variances[..]);
        ahead.begin(&mut Question { input, rows, train, state, means, variances }).unwrap();
    }
}

fn weights(i: usize) -> (Array2<f32>, Array1<f32>) {
    let bound = (WIDTHS[i] as f32).sqrt();
    (matrix(WIDTHS[i + 1], WIDTHS[i], i as u64) / bound, vector(WIDTHS[i + 1], 10 + i as u64))
}

fn scale_and_shift(i: usize) -> (Array1<f32>, Array1<f32>) {
    (vector(WIDTHS[i + 1], 20 + i as u64), vector(WIDTHS[i + 1], 30 + i as u64))
}

/// Two layers that normalise, of which one drops, and a last one.
fn network() -> Ahead {
    let mut ahead = Ahead::default();
    for (i, p) in CHANCES.into_iter().enumerate() {
        let (weight, bias) = weights(i);
        let (scale, shift) = scale_and_shift(i);
        let hidden = Hidden { weight: scale, bias: shift, eps: 1e-5, momentum: 0.1, p };
        ahead.push(Layer { weight, bias: Some(bias), then: Then::Hidden(hidden) }).unwrap();
    }
    let (weight, bias) = weights(2);
    ahead.push(Layer { weight, bias: Some(bias), then: Then::Relu }).unwrap();
    ahead
}

/// The same, kernel by kernel.
fn by_hand(state: &mut State, input: &Array2<f32>, train: bool) -> Vec<f32> {
    let rows = input.nrows();
    let mut generator = Generator::new(&mut state.stream).unwrap();
    let mut values = input.clone();
    for (i, p) in CHANCES.into_iter().enumerate() {
        let ((weight, bias), (scale, shift)) = (weights(i), scale_and_shift(i));
        let features = WIDTHS[i + 1];
        let (mut x, mut out, mut keep) = (blank(rows, features), blank(rows, features), vec![0; rows * features]);
        let (mut mean, mut inv_std) = (vec![0.0; features], vec![0.0; features]);
        let (running_mean, running_var) = (&mut state.means[i][..], &mut state.variances[i][..]);
        let statistics = if train {
            Statistics::Batch(RunningUpdate { mean: running_mean, var: running_var, momentum: 0.1 })
        } else {
            Statistics::Running { mean: running_mean, var: running_var }
        };
        let affine = Affine { weight: scale.as_slice().unwrap(), bias: shift.as_slice().unwrap() };
        let norm = Norm { affine, statistics, eps: 1e-5 };
        let dropout = (train && p > 0.0).then_some(Dropout { p, generator: Some(&mut generator), keep: &mut keep });
        let linear = Linear { input: values.view(), weight: weight.view(), bias: Some(bias.view()) };
        let outputs = Outputs { mean: &mut mean, inv_std: &mut inv_std, out: out.view_mut() };
        norm_relu_dropout::linear_forward(linear, x.view_mut(), norm, dropout, outputs).unwrap();
        values = out;
    }
    let (weight, bias) = weights(2);
    let mut out = blank(rows, WIDTHS[3]);
    linear::forward(values.view(), weight.view(), Some(bias.view()), true, out.view_mut()).unwrap();
    out.into_raw_vec_and_offset().0
}

fn batches() -> Vec<Array2<f32>> {
    // The last one is short, as at the end of an epoch.
    (0..6).map(|i| matrix(if i == 5 { 9 } else { ROWS }, WIDTHS[0], 40 + i)).collect()
}

#[test]
fn passes_ahead_have_the_bits_of_the_kernels() {
    for (threads, train) in [1, 2, 3].into_iter().flat_map(|threads| [(threads, false), (threads, true)]) {
        with_threads(threads, || {
            let (mut ahead, mut state, mut want) = (network(), State::new(), State::new());
            let mut stream = state.stream.clone();
            let batches = batches();
            for input in &batches[..3] {
                state.begin(&mut ahead, &mut stream, input, train);
            }
            for (i, input) in batches.iter().enumerate() {
                let logits = by_hand(&mut want, input, train);
                assert_eq!(state.answer(&mut ahead, input, train), (logits, true), "pass {i} on {threads} threads");
                assert_eq!(state, want, "pass {i} on {threads} threads");
                if let Some(input) = batches.get(i + 3) {
                    state.begin(&mut ahead, &mut stream, input, train);
                }
            }
        });
    }
}

#[test]
fn a_wrong_guess_changes_nothing() {
    let batches = batches();
    let [input, other] = [&batches[0], &batches[1]];
    // What is asked differs from what was begun: by the input, its rows, the mode, the stream, the statistics.
    type Change = fn(&mut State, &mut [u32]);
    let cases: [(&str, &Array2<f32>, bool, Change); 5] = [
        ("input", other, false, |_, _| ()),
        ("rows", &batches[5], false, |_, _| ()),
        ("mode", input, true, |_, _| ()),
        ("stream", input, false, |_, stream| stream[3] ^= 1),
        ("statistics", input, false, |state, _| state.means[1][64] = f32::MIN_POSITIVE),
    ];
    for (what, begun, train, change) in cases {
        let (mut ahead, mut state) = (network(), State::new());
        let mut stream = state.stream.clone();
        let mut before = state.clone();
        change(&mut before, &mut stream);
        let mut first = stream.clone();
        before.begin(&mut ahead, &mut first, begun, train);
        before.begin(&mut ahead, &mut first, other, train);
        let mut want = state.clone();
        for input in [input, other] {
            let logits = by_hand(&mut want, input, false);
            assert_eq!(state.answer(&mut ahead, input, false), (logits, false), "{what}");
            assert_eq!(state, want, "{what}");
        }
    }
}

#[test]
fn in_train_mode_the_running_statistics_do_not_spoil_a_guess() {
    let (mut ahead, mut state, input) = (network(), State::new(), matrix(ROWS, WIDTHS[0], 1));
    let mut stream = state.stream.clone();
    state.begin(&mut ahead, &mut stream, &input, true);
    state.variances[0][3] = 2.5;
    let mut want = state.clone();
    let logits = by_hand(&mut want, &input, true);
    assert_eq!(state.answer(&mut ahead, &input, true), (logits, true));
    assert_eq!(state, want);
}

#[test]
fn more_passes_than_it_keeps_are_forgotten_from_the_oldest_on() {
    let (mut ahead, mut state, input) = (network(), State::new(), matrix(ROWS, WIDTHS[0], 1));
    let mut stream = state.stream.clone();
    for _ in 0..40 {
        state.begin(&mut ahead, &mut stream, &input, true);
    }
    let mut want = state.clone();
    let logits = by_hand(&mut want, &input, true);
    assert_eq!(state.answer(&mut ahead, &input, true), (logits, false));
    assert_eq!(state, want);
}

#[test]
fn what_does_not_fit_is_refused() {
    let (mut ahead, state) = (network(), State::new());
    let mut question = |rows, input: &[f32], widths: [usize; 2]| {
        let (mut means, mut variances) = (widths.map(|len| vec![0.0; len]), [vec![1.0; 130], vec![1.0; 65]]);
        let state = &mut state.stream.clone()[..];
        let (means, variances) = (&mut means[..], &mut variances[..]);
        ahead.begin(&mut Question { input, rows, train: true, state, means, variances })
    };
    let code = "SHAPE_MISMATCH";
    refuses(question(2, &[0.0; 125], [130, 65]), code, "ahead: input: expected shape [126], got [125]");
    refuses(question(2, &[0.0; 126], [130, 64]), code, "frozen: means: expected shape [130, 65], got [130, 64]");
    let layer = |weight, bias| Layer { weight, bias, then: Then::Nothing };
    let narrow = network().push(layer(blank(3, 8), None));
    refuses(narrow, code, "frozen: weight: expected shape [3, 7], got [3, 8]");
    let long = network().push(layer(blank(3, 7), Some(vector(4, 1))));
    refuses(long, code, "frozen: bias: expected shape [3], got [4]");
}

#[test]
fn a_batch_of_one_in_train_mode_is_refused_when_it_is_asked_for() {
    let (mut ahead, mut state, input) = (network(), State::new(), matrix(1, WIDTHS[0], 1));
    let mut stream = state.stream.clone();
    state.begin(&mut ahead, &mut stream, &input, true);
    let (mut means, mut variances) = ([vec![0.0; 130], vec![0.0; 65]], [vec![1.0; 130], vec![1.0; 65]]);
    let means = &mut means.iter_mut().map(Vec::as_mut_slice).collect::<Vec<_>>()[..];
    let variances = &mut variances.iter_mut().map(Vec::as_mut_slice).collect::<Vec<_>>()[..];
    let (input, state) = (input.as_slice().unwrap(), &mut state.stream[..]);
    let mut question = Question { input, rows: 1, train: true, state, means, variances };
    let refused = ahead.answer(&mut question, &mut [0.0; 7]);
    assert_eq!(refused, Err(KernelError::BatchTooSmall { op: "batch_norm", rows: 1 }));
}
