//! Short ways to say what the tests are about.

use std::net::IpAddr;

use bgp::attr::canonical::{Builder, Canonical};
use bgp::attr::{Origin, PathAttribute};
use bgp::community::{Community, ExtendedCommunity, LargeCommunity};
use policy::{
    Action, Assigned, Chain, Change, CommunityPattern, Context, Definitions, Match, Outcome, Peer, Policies,
    PolicyDef, RouteBuf, RouteType, Scratch, Silent, StatementDef, Summed, parse_path,
};

/// A route: prefix, path, next hop; what else it has is added by the functions below.
pub(crate) fn route(prefix: &str, path: &str) -> RouteBuf {
    let ipv4 = prefix.contains('.');
    let next_hop: IpAddr = if ipv4 { "10.0.0.2" } else { "2001:db8::2" }.parse().unwrap();
    RouteBuf {
        prefix: prefix.parse().unwrap(),
        attributes: attributes(path).build(),
        next_hop: next_hop.into(),
        route_type: RouteType::External,
        rpki: Default::default(),
        aspa: Default::default(),
    }
}

/// Attributes with this path, to be added to.
pub(crate) fn attributes(path: &str) -> Builder {
    Builder::new()
        .with(PathAttribute::Origin(Origin::Incomplete))
        .with(PathAttribute::AsPath(parse_path(path).unwrap()))
}

/// A route with these attributes.
pub(crate) fn with(prefix: &str, attributes: &Builder) -> RouteBuf {
    RouteBuf { attributes: attributes.build(), ..route(prefix, "") }
}

/// Communities of all kinds as attributes.
pub(crate) fn communities(list: &[&str]) -> Vec<PathAttribute> {
    let (mut standard, mut extended, mut large) = (Vec::new(), Vec::new(), Vec::new());
    for text in list {
        match text.parse().unwrap() {
            CommunityPattern::WellKnown(n) => standard.push(Community(n)),
            CommunityPattern::Standard(Some(a), Some(b)) => {
                standard.push(Community(u32::from(a) << 16 | u32::from(b)));
            }
            CommunityPattern::Large(Some(a), Some(b), Some(c)) => large.push(LargeCommunity(a, b, c)),
            pattern => extended.push(ExtendedCommunity(extended_octets(pattern))),
        }
    }
    vec![
        PathAttribute::Communities(standard),
        PathAttribute::ExtendedCommunities(extended),
        PathAttribute::LargeCommunities(large),
    ]
}

fn extended_octets(pattern: CommunityPattern) -> u64 {
    let CommunityPattern::Extended { kind, administrator, value: Some(value) } = pattern else {
        panic!("{pattern}")
    };
    let subtype = if kind == policy::ExtendedKind::RouteTarget { 2 } else { 3 };
    let value = u64::from(value);
    match administrator {
        policy::Administrator::As(a) if a <= 65535 => subtype << 48 | u64::from(a) << 32 | value,
        policy::Administrator::As(a) => 2 << 56 | subtype << 48 | u64::from(a) << 16 | value,
        policy::Administrator::Address(a) => 1 << 56 | subtype << 48 | u64::from(a.to_bits()) << 16 | value,
        policy::Administrator::Any => panic!("{pattern}"),
    }
}

/// A route with these communities.
pub(crate) fn tagged(prefix: &str, path: &str, list: &[&str]) -> RouteBuf {
    let builder = communities(list).into_iter().fold(attributes(path), Builder::with);
    with(prefix, &builder)
}

pub(crate) fn patterns(list: &[&str]) -> Vec<CommunityPattern> {
    list.iter().map(|c| c.parse().unwrap()).collect()
}

pub(crate) fn permit(matches: Vec<Match>, changes: Vec<Change>) -> StatementDef {
    StatementDef { name: None, line: 0, action: Action::Permit, matches, changes }
}

pub(crate) fn deny(matches: Vec<Match>) -> StatementDef {
    StatementDef { name: None, line: 0, action: Action::Deny, matches, changes: Vec::new() }
}

pub(crate) fn named(name: &str, default_action: Action, statements: Vec<StatementDef>) -> PolicyDef {
    PolicyDef { name: name.to_owned(), default_action, statements }
}

/// The chain of one policy that denies what these statements do not match, and what it belongs to.
pub(crate) fn only(statements: Vec<StatementDef>, mut definitions: Definitions) -> (Policies, Chain) {
    definitions.inline.push(named("test", Action::Deny, statements));
    let policies = Policies::compile(&definitions).unwrap();
    let n = u32::try_from(definitions.inline.len() - 1).unwrap();
    let chain = policies.assigned(&Assigned::Inline(n)).unwrap().unwrap();
    (policies, chain)
}

pub(crate) fn peer() -> Peer {
    Peer { address: "10.0.0.2".parse().unwrap(), remote_asn: 65002, peer_group: None }
}

/// A route after a chain, with the next hop change; `None` where it is denied.
pub(crate) fn through(chain: &Chain, route: &RouteBuf) -> Option<(Vec<u8>, Summed)> {
    let mut scratch = Scratch::default();
    let route = route.route();
    let outcome: Outcome = chain.evaluate(&route, &Context::default(), &mut scratch, &mut Silent);
    let mut out = Vec::new();
    let summed = chain.apply(&route, &mut scratch, &mut out);
    let untouched = out == route.attributes.as_bytes() && summed == Summed::default();
    assert!(outcome.changes || untouched, "changes without saying so");
    (outcome.action == Action::Permit).then_some((out, summed))
}

/// What is in attributes, for messages.
pub(crate) fn shown(attributes: &[u8]) -> String {
    format!("{:?}", Canonical::new(attributes).iter().collect::<Vec<_>>())
}
