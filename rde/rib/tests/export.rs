//! What a peer is sent of one route, octet by octet where a rule of an RFC says so.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

mod tables;

use std::net::Ipv4Addr;

use bgp::attr::{code, flags, write_attribute};
use bgp::header::HEADER_LEN;
use bgp::update::{ReadContext, parse};
use bgp::{BgpRole, Family, FamilySet, NextHop};
use rib::{Limits, PeerIdx, PeerInfo, Settings, Sink, Target};
use tables::Tables;

/// Keeps every message.
#[derive(Default)]
struct Wire {
    messages: Vec<(Target, Vec<u8>)>,
    buffer: Vec<u8>,
    target: Option<Target>,
}

impl Sink for Wire {
    fn begin(&mut self, target: Target) -> &mut Vec<u8> {
        self.target = Some(target);
        self.buffer.clear();
        &mut self.buffer
    }

    fn end(&mut self) {
        self.messages.push((self.target.take().unwrap(), self.buffer.clone()));
    }

    fn join(&mut self, _: u32, _: PeerIdx) {}

    fn leave(&mut self, _: u32, _: PeerIdx) {}

    fn end_of_rib(&mut self, _: PeerIdx, _: Family) {}

    fn refreshed(&mut self, _: PeerIdx, _: Family) {}

    fn forgotten(&mut self, _: PeerIdx) {}

    fn is_full(&self) -> bool {
        false
    }
}

fn rib() -> Tables {
    let limits = Limits::default();
    Tables::new(Settings { asn: 65000, router_id: 1, cluster_id: 1, med_always_compare: false, limits }, 1)
}

fn peer(asn: u32) -> PeerInfo {
    PeerInfo {
        router_id: 7,
        families: FamilySet::EMPTY.with(Family::Ipv4Unicast),
        self_v4: Some(Ipv4Addr::new(192, 0, 2, 100)),
        ..PeerInfo::new(Some(1), Ipv4Addr::new(192, 0, 2, 1).into(), asn, 65000)
    }
}

