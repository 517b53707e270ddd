//! Passes of a frozen network that begin before anybody asks for their logits, beside the kernels that the caller goes on
//! with, and each on as few threads as there are for it: a whole pass is a better piece of work than a part of a kernel.
//!
//! They are guesses. What a pass read is compared with what the caller has when it asks, and nothing of the caller's
//! changes before.

use crate::error::{Result, expect_shape};
use crate::frozen::{Layer, Network, Pass};
use crate::parallel;
use crate::rng::Generator;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;

/// Passes that may have begun: of more, the oldest are forgotten.
const MOST: usize = 16;
/// Numbers that are compared at a time.
const BLOCK: usize = 1024;

/// A network, and the passes that have begun, in the order in which they will be asked for.
#[derive(Default)]
pub struct Ahead {
    network: Arc<Network>,
    begun: VecDeque<Begun>,
    /// Passes that came back, for their memory.
    spare: Vec<Pass>,
}

struct Begun {
    /// Where the random stream stood before and after its draws.
    from: Vec<u32>,
    to: Vec<u32>,
    pass: Receiver<(Pass, thread::Result<Result<()>>)>,
}

/// What a pass reads, besides the weights.
pub struct Question<'a, T> {
    /// The input[rows, inputs].
    pub input: &'a [f32],
    /// How many rows that is.
    pub rows: usize,
    /// Whether the layers are in train mode.
    pub train: bool,
    /// The random stream.
    pub state: &'a mut [u32],
    /// The running mean of each normalised layer.
    pub means: &'a mut [T],
    /// The running variance of each normalised layer.
    pub variances: &'a mut [T],
}

impl Ahead {
    /// Adds a layer to the network.
    pub fn push(&mut self, layer: Layer) -> Result<()> {
        while self.next_pass().is_some() {}
        Arc::get_mut(&mut self.network).expect("no pass has it").push(layer)
    }

    /// Begins a pass, and moves the random stream past its draws.
    pub fn begin<T: AsRef<[f32]>>(&mut self, question: &mut Question<T>) -> Result<()> {
        let Question { input, rows, train, state, means, variances } = question;
        self.network.expect_statistics(means, variances)?;
        expect_shape("ahead", "input", &[input.len()], &[*rows * self.network.inputs()])?;
        if self.begun.len() == MOST {
            self.begun.pop_front();
        }
        let from = state.to_vec();
        let mut pass = self.spare.pop().unwrap_or_default();
        (pass.rows, pass.train) = (*rows, *train);
        fill(&mut pass.input, [*input]);
        fill(&mut pass.statistics, statistics_of(means, variances));
        let mut generator = Generator::new(state)?;
        if *train {
            self.network.draw(&mut pass, &mut generator);
        }
        let (network, (send, receive)) = (Arc::clone(&self.network), sync_channel(1));
        self.begun.push_back(Begun { from, to: state.to_vec(), pass: receive });
        parallel::spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(|| network.forward(&mut pass)));
            drop(network);
            // Nobody waits any more where it was forgotten.
            let _ = send.send((pass, result));
        });
        Ok(())
    }

    /// Writes the logits[rows, outputs]; in train mode the statistics and the random stream move. Of the next pass that
    /// has begun, where it began with just this; else all are forgotten, and one is made now. Whether it was a good guess.
    pub fn answer(&mut self, question: &mut Question<&mut [f32]>, out: &mut [f32]) -> Result<bool> {
        self.network.expect_statistics(question.means, question.variances)?;
        expect_shape("ahead", "out", &[out.len()], &[question.rows * self.network.outputs()])?;
        let mut found = self.next_for(question);
        let guessed = found.is_some();
        if !guessed {
            self.begun.clear();
            self.begin(question)?;
            found = self.next_pass();
        }
        let Some((pass, to, result)) = found else { return Ok(guessed) };
        result.unwrap_or_else(|panic| resume_unwind(panic))?;
        out.copy_from_slice(&pass.logits);
        question.state.copy_from_slice(&to);
        if pass.train {
            self.network.move_statistics(&pass, question.means, question.variances);
        }
        self.spare.push(pass);
        Ok(guessed)
    }
}

/// A pass that is through, where the random stream stands after it, and how it went.
type Through = (Pass, Vec<u32>, thread::Result<Result<()>>);

impl Ahead {
    /// The next pass, where it began with just this.
    fn next_for(&mut self, question: &Question<&mut [f32]>) -> Option<Through> {
        let Question { input, rows, train, state, means, variances } = question;
        if self.begun.front()?.from != **state {
            return None;
        }
        let through = self.next_pass()?;
        let pass = &through.0;
        let mut read = pass.statistics.as_slice();
        // In train mode no logit depends on them.
        let same_statistics = *train
            || statistics_of(means, variances).all(|part| {
                let (head, rest) = read.split_at(part.len());
                read = rest;
                same_bits(head, part)
            });
        let same = (pass.rows, pass.train) == (*rows, *train) && same_bits(&pass.input, input) && same_statistics;
        same.then_some(through)
    }

    /// Helps until the next pass is through.
    fn next_pass(&mut self) -> Option<Through> {
        let Begun { to, pass, .. } = self.begun.pop_front()?;
        loop {
            match pass.try_recv() {
                Ok((pass, result)) => return Some((pass, to, result)),
                Err(TryRecvError::Empty) => parallel::work_while_waiting(),
                Err(TryRecvError::Disconnected) => return None,
            }
        }
    }
}

/// The statistics, layer by layer.
fn statistics_of<'a, T: AsRef<[f32]>>(means: &'a [T], variances: &'a [T]) -> impl Iterator<Item = &'a [f32]> {
    means.iter().zip(variances).flat_map(|(mean, var)| [mean.as_ref(), var.as_ref()])
}

fn fill<'a>(into: &mut Vec<f32>, parts: impl IntoIterator<Item = &'a [f32]>) {
    into.clear();
    parts.into_iter().for_each(|part| into.extend_from_slice(part));
}

fn same_bits(a: &[f32], b: &[f32]) -> bool {
    // Block by block: a loop that may end at each element is not vectorised.
    let differ =
        |(a, b): (&[f32], &[f32])| a.iter().zip(b).fold(0, |all, (a, b)| all | (a.to_bits() ^ b.to_bits())) != 0;
    a.len() == b.len() && !a.chunks(BLOCK).zip(b.chunks(BLOCK)).any(differ)
}
