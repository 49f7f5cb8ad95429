//! Graceful restart as far as sessions decide about it: what two OPENs agree on, which end of a session lets
//! the other side's routes live on, and which of our NOTIFICATIONs must not. RFC 4724, RFC 8538, RFC 9494.

use bgp::capability::{Capability, GracefulFamily, LongLivedFamily};
use bgp::notification::{Notification, cease, code};
use bgp::{Family, FamilySet};

use crate::negotiate::Session;
use crate::reason::Reason;
use crate::settings::Settings;

/// What the peer announced about restarts, where we did so too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restart {
    /// R bit: the peer has restarted.
    pub restarting: bool,
    /// Both set the N bit: a NOTIFICATION is not the end, unless it is a Hard Reset (RFC 8538 §4).
    pub notification: bool,
    /// How long its next restart may take, in seconds.
    pub restart_time: u16,
    /// Negotiated families whose routes it wants kept.
    pub families: FamilySet,
    /// Those whose forwarding state it has kept (F bit).
    pub forwarding: FamilySet,
    /// What it announced about longer absences, where we did so too.
    pub long_lived: Option<LongLived>,
}

/// What the peer announced about absences that take longer than a restart (RFC 9494 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LongLived {
    /// For how many seconds its routes are kept, by [`Family`] number, 0 = not at all: what it announced, and no
    /// more than we are configured for (RFC 9494 §4.2).
    pub stale_times: [u32; 4],
    /// Families whose forwarding state it has kept (F bit).
    pub forwarding: FamilySet,
}

impl Restart {
    /// Whether there is a family whose routes outlive the session.
    pub(crate) fn keeps_any(&self) -> bool {
        !self.families.is_empty() || self.long_lived.is_some_and(|l| l.stale_times != [0; 4])
    }
}

/// The capability that we announce. We forward nothing ourselves, so that no forwarding state is ever lost
/// with us: the F bit is set for every family (RFC 8538 §4).
pub(crate) fn capability(families: FamilySet, restart_time: u16, restarting: bool) -> Capability {
    let graceful = |f: Family| GracefulFamily { afi: f.afi(), safi: f.safi(), forwarding: true };
    Capability::GracefulRestart {
        restarting,
        notification: true,
        restart_time,
        families: families.iter().map(graceful).collect(),
    }
}

/// The capability for longer absences, where they are configured. It needs the other one beside it (RFC 9494 §4.1).
pub(crate) fn long_lived_capability(settings: &Settings) -> Option<Capability> {
    let stale_time = settings.llgr_stale_time;
    let long_lived =
        |f: Family| LongLivedFamily { afi: f.afi(), safi: f.safi(), forwarding: true, stale_time };
    let wanted = settings.restart_time.is_some() && stale_time > 0;
    wanted.then(|| Capability::LongLivedGracefulRestart(settings.families.iter().map(long_lived).collect()))
}

/// What the peer's capabilities say of the negotiated families. The last one of each counts (RFC 4724 §3). That
/// for longer absences is nothing without the other one (RFC 9494 §4.1).
pub(crate) fn negotiate(
    settings: &Settings,
    capabilities: &[Capability],
    negotiated: FamilySet,
) -> Option<Restart> {
    settings.restart_time?;
    let long_lived = long_lived(settings.llgr_stale_time, capabilities, negotiated);
    capabilities.iter().rev().find_map(|c| match c {
        Capability::GracefulRestart { restarting, notification, restart_time, families } => {
            let of = |f: &&GracefulFamily| Family::from_afi_safi(f.afi, f.safi);
            let known = families.iter().filter_map(|f| of(&f));
            let kept = families.iter().filter(|f| f.forwarding).filter_map(|f| of(&f));
            Some(Restart {
                restarting: *restarting,
                notification: *notification,
                restart_time: *restart_time,
                families: known.collect::<FamilySet>().intersection(negotiated),
                forwarding: kept.collect::<FamilySet>().intersection(negotiated),
                long_lived,
            })
        }
        _ => None,
    })
}

fn long_lived(most: u32, capabilities: &[Capability], negotiated: FamilySet) -> Option<LongLived> {
    let families = capabilities.iter().rev().find_map(|c| match c {
        Capability::LongLivedGracefulRestart(families) if most > 0 => Some(families),
        _ => None,
    })?;
    let mut said = LongLived::default();
    for f in families {
        let family = Family::from_afi_safi(f.afi, f.safi).filter(|family| negotiated.contains(*family));
        let Some(family) = family else { continue };
        said.stale_times[family as usize] = f.stale_time.min(most);
        if f.forwarding {
            said.forwarding.insert(family);
        }
    }
    Some(said)
}

/// How a connection is left for a restart of ours. To a peer with the N bit a NOTIFICATION does no harm; another one
/// that supports restarts is left without one (RFC 4724 §4).
pub(crate) fn farewell(established: Option<&Session>, text: &str) -> Reason {
    let subcode = match established.and_then(|s| s.restart) {
        Some(r) if r.notification => cease::ADMINISTRATIVE_RESET,
        Some(_) => return Reason::Left,
        None => cease::ADMINISTRATIVE_SHUTDOWN,
    };
    Reason::Sent { notification: Notification::cease_with_text(subcode, text), detail: String::new() }
}

/// Whether the peer's routes are kept as stale when an Established session ends like that.
pub(crate) fn keeps_routes(session: &Session, reason: &Reason) -> bool {
    let Some(restart) = session.restart.filter(Restart::keeps_any) else { return false };
    match reason {
        // RFC 4724 §4.2: the connection fails, or the peer begins another one.
        Reason::Lost(_) | Reason::Superseded => true,
        Reason::Left => false,
        // RFC 8538 §4.
        Reason::Sent { notification, .. } | Reason::Received(notification) => {
            restart.notification && !is_hard_reset(notification)
        }
    }
}

fn is_hard_reset(n: &Notification) -> bool {
    (n.code, n.subcode) == (code::CEASE, cease::HARD_RESET)
}

/// The NOTIFICATION as a peer is sent it that takes others for the beginning of a restart: what is meant for good is
/// wrapped in a Hard Reset (RFC 8538 §5.1).
pub(crate) fn hardened(session: &Session, notification: Notification) -> Notification {
    use cease::{ADMINISTRATIVE_SHUTDOWN, MAXIMUM_PREFIXES, PEER_DECONFIGURED};
    let for_good = notification.code == code::CEASE
        && matches!(notification.subcode, MAXIMUM_PREFIXES | ADMINISTRATIVE_SHUTDOWN | PEER_DECONFIGURED);
    if for_good && session.restart.is_some_and(|r| r.notification) {
        Notification::hard_reset(&notification)
    } else {
        notification
    }
}
