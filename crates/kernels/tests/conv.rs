//! Convolutions and their gradients against naive loops in double precision, over shapes that no block divides.

use crate::common::{close, dot, fill, refuses, same_bits};
use distillery_kernels::conv::{
    Epilogue, Gradients, Operands, RowNorm, Shape, Weight, Window, backward, forward, transform,
};
use distillery_kernels::matmul::Precision;
use distillery_kernels::matmul::bf16::{Unit, from_bits, to_bits};

/// Images, channels, height, width; outputs, kernel; stride, padding, dilation; groups.
type Case = ([usize; 4], [usize; 3], [usize; 2], [usize; 2], [usize; 2], usize);

const CASES: [Case; 85] = [
    ([1, 1, 1, 1], [1, 1, 1], [1, 1], [0, 0], [1, 1], 1),
    ([2, 3, 5, 7], [4, 3, 3], [1, 1], [1, 1], [1, 1], 1),
    ([2, 3, 5, 7], [4, 3, 3], [1, 1], [0, 0], [1, 1], 1),
    ([3, 2, 9, 6], [7, 3, 3], [2, 2], [1, 1], [1, 1], 1),
    ([1, 5, 8, 8], [6, 1, 1], [1, 1], [0, 0], [1, 1], 1),
    ([2, 5, 8, 9], [6, 1, 1], [2, 2], [0, 0], [1, 1], 1),
    ([2, 17, 32, 32], [31, 3, 3], [1, 1], [1, 1], [1, 1], 1),
    ([2, 16, 16, 16], [13, 3, 3], [1, 1], [1, 1], [1, 1], 1),
    ([5, 20, 8, 8], [65, 3, 3], [1, 1], [1, 1], [1, 1], 1),
    ([9, 8, 4, 4], [12, 3, 3], [1, 1], [1, 1], [1, 1], 1),
    // One tile an image, which pays for many.
    ([50, 20, 4, 4], [35, 3, 3], [1, 1], [1, 1], [1, 1], 1),
    ([64, 130, 3, 4], [67, 3, 3], [1, 1], [1, 1], [1, 1], 1),
    ([53, 33, 7, 8], [40, 3, 3], [2, 2], [1, 1], [1, 1], 1),
    ([33, 8, 2, 2], [9, 1, 1], [1, 1], [0, 0], [1, 1], 1),
    ([7, 3, 1, 1], [5, 3, 3], [1, 1], [1, 1], [1, 1], 1),
    ([2, 3, 11, 13], [4, 5, 2], [3, 2], [2, 1], [1, 2], 1),
    ([1, 2, 12, 10], [3, 3, 3], [1, 2], [4, 3], [2, 3], 1),
    ([2, 3, 17, 70], [4, 7, 7], [2, 2], [3, 3], [1, 1], 1),
    ([1, 3, 7, 7], [4, 2, 2], [3, 3], [0, 0], [1, 1], 1),
    ([1, 3, 7, 7], [4, 2, 2], [4, 4], [1, 0], [1, 1], 1),
    ([2, 6, 7, 5], [9, 3, 3], [1, 1], [1, 1], [1, 1], 3),
    ([2, 8, 6, 6], [4, 3, 3], [2, 1], [1, 1], [1, 1], 2),
    ([2, 6, 9, 9], [6, 3, 3], [1, 1], [1, 1], [1, 1], 6),
    ([2, 6, 9, 18], [12, 3, 3], [2, 2], [1, 1], [1, 1], 6),
    ([3, 4, 5, 40], [4, 5, 3], [1, 3], [3, 2], [2, 1], 4),
    ([1, 1, 1, 50], [3, 1, 5], [1, 2], [0, 2], [1, 1], 1),
    ([2, 130, 5, 5], [3, 3, 3], [1, 1], [1, 1], [1, 1], 1),
    ([5, 20, 2, 2], [20, 3, 3], [1, 1], [1, 1], [1, 1], 20),
    ([19, 17, 4, 4], [34, 3, 3], [1, 1], [1, 1], [1, 1], 17),
    ([2, 33, 4, 4], [33, 3, 3], [2, 2], [1, 1], [1, 1], 33),
    ([2, 3, 4, 5], [3, 3, 2], [1, 2], [4, 3], [1, 1], 3),
    ([1, 2, 60, 50], [2, 3, 3], [1, 1], [1, 1], [1, 1], 2),
    ([1, 3, 61, 90], [3, 5, 3], [2, 3], [1, 1], [2, 1], 3),
    ([40, 18, 1, 1], [18, 3, 3], [1, 1], [1, 1], [1, 1], 18),
    ([37, 19, 3, 3], [19, 3, 3], [1, 1], [1, 1], [1, 1], 19),
    ([21, 33, 7, 7], [33, 5, 5], [1, 1], [2, 2], [1, 1], 33),
    ([3, 18, 16, 16], [18, 3, 3], [1, 1], [1, 1], [1, 1], 18),
    ([2, 5, 9, 11], [5, 3, 3], [1, 1], [2, 2], [2, 2], 5),
    ([5, 70, 1, 5], [70, 1, 3], [1, 1], [0, 1], [1, 1], 70),
    ([4, 6, 5, 2], [6, 7, 1], [1, 1], [3, 0], [1, 1], 6),
    ([3, 3, 40, 37], [3, 3, 5], [1, 1], [1, 2], [1, 1], 3),
    ([300, 256, 2, 2], [256, 3, 3], [1, 1], [1, 1], [1, 1], 256),
    ([20, 5, 4, 4], [5, 3, 3], [2, 2], [1, 1], [1, 1], 5),
    ([2, 20, 9, 7], [20, 5, 5], [2, 3], [3, 1], [1, 2], 20),
    // Rows whose last output and the next row's first are as far apart as elements, but not as outputs.
    ([2, 3, 7, 1], [4, 1, 1], [1, 1], [0, 0], [1, 1], 1),
    ([3, 2, 20, 1], [5, 3, 3], [1, 1], [1, 1], [1, 1], 1),
    ([6, 1, 1, 1], [1, 1, 1], [1, 1], [0, 0], [1, 1], 1),
    ([2, 2, 15, 9], [3, 1, 1], [1, 2], [0, 0], [1, 1], 1),
    ([1, 3, 13, 17], [2, 1, 1], [1, 4], [0, 0], [1, 1], 1),
    ([2, 3, 14, 13], [2, 3, 3], [1, 3], [1, 1], [1, 1], 1),
    // Rows of outputs that fill vectors not quite.
    ([5, 50, 7, 7], [13, 3, 3], [1, 1], [1, 1], [1, 1], 1),
    ([3, 4, 14, 14], [7, 3, 3], [1, 1], [1, 1], [1, 1], 1),
    ([2, 4, 28, 28], [17, 3, 3], [1, 1], [1, 1], [1, 1], 1),
    ([2, 45, 6, 12], [8, 3, 3], [1, 1], [1, 1], [1, 1], 1),
    ([2, 5, 9, 24], [6, 5, 5], [1, 1], [2, 2], [1, 1], 1),
    ([3, 5, 15, 15], [6, 3, 3], [2, 2], [1, 1], [1, 1], 1),
    ([2, 6, 28, 29], [9, 3, 3], [2, 2], [1, 1], [1, 1], 1),
    ([2, 3, 30, 30], [4, 1, 1], [3, 3], [1, 1], [1, 1], 1),
    ([1, 70, 90, 23], [20, 3, 3], [1, 1], [1, 1], [1, 1], 1),
    // Read as they are: rows of whole vectors, and rows that follow each other.
    ([2, 3, 7, 18], [14, 3, 3], [2, 1], [0, 0], [1, 1], 1),
    ([2, 3, 9, 7], [4, 3, 1], [1, 1], [0, 0], [1, 1], 1),
    // Kernels wider than the image, whose outer taps read nothing.
    ([2, 3, 7, 7], [2, 17, 19], [1, 1], [8, 9], [1, 1], 1),
    ([1, 2, 6, 5], [3, 3, 3], [1, 1], [9, 9], [9, 9], 1),
    ([2, 3, 14, 14], [4, 3, 3], [1, 1], [18, 18], [18, 18], 1),
    ([1, 2, 4, 4], [3, 1, 2], [1, 1], [0, 100], [1, 200], 1),
    ([2, 3, 1, 70], [4, 1, 21], [1, 1], [0, 10], [1, 1], 1),
    // Tiles of 4 x 4 outputs: rows and columns that they do not divide, images that fill vectors not quite, all
    // paddings.
    ([3, 33, 9, 7], [35, 3, 3], [1, 1], [1, 1], [1, 1], 1),
    ([2, 32, 6, 21], [70, 3, 3], [1, 1], [2, 0], [1, 1], 1),
    ([5, 40, 6, 6], [32, 3, 3], [1, 1], [0, 2], [1, 1], 1),
    ([1, 50, 31, 34], [33, 3, 3], [1, 1], [1, 1], [1, 1], 1),
    ([70, 32, 4, 5], [36, 3, 3], [1, 1], [1, 1], [1, 1], 1),
    ([3, 35, 11, 13], [33, 3, 3], [1, 1], [0, 0], [1, 1], 1),
    ([2, 33, 9, 8], [40, 3, 3], [1, 1], [2, 2], [1, 1], 1),
    ([1, 16, 4, 1000], [32, 3, 3], [1, 1], [1, 1], [1, 1], 1),
    ([2, 64, 11, 70], [66, 3, 3], [1, 1], [1, 1], [1, 1], 2),
    ([2, 400, 5, 4], [17, 3, 3], [1, 1], [1, 1], [1, 1], 1),
    // The same with a step of 2, whose gradients have tiles of 8 x 8: even and odd sizes.
    ([3, 33, 16, 18], [35, 3, 3], [2, 2], [1, 1], [1, 1], 1),
    ([2, 70, 15, 33], [40, 3, 3], [2, 2], [1, 1], [1, 1], 1),
    ([1, 32, 31, 10], [129, 3, 3], [2, 2], [1, 1], [1, 1], 1),
    ([5, 64, 10, 9], [66, 3, 3], [2, 2], [1, 1], [1, 1], 2),
    ([2, 40, 17, 20], [33, 3, 3], [2, 2], [0, 2], [1, 1], 1),
    ([2, 34, 22, 19], [32, 3, 3], [2, 2], [2, 0], [1, 1], 1),
    ([1, 300, 14, 12], [34, 3, 3], [2, 2], [1, 1], [1, 1], 1),
    // Gradients of columns in three parts, of which the last has a column less.
    ([4, 3, 8, 32], [5, 3, 4], [1, 3], [1, 2], [1, 1], 1),
    ([2, 6, 9, 65], [4, 3, 3], [2, 2], [1, 1], [1, 2], 2),
];

