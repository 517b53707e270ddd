//! Adam and AdamW: steps against a naive loop in double precision and against PyTorch.

use crate::common::{SIZES, close, fill, ramp, refuses, same_bits};
use distillery_kernels::Result;
use distillery_kernels::adam::{AdamStep, step, step_amsgrad};
use distillery_kernels::optimizer::Slot;

const SCRIPT: AdamStep = AdamStep {
    lr: 6e-4,
    beta1: 0.9,
    beta2: 0.999,
    eps: 1e-8,
    weight_decay: 1e-5,
    decoupled_weight_decay: true,
    step: 1.0,
    grad_scale: 1.0,
};

/// Parameters and their averages.
#[derive(Debug, Clone, PartialEq)]
struct State {
    param: Vec<f32>,
    first: Vec<f32>,
    second: Vec<f32>,
}

impl State {
    fn new(param: Vec<f32>) -> Self {
        Self { first: vec![0.0; param.len()], second: vec![0.0; param.len()], param }
    }

    fn slot<'a>(&'a mut self, grad: &'a [f32]) -> Slot<'a, 2> {
        Slot { param: &mut self.param, grad, state: [&mut self.first, &mut self.second] }
    }
}

fn many() -> (Vec<State>, Vec<Vec<f32>>) {
    let lengths = SIZES.into_iter().chain([0, 200_003]);
    lengths.map(|len| (State::new(fill(len, 1)), fill(len, 2))).unzip()
}

fn move_all(states: &mut [State], grads: &[Vec<f32>], numbers: AdamStep) -> Result<()> {
    step(states.iter_mut().zip(grads).map(|(state, grad)| state.slot(grad)).collect(), numbers)
}

#[test]
fn steps_are_those_of_a_naive_loop() {
    let steps = [
        SCRIPT,
        AdamStep { step: 2.0, lr: 1e-2, beta1: 0.85, weight_decay: 0.1, ..SCRIPT },
        AdamStep { step: 3.0, lr: 0.0, beta1: 0.0, beta2: 0.0, weight_decay: 0.0, ..SCRIPT },
        AdamStep { step: 2400.0, eps: 1e-3, beta1: 0.95, ..SCRIPT },
    ];
    let (mut states, grads) = many();
    let mut wanted: Vec<[Vec<f64>; 3]> = states
        .iter()
        .map(|state| [&state.param, &state.first, &state.second].map(|x| x.iter().map(|&x| x.into()).collect()))
        .collect();
    for numbers in steps {
        let AdamStep { lr, beta1, beta2, eps, weight_decay, step, .. } = numbers;
        move_all(&mut states, &grads, numbers).unwrap();
        for (([param, first, second], grad), state) in wanted.iter_mut().zip(&grads).zip(&states) {
            for (i, &grad) in grad.iter().enumerate() {
                let grad = f64::from(grad);
                param[i] *= 1.0 - lr * weight_decay;
                first[i] = beta1 * first[i] + (1.0 - beta1) * grad;
                second[i] = beta2 * second[i] + (1.0 - beta2) * grad * grad;
                let denominator = (second[i] / (1.0 - beta2.powf(step))).sqrt() + eps;
                param[i] -= lr * first[i] / (1.0 - beta1.powf(step)) / denominator;
            }
            let label = |what: &str| format!("{what} of {} at step {step}", param.len());
            close(&label("exp_avg"), &state.first, first, 1e-7);
            close(&label("exp_avg_sq"), &state.second, second, 1e-7);
            close(&label("param"), &state.param, param, 3e-7);
        }
    }
}

