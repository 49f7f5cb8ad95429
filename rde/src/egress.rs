//! What peers are sent: messages of the tables, put together into datagrams for session.

use ipc::channel::BATCH;
use ipc::session_rde::{RdeToSessionBulk, Run, Source, Target};
use ipc::{GroupId, LinkError, PeerId};
use rib::{PeerIdx, Sink};

use crate::outbox::Outbox;

/// Runs in one datagram: their list must fit beside the messages.
const MAX_RUNS: usize = 1024;

/// Octets that may wait for session before the tables are asked to stop.
const FULL: usize = 512 << 10;

/// The bulk channel to session.
#[derive(Debug)]
pub(crate) struct Egress {
    pub(crate) out: Outbox<RdeToSessionBulk>,
    runs: Vec<Run<Target>>,
    bytes: Vec<u8>,
    /// Whom the message at hand is for, and where it begins.
    open: Option<(Target, usize)>,
    /// Sessions by the tables' handles.
    sources: Vec<Option<Source>>,
}

impl Egress {
    pub(crate) fn new() -> Egress {
        Egress { out: Outbox::new(), runs: Vec::new(), bytes: Vec::new(), open: None, sources: Vec::new() }
    }

    /// What the tables call `idx` is this session.
    pub(crate) fn name(&mut self, idx: PeerIdx, source: Option<Source>) {
        let at = idx.index();
        if self.sources.len() <= at {
            self.sources.resize(at + 1, None);
        }
        self.sources[at] = source;
    }

    fn source(&self, idx: PeerIdx) -> Option<Source> {
        self.sources.get(idx.index()).copied().flatten()
    }

    /// Hands over what was put together so far.
    fn seal(&mut self) {
        if self.runs.is_empty() {
            return;
        }
        let next = self.out.buffer();
        let bytes = std::mem::replace(&mut self.bytes, next);
        self.out.push(RdeToSessionBulk::Send(std::mem::take(&mut self.runs)), bytes);
    }

    /// Sends what there is room for.
    pub(crate) fn pump(&mut self) -> Result<(), LinkError> {
        self.seal();
        self.out.pump()
    }
}

/// Stands for a session that has ended: no member of any group, and dropped where it is a target.
const NOBODY: PeerId = PeerId(u16::MAX);

impl Sink for Egress {
    fn begin(&mut self, target: rib::Target) -> &mut Vec<u8> {
        let target = match target {
            rib::Target::Peer(p) => {
                Target::Peer(self.source(p).unwrap_or(Source { peer: NOBODY, epoch: ipc::Epoch(0) }))
            }
            rib::Target::Group(g) => Target::Group(GroupId(g)),
            rib::Target::GroupExcept(g, p) => match self.source(p) {
                Some(source) => Target::GroupExcept(GroupId(g), source.peer),
                None => Target::Group(GroupId(g)),
            },
        };
        self.open = Some((target, self.bytes.len()));
        &mut self.bytes
    }

    fn end(&mut self) {
        let Some((target, start)) = self.open.take() else { return };
        let len = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        match self.runs.last_mut() {
            Some(run) if run.of == target => run.len += len,
            _ => self.runs.push(Run { of: target, len }),
        }
        if self.bytes.len() >= BATCH || self.runs.len() >= MAX_RUNS {
            self.seal();
        }
    }

    fn join(&mut self, group: u32, peer: PeerIdx) {
        self.seal();
        if let Some(member) = self.source(peer) {
            self.out.push(RdeToSessionBulk::Join { group: GroupId(group), member }, Vec::new());
        }
    }

    fn leave(&mut self, group: u32, peer: PeerIdx) {
        self.seal();
        if let Some(member) = self.source(peer) {
            self.out.push(RdeToSessionBulk::Leave { group: GroupId(group), member }, Vec::new());
        }
    }

    fn is_full(&self) -> bool {
        self.out.octets() > FULL
    }
}