fn shape_of((x, [outputs, ky, kx], stride, padding, dilation, groups): Case) -> Shape {
    Shape { x, weight: [outputs, x[1] / groups, ky, kx], window: Window { stride, padding, dilation }, groups }
}

struct Data {
    x: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    grad: Vec<f32>,
}

fn data(shape: &Shape) -> Data {
    let size = |shape: [usize; 4]| shape.iter().product();
    Data {
        x: fill(size(shape.x), 1),
        weight: fill(size(shape.weight), 2),
        bias: fill(shape.weight[0], 3),
        grad: fill(size(shape.output().unwrap()), 4),
    }
}

/// Calls `f` with the places in out, x and weight of each product.
fn products(shape: &Shape, mut f: impl FnMut(usize, usize, usize)) {
    let ([images, outputs, height, width], [_, channels, rows, columns]) = (shape.output().unwrap(), shape.x);
    let ([_, per_group, ky, kx], Window { stride, padding, dilation }) = (shape.weight, shape.window);
    for (n, o, y, x) in (0..images * outputs * height * width)
        .map(|i| (i / (outputs * height * width), i / (height * width) % outputs, i / width % height, i % width))
    {
        for (c, dy, dx) in (0..per_group * ky * kx).map(|i| (i / (ky * kx), i / kx % ky, i % kx)) {
            let row = (y * stride[0] + dy * dilation[0]).checked_sub(padding[0]).filter(|&row| row < rows);
            let column = (x * stride[1] + dx * dilation[1]).checked_sub(padding[1]).filter(|&at| at < columns);
            let (Some(row), Some(column)) = (row, column) else { continue };
            let channel = o / (outputs / shape.groups) * per_group + c;
            f(
                ((n * outputs + o) * height + y) * width + x,
                ((n * channels + channel) * rows + row) * columns + column,
                ((o * per_group + c) * ky + dy) * kx + dx,
            );
        }
    }
}

