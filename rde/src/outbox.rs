//! Messages that wait for room in a channel. The engine never waits for a channel: it would have to go on
//! reading meanwhile.

use std::collections::VecDeque;

use ipc::channel::Sender;
use ipc::{LinkError, Message};

/// The sending side of a channel, or of one that is not there at the moment.
#[derive(Debug)]
pub(crate) struct Outbox<T> {
    tx: Option<Sender<T>>,
    queue: VecDeque<(T, Vec<u8>)>,
    octets: usize,
    spare: Vec<Vec<u8>>,
}

/// Buffers of sent payloads that are kept.
const SPARE: usize = 8;

impl<T: Message> Outbox<T> {
    pub(crate) fn new() -> Outbox<T> {
        Outbox { tx: None, queue: VecDeque::new(), octets: 0, spare: Vec::new() }
    }

    /// Begins with a new channel, or without one; what was queued for the old one is dropped.
    pub(crate) fn connect(&mut self, tx: Option<Sender<T>>) {
        self.tx = tx;
        self.queue.clear();
        self.octets = 0;
    }

    /// Queues a message; without a channel it goes nowhere.
    pub(crate) fn push(&mut self, message: T, payload: Vec<u8>) {
        if self.tx.is_some() {
            self.octets += payload.len();
            self.queue.push_back((message, payload));
        }
    }

    /// Sends what there is room for.
    pub(crate) fn pump(&mut self) -> Result<(), LinkError> {
        let Some(tx) = &self.tx else { return Ok(()) };
        while let Some((message, payload)) = self.queue.front() {
            let pieces: &[&[u8]] = if payload.is_empty() { &[] } else { &[payload] };
            if !tx.try_send(message, pieces)? {
                break;
            }
            self.octets -= payload.len();
            if let Some((_, payload)) = self.queue.pop_front()
                && payload.capacity() > 0
                && self.spare.len() < SPARE
            {
                self.spare.push(payload);
            }
        }
        Ok(())
    }

    /// A buffer whose payload was sent, to be filled again.
    pub(crate) fn take_spare(&mut self) -> Option<Vec<u8>> {
        self.spare.pop()
    }

    /// The channel to wait on, if something waits for it.
    pub(crate) fn waiting(&self) -> Option<Sender<T>> {
        if self.queue.is_empty() { None } else { self.tx.clone() }
    }

    /// Octets of payload that wait.
    pub(crate) fn octets(&self) -> usize {
        self.octets
    }
}
