//! Drives one peer: feeds its state machine with what sockets, timers and other processes say, and carries out
//! what it answers. A task a peer; nothing here knows a route.

mod task;

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant};

use bgp::Notification;
use bgp::notification::cease;
use bytes::Bytes;
use fsm::{ConnId, Input, Outgoing, Output, Reason, Session};
use ipc::config::SessionPeer;
use ipc::control_session::{MessageCounts, Notified};
use ipc::parent_session::SessionToParent;
use ipc::session_rde::{DownReason, SessionToRdeBulk, Source};
use ipc::{Attempt, Epoch, PeerId};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tracing::Span;

use crate::accept::PER_PEER;
use crate::closing;
use crate::ended::{Ended, notified};
use crate::engine::{Closing, Engine};
use crate::limits::Rate;
use crate::outbox::Kind;
use crate::stream::Conn;
use crate::tally::Tally;
use crate::tell::{log_notification, names, negotiated};

/// A configured peer, or a dynamic one.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) id: PeerId,
    pub(crate) address: IpAddr,
    engine: Rc<Engine>,
    state: RefCell<State>,
    waker: RefCell<Option<Waker>>,
    /// The current incarnation, while Established.
    epoch: Cell<Option<Epoch>>,
    /// Written octets that rde has not heard of.
    written: Cell<u64>,
    reporting: Cell<bool>,
    /// Octets on their way to rde.
    pub(crate) outstanding: Cell<u64>,
    /// How often it connects.
    pub(crate) accepts: RefCell<Rate>,
    /// Its connections that are being closed.
    pub(crate) closing: Closing,
}

/// What changes.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) config: SessionPeer,
    pub(crate) fsm: fsm::Peer,
    pub(crate) conns: Vec<Conn>,
    connecting: Option<(u32, TcpStream)>,
    outputs: Vec<Output>,
    sleep: Option<Pin<Box<Sleep>>>,
    next_conn: u32,
    epochs: u32,
    removed: bool,
    /// Its session has ended, and its routes are kept until it is back.
    kept: bool,
    span: Span,
    pub(crate) disabled: bool,
    pub(crate) stats: Stats,
}

/// What the API shows.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    pub(crate) received: MessageCounts,
    pub(crate) sent: MessageCounts,
    pub(crate) flaps: u64,
    /// How the last connection ended that told something.
    pub(crate) last_error: String,
    /// Why no connection has come about since.
    pub(crate) connect_error: String,
    pub(crate) since: Option<Instant>,
    pub(crate) ended: Ended,
    pub(crate) notification_received: Option<Notified>,
    pub(crate) notification_sent: Option<Notified>,
    pub(crate) tally: Tally,
}