fn run(shape: &Shape, data: &Data, bias: bool, relu: bool) -> Vec<f32> {
    run_in(Precision::Float32, shape, data, bias, relu)
}

fn run_in(precision: Precision, shape: &Shape, data: &Data, bias: bool, relu: bool) -> Vec<f32> {
    run_as(false, precision, shape, data, bias, relu)
}

fn run_as(alone: bool, precision: Precision, shape: &Shape, data: &Data, bias: bool, relu: bool) -> Vec<f32> {
    let mut out = vec![f32::NAN; data.grad.len()];
    let bias = bias.then_some(&data.bias[..]);
    let weight = Weight::Taps(&data.weight, precision);
    let operands = Operands { x: &data.x, weight, bias, alone };
    let epilogue = Epilogue { relu, ..Epilogue::default() };
    forward(shape, operands, epilogue, &mut out).unwrap();
    out
}

fn gradients(shape: &Shape, data: &Data) -> [Vec<f32>; 3] {
    gradients_in(Precision::Float32, shape, data)
}

fn gradients_in(precision: Precision, shape: &Shape, data: &Data) -> [Vec<f32>; 3] {
    let [mut x, mut weight, mut bias] =
        [data.x.len(), data.weight.len(), data.bias.len()].map(|len| vec![f32::NAN; len]);
    let into = Gradients { x: Some(&mut x), weight: Some(&mut weight), bias: Some(&mut bias) };
    backward(precision, shape, &data.grad, &data.x, &data.weight, into).unwrap();
    [x, weight, bias]
}

