//! How work is split: every item once, whatever the lengths, grains and threads.

use crate::common::{fill, matrix, with_threads};
use distillery_kernels::elementwise::relu;
use distillery_kernels::matmul::matmul;
use distillery_kernels::parallel::{Rows, Split, cores, for_each, set_threads, threads};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

const THREADS: [usize; 4] = [1, 2, 3, 7];
const LENGTHS: [usize; 8] = [0, 1, 2, 7, 63, 64, 65, 1000];

#[test]
fn every_item_comes_once_with_its_own_place() {
    for threads in THREADS {
        for len in LENGTHS {
            for grain in [0, 1, 7, 64, 2000] {
                let mut places = vec![usize::MAX; len];
                with_threads(threads, || {
                    for_each(&mut places[..], grain, |first, part| {
                        part.iter_mut().zip(first..).for_each(|(place, i)| *place = i);
                    });
                });
                assert!(places.into_iter().eq(0..len), "{len} by {grain} on {threads} threads");
            }
        }
    }
}

#[test]
fn parts_are_no_smaller_than_the_grain_and_at_most_four_for_each_thread() {
    for threads in THREADS {
        for (len, grain) in [(1000, 1), (1000, 300), (1000, 1001), (3, 1), (0, 1)] {
            let sizes = Mutex::new(vec![]);
            with_threads(threads, || {
                for_each(&mut vec![(); len][..], grain, |_, part| sizes.lock().unwrap().push(part.len()));
            });
            let sizes = sizes.into_inner().unwrap();
            let label = format!("{len} by {grain} on {threads} threads: {sizes:?}");
            let most = if threads == 1 { 1 } else { 4 * threads };
            assert_eq!(sizes.len(), (len / grain).clamp(1, most), "{label}");
            assert!(sizes.len() == 1 || sizes.iter().all(|&size| size >= grain), "{label}");
        }
    }
}

#[test]
fn tuples_and_rows_are_cut_at_the_same_place() {
    let (rows, width) = (65, 3);
    let (mut a, mut b, mut c) = (vec![0; rows], vec![0; rows], vec![0; rows * width]);
    with_threads(7, || {
        for_each((&mut a[..], &mut b[..], Rows(&mut c, width)), 1, |first, (a, b, c)| {
            assert_eq!((a.items(), b.items(), c.items() * width), (c.items(), c.items(), c.0.len()));
            a.iter_mut().zip(first..).for_each(|(a, i)| *a = i);
            b.iter_mut().zip(first..).for_each(|(b, i)| *b = 2 * i);
            c.0.iter_mut().zip(first * width..).for_each(|(c, i)| *c = i);
        });
    });
    assert!(a.into_iter().eq(0..rows));
    assert!(b.into_iter().eq((0..rows).map(|i| 2 * i)));
    assert!(c.into_iter().eq(0..rows * width));
}

#[test]
fn regions_may_nest() {
    let mut squares = vec![0; 63 * 65];
    with_threads(7, || {
        for_each(Rows(&mut squares, 65), 1, |first, outer| {
            for (i, row) in (first..).zip(outer.0.chunks_exact_mut(65)) {
                for_each(row, 1, |first, inner| {
                    inner.iter_mut().zip(first..).for_each(|(square, j)| *square = i * j);
                });
            }
        });
    });
    assert!(squares.iter().enumerate().all(|(at, &square)| square == (at / 65) * (at % 65)));
}

#[test]
fn a_panic_reaches_the_caller_and_leaves_the_pool_working() {
    with_threads(7, || {
        let mut work = vec![0; 70];
        for _ in 0..3 {
            let result = catch_unwind(AssertUnwindSafe(|| {
                for_each(&mut work[..], 1, |first, _| assert!(first < 30, "part {first}"));
            }));
            assert!(result.is_err());
        }
        for_each(&mut work[..], 1, |_, part| part.fill(1));
        assert_eq!(work, [1; 70]);
    });
}

#[test]
fn many_callers_work_at_once() {
    let (a, b) = (matrix(65, 1000, 1), matrix(1000, 63, 2));
    let x = fill(300_007, 3);
    let work = || {
        let (mut product, mut y) = (crate::common::blank(65, 63), vec![f32::NAN; x.len()]);
        for _ in 0..5 {
            matmul(a.view(), b.view(), product.view_mut()).unwrap();
            relu(&x, &mut y).unwrap();
        }
        (product, y)
    };
    with_threads(3, || {
        let want = work();
        std::thread::scope(|scope| {
            let callers: Vec<_> = (0..8).map(|_| scope.spawn(work)).collect();
            callers.into_iter().for_each(|caller| assert_eq!(caller.join().unwrap(), want));
        });
    });
}

#[test]
fn zero_threads_stands_for_the_cores() {
    with_threads(5, || assert_eq!(threads(), 5));
    with_threads(5, || {
        set_threads(0);
        assert_eq!(threads(), cores());
        assert!(cores() >= 1);
    });
}
