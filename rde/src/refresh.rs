//! ROUTE-REFRESH both ways (RFC 2918, RFC 7313): peers that want their table again, peers that send theirs again,
//! and peers that are asked to.

use std::time::Instant;

use bgp::notification::Notification;
use bgp::refresh::{RouteRefresh, Subtype};
use bgp::{Family, FamilySet};
use ipc::PeerId;
use ipc::control_rde::SoftResetError;
use ipc::session_rde::{Negotiated, Source};
use rib::PeerIdx;

use crate::engine::Engine;

/// How long a refresh of a peer may take, in milliseconds. After that what has not come again goes as if the peer
/// had ended it (RFC 7313 §4).
const LONGEST: u64 = 360_000;

/// What there is to know about the refreshes of a session.
#[derive(Debug, Clone)]
pub(crate) struct Refreshing {
    /// The peer may be asked for its routes (RFC 2918 §2).
    may_be_asked: bool,
    /// Tables are sent again with a mark at the begin and one at the end (RFC 7313 §3.1).
    enhanced: bool,
    /// Families in which what the peer begins is ignored, since its End-of-RIB has not come (RFC 7313 §4).
    initial: FamilySet,
    /// Since when the peer sends its table again, by family number.
    since: [Option<u64>; 4],
}

impl Refreshing {
    pub(crate) fn new(negotiated: &Negotiated) -> Refreshing {
        let waits = negotiated.refresh_after_end_of_rib;
        Refreshing {
            may_be_asked: negotiated.route_refresh,
            enhanced: negotiated.enhanced_refresh,
            initial: if waits { negotiated.families } else { FamilySet::EMPTY },
            since: [None; 4],
        }
    }

    /// The peer's initial routes of the family are here.
    pub(crate) fn end_of_rib(&mut self, family: Family) {
        self.initial = self.initial.iter().filter(|f| *f != family).collect();
    }

    /// The peer begins, perhaps once more. `false`: that is ignored.
    fn begin(&mut self, family: Family, now: u64) -> bool {
        let counts = !self.initial.contains(family);
        if counts {
            self.since[family as usize] = Some(now);
        }
        counts
    }

    /// It ends. `false`: it has not begun.
    fn end(&mut self, family: Family) -> bool {
        self.since[family as usize].take().is_some()
    }

    /// A family whose refresh has taken too long. It counts as ended.
    fn take_overdue(&mut self, now: u64) -> Option<Family> {
        let overdue = |f: &Family| self.since[*f as usize].is_some_and(|s| now.saturating_sub(s) >= LONGEST);
        let family = Family::ALL.into_iter().find(overdue)?;
        self.since[family as usize] = None;
        Some(family)
    }
}

impl Engine {
    /// A ROUTE-REFRESH of a peer, without its header.
    pub(crate) fn route_refresh(&mut self, source: Source, body: &[u8]) -> Result<(), Notification> {
        let now = self.now();
        let (Some(tables), Some((stats, session))) = (&mut self.tables, self.peers.session(source)) else {
            return Ok(());
        };
        let enhanced = session.refreshing.enhanced;
        let refresh =
            if enhanced { RouteRefresh::decode(body)? } else { RouteRefresh::decode_request(body)? };
        let family = Family::from_afi_safi(refresh.afi, refresh.safi);
        // RFC 2918 §4: a family that was not agreed on is ignored.
        let Some(family) = family.filter(|f| session.ctx.families.contains(*f)) else { return Ok(()) };
        let ignored = match refresh.subtype {
            Subtype::Request => {
                tables.refresh(session.idx, family);
                return Ok(());
            }
            Subtype::Begin if session.refreshing.begin(family, now) => {
                tables.mark_stale(session.idx, family);
                return Ok(());
            }
            Subtype::End if session.refreshing.end(family) => {
                tables.sweep_stale(session.idx, family);
                return Ok(());
            }
            Subtype::Begin => "begins before the End-of-RIB",
            Subtype::End => "ends without having begun",
            Subtype::Unknown(_) => "is of an unknown subtype",
        };
        if stats.may_log(Instant::now()) {
            let _span = self.span(source).entered();
            let subtype = u8::from(refresh.subtype);
            tracing::warn!(%family, subtype, "ROUTE-REFRESH ignored: it {ignored}");
        }
        Ok(())
    }