/// Sums of products in double precision.
struct Sums {
    sum: Vec<f64>,
    /// The sums of the products' squares: a rounding of a sum goes with their root, however near to zero it ends.
    squares: Vec<f64>,
}

impl Sums {
    fn new(len: usize) -> Self {
        Self { sum: vec![0.0; len], squares: vec![0.0; len] }
    }

    fn add(&mut self, i: usize, a: f32, b: f32) {
        let product = f64::from(a) * f64::from(b);
        self.sum[i] += product;
        self.squares[i] += product * product;
    }

    /// Fails if a value is further than 1e-5 times this root from its sum.
    #[track_caller]
    fn expect(&self, label: &str, got: &[f32], of: impl Fn(f64) -> f64) {
        assert_eq!(got.len(), self.sum.len(), "{label}: length");
        for (i, &got) in got.iter().enumerate() {
            let (want, limit) = (of(self.sum[i]), 1e-5 * self.squares[i].sqrt());
            let error = (f64::from(got) - want).abs();
            assert!(error <= limit, "{label}[{i}]: got {got}, want {want} within {limit:e}");
        }
    }
}

#[test]
fn forward_is_the_naive_loop() {
    for case in CASES {
        let shape = shape_of(case);
        let data = data(&shape);
        let plane: usize = shape.output().unwrap()[2..].iter().product();
        for (bias, relu) in [(true, false), (false, false), (true, true)] {
            let mut want = Sums::new(data.grad.len());
            if bias {
                (0..data.grad.len()).for_each(|i| want.add(i, data.bias[i / plane % data.bias.len()], 1.0));
            }
            products(&shape, |out, x, weight| want.add(out, data.x[x], data.weight[weight]));
            for alone in [false, true] {
                let got = run_as(alone, Precision::Float32, &shape, &data, bias, relu);
                want.expect(&format!("{shape:?} {alone}"), &got, |y| if relu { y.max(0.0) } else { y });
            }
        }
    }
}

#[test]
fn gradients_are_the_naive_loops() {
    for case in CASES {
        let shape = shape_of(case);
        let data = data(&shape);
        let (mut x, mut weight) = (Sums::new(data.x.len()), Sums::new(data.weight.len()));
        products(&shape, |out, at, of| {
            x.add(at, data.grad[out], data.weight[of]);
            weight.add(of, data.grad[out], data.x[at]);
        });
        let plane: usize = shape.output().unwrap()[2..].iter().product();
        let mut bias = vec![0.0; data.bias.len()];
        for (i, planes) in data.grad.chunks_exact(plane).enumerate() {
            bias[i % data.bias.len()] += planes.iter().map(|&grad| f64::from(grad)).sum::<f64>();
        }
        let [got_x, got_weight, got_bias] = gradients(&shape, &data);
        x.expect(&format!("grad_x {shape:?}"), &got_x, |sum| sum);
        weight.expect(&format!("grad_weight {shape:?}"), &got_weight, |sum| sum);
        close(&format!("grad_bias {shape:?}"), &got_bias, &bias, 1e-6);
    }
}

