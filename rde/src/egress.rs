//! What peers are sent: messages of the tables, passed on to session.

use ipc::session_rde::{RdeToSessionBulk, Run, Source, Target};
use ipc::{GroupId, LinkError, PeerId};
use rib::PeerIdx;

use crate::outbox::Outbox;

/// The bulk channel to session.
#[derive(Debug)]
pub(crate) struct Egress {
    pub(crate) out: Outbox<RdeToSessionBulk>,
    /// Sessions by the tables' handles.
    sources: Vec<Option<Source>>,
}

/// Stands for a session that has ended: no member of any group, and dropped where it is a target.
const NOBODY: Source = Source { peer: PeerId(u16::MAX), epoch: ipc::Epoch(0) };

impl Egress {
    pub(crate) fn new() -> Egress {
        Egress { out: Outbox::new(), sources: Vec::new() }
    }

    /// What the tables call `idx` is this session.
    pub(crate) fn name(&mut self, idx: PeerIdx, source: Option<Source>) {
        let at = idx.index();
        if self.sources.len() <= at {
            self.sources.resize(at + 1, None);
        }
        self.sources[at] = source;
    }

    /// The session that the tables call `idx`.
    pub(crate) fn source(&self, idx: PeerIdx) -> Option<Source> {
        self.sources.get(idx.index()).copied().flatten()
    }

    /// Passes on whole messages.
    pub(crate) fn send(&mut self, runs: &[Run<rib::Target>], octets: Vec<u8>) {
        let target = |of| match of {
            rib::Target::Peer(p) => Target::Peer(self.source(p).unwrap_or(NOBODY)),
            rib::Target::Group(g) => Target::Group(GroupId(g)),
            rib::Target::GroupExcept(g, p) => match self.source(p) {
                Some(source) => Target::GroupExcept(GroupId(g), source.peer),
                None => Target::Group(GroupId(g)),
            },
        };
        let runs = runs.iter().map(|r| Run { of: target(r.of), len: r.len }).collect();
        self.out.push(RdeToSessionBulk::Send(runs), octets);
    }

    /// Passes on one whole message to one peer.
    pub(crate) fn send_one(&mut self, peer: PeerIdx, message: Vec<u8>) {
        let len = u32::try_from(message.len()).unwrap_or(u32::MAX);
        self.send(&[Run { of: rib::Target::Peer(peer), len }], message);
    }

    pub(crate) fn join(&mut self, group: GroupId, peer: PeerIdx) {
        if let Some(member) = self.source(peer) {
            self.out.push(RdeToSessionBulk::Join { group, member }, Vec::new());
        }
    }

    pub(crate) fn leave(&mut self, group: GroupId, peer: PeerIdx) {
        if let Some(member) = self.source(peer) {
            self.out.push(RdeToSessionBulk::Leave { group, member }, Vec::new());
        }
    }

    /// Sends what there is room for.
    pub(crate) fn pump(&mut self) -> Result<(), LinkError> {
        self.out.pump()
    }
}
