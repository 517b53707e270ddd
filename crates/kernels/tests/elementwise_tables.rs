//! The tables of element-wise functions: values and slopes against double precision, at odd lengths, by every
//! repetition of an operand, with the same bits at any number of threads.

use crate::common::{close, fill, refuses, same_bits, slope};
use distillery_kernels::binary::{Binary, Comparison, Operand, select};
use distillery_kernels::unary::Unary;

const LENGTHS: [usize; 6] = [0, 1, 7, 65, 1000, 60_007];

/// A row of the unary table in double precision; its parameters are -0.5 and 0.75.
fn exact(name: &str, x: f64) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    match name {
        "neg" => -x,
        "abs" => x.abs(),
        "exp" => x.exp(),
        "log" => x.ln(),
        "log1p" => x.ln_1p(),
        "sqrt" | "root" => x.sqrt(),
        "rsqrt" => 1.0 / x.sqrt(),
        "tanh" => x.tanh(),
        "sigmoid" => sigmoid(x),
        "logSigmoid" => sigmoid(x).ln(),
        "softplus" => (0.75 * x).exp().ln_1p() / 0.75,
        "silu" => x * sigmoid(x),
        "hardswish" => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
        "leakyRelu" => {
            if x > 0.0 {
                x
            } else {
                -0.5 * x
            }
        }
        "gelu" => 0.5 * x * libm::erfc(-x / 2f64.sqrt()),
        "geluTanh" => 0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh()),
        "xLogX" => x * x.ln(),
        "clamp" => x.clamp(-0.5, 0.75),
        "power" => x.powf(-0.5),
        "divideBy" => x / -0.5,
        other => panic!("{other}: give its formula in double precision"),
    }
}

fn exact_pair(name: &str, a: f64, b: f64) -> f64 {
    match name {
        "add" => a + b,
        "sub" => a - b,
        "mul" => a * b,
        "div" => a / b,
        "maximum" => a.max(b),
        "minimum" => a.min(b),
        "pow" => a.powf(b),
        "klTerm" => a.exp() * (a - b) - a.exp() + b.exp(),
        other => panic!("{other}: give its formula in double precision"),
    }
}

/// Numbers inside of the domain of every function: of (0.2, 1.8) if it needs positive ones.
fn inputs(name: &str, len: usize, seed: u64) -> Vec<f32> {
    let positive = ["log", "sqrt", "root", "rsqrt", "xLogX", "power", "pow", "div", "log1p"].contains(&name);
    fill(len, seed).iter().map(|x| if positive { 1.0 + 0.8 * x } else { 2.0 * x }).collect()
}

fn forward(f: Unary, x: &[f32]) -> Vec<f32> {
    let mut out = vec![f32::NAN; x.len()];
    f.forward(x, [-0.5, 0.75], &mut out).unwrap();
    out
}

fn backward(f: Unary, grad: &[f32], x: &[f32]) -> Vec<f32> {
    let mut out = vec![f32::NAN; x.len()];
    f.backward(grad, x, &forward(f, x), [-0.5, 0.75], &mut out).unwrap();
    out
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| x.into()).collect()
}

#[test]
fn unary_values_are_those_of_double_precision() {
    for len in LENGTHS {
        for &(name, f) in Unary::ALL {
            let x = inputs(name, len, 1);
            let want: Vec<f64> = x.iter().map(|&x| exact(name, x.into())).collect();
            close(&format!("{name} {len}"), &forward(f, &x), &want, 5e-7);
        }
    }
}

/// How many units in the last place a result is off; 0 for results that are equal as single precision, such as infinity.
fn units_off(got: f32, want: f64) -> f64 {
    let rounded = want as f32;
    if got == rounded || got.is_nan() && rounded.is_nan() {
        return 0.0;
    }
    let size = rounded.abs().max(f32::MIN_POSITIVE);
    (f64::from(got) - want).abs() / (f64::from(size.next_up()) - f64::from(size))
}

