//! One place decides how work is split over threads.
//!
//! The thread that calls a kernel is itself a worker of its pool, so that entering a parallel region costs no hand-over.
//! Each calling thread has a pool of its own (Node's main thread, and every worker thread that trains), made at its
//! first large kernel and ended with it.

use crate::awake::Awake;
use rayon::{ThreadPool, ThreadPoolBuilder, Yield};
use std::cell::OnceCell;
use std::hint::spin_loop;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static POOL: OnceCell<Option<Pool>> = const { OnceCell::new() };
}

struct Pool {
    /// Held: the workers end with it.
    _threads: ThreadPool,
    awake: Arc<Awake>,
}

/// The cores that the operating system gives this process. Asked once: on Linux the answer is in files, and to read them
/// takes longer than many kernels run.
pub fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, |n| n.get()))
}

/// How many threads a kernel may use: what `set_threads` said, else the cores.
pub fn threads() -> usize {
    match THREADS.load(Ordering::Relaxed) {
        0 => cores(),
        n => n,
    }
}

/// Sets how many threads a kernel may use; results do not depend on it.
pub fn set_threads(n: usize) {
    THREADS.store(n, Ordering::Relaxed);
}

/// The number of parts to split a region into; makes the calling thread's pool where more than one.
pub(crate) fn enter(wanted: usize) -> usize {
    let parts = wanted.min(threads());
    if parts < 2 || rayon::current_thread_index().is_some_and(|index| index > 0) {
        return parts.max(1);
    }
    POOL.with(|pool| match pool.get_or_init(build_pool) {
        Some(pool) => {
            pool.awake.call();
            parts
        }
        None => 1,
    })
}

fn build_pool() -> Option<Pool> {
    let workers = threads().max(cores());
    ThreadPoolBuilder::new()
        .num_threads(workers)
        .thread_name(|i| format!("distillery-{i}"))
        .use_current_thread()
        .build()
        .map(|threads| Pool { _threads: threads, awake: Awake::new(workers) })
        .ok()
}

/// Work that can be cut in two: mutable slices, and tuples of them that are cut at the same place.
pub trait Split: Send + Sized {
    /// How many items there are.
    fn items(&self) -> usize;
    /// The first `mid` items, and the rest.
    fn cut(self, mid: usize) -> (Self, Self);
}

impl<T: Send> Split for &mut [T] {
    fn items(&self) -> usize {
        self.len()
    }
    fn cut(self, mid: usize) -> (Self, Self) {
        self.split_at_mut(mid)
    }
}

/// Rows of a dense matrix, cut between rows.
pub struct Rows<'a, T>(pub &'a mut [T], pub usize);

impl<T: Send> Split for Rows<'_, T> {
    fn items(&self) -> usize {
        self.0.len() / self.1
    }
    fn cut(self, mid: usize) -> (Self, Self) {
        let (head, tail) = self.0.split_at_mut(mid * self.1);
        (Rows(head, self.1), Rows(tail, self.1))
    }
}

macro_rules! split_tuple {
    ($($name:ident $head:ident $tail:ident),+) => {
        impl<$($name: Split),+> Split for ($($name,)+) {
            fn items(&self) -> usize {
                self.0.items()
            }
            #[allow(non_snake_case)]
            fn cut(self, mid: usize) -> (Self, Self) {
                let ($($name,)+) = self;
                $(let ($head, $tail) = $name.cut(mid);)+
                (($($head,)+), ($($tail,)+))
            }
        }
    };
}
split_tuple!(A a0 a1, B b0 b1);
split_tuple!(A a0 a1, B b0 b1, C c0 c1);

/// Calls `f(first item, part)` on parts of at least `grain` items, in parallel where that pays.
pub fn for_each<W: Split>(work: W, grain: usize, f: impl Fn(usize, W) + Sync) {
    let parts = enter(work.items() / grain.max(1));
    halve(work, 0, parts, &f);
}

/// Calls `f` on the parts of a range, at most `most` of them, in parallel.
pub(crate) fn pieces(range: Range<usize>, most: usize, f: impl Fn(Range<usize>) + Sync) {
    let parts = if range.len().min(most) < 2 || enter(usize::MAX) < 2 { 1 } else { range.len().min(most) };
    halve(Span(range), 0, parts, &|_, part: Span| f(part.0));
}

/// Calls both, at the same time where there is a second thread.
pub(crate) fn both<A: Send, B: Send>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
    if enter(2) < 2 { (a(), b()) } else { rayon::join(a, b) }
}

/// Calls `f` beside what the calling thread does next; at once where there is no second thread. It may not panic.
pub(crate) fn spawn(f: impl FnOnce() + Send + 'static) {
    if enter(2) < 2 { f() } else { rayon::spawn_fifo(f) }
}

/// Does a piece of what waits to be done, or passes a moment.
pub(crate) fn help() {
    match rayon::yield_now() {
        Some(Yield::Executed) => (),
        Some(Yield::Idle) => spin_loop(),
        None => std::thread::yield_now(),
    }
}

/// A range of whole numbers, cut in two.
struct Span(Range<usize>);

impl Split for Span {
    fn items(&self) -> usize {
        self.0.len()
    }
    fn cut(self, mid: usize) -> (Self, Self) {
        let at = self.0.start + mid;
        (Span(self.0.start..at), Span(at..self.0.end))
    }
}

fn halve<W: Split>(work: W, first: usize, parts: usize, f: &(impl Fn(usize, W) + Sync)) {
    if parts < 2 {
        return f(first, work);
    }
    let mid = work.items() * (parts / 2) / parts;
    let (head, tail) = work.cut(mid);
    rayon::join(|| halve(head, first, parts / 2, f), || halve(tail, first + mid, parts - parts / 2, f));
}