/// Few places are summed in single precision, however large planes are: rows that are many to a run, and longer than
/// one.
#[test]
fn depthwise_gradients_of_large_planes_are_the_naive_loops() {
    let cases: [Case; 6] = [
        ([5, 3, 64, 64], [3, 3, 3], [1, 1], [1, 1], [1, 1], 3),
        ([65, 2, 20, 25], [2, 5, 5], [1, 1], [2, 2], [1, 1], 2),
        ([5, 3, 112, 112], [3, 3, 3], [1, 1], [1, 1], [1, 1], 3),
        ([2, 2, 112, 112], [4, 3, 3], [2, 2], [1, 1], [1, 1], 2),
        ([3, 2, 5, 700], [2, 3, 3], [1, 1], [1, 1], [1, 1], 2),
        ([2, 2, 9, 1300], [4, 3, 5], [1, 2], [1, 2], [1, 1], 2),
    ];
    for case in cases {
        let shape = shape_of(case);
        let data = data(&shape);
        let (mut want, mut size) = (vec![0.0; data.weight.len()], vec![0.0; data.weight.len()]);
        products(&shape, |out, at, of| {
            let product = f64::from(data.grad[out]) * f64::from(data.x[at]);
            want[of] += product;
            size[of] += product.abs();
        });
        let [_, weight, _] = gradients(&shape, &data);
        for (i, got) in weight.into_iter().enumerate() {
            let error = (f64::from(got) - want[i]).abs() / size[i];
            assert!(error < 1e-7, "{shape:?}: weight {i}: {error:e} of its products");
        }
    }
}

/// Operands in bfloat16 are rounded, unless each channel has kernels of its own.
#[test]
fn products_in_bfloat16_are_those_of_rounded_operands() {
    for case in CASES {
        let shape = shape_of(case);
        for precision in Unit::all().into_iter().map(Precision::Bfloat16) {
            products_of_rounded(precision, &shape);
        }
    }
}

fn products_of_rounded(precision: Precision, shape: &Shape) {
    let round = |data: &[f32]| data.iter().map(|&x| from_bits(to_bits(x))).collect::<Vec<_>>();
    let (data, name) = (data(shape), format!("{precision:?} {shape:?}"));
    let out = run_in(precision, shape, &data, true, true);
    let [x, weight, bias] = gradients_in(precision, shape, &data);
    let [plain_x, plain_weight, plain_bias] = gradients(shape, &data);
    assert_eq!(bias, plain_bias, "{name}");
    if shape.weight[1] == 1 && shape.groups > 1 {
        return assert_eq!((out, x, weight), (run(shape, &data, true, true), plain_x, plain_weight), "{name}");
    }
    let rounded =
        Data { x: round(&data.x), weight: round(&data.weight), grad: round(&data.grad), bias: data.bias.clone() };
    let plane: usize = shape.output().unwrap()[2..].iter().product();
    let [mut want, mut want_x, mut want_weight] = [out.len(), x.len(), weight.len()].map(Sums::new);
    (0..out.len()).for_each(|i| want.add(i, data.bias[i / plane % data.bias.len()], 1.0));
    products(shape, |out, x, weight| {
        want.add(out, rounded.x[x], rounded.weight[weight]);
        want_x.add(x, rounded.grad[out], rounded.weight[weight]);
        want_weight.add(weight, rounded.grad[out], rounded.x[x]);
    });
    want.expect(&name, &out, |y| y.max(0.0));
    want_x.expect(&format!("grad_x {name}"), &x, |sum| sum);
    want_weight.expect(&format!("grad_weight {name}"), &weight, |sum| sum);
}

