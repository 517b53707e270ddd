//! Products in bfloat16: against rounded operands in double precision, bits at any number of threads, what is special.

use crate::common::{SIZES, bits, blank, dot, matrix, pairs, refuses, same_bits, vector, wide};
use distillery_kernels::matmul::bf16::{PackedBf16, Rhs, Unit, from_bits, multiply, to_bits};
use distillery_kernels::matmul::{Precision, batched_matmul, matmul};
use ndarray::{Array1, Array2, ArrayView2, s};

/// a b + bias by a unit, with either factor stored transposed.
fn product(unit: Unit, a: &Array2<f32>, b: &Array2<f32>, transposed: [bool; 2], packed: bool) -> Array2<f32> {
    let stored = |x: &Array2<f32>, transposed| {
        if transposed { x.t().as_standard_layout().reversed_axes().into_owned() } else { x.clone() }
    };
    let (a, b) = (stored(a, transposed[0]), stored(b, transposed[1]));
    let mut out = blank(a.nrows(), b.ncols());
    let panels;
    let right = if packed {
        panels = PackedBf16::new(unit, b.view());
        Rhs::Packed(&panels)
    } else {
        Rhs::Matrix(b.view())
    };
    multiply(unit, a.view(), right, None, false, out.view_mut()).unwrap();
    out
}

const LAYOUTS: [[bool; 2]; 4] = [[false, false], [false, true], [true, false], [true, true]];

fn rounded(x: ArrayView2<f32>) -> Array2<f64> {
    x.mapv(|x| from_bits(to_bits(x)).into())
}

/// Fails if an element is further from the product of the rounded operands in double precision than single precision's
/// sums allow: about ten times what is usual, of the sum of the absolute products.
fn check(label: &str, got: &Array2<f32>, a: &Array2<f32>, b: &Array2<f32>) {
    let (a, b) = (rounded(a.view()), rounded(b.view()));
    let columns: Vec<Vec<f64>> = b.columns().into_iter().map(|column| column.to_vec()).collect();
    let magnitudes: Vec<Vec<f64>> = columns.iter().map(|b| b.iter().map(|x| x.abs()).collect()).collect();
    for (i, row) in a.rows().into_iter().enumerate() {
        let (row, sizes) = (row.to_vec(), row.mapv(f64::abs).to_vec());
        for (j, (column, magnitude)) in columns.iter().zip(&magnitudes).enumerate() {
            let (got, want) = (f64::from(got[[i, j]]), dot(&row, column));
            let limit = 1e-6 * dot(&sizes, magnitude);
            assert!((got - want).abs() <= limit, "{label}[{i}, {j}]: got {got}, want {want} within {limit:e}");
        }
    }
}

#[test]
fn products_are_those_of_rounded_operands() {
    let sizes = pairs().flat_map(|(m, k)| SIZES.map(|n| (m, k, n))).filter(|&(m, k, n)| m * k * n <= 65 * 1000 * 65);
    for (m, k, n) in
        sizes.chain([(12, 255, 31), (13, 257, 33), (5, 513, 48), (100, 2, 130), (257, 300, 70), (301, 33, 200)])
    {
        let (a, b) = (matrix(m, k, 1), matrix(k, n, 2));
        for unit in Unit::all() {
            let plain = product(unit, &a, &b, LAYOUTS[0], false);
            check(&format!("{unit:?} {m}x{k}x{n}"), &plain, &a, &b);
            for transposed in LAYOUTS {
                for packed in [false, true] {
                    let got = product(unit, &a, &b, transposed, packed);
                    assert_eq!(got, plain, "{unit:?} {m}x{k}x{n} transposed {transposed:?} packed {packed}");
                }
            }
        }
    }
}

#[test]
fn views_need_not_be_contiguous() {
    let (wide_a, wide_b) = (matrix(70, 600, 1), matrix(600, 240, 2));
    let (a, b) = (wide_a.slice(s![..;-2, 3..;2]), wide_b.slice(s![3..;2, ..;3]));
    for unit in Unit::all() {
        let want = product(unit, &a.to_owned(), &b.to_owned(), LAYOUTS[0], false);
        let mut out = blank(35, 160);
        multiply(unit, a, Rhs::Matrix(b), None, false, out.slice_mut(s![.., ..;2])).unwrap();
        assert_eq!(out.slice(s![.., ..;2]), want, "{unit:?}");
        assert!(out.slice(s![.., 1..;2]).iter().all(|x| x.is_nan()));
    }
}

