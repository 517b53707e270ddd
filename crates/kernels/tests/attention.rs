//! Attention, and its gradients.

use crate::common::{close, dot, fill, refuses, same_bits, slope, wide};
use distillery_kernels::attention::Attention;
use distillery_kernels::dropout::Mask;
use distillery_kernels::matmul::Precision;
use ndarray::{Array4, ArrayView4, Axis, concatenate, s};

/// Batch, heads, queries, keys, width of a head, width of a value.
type Sizes = [usize; 6];

/// What is added to the scores, and which weights are kept.
#[derive(Clone, Copy)]
struct Extras<'a> {
    key_bias: Option<&'a [f32]>,
    bias: Option<&'a [f32]>,
    keep: Option<&'a [u8]>,
}

const PLAIN: Extras = Extras { key_bias: None, bias: None, keep: None };
const P: f64 = 0.25;

fn array(shape: [usize; 4], seed: u64) -> Array4<f32> {
    Array4::from_shape_vec(shape, fill(shape.iter().product(), seed)).unwrap()
}

fn inputs([batch, heads, queries, keys, width, value]: Sizes) -> [Array4<f32>; 3] {
    [(queries, width, 1), (keys, width, 2), (keys, value, 3)]
        .map(|(length, width, seed)| array([batch, heads, length, width], seed) * 2.0)
}

/// In double precision, head after head.
fn naive(
    [batch, heads, queries, keys, width, value]: Sizes,
    [q, k, v]: [&[f64]; 3],
    scale: f64,
    extras: Extras,
) -> Vec<f64> {
    let mut out = Vec::new();
    for head in 0..batch * heads {
        for i in 0..queries {
            let q = &q[(head * queries + i) * width..][..width];
            let score = |j: usize| {
                let at = if extras.bias.is_some_and(|bias| bias.len() == queries * keys) { 0 } else { head };
                scale * dot(q, &k[(head * keys + j) * width..][..width])
                    + extras.key_bias.map_or(0.0, |bias| bias[head / heads * keys + j].into())
                    + extras.bias.map_or(0.0, |bias| bias[(at * queries + i) * keys + j].into())
            };
            let most = (0..keys).map(score).fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = (0..keys).map(|j| (score(j) - most).exp()).collect();
            let sum: f64 = weights.iter().sum();
            let kept = |j: usize| match extras.keep {
                Some(keep) if keep[(head * queries + i) * keys + j] == 0 => 0.0,
                Some(_) => 1.0 / (1.0 - P),
                None => 1.0,
            };
            out.extend((0..value).map(|c| {
                (0..keys).map(|j| weights[j] / sum * kept(j) * v[(head * keys + j) * value + c]).sum::<f64>()
            }));
        }
    }
    out
}

fn call<'a>([q, k, v]: [ArrayView4<'a, f32>; 3], scale: f32, extras: Extras<'a>) -> Attention<'a> {
    let Extras { key_bias, bias, keep } = extras;
    let dropout = keep.map(|keep| Mask { keep, p: P });
    Attention { precision: Precision::Float32, q, k, v, scale, key_bias, bias, dropout }
}

/// The output, and the gradients of q, k and v.
fn run(inputs: &[Array4<f32>; 3], grad: &Array4<f32>, scale: f32, extras: Extras) -> [Array4<f32>; 4] {
    let [q, k, v] = inputs;
    let call = call([q.view(), k.view(), v.view()], scale, extras);
    let blank = |like: &Array4<f32>| Array4::from_elem(like.dim(), f32::NAN);
    let [mut out, mut of_q, mut of_k, mut of_v] = [blank(grad), blank(q), blank(k), blank(v)];
    call.forward(out.view_mut()).unwrap();
    let into = [of_q.view_mut(), of_k.view_mut(), of_v.view_mut()].map(Some);
    call.backward(grad.view(), into).unwrap();
    [out, of_q, of_k, of_v]
}

