//! A plain, slow evaluator: routes are lists, communities are compared as text, nothing is compiled.

use std::collections::BTreeSet;
use std::net::IpAddr;

use bgp::Asn;
use bgp::aspath::{AsPathBuf, SegmentKind};
use bgp::attr::PathAttribute;
use bgp::attr::canonical::Builder;
use bgp::community::{Community, ExtendedCommunity, LargeCommunity};
use ipnet::IpNet;
use policy::{
    Action, AspaState, Change, CommunityPattern, Definitions, Match, NextHopChange, Peer, PolicyDef,
    RouteBuf, RouteType, RpkiState, StatementDef,
};

use crate::aspath::by_text;

/// A community as operators write it, and the octets that it came with.
pub(crate) type Written = (String, Vec<u8>);

/// A route as a list of its parts.
#[derive(Debug, Clone)]
pub(crate) struct Plain {
    pub(crate) prefix: IpNet,
    pub(crate) path: AsPathBuf,
    pub(crate) local_pref: Option<u32>,
    pub(crate) med: Option<u32>,
    pub(crate) communities: BTreeSet<Written>,
    pub(crate) next_hop: IpAddr,
    pub(crate) route_type: RouteType,
    pub(crate) rpki: RpkiState,
    pub(crate) aspa: AspaState,
}

/// Octets of a community without wildcards.
pub(crate) fn octets(text: &str) -> Vec<u8> {
    let number = |t: &str| t.parse::<u32>().unwrap();
    let half = |n: u32| u16::try_from(n).unwrap().to_be_bytes().to_vec();
    let word = |n: u32| n.to_be_bytes().to_vec();
    let parts: Vec<&str> = text.split(':').collect();
    match parts.as_slice() {
        ["NO_EXPORT"] => word(0xffff_ff01),
        ["BLACKHOLE"] => word(0xffff_029a),
        ["LC", a, b, c] => [word(number(a)), word(number(b)), word(number(c))].concat(),
        [kind @ ("RT" | "RO"), who, value] => {
            let low = if *kind == "RT" { 2 } else { 3 };
            match who.parse::<std::net::Ipv4Addr>() {
                Ok(a) => [vec![1, low], a.octets().to_vec(), half(number(value))].concat(),
                Err(_) if number(who) > 65535 => {
                    [vec![2, low], word(number(who)), half(number(value))].concat()
                }
                Err(_) => [vec![0, low], half(number(who)), word(number(value))].concat(),
            }
        }
        [a, b] => [half(number(a)), half(number(b))].concat(),
        _ => panic!("{text}"),
    }
}

/// Whether a pattern has a community, part by part.
fn fits(pattern: CommunityPattern, community: &str) -> bool {
    let named = |text: &str| match text {
        "NO_EXPORT" => "65535:65281".to_owned(),
        "BLACKHOLE" => "65535:666".to_owned(),
        other => other.to_owned(),
    };
    let (pattern, community) = (named(&pattern.to_string()), named(community));
    let (pattern, community): (Vec<&str>, Vec<&str>) =
        (pattern.split(':').collect(), community.split(':').collect());
    pattern.len() == community.len() && pattern.iter().zip(&community).all(|(p, c)| *p == "*" || p == c)
}

impl Plain {
    fn has(&self, pattern: CommunityPattern) -> bool {
        self.communities.iter().any(|(text, _)| fits(pattern, text))
    }

    /// The same for the library.
    pub(crate) fn to_route(&self) -> RouteBuf {
        let of_length = |n: usize| self.communities.iter().filter(move |(_, o)| o.len() == n);
        let number = |o: &[u8]| o.iter().fold(0_u64, |n, b| n << 8 | u64::from(*b));
        let word = |o: &[u8]| u32::try_from(number(o)).unwrap();
        let mut builder = Builder::new()
            .with(PathAttribute::AsPath(self.path.clone()))
            .with(PathAttribute::Communities(of_length(4).map(|(_, o)| Community(word(o))).collect()))
            .with(PathAttribute::ExtendedCommunities(
                of_length(8).map(|(_, o)| ExtendedCommunity(number(o))).collect(),
            ))
            .with(PathAttribute::LargeCommunities(
                of_length(12)
                    .map(|(_, o)| LargeCommunity(word(&o[..4]), word(&o[4..8]), word(&o[8..])))
                    .collect(),
            ));
        if let Some(n) = self.local_pref {
            builder.set(PathAttribute::LocalPref(n));
        }
        if let Some(n) = self.med {
            builder.set(PathAttribute::MultiExitDisc(n));
        }
        RouteBuf {
            prefix: self.prefix,
            attributes: builder.build(),
            next_hop: self.next_hop.into(),
            route_type: self.route_type,
            rpki: self.rpki,
            aspa: self.aspa,
        }
    }
}