#[test]
fn elementary_functions_keep_their_digits_over_their_whole_range() {
    let ranges: [(&str, f32, f32, f64); 9] = [
        ("exp", -110.0, 95.0, 1.0),
        ("log", 1e-45, 3.4e38, 1.0),
        ("log", 0.5, 2.0, 1.0),
        ("log1p", -1.0, 1.5, 2.0),
        ("log1p", -1e-3, 1e-3, 2.0),
        ("tanh", -12.0, 12.0, 2.0),
        ("sigmoid", -80.0, 80.0, 3.0),
        ("gelu", -12.0, 12.0, 7.0),
        ("silu", -80.0, 80.0, 4.0),
    ];
    for (name, low, high, most) in ranges {
        let &(_, f) = Unary::ALL.iter().find(|row| row.0 == name).unwrap();
        let x: Vec<f32> = (0..200_003).map(|i| low + (high - low) * (i as f32 / 200_002.0)).collect();
        for (&x, y) in x.iter().zip(forward(f, &x)) {
            let off = units_off(y, exact(name, x.into()));
            assert!(off <= most, "{name}({x:e}): {y:e} is {off:.1} units off");
        }
    }
}

#[test]
fn edges_are_those_of_double_precision() {
    let (infinity, tiny) = (f32::INFINITY, f32::from_bits(1));
    let edges = [f32::NAN, infinity, -infinity, 0.0, -0.0, -1.0, -2.0, tiny, -tiny, 3e38, -3e38];
    for name in ["exp", "log", "log1p", "tanh", "sigmoid"] {
        let &(_, f) = Unary::ALL.iter().find(|row| row.0 == name).unwrap();
        for (x, y) in edges.into_iter().zip(forward(f, &edges)) {
            let off = units_off(y, exact(name, x.into()));
            assert!(off <= 1.0, "{name}({x:e}): {y:e} is {off:.1} units off");
        }
    }
}

#[test]
fn unary_slopes_are_central_differences() {
    for &(name, f) in Unary::ALL {
        let (x, grad) = (inputs(name, 65, 1), fill(65, 2));
        let got = backward(f, &grad, &x);
        for (i, &at) in x.iter().enumerate() {
            let want = slope(&[at.into()], |x| exact(name, x[0]))[0] * f64::from(grad[i]);
            close(&format!("{name} at {at}"), &got[i..=i], &[want], 2e-6);
        }
    }
}

#[test]
fn an_infinite_gradient_of_a_flat_part_is_0_as_pytorchs() {
    let infinite = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
    for (name, flat) in [("clamp", [-0.5, -7.0, 0.75]), ("hardswish", [-3.0, -7.0, -3.5]), ("root", [0.0; 3])] {
        let &(_, f) = Unary::ALL.iter().find(|row| row.0 == name).unwrap();
        assert_eq!(backward(f, &infinite, &flat), [0.0; 3], "{name}");
    }
    let (large, small) = (Operand::whole(&[2.0, 5.0, 9.0]), Operand::whole(&[1.0]));
    for (name, taken, other) in [("maximum", large, small), ("minimum", small, large)] {
        let &(_, f) = Binary::ALL.iter().find(|row| row.0 == name).unwrap();
        for (second, a, b) in [(true, taken, other), (false, other, taken)] {
            let mut out = [f32::NAN; 3];
            f.backward(second, &infinite, a, b, &mut out).unwrap();
            assert_eq!(out, [0.0; 3], "{name} {second}");
        }
    }
}

/// An operand's elements, how often each stands in a row, and the output's length.
const REPETITIONS: [[usize; 2]; 6] = [[60_000, 1], [1, 60_000], [300, 1], [200, 300], [25, 60], [1, 1]];

fn repeated(data: &[f32], each: usize, len: usize) -> Vec<f64> {
    (0..len).map(|i| f64::from(data[i / each % data.len()])).collect()
}