#[test]
fn values_are_those_of_double_precision_and_gradients_central_differences() {
    for sizes in [[1, 1, 1, 1, 1, 1], [2, 3, 5, 7, 4, 4], [1, 2, 17, 3, 8, 5], [2, 1, 3, 33, 2, 16], [0, 2, 3, 3, 2, 2]]
    {
        let [batch, heads, queries, keys, _, value] = sizes;
        let all = batch * heads * queries * keys;
        let (key_bias, shared, own) = (fill(batch * keys, 5), fill(queries * keys, 6), fill(all, 7));
        let keep: Vec<u8> = fill(all, 8).iter().map(|&x| u8::from(x > -0.5)).collect();
        let grad = array([batch, heads, queries, value], 4);
        let inputs = inputs(sizes);
        for (label, extras) in [
            ("plain", PLAIN),
            ("key bias", Extras { key_bias: Some(&key_bias), ..PLAIN }),
            ("shared bias", Extras { bias: Some(&shared), ..PLAIN }),
            ("all", Extras { key_bias: Some(&key_bias), bias: Some(&own), keep: Some(&keep) }),
        ] {
            let label = format!("{label} {sizes:?}");
            let got = run(&inputs, &grad, 0.5, extras);
            let [q, k, v] = inputs.each_ref().map(|x| wide(x.view()));
            let up = wide(grad.view());
            let value = |x: [&[f64]; 3]| naive(sizes, x, 0.5, extras);
            close(&label, &wide(got[0].view()), &value([&q, &k, &v]), 2e-6);
            close(&label, &wide(got[1].view()), &slope(&q, |q| dot(&value([q, &k, &v]), &up)), 1e-5);
            close(&label, &wide(got[2].view()), &slope(&k, |k| dot(&value([&q, k, &v]), &up)), 1e-5);
            close(&label, &wide(got[3].view()), &slope(&v, |v| dot(&value([&q, &k, v]), &up)), 1e-5);
        }
    }
}

/// `q = torch.tensor([[1., 0.], [0., 2.]])`, `k = torch.tensor([[1., 1.], [-1., 0.5]])`, `v = torch.tensor([[1., 2.],
/// [3., -1.]])`; `F.scaled_dot_product_attention(q, k, v)`
#[test]
fn numbers_are_those_of_pytorch() {
    let of = |values: [f32; 4]| Array4::from_shape_vec([1, 1, 2, 2], values.to_vec()).unwrap();
    let inputs = [of([1.0, 0.0, 0.0, 2.0]), of([1.0, 1.0, -1.0, 0.5]), of([1.0, 2.0, 3.0, -1.0])];
    let [out, ..] = run(&inputs, &of([0.0; 4]), 0.5_f32.sqrt(), PLAIN);
    close("attention", out.as_slice().unwrap(), &[1.3911407, 1.4132891, 1.6604769, 1.0092846], 2e-7);
}

#[test]
fn heads_inside_rows_and_gradients_left_out() {
    let sizes = [3, 4, 6, 6, 5, 5];
    let whole = array([3, 6, 4, 15], 1);
    let part = |i: usize| whole.slice(s![.., .., .., 5 * i..5 * i + 5]).permuted_axes([0, 2, 1, 3]);
    let parts = [part(0), part(1), part(2)];
    let grad = array([3, 4, 6, 5], 2);
    let expected = run(&parts.map(|x| x.to_owned()), &grad, 0.3, PLAIN);
    let mut out = Array4::from_elem([3, 6, 4, 5], f32::NAN);
    call(parts, 0.3, PLAIN).forward(out.view_mut().permuted_axes([0, 2, 1, 3])).unwrap();
    assert_eq!(out.view().permuted_axes([0, 2, 1, 3]), expected[0], "{sizes:?}");
    for left_out in 0..3 {
        let mut into = [(); 3].map(|()| Array4::from_elem([3, 6, 4, 5], f32::NAN));
        let mut index = 0;
        let views = into.each_mut().map(|into| {
            index += 1;
            (index - 1 != left_out).then(|| into.view_mut().permuted_axes([0, 2, 1, 3]))
        });
        call(parts, 0.3, PLAIN).backward(grad.view(), views).unwrap();
        for (i, into) in into.iter().enumerate() {
            if i == left_out {
                assert!(into.iter().all(|x| x.is_nan()), "{i} was left out");
            } else {
                assert_eq!(into.view().permuted_axes([0, 2, 1, 3]), expected[i + 1], "{i} without {left_out}");
            }
        }
    }
}

