//! Messages from each rank to each.

use std::thread::{sleep, yield_now};
use std::time::{Duration, Instant};

use mpi::point_to_point::{Message, Status};
use mpi::request::{Request, scope};
use mpi::traits::{Communicator, Destination, Equivalence, Source};
use napi::{Error, Result};

use crate::{life, not_running, with_world};

const MESSAGE: i32 = 1;
/// A wait polls without sleeping for so long: ranks on machines of their own answer sooner.
const EAGER: Duration = Duration::from_micros(200);
const MAX_SLEEP: Duration = Duration::from_millis(1);

/// Sends `messages[i]` to rank i; gives what each rank sent here.
pub fn exchange(messages: &[&[u8]]) -> Result<Vec<Vec<u8>>> {
    let (rank, size) = with_world(|world| (world.rank() as usize, world.size() as usize)).ok_or_else(not_running)?;
    if messages.len() != size {
        return Err(Error::from_reason(format!("expected {size} messages, got {}", messages.len())));
    }
    if let Some(long) = messages.iter().find(|message| i32::try_from(message.len()).is_err()) {
        return Err(Error::from_reason(format!("a message of {} bytes is too long for MPI", long.len())));
    }
    scope(|sending| {
        let mut sent: Vec<Request<[u8], _>> = with_world(|world| {
            let others = (0..size).filter(|&other| other != rank);
            let send = |other: usize| {
                world.process_at_rank(other as i32).immediate_send_with_tag(sending, messages[other], MESSAGE)
            };
            others.map(send).collect()
        })
        .ok_or_else(not_running)?;
        let mut found: Vec<Option<(Message, Status)>> = (0..size).map(|_| None).collect();
        let missing =
            |found: &[Option<(Message, Status)>]| (0..size).filter(|&i| i != rank && found[i].is_none()).collect();
        wait(|| {
            let open: Vec<usize> = missing(&found);
            with_world(|world| {
                for &other in &open {
                    found[other] = world.process_at_rank(other as i32).immediate_matched_probe_with_tag(MESSAGE);
                }
            });
            missing(&found)
        });
        let length = |found: &Option<(Message, Status)>| match found {
            Some((_, status)) => status.count(u8::equivalent_datatype()) as usize,
            None => 0,
        };
        let mut received: Vec<Vec<u8>> = found.iter().map(|found| vec![0; length(found)]).collect();
        received[rank] = messages[rank].to_vec();
        scope(|receiving| {
            let pairs = found.drain(..).zip(received.iter_mut()).enumerate();
            let mut open: Vec<(usize, Request<[u8], _>)> = pairs
                .filter_map(|(other, (found, into))| {
                    let (message, _) = found?;
                    Some((other, message.immediate_matched_receive_into(receiving, &mut into[..])))
                })
                .collect();
            wait(|| {
                with_world(|_| {
                    open = open
                        .drain(..)
                        .filter_map(|(other, request)| request.test().err().map(|open| (other, open)))
                        .collect();
                });
                open.iter().map(|(other, _)| *other).collect()
            });
        });
        wait(|| {
            with_world(|_| sent = sent.drain(..).filter_map(|request| request.test().err()).collect());
            if sent.is_empty() { Vec::new() } else { (0..size).filter(|&other| other != rank).collect() }
        });
        Ok(received)
    })
}

/// Polls until nobody is waited for; ends all ranks if one of these has gone.
fn wait(mut poll: impl FnMut() -> Vec<usize>) {
    let start = Instant::now();
    loop {
        let others = poll();
        if others.is_empty() {
            return;
        }
        life::expect(&others);
        let waited = start.elapsed();
        if waited < EAGER { yield_now() } else { sleep((waited / 20).min(MAX_SLEEP)) }
    }
}
