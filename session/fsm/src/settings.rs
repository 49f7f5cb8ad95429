//! What the operator wants of a peer, checked once at construction.

use std::net::Ipv4Addr;
use std::time::Duration;

use bgp::capability::AddPathMode;
use bgp::{Asn, BgpRole, FamilySet, RouterId};

use crate::limit::PrefixLimits;

/// A hold time that may be proposed or negotiated: 0 (none) or at least 3 seconds (RFC 4271 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldTime(u16);

impl HoldTime {
    /// No hold timer and no KEEPALIVEs.
    pub const NONE: HoldTime = HoldTime(0);

    /// A hold time of so many seconds; `None` for 1 and 2, which RFC 4271 §4.2 forbids.
    pub fn new(seconds: u16) -> Option<HoldTime> {
        (seconds == 0 || seconds >= 3).then_some(HoldTime(seconds))
    }

    /// In seconds.
    pub fn seconds(self) -> u16 {
        self.0
    }

    /// What two speakers agree on: the smaller one (RFC 4271 §4.2). 0 on either side means none.
    #[must_use]
    pub fn negotiate(self, other: HoldTime) -> HoldTime {
        self.min(other)
    }

    /// How long silence is endured; `None` where it is endured forever.
    pub fn hold(self) -> Option<Duration> {
        (self.0 != 0).then(|| Duration::from_secs(self.0.into()))
    }

    /// The time between KEEPALIVEs, a third of the hold time (RFC 4271 §4.4).
    pub fn keepalive(self) -> Option<Duration> {
        self.hold().map(|h| h / 3)
    }
}

/// How long a session goes on while the peer takes nothing of what we send (RFC 9687).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SendHold {
    /// What RFC 9687 proposes: eight minutes, or twice the negotiated hold time where that is longer.
    #[default]
    Standard,
    /// For ever.
    Never,
    /// So long.
    After(Duration),
}

impl SendHold {
    const STANDARD: Duration = Duration::from_secs(480);

    /// The time, where the hold time was agreed on. Without one there are no KEEPALIVEs to be taken, and the
    /// timer does not run.
    pub fn time(self, agreed: HoldTime) -> Option<Duration> {
        let hold = agreed.hold()?;
        match self {
            SendHold::Standard => Some(SendHold::STANDARD.max(hold * 2)),
            SendHold::Never => None,
            SendHold::After(time) => Some(time),
        }
    }
}

/// Which way there may be several paths of a prefix (RFC 7911).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AddPath {
    /// From the peer.
    pub receive: bool,
    /// To the peer.
    pub send: bool,
}

impl AddPath {
    /// As the capability says it; `None` where there is nothing to say.
    pub(crate) fn mode(self) -> Option<AddPathMode> {
        match (self.receive, self.send) {
            (true, true) => Some(AddPathMode::Both),
            (true, false) => Some(AddPathMode::Receive),
            (false, true) => Some(AddPathMode::Send),
            (false, false) => None,
        }
    }
}

/// What a peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Of our own AS.
    Internal,
    /// Of another one.
    External,
}

/// The configuration of one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The AS number that our OPEN carries.
    pub local_asn: Asn,
    /// Our BGP identifier.
    pub router_id: RouterId,
    /// The AS number that the peer's OPEN must carry; 0 = any that `only` allows.
    pub remote_asn: Asn,
    /// What a peer of any AS has to be.
    pub only: Option<Kind>,
    /// The hold time to propose.
    pub hold_time: HoldTime,
    /// Time between KEEPALIVEs, where a third of the agreed hold time is not wanted or is more.
    pub keepalive: Option<Duration>,
    /// When a peer that does not read is given up.
    pub send_hold: SendHold,
    /// Families to offer.
    pub families: FamilySet,
    /// What to offer of add-path, for each of them.
    pub add_path: AddPath,
    /// Our role towards an external peer (RFC 9234 §4.1).
    pub role: Option<BgpRole>,
    /// With a role: a peer that announces none is refused (RFC 9234 §4.2).
    pub role_strict: bool,
    /// How long we may be away over a restart, in seconds (RFC 4724 §3); `None`: no graceful restart.
    pub restart_time: Option<u16>,
    /// How long routes may be kept beyond that, in seconds (RFC 9494 §3.1), 0 = not at all.
    pub llgr_stale_time: u32,
    /// Never connect, only accept.
    pub passive: bool,
    /// Time between attempts to connect, before jitter and back-off.
    pub connect_retry: Duration,
    /// How many prefixes end a session.
    pub prefix_limits: PrefixLimits,
}

impl Settings {
    /// Whether the peer is in our own AS.
    pub fn is_internal(&self) -> bool {
        self.local_asn == self.remote_asn
    }

    /// Whether a peer with this AS number may have a session.
    pub fn accepts(&self, asn: Asn) -> bool {
        let internal = self.local_asn == asn;
        let fits = match self.only {
            _ if self.remote_asn != Asn(0) => asn == self.remote_asn,
            None => true,
            Some(Kind::Internal) => internal,
            Some(Kind::External) => !internal,
        };
        fits && asn != Asn(0)
    }

    /// The settings as they are for a peer with this AS number.
    pub(crate) fn towards(&self, asn: Asn) -> Settings {
        Settings { remote_asn: asn, ..self.clone() }
    }

    /// The time between KEEPALIVEs, where this hold time was agreed on: not more than a third of it (RFC 4271 §4.4),
    /// whatever the peer's made of ours. `None` where there are none.
    pub fn keepalive_interval(&self, agreed: HoldTime) -> Option<Duration> {
        let third = agreed.keepalive()?;
        Some(self.keepalive.map_or(third, |wanted| wanted.min(third)))
    }

    /// Whether a session that was opened with `self` is another one with `new`: something differs that the
    /// OPEN carries or checks, or prefixes are to be counted that were not. `peer`: the AS number of its OPEN, if there
    /// was one.
    pub fn needs_reset(&self, new: &Settings, peer: Option<Asn>) -> bool {
        let opened = |s: &Settings| {
            let restart = (s.restart_time, s.llgr_stale_time);
            let extensions = (s.add_path, restart, s.role, s.role_strict);
            (s.local_asn, s.router_id, s.hold_time, s.families, extensions)
        };
        let other_peer = match peer {
            Some(asn) => !new.accepts(asn),
            None => (self.remote_asn, self.only) != (new.remote_asn, new.only),
        };
        other_peer || opened(self) != opened(new) || self.prefix_limits.begin_in(&new.prefix_limits)
    }
}

impl Default for Settings {
    /// Values for tests and examples: private AS numbers, IPv4 unicast, 90 seconds.
    fn default() -> Settings {
        Settings {
            local_asn: Asn(64512),
            router_id: RouterId(Ipv4Addr::new(192, 0, 2, 1)),
            remote_asn: Asn(64513),
            only: None,
            hold_time: HoldTime(90),
            keepalive: None,
            send_hold: SendHold::Standard,
            families: FamilySet::EMPTY.with(bgp::Family::Ipv4Unicast),
            add_path: AddPath::default(),
            role: None,
            role_strict: false,
            restart_time: None,
            llgr_stale_time: 0,
            passive: false,
            connect_retry: Duration::from_secs(5),
            prefix_limits: PrefixLimits::default(),
        }
    }
}