#[test]
fn without_queries_or_keys_outputs_and_gradients_are_zero() {
    for [queries, keys] in [[3, 0], [0, 3]] {
        let sizes = [2, 1, queries, keys, 4, 5];
        let got = run(&inputs(sizes), &array([2, 1, queries, 5], 1), 1.0, PLAIN);
        assert!(got.iter().flatten().all(|&x| x == 0.0), "{sizes:?}");
    }
}

/// Of 400 queries to 300 keys not all scores are in memory together, of half of the queries they are.
#[test]
fn many_queries_are_those_of_their_halves() {
    let (inputs, grad) = (inputs([2, 1, 400, 300, 8, 5]), array([2, 1, 400, 5], 4));
    let [bias, keep] = [5, 6].map(|seed| fill(2 * 400 * 300, seed));
    let part = |first: usize, rows: usize| {
        let of = |x: &Array4<f32>| x.slice(s![.., .., first..first + rows, ..]).to_owned();
        let rows_of =
            |x: &[f32]| x.chunks(400 * 300).flat_map(|x| x[first * 300..][..rows * 300].to_vec()).collect::<Vec<f32>>();
        let (bias, [q, k, v]) = (rows_of(&bias), &inputs);
        let keep: Vec<u8> = rows_of(&keep).iter().map(|&x| u8::from(x > -0.5)).collect();
        let extras = Extras { bias: Some(&bias), keep: Some(&keep), ..PLAIN };
        run(&[of(q), k.clone(), v.clone()], &of(&grad), 0.5, extras)
    };
    let [whole, first, second] = [part(0, 400), part(0, 200), part(200, 200)];
    for i in 0..2 {
        let halves = concatenate(Axis(2), &[first[i].view(), second[i].view()]).unwrap();
        assert_eq!(whole[i], halves, "the output, the gradient of q");
    }
    for i in 2..4 {
        let sum = &first[i] + &second[i];
        close("the gradients of k and v", &wide(whole[i].view()), &wide(sum.view()), 2e-6);
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    for sizes in [[4, 3, 65, 63, 16, 16], [1, 1, 200, 300, 64, 64], [1, 3, 7, 1000, 33, 17]] {
        let [batch, heads, queries, _, _, value] = sizes;
        let (inputs, grad) = (inputs(sizes), array([batch, heads, queries, value], 4));
        same_bits(&format!("{sizes:?}"), || {
            run(&inputs, &grad, 0.25, PLAIN).iter().flat_map(|x| wide(x.view())).collect()
        });
    }
}

#[test]
fn other_shapes_and_numbers_are_refused() {
    let [q, k, v] = inputs([2, 2, 3, 4, 5, 6]);
    let mut out = Array4::zeros([2, 2, 3, 6]);
    let mut refused = |call: Attention, code, message| refuses(call.forward(out.view_mut()), code, message);
    let views = [q.view(), k.view(), v.view()];
    let message = "attention: k: expected shape [2, 2, 3, 5], got [2, 2, 4, 5]";
    refused(call([q.view(), k.view(), q.view()], 1.0, PLAIN), "SHAPE_MISMATCH", message);
    let message = "attention: key_bias: expected shape [8], got [7]";
    refused(call(views, 1.0, Extras { key_bias: Some(&[0.0; 7]), ..PLAIN }), "SHAPE_MISMATCH", message);
    let message = "attention: bias: expected shape [48], got [11]";
    refused(call(views, 1.0, Extras { bias: Some(&[0.0; 11]), ..PLAIN }), "SHAPE_MISMATCH", message);
    let message = "attention: mask: expected shape [48], got [12]";
    refused(call(views, 1.0, Extras { keep: Some(&[1; 12]), ..PLAIN }), "SHAPE_MISMATCH", message);
    let message = "attention: scale: expected a finite number, got inf";
    refused(call(views, f32::INFINITY, PLAIN), "BAD_ARGUMENT", message);
    let message = "attention: grad: expected shape [2, 2, 3, 6], got [2, 2, 3, 5]";
    refuses(call(views, 1.0, PLAIN).backward(q.view(), [None, None, None]), "SHAPE_MISMATCH", message);
}
