//! Keeps a pool's workers awake from one region to the next: to wake one that sleeps takes longer than many kernels run.

use crate::parallel::threads;
use rayon::Yield;
use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a worker looks for work before it may sleep: longer than what lies between two kernels of a step.
const PATIENCE: Duration = Duration::from_micros(300);
/// Pauses of the processor between two looks.
const PAUSES: usize = 32;

/// Which workers of a pool are looking for work.
pub(crate) struct Awake {
    looking: Vec<AtomicBool>,
}

impl Awake {
    pub(crate) fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self { looking: (0..workers).map(|_| AtomicBool::new(false)).collect() })
    }

    /// Calls the workers that sleep, from the pool's first thread.
    pub(crate) fn call(self: &Arc<Self>) {
        // No broadcast: that of the calling thread itself would keep its pool from ending with it.
        for _ in self.wanted().filter(|looking| !looking.load(Ordering::Relaxed)) {
            let awake = Arc::clone(self);
            rayon::spawn(move || awake.look(rayon::current_thread_index().unwrap_or(0)));
        }
    }

    /// The workers that kernels may use, without the thread that calls them.
    fn wanted(&self) -> impl Iterator<Item = &AtomicBool> {
        self.looking.iter().take(threads()).skip(1)
    }

    fn look(&self, worker: usize) {
        if worker == 0 || worker >= threads() || self.looking[worker].swap(true, Ordering::Relaxed) {
            return;
        }
        let mut idle_since = Instant::now();
        while idle_since.elapsed() < PATIENCE {
            match rayon::yield_now() {
                Some(Yield::Executed) => idle_since = Instant::now(),
                _ => (0..PAUSES).for_each(|_| spin_loop()),
            }
        }
        self.looking[worker].store(false, Ordering::Relaxed);
    }
}