fn set<'d, T>(sets: &'d [policy::Named<T>], name: &str) -> &'d T {
    &sets.iter().find(|s| s.name == name).unwrap().value
}

fn matches(d: &Definitions, m: &Match, route: &Plain, peer: &Peer) -> bool {
    let in_range = |r: &policy::PrefixRange| {
        r.prefix().contains(&route.prefix) && r.lengths().contains(&route.prefix.prefix_len())
    };
    let length: usize = route
        .path
        .as_path()
        .segments()
        .map(|s| match s.kind {
            SegmentKind::Sequence => s.asns().len(),
            SegmentKind::Set => 1,
            _ => 0,
        })
        .sum();
    let length = u32::try_from(length).unwrap();
    match m {
        Match::Prefix(r) => in_range(r),
        Match::PrefixSet(name) => set(&d.prefix_sets, name).iter().any(in_range),
        Match::Communities(list) => list.iter().any(|c| route.has(*c)),
        Match::CommunitySet(name) => set(&d.community_sets, name).iter().any(|c| route.has(*c)),
        Match::AsPath(text) => by_text(text, &route.path),
        Match::OriginAsSet(name) => {
            let text = route.path.to_string();
            let last = text.rsplit(' ').next().and_then(|t| t.parse::<u32>().ok());
            last.is_some_and(|asn| set(&d.as_sets, name).contains(&asn))
        }
        Match::NeighborSet(name) => {
            let s = set(&d.neighbor_sets, name);
            s.addresses.contains(&peer.address)
                || s.remote_asns.contains(&peer.remote_asn)
                || s.peer_groups.iter().any(|g| Some(g) == peer.peer_group.as_ref())
        }
        Match::RouteType(t) => route.route_type == *t,
        Match::AsPathLengthGe(n) => length >= *n,
        Match::AsPathLengthLe(n) => length <= *n,
        Match::LocalPrefGe(n) => route.local_pref.unwrap_or(100) >= *n,
        Match::LocalPrefLe(n) => route.local_pref.unwrap_or(100) <= *n,
        Match::MedGe(n) => route.med.unwrap_or(0) >= *n,
        Match::MedLe(n) => route.med.unwrap_or(0) <= *n,
        Match::NextHop(a) => route.next_hop == *a,
        Match::Rpki(s) => route.rpki == *s,
        Match::Aspa(s) => route.aspa == *s,
    }
}

fn change(route: &mut Plain, s: &StatementDef) {
    for c in &s.changes {
        if let Change::RemoveCommunities(list) = c {
            route.communities.retain(|(text, _)| !list.iter().any(|p| fits(*p, text)));
        }
    }
    for c in &s.changes {
        if let Change::AddCommunities(list) = c {
            for added in list {
                let text = added.to_string();
                let octets = octets(&text);
                // The same octets may have come under another name.
                if !route.communities.iter().any(|(_, o)| *o == octets) {
                    route.communities.insert((text, octets));
                }
            }
        }
    }
}

/// What a chain makes of a route: what it becomes, or the policy and the statement that denied it.
pub(crate) fn evaluate(
    d: &Definitions,
    chain: &[PolicyDef],
    route: &Plain,
    peer: &Peer,
) -> Result<Plain, (usize, Option<usize>)> {
    let mut after = route.clone();
    let mut prepend = None;
    for (p, policy) in chain.iter().enumerate() {
        let found =
            policy.statements.iter().position(|s| s.matches.iter().all(|m| matches(d, m, route, peer)));
        let action = found.map_or(policy.default_action, |n| policy.statements[n].action);
        if action == Action::Deny {
            return Err((p, found));
        }
        let Some(s) = found.map(|n| &policy.statements[n]) else { continue };
        change(&mut after, s);
        for c in &s.changes {
            match c {
                Change::LocalPref(n) => after.local_pref = Some(*n),
                Change::Med(n) => after.med = Some(*n),
                Change::Prepend { asn, count } => prepend = Some((*asn, *count)),
                Change::NextHop(NextHopChange::OurAddress) => after.next_hop = OURS.parse().unwrap(),
                Change::NextHop(NextHopChange::Address(a)) => after.next_hop = *a,
                _ => {}
            }
        }
    }
    // Of all that set one, the last counts; it must be of use to the route.
    if after.next_hop != OURS.parse::<IpAddr>().unwrap()
        && after.next_hop.is_ipv4()
        && !route.prefix.addr().is_ipv4()
    {
        after.next_hop = route.next_hop;
    }
    if let Some((asn, count)) = prepend {
        after.path.prepend(Asn(asn), count.into());
    }
    Ok(after)
}

/// What stands for our own address.
pub(crate) const OURS: &str = "192.0.2.254";
