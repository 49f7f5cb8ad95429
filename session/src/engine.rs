//! What the tasks of this process share: the peers, the channels, one read buffer for all.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;

use ipc::channel::{BATCH, Sender};
use ipc::config::Speaker;
use ipc::parent_session::SessionToParent;
use ipc::session_rde::{RECEIVE_WINDOW, SessionToRde, Source};
use ipc::{LinkError, PeerId};
use tokio::sync::{Notify, mpsc};

use crate::accept::Gate;
use crate::candidates::Candidates;
use crate::from_rde::Groups;
use crate::peer::Peer;
use crate::to_rde::ToRde;

/// How many peers' accounts go into one message.
const ACCOUNTS: usize = 2048;

/// Shared by all tasks of this one thread. No borrow of a cell is held across an await.
#[derive(Debug)]
pub(crate) struct Engine {
    peers: RefCell<HashMap<PeerId, Rc<Peer>>>,
    addresses: RefCell<HashMap<IpAddr, PeerId>>,
    pub(crate) groups: Groups,
    pub(crate) to_rde: ToRde,
    /// Every socket is read into this one: idle peers hold no buffer.
    pub(crate) scratch: RefCell<Vec<u8>>,
    pub(crate) closing: Closing,
    pub(crate) gate: Gate,
    pub(crate) candidates: Candidates,
    /// Who we are, once there is a configuration.
    speaker: RefCell<Option<Speaker>>,
    /// UPDATEs received from and sent to peers that are gone, so that sums over all do not become less.
    pub(crate) gone: Cell<[u64; 2]>,
    /// Bounded by one request per peer and attempt, one end of each dynamic peer, and the questions for more of them.
    parent: mpsc::UnboundedSender<SessionToParent>,
    written: Written,
    /// Sessions make sense: there is an rde, and we are not shutting down.
    open: Cell<bool>,
    /// We are shutting down: peers that keep our routes meanwhile must not be refused, which would end that.
    pub(crate) leaving: Cell<bool>,
}

impl Engine {
    pub(crate) fn new(parent: mpsc::UnboundedSender<SessionToParent>) -> Rc<Engine> {
        Rc::new(Engine {
            peers: RefCell::default(),
            addresses: RefCell::default(),
            groups: Groups::default(),
            to_rde: ToRde::default(),
            scratch: RefCell::new(vec![0; 2 * BATCH]),
            closing: Closing::default(),
            gate: Gate::default(),
            candidates: Candidates::default(),
            speaker: RefCell::default(),
            gone: Cell::default(),
            parent,
            written: Written::default(),
            open: Cell::new(false),
            leaving: Cell::new(false),
        })
    }

    pub(crate) fn peer(&self, id: PeerId) -> Option<Rc<Peer>> {
        self.peers.borrow().get(&id).cloned()
    }

    /// The peer with this address; an IPv4-mapped one is an IPv4 one.
    pub(crate) fn peer_at(&self, address: IpAddr) -> Option<Rc<Peer>> {
        let id = self.addresses.borrow().get(&address.to_canonical()).copied()?;
        self.peer(id)
    }

    /// All peers, in the order of their ids.
    pub(crate) fn all_peers(&self) -> Vec<Rc<Peer>> {
        let mut all: Vec<_> = self.peers.borrow().values().cloned().collect();
        all.sort_by_key(|p| p.id);
        all
    }

    pub(crate) fn add(&self, peer: Rc<Peer>) {
        self.addresses.borrow_mut().insert(peer.address, peer.id);
        self.peers.borrow_mut().insert(peer.id, peer);
    }

    pub(crate) fn remove(&self, peer: &Peer) {
        self.peers.borrow_mut().remove(&peer.id);
        let mut addresses = self.addresses.borrow_mut();
        if addresses.get(&peer.address) == Some(&peer.id) {
            addresses.remove(&peer.address);
        }
    }

    pub(crate) fn speaker(&self) -> Option<Speaker> {
        self.speaker.borrow().clone()
    }

    pub(crate) fn set_speaker(&self, speaker: &Speaker) {
        *self.speaker.borrow_mut() = Some(speaker.clone());
    }

    pub(crate) fn tell_parent(&self, message: SessionToParent) {
        // The receiver only goes away with the process.
        let _ = self.parent.send(message);
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.get()
    }

    pub(crate) fn set_open(&self, open: bool) {
        self.open.set(open);
    }

    /// Notes that a peer has octets to account for.
    pub(crate) fn report_written(&self, peer: PeerId) {
        self.written.peers.borrow_mut().push(peer);
        self.written.work.notify_one();
    }

    /// Sends accounts of what was written, forever.
    pub(crate) async fn send_written(&self, link: Sender<SessionToRde>) -> LinkError {
        loop {
            self.written.work.notified().await;
            let peers = std::mem::take(&mut *self.written.peers.borrow_mut());
            let accounts: Vec<(Source, u64)> =
                peers.into_iter().filter_map(|id| self.peer(id)?.take_written()).collect();
            for part in accounts.chunks(ACCOUNTS) {
                if let Err(error) = link.send(&SessionToRde::Written(part.to_vec())).await {
                    return error;
                }
            }
        }
    }
}

/// Peers with octets to account for; each is in it once.
#[derive(Debug, Default)]
struct Written {
    peers: RefCell<Vec<PeerId>>,
    work: Notify,
}

/// How many octets to read at once.
pub(crate) const READ: usize = BATCH;

/// Reading pauses where less than this of the window is left: tiny reads cost more than waiting.
pub(crate) const LEAST_READ: u64 = RECEIVE_WINDOW / 32;

/// How many connections are being closed.
#[derive(Debug, Default, Clone)]
pub(crate) struct Closing(Rc<ClosingInner>);

#[derive(Debug, Default)]
struct ClosingInner {
    count: Cell<usize>,
    ended: Notify,
}

/// A connection that is being closed; dropped when it is.
#[derive(Debug)]
pub(crate) struct ClosingGuard(Rc<ClosingInner>);

impl Closing {
    pub(crate) fn begin(&self) -> ClosingGuard {
        self.0.count.set(self.0.count.get() + 1);
        ClosingGuard(Rc::clone(&self.0))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.count.get()
    }

    /// Waits until none is being closed.
    pub(crate) async fn all_closed(&self) {
        while self.count() > 0 {
            self.0.ended.notified().await;
        }
    }
}

impl Drop for ClosingGuard {
    fn drop(&mut self) {
        self.0.count.set(self.0.count.get() - 1);
        self.0.ended.notify_one();
    }
}
