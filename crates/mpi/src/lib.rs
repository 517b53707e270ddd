//! The ranks of an MPI job, for Node: messages from each to each, with signs of life beside them, so that nobody waits
//! for a rank that is gone. No arithmetic: who adds what is decided in TypeScript.

mod exchange;
mod life;

use std::process::exit;
use std::sync::Mutex;

use mpi::Threading;
use mpi::environment::{Universe, initialize_with_threading, processor_name};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives};
use napi::bindgen_prelude::{AsyncTask, Buffer};
use napi::{Env, Error, Result, Task};
use napi_derive::napi;

/// MPI, from `start` to `stop`. Whoever calls MPI holds it: threads take turns.
static UNIVERSE: Mutex<Option<Universe>> = Mutex::new(None);

/// Runs `body` with MPI to itself; None if it is not running.
fn with_world<T>(body: impl FnOnce(&SimpleCommunicator) -> T) -> Option<T> {
    let universe = UNIVERSE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    universe.as_ref().map(|universe| body(&universe.world()))
}

fn not_running() -> Error {
    Error::from_reason("MPI is not running")
}

/// Ends all ranks, with a line that says why.
fn end_all(line: &str, code: i32) -> ! {
    eprintln!("{line}");
    with_world(|world| world.abort(code));
    exit(code)
}

/// This process's place among the ranks.
#[napi(object)]
pub struct Place {
    /// From 0.
    pub rank: u32,
    /// How many ranks there are.
    pub size: u32,
    /// The name of the machine.
    pub host: String,
}

/// Starts MPI and the signs of life; once a process.
#[napi(catch_unwind)]
pub fn start() -> Result<Place> {
    let (universe, threading) =
        initialize_with_threading(Threading::Serialized).ok_or_else(|| Error::from_reason("MPI was started before"))?;
    if threading < Threading::Serialized {
        return Err(Error::from_reason("this MPI can't be called from several threads"));
    }
    let world = universe.world();
    let place =
        Place { rank: world.rank() as u32, size: world.size() as u32, host: processor_name().unwrap_or_default() };
    *UNIVERSE.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(universe);
    life::begin(place.rank as usize, place.size as usize);
    Ok(place)
}

/// Ends MPI, once all ranks are here.
#[napi(catch_unwind)]
pub fn stop() -> Result<()> {
    let Some(size) = with_world(|world| world.size() as usize) else {
        return Ok(());
    };
    // Waits for them as long as they give signs of life, which a barrier does not.
    exchange::exchange(&vec![&[][..]; size])?;
    life::end();
    with_world(|world| world.barrier());
    drop(UNIVERSE.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take());
    Ok(())
}

/// Ends all ranks with an exit code, with a line on stderr that says why.
#[napi(catch_unwind)]
pub fn abort(line: String, code: i32) {
    end_all(&line, code)
}

/// The messages of one exchange, on a thread of Node's pool.
pub struct Exchange {
    messages: Vec<Buffer>,
}

impl Task for Exchange {
    type Output = Vec<Vec<u8>>;
    type JsValue = Vec<Buffer>;

    fn compute(&mut self) -> Result<Self::Output> {
        let messages: Vec<&[u8]> = self.messages.iter().map(|message| message.as_ref()).collect();
        exchange::exchange(&messages)
    }

    fn resolve(&mut self, _: Env, received: Self::Output) -> Result<Self::JsValue> {
        Ok(received.into_iter().map(Buffer::from).collect())
    }
}

/// Sends message i to rank i; gives what each rank sent here, its own message unchanged. All ranks call it, one call
/// after the other; the messages stay as they are until it has resolved.
#[napi(catch_unwind, ts_return_type = "Promise<Array<Buffer>>")]
pub fn exchange(messages: Vec<Buffer>) -> AsyncTask<Exchange> {
    AsyncTask::new(Exchange { messages })
}
