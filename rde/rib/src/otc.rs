//! Route leaks: what our role towards a peer makes of the ONLY_TO_CUSTOMER attribute (RFC 9234 §5).
//!
//! Whoever sends a route to a customer, a peer or a client of its route server marks it; a marked route goes to
//! customers and clients only. Roles here are ours.

use bgp::{Asn, BgpRole};

/// What becomes of a route that a peer has sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// It stays as it is.
    Unchanged,
    /// It is marked with the peer's AS, which has not done it.
    Mark,
    /// It is a leak, and not used.
    Leak,
}

/// The ingress procedure: a route of the peer with this AS, and the AS that has marked it.
pub(crate) fn received(role: BgpRole, remote_asn: u32, marked_by: Option<Asn>) -> Received {
    match (role, marked_by) {
        (BgpRole::Provider | BgpRole::Rs, Some(_)) => Received::Leak,
        (BgpRole::Peer, Some(asn)) if asn.0 != remote_asn => Received::Leak,
        (BgpRole::Customer | BgpRole::Peer | BgpRole::RsClient, None) => Received::Mark,
        _ => Received::Unchanged,
    }
}

/// The egress procedure: whether routes that are not marked are, with our AS.
pub(crate) fn marks(role: BgpRole) -> bool {
    matches!(role, BgpRole::Provider | BgpRole::Peer | BgpRole::Rs)
}

/// The egress procedure: whether marked routes are kept back.
pub(crate) fn keeps_back(role: BgpRole) -> bool {
    matches!(role, BgpRole::Customer | BgpRole::Peer | BgpRole::RsClient)
}