#[test]
fn bias_and_relu_follow_the_sum() {
    for (m, k, n) in [(1, 1, 1), (7, 300, 65), (64, 784, 130), (3, 0, 20)] {
        let (a, b, bias) = (matrix(m, k, 1), matrix(k, n, 2), vector(n, 3));
        for unit in Unit::all() {
            let sums = product(unit, &a, &b, LAYOUTS[0], false);
            for relu in [false, true] {
                let mut out = blank(m, n);
                let of: Option<&[f32]> = bias.as_slice();
                multiply(unit, a.view(), Rhs::Matrix(b.view()), of, relu, out.view_mut()).unwrap();
                let want = (&sums + &bias).mapv(|x| if relu && x <= 0.0 { 0.0 } else { x });
                assert_eq!(out, want, "{unit:?} {m}x{k}x{n}");
            }
        }
    }
}

#[test]
fn same_bits_at_any_number_of_threads() {
    for (m, k, n) in [
        (1, 1000, 257),
        (64, 784, 2048),
        (64, 2048, 100),
        (1000, 63, 65),
        (2048, 64, 784),
        (300, 70, 100),
        (97, 300, 7),
    ] {
        let (a, b) = (matrix(m, k, 1), matrix(k, n, 2));
        for unit in Unit::all() {
            for (transposed, packed) in [([false, false], false), ([true, true], false), ([false, true], true)] {
                let label = format!("{unit:?} {m}x{k}x{n} {transposed:?}");
                same_bits(&label, || wide(product(unit, &a, &b, transposed, packed).view()));
            }
        }
    }
}

#[test]
fn a_batch_of_products_has_the_bits_of_one_after_the_other() {
    for (batch, m, k, n) in [(1, 3, 5, 2), (5, 17, 33, 9), (40, 40, 33, 50), (3, 4, 0, 6), (0, 2, 3, 4)] {
        let (lefts, rights) = (matrix(batch * m, k, 1), matrix(batch * k, n, 2));
        let pieces = |x: &Array2<f32>, rows| -> Vec<Array2<f32>> {
            (0..batch).map(|i| x.slice(s![i * rows..(i + 1) * rows, ..]).to_owned()).collect()
        };
        let flat = |x: &[Array2<f32>], transposed: bool| -> Vec<f32> {
            x.iter()
                .flat_map(|x| {
                    if transposed { x.t().iter().copied().collect() } else { x.iter().copied().collect::<Vec<_>>() }
                })
                .collect()
        };
        let (lefts, rights) = (pieces(&lefts, m), pieces(&rights, k));
        for precision in Precision::all() {
            let one = |(a, b): (&Array2<f32>, &Array2<f32>)| {
                let mut out = blank(m, n);
                match precision {
                    Precision::Float32 => matmul(a.view(), b.view(), out.view_mut()).unwrap(),
                    Precision::Bfloat16(unit) => out = product(unit, a, b, LAYOUTS[0], false),
                }
                out
            };
            let want: Vec<Array2<f32>> = lefts.iter().zip(&rights).map(one).collect();
            for transposed in LAYOUTS {
                let (a, b) = (flat(&lefts, transposed[0]), flat(&rights, transposed[1]));
                let label = format!("{batch} of {m}x{k}x{n} {precision:?} {transposed:?}");
                same_bits(&label, || {
                    let mut out = vec![f32::NAN; batch * m * n];
                    batched_matmul(precision, transposed, batch, [m, k, n], [&a, &b], &mut out).unwrap();
                    assert_eq!(out, flat(&want, false), "{label}");
                    out.into_iter().map(f64::from).collect()
                });
            }
        }
    }
    let result =
        batched_matmul(Precision::bfloat16(), [false; 2], 2, [2, 3, 4], [&[0.0; 12], &[0.0; 23]], &mut [0.0; 16]);
    refuses(result, "SHAPE_MISMATCH", "batched_matmul: b: expected shape [24], got [23]");
}

#[test]
fn a_row_has_the_same_bits_alone_and_in_a_batch() {
    for (m, k, n) in [(64, 784, 512), (65, 512, 10), (100, 63, 65)] {
        let (a, b) = (matrix(m, k, 1), matrix(k, n, 2));
        for unit in Unit::all() {
            let batch = product(unit, &a, &b, LAYOUTS[0], false);
            for i in [0, m / 2, m - 1] {
                let alone = product(unit, &a.slice(s![i..=i, ..]).to_owned(), &b, LAYOUTS[0], false);
                assert_eq!(alone.row(0), batch.row(i), "{unit:?} {m}x{k}x{n} row {i}");
            }
        }
    }
}

