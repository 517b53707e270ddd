//! A pass of a frozen network that begins before anybody asks for its logits, beside the kernels that its caller goes on
//! with. It is a guess: what it read is compared with what the caller has when it asks, and nothing of the caller's
//! changes before.

use crate::error::{Result, expect_shape};
use crate::frozen::{Layer, Network, Pass, Question};
use crate::parallel;
use std::mem::take;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;

/// A network, and the pass that has begun.
#[derive(Default)]
pub struct Ahead {
    network: Arc<Network>,
    under_way: Option<Receiver<(Pass, thread::Result<Result<()>>)>>,
    /// The last pass that came back, for its memory.
    spare: Pass,
}

impl Ahead {
    /// Adds a layer to the network.
    pub fn push(&mut self, layer: Layer) -> Result<()> {
        drop(self.wait());
        Arc::get_mut(&mut self.network).expect("no pass has it").push(layer)
    }

    /// Begins a pass.
    pub fn begin(&mut self, question: &Question) -> Result<()> {
        let length: usize = question.statistics.iter().map(|part| part.len()).sum();
        expect_shape("ahead", "statistics", &[length], &[self.network.statistics()])?;
        expect_shape("ahead", "input", &[question.input.len()], &[question.rows * self.network.inputs()])?;
        drop(self.wait());
        let mut pass = take(&mut self.spare);
        pass.read(question);
        let (network, (send, receive)) = (Arc::clone(&self.network), sync_channel(1));
        self.under_way = Some(receive);
        parallel::spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(|| network.forward(&mut pass)));
            drop(network);
            // Nobody waits any more where the network has been dropped.
            let _ = send.send((pass, result));
        });
        Ok(())
    }

    /// The pass that read just this, and whether it had begun before.
    pub fn answer(&mut self, question: &Question) -> Result<(&Pass, bool)> {
        let mut result = self.wait();
        let guessed = result.is_some() && self.spare.has_read(question);
        if !guessed {
            self.begin(question)?;
            result = self.wait();
        }
        result.unwrap_or(Ok(Ok(()))).unwrap_or_else(|panic| resume_unwind(panic))?;
        Ok((&self.spare, guessed))
    }

    /// Helps with the pass that is under way until it is through.
    fn wait(&mut self) -> Option<thread::Result<Result<()>>> {
        let receive = self.under_way.take()?;
        loop {
            match receive.try_recv() {
                Ok((pass, result)) => {
                    self.spare = pass;
                    return Some(result);
                }
                Err(TryRecvError::Empty) => parallel::help(),
                Err(TryRecvError::Disconnected) => return None,
            }
        }
    }
}
