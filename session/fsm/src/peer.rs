//! The arbiter above a peer's connections: when to connect, which connection survives, how long to wait.
//! RFC 4271 §6.8 and §8, RFC 6286 §2.3, RFC 4486, RFC 9687, RFC 4724 §5.

use std::cmp::Ordering;
use std::time::{Duration, Instant};

use bgp::notification::{Notification, cease};
use bgp::open::Open;
use bgp::{MAX_EXTENDED_MESSAGE, MAX_MESSAGE};

use crate::connection::{Connection, Step};
use crate::input::{ConnId, Input, Outgoing, Output};
use crate::jitter::Jitter;
use crate::limit::{Exceeded, Hold};
use crate::negotiate::{Session, our_open};
use crate::reason::Reason;
use crate::restart;
use crate::settings::Settings;

/// The longest wait between attempts.
const MAX_BACK_OFF: Duration = Duration::from_secs(120);

/// A session that lasted that long makes earlier refusals forgotten.
const STABLE: Duration = Duration::from_secs(120);

/// An attempt gets at least that long, whatever the retry time is: TCP sends its second SYN again
/// after 3 seconds, the third after 7.
const MIN_ATTEMPT: Duration = Duration::from_secs(10);

/// A state of RFC 4271 §8.2.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Stopped, waiting after a refusal, or kept down for too many prefixes.
    Idle,
    /// Waits for a TCP connection that was begun.
    Connect,
    /// Listens, and waits to try again.
    Active,
    /// Sent its OPEN.
    OpenSent,
    /// Waits for the first KEEPALIVE.
    OpenConfirm,
    /// Exchanges routes.
    Established,
}

/// What we do about a connection of our own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opening {
    /// Nothing: one is there, or the peer is passive.
    Nothing,
    /// The connect-retry timer runs; after a refusal it is the idle hold timer.
    Waiting { until: Instant, refused: bool },
    /// One was begun.
    Begun { attempt: u32, until: Instant },
}

/// The sessions of one peer.
#[derive(Debug)]
pub struct Peer {
    settings: Settings,
    jitter: Jitter,
    started: bool,
    opening: Opening,
    /// Kept down, whether started or not.
    hold: Option<Hold>,
    /// At most one that we opened and one that the peer opened.
    connections: Vec<Connection>,
    /// Refusals since the last stable session.
    refusals: u32,
    attempts: u32,
    /// We have restarted, and the peer keeps our routes of before until then, or until it has a session.
    restarted: Option<Instant>,
    /// The last OPEN told it.
    told: bool,
}

impl Peer {
    /// A peer that is stopped. `seed` decides on the jitter of its timers.
    pub fn new(settings: Settings, seed: u64) -> Peer {
        Peer {
            settings,
            jitter: Jitter::new(seed),
            started: false,
            opening: Opening::Nothing,
            hold: None,
            connections: Vec::with_capacity(2),
            refusals: 0,
            attempts: 0,
            restarted: None,
            told: false,
        }
    }

    /// We have restarted, and the peer keeps our routes of before until then: it is told so in the OPENs up to the first
    /// session (RFC 4724 §4.1).
    pub fn restarted(&mut self, until: Instant) {
        self.restarted = Some(until);
        self.told = true;
    }

    /// The OPEN that was sent last or will be sent first.
    pub fn our_open(&self) -> Open {
        our_open(&self.settings, self.told)
    }

    /// The state of the peer: that of the connection that got furthest.
    pub fn state(&self) -> State {
        let furthest = self.connections.iter().map(Connection::state).max();
        furthest.unwrap_or(match self.opening {
            _ if !self.started || self.is_held() => State::Idle,
            Opening::Waiting { refused: true, .. } => State::Idle,
            Opening::Waiting { .. } | Opening::Nothing => State::Active,
            Opening::Begun { .. } => State::Connect,
        })
    }

    /// The connection in Established and what was agreed on.
    pub fn established(&self) -> Option<(ConnId, &Session)> {
        let connection = self.connections.iter().find(|c| c.is_established())?;
        connection.session().map(|s| (connection.id, s))
    }

