//! Routes spelled out for clients, and routes of clients put into the form of the tables.

use bgp::Asn;
use bgp::NextHop;
use bgp::aspath::{AsPathBuf, SegmentKind};
use bgp::attr::canonical::{Builder, Canonical};
use bgp::attr::{Origin, PathAttribute};
use bgp::community::{Community, ExtendedCommunity, LargeCommunity};
use ipc::PeerId;
use ipc::control_rde::{Cursor, InjectedRoute, RouteView, Segment};
use rib::{Found, RouteKey};

/// A route as clients are shown it.
pub(crate) fn route(found: &Found) -> RouteView {
    let a = Canonical::new(&found.attributes);
    let segment = |s: bgp::aspath::Segment<'_>| Segment {
        set: matches!(s.kind, SegmentKind::Set | SegmentKind::ConfedSet),
        asns: s.asns().map(|n| n.0).collect(),
    };
    RouteView {
        prefix: found.key.prefix,
        peer: found.key.peer.map(PeerId),
        path_id: found.key.path_id,
        best: found.best,
        stale: found.stale,
        denied: found.denied,
        origin: a.origin().unwrap_or(Origin::Incomplete) as u8,
        as_path: a.as_path().segments().map(segment).collect(),
        next_hop: found.next_hop,
        local_pref: a.local_pref(),
        med: a.med(),
        communities: a.communities().collect(),
        extended_communities: a.extended_communities().collect(),
        large_communities: a.large_communities().collect(),
        only_to_customer: a.only_to_customer().map(|asn| asn.0),
    }
}

pub(crate) fn cursor(key: &RouteKey) -> Cursor {
    Cursor { family: key.family, prefix: key.prefix, peer: key.peer.map(PeerId), path_id: key.path_id }
}

pub(crate) fn key(cursor: &Cursor) -> RouteKey {
    RouteKey {
        family: cursor.family,
        prefix: cursor.prefix,
        peer: cursor.peer.map(|p| p.0),
        path_id: cursor.path_id,
    }
}

/// The canonical attributes of an injected route. `None` where its next hop is of the other family.
pub(crate) fn injected(route: &InjectedRoute) -> Option<(Vec<u8>, NextHop)> {
    if route.next_hop.is_ipv4() != matches!(route.prefix, ipnet::IpNet::V4(_)) {
        return None;
    }
    let origin = Origin::try_from(route.origin).ok()?;
    let path = AsPathBuf::sequence(route.as_path.iter().map(|n| Asn(*n)));
    let communities = route.communities.iter().map(|c| Community(*c)).collect();
    let extended = route.extended_communities.iter().map(|c| ExtendedCommunity(*c)).collect();
    let large = route.large_communities.iter().map(|(a, b, c)| LargeCommunity(*a, *b, *c)).collect();
    let mut builder = Builder::new()
        .with(PathAttribute::Origin(origin))
        .with(PathAttribute::AsPath(path))
        .with(PathAttribute::Communities(communities))
        .with(PathAttribute::ExtendedCommunities(extended))
        .with(PathAttribute::LargeCommunities(large));
    if let Some(med) = route.med {
        builder.set(PathAttribute::MultiExitDisc(med));
    }
    if let Some(local_pref) = route.local_pref {
        builder.set(PathAttribute::LocalPref(local_pref));
    }
    Some((builder.build(), route.next_hop.into()))
}
