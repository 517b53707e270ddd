//! How work is split over threads.
//!
//! The thread that calls a kernel is a worker of its own pool, so that entering a parallel region costs no hand-over.
//! Each calling thread has a pool (Node's main thread, and every worker thread that trains): its first large kernel
//! creates it, and it ends with the thread.

use crate::spin_wait::SpinWait;
use rayon::{ThreadPool, ThreadPoolBuilder, Yield};
use std::cell::OnceCell;
use std::hint::spin_loop;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// How many parts each thread gets.
const PARTS: usize = 4;

/// The least simple operations of a task: handing over fewer takes longer than it saves.
pub(crate) const GRAIN: usize = 1 << 14;

/// The least items of a task, if each item is this many simple operations, such as the elements of a row.
pub(crate) fn grain(operations: usize) -> usize {
    GRAIN / operations.max(1) + 1
}

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static POOL: OnceCell<Option<Pool>> = const { OnceCell::new() };
}

struct Pool {
    /// Held so that the workers live: they end when it is dropped.
    _threads: ThreadPool,
    workers: Arc<SpinWait>,
}

/// The cores that the operating system gives this process: on Linux those of its affinity, and no more than the whole
/// CPUs of its control group's quota, as containers and batch systems set it. Cached: this reads files, which takes
/// longer than many kernels run.
pub fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, |n| n.get()))
}

/// How many threads a kernel may use: the number given to `set_threads`, else the number of cores.
pub fn threads() -> usize {
    match THREADS.load(Ordering::Relaxed) {
        0 => cores(),
        n => n,
    }
}

/// Sets how many threads a kernel may use (0: one per core); results do not depend on it.
pub fn set_threads(n: usize) {
    THREADS.store(n, Ordering::Relaxed);
}

/// The number of parts that work is split into: at most `wanted`. For more than one, the calling thread's pool is
/// created if needed and its workers are woken; inside a worker it is there and awake.
pub(crate) fn num_parts(wanted: usize) -> usize {
    let parts = wanted.min(threads());
    if parts < 2 || rayon::current_thread_index().is_some_and(|index| index > 0) {
        return parts.max(1);
    }
    POOL.with(|pool| match pool.get_or_init(build_pool) {
        Some(pool) => {
            pool.workers.wake(threads());
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
        .map(|threads| Pool { _threads: threads, workers: SpinWait::new(workers) })
        .ok()
}

/// Work that can be split in two: mutable slices, and tuples of them that are split at the same index.
pub trait Split: Send + Sized {
    /// How many items there are.
    fn items(&self) -> usize;
    /// The first `mid` items, and the rest.
    fn split_at(self, mid: usize) -> (Self, Self);
}

impl<T: Send> Split for &mut [T] {
    fn items(&self) -> usize {
        self.len()
    }
    fn split_at(self, mid: usize) -> (Self, Self) {
        self.split_at_mut(mid)
    }
}

/// The rows of a contiguous matrix: its elements, and the length of a row.
pub struct Rows<'a, T>(pub &'a mut [T], pub usize);

impl<T: Send> Split for Rows<'_, T> {
    fn items(&self) -> usize {
        self.0.len() / self.1
    }
    fn split_at(self, mid: usize) -> (Self, Self) {
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
            fn split_at(self, mid: usize) -> (Self, Self) {
                let ($($name,)+) = self;
                $(let ($head, $tail) = $name.split_at(mid);)+
                (($($head,)+), ($($tail,)+))
            }
        }
    };
}
split_tuple!(A a0 a1, B b0 b1);
split_tuple!(A a0 a1, B b0 b1, C c0 c1);

/// Calls `f(index of the first item, part)` on parts of at least `grain` items, in parallel if there are several. There
/// are more parts than threads: if the operating system interrupts one thread, the others take over its parts.
pub fn for_each<W: Split>(work: W, grain: usize, f: impl Fn(usize, W) + Sync) {
    let most = work.items() / grain.max(1);
    let parts = match num_parts(most) {
        1 => 1,
        threads => most.min(PARTS * threads),
    };
    bisect(work, 0, parts, &f);
}

/// Calls `f` on at most `max_chunks` parts of a range, in parallel. There may be more chunks than threads.
pub(crate) fn for_each_chunk(range: Range<usize>, max_chunks: usize, f: impl Fn(Range<usize>) + Sync) {
    let chunks = range.len().min(max_chunks);
    let parts = if chunks < 2 || num_parts(usize::MAX) < 2 { 1 } else { chunks };
    bisect(Span(range), 0, parts, &|_, part: Span| f(part.0));
}

/// Calls both functions, in parallel if there is a second thread.
pub(crate) fn join<A: Send, B: Send>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
    if num_parts(2) < 2 { (a(), b()) } else { rayon::join(a, b) }
}

/// Calls `f` in the background; right now if there is no second thread. It may not panic.
pub(crate) fn spawn(f: impl FnOnce() + Send + 'static) {
    if num_parts(2) < 2 { f() } else { rayon::spawn_fifo(f) }
}

/// Runs one of the tasks that wait for a thread. If there is none, pauses for a moment.
pub(crate) fn work_while_waiting() {
    match rayon::yield_now() {
        Some(Yield::Executed) => (),
        Some(Yield::Idle) => spin_loop(),
        None => std::thread::yield_now(),
    }
}

/// A range of indices.
struct Span(Range<usize>);

impl Split for Span {
    fn items(&self) -> usize {
        self.0.len()
    }
    fn split_at(self, mid: usize) -> (Self, Self) {
        let at = self.0.start + mid;
        (Span(self.0.start..at), Span(at..self.0.end))
    }
}

/// Splits the work in two, recursively, until there are `parts` parts. `f` is `dyn`, so that this is compiled once per
/// type of work, not once per caller.
fn bisect<W: Split>(work: W, first: usize, parts: usize, f: &(dyn Fn(usize, W) + Sync)) {
    if parts < 2 {
        return f(first, work);
    }
    let mid = work.items() * (parts / 2) / parts;
    let (head, tail) = work.split_at(mid);
    rayon::join(|| bisect(head, first, parts / 2, f), || bisect(tail, first + mid, parts - parts / 2, f));
}