#[test]
fn rounds_to_the_nearest_even() {
    for (from, to) in [
        (0x3f80_0000, 0x3f80), // 1
        (0x3f80_8000, 0x3f80), // halfway, even below
        (0x3f81_8000, 0x3f82), // halfway, even above
        (0x3f80_8001, 0x3f81),
        (0xbf80_7fff, 0xbf80),
        (0x8000_0000, 0x8000), // -0
        (0x0080_0000, 0x0080), // 2^-126
        (0x007f_ffff, 0x0000), // the largest number below it
        (0x8000_0001, 0x8000),
        (0x7f7f_7fff, 0x7f7f),
        (0x7f7f_8000, 0x7f80), // to infinity
        (0xff80_0000, 0xff80),
        (0x7f80_0001, 0x7fc0), // NaN, signalling
        (0xffc1_2345, 0xffc1),
    ] {
        assert_eq!(to_bits(f32::from_bits(from)), to, "{from:#x}");
    }
}

/// The identity times numbers of any bits shows how a unit rounds, in A and in B, in both orders.
#[test]
fn units_round_alike() {
    const N: usize = 40;
    let values =
        bits(5).take(N * N).map(|z| f32::from_bits((z >> 32) as u32)).map(|x| if x.is_finite() { x } else { 1.5 });
    let x = Array2::from_shape_vec((N, N), values.collect()).unwrap();
    let want = x.mapv(|x| from_bits(to_bits(x))).mapv(|x| if x.is_finite() { x } else { f32::NAN });
    let one = Array2::eye(N);
    for unit in Unit::all() {
        for transposed in LAYOUTS {
            for got in [product(unit, &x, &one, transposed, false), product(unit, &one, &x, transposed, false)] {
                for ((at, &got), &want) in got.indexed_iter().zip(&want) {
                    let column_has_infinity = want.is_nan() || !got.is_finite();
                    assert!(
                        got == want || column_has_infinity,
                        "{unit:?} {transposed:?} {at:?}: {got:e}, want {want:e}"
                    );
                }
            }
        }
    }
}

#[test]
fn what_is_not_finite_shows() {
    let b = Array2::from_elem((3, 20), 1.0);
    for (value, want) in
        [(f32::NAN, f32::NAN), (f32::INFINITY, f32::INFINITY), (-3.4e38, f32::NEG_INFINITY), (1e-40, 0.0)]
    {
        let mut a = Array2::zeros((2, 3));
        a[[1, 2]] = value;
        for unit in Unit::all() {
            for relu in [false, true] {
                let mut out = blank(2, 20);
                multiply(unit, a.view(), Rhs::Matrix(b.view()), None, relu, out.view_mut()).unwrap();
                let want = if relu && want < 0.0 { 0.0 } else { want };
                let same = |x: &f32| x.to_bits() == want.to_bits() || (x.is_nan() && want.is_nan());
                assert!(out.row(1).iter().all(same), "{unit:?} {value}: {out}");
                assert!(out.row(0).iter().all(|&x| x == 0.0), "{unit:?} {value}: other rows are as they were");
            }
        }
    }
}

#[test]
fn refuses_shapes_that_do_not_fit() {
    let (a, b) = (matrix(3, 4, 1), matrix(5, 2, 2));
    let bias = Array1::<f32>::zeros(3);
    for unit in Unit::all() {
        let mut out = blank(3, 2);
        let result = multiply(unit, a.view(), Rhs::Matrix(b.view()), None, false, out.view_mut());
        refuses(result, "SHAPE_MISMATCH", "bf16: b: expected shape [4, 2], got [5, 2]");
        let right = matrix(4, 2, 2);
        let result = multiply(unit, a.view(), Rhs::Matrix(right.view()), bias.as_slice(), false, out.view_mut());
        refuses(result, "SHAPE_MISMATCH", "bf16: bias: expected shape [2], got [3]");
        let packed = PackedBf16::new(unit, b.view());
        let result = multiply(unit, a.view(), Rhs::Packed(&packed), None, false, out.view_mut());
        refuses(result, "SHAPE_MISMATCH", "bf16: b: expected shape [4, 2], got [5, 2]");
    }
}
