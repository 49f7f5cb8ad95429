//! What comes from peers: sessions up and down, and their messages.

use std::time::Instant;

use bgp::attr::code;
use bgp::header::{HEADER_LEN, Header, MessageType};
use bgp::nlri::Nlri;
use bgp::notification::Notification;
use bgp::update::Update;
use bgp::{AttributeFault, MAX_EXTENDED_MESSAGE, Verdict, update};
use bytes::Bytes;
use ipc::config::RdePeer;
use ipc::errors::MAX_OCTETS;
use ipc::session_rde::{DownReason, Negotiated, RdeToSession, Source};
use ipc::{LinkError, PeerId, Role};
use rib::{Applied, PeerIdx};

use crate::config::Config;
use crate::engine::{Engine, TURN_CHANGES};
use crate::errors;
use crate::limits::Watch;
use crate::peers::{self, Session};
use crate::refresh::Refreshing;
use crate::tables::Tables;

/// Messages of a peer that are read before it is another one's turn, changes or not.
const TURN_MESSAGES: u32 = 256;

impl Engine {
    pub(crate) fn peer_up(&mut self, source: Source, negotiated: &Negotiated) -> Result<(), LinkError> {
        if self.peers.get(source.peer).is_some_and(|p| p.session.is_some()) {
            return Err(LinkError::out_of_state(
                Role::Session,
                format!("peer {} comes up a second time", source.peer),
            ));
        }
        let now = self.now();
        let (Some(config), Some(tables)) = (&mut self.config, &mut self.tables) else {
            return Err(LinkError::out_of_state(Role::Session, "a session before the configuration"));
        };
        config.identify(source.peer, negotiated.remote_asn);
        // It may have been removed from the configuration while it came up: session is about to end it.
        let Some(peer) = config.peers.get(&source.peer) else { return Ok(()) };
        let ctx = peers::context(peer, negotiated);
        let limits = peer.prefix_limits;
        let info = peers::info(peer, config.policies_of(source.peer), negotiated);
        let mut kept = self.peers.entry(source.peer).kept.take();
        if let Some(k) = kept
            && !tables.peer_back(k.idx, &info, now)
        {
            // Another router: what is kept is not its.
            tables.peer_down(k.idx);
            kept = None;
        }
        let Some(idx) = kept.map(|k| k.idx).or_else(|| tables.peer_up(info, now)) else {
            let reason = "too many sessions at once".to_owned();
            self.end(source, &Notification::cease(bgp::notification::cease::OUT_OF_RESOURCES), reason);
            return Ok(());
        };
        self.egress.name(idx, Some(source));
        let (graceful, refreshing) = (negotiated.graceful, Refreshing::new(negotiated));
        let session = Session { epoch: source.epoch, idx, ctx, graceful, ending: false, refreshing };
        let entry = self.peers.entry(source.peer);
        entry.session = Some(session);
        entry.watch = Watch::begin(limits);
        if let Some(kept) = kept {
            self.end_of_absence(source, kept, graceful);
        }
        self.awaited_is_up(source.peer, negotiated);
        Ok(())
    }

    pub(crate) fn peer_down(&mut self, source: Source, reason: DownReason) {
        let Some((peer, session)) = self.peers.current(source) else { return };
        peer.session = None;
        peer.consumed = 0;
        self.arrivals.forget(source.peer);
        self.egress.name(session.idx, None);
        match session.graceful {
            Some(graceful) if reason == DownReason::Restarting => {
                self.begin_restart(source, &session, graceful);
            }
            _ => {
                self.peers.entry(source.peer).kept = None;
                if let Some(tables) = &mut self.tables {
                    tables.peer_down(session.idx);
                }
            }
        }
        self.drop_removed(source.peer);
        self.wake();
    }

    /// Forgets the peer if it is not configured any more, and nothing of it is left.
    pub(crate) fn drop_removed(&mut self, peer: PeerId) {
        if self.config.as_ref().is_some_and(|c| !c.peers.contains_key(&peer)) {
            self.peers.drop_absent(peer);
        }
    }

    /// A dynamic peer is there from now on; `false`: there can be none yet, or it is one already.
    #[must_use]
    pub(crate) fn add_peer(&mut self, peer: RdePeer) -> bool {
        let Some(config) = &mut self.config else { return false };
        let new = peer.range.is_some() && !config.peers.contains_key(&peer.id);
        if new {
            config.peers.insert(peer.id, peer);
        }
        new
    }

