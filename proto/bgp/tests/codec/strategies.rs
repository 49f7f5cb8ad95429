//! Arbitrary values of everything that the codec can write.

use std::net::{Ipv4Addr, Ipv6Addr};

use bgp::aspath::{AsPathBuf, SegmentKind};
use bgp::attr::{Aggregator, Origin, PathAttribute, PathPrefix};
use bgp::capability::{AddPathMode, Capability, GracefulFamily, LongLivedFamily};
use bgp::community::{Community, ExtendedCommunity, LargeCommunity};
use bgp::notification::Notification;
use bgp::open::Open;
use bgp::refresh::RouteRefresh;
use bgp::update::{ReadContext, UpdateBuilder};
use bgp::{Afi, Asn, Family, FamilySet, NextHop, RouterId, Safi};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::collection::vec;
use proptest::prelude::*;

fn family() -> impl Strategy<Value = (Afi, Safi)> {
    (any::<u16>(), any::<u8>()).prop_map(|(a, s)| (Afi(a), Safi(s)))
}

pub(crate) fn capability() -> impl Strategy<Value = Capability> {
    let mode = prop_oneof![Just(AddPathMode::Receive), Just(AddPathMode::Send), Just(AddPathMode::Both)];
    let graceful = (family(), any::<bool>()).prop_map(|((afi, safi), forwarding)| GracefulFamily {
        afi,
        safi,
        forwarding,
    });
    let long_lived =
        (family(), any::<bool>(), 0..1u32 << 24).prop_map(|((afi, safi), forwarding, stale_time)| {
            LongLivedFamily { afi, safi, forwarding, stale_time }
        });
    prop_oneof![
        family().prop_map(|(a, s)| Capability::MultiProtocol(a, s)),
        Just(Capability::RouteRefresh),
        Just(Capability::EnhancedRouteRefresh),
        Just(Capability::ExtendedMessage),
        vec((family(), any::<u16>()), 0..6).prop_map(|list| {
            Capability::ExtendedNextHop(list.into_iter().map(|((a, s), n)| (a, s, Afi(n))).collect())
        }),
        (1..=u32::MAX).prop_map(Capability::FourOctetAs),
        vec((family(), mode), 0..6)
            .prop_map(|list| Capability::AddPath(list.into_iter().map(|((a, s), m)| (a, s, m)).collect())),
        (any::<bool>(), any::<bool>(), 0..4096u16, vec(graceful, 0..6)).prop_map(
            |(restarting, notification, restart_time, families)| Capability::GracefulRestart {
                restarting,
                notification,
                restart_time,
                families
            }
        ),
        vec(long_lived, 0..6).prop_map(Capability::LongLivedGracefulRestart),
        any::<u8>().prop_map(Capability::Role),
        (128..=255u8, vec(any::<u8>(), 0..=255))
            .prop_map(|(code, value)| Capability::Unknown { code, value }),
    ]
}

pub(crate) fn open() -> impl Strategy<Value = Open> {
    let hold_time = prop_oneof![Just(0), 3..=u16::MAX];
    (1..=u16::MAX, hold_time, 1..=u32::MAX, vec(capability(), 0..8)).prop_map(
        |(my_as, hold_time, id, capabilities)| Open {
            version: 4,
            my_as,
            hold_time,
            router_id: id.into(),
            capabilities,
        },
    )
}

pub(crate) fn notification() -> impl Strategy<Value = Notification> {
    (any::<u8>(), any::<u8>(), vec(any::<u8>(), 0..300)).prop_map(|(code, subcode, data)| Notification {
        code,
        subcode,
        data,
    })
}

pub(crate) fn refresh() -> impl Strategy<Value = RouteRefresh> {
    (family(), any::<u8>()).prop_map(|((afi, safi), subtype)| RouteRefresh {
        afi,
        safi,
        subtype: subtype.into(),
    })
}

pub(crate) fn context() -> impl Strategy<Value = ReadContext> {
    let set = || {
        vec(any::<bool>(), 4).prop_map(|on| {
            Family::ALL.into_iter().zip(on).filter(|f| f.1).map(|f| f.0).collect::<FamilySet>()
        })
    };
    (any::<bool>(), any::<bool>(), set(), set()).prop_map(|(four_octet_as, external, families, add_path)| {
        ReadContext { four_octet_as, external, families, add_path }
    })
}

fn ipv4_net() -> impl Strategy<Value = IpNet> {
    (any::<u32>(), 0..=32u8).prop_map(|(a, len)| Ipv4Net::new(a.into(), len).unwrap().trunc().into())
}

fn ipv6_net() -> impl Strategy<Value = IpNet> {
    (any::<u128>(), 0..=128u8).prop_map(|(a, len)| Ipv6Net::new(a.into(), len).unwrap().trunc().into())
}

fn with_ids(ids: bool, nets: impl Strategy<Value = IpNet>) -> impl Strategy<Value = Vec<PathPrefix>> {
    vec((any::<u32>(), nets), 1..20)
        .prop_map(move |list| list.into_iter().map(|(id, net)| (ids.then_some(id), net)).collect())
}

fn asn(four: bool) -> impl Strategy<Value = Asn> {
    (1..=if four { u32::MAX } else { u32::from(u16::MAX) }).prop_map(Asn)
}

