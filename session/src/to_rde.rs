//! Fills frames with what peers sent and passes them to rde; stops the reading of all peers while rde is
//! behind.
//!
//! One frame is filled by all peers together. It goes out when it is full, or when every peer that had
//! something to read has been read: the flushing task is queued behind them. At most [`MAX_FRAMES`] wait
//! for the channel; then nobody is read until it has room again.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::task::Waker;

use ipc::PeerId;
use ipc::channel::{BATCH, LinkError, Sender};
use ipc::session_rde::{Run, SessionToRdeBulk, Source};
use tokio::sync::Notify;

/// How many frames may wait for the channel before reading stops.
const MAX_FRAMES: usize = 4;

/// The way of all peers' messages to rde.
#[derive(Debug, Default)]
pub(crate) struct ToRde {
    inner: RefCell<Inner>,
    /// Something is to be flushed.
    work: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    link: Option<Sender<SessionToRdeBulk>>,
    broken: Option<LinkError>,
    frame: Vec<u8>,
    runs: Vec<Run<Source>>,
    queue: VecDeque<(SessionToRdeBulk, Vec<u8>)>,
    spare: Vec<Vec<u8>>,
    paused: HashMap<PeerId, Waker>,
}

impl ToRde {
    /// Begins to use a channel; what was for another one is dropped.
    pub(crate) fn open(&self, link: Sender<SessionToRdeBulk>) {
        *self.inner.borrow_mut() = Inner { link: Some(link), ..Inner::default() };
    }

    /// Drops the channel and what waits for it, and lets peers be read again.
    pub(crate) fn close(&self) {
        let paused = std::mem::take(&mut *self.inner.borrow_mut()).paused;
        paused.into_values().for_each(Waker::wake);
    }

    /// Whether reading must stop. If so, the waker is called when it may go on.
    pub(crate) fn is_full(&self, peer: PeerId, waker: &Waker) -> bool {
        let mut inner = self.inner.borrow_mut();
        let full = inner.queue.len() >= MAX_FRAMES;
        if full {
            inner.paused.insert(peer, waker.clone());
        }
        full
    }

    /// How many octets the frame being filled still takes.
    pub(crate) fn room(&self) -> usize {
        BATCH.saturating_sub(self.inner.borrow().frame.len())
    }

    /// Appends whole messages of a peer: one copy. They should fit into [`room`](Self::room).
    pub(crate) fn append(&self, source: Source, messages: &[u8]) {
        let inner = &mut *self.inner.borrow_mut();
        if inner.runs.is_empty() {
            self.work.notify_one();
        }
        inner.frame.extend_from_slice(messages);
        // A run is as long as a frame at most.
        let len = u32::try_from(messages.len()).unwrap_or(u32::MAX);
        match inner.runs.last_mut() {
            Some(run) if run.of == source => run.len += len,
            _ => inner.runs.push(Run { of: source, len }),
        }
    }

    /// Sends off the frame being filled.
    pub(crate) fn seal(&self) {
        let mut inner = self.inner.borrow_mut();
        inner.seal();
        if !inner.pump() {
            self.work.notify_one();
        }
    }

    /// Sends an event behind everything that was appended before.
    pub(crate) fn event(&self, event: SessionToRdeBulk) {
        let mut inner = self.inner.borrow_mut();
        inner.seal();
        inner.queue.push_back((event, Vec::new()));
        if !inner.pump() {
            self.work.notify_one();
        }
    }

    /// Flushes frames whenever there is something to flush; returns when a channel broke, after which it may be
    /// called again.
    pub(crate) async fn flush(&self) -> LinkError {
        loop {
            self.work.notified().await;
            loop {
                let blocked = {
                    let mut inner = self.inner.borrow_mut();
                    inner.seal();
                    let done = inner.pump();
                    if let Some(error) = inner.broken.take() {
                        return error;
                    }
                    if inner.queue.len() < MAX_FRAMES {
                        inner.paused.drain().for_each(|(_, waker)| waker.wake());
                    }
                    if done { None } else { inner.link.clone() }
                };
                match blocked {
                    None => break,
                    Some(link) => {
                        if let Err(error) = link.writable().await {
                            return error;
                        }
                    }
                }
            }
        }
    }
}

impl Inner {
    fn seal(&mut self) {
        if self.runs.is_empty() {
            return;
        }
        let empty = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(BATCH));
        let frame = std::mem::replace(&mut self.frame, empty);
        self.queue.push_back((SessionToRdeBulk::Received(std::mem::take(&mut self.runs)), frame));
    }

    /// Sends what the channel takes now; says whether that was all.
    fn pump(&mut self) -> bool {
        let Some(link) = &self.link else {
            self.queue.clear();
            return true;
        };
        while let Some((message, payload)) = self.queue.front() {
            let pieces: &[&[u8]] = if payload.is_empty() { &[] } else { &[payload] };
            match link.try_send(message, pieces) {
                Ok(true) => {}
                Ok(false) => return false,
                Err(error) => {
                    self.broken = Some(error);
                    return false;
                }
            }
            if let Some((_, mut frame)) = self.queue.pop_front()
                && frame.capacity() > 0
                && self.spare.len() < MAX_FRAMES
            {
                frame.clear();
                self.spare.push(frame);
            }
        }
        true
    }
}