    /// A dynamic peer is gone. Session may be about to say so.
    pub(crate) fn remove_peer(&mut self, peer: PeerId) {
        let dynamic = |c: &Config| c.peers.get(&peer).is_some_and(|p| p.range.is_some());
        let Some(config) = self.config.as_mut().filter(|c| dynamic(c)) else { return };
        config.peers.remove(&peer);
        config.policies.remove(&peer);
        let epoch = self.peers.get(peer).and_then(|p| p.session.as_ref()).map(|s| s.epoch);
        match epoch {
            Some(epoch) => self.peer_down(Source { peer, epoch }, DownReason::Ended),
            None => self.forget_kept(peer),
        }
    }

    /// Begins or ends the graceful shutdown of the session with a peer, and of its later ones (RFC 8326 §4.2).
    pub(crate) fn drain(&mut self, peer: PeerId, on: bool) {
        let Some(config) = self.config.as_mut().and_then(|c| c.peers.get_mut(&peer)) else { return };
        config.draining = on;
        // It is to be seen also where there was never a session, and to hold for a peer that restarts.
        let place = self.peers.entry(peer).place();
        if let (Some(idx), Some(tables)) = (place, &mut self.tables) {
            tables.drain(idx, on);
        }
        self.wake();
    }

    /// Tells the tables of whom GRACEFUL_SHUTDOWN is to be taken otherwise than `before`.
    pub(crate) fn graceful_shutdown_changed(&mut self, before: Option<&Config>) {
        let (Some(before), Some(config), Some(tables)) = (before, &self.config, &mut self.tables) else {
            return;
        };
        for (peer, state) in self.peers.iter() {
            let [had, has] = [before, config].map(|c| c.peers.get(&peer).map(|p| p.graceful_shutdown));
            if let (Some(place), Some(on), true) = (state.place(), has, had != has) {
                tables.honour(place, on);
            }
        }
        self.wake();
    }

    /// Reads whole messages of one session, as long as it is its turn; returns the rest.
    pub(crate) fn messages(&mut self, source: Source, mut messages: Bytes) -> Bytes {
        let Some((_, session)) = self.peers.current(source) else { return Bytes::new() };
        let filled = |tables: &Option<Tables>| tables.as_ref().map_or(0, Tables::filled);
        let until = filled(&self.tables) + TURN_CHANGES;
        let all = messages.len();
        let (mut at, mut left) = (0, TURN_MESSAGES);
        while let Some((header, rest)) = messages.get(at..).and_then(<[u8]>::split_first_chunk::<HEADER_LEN>)
        {
            if session.ending || left == 0 || filled(&self.tables) >= until {
                break;
            }
            left -= 1;
            // session has checked the header; it is not trusted for that.
            let done = match bgp::header::parse(header, MAX_EXTENDED_MESSAGE) {
                Ok(Header { len, kind }) => match rest.get(..usize::from(len) - HEADER_LEN) {
                    Some(body) => {
                        at += usize::from(len);
                        self.message(source, &session, kind, body)
                    }
                    None => Err(Notification::new(1, 2)),
                },
                Err(error) => Err(error),
            };
            if let Err(notification) = done {
                self.end(source, &notification, notification.to_string());
                at = all;
            }
        }
        if session.ending {
            at = all;
        } else if (1..HEADER_LEN).contains(&(all - at)) {
            // session sends whole messages; it is not trusted for that either.
            let notification = Notification::new(1, 2);
            self.end(source, &notification, notification.to_string());
            at = all;
        }
        if let Some(tables) = &mut self.tables {
            tables.consumed(source, at as u64);
        }
        messages.split_off(at.min(all))
    }

    fn message(
        &mut self,
        source: Source,
        session: &Session,
        kind: MessageType,
        body: &[u8],
    ) -> Result<(), Notification> {
        match kind {
            MessageType::Update => self.update(source, session, body),
            MessageType::RouteRefresh => self.route_refresh(source, body),
            _ => Ok(()),
        }
    }