fn path(four: bool, least: usize) -> impl Strategy<Value = AsPathBuf> {
    let kind = prop_oneof![4 => Just(SegmentKind::Sequence), 1 => Just(SegmentKind::Set)];
    let length = prop_oneof![8 => 1..6usize, 1 => 200..300usize];
    let segment = (kind, length).prop_flat_map(move |(kind, n)| (Just(kind), vec(asn(four), n)));
    vec(segment, least..4).prop_map(|segments| {
        let mut path = AsPathBuf::new();
        segments.into_iter().for_each(|(kind, asns)| path.push(kind, asns));
        path
    })
}

fn host() -> impl Strategy<Value = Ipv4Addr> {
    (1..224u8, any::<[u8; 3]>()).prop_map(|(a, [b, c, d])| Ipv4Addr::new(a, b, c, d))
}

fn global() -> impl Strategy<Value = Ipv6Addr> {
    any::<u64>().prop_map(|n| Ipv6Addr::from(0x2001_0db8 << 96 | u128::from(n)))
}

fn next_hop(v6: bool) -> impl Strategy<Value = NextHop> {
    let pair = (global(), any::<u64>())
        .prop_map(|(g, l)| NextHop::V6Pair(g, Ipv6Addr::from(0xfe80 << 112 | u128::from(l) | 1)));
    let six = prop_oneof![global().prop_map(NextHop::V6), pair];
    prop_oneof![six, host().prop_map(NextHop::V4)]
        .prop_filter("family", move |n| !v6 || !matches!(n, NextHop::V4(_)))
}

fn aggregator(four: bool) -> impl Strategy<Value = Aggregator> {
    (asn(four), any::<u32>()).prop_map(|(asn, ip)| Aggregator { asn, address: ip.into() })
}

/// Any attribute but MP_REACH_NLRI and MP_UNREACH_NLRI that an internal peer may send.
fn attribute(four: bool) -> BoxedStrategy<PathAttribute> {
    use PathAttribute as A;
    let unknown = (prop_oneof![Just(0xc0u8), Just(0xe0)], 64..=255u8, vec(any::<u8>(), 0..300))
        .prop_map(|(flags, code, value)| A::Unknown { flags, code, value });
    let common = prop_oneof![
        any::<u32>().prop_map(A::MultiExitDisc),
        Just(A::AtomicAggregate),
        aggregator(four).prop_map(A::Aggregator),
        vec(any::<u32>().prop_map(Community), 1..80).prop_map(A::Communities),
        any::<u32>().prop_map(|id| A::OriginatorId(id.into())),
        vec(any::<u32>().prop_map(RouterId::from), 1..8).prop_map(A::ClusterList),
        vec(any::<u64>().prop_map(ExtendedCommunity), 1..40).prop_map(A::ExtendedCommunities),
        vec(any::<[u8; 20]>(), 1..4).prop_map(A::Ipv6ExtendedCommunities),
        vec(any::<[u32; 3]>().prop_map(|[a, b, c]| LargeCommunity(a, b, c)), 1..30)
            .prop_map(A::LargeCommunities),
        any::<u32>().prop_map(|n| A::OnlyToCustomer(Asn(n))),
        unknown,
    ];
    if four {
        return common.boxed();
    }
    let old = prop_oneof![path(true, 1).prop_map(A::As4Path), aggregator(true).prop_map(A::As4Aggregator),];
    prop_oneof![4 => common, 1 => old].boxed()
}

/// A valid UPDATE of an internal peer with every kind of attribute, and how to read it.
pub(crate) fn update() -> impl Strategy<Value = (UpdateBuilder, ReadContext)> {
    (any::<bool>(), any::<bool>()).prop_flat_map(|(four, ids)| {
        let origin = prop_oneof![Just(Origin::Igp), Just(Origin::Egp), Just(Origin::Incomplete)];
        let mandatory = (origin, path(four, 0), host(), any::<u32>()).prop_map(|(o, p, n, l)| {
            use PathAttribute as A;
            vec![A::Origin(o), A::AsPath(p), A::NextHop(n), A::LocalPref(l)]
        });
        let v6 = any::<bool>().prop_flat_map(move |v6| {
            let nets = if v6 { ipv6_net().boxed() } else { ipv4_net().boxed() };
            let family = if v6 { Family::Ipv6Unicast } else { Family::Ipv4Unicast };
            (Just(family), next_hop(v6), with_ids(ids, nets))
        });
        let mp = prop_oneof![
            Just(None),
            v6.clone().prop_map(|(family, next_hop, nlri)| {
                Some(PathAttribute::MpReach { family, next_hop, nlri })
            }),
            v6.prop_map(|(family, _, nlri)| Some(PathAttribute::MpUnreach { family, nlri })),
        ];
        let lists = (with_ids(ids, ipv4_net()), with_ids(ids, ipv4_net()));
        (mandatory, vec(attribute(four), 0..10), mp, lists).prop_map(move |(mut all, more, mp, lists)| {
            all.extend(more);
            all.extend(mp);
            let mut seen = std::collections::BTreeSet::new();
            all.retain(|a| seen.insert(a.code()));
            let families: FamilySet = [Family::Ipv4Unicast, Family::Ipv6Unicast].into_iter().collect();
            let ctx = ReadContext {
                four_octet_as: four,
                external: false,
                families,
                add_path: if ids { families } else { FamilySet::EMPTY },
            };
            (UpdateBuilder { withdrawn: lists.0, attributes: all, announced: lists.1 }, ctx)
        })
    })
}
