//! Passes of a graph that run in the background while the caller goes on. While all threads have work, each pass runs
//! on one thread: that scales better than splitting small kernels, because threads don't wait for each other. An idle
//! thread helps with a pass.

use crate::error::{Result, expect_shape, expect_that};
use crate::graph::{BatchMoments, Graph, Pass};
use crate::parallel;
use crate::rng::Generator;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;

/// How many numbers are compared at a time.
const BLOCK: usize = 1024;

/// A graph and its passes in flight, in the order in which their results are taken.
pub struct InferenceQueue {
    graph: Arc<Graph>,
    in_flight: VecDeque<InFlight>,
    /// The moments of the pass whose result was taken last, for its nodes that normalise by the batch.
    taken: Option<BatchMoments>,
    /// Finished passes, kept for their memory. The next pass takes that of the last one, which is still in the caches.
    spare: Vec<Pass>,
}

struct InFlight {
    /// The state of the random stream before and after the pass's draws.
    before: Vec<u32>,
    after: Vec<u32>,
    pass: Receiver<Completed>,
}

/// A pass that ran, and how it went.
type Completed = (Pass, thread::Result<Result<()>>);

/// What a pass reads, besides the graph.
pub struct Request<'a> {
    /// The input, [rows, ...].
    pub input: &'a [f32],
    /// How many rows that is.
    pub rows: usize,
    /// The random stream.
    pub state: &'a mut [u32],
}

impl InferenceQueue {
    /// A queue of no passes yet.
    pub fn new(graph: Graph) -> Self {
        Self { graph: Arc::new(graph), in_flight: VecDeque::new(), taken: None, spare: Vec::new() }
    }

    /// Starts a pass. Its random numbers are drawn at once; the stream moves past them.
    pub fn enqueue(&mut self, request: Request) -> Result<()> {
        let Request { input, rows, state } = request;
        self.check_input(input, rows)?;
        let before = state.to_vec();
        let mut pass = self.begin(Request { input, rows, state: &mut *state })?;
        let (graph, (send, receive)) = (Arc::clone(&self.graph), sync_channel(1));
        self.in_flight.push_back(InFlight { before, after: state.to_vec(), pass: receive });
        parallel::spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(|| graph.run(&mut pass, false)));
            drop(graph);
            // Nobody receives it if the pass was discarded.
            let _ = send.send((pass, result));
        });
        Ok(())
    }

    /// Runs a pass right now, its kernels on all threads, and writes its outputs. Passes in flight are discarded.
    /// Weights stay packed for passes of few rows.
    pub fn run(&mut self, request: Request, outputs: &mut [&mut [f32]]) -> Result<()> {
        self.check(&request, outputs)?;
        self.discard();
        let mut pass = self.begin(request)?;
        self.graph.run(&mut pass, true)?;
        self.deliver(pass, outputs);
        Ok(())
    }

    /// Writes the outputs of the oldest pass in flight if it is the one requested, and moves the stream past its draws.
    /// Returns false and writes nothing if no pass is in flight, or if the pass does not match: its input is another
    /// one, or the graph draws and the stream is in another state. Then all passes are discarded.
    pub fn take(&mut self, request: Request, outputs: &mut [&mut [f32]]) -> Result<bool> {
        self.check(&request, outputs)?;
        let Request { input, rows, state } = request;
        // Refuses an invalid state before a pass is taken.
        Generator::new(state)?;
        let Some(InFlight { before, .. }) = self.in_flight.front() else { return Ok(false) };
        if self.graph.draws() && before != state {
            self.discard();
            return Ok(false);
        }
        let Some((pass, after, result)) = self.wait() else { return Ok(false) };
        if pass.rows != rows || !same_bits(&pass.input, input) {
            self.discard();
            return Ok(false);
        }
        result.unwrap_or_else(|panic| resume_unwind(panic))?;
        if self.graph.draws() {
            state.copy_from_slice(&after);
        }
        self.deliver(pass, outputs);
        Ok(true)
    }

    fn check(&self, Request { input, rows, .. }: &Request, outputs: &[&mut [f32]]) -> Result<()> {
        self.check_input(input, *rows)?;
        expect_shape("inference", "outputs", &[outputs.len()], &[self.graph.outputs()])?;
        for (i, out) in outputs.iter().enumerate() {
            expect_shape("inference", "output", &[out.len()], &[self.graph.output_len(i, *rows)])?;
        }
        Ok(())
    }

    fn check_input(&self, input: &[f32], rows: usize) -> Result<()> {
        expect_shape("inference", "input", &[input.len()], &[self.graph.input_len(rows)])
    }

    /// A pass that is ready to run, of an input that was checked.
    fn begin(&mut self, Request { input, rows, state }: Request) -> Result<Pass> {
        let mut generator = Generator::new(state)?;
        let mut pass = self.spare.pop().unwrap_or_default();
        pass.rows = rows;
        pass.input.clear();
        pass.input.extend_from_slice(input);
        self.graph.draw(&mut pass, &mut generator);
        Ok(pass)
    }

    /// Writes the outputs of a pass that ran, and keeps its moments and its memory.
    fn deliver(&mut self, mut pass: Pass, outputs: &mut [&mut [f32]]) {
        for (i, out) in outputs.iter_mut().enumerate() {
            out.copy_from_slice(self.graph.output(&pass, i));
        }
        pass.swap_moments(self.taken.get_or_insert_default());
        self.spare.push(pass);
    }

    /// Updates the running statistics of the i-th node that normalises by the batch, by the pass that was taken last.
    pub fn move_statistics(&self, i: usize, mean: &mut [f32], variance: &mut [f32]) -> Result<()> {
        match &self.taken {
            Some(moments) => self.graph.move_statistics(moments, i, mean, variance),
            None => expect_that(false, "inference", "passes taken", 0.0, "1 or more"),
        }
    }

    /// Forgets the passes in flight.
    pub fn discard(&mut self) {
        self.in_flight.clear();
    }

    /// Waits for the oldest pass, and works on waiting tasks meanwhile.
    fn wait(&mut self) -> Option<(Pass, Vec<u32>, thread::Result<Result<()>>)> {
        let InFlight { after, pass, .. } = self.in_flight.pop_front()?;
        loop {
            match pass.try_recv() {
                Ok((pass, result)) => return Some((pass, after, result)),
                Err(TryRecvError::Empty) => parallel::work_while_waiting(),
                Err(TryRecvError::Disconnected) => return None,
            }
        }
    }
}

fn same_bits(a: &[f32], b: &[f32]) -> bool {
    // Block by block, because a loop that may stop at each element is not vectorised.
    let differ =
        |(a, b): (&[f32], &[f32])| a.iter().zip(b).fold(0, |all, (a, b)| all | (a.to_bits() ^ b.to_bits())) != 0;
    a.len() == b.len() && !a.chunks(BLOCK).zip(b.chunks(BLOCK)).any(differ)
}