#[test]
fn binary_values_and_slopes_by_every_repetition() {
    const LEN: usize = 60_000;
    for &(name, f) in Binary::ALL {
        for [len_a, each_a] in REPETITIONS {
            for [len_b, each_b] in REPETITIONS {
                let (a, b, grad) = (inputs(name, len_a, 1), inputs(name, len_b, 2), fill(LEN, 3));
                let (x, y) = (Operand { data: &a, each: each_a }, Operand { data: &b, each: each_b });
                let (wide_a, wide_b) = (repeated(&a, each_a, LEN), repeated(&b, each_b, LEN));
                let label = format!("{name} {len_a}*{each_a} {len_b}*{each_b}");
                let mut out = vec![f32::NAN; LEN];
                f.forward(x, y, &mut out).unwrap();
                let want: Vec<f64> = wide_a.iter().zip(&wide_b).map(|(&a, &b)| exact_pair(name, a, b)).collect();
                close(&label, &out, &want, 5e-7);
                for second in [false, true] {
                    f.backward(second, &grad, x, y, &mut out).unwrap();
                    for i in (0..LEN).step_by(997) {
                        let pair = [wide_a[i], wide_b[i]];
                        let slopes = slope(&pair, |x| exact_pair(name, x[0], x[1]));
                        let want = slopes[usize::from(second)] * f64::from(grad[i]);
                        if (pair[0] - pair[1]).abs() > 1e-4 {
                            close(&label, &out[i..=i], &[want], 1e-5);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn comparisons_and_select() {
    let (a, b) = ([1.0, 2.0, f32::NAN, 0.0], [1.0, 1.0, 1.0, 1.0]);
    let mut out = [-1; 4];
    let want = [[1, 0, 0, 0], [0, 1, 1, 1], [0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 1], [1, 0, 0, 1]];
    for ((name, f), want) in Comparison::ALL.iter().zip(want) {
        f.forward(Operand::whole(&a), Operand::whole(&b), &mut out).unwrap();
        assert_eq!(out, want, "{name}");
    }
    let mut chosen = [f32::NAN; 4];
    select(&[1, 0, 0, 5], &a, &[9.0], &mut chosen).unwrap();
    assert_eq!(chosen, [1.0, 9.0, 9.0, 0.0]);
}

#[test]
fn same_bits_at_any_number_of_threads() {
    let (x, grad) = (inputs("log", 60_007, 1), fill(60_007, 2));
    for &(name, f) in Unary::ALL {
        same_bits(name, || wide(&[forward(f, &x), backward(f, &grad, &x)].concat()));
    }
    let (a, b) = (inputs("pow", 60_000, 1), inputs("pow", 300, 2));
    for &(name, f) in Binary::ALL {
        same_bits(name, || {
            let mut out = vec![f32::NAN; a.len()];
            f.forward(Operand::whole(&a), Operand { data: &b, each: 40 }, &mut out).unwrap();
            wide(&out)
        });
    }
}

#[test]
fn refuses_wrong_shapes() {
    let (x, mut out) = ([1.0; 4], [0.0; 4]);
    refuses(Unary::Exp.forward(&x, [0.0; 2], &mut out[1..]), "SHAPE_MISMATCH", "exp: out: expected shape [4], got [3]");
    let short = Operand::whole(&x[1..]);
    let message = "add: operand: expected shape [4], got [3]";
    refuses(Binary::Add.forward(Operand::whole(&x), short, &mut out), "SHAPE_MISMATCH", message);
    let message = "mul: each: expected a number that divides the output's length, got 3";
    refuses(Binary::Mul.forward(Operand { data: &x, each: 3 }, Operand::whole(&x), &mut out), "BAD_ARGUMENT", message);
    let message = "where: a: expected shape [4], got [3]";
    refuses(select(&[1; 4], &x[1..], &x, &mut out), "SHAPE_MISMATCH", message);
}