/// ```python
/// ramp = lambda n, a, b: torch.tensor([(i * a) % b / 4 - 1 for i in range(n)])
/// w = nn.Parameter(ramp(6, 7, 11)); optimizer = torch.optim.AdamW([w], lr=1e-2, weight_decay=0.1)
/// for s in range(3): w.grad = ramp(6, 3, 5) * (s + 1); optimizer.step(); print(w)
/// optimizer.state[w]["exp_avg"], optimizer.state[w]["exp_avg_sq"]
/// ```
#[test]
fn numbers_are_those_of_pytorch() {
    let mut state = State::new(ramp(6, 7, 11));
    let wanted = [
        [
            -0.9890000224113464,
            0.7592499852180481,
            -0.2397499978542328,
            1.4984999895095825,
            0.5095000267028809,
            -0.4895000159740448,
        ],
        [
            -0.9783592224121094,
            0.768142580986023,
            -0.2298584282398224,
            1.4970015287399292,
            0.5186423659324646,
            -0.4793587028980255,
        ],
        [
            -0.9678008556365967,
            0.7769544720649719,
            -0.22004856169223785,
            1.4955044984817505,
            0.5277037620544434,
            -0.4692993462085724,
        ],
    ];
    for (i, want) in (1..).zip(wanted) {
        let grad: Vec<f32> = ramp(6, 3, 5).into_iter().map(|g| g * i as f32).collect();
        let numbers = AdamStep { lr: 1e-2, weight_decay: 0.1, step: i.into(), ..SCRIPT };
        step(vec![state.slot(&grad)], numbers).unwrap();
        close(&format!("step {i}"), &state.param, &want, 1.5e-7);
    }
    let want = [
        -0.5609999895095825,
        -0.14024999737739563,
        -0.4207500219345093,
        0.0,
        -0.28049999475479126,
        -0.5609999895095825,
    ];
    close("exp_avg", &state.first, &want, 6e-8);
    let want = [
        0.013994000852108002,
        0.0008746250532567501,
        0.007871625944972038,
        0.0,
        0.0034985002130270004,
        0.013994000852108002,
    ];
    close("exp_avg_sq", &state.second, &want, 2e-9);
}

/// Adam with its decay in the gradient, and AMSGrad, which needs a gradient that becomes smaller.
#[test]
fn coupled_decay_and_amsgrad_are_those_of_a_naive_loop() {
    let start = fill(1001, 5);
    for (decoupled_weight_decay, amsgrad) in [(false, false), (false, true), (true, true)] {
        let mut state = State::new(start.clone());
        let mut max = vec![0.0f32; start.len()];
        let mut wanted: Vec<[f64; 4]> = start.iter().map(|&x| [x.into(), 0.0, 0.0, 0.0]).collect();
        for count in 1..=5 {
            let grad: Vec<f32> = fill(start.len(), count).into_iter().map(|g| g / count as f32).collect();
            let step = count as f64;
            let numbers =
                AdamStep { lr: 1e-2, weight_decay: 0.3, decoupled_weight_decay, step, grad_scale: -0.5, ..SCRIPT };
            if amsgrad {
                let slot = Slot {
                    param: &mut state.param,
                    grad: &grad,
                    state: [&mut state.first, &mut state.second, &mut max],
                };
                step_amsgrad(vec![slot], numbers).unwrap();
            } else {
                move_all(std::slice::from_mut(&mut state), std::slice::from_ref(&grad), numbers).unwrap();
            }
            for ([param, first, second, max], &grad) in wanted.iter_mut().zip(&grad) {
                let mut grad = -0.5 * f64::from(grad);
                if decoupled_weight_decay {
                    *param *= 1.0 - 1e-2 * 0.3;
                } else {
                    grad += 0.3 * *param;
                }
                *first = 0.9 * *first + 0.1 * grad;
                *second = 0.999 * *second + 0.001 * grad * grad;
                *max = max.max(*second);
                let square = if amsgrad { *max } else { *second };
                let denominator = (square / (1.0 - 0.999f64.powf(step))).sqrt() + 1e-8;
                *param -= 1e-2 * *first / (1.0 - 0.9f64.powf(step)) / denominator;
            }
            let label = format!("decoupled {decoupled_weight_decay}, amsgrad {amsgrad}, step {count}");
            close(&label, &state.param, &wanted.iter().map(|w| w[0]).collect::<Vec<_>>(), 1e-6);
        }
    }
}

/// A step in plain single precision, that keeps averages however small they become.
fn plain(state: &mut State, grad: f32, AdamStep { lr, beta1, beta2, eps, weight_decay, step, .. }: AdamStep) {
    let correction = (1.0 / (1.0 - beta2.powf(step)).sqrt()) as f32;
    let (decay, size) = ((1.0 - lr * weight_decay) as f32, (lr / (1.0 - beta1.powf(step))) as f32);
    for ((param, first), second) in state.param.iter_mut().zip(&mut state.first).zip(&mut state.second) {
        *first += (1.0 - beta1) as f32 * (grad - *first);
        *second = *second * beta2 as f32 + (1.0 - beta2) as f32 * grad * grad;
        *param = *param * decay - size * (*first / (second.sqrt() * correction + eps as f32));
    }
}

