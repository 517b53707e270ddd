//! Keeps a pool's workers spinning from one parallel region to the next, as OpenMP does: to wake a worker that sleeps
//! takes longer than many kernels run.

use rayon::Yield;
use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a worker without work spins before it may sleep (OpenMP's KMP_BLOCKTIME): longer than the time between two
/// kernels of a training step.
const BLOCKTIME: Duration = Duration::from_micros(300);
/// Pause instructions between two checks for work.
const PAUSES: usize = 32;

/// Which workers of a pool are spinning.
pub(crate) struct SpinWait {
    spinning: Vec<AtomicBool>,
}

impl SpinWait {
    pub(crate) fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self { spinning: (0..workers).map(|_| AtomicBool::new(false)).collect() })
    }

    /// Wakes those of the first `threads` workers that sleep. The pool's first thread, which calls this, is one of
    /// them.
    pub(crate) fn wake(self: &Arc<Self>, threads: usize) {
        // No broadcast: it would run on the calling thread too, which would then keep its pool from ending with it.
        for _ in self.spinning.iter().take(threads).skip(1).filter(|spinning| !spinning.load(Ordering::Relaxed)) {
            let workers = Arc::clone(self);
            rayon::spawn(move || workers.spin(rayon::current_thread_index().unwrap_or(0), threads));
        }
    }

    fn spin(&self, worker: usize, threads: usize) {
        if worker == 0 || worker >= threads || self.spinning[worker].swap(true, Ordering::Relaxed) {
            return;
        }
        let mut idle_since = Instant::now();
        while idle_since.elapsed() < BLOCKTIME {
            match rayon::yield_now() {
                Some(Yield::Executed) => idle_since = Instant::now(),
                _ => (0..PAUSES).for_each(|_| spin_loop()),
            }
        }
        self.spinning[worker].store(false, Ordering::Relaxed);
    }
}