impl Stats {
    /// The last thing that went wrong. That nothing answers does not hide why the peer refused us before.
    pub(crate) fn error(&self) -> String {
        let told = [self.last_error.as_str(), self.connect_error.as_str()];
        told.into_iter().filter(|t| !t.is_empty()).collect::<Vec<_>>().join("; then ")
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// What log lines about a session say of it.
fn span_of(address: IpAddr, asn: u32, epoch: u32) -> Span {
    tracing::error_span!(parent: None, "peer", peer_addr = %address, asn, epoch)
}

impl Peer {
    /// Makes a peer, stopped, and its task.
    pub(crate) fn spawn(engine: &Rc<Engine>, config: SessionPeer, settings: fsm::Settings) -> Rc<Peer> {
        // Peers' timers shall differ, also from those of another daemon.
        let seed = u64::from(settings.router_id.to_u32()) << 16 ^ u64::from(config.id.0) ^ clock_seed();
        let mut fsm = fsm::Peer::new(settings, seed);
        if let Some(seconds) = config.restarted {
            fsm.restarted(now() + Duration::from_secs(seconds.into()));
        }
        let state = State {
            fsm,
            conns: Vec::new(),
            connecting: None,
            outputs: Vec::new(),
            sleep: None,
            next_conn: 0,
            epochs: 0,
            removed: false,
            kept: false,
            span: span_of(config.address, config.remote_asn, 0),
            disabled: config.shutdown,
            stats: Stats::default(),
            config,
        };
        let peer = Rc::new(Peer {
            id: state.config.id,
            address: state.config.address,
            engine: Rc::clone(engine),
            state: RefCell::new(state),
            waker: RefCell::default(),
            epoch: Cell::default(),
            written: Cell::default(),
            reporting: Cell::default(),
            outstanding: Cell::default(),
            accepts: RefCell::new(PER_PEER),
            closing: Closing::default(),
        });
        let task = Rc::clone(&peer);
        tokio::task::spawn_local(async move { std::future::poll_fn(|cx| task.poll(cx)).await });
        peer
    }

    pub(crate) fn epoch(&self) -> Option<Epoch> {
        self.epoch.get()
    }

    pub(crate) fn source(&self) -> Option<Source> {
        Some(Source { peer: self.id, epoch: self.epoch.get()? })
    }

    pub(crate) fn state(&self) -> std::cell::Ref<'_, State> {
        self.state.borrow()
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Feeds the state machine and carries out what it answers.
    pub(crate) fn input(&self, input: Input<'_>) {
        let state = &mut *self.state.borrow_mut();
        self.handle(state, input);
        self.wake();
    }

    pub(crate) fn handle(&self, state: &mut State, input: Input<'_>) {
        let span = state.span.clone();
        let _entered = span.enter();
        let mut outputs = std::mem::take(&mut state.outputs);
        let before = state.fsm.state();
        state.fsm.handle(now(), input, &mut outputs);
        state.stats.tally.state(before, state.fsm.state());
        for output in outputs.drain(..) {
            self.carry_out(state, output);
        }
        state.outputs = outputs;
        self.may_be_over(state);
    }

    /// A dynamic peer is there for as long as it has a connection, its routes are kept, or it is kept down.
    fn may_be_over(&self, state: &mut State) {
        let kept_down = state.disabled || state.fsm.is_held();
        if state.config.dynamic && !state.removed && state.conns.is_empty() && !state.kept && !kept_down {
            state.removed = true;
            self.engine.remove(self);
            self.engine.tell_parent(SessionToParent::PeerOver(self.id));
            self.wake();
        }
    }

    /// Nothing is left of the routes that were kept when the session of this epoch ended.
    pub(crate) fn nothing_kept(&self, epoch: Epoch) {
        let state = &mut *self.state.borrow_mut();
        if state.epochs == epoch.0 && self.epoch.get().is_none() {
            state.kept = false;
            self.may_be_over(state);
        }
    }

    /// Starts the peer if it may have a session.
    pub(crate) fn start(&self) {
        let disabled = self.state.borrow().disabled;
        if !disabled && self.engine.is_open() {
            self.input(Input::Start);
        }
    }

    /// Ends what there is with a Cease.
    pub(crate) fn stop(&self, notification: Notification) {
        self.input(Input::Stop(notification));
    }

    /// Ends what there is before a restart of ours; says whether the peer keeps our routes meanwhile.
    pub(crate) fn leave(&self, text: &str) -> bool {
        let kept = self.state.borrow().fsm.established().is_some_and(|(_, s)| s.restart.is_some());
        self.input(Input::Leave(text));
        kept
    }

    pub(crate) fn enable(&self) {
        self.state.borrow_mut().disabled = false;
        self.input(Input::Release);
        self.start();
    }

    pub(crate) fn disable(&self, reason: &str) {
        self.state.borrow_mut().disabled = true;
        self.end_for_good(Notification::cease_with_text(cease::ADMINISTRATIVE_SHUTDOWN, reason));
    }

    /// Ends what there is, or what is kept of an earlier session: the peer shall not come back.
    fn end_for_good(&self, notification: Notification) {
        if self.epoch.get().is_none() {
            self.state.borrow_mut().kept = false;
            self.engine.to_rde.event(SessionToRdeBulk::Forget(self.id));
        }
        self.stop(notification);
    }

    /// The peer is not configured any more.
    pub(crate) fn remove(&self) {
        self.state.borrow_mut().removed = true;
        self.end_for_good(Notification::cease(cease::PEER_DECONFIGURED));
    }

    pub(crate) fn configure(&self, config: SessionPeer, settings: fsm::Settings) {
        let old = {
            let state = &mut *self.state.borrow_mut();
            let asn = state.fsm.established().map_or(config.remote_asn, |(_, s)| s.remote_asn.0);
            state.span = span_of(config.address, asn, state.epochs);
            std::mem::replace(&mut state.config, config.clone())
        };
        if old.revision != config.revision || old.min_ttl != config.min_ttl {
            // The least TTL holds from a connection's first packet on, other things from its OPEN on.
            self.stop(Notification::cease(cease::OTHER_CONFIGURATION_CHANGE));
        }
        self.input(Input::Configure(settings));
        match (old.shutdown, config.shutdown) {
            (false, true) => self.disable(""),
            (true, false) => self.enable(),
            _ => self.start(),
        }
    }

    /// A connect that the parent began; it may not have come to its end.
    pub(crate) fn connecting(&self, attempt: Attempt, stream: TcpStream) {
        self.state.borrow_mut().connecting = Some((attempt.0, stream));
        self.wake();
    }

    pub(crate) fn connect_failed(&self, attempt: Attempt, error: &str) {
        self.no_connection(&mut self.state.borrow_mut(), attempt.0, error);
        self.wake();
    }

    fn no_connection(&self, state: &mut State, attempt: u32, error: &str) {
        if state.fsm.established().is_none() {
            state.stats.connect_error = format!("cannot connect: {error}");
        }
        state.span.in_scope(|| tracing::debug!(error, "cannot connect"));
        self.handle(state, Input::ConnectFailed { attempt });
    }

    pub(crate) fn adopt(&self, stream: TcpStream) -> Option<ConnId> {
        adopt(&mut self.state.borrow_mut(), stream).ok()
    }

    /// rde found an error that ends the session.
    pub(crate) fn notify(&self, notification: Notification, detail: String) {
        let established = self.state.borrow().fsm.established().map(|(conn, _)| conn);
        if let Some(conn) = established {
            self.input(Input::Fault { conn, notification, detail });
        }
    }

    /// rde has dealt with so many octets.
    pub(crate) fn credit(&self, octets: u64) {
        self.outstanding.set(self.outstanding.get().saturating_sub(octets));
        self.wake();
    }

    /// Queues messages from rde for the session's connection.
    pub(crate) fn queue_routes(&self, bytes: Bytes, updates: u32, refreshes: u32) {
        let state = &mut *self.state.borrow_mut();
        let established = state.fsm.established().map(|(conn, _)| conn);
        if let Some(conn) = state.conns.iter_mut().find(|c| Some(c.id) == established) {
            conn.outbox.push_routes(bytes, updates, refreshes);
            self.wake();
        }
    }

    /// What rde has not heard of yet.
    pub(crate) fn take_written(&self) -> Option<(Source, u64)> {
        self.reporting.set(false);
        let octets = self.written.take();
        (octets > 0).then_some((self.source()?, octets))
    }

    fn carry_out(&self, state: &mut State, output: Output) {
        match output {
            Output::Connect { attempt } => {
                self.engine
                    .tell_parent(SessionToParent::WantConnect { peer: self.id, attempt: Attempt(attempt) });
            }
            Output::Abandon { attempt } => {
                state.connecting.take_if(|(a, _)| *a == attempt);
            }
            Output::Send { conn, message } => send(state, conn, message),
            Output::Up { conn, session } => self.up(state, conn, &session),
            Output::End { conn, reason, established, restarting } => {
                let down = match (established, restarting) {
                    (false, _) => None,
                    (true, false) => Some(DownReason::Ended),
                    (true, true) => Some(DownReason::Restarting),
                };
                self.end(state, conn, &reason, down);
            }
        }
    }

    fn up(&self, state: &mut State, conn: ConnId, session: &Session) {
        let Some(conn) = state.conns.iter().find(|c| c.id == conn) else { return };
        state.epochs = state.epochs.wrapping_add(1);
        let source = Source { peer: self.id, epoch: Epoch(state.epochs) };
        self.epoch.set(Some(source.epoch));
        self.outstanding.set(0);
        self.written.set(0);
        self.reporting.set(false);
        state.kept = false;
        state.stats.since = Some(now());
        state.stats.connect_error.clear();
        state.span = span_of(state.config.address, session.remote_asn.0, state.epochs);
        let _entered = state.span.enter();
        tracing::info!(
            hold_time = session.hold_time.seconds(),
            families = names(session.families),
            router_id = %session.router_id,
            local = %conn.local,
            remote = %conn.remote,
            "peer session established"
        );
        if !session.one_sided.is_empty() {
            tracing::info!(families = names(session.one_sided), "address families of one side only");
        }
        self.engine.to_rde.event(SessionToRdeBulk::PeerUp { source, negotiated: negotiated(session, conn) });
    }

    /// A connection is over; `down`: it was a session, and what becomes of its routes.
    fn end(&self, state: &mut State, id: ConnId, reason: &Reason, down: Option<DownReason>) {
        let established = down.is_some();
        match reason {
            Reason::Sent { notification, detail } => {
                log_notification("sent", notification, detail);
                state.stats.ended.sent(notification, detail);
                state.stats.tally.notification(true, notification);
                state.stats.notification_sent = Some(notified(notification, detail));
            }
            Reason::Received(n) => {
                log_notification("received", n, "");
                state.stats.tally.notification(false, n);
                state.stats.notification_received = Some(notified(n, ""));
            }
            Reason::Lost(error) => tracing::debug!(error, "connection lost"),
            Reason::Superseded | Reason::Left => {}
        }
        match reason {
            // A peer that closes without a word does not hide what it said before.
            Reason::Lost(_) if !established => state.stats.connect_error = reason.to_string(),
            // Nor does a peer that goes on to connect hide why it is kept down.
            _ if !established && state.fsm.is_held() => {}
            _ if established || !reason.is_collision() => {
                state.stats.last_error = reason.to_string();
                state.stats.connect_error.clear();
            }
            _ => {}
        }
        if let Some(down) = down {
            state.stats.flaps += 1;
            state.stats.since = None;
            if let Some(source) = self.source() {
                self.engine.groups.leave_all(self.id);
                self.engine.to_rde.event(SessionToRdeBulk::PeerDown { source, reason: down });
            }
            self.epoch.set(None);
            // Credit for this session comes too late to be of use; the next one begins with a whole window.
            self.outstanding.set(0);
            let routes_kept = down == DownReason::Restarting;
            state.kept = routes_kept;
            tracing::info!(reason = %reason, routes_kept, "peer session down");
        }
        // After a refusal the waits grow: say so.
        if let Some(until) = state.fsm.next_attempt().filter(|_| state.fsm.state() == fsm::State::Idle) {
            let seconds = until.saturating_duration_since(now()).as_secs_f32().round();
            tracing::info!(seconds, "waiting before the next attempt to connect");
        }
        let Some(at) = state.conns.iter().position(|c| c.id == id) else { return };
        let conn = state.conns.swap_remove(at);
        if let Reason::Sent { .. } | Reason::Left = reason {
            let guards = [self.engine.closing.begin(), self.closing.begin()];
            closing::close(guards, conn.stream, conn.outbox.into_last_words());
        }
    }

    pub(crate) fn engine(&self) -> &Rc<Engine> {
        &self.engine
    }
}

/// Jitter shall not repeat from one start to the next.
fn clock_seed() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| u64::from(d.subsec_nanos()) << 32)
}

