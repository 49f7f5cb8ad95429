//! Messages of peers that wait to be read, each peer's in its own queue. Peers take turns: one that sends a
//! storm does not hold up one that has a single message.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use ipc::PeerId;
use ipc::session_rde::Source;

/// All queues.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    queues: HashMap<PeerId, VecDeque<(Source, Bytes)>>,
    /// Peers with messages, the next one first.
    turns: VecDeque<PeerId>,
    octets: usize,
}

impl Arrivals {
    /// Whole messages of a session, behind its others.
    pub(crate) fn push(&mut self, source: Source, messages: Bytes) {
        if messages.is_empty() {
            return;
        }
        self.octets += messages.len();
        let queue = self.queues.entry(source.peer).or_default();
        if queue.is_empty() {
            self.turns.push_back(source.peer);
        }
        queue.push_back((source, messages));
    }

    /// The next messages: the peer whose turn it is.
    pub(crate) fn next(&mut self) -> Option<(Source, Bytes)> {
        let peer = self.turns.pop_front()?;
        let queue = self.queues.get_mut(&peer)?;
        let next = queue.pop_front()?;
        self.octets -= next.1.len();
        if !queue.is_empty() {
            self.turns.push_back(peer);
        }
        Some(next)
    }

    /// What was not read of the messages just taken; the peer's turn comes again behind the others'.
    pub(crate) fn put_back(&mut self, source: Source, rest: Bytes) {
        if rest.is_empty() {
            return;
        }
        self.octets += rest.len();
        let queue = self.queues.entry(source.peer).or_default();
        if queue.is_empty() {
            self.turns.push_back(source.peer);
        }
        queue.push_front((source, rest));
    }

    /// Drops what a peer's session has sent: it is over.
    pub(crate) fn forget(&mut self, peer: PeerId) {
        if let Some(queue) = self.queues.remove(&peer) {
            self.octets -= queue.iter().map(|(_, m)| m.len()).sum::<usize>();
            self.turns.retain(|p| *p != peer);
        }
    }

    /// Octets that wait.
    pub(crate) fn octets(&self) -> usize {
        self.octets
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipc::Epoch;

    fn source(n: u16) -> Source {
        Source { peer: PeerId(n), epoch: Epoch(1) }
    }

    #[test]
    fn peers_take_turns_and_each_keeps_its_order() {
        let mut arrivals = Arrivals::default();
        for messages in [b"a1", b"a2", b"a3"] {
            arrivals.push(source(1), Bytes::from_static(messages));
        }
        arrivals.push(source(2), Bytes::from_static(b"b1"));
        let (first, a1) = arrivals.next().unwrap();
        arrivals.put_back(first, a1.slice(1..));
        let mut order = Vec::new();
        while let Some((source, messages)) = arrivals.next() {
            order.push((source.peer.0, String::from_utf8(messages.to_vec()).unwrap()));
        }
        let order: Vec<(u16, &str)> = order.iter().map(|(p, m)| (*p, m.as_str())).collect();
        assert_eq!(order, [(2, "b1"), (1, "1"), (1, "a2"), (1, "a3")]);
        assert!(arrivals.is_empty());
        assert_eq!(arrivals.octets(), 0);
    }

    #[test]
    fn a_session_that_is_over_leaves_nothing() {
        let mut arrivals = Arrivals::default();
        arrivals.push(source(1), Bytes::from_static(b"a1"));
        arrivals.push(source(2), Bytes::from_static(b"b1"));
        arrivals.forget(PeerId(1));
        assert_eq!(arrivals.octets(), 2);
        assert_eq!(arrivals.next().map(|(s, _)| s), Some(source(2)));
        assert!(arrivals.next().is_none());
    }
}