#[test]
fn threads_do_not_change_the_bits() {
    for (i, case) in CASES.into_iter().enumerate() {
        let shape = shape_of(case);
        let data = data(&shape);
        same_bits(&format!("case {i}"), || {
            let of = |precision| {
                let out = run_in(precision, &shape, &data, true, false);
                [vec![out], gradients_in(precision, &shape, &data).to_vec()].concat().concat()
            };
            let all = Precision::all().into_iter().map(of).collect::<Vec<_>>().concat();
            all.into_iter().map(f64::from).collect()
        });
    }
    // Large enough for several threads.
    for case in [
        ([9, 16, 32, 32], [32, 3, 3], [1, 1], [1, 1], [1, 1], 1),
        ([1, 24, 33, 31], [40, 3, 3], [2, 2], [1, 1], [1, 1], 1),
        ([9, 33, 32, 30], [48, 3, 3], [2, 2], [1, 1], [1, 1], 1),
        ([1, 40, 33, 31], [40, 3, 3], [1, 1], [1, 1], [1, 1], 1),
        ([40, 64, 8, 8], [64, 3, 3], [1, 1], [1, 1], [1, 1], 1),
        ([64, 80, 4, 4], [96, 3, 3], [1, 1], [1, 1], [1, 1], 1),
        ([20, 48, 16, 16], [48, 3, 3], [1, 1], [1, 1], [1, 1], 48),
    ] {
        let shape = shape_of(case);
        let data = data(&shape);
        same_bits(&format!("{shape:?}"), || {
            let of = |precision| {
                let out = run_in(precision, &shape, &data, true, false);
                [vec![out], gradients_in(precision, &shape, &data).to_vec()].concat().concat()
            };
            let all = Precision::all().into_iter().map(of).collect::<Vec<_>>().concat();
            all.into_iter().map(f64::from).collect()
        });
    }
}

#[test]
fn what_follows_has_the_bits_of_its_steps() {
    for (i, case) in CASES.into_iter().enumerate() {
        let shape = shape_of(case);
        let (data, plane) = (data(&shape), shape.output().unwrap()[2..].iter().product::<usize>());
        let of_channels = |seed| fill(shape.weight[0], seed);
        let (mean, inv_std, weight, bias) = (of_channels(5), of_channels(6), of_channels(7), of_channels(8));
        let addend = fill(data.grad.len(), 9);
        let norm = RowNorm { mean: &mean, inv_std: &inv_std, weight: &weight, bias: &bias };
        for (with_bias, norm, with_addend, relu) in
            [(true, None, true, false), (false, Some(norm), false, true), (true, Some(norm), true, true)]
        {
            let mut want = run_as(true, Precision::Float32, &shape, &data, with_bias, false);
            for (i, y) in want.iter_mut().enumerate() {
                let c = i / plane % shape.weight[0];
                if norm.is_some() {
                    *y = (*y - mean[c]) * inv_std[c] * weight[c] + bias[c];
                }
                *y += if with_addend { addend[i] } else { 0.0 };
                *y = if relu && *y <= 0.0 { 0.0 } else { *y };
            }
            let epilogue = Epilogue { norm, addend: with_addend.then_some(&addend), relu };
            let bias = with_bias.then_some(&data.bias[..]);
            let mut got = vec![f32::NAN; want.len()];
            let weight = Weight::Taps(&data.weight, Precision::Float32);
            forward(&shape, Operands { x: &data.x, weight, bias, alone: true }, epilogue, &mut got).unwrap();
            assert_eq!(got, want, "case {i}");
            if let Some(transformed) = transform(&shape, &data.weight).unwrap() {
                got.fill(f32::NAN);
                let weight = Weight::Transformed(&transformed);
                forward(&shape, Operands { x: &data.x, weight, bias, alone: true }, epilogue, &mut got).unwrap();
                assert_eq!(got, want, "case {i}, its weight transformed before");
            }
        }
    }
}

#[test]
fn an_image_alone_has_the_bits_that_it_has_in_a_batch() {
    Precision::all().into_iter().for_each(alone_and_in_a_batch);
}

fn alone_and_in_a_batch(precision: Precision) {
    alone_and_in_a_batch_of(precision, [12, 20], 1, 8);
    alone_and_in_a_batch_of(precision, [35, 20], 1, 8);
    alone_and_in_a_batch_of(precision, [35, 36], 2, 8);
    alone_and_in_a_batch_of(precision, [35, 20], 1, 4);
}

/// `places` rows and columns of outputs.
fn alone_and_in_a_batch_of(precision: Precision, [channels, outputs]: [usize; 2], stride: usize, places: usize) {
    let (images, side, area) = (53, places * stride, places * places);
    let shape = shape_of(([images, channels, side, side], [outputs, 3, 3], [stride; 2], [1, 1], [1, 1], 1));
    let data = data(&shape);
    let all = run_as(true, precision, &shape, &data, true, true);
    for n in 0..images {
        let alone = Shape { x: [1, channels, side, side], ..shape };
        let size = channels * side * side;
        let image = Data {
            x: data.x[n * size..][..size].to_vec(),
            grad: vec![0.0; outputs * area],
            weight: data.weight.clone(),
            bias: data.bias.clone(),
        };
        let got = run_as(true, precision, &alone, &image, true, true);
        assert_eq!(got, all[n * outputs * area..][..outputs * area], "image {n}");
    }
}