    fn update(&mut self, source: Source, session: &Session, body: &[u8]) -> Result<(), Notification> {
        let update = match update::read(body, &session.ctx) {
            Ok(update) => update,
            Err(fault) => {
                self.note(source, &[(fault, errors::octets(&fault, body))]);
                return Err(fault.notification(body));
            }
        };
        let Some(tables) = &mut self.tables else { return Ok(()) };
        let applied = tables.update(session.idx, &update, &session.ctx);
        if let Some(family) = update.end_of_rib() {
            if let Some((_, session)) = self.peers.session(source) {
                session.refreshing.end_of_rib(family);
            }
            self.end_of_rib(source, family);
            return Ok(());
        }
        if update.faults.is_empty() && applied == Applied::default() {
            return Ok(());
        }
        let stats = &mut self.peers.entry(source.peer).stats;
        stats.as_loops += u64::from(applied.looped);
        stats.reflection_loops += u64::from(applied.reflected);
        stats.treated_as_withdraw += u64::from(applied.treated_as_withdraw);
        stats.route_leaks += u64::from(applied.leaked);
        stats.attributes_discarded +=
            update.faults.iter().filter(|f| f.verdict == Verdict::Discard).count() as u64;
        let mut faults: Vec<(AttributeFault, &[u8])> =
            update.faults.iter().map(|fault| (*fault, errors::octets(fault, body))).collect();
        if applied.treated_as_withdraw && update.verdict != Verdict::TreatAsWithdraw {
            let path = update.attributes.get(code::AS_PATH).unwrap_or_default();
            let fault = if applied.as_set { AttributeFault::as_set() } else { AttributeFault::first_as() };
            faults.push((fault, path));
        }
        self.note(source, &faults);
        if applied.leaked {
            self.note_leak(source, &update);
        }
        Ok(())
    }

    /// Paths of a peer were left out, because it has too many for one prefix.
    pub(crate) fn refused(&mut self, idx: PeerIdx, paths: u64) {
        let Some(source) = self.egress.source(idx) else { return };
        let stats = &mut self.peers.entry(source.peer).stats;
        stats.paths_refused += paths;
        if stats.may_log(Instant::now()) {
            let _span = self.span(source).entered();
            tracing::warn!(paths, most = rib::MAX_PATHS, "too many paths for one prefix: left out");
        }
    }

    /// Counts, keeps and, unless there are too many, logs what is wrong with an UPDATE.
    fn note(&mut self, source: Source, faults: &[(AttributeFault, &[u8])]) {
        let stats = &mut self.peers.entry(source.peer).stats;
        faults.iter().for_each(|(fault, octets)| stats.faults.note(fault, octets));
        if faults.is_empty() || !stats.may_log(Instant::now()) {
            return;
        }
        let _span = self.span(source).entered();
        for (fault, octets) in faults {
            let (verdict, octets) = (fault.verdict.name(), hex(octets));
            tracing::warn!(%fault, verdict, octets, "malformed attribute");
        }
    }

    /// Logs a route leak, unless there are too many lines.
    fn note_leak(&mut self, source: Source, update: &Update<'_>) {
        if !self.peers.entry(source.peer).stats.may_log(Instant::now()) {
            return;
        }
        let _span = self.span(source).entered();
        let marked_by = update.attributes.get(code::ONLY_TO_CUSTOMER).and_then(<[u8]>::first_chunk);
        let only_to_customer = marked_by.map(|octets| u32::from_be_bytes(*octets));
        let first = update.announced.iter().chain(update.mp_reach.iter().flat_map(Nlri::iter)).next();
        let prefix = first.map(|(_, net)| net.to_string());
        tracing::warn!(only_to_customer, prefix, "route leak: not used");
    }

    /// The span of a peer's log lines, the same as in session.
    pub(crate) fn span(&self, source: Source) -> tracing::Span {
        let Some(peer) = self.config.as_ref().and_then(|c| c.peers.get(&source.peer)) else {
            return tracing::Span::none();
        };
        tracing::error_span!("peer", peer_addr = %peer.address, asn = peer.remote_asn, epoch = source.epoch.0)
    }

    /// Has session end a session.
    fn end(&mut self, source: Source, notification: &Notification, reason: String) {
        if let Some((peer, _)) = self.peers.current(source) {
            peer.end_begins();
        }
        let Notification { code, subcode, data } = notification.clone();
        self.session.push(RdeToSession::Notify { source, code, subcode, data, reason }, Vec::new());
    }
}

fn hex(octets: &[u8]) -> String {
    let octets = octets.get(..MAX_OCTETS).unwrap_or(octets);
    octets.iter().map(|o| format!("{o:02x}")).collect()
}
