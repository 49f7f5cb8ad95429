//! The way from the tables to peers: each has a queue of the messages that it was sent, on its own or with a group.

#![allow(dead_code, reason = "every test uses a part of it")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bgp::Family;
use rib::{PeerIdx, Sink, Target};

#[derive(Default)]
pub(crate) struct Net {
    groups: BTreeMap<u32, BTreeSet<PeerIdx>>,
    queues: BTreeMap<PeerIdx, VecDeque<Vec<u8>>>,
    buffer: Vec<u8>,
    target: Option<Target>,
    /// Who is to be told of the end of its initial table.
    pub(crate) ended: Vec<(PeerIdx, Family)>,
    /// Messages, each counted once, however many peers got it.
    pub(crate) written: usize,
}

impl Net {
    pub(crate) fn up(&mut self, peer: PeerIdx) {
        self.queues.insert(peer, VecDeque::new());
    }

    pub(crate) fn down(&mut self, peer: PeerIdx) {
        self.queues.remove(&peer);
        self.groups.values_mut().for_each(|g| {
            g.remove(&peer);
        });
    }

    /// Sends one message to one peer.
    pub(crate) fn push(&mut self, peer: PeerIdx, message: Vec<u8>) {
        self.queues.get_mut(&peer).unwrap().push_back(message);
    }

    /// All that a peer has not read.
    pub(crate) fn read(&mut self, peer: PeerIdx) -> VecDeque<Vec<u8>> {
        std::mem::take(self.queues.get_mut(&peer).unwrap())
    }
}

impl Sink for Net {
    fn begin(&mut self, target: Target) -> &mut Vec<u8> {
        self.target = Some(target);
        self.buffer.clear();
        &mut self.buffer
    }

    fn end(&mut self) {
        self.written += 1;
        let to: Vec<PeerIdx> = match self.target.take().unwrap() {
            Target::Peer(p) => vec![p],
            Target::Group(g) => self.groups[&g].iter().copied().collect(),
            Target::GroupExcept(g, p) => self.groups[&g].iter().copied().filter(|q| *q != p).collect(),
        };
        for p in to {
            // Who has gone gets nothing any more.
            if let Some(q) = self.queues.get_mut(&p) {
                q.push_back(self.buffer.clone());
            }
        }
    }

    fn join(&mut self, group: u32, peer: PeerIdx) {
        assert!(self.groups.entry(group).or_default().insert(peer), "joins twice");
    }

    fn leave(&mut self, group: u32, peer: PeerIdx) {
        assert!(self.groups.entry(group).or_default().remove(&peer), "leaves what it is not in");
    }

    fn end_of_rib(&mut self, peer: PeerIdx, family: Family) {
        self.ended.push((peer, family));
    }

    fn refreshed(&mut self, _: PeerIdx, _: Family) {}

    fn forgotten(&mut self, _: PeerIdx) {}

    fn is_full(&self) -> bool {
        false
    }
}
