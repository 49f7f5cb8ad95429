//! What a peer is sent of one route, octet by octet where a rule of an RFC says so.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

use std::net::Ipv4Addr;

use bgp::attr::canonical::summarize;
use bgp::attr::{code, flags, write_attribute};
use bgp::header::HEADER_LEN;
use bgp::update::{ReadContext, parse};
use bgp::{Family, FamilySet, NextHop};
use rib::{Limits, PeerIdx, PeerInfo, Rib, Settings, Sink, Target};

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

    fn is_full(&self) -> bool {
        false
    }
}

fn rib() -> Rib {
    Rib::new(Settings { asn: 65000, router_id: 1, med_always_compare: false, limits: Limits::default() })
}

fn peer(asn: u32) -> PeerInfo {
    PeerInfo {
        label: Some(1),
        remote_asn: asn,
        local_asn: 65000,
        router_id: 7,
        address: Ipv4Addr::new(192, 0, 2, 1).into(),
        families: FamilySet::EMPTY.with(Family::Ipv4Unicast),
        four_octet_as: true,
        extended_next_hop: false,
        max_message: 4096,
        self_v4: Some(Ipv4Addr::new(192, 0, 2, 100)),
        self_v6: None,
        enforce_first_as: true,
        allow_own_as: 0,
    }
}

/// Attributes of a route of 65001 with `more` behind the mandatory ones.
fn attributes(path: &[u32], more: &[(u8, u8, Vec<u8>)]) -> Vec<u8> {
    let mut value = vec![2, u8::try_from(path.len()).unwrap()];
    path.iter().for_each(|a| value.extend(a.to_be_bytes()));
    let mut out = Vec::new();
    write_attribute(&mut out, flags::WELL_KNOWN, code::ORIGIN, &[0]);
    write_attribute(&mut out, flags::WELL_KNOWN, code::AS_PATH, &value);
    more.iter().for_each(|(f, c, v)| write_attribute(&mut out, *f, *c, v));
    out
}

/// Attributes of the one announcement that a peer gets of a route learned from AS 65001.
fn sent(to: PeerInfo, more: &[(u8, u8, Vec<u8>)]) -> Option<Vec<(u8, u8, Vec<u8>)>> {
    let (mut rib, mut wire) = (rib(), Wire::default());
    let from = rib.peer_up(peer(65001), 0).unwrap();
    rib.peer_up(PeerInfo { label: Some(2), ..to.clone() }, 0).unwrap();
    let mut body = vec![0, 0];
    let mut list = attributes(&[65001, 4_200_000_001], more);
    write_attribute(&mut list, flags::WELL_KNOWN, code::NEXT_HOP, &[192, 0, 2, 1]);
    body.extend(u16::try_from(list.len()).unwrap().to_be_bytes());
    body.extend(list);
    body.extend([24, 203, 0, 113]);
    let families = FamilySet::EMPTY.with(Family::Ipv4Unicast);
    let ctx = ReadContext { four_octet_as: true, external: true, families, add_path: FamilySet::EMPTY };
    rib.apply(from, &parse(&body, &ctx).unwrap(), &ctx);
    while rib.work(0, &mut wire) {}
    let ctx = ReadContext { four_octet_as: to.four_octet_as, external: to.external(), ..ctx };
    let messages: Vec<_> = (wire.messages.iter())
        .filter(|(target, _)| *target != Target::Peer(from))
        .map(|(_, m)| parse(&m[HEADER_LEN..], &ctx).unwrap())
        .filter(|u| !u.announced.is_empty())
        .collect();
    assert!(messages.len() < 2, "one announcement");
    let update = messages.first()?;
    assert!(update.faults.is_empty(), "{:?}", update.faults);
    Some(update.attributes.iter().map(|a| (a.flags, a.code, a.value.to_vec())).collect())
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
        rib.inject(net.into(), 0, &canonical, NextHop::V4([192, 0, 2, 9].into()), &summarize(&canonical));
    }
    rib.peer_up(peer(65002), 0).unwrap();
    while rib.work(0, &mut wire) {}
    let sizes: Vec<usize> = wire.messages.iter().map(|(_, m)| m.len()).collect();
    // 5,000 prefixes of 4 octets behind about 60 octets of header and attributes, and End-of-RIB.
    assert!(sizes.iter().all(|s| *s <= 4096), "{sizes:?}");
    assert_eq!(sizes.len(), 6, "{sizes:?}");
}
