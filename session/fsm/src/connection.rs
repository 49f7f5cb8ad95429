//! One TCP connection of a peer from OpenSent to Established: RFC 4271 §8.2.2, RFC 6608, RFC 9687.

use std::time::{Duration, Instant};

use bgp::header::MessageType;
use bgp::notification::{Notification, fsm_error};

use crate::input::ConnId;
use crate::jitter::Jitter;
use crate::negotiate::{Session, negotiate};
use crate::peer::State;
use crate::reason::Reason;
use crate::settings::Settings;

/// The hold time before the peer's OPEN is known (RFC 4271 §8.2.2: "a HoldTimer value of 4 minutes is
/// suggested").
const LARGE_HOLD: Duration = Duration::from_secs(240);

/// How long connections that both sides begin at once may be under way: one try of TCP and the next.
const CROSSING: Duration = Duration::from_secs(4);

/// A connection. Its OPEN is sent when it is made.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnId,
    /// We opened it, not the peer.
    pub(crate) ours: bool,
    stage: Stage,
    hold: Option<Instant>,
    keepalive: Option<Instant>,
    /// While Established: since when the peer has taken nothing, as far as is known, and how long it may.
    send_hold: Option<(Instant, Duration)>,
}

#[derive(Debug)]
enum Stage {
    OpenSent,
    OpenConfirm(Box<Session>),
    Established { session: Box<Session>, since: Instant },
}

/// What an event led to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing to do.
    Nothing,
    /// The peer's OPEN is good: resolve collisions, answer with a KEEPALIVE.
    Opened,
    /// The first KEEPALIVE: routes may flow.
    Established,
    /// Send a KEEPALIVE.
    Keepalive,
    /// It is over; with [`Reason::Sent`] the NOTIFICATION is still to be sent.
    Over(Reason),
}

impl Connection {
    pub(crate) fn new(now: Instant, id: ConnId, ours: bool) -> Connection {
        Connection {
            id,
            ours,
            stage: Stage::OpenSent,
            hold: Some(now + LARGE_HOLD),
            keepalive: None,
            send_hold: None,
        }
    }

    pub(crate) fn state(&self) -> State {
        match self.stage {
            Stage::OpenSent => State::OpenSent,
            Stage::OpenConfirm(_) => State::OpenConfirm,
            Stage::Established { .. } => State::Established,
        }
    }

    pub(crate) fn is_established(&self) -> bool {
        matches!(self.stage, Stage::Established { .. })
    }

    pub(crate) fn session(&self) -> Option<&Session> {
        match &self.stage {
            Stage::OpenSent => None,
            Stage::OpenConfirm(session) | Stage::Established { session, .. } => Some(session),
        }
    }

    /// Whether a further connection from the peer says that it has restarted without our noticing (RFC 4724 §5). Not
    /// so soon after the beginning of the session: then it is one that was on its way together with this one.
    pub(crate) fn has_restarted(&self, now: Instant) -> bool {
        self.uptime(now).is_some_and(|t| t >= CROSSING)
            && self.session().and_then(|s| s.restart).is_some_and(|r| r.keeps_any())
    }

    /// How long it has been Established.
    pub(crate) fn uptime(&self, now: Instant) -> Option<Duration> {
        match self.stage {
            Stage::Established { since, .. } => Some(now.saturating_duration_since(since)),
            _ => None,
        }
    }

    pub(crate) fn hold_expired(&self, now: Instant) -> bool {
        self.hold.is_some_and(|at| at <= now)
    }

    /// Whether, as far as is known, the peer has taken nothing for too long.
    pub(crate) fn is_stuck(&self, now: Instant) -> bool {
        self.send_hold_ends().is_some_and(|at| at <= now)
    }

    fn send_hold_ends(&self) -> Option<Instant> {
        self.send_hold.map(|(since, time)| since + time)
    }

    /// The peer took something.
    pub(crate) fn taken(&mut self, at: Instant) {
        if let Some((since, _)) = &mut self.send_hold {
            *since = at.max(*since);
        }
    }

    /// Begins or changes the time that the peer has to take something (RFC 9687).
    pub(crate) fn set_send_hold(&mut self, now: Instant, settings: &Settings) {
        let Stage::Established { session, .. } = &self.stage else { return };
        let since = self.send_hold.map_or(now, |(since, _)| since);
        self.send_hold = settings.send_hold.time(session.hold_time).map(|time| (since, time));
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.hold.into_iter().chain(self.keepalive).chain(self.send_hold_ends()).min()
    }