/// Takes over a connected socket.
fn adopt(state: &mut State, stream: TcpStream) -> std::io::Result<ConnId> {
    let id = ConnId(state.next_conn);
    let conn = Conn::new(id, stream)?;
    state.next_conn = state.next_conn.wrapping_add(1);
    state.conns.push(conn);
    Ok(id)
}

fn send(state: &mut State, id: ConnId, message: Outgoing) {
    let Some(conn) = state.conns.iter_mut().find(|c| c.id == id) else { return };
    let (bytes, kind) = match message {
        Outgoing::Open(open) => (open.encode().into(), Kind::Open),
        Outgoing::Keepalive => (Bytes::from_static(&bgp::header::KEEPALIVE), Kind::Keepalive),
        Outgoing::Notification(n) => {
            // What is queued goes out on the way to the end.
            count_sent(&mut state.stats.sent, Kind::Notification);
            (n.encode().into(), Kind::Notification)
        }
    };
    conn.outbox.push_urgent(bytes, kind);
}

fn count_sent(sent: &mut MessageCounts, kind: Kind) {
    match kind {
        Kind::Routes { updates, refreshes } => {
            sent.update += u64::from(updates);
            sent.route_refresh += u64::from(refreshes);
        }
        Kind::Open => sent.open += 1,
        Kind::Keepalive => sent.keepalive += 1,
        Kind::Notification => sent.notification += 1,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI32, Ordering};

    use tracing::Subscriber;
    use tracing::span::{Attributes, Id};
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
    use tracing_subscriber::registry::LookupSpan;

    use super::*;

    /// How many spans there are.
    struct Open(Arc<AtomicI32>);

    impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Open {
        fn on_new_span(&self, _: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn on_close(&self, _: Id, _: Context<'_, S>) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// A session begins while the span of the one before is entered. Its own must not be a part of that one, which
    /// would be kept for as long, and with it all that came before.
    #[test]
    fn the_span_of_a_session_goes_with_it() {
        let open = Arc::new(AtomicI32::new(0));
        let subscriber = tracing_subscriber::registry().with(Open(Arc::clone(&open)));
        tracing::subscriber::with_default(subscriber, || {
            let address = IpAddr::from([192, 0, 2, 1]);
            let mut current = span_of(address, 65001, 0);
            for epoch in 1..=1000 {
                let before = current.clone();
                let _entered = before.enter();
                current = span_of(address, 65001, epoch);
            }
            assert_eq!(open.load(Ordering::Relaxed), 1);
        });
        assert_eq!(open.load(Ordering::Relaxed), 0);
    }
}