#[test]
fn the_gradient_is_the_transposed_map() {
    // <conv(x), grad> = <x, gradient of x>, for a batch of a training step.
    let shape = shape_of(([16, 32, 16, 16], [64, 3, 3], [2, 2], [1, 1], [1, 1], 1));
    let data = data(&shape);
    let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
    let [x, weight, _] = gradients(&shape, &data);
    let out = dot(&wide(&run(&shape, &data, false, false)), &wide(&data.grad));
    close("x", &[dot(&wide(&x), &wide(&data.x))], &[out], 1e-5);
    close("weight", &[dot(&wide(&weight), &wide(&data.weight))], &[out], 1e-5);
}

#[test]
fn no_outputs_are_computed_without_harm() {
    for case in [
        ([1, 3, 8, 8], [0, 3, 3], [1, 1], [0, 0], [1, 1], 1),
        ([0, 3, 8, 8], [4, 3, 3], [1, 1], [0, 0], [1, 1], 1),
        ([0, 3, 8, 8], [3, 3, 3], [1, 1], [0, 0], [1, 1], 3),
    ] {
        let shape = shape_of(case);
        let data = data(&shape);
        for precision in Precision::all() {
            assert!(run_in(precision, &shape, &data, true, true).is_empty());
            let [grad_x, grad_weight, _] = gradients_in(precision, &shape, &data);
            assert!(grad_x.iter().chain(&grad_weight).all(|gradient| *gradient == 0.0));
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let shape = shape_of(([2, 4, 5, 5], [6, 3, 3], [1, 1], [0, 0], [1, 1], 2));
    let refused = |shape: Shape, message: &str| {
        let code = if message.contains("expected at ") { "BAD_ARGUMENT" } else { "SHAPE_MISMATCH" };
        refuses(shape.output(), code, message);
    };
    refused(Shape { groups: 0, ..shape }, "conv2d: groups: expected at least 1, got 0");
    refused(Shape { groups: 4, ..shape }, "conv2d: weight: expected shape [6, 1, 3, 3], got [6, 2, 3, 3]");
    refused(Shape { weight: [5, 2, 3, 3], ..shape }, "conv2d: channels: expected shape [0, 0], got [0, 1]");
    refused(Shape { weight: [6, 2, 3, 6], ..shape }, "conv2d: kernel: expected shape [5], got [6]");
    let window = |stride, padding| Window { stride: [1, stride], padding: [0, padding], dilation: [1, 1] };
    refused(Shape { window: window(0, 0), ..shape }, "conv2d: stride: expected at least 1, got 0");
    let empty = Shape { weight: [6, 2, 0, 3], ..shape };
    refused(empty, "conv2d: kernel: expected at least 1 row and 1 column, got 0");
    let wide = Window { stride: [8192; 2], padding: [4096; 2], dilation: [1, 1] };
    let limit = "at most 2^20 elements in a padded channel, or 16 times those of its input and output";
    refused(Shape { window: wide, ..shape }, &format!("conv2d: padding: expected {limit}, got 67190809"));
    // A weight that was transformed for another padding.
    let padded = shape_of(([1, 16, 8, 8], [32, 3, 3], [1, 1], [1, 1], [1, 1], 1));
    let other = shape_of(([1, 16, 8, 8], [32, 3, 3], [1, 1], [0, 0], [1, 1], 1));
    let weight = transform(&padded, &vec![0.0; 32 * 16 * 9]).unwrap().unwrap();
    refuses(
        forward(
            &other,
            Operands { x: &[0.0; 1024], weight: Weight::Transformed(&weight), bias: None, alone: true },
            Epilogue::default(),
            &mut [0.0; 1152],
        ),
        "BAD_ARGUMENT",
        "conv2d: weight: expected one that was transformed for this shape, got NaN",
    );
    refuses(
        forward(
            &shape,
            Operands { x: &[0.0; 7], weight: Weight::Taps(&[0.0; 108], Precision::Float32), bias: None, alone: true },
            Epilogue::default(),
            &mut [0.0; 108],
        ),
        "SHAPE_MISMATCH",
        "conv2d: x: expected shape [200], got [7]",
    );
}