    pub(crate) fn timer(&mut self, now: Instant, settings: &Settings, jitter: &mut Jitter) -> Step {
        if self.hold_expired(now) {
            return over(Notification::hold_timer_expired(), "nothing was heard from the peer");
        }
        if self.is_stuck(now)
            && let Some((_, time)) = self.send_hold
        {
            let detail = format!("the peer has taken nothing for {} s", time.as_secs());
            return over(Notification::send_hold_timer_expired(), &detail);
        }
        if self.keepalive.is_some_and(|at| at <= now) {
            self.arm_keepalive(now, settings, jitter);
            return Step::Keepalive;
        }
        Step::Nothing
    }

    /// Octets arrived, or wait to be read. Before Established only messages count.
    pub(crate) fn alive(&mut self, now: Instant) {
        if let Stage::Established { session, .. } = &self.stage {
            self.hold = session.hold_time.hold().map(|h| now + h);
        }
    }

    pub(crate) fn received(
        &mut self,
        now: Instant,
        settings: &Settings,
        jitter: &mut Jitter,
        kind: u8,
        body: &[u8],
    ) -> Step {
        let kind = match MessageType::try_from(kind) {
            Ok(MessageType::Notification) => return notified(body),
            Ok(kind) => kind,
            Err(unknown) => {
                use bgp::notification::header_error::BAD_MESSAGE_TYPE;
                return over(Notification::header(BAD_MESSAGE_TYPE, vec![unknown.0]), "");
            }
        };
        match (&self.stage, kind) {
            (Stage::OpenSent, MessageType::Open) => self.open(now, settings, jitter, body),
            (Stage::OpenConfirm(_), MessageType::Keepalive) => self.establish(now, settings),
            (Stage::Established { .. }, kind) if kind != MessageType::Open => {
                self.alive(now);
                Step::Nothing
            }
            _ => self.unexpected(kind),
        }
    }

    fn open(&mut self, now: Instant, settings: &Settings, jitter: &mut Jitter, body: &[u8]) -> Step {
        match negotiate(settings, body) {
            Ok(session) => {
                // Without a hold time the first KEEPALIVE is still waited for no longer than that.
                self.hold = Some(now + session.hold_time.hold().unwrap_or(LARGE_HOLD));
                self.stage = Stage::OpenConfirm(Box::new(session));
                self.arm_keepalive(now, settings, jitter);
                Step::Opened
            }
            Err(refusal) => {
                Step::Over(Reason::Sent { notification: refusal.notification, detail: refusal.detail })
            }
        }
    }

    fn establish(&mut self, now: Instant, settings: &Settings) -> Step {
        let stage = std::mem::replace(&mut self.stage, Stage::OpenSent);
        let Stage::OpenConfirm(session) = stage else {
            self.stage = stage;
            return Step::Nothing;
        };
        self.hold = session.hold_time.hold().map(|h| now + h);
        self.stage = Stage::Established { session, since: now };
        self.set_send_hold(now, settings);
        Step::Established
    }

    /// RFC 6608 §4.
    fn unexpected(&self, kind: MessageType) -> Step {
        let subcode = match self.stage {
            Stage::OpenSent => fsm_error::UNEXPECTED_IN_OPEN_SENT,
            Stage::OpenConfirm(_) => fsm_error::UNEXPECTED_IN_OPEN_CONFIRM,
            Stage::Established { .. } => fsm_error::UNEXPECTED_IN_ESTABLISHED,
        };
        over(Notification::unexpected_message(subcode, kind as u8), &format!("{kind:?}"))
    }

    fn arm_keepalive(&mut self, now: Instant, settings: &Settings, jitter: &mut Jitter) {
        let interval = self.session().and_then(|s| settings.keepalive_interval(s.hold_time));
        self.keepalive = interval.map(|i| now + jitter.shorten(i));
    }
}

/// One that is too short is an error about which nothing can be sent (RFC 4271 §6.4).
fn notified(body: &[u8]) -> Step {
    Step::Over(match Notification::decode(body) {
        Some(notification) => Reason::Received(notification),
        None => Reason::Lost("the peer sent a NOTIFICATION without code and subcode".to_owned()),
    })
}

fn over(notification: Notification, detail: &str) -> Step {
    Step::Over(Reason::Sent { notification, detail: detail.to_owned() })
}
