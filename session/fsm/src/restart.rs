//! Graceful restart as far as sessions decide about it: what two OPENs agree on, which end of a session lets
//! the other side's routes live on, and which of our NOTIFICATIONs must not. RFC 4724, RFC 8538.

use bgp::capability::{Capability, GracefulFamily};
use bgp::notification::{Notification, cease, code};
use bgp::{Family, FamilySet};

use crate::negotiate::Session;
use crate::reason::Reason;

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

/// What the peer's capability says of the negotiated families. The last one counts (RFC 4724 §3).
pub(crate) fn negotiate(capabilities: &[Capability], negotiated: FamilySet) -> Option<Restart> {
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
            })
        }
        _ => None,
    })
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
    let Some(restart) = session.restart.filter(|r| !r.families.is_empty()) else { return false };
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
