//! Dynamic neighbors: session asks for one when somebody connects from a range, and says when it is gone. The plan
//! decides. rde is told first, session when rde knows the neighbor.
//!
//! While another configuration is on its way to the engines, all of this waits: whoever is let in, or goes, is then let in
//! by that one, and goes from it.

use std::collections::{HashSet, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipc::channel::batches;
use ipc::config::ControlPeer;
use ipc::figures::DynamicPeers;
use ipc::parent_control::ParentToControl;
use ipc::parent_rde::ParentToRde;
use ipc::parent_session::{MAX_WANTED, ParentToSession};
use ipc::{LinkError, PeerId, Role};

use super::{Outcome, Supervisor, tell};
use crate::engine::{ANSWER_WITHIN, Phase};
use crate::marker::Restarted;
use crate::plan::{NoPeer, Present};

/// With that many messages in an engine's queue, what it can hear of in one piece later waits.
const QUEUED: u32 = 64;
/// For how long.
const WAIT: Duration = Duration::from_millis(20);
/// Neighbors that are gone, of one message.
const REMOVED: usize = 4096;
/// How often the log says that there are too many.
const LOG: Duration = Duration::from_secs(10);

/// What is under way about dynamic neighbors.
#[derive(Debug, Default)]
pub(super) struct Dynamic {
    /// What session has said, in its order.
    said: VecDeque<Said>,
    /// How many of these are questions.
    wanted: usize,
    /// Those that are gone.
    gone: HashSet<PeerId>,
    /// rde is being told of them.
    adding: HashSet<PeerId>,
    /// Where somebody may have connected from before session has heard of the ranges that count now.
    former: Vec<ipnet::IpNet>,
    /// What the other engines are still to hear of.
    shown: Vec<ControlPeer>,
    removed_for_control: Vec<PeerId>,
    removed_for_rde: Vec<PeerId>,
    refused: u64,
    logged: Option<(Instant, u64)>,
    /// Who keeps our routes of before the daemon's restart, and until when.
    restarted: Option<(HashSet<IpAddr>, Instant)>,
}

#[derive(Debug)]
enum Said {
    Wants(IpAddr),
    Over(PeerId),
}

impl Dynamic {
    /// The daemon has restarted.
    pub(super) fn new(restarted: Option<&Restarted>) -> Dynamic {
        let until = |r: &Restarted| Instant::now() + Duration::from_secs(r.seconds_left.into());
        let restarted = restarted.map(|r| (r.peers.iter().copied().collect(), until(r)));
        Dynamic { restarted, ..Dynamic::default() }
    }

    /// How many seconds more a neighbor keeps our routes of before; asked once for each.
    fn take_restarted(&mut self, address: IpAddr) -> Option<u16> {
        let (addresses, until) = self.restarted.as_mut()?;
        let left = until.saturating_duration_since(Instant::now()).as_secs();
        let left = u16::try_from(left).ok().filter(|left| *left > 0)?;
        addresses.remove(&address).then_some(left)
    }
}

impl Supervisor {
    /// Whether a neighbor is on its way to rde.
    pub(crate) fn is_adding(&self) -> bool {
        !self.dynamic.adding.is_empty()
    }

    /// How many dynamic neighbors there are, and how many were refused.
    pub(crate) fn dynamic_figures(&self) -> DynamicPeers {
        DynamicPeers { refused: self.dynamic.refused, ..self.plan.dynamic_figures() }
    }

    /// Session wants a neighbor at this address.
    pub(crate) fn want_peer(&mut self, address: IpAddr) -> Outcome {
        if !self.session_may_ask() {
            return self.lies("WantPeer before the configuration is in force");
        }
        let former = self.reloading && self.dynamic.former.iter().any(|r| r.contains(&address));
        if !former && !self.plan.has_range(address) {
            return self.lies(&format!("WantPeer: {address} is in no range"));
        }
        if self.dynamic.wanted + self.dynamic.adding.len() >= MAX_WANTED {
            return self.lies("WantPeer: too many questions at once");
        }
        self.dynamic.wanted += 1;
        self.dynamic.said.push_back(Said::Wants(address));
        Outcome::Fine
    }

    /// A dynamic neighbor is gone.
    pub(crate) fn peer_over(&mut self, peer: PeerId) -> Outcome {
        let known = self.plan.is_dynamic(peer) && !self.dynamic.adding.contains(&peer);
        if !known && !self.is_retired(peer) || !self.dynamic.gone.insert(peer) {
            return self.lies(&format!("PeerOver: no dynamic peer {peer}"));
        }
        self.dynamic.said.push_back(Said::Over(peer));
        Outcome::Fine
    }

    /// rde knows a dynamic neighbor: its session may begin.
    pub(crate) fn peer_added(&mut self, peer: PeerId) -> Outcome {
        if !self.dynamic.adding.remove(&peer) {
            let what = format!("PeerAdded: no peer {peer} was being added");
            return self.misbehaved(Role::Rde, &LinkError::out_of_state(Role::Rde, what));
        }
        if !self.is_adding() {
            self.set_deadline(Role::Rde, None);
        }
        if let Some(present) = self.plan.dynamic_peer(peer) {
            let message = ParentToSession::AddPeer(Box::new(present.session.clone()));
            tell(&mut self.session, message, Vec::new());
        }
        Outcome::Fine
    }

    /// Does what session has asked for. `wait`: another configuration is about to come, and who asks now waits for it.
    pub(crate) fn dynamic_goes_on(&mut self, wait: bool) {
        let running = |role| self.phase(role) == Some(Phase::Running);
        let ready = running(Role::Session) && running(Role::Rde) && !self.is_reloading() && !self.stopping;
        if ready && !wait {
            while let Some(said) = self.dynamic.said.pop_front() {
                match said {
                    Said::Wants(address) => {
                        self.dynamic.wanted -= 1;
                        self.admit(address);
                    }
                    Said::Over(peer) => self.remove(peer),
                }
            }
        }
        self.tell_of_dynamic();
    }

    fn admit(&mut self, address: IpAddr) {
        let restarted = self.dynamic.take_restarted(address);
        match self.plan.admit(address, restarted) {
            Ok(Present { rde, control, .. }) => {
                self.dynamic.adding.insert(rde.id);
                self.set_deadline(Role::Rde, Some(Instant::now() + ANSWER_WITHIN));
                tell(&mut self.rde, ParentToRde::AddPeer(Box::new(rde)), Vec::new());
                self.dynamic.shown.push(control);
            }
            Err(NoPeer::Present) => _ = self.lies(&format!("WantPeer: {address} is one already")),
            Err(why) => {
                let limit = why == NoPeer::Limit;
                if limit {
                    self.limit_reached(address);
                }
                tell(&mut self.session, ParentToSession::NoPeer { address, limit }, Vec::new());
            }
        }
    }

    fn limit_reached(&mut self, address: IpAddr) {
        self.dynamic.refused += 1;
        let now = Instant::now();
        let logged = self.dynamic.logged;
        if logged.is_some_and(|(at, _)| now.saturating_duration_since(at) < LOG) {
            return;
        }
        let refused = self.dynamic.refused - logged.map_or(0, |(_, before)| before);
        self.dynamic.logged = Some((now, self.dynamic.refused));
        let limit = self.plan.dynamic_figures().limit;
        tracing::warn!(
            %address,
            limit,
            refused,
            "dynamic neighbor limit reached: connection refused; the limit is [global] dynamic_neighbor_limit"
        );
    }

    fn remove(&mut self, peer: PeerId) {
        self.dynamic.gone.remove(&peer);
        // A configuration that came into force meanwhile may have removed it.
        if self.plan.remove_dynamic(peer).is_some() {
            self.dynamic.removed_for_rde.push(peer);
            self.removed_for_control(peer);
        }
    }

    fn removed_for_control(&mut self, peer: PeerId) {
        match self.dynamic.shown.iter().position(|p| p.id == peer) {
            Some(unheard) => _ = self.dynamic.shown.swap_remove(unheard),
            None => self.dynamic.removed_for_control.push(peer),
        }
    }

    /// Tells rde and control what they have not heard of yet, if they read what they are told.
    fn tell_of_dynamic(&mut self) {
        let Dynamic { shown, removed_for_control, removed_for_rde, .. } = &mut self.dynamic;
        if let Some(rde) = self.rde.as_mut().filter(|e| e.queued() < QUEUED) {
            for part in removed_for_rde.chunks(REMOVED) {
                rde.tell(ParentToRde::RemovePeers(part.to_vec()));
            }
            removed_for_rde.clear();
        }
        if let Some(control) = self.control.as_mut().filter(|e| e.queued() < QUEUED) {
            for part in removed_for_control.chunks(REMOVED) {
                control.tell(ParentToControl::RemovePeers(part.to_vec()));
            }
            removed_for_control.clear();
            match batches(Role::Control, shown.drain(..)) {
                Ok(parts) => parts.into_iter().for_each(|part| control.tell(ParentToControl::AddPeers(part))),
                // Their ranges would not have fitted either.
                Err(error) => tracing::error!(%error, "control does not hear of dynamic neighbors"),
            }
        }
    }

    /// When there is something to be told that has waited.
    pub(super) fn dynamic_deadline(&self) -> Option<Instant> {
        let Dynamic { shown, removed_for_control, removed_for_rde, .. } = &self.dynamic;
        let waiting = !shown.is_empty() || !removed_for_control.is_empty() || !removed_for_rde.is_empty();
        waiting.then(|| Instant::now() + WAIT)
    }

    /// Session and rde are being started: who was there is not any more.
    pub(super) fn forget_dynamic(&mut self) {
        self.dynamic.said.clear();
        self.dynamic.wanted = 0;
        self.dynamic.gone.clear();
        self.dynamic.adding.clear();
        self.dynamic.removed_for_rde.clear();
        for peer in self.plan.remove_ended() {
            self.removed_for_control(peer);
        }
    }

    /// Control is being started, and hears of all that there is at once.
    pub(super) fn shown_at_once(&mut self) {
        self.dynamic.shown.clear();
        self.dynamic.removed_for_control.clear();
    }

    /// The plan is another one from now on; session may not know its ranges for a while.
    pub(super) fn ranges_change(&mut self, former: Vec<ipnet::IpNet>) {
        self.dynamic.former = former;
        // All of them are in the plan.
        self.shown_at_once();
        self.dynamic.removed_for_rde.clear();
    }

    fn lies(&mut self, what: &str) -> Outcome {
        self.misbehaved(Role::Session, &LinkError::out_of_state(Role::Session, what))
    }
}