    /// Where peers have begun to send their table again and do not come to an end, it ends here.
    pub(crate) fn end_overdue_refreshes(&mut self) {
        let now = self.now();
        let mut overdue = Vec::new();
        for (peer, session) in self.peers.sessions() {
            while let Some(family) = session.refreshing.take_overdue(now) {
                overdue.push((Source { peer, epoch: session.epoch }, session.idx, family));
            }
        }
        for (source, idx, family) in overdue {
            if let Some(tables) = &mut self.tables {
                tables.sweep_stale(idx, family);
            }
            let _span = self.span(source).entered();
            let seconds = LONGEST / 1000;
            tracing::warn!(%family, seconds, "the peer does not end its route refresh: what has not come again goes");
        }
    }

    /// The tables begin or end to send a peer its table again.
    pub(crate) fn demarcate(&mut self, idx: PeerIdx, family: Family, subtype: Subtype) {
        let session = self.egress.source(idx).and_then(|source| self.peers.session(source));
        if session.is_some_and(|(_, s)| s.refreshing.enhanced) {
            self.send_refresh(idx, family, subtype);
        }
    }

    fn send_refresh(&mut self, idx: PeerIdx, family: Family, subtype: Subtype) {
        let message = RouteRefresh { afi: family.afi(), safi: family.safi(), subtype }.encode();
        if let Some(tables) = &self.tables {
            tables.sent(idx, message.len() as u64);
        }
        self.egress.send_one(idx, message);
    }

    /// Has what a peer announced looked at again, of these families or of all; `ask`: the peer is asked for it too.
    pub(crate) fn soft_reset(
        &mut self,
        peer: PeerId,
        families: FamilySet,
        ask: bool,
    ) -> Result<(), SoftResetError> {
        let session = self.peers.get(peer).and_then(|p| p.session.as_ref()).filter(|s| !s.ending);
        let session = session.ok_or(SoftResetError::NoSession)?;
        let agreed = session.ctx.families;
        let families = if families.is_empty() { agreed } else { families };
        let missing: FamilySet = families.iter().filter(|f| !agreed.contains(*f)).collect();
        if !missing.is_empty() {
            return Err(SoftResetError::NotNegotiated(missing));
        }
        if ask && !session.refreshing.may_be_asked {
            return Err(SoftResetError::NoRouteRefresh);
        }
        let idx = session.idx;
        for family in families.iter() {
            if let Some(tables) = &mut self.tables {
                tables.reevaluate(idx, family);
            }
            if ask {
                self.send_refresh(idx, family, Subtype::Request);
            }
        }
        self.wake();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: Family = Family::Ipv4Unicast;
    const V6: Family = Family::Ipv6Unicast;

    fn refreshing(refresh_after_end_of_rib: bool) -> Refreshing {
        let local = "192.0.2.1:179".parse().unwrap();
        Refreshing::new(&Negotiated {
            remote_asn: 65002,
            families: [V4, V6].into_iter().collect(),
            four_octet_as: true,
            route_refresh: true,
            enhanced_refresh: true,
            refresh_after_end_of_rib,
            add_path_receive: FamilySet::EMPTY,
            add_path_send: FamilySet::EMPTY,
            max_message: 4096,
            extended_next_hop: false,
            graceful: None,
            router_id: [192, 0, 2, 2].into(),
            local,
            remote: local,
        })
    }

    #[test]
    fn rfc7313_4_with_graceful_restart_a_begin_counts_behind_end_of_rib() {
        let mut session = refreshing(true);
        assert!(!session.begin(V4, 0) && !session.end(V4));
        session.end_of_rib(V4);
        assert!(session.begin(V4, 0) && session.end(V4));
        assert!(!session.begin(V6, 0), "each family for itself");
        assert!(refreshing(false).begin(V6, 0), "without it there is no End-of-RIB to wait for");
    }

    #[test]
    fn rfc7313_4_a_refresh_that_does_not_end_is_ended() {
        let mut session = refreshing(false);
        assert!(session.begin(V4, 1000) && session.begin(V6, 2000));
        assert_eq!(session.take_overdue(1000 + LONGEST - 1), None);
        assert_eq!(session.take_overdue(1000 + LONGEST), Some(V4));
        assert!(!session.end(V4), "it has ended");
        // Begun once more, it has all the time again.
        assert!(session.begin(V6, 5000));
        assert_eq!(session.take_overdue(2000 + LONGEST), None);
        assert_eq!(session.take_overdue(5000 + LONGEST), Some(V6));
        assert_eq!(session.take_overdue(u64::MAX), None);
    }
}