#[test]
fn averages_of_a_dead_unit_end_at_zero_and_its_parameters_keep_their_bits() {
    let mut state = State::new([fill(37, 3), vec![0.0]].concat());
    let mut wanted = state.clone();
    for count in 1..=2000 {
        let grad = if count <= 10 { 0.01 } else { 0.0 };
        let numbers = AdamStep { step: f64::from(count), ..SCRIPT };
        move_all(std::slice::from_mut(&mut state), &[vec![grad; 38]], numbers).unwrap();
        plain(&mut wanted, grad, numbers);
        assert!(state.first.iter().chain(&state.second).all(|x| !x.is_subnormal()));
    }
    assert!(wanted.first.iter().all(|x| x.is_subnormal()), "the case that this is about");
    assert!(state.first.iter().all(|&x| x == 0.0));
    assert_eq!(state.param, wanted.param);
    assert_eq!(state.second, wanted.second);
}

#[test]
fn same_bits_at_any_number_of_threads() {
    let (states, grads) = many();
    same_bits("adam", || {
        let mut states = states.clone();
        for number in [1.0, 2.0] {
            move_all(&mut states, &grads, AdamStep { step: number, ..SCRIPT }).unwrap();
        }
        states.into_iter().flat_map(|s| [s.param, s.first, s.second].concat()).map(f64::from).collect()
    });
}

#[test]
fn nothing_to_move_is_no_error() {
    assert_eq!(step(vec![], SCRIPT), Ok(()));
}

#[test]
fn refuses_numbers_and_lengths_and_then_moves_nothing() {
    let (states, grads) = (vec![State::new(fill(3, 1)), State::new(fill(4, 2))], vec![fill(3, 3), fill(4, 4)]);
    let nan = f64::NAN;
    for (numbers, message) in [
        (AdamStep { lr: -1.0, ..SCRIPT }, "lr: expected a number of at least 0, got -1"),
        (AdamStep { lr: nan, ..SCRIPT }, "lr: expected a number of at least 0, got NaN"),
        (AdamStep { lr: f64::INFINITY, ..SCRIPT }, "lr: expected a number of at least 0, got inf"),
        (AdamStep { beta1: 1.0, ..SCRIPT }, "beta1: expected a number from 0 to below 1, got 1"),
        (AdamStep { beta2: -0.1, ..SCRIPT }, "beta2: expected a number from 0 to below 1, got -0.1"),
        (AdamStep { eps: -1e-8, ..SCRIPT }, "eps: expected a number of at least 0, got -0.00000001"),
        (AdamStep { weight_decay: nan, ..SCRIPT }, "weight_decay: expected a number of at least 0, got NaN"),
        (AdamStep { step: 0.0, ..SCRIPT }, "step: expected a number of at least 1, got 0"),
        (AdamStep { step: nan, ..SCRIPT }, "step: expected a number of at least 1, got NaN"),
    ] {
        let mut moved = states.clone();
        refuses(move_all(&mut moved, &grads, numbers), "BAD_ARGUMENT", &format!("adam: {message}"));
        assert_eq!(moved, states, "{message}");
    }
    type Spoil = fn(&mut State, &mut Vec<f32>);
    let spoils: [(Spoil, &str); 3] = [
        (|_, grad| grad.truncate(2), "grad: expected shape [4], got [2]"),
        (|state, _| state.first.truncate(2), "exp_avg: expected shape [4], got [2]"),
        (|state, _| state.second.truncate(2), "exp_avg_sq: expected shape [4], got [2]"),
    ];
    for (spoil, message) in spoils {
        let (mut moved, mut grads) = (states.clone(), grads.clone());
        spoil(&mut moved[1], &mut grads[1]);
        refuses(move_all(&mut moved, &grads, SCRIPT), "SHAPE_MISMATCH", &format!("adam: {message}"));
        assert_eq!(moved[0], states[0], "{message}");
    }
}
