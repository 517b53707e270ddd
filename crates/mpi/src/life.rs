//! Signs of life: each rank tells all others twice a second that its process runs.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use mpi::point_to_point::Status;
use mpi::request::{Request, StaticScope};
use mpi::traits::{Communicator, Destination, Source};

use crate::{end_all, with_world};

const BEAT: i32 = 2;
const EVERY: Duration = Duration::from_millis(500);
/// After so long without one a rank counts as gone.
const SILENCE: Duration = Duration::from_secs(10);
/// The exit code of a run that another attempt can continue.
const TEMPORARY_FAILURE: i32 = 75;
static SIGN: [u8; 1] = [1];

static SEEN: Mutex<Vec<Instant>> = Mutex::new(Vec::new());
static RUNNING: AtomicBool = AtomicBool::new(false);
static THREAD: Mutex<Option<JoinHandle<()>>> = Mutex::new(None);

/// Starts to give and to note signs of life.
pub fn begin(rank: usize, size: usize) {
    *SEEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = vec![Instant::now(); size];
    RUNNING.store(true, Ordering::Release);
    let beat = spawn(move || {
        let mut sent: Vec<Option<Request<'static, [u8; 1], StaticScope>>> = (0..size).map(|_| None).collect();
        while RUNNING.load(Ordering::Acquire) {
            with_world(|world| {
                for other in (0..size).filter(|&other| other != rank) {
                    // One that a stopped process does not take is not followed by others.
                    let open = sent[other].take().and_then(|request| request.test().err());
                    let send = || world.process_at_rank(other as i32).immediate_send_with_tag(StaticScope, &SIGN, BEAT);
                    sent[other] = Some(open.unwrap_or_else(send));
                }
                while let Some((message, status)) = world.any_process().immediate_matched_probe_with_tag(BEAT) {
                    let mut sign = [0u8; 1];
                    let _: Status = message.matched_receive_into(&mut sign);
                    note(status.source_rank() as usize);
                }
            });
            sleep(EVERY);
        }
        // MPI has no way to take them back; their memory is static.
        sent.into_iter().for_each(std::mem::forget);
    });
    *THREAD.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(beat);
}

/// Ends the signs of life.
pub fn end() {
    RUNNING.store(false, Ordering::Release);
    let thread = THREAD.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
    if let Some(thread) = thread {
        let _ = thread.join();
    }
}

/// Ends all ranks if one of these gave no sign of life for too long.
pub fn expect(ranks: &[usize]) {
    let seen = SEEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let gone = ranks.iter().find(|&&rank| seen[rank].elapsed() > SILENCE);
    if let Some(rank) = gone {
        let seconds = SILENCE.as_secs();
        let line =
            format!("distillery: rank {rank} gave no sign of life for {seconds} s: re-run with --resume to continue");
        drop(seen);
        end_all(&line, TEMPORARY_FAILURE);
    }
}

fn note(rank: usize) {
    SEEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner())[rank] = Instant::now();
}