    /// The configuration in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether the peer is kept down because it exceeded a prefix limit.
    pub fn is_held(&self) -> bool {
        self.hold.is_some()
    }

    /// When a connection is begun again, while the peer waits for that.
    pub fn next_attempt(&self) -> Option<Instant> {
        match self.opening {
            _ if self.is_held() => self.hold_ends(),
            Opening::Waiting { until, .. } => Some(until),
            Opening::Nothing | Opening::Begun { .. } => None,
        }
    }

    /// The longest message that is taken on a connection: the longest of all once OPENs were exchanged, since ours
    /// announces that (RFC 8654 §4; what the peer announces is about what it takes).
    pub fn longest(&self, conn: ConnId) -> usize {
        let connection = self.connections.iter().find(|c| c.id == conn);
        if connection.is_some_and(|c| c.session().is_some()) { MAX_EXTENDED_MESSAGE } else { MAX_MESSAGE }
    }

    /// When [`Input::Timer`] is due next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let opening = match self.opening {
            Opening::Nothing => None,
            Opening::Waiting { until, .. } | Opening::Begun { until, .. } => Some(until),
        };
        let connections = self.connections.iter().filter_map(Connection::next_deadline);
        connections.chain(opening).chain(self.hold_ends()).min()
    }

    /// Established connections that [`Input::Timer`] would end for silence. Where octets wait to be read,
    /// say [`Input::Alive`] first.
    pub fn silent(&self, now: Instant) -> Option<ConnId> {
        self.connections.iter().find(|c| c.is_established() && c.hold_expired(now)).map(|c| c.id)
    }

    /// The Established connection that [`Input::Timer`] would end because the peer has taken nothing. Say
    /// [`Input::Taken`] first: it need not be said as it happens.
    pub fn stuck(&self, now: Instant) -> Option<ConnId> {
        self.connections.iter().find(|c| c.is_stuck(now)).map(|c| c.id)
    }

    /// Takes an event and appends what is to be done.
    pub fn handle(&mut self, now: Instant, input: Input<'_>, out: &mut Vec<Output>) {
        match input {
            Input::Start => self.start(now, out),
            Input::Stop(notification) => self.stop(now, &notification, out),
            Input::Leave(text) => self.leave(now, text, out),
            Input::Configure(settings) => self.configure(now, settings, out),
            Input::Timer => self.timer(now, out),
            Input::Connected { attempt, conn } => self.connected(now, attempt, conn, out),
            Input::ConnectFailed { attempt } => {
                if self.is_begun(attempt) {
                    self.opening = Opening::Nothing;
                    self.wait(now, false);
                }
            }
            Input::Accepted(conn) => self.accepted(now, conn, out),
            Input::Lost { conn, error } => self.end(now, conn, Reason::Lost(error), out),
            Input::Received { conn, kind, body } => self.received(now, conn, kind, body, out),
            Input::Fault { conn, notification, detail } => {
                self.end(now, conn, Reason::Sent { notification, detail }, out);
            }
            Input::OverLimit(exceeded) => self.over_limit(now, &exceeded, out),
            Input::Release => self.release(now, out),
            Input::Taken { conn, at } => {
                if let Some(c) = self.find(conn) {
                    c.taken(at);
                }
            }
            Input::Alive(conn) => {
                if let Some(c) = self.find(conn) {
                    c.alive(now);
                }
            }
        }
    }

    fn start(&mut self, now: Instant, out: &mut Vec<Output>) {
        if !self.started {
            self.started = true;
            self.refusals = 0;
            self.connect(now, out);
        }
    }

    fn stop(&mut self, now: Instant, notification: &Notification, out: &mut Vec<Output>) {
        self.started = false;
        self.abandon(out);
        self.end_all(now, notification, out);
    }

    fn leave(&mut self, now: Instant, text: &str, out: &mut Vec<Output>) {
        self.started = false;
        self.abandon(out);
        while let Some(connection) = self.connections.first() {
            let established = connection.session().filter(|_| connection.is_established());
            let (id, reason) = (connection.id, restart::farewell(established, text));
            self.end(now, id, reason, out);
        }
    }

    fn configure(&mut self, now: Instant, settings: Settings, out: &mut Vec<Output>) {
        let asn = self.connections.iter().find_map(Connection::session).map(|s| s.remote_asn);
        let reset = self.settings.needs_reset(&settings, asn);
        let passive = (self.settings.passive, settings.passive);
        self.settings = settings;
        if reset {
            self.refusals = 0;
            self.end_all(now, &Notification::cease(cease::OTHER_CONFIGURATION_CHANGE), out);
        }
        let Peer { connections, settings, .. } = self;
        connections.iter_mut().for_each(|c| c.set_send_hold(now, settings));
        match passive {
            (false, true) => self.abandon(out),
            (true, false) if self.started && self.connections.is_empty() => self.connect(now, out),
            _ => {}
        }
        if self.hold.as_ref().is_some_and(|h| self.settings.prefix_limits.allow_more_than(&h.exceeded)) {
            self.release(now, out);
        }
        if reset && self.started && matches!(self.opening, Opening::Waiting { .. }) {
            self.wait(now, false);
        }
    }

    /// The session ends, and none comes about before the operator, the time or another limit allows it.
    fn over_limit(&mut self, now: Instant, exceeded: &Exceeded, out: &mut Vec<Output>) {
        let Some((conn, _)) = self.established() else { return };
        let limits = self.settings.prefix_limits;
        let then = match limits.restart {
            // The limit was raised meanwhile: the next session has the new one.
            _ if limits.allow_more_than(exceeded) => "trying again with another limit".to_owned(),
            None => "down until enabled".to_owned(),
            Some(wait) => format!("down for {} minutes, or until enabled", wait.as_secs() / 60),
        };
        if !limits.allow_more_than(exceeded) {
            let until = limits.restart.map(|wait| now + wait);
            self.hold = Some(Hold { exceeded: *exceeded, until });
        }
        let reason = Reason::Sent { notification: exceeded.notification(), detail: exceeded.detail(&then) };
        self.end(now, conn, reason, out);
    }

    fn hold_ends(&self) -> Option<Instant> {
        self.hold.as_ref().and_then(|h| h.until)
    }

    fn release(&mut self, now: Instant, out: &mut Vec<Output>) {
        if self.hold.take().is_some() {
            self.refusals = 0;
            self.connect(now, out);
        }
    }

    fn timer(&mut self, now: Instant, out: &mut Vec<Output>) {
        if self.hold_ends().is_some_and(|until| until <= now) {
            self.release(now, out);
        }
        let ids: Vec<ConnId> = self.connections.iter().map(|c| c.id).collect();
        for id in ids {
            let Peer { connections, jitter, settings, .. } = self;
            let step = connections.iter_mut().find(|c| c.id == id).map(|c| c.timer(now, settings, jitter));
            self.follow(now, id, step.unwrap_or(Step::Nothing), out);
        }
        match self.opening {
            Opening::Waiting { until, .. } if until <= now => self.connect(now, out),
            Opening::Begun { until, .. } if until <= now => {
                self.abandon(out);
                self.connect(now, out);
            }
            _ => {}
        }
    }

    fn connected(&mut self, now: Instant, attempt: u32, conn: ConnId, out: &mut Vec<Output>) {
        if self.is_begun(attempt) && !self.connections.iter().any(Connection::is_established) {
            self.opening = Opening::Nothing;
            self.open(now, conn, true, out);
        } else {
            out.push(unused(conn, Reason::Superseded));
        }
    }

    /// The peer's own connection is used at once, whatever becomes of ours; also while we back off: who
    /// comes back quickly after an error is not locked out.
    fn accepted(&mut self, now: Instant, conn: ConnId, out: &mut Vec<Output>) {
        if !self.started {
            return refuse(conn, cease::CONNECTION_REJECTED, "the peer is administratively down", out);
        }
        if let Some(session) = self.connections.iter().find(|c| c.has_restarted(now)).map(|c| c.id) {
            // RFC 4724 §5: the peer has forgotten the old one; nothing is sent on it.
            self.end(now, session, Reason::Superseded, out);
        }
        if self.is_held() {
            return refuse(conn, cease::CONNECTION_REJECTED, "the peer exceeded its prefix limit", out);
        }
        if self.connections.iter().any(Connection::is_established) {
            // RFC 4271 §6.8: a connection in Established is never closed in favour of a newer one.
            let detail = "a session is already established";
            return refuse(conn, cease::CONNECTION_COLLISION, detail, out);
        }
        if let Opening::Waiting { .. } = self.opening {
            self.opening = Opening::Nothing;
        }
        // Two connections that the peer opened: it has given up the older one, maybe without our knowing.
        let older = self.connections.iter().find(|c| !c.ours).map(|c| c.id);
        self.open(now, conn, false, out);
        if let Some(older) = older {
            self.end(now, older, collision("the peer connected again"), out);
        }
    }

    fn received(&mut self, now: Instant, conn: ConnId, kind: u8, body: &[u8], out: &mut Vec<Output>) {
        let Peer { connections, jitter, settings, .. } = self;
        let Some(connection) = connections.iter_mut().find(|c| c.id == conn) else { return };
        let step = connection.received(now, settings, jitter, kind, body);
        self.follow(now, conn, step, out);
    }

    fn follow(&mut self, now: Instant, conn: ConnId, step: Step, out: &mut Vec<Output>) {
        match step {
            Step::Nothing => {}
            Step::Keepalive => out.push(Output::Send { conn, message: Outgoing::Keepalive }),
            Step::Opened => self.opened(now, conn, out),
            Step::Established => self.up(now, conn, out),
            Step::Over(reason) => self.end(now, conn, reason, out),
        }
    }

    /// An OPEN was accepted: if there is another connection that got as far, one of them has to go
    /// (RFC 4271 §6.8).
    fn opened(&mut self, now: Instant, conn: ConnId, out: &mut Vec<Output>) {
        let rival = self.connections.iter().find(|c| c.id != conn && c.state() >= State::OpenConfirm);
        if let Some(rival) = rival {
            let loser = if rival.is_established() || self.is_preferred(rival) { conn } else { rival.id };
            self.end(now, loser, collision("the other connection is kept"), out);
            if loser == conn {
                return;
            }
        }
        out.push(Output::Send { conn, message: Outgoing::Keepalive });
    }

    /// Whether it is the one of two connections that RFC 4271 §6.8 keeps: opened by the speaker
    /// with the higher identifier, or the higher AS where those are equal (RFC 6286 §2.3).
    fn is_preferred(&self, connection: &Connection) -> bool {
        let Some(session) = connection.session() else { return false };
        let by_id = self.settings.router_id.to_u32().cmp(&session.router_id.to_u32());
        let by_as = self.settings.local_asn.cmp(&session.remote_asn);
        let we_win = by_id.then(by_as) == Ordering::Greater;
        connection.ours == we_win
    }

    fn up(&mut self, now: Instant, conn: ConnId, out: &mut Vec<Output>) {
        // A rival in OpenSent or OpenConfirm has lost the race.
        let rivals: Vec<ConnId> = self.connections.iter().map(|c| c.id).filter(|id| *id != conn).collect();
        for rival in rivals {
            self.end(now, rival, collision("the other connection is established"), out);
        }
        self.abandon(out);
        self.restarted = None;
        let session = self.find(conn).and_then(|c| c.session().cloned());
        if let Some(session) = session {
            out.push(Output::Up { conn, session: Box::new(session) });
        }
    }

    fn open(&mut self, now: Instant, id: ConnId, ours: bool, out: &mut Vec<Output>) {
        self.connections.push(Connection::new(now, id, ours));
        self.told = self.restarted.is_some_and(|until| now < until);
        out.push(Output::Send { conn: id, message: Outgoing::Open(self.our_open()) });
    }

    fn end_all(&mut self, now: Instant, notification: &Notification, out: &mut Vec<Output>) {
        while let Some(id) = self.connections.first().map(|c| c.id) {
            let reason = Reason::Sent { notification: notification.clone(), detail: String::new() };
            self.end(now, id, reason, out);
        }
    }

    /// Ends a connection; after the last one, waits to try again.
    fn end(&mut self, now: Instant, id: ConnId, reason: Reason, out: &mut Vec<Output>) {
        let Some(at) = self.connections.iter().position(|c| c.id == id) else { return };
        let connection = self.connections.swap_remove(at);
        let uptime = connection.uptime(now);
        if uptime.is_some_and(|t| t >= STABLE) {
            self.refusals = 0;
        }
        let (reason, restarting) = match connection.session().filter(|_| uptime.is_some()) {
            Some(session) => {
                let reason = reason.hardened(session);
                let restarting = restart::keeps_routes(session, &reason);
                (reason, restarting)
            }
            None => (reason, false),
        };
        let refused = reason.is_refusal();
        if refused {
            self.refusals = self.refusals.saturating_add(1);
        }
        if let Reason::Sent { notification, .. } = &reason {
            out.push(Output::Send { conn: id, message: Outgoing::Notification(notification.clone()) });
        }
        out.push(Output::End { conn: id, reason, established: uptime.is_some(), restarting });
        if self.connections.is_empty() {
            if refused {
                // RFC 4271: after an error the peer goes to Idle, its attempt ends.
                self.abandon(out);
            }
            self.wait(now, refused);
        }
    }

    /// Begins a connection of our own, if one is wanted.
    fn connect(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.opening = Opening::Nothing;
        if self.wants_connection() {
            self.attempts = self.attempts.wrapping_add(1);
            let attempt = self.attempts;
            let until = now + self.settings.connect_retry.max(MIN_ATTEMPT);
            self.opening = Opening::Begun { attempt, until };
            out.push(Output::Connect { attempt });
        }
    }

    /// Arms the connect-retry timer, unless an attempt is under way or none is wanted.
    fn wait(&mut self, now: Instant, refused: bool) {
        if self.wants_connection() && !matches!(self.opening, Opening::Begun { .. }) {
            let base = self.settings.connect_retry.max(Duration::from_secs(1));
            let doublings = if refused { self.refusals.saturating_sub(1).min(10) } else { 0 };
            let delay = (base * (1 << doublings)).min(MAX_BACK_OFF.max(base));
            self.opening = Opening::Waiting { until: now + self.jitter.shorten(delay), refused };
        }
    }

    fn wants_connection(&self) -> bool {
        self.started && !self.is_held() && !self.settings.passive && self.connections.is_empty()
    }

    fn abandon(&mut self, out: &mut Vec<Output>) {
        if let Opening::Begun { attempt, .. } = self.opening {
            out.push(Output::Abandon { attempt });
        }
        self.opening = Opening::Nothing;
    }

    fn is_begun(&self, attempt: u32) -> bool {
        matches!(self.opening, Opening::Begun { attempt: a, .. } if a == attempt)
    }

    fn find(&mut self, id: ConnId) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|c| c.id == id)
    }
}

fn collision(detail: &str) -> Reason {
    Reason::Sent { notification: Notification::cease(cease::CONNECTION_COLLISION), detail: detail.to_owned() }
}

/// Refuses a connection that never became one of the peer's.
fn refuse(conn: ConnId, subcode: u8, detail: &str, out: &mut Vec<Output>) {
    let notification = Notification::cease(subcode);
    let message = Outgoing::Notification(notification.clone());
    out.push(Output::Send { conn, message });
    let reason = Reason::Sent { notification, detail: detail.to_owned() };
    out.push(unused(conn, reason));
}

/// The end of a connection that never was a session.
fn unused(conn: ConnId, reason: Reason) -> Output {
    Output::End { conn, reason, established: false, restarting: false }
}