/// Attributes of a route of 65001 with `more` behind the mandatory ones.
fn attributes(asns: &[u32], more: &[(u8, u8, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    write_attribute(&mut out, flags::WELL_KNOWN, code::ORIGIN, &[0]);
    write_attribute(&mut out, flags::WELL_KNOWN, code::AS_PATH, &path(asns));
    more.iter().for_each(|(f, c, v)| write_attribute(&mut out, *f, *c, v));
    out
}

/// AS_PATH as a sequence.
fn path(asns: &[u32]) -> Vec<u8> {
    let octets = asns.iter().flat_map(|a| a.to_be_bytes());
    [2, u8::try_from(asns.len()).unwrap()].into_iter().chain(octets).collect()
}

/// What one peer is told after another has sent an UPDATE: the next hop, and attributes.
type Told = (NextHop, Vec<(u8, u8, Vec<u8>)>);

/// The announcements that `to` gets after `from` has sent this one.
fn exchange(from: PeerInfo, to: PeerInfo, list: &[u8], nlri: &[u8]) -> Vec<Told> {
    let (mut rib, mut wire) = (rib(), Wire::default());
    let context = |p: &PeerInfo| ReadContext {
        four_octet_as: p.four_octet_as,
        external: p.external(),
        families: p.families,
        add_path: FamilySet::EMPTY,
    };
    let (from_ctx, to_ctx) = (context(&from), context(&to));
    let from = rib.peer_up(from, 0).unwrap();
    rib.peer_up(PeerInfo { label: Some(2), ..to }, 0).unwrap();
    let mut body = vec![0, 0];
    body.extend(u16::try_from(list.len()).unwrap().to_be_bytes());
    body.extend(list);
    body.extend(nlri);
    let update = parse(&body, &from_ctx).unwrap();
    assert!(update.faults.is_empty(), "{:?}", update.faults);
    rib.apply(from, &update, &from_ctx);
    while rib.work(0, &mut wire) {}
    let messages = wire.messages.iter().filter(|(target, _)| *target != Target::Peer(from));
    let updates = messages.map(|(_, m)| parse(&m[HEADER_LEN..], &to_ctx).unwrap());
    let told = updates.filter_map(|u| {
        assert!(u.faults.is_empty(), "{:?}", u.faults);
        let next_hop = u.next_hop.or(u.mp_next_hop)?;
        Some((next_hop, u.attributes.iter().map(|a| (a.flags, a.code, a.value.to_vec())).collect()))
    });
    told.collect()
}

/// Attributes of the one announcement that a peer gets of a route that another has learned from AS 65001.
fn sent_from(from: PeerInfo, to: PeerInfo, more: &[(u8, u8, Vec<u8>)]) -> Option<Vec<(u8, u8, Vec<u8>)>> {
    let mut list = attributes(&[65001, 4_200_000_001], more);
    write_attribute(&mut list, flags::WELL_KNOWN, code::NEXT_HOP, &[192, 0, 2, 1]);
    let mut told = exchange(from, to, &list, &[24, 203, 0, 113]);
    assert!(told.len() < 2, "one announcement");
    told.pop().map(|(_, list)| list)
}

/// The same of a route of an external peer.
fn sent(to: PeerInfo, more: &[(u8, u8, Vec<u8>)]) -> Option<Vec<(u8, u8, Vec<u8>)>> {
    sent_from(peer(65001), to, more)
}

fn value(list: &[(u8, u8, Vec<u8>)], code: u8) -> Option<&(u8, u8, Vec<u8>)> {
    list.iter().find(|(_, c, _)| *c == code)
}

#[test]
fn rfc4271_5_unknown_attributes_are_passed_on_marked_or_dropped() {
    let transitive = flags::OPTIONAL_TRANSITIVE;
    let more = [(transitive, 200, vec![1, 2, 3]), (flags::OPTIONAL, 201, vec![4])];
    for to in [peer(65002), peer(65000)] {
        let list = sent(to, &more).unwrap();
        assert_eq!(value(&list, 200), Some(&(transitive | flags::PARTIAL, 200, vec![1, 2, 3])));
        assert_eq!(value(&list, 201), None);
    }
}

#[test]
fn rfc4271_5_1_attributes_by_kind_of_peer() {
    let med = [(flags::OPTIONAL, code::MULTI_EXIT_DISC, vec![0, 0, 0, 9])];
    let external = sent(peer(65002), &med).unwrap();
    let path = [65000u32, 65001, 4_200_000_001].iter().flat_map(|a| a.to_be_bytes());
    let path: Vec<u8> = [2, 3].into_iter().chain(path).collect();
    assert_eq!(value(&external, code::AS_PATH).unwrap().2, path);
    assert_eq!(value(&external, code::MULTI_EXIT_DISC), None, "MED of a neighbor leaves no AS");
    assert_eq!(value(&external, code::LOCAL_PREF), None);
    assert_eq!(value(&external, code::NEXT_HOP).unwrap().2, [192, 0, 2, 100]);
    let internal = sent(peer(65000), &med).unwrap();
    assert_eq!(value(&internal, code::AS_PATH).unwrap().2[..2], [2, 2], "nothing is put in front");
    assert_eq!(value(&internal, code::MULTI_EXIT_DISC).unwrap().2, [0, 0, 0, 9]);
    assert_eq!(value(&internal, code::LOCAL_PREF).unwrap().2, [0, 0, 0, 100]);
    assert_eq!(value(&internal, code::NEXT_HOP).unwrap().2, [192, 0, 2, 1]);
}

#[test]
fn rfc6793_4_2_2_old_speakers_get_both_forms() {
    let aggregator = [0xfa, 0x56, 0xea, 0x01, 192, 0, 2, 9].to_vec();
    let more = [(flags::OPTIONAL_TRANSITIVE, code::AGGREGATOR, aggregator.clone())];
    let list = sent(PeerInfo { four_octet_as: false, ..peer(65002) }, &more).unwrap();
    let (as_trans, ours, first) = (23456u16, 65000u16, 65001u16);
    let short: Vec<u8> = [ours, first, as_trans].iter().flat_map(|a| a.to_be_bytes()).collect();
    assert_eq!(value(&list, code::AS_PATH).unwrap().2[2..], short);
    let wide: Vec<u8> = [65000u32, 65001, 4_200_000_001].iter().flat_map(|a| a.to_be_bytes()).collect();
    assert_eq!(value(&list, code::AS4_PATH).unwrap().2[2..], wide);
    assert_eq!(value(&list, code::AGGREGATOR).unwrap().2, [0x5b, 0xa0, 192, 0, 2, 9]);
    assert_eq!(value(&list, code::AS4_AGGREGATOR).unwrap().2, aggregator);
}

#[test]
fn rfc1997_communities_keep_a_route_in() {
    let with =
        |community: u32| [(flags::OPTIONAL_TRANSITIVE, code::COMMUNITIES, community.to_be_bytes().to_vec())];
    // community, to an external peer, to an internal one
    for (community, external, internal) in [
        (0xffff_ff01, false, true),
        (0xffff_ff02, false, false),
        (0xffff_ff03, false, true),
        (0xfde9_0064, true, true),
    ] {
        assert_eq!(sent(peer(65002), &with(community)).is_some(), external, "{community:x}");
        assert_eq!(sent(peer(65000), &with(community)).is_some(), internal, "{community:x}");
    }
}

#[test]
fn an_attribute_set_that_fits_no_message_is_not_sent() {
    let large = |octets: usize| [(flags::OPTIONAL_TRANSITIVE, 200, vec![0; octets])];
    assert!(sent(peer(65002), &large(3900)).is_some());
    assert!(sent(peer(65002), &large(4060)).is_none());
}

#[test]
fn messages_hold_as_many_prefixes_as_fit() {
    let (mut rib, mut wire) = (rib(), Wire::default());
    let canonical = attributes(&[64500], &[]);
    for n in 0..5000u32 {
        let net = ipnet::Ipv4Net::new(Ipv4Addr::from_bits(0x0a00_0000 + (n << 8)), 24).unwrap();
        rib.inject(net.into(), 0, &canonical, NextHop::V4([192, 0, 2, 9].into()));
    }
    rib.peer_up(peer(65002), 0).unwrap();
    while rib.work(0, &mut wire) {}
    let sizes: Vec<usize> = wire.messages.iter().map(|(_, m)| m.len()).collect();
    // 5,000 prefixes of 4 octets behind about 60 octets of header and attributes, and End-of-RIB.
    assert!(sizes.iter().all(|s| *s <= 4096), "{sizes:?}");
    assert_eq!(sizes.len(), 6, "{sizes:?}");
}

fn client() -> PeerInfo {
    PeerInfo { route_server_client: true, ..peer(65002) }
}

#[test]
fn rfc7947_2_2_a_route_server_client_gets_attributes_as_they_came() {
    let (optional, transitive) = (flags::OPTIONAL, flags::OPTIONAL_TRANSITIVE);
    let more = [
        (optional, code::MULTI_EXIT_DISC, vec![0, 0, 0, 9]),
        (transitive, code::AGGREGATOR, vec![0, 0, 0xfd, 0xe9, 192, 0, 2, 9]),
        // A set: in ascending order, as every route is stored.
        (transitive, code::COMMUNITIES, vec![0xfd, 0xe8, 0, 1, 0xfd, 0xe9, 0, 100]),
        (transitive, code::EXTENDED_COMMUNITIES, vec![0, 2, 0xfd, 0xe9, 0, 0, 0, 1]),
        (transitive, code::LARGE_COMMUNITY, vec![1; 12]),
    ];
    let mut as_received = vec![
        (flags::WELL_KNOWN, code::ORIGIN, vec![0]),
        (flags::WELL_KNOWN, code::AS_PATH, path(&[65001, 4_200_000_001])),
        (flags::WELL_KNOWN, code::NEXT_HOP, vec![192, 0, 2, 1]),
    ];
    as_received.extend(more.clone());
    assert_eq!(sent(client(), &more), Some(as_received));
    // RFC 6793 §4.2.2 goes for it, too: the same path in both forms.
    let list = sent(PeerInfo { four_octet_as: false, ..client() }, &more).unwrap();
    assert_eq!(value(&list, code::AS_PATH).unwrap().2, [2, 2, 0xfd, 0xe9, 0x5b, 0xa0]);
    assert_eq!(value(&list, code::AS4_PATH).unwrap().2, path(&[65001, 4_200_000_001]));
}

#[test]
fn rfc7947_2_2_1_a_pair_of_ipv6_next_hops_is_kept() {
    let families = FamilySet::EMPTY.with(Family::Ipv6Unicast);
    let pair = NextHop::V6Pair("2001:db8::9".parse().unwrap(), "fe80::9".parse().unwrap());
    let v6 = |info: PeerInfo| PeerInfo { families, self_v6: "2001:db8::1".parse().ok(), ..info };
    for (to, next_hop) in
        [(v6(client()), Some(pair)), (v6(peer(65002)), "2001:db8::1".parse().ok().map(NextHop::V6))]
    {
        let from = v6(peer(65001));
        let mut value = vec![0, 2, 1, 32];
        let NextHop::V6Pair(global, link) = pair else { panic!("a pair") };
        value.extend(global.octets());
        value.extend(link.octets());
        value.extend([0, 32, 0x20, 0x01, 0x0d, 0xb8]);
        let mut list = attributes(&[65001], &[]);
        write_attribute(&mut list, flags::OPTIONAL, code::MP_REACH_NLRI, &value);
        let got = exchange(from, to, &list, &[]);
        assert_eq!(got.first().map(|(n, _)| *n), next_hop);
    }
}

#[test]
fn rfc8950_3_ipv4_goes_with_an_ipv6_next_hop_to_who_takes_it_and_to_nobody_else() {
    let families = FamilySet::EMPTY.with(Family::Ipv4Unicast).with(Family::Ipv6Unicast);
    let over_ipv6 = |extended_next_hop, info: PeerInfo| PeerInfo {
        families,
        extended_next_hop,
        self_v4: None,
        self_v6: "2001:db8::1".parse().ok(),
        ..info
    };
    let pair = NextHop::V6Pair("2001:db8::9".parse().unwrap(), "fe80::9".parse().unwrap());
    let ours = NextHop::V6("2001:db8::1".parse().unwrap());
    // To: next hop of an IPv4 route that came with a pair of IPv6 ones.
    let cases = [
        (over_ipv6(true, peer(65002)), Some(ours)),
        (over_ipv6(false, peer(65002)), None),
        (peer(65002), Some(NextHop::V4([192, 0, 2, 100].into()))),
        // Unchanged within the AS and through a route server, link-local address and all.
        (over_ipv6(true, peer(65000)), Some(pair)),
        (over_ipv6(false, peer(65000)), None),
        (over_ipv6(true, client()), Some(pair)),
        (client(), None),
    ];
    let mut value = vec![0, 1, 1, 32];
    let NextHop::V6Pair(global, link) = pair else { panic!("a pair") };
    value.extend(global.octets());
    value.extend(link.octets());
    value.extend([0, 24, 203, 0, 113]);
    let mut list = attributes(&[65001], &[]);
    write_attribute(&mut list, flags::OPTIONAL, code::MP_REACH_NLRI, &value);
    for (to, next_hop) in cases {
        let got = exchange(over_ipv6(true, peer(65001)), to.clone(), &list, &[]);
        assert_eq!(got.first().map(|(n, _)| *n), next_hop, "{to:?}");
    }
}

#[test]
fn what_only_counts_inside_an_as_reaches_no_route_server_client() {
    let internal = [
        (flags::WELL_KNOWN, code::LOCAL_PREF, vec![0, 0, 0, 200]),
        (flags::OPTIONAL, code::ORIGINATOR_ID, vec![192, 0, 2, 8]),
        (flags::OPTIONAL, code::CLUSTER_LIST, vec![192, 0, 2, 7]),
    ];
    let list = sent_from(peer(65000), client(), &internal).unwrap();
    assert!(internal.iter().all(|(_, code, _)| value(&list, *code).is_none()), "{list:?}");
    assert_eq!(value(&list, code::AS_PATH).unwrap().2, path(&[65001, 4_200_000_001]));
    assert_eq!(value(&list, code::NEXT_HOP).unwrap().2, [192, 0, 2, 1]);
    for community in [0xffff_ff01u32, 0xffff_ff02, 0xffff_ff03] {
        let more = [(flags::OPTIONAL_TRANSITIVE, code::COMMUNITIES, community.to_be_bytes().to_vec())];
        assert_eq!(sent(client(), &more), None, "{community:x}");
    }
}

#[test]
fn a_route_server_takes_no_path_with_its_own_as() {
    let mut list = attributes(&[65001, 65000], &[]);
    write_attribute(&mut list, flags::WELL_KNOWN, code::NEXT_HOP, &[192, 0, 2, 1]);
    let from = PeerInfo { enforce_first_as: false, route_server_client: true, ..peer(65001) };
    assert!(exchange(from, client(), &list, &[24, 203, 0, 113]).is_empty());
}

#[test]
fn route_server_clients_share_messages_whatever_address_of_ours_they_know() {
    let (mut rib, mut wire) = (rib(), Wire::default());
    for n in [2, 3] {
        let self_v4 = Some(Ipv4Addr::new(192, 0, 2, 100 + n));
        rib.peer_up(
            PeerInfo { label: Some(n.into()), remote_asn: 65000 + u32::from(n), self_v4, ..client() },
            0,
        )
        .unwrap();
    }
    rib.peer_up(PeerInfo { label: Some(9), ..peer(65009) }, 0).unwrap();
    let net: ipnet::Ipv4Net = "203.0.113.0/24".parse().unwrap();
    rib.inject(net.into(), 0, &attributes(&[64500], &[]), NextHop::V4([192, 0, 2, 9].into()));
    while rib.work(0, &mut wire) {}
    // One message for both, and one with our AS in front for the other peer.
    assert_eq!(wire.messages.len(), 2);
}

#[test]
fn a_peers_route_that_takes_the_place_of_an_equal_injected_one_is_announced_anew() {
    let (mut rib, mut wire) = (rib(), Wire::default());
    let from = rib.peer_up(peer(65001), 0).unwrap();
    rib.peer_up(PeerInfo { label: Some(2), ..peer(65002) }, 0).unwrap();
    let med = [(flags::OPTIONAL, code::MULTI_EXIT_DISC, vec![0, 0, 0, 7])];
    let net: ipnet::Ipv4Net = "203.0.113.0/24".parse().unwrap();
    rib.inject(net.into(), 0, &attributes(&[65001], &med), NextHop::V4([192, 0, 2, 1].into()));
    while rib.work(0, &mut wire) {}
    let mut list = attributes(&[65001], &[]);
    write_attribute(&mut list, flags::WELL_KNOWN, code::NEXT_HOP, &[192, 0, 2, 1]);
    write_attribute(&mut list, flags::OPTIONAL, code::MULTI_EXIT_DISC, &[0, 0, 0, 7]);
    let ctx = ReadContext {
        four_octet_as: true,
        external: true,
        families: peer(65001).families,
        add_path: FamilySet::EMPTY,
    };
    let body = [&[0, 0, 0, u8::try_from(list.len()).unwrap()], list.as_slice(), &[24, 203, 0, 113]].concat();
    rib.apply(from, &parse(&body, &ctx).unwrap(), &ctx);
    while rib.work(0, &mut wire) {}
    wire.messages.clear();
    assert!(rib.withdraw_injected(net.into(), 0));
    while rib.work(0, &mut wire) {}
    // The others: our address as next hop (RFC 4271 section 5.1.3), and no MED of another AS (section 5.1.4).
    let told = wire.messages.iter().find(|(target, _)| *target != Target::Peer(from));
    let update = parse(&told.unwrap().1[HEADER_LEN..], &ctx).unwrap();
    assert_eq!(update.next_hop, Some(NextHop::V4([192, 0, 2, 100].into())));
    assert_eq!(update.attributes.get(code::MULTI_EXIT_DISC), None);
}

#[test]
fn rfc7911_3_an_identifier_stands_before_each_prefix_and_messages_stay_within_their_size() {
    let (mut rib, mut wire) = (rib(), Wire::default());
    let families: FamilySet = [Family::Ipv4Unicast, Family::Ipv6Unicast].into_iter().collect();
    let to = PeerInfo { families, add_path: families, self_v6: "2001:db8::100".parse().ok(), ..peer(65002) };
    let ctx = ReadContext { four_octet_as: true, external: true, families, add_path: families };
    rib.peer_up(to, 0).unwrap();
    for n in 0..3000_u32 {
        let v4 = ipnet::Ipv4Net::new((0x0a00_0000 + (n << 8)).into(), 24).unwrap();
        let v6 = ipnet::Ipv6Net::new((u128::from(n) << 16 | 0x2001 << 112).into(), 128).unwrap();
        let list = attributes(&[64500], &[]);
        rib.inject(v4.into(), 7, &list, NextHop::V4([192, 0, 2, 9].into()));
        rib.inject(v6.into(), 7, &list, NextHop::V6("2001:db8::9".parse().unwrap()));
    }
    let mut told = |rib: &mut Tables| {
        while rib.work(0, &mut wire) {}
        let (mut announced, mut withdrawn) = (vec![], vec![]);
        for (_, message) in wire.messages.drain(..) {
            assert!(message.len() <= 4096, "{} octets", message.len());
            let update = parse(&message[HEADER_LEN..], &ctx).unwrap();
            assert!(update.faults.is_empty(), "{:?}", update.faults);
            announced.extend(update.announced.iter().chain(update.mp_reach.iter().flat_map(|n| n.iter())));
            withdrawn.extend(update.withdrawn.iter().chain(update.mp_unreach.iter().flat_map(|n| n.iter())));
        }
        announced.sort_unstable();
        withdrawn.sort_unstable();
        (announced, withdrawn)
    };
    let (announced, none) = told(&mut rib);
    assert_eq!((announced.len(), none.len()), (6000, 0));
    assert!(announced.iter().all(|(id, _)| *id > 0));
    announced.iter().for_each(|(_, net)| assert!(rib.withdraw_injected(*net, 7)));
    assert_eq!(told(&mut rib), (vec![], announced), "under the same identifiers");
}

#[test]
fn a_configured_default_route_is_the_only_one_where_several_paths_are_sent() {
    let (mut rib, mut wire) = (rib(), Wire::default());
    let families = FamilySet::EMPTY.with(Family::Ipv4Unicast);
    let to = rib.peer_up(PeerInfo { add_path: families, default_originate: true, ..peer(65002) }, 0).unwrap();
    let net: ipnet::Ipv4Net = "0.0.0.0/0".parse().unwrap();
    let next_hop = NextHop::V4([192, 0, 2, 9].into());
    (0..2).for_each(|id| rib.inject(net.into(), id, &attributes(&[64500], &[]), next_hop));
    while rib.work(0, &mut wire) {}
    let ctx = ReadContext { four_octet_as: true, external: true, families, add_path: families };
    let told: Vec<_> = (wire.messages.iter())
        .map(|(_, m)| parse(&m[HEADER_LEN..], &ctx).unwrap())
        .flat_map(|u| u.announced.iter().map(|(_, net)| (net, u.next_hop)).collect::<Vec<_>>())
        .collect();
    assert_eq!(told, [(net.into(), Some(NextHop::V4([192, 0, 2, 100].into())))]);
    assert_eq!(rib.peer_counters(to).1[0], 1);
    rib.peer_down(to);
    (0..2).for_each(|id| assert!(rib.withdraw_injected(net.into(), id)));
    while rib.work(0, &mut wire) {}
    assert_eq!(rib.counters(), rib::Counters::default());
}

const OTC: u8 = code::ONLY_TO_CUSTOMER;

fn with_role(asn: u32, role: BgpRole) -> PeerInfo {
    PeerInfo { role: Some(role), ..peer(asn) }
}

fn marked(by: u32) -> (u8, u8, Vec<u8>) {
    (flags::OPTIONAL_TRANSITIVE, OTC, by.to_be_bytes().to_vec())
}

fn local_pref(n: u32) -> (u8, u8, Vec<u8>) {
    (flags::WELL_KNOWN, code::LOCAL_PREF, n.to_be_bytes().to_vec())
}

fn communities(list: &[u32]) -> (u8, u8, Vec<u8>) {
    let value = list.iter().flat_map(|c| c.to_be_bytes()).collect();
    (flags::OPTIONAL_TRANSITIVE, code::COMMUNITIES, value)
}

#[test]
fn rfc9234_5_routes_are_marked_on_receipt_and_leaks_are_not_used() {
    use BgpRole::{Customer, Peer, Provider, Rs, RsClient};
    // What we are to AS 65001, who has marked its route, and what we have then: no route, or one marked by.
    type Marked = Option<u32>;
    let cases: [(Option<BgpRole>, Marked, Option<Marked>); 17] = [
        (Some(Provider), None, Some(None)),
        (Some(Provider), Some(65001), None),
        (Some(Provider), Some(64500), None),
        (Some(Rs), None, Some(None)),
        (Some(Rs), Some(65001), None),
        (Some(Rs), Some(64500), None),
        (Some(Customer), None, Some(Some(65001))),
        (Some(Customer), Some(65001), Some(Some(65001))),
        (Some(Customer), Some(64500), Some(Some(64500))),
        (Some(RsClient), None, Some(Some(65001))),
        (Some(RsClient), Some(64500), Some(Some(64500))),
        (Some(Peer), None, Some(Some(65001))),
        (Some(Peer), Some(65001), Some(Some(65001))),
        (Some(Peer), Some(64500), None),
        (None, None, Some(None)),
        (None, Some(64500), Some(Some(64500))),
        (None, Some(65001), Some(Some(65001))),
    ];
    for (role, by, expected) in cases {
        let from = PeerInfo { role, ..peer(65001) };
        let mark: Vec<_> = by.map(marked).into_iter().collect();
        // Within the AS it goes on unchanged.
        let list = sent_from(from, peer(65000), &mark);
        let got = list.map(|l| value(&l, OTC).cloned());
        assert_eq!(got, expected.map(|by| by.map(marked)), "{role:?}, marked by {by:?}");
    }
}

#[test]
fn rfc9234_5_routes_are_marked_or_kept_back_on_sending() {
    use BgpRole::{Customer, Peer, Provider, Rs, RsClient};
    // What we are to AS 65002, and what it gets of a route that is not marked, and of one that is.
    for (role, plain, of_marked) in [
        (Some(Provider), Some(Some(65000)), Some(Some(64500))),
        (Some(Rs), Some(Some(65000)), Some(Some(64500))),
        (Some(Peer), Some(Some(65000)), None),
        (Some(Customer), Some(None), None),
        (Some(RsClient), Some(None), None),
        (None, Some(None), Some(Some(64500))),
    ] {
        for (mark, expected) in [(vec![], plain), (vec![marked(64500)], of_marked)] {
            for from in [peer(65000), peer(65001)] {
                let mut mark = mark.clone();
                mark.extend((!from.external()).then(|| local_pref(100)));
                let list = sent_from(from, PeerInfo { role, ..peer(65002) }, &mark);
                let got = list.map(|l| value(&l, OTC).cloned());
                assert_eq!(got, expected.map(|by| by.map(marked)), "{role:?} {mark:?}");
            }
        }
    }
    // RFC 9234 §6: the AS that we are to the peer.
    let to = PeerInfo { local_asn: 64999, ..with_role(65002, Provider) };
    assert_eq!(value(&sent(to, &[]).unwrap(), OTC), Some(&marked(64999)));
}

#[test]
fn what_is_added_stands_in_the_order_of_types() {
    let transitive = flags::OPTIONAL_TRANSITIVE;
    let more = [(transitive, code::LARGE_COMMUNITY, vec![1; 12]), (transitive, 200, vec![1])];
    let codes = |list: &[(u8, u8, Vec<u8>)]| list.iter().map(|(_, c, _)| *c).collect::<Vec<_>>();
    // Added on receipt, on sending, and towards a speaker that needs AS4_PATH.
    let received = sent_from(with_role(65001, BgpRole::Customer), peer(65000), &more).unwrap();
    assert_eq!(codes(&received), [1, 2, 3, 5, 32, 35, 200]);
    let old = PeerInfo { four_octet_as: false, ..with_role(65002, BgpRole::Provider) };
    assert_eq!(codes(&sent(old.clone(), &more).unwrap()), [1, 2, 3, 17, 32, 35, 200]);
    assert_eq!(codes(&sent(old, &[]).unwrap()), [1, 2, 3, 17, 35]);
    let going = [communities(&[0xffff_0000])];
    let last_choice = sent(peer(65000), &going).unwrap();
    assert_eq!(codes(&last_choice), [1, 2, 3, 5, 8]);
}

#[test]
fn rfc3765_nopeer_keeps_a_route_from_those_that_are_known_to_be_peers() {
    let nopeer = [communities(&[0xffff_ff04])];
    for role in BgpRole::ALL {
        assert_eq!(sent(with_role(65002, role), &nopeer).is_some(), role != BgpRole::Peer, "{role}");
    }
    for asn in [65000, 65002] {
        assert!(sent(peer(asn), &nopeer).is_some());
    }
}

#[test]
fn rfc7999_3_2_what_another_as_wants_dropped_goes_no_further() {
    let blackhole = [communities(&[0xfde9_0064, 0xffff_029a])];
    assert_eq!(sent(peer(65002), &blackhole), None);
    // Routers of our own AS are told that it stays here.
    let list = sent(peer(65000), &blackhole).unwrap();
    assert_eq!(value(&list, code::COMMUNITIES), Some(&communities(&[0xfde9_0064, 0xffff_029a, 0xffff_ff01])));
    // A route server passes it on between its clients, as it is; what our own AS wants dropped goes out.
    let list = sent(client(), &blackhole).unwrap();
    assert_eq!(value(&list, code::COMMUNITIES), blackhole.first());
    let [ours] = blackhole.clone();
    let list = sent_from(peer(65000), peer(65002), &[local_pref(100), ours]).unwrap();
    assert_eq!(value(&list, code::COMMUNITIES), blackhole.first());
}

#[test]
fn rfc8326_4_1_graceful_shutdown_makes_a_route_of_an_external_peer_the_last_choice() {
    let going = communities(&[0xfde9_0064, 0xffff_0000]);
    let got = |list: Vec<(u8, u8, Vec<u8>)>| value(&list, code::LOCAL_PREF).cloned();
    assert_eq!(got(sent(peer(65000), std::slice::from_ref(&going)).unwrap()), Some(local_pref(0)));
    assert_eq!(got(sent(peer(65000), &[communities(&[0xfde9_0064])]).unwrap()), Some(local_pref(100)));
    let off = PeerInfo { graceful_shutdown: false, ..peer(65001) };
    assert_eq!(
        got(sent_from(off, peer(65000), std::slice::from_ref(&going)).unwrap()),
        Some(local_pref(100))
    );
    // The community goes on; what an internal peer says of LOCAL_PREF is what counts there.
    let list = sent_from(peer(65000), peer(65002), &[local_pref(200), going.clone()]).unwrap();
    assert_eq!(value(&list, code::COMMUNITIES), Some(&going));
}
