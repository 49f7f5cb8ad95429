//! A daemon of AS 65000 (10.0.0.1, cluster 10.0.0.9) and its peers, who note what they are told, octet by octet.

#![allow(dead_code, reason = "every test uses a part of it")]

use std::net::{Ipv4Addr, Ipv6Addr};

use bgp::attr::{code, flags, write_attribute};
use bgp::header::HEADER_LEN;
use bgp::update::{ReadContext, parse};
use bgp::{Family, NextHop};
use ipnet::IpNet;
use rib::{Applied, Limits, PeerIdx, PeerInfo, Settings};

use crate::net::Net;
use crate::tables::Tables;

pub(crate) const ASN: u32 = 65000;
pub(crate) const ROUTER_ID: [u8; 4] = [10, 0, 0, 1];
pub(crate) const CLUSTER: [u8; 4] = [10, 0, 0, 9];
pub(crate) const SELF_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 100);
pub(crate) const SELF_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 100);

/// A path attribute: flags, type code, value.
pub(crate) type Attribute = (u8, u8, Vec<u8>);

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) announced: Vec<IpNet>,
    pub(crate) withdrawn: Vec<IpNet>,
    pub(crate) next_hop: Option<NextHop>,
    /// In the order of the wire.
    pub(crate) attributes: Vec<Attribute>,
}

impl Heard {
    pub(crate) fn value(&self, code: u8) -> Option<&[u8]> {
        self.attributes.iter().find(|(_, c, _)| *c == code).map(|(.., v)| v.as_slice())
    }
}

/// Peer number `n`: its address ends with it, its BGP identifier is 10.0.1.n.
pub(crate) fn peer(n: u8, asn: u32) -> PeerInfo {
    PeerInfo {
        router_id: u32::from_be_bytes(router_id(n)),
        families: [Family::Ipv4Unicast, Family::Ipv6Unicast].into_iter().collect(),
        self_v4: Some(SELF_V4),
        self_v6: Some(SELF_V6),
        ..PeerInfo::new(Some(n.into()), Ipv4Addr::new(192, 0, 2, n).into(), asn, ASN)
    }
}

/// Of our own AS.
pub(crate) fn internal(n: u8) -> PeerInfo {
    peer(n, ASN)
}

/// A client of ours as a route reflector.
pub(crate) fn client(n: u8) -> PeerInfo {
    PeerInfo { route_reflector_client: true, ..internal(n) }
}

pub(crate) fn router_id(n: u8) -> [u8; 4] {
    [10, 0, 1, n]
}

/// An IPv4 /24 in NLRI encoding, and as it is heard of.
pub(crate) fn prefix(n: u8) -> ([u8; 4], IpNet) {
    ([24, 203, 0, n], ipnet::Ipv4Net::new(Ipv4Addr::new(203, 0, n, 0), 24).unwrap().into())
}

/// AS_PATH as a sequence.
pub(crate) fn path(asns: &[u32]) -> Vec<u8> {
    let octets = asns.iter().flat_map(|a| a.to_be_bytes());
    match asns.len() {
        0 => vec![],
        len => [2, u8::try_from(len).unwrap()].into_iter().chain(octets).collect(),
    }
}

/// ORIGIN, AS_PATH and NEXT_HOP.
pub(crate) fn mandatory(asns: &[u32], next_hop: [u8; 4]) -> Vec<Attribute> {
    vec![
        (flags::WELL_KNOWN, code::ORIGIN, vec![0]),
        (flags::WELL_KNOWN, code::AS_PATH, path(asns)),
        (flags::WELL_KNOWN, code::NEXT_HOP, next_hop.to_vec()),
    ]
}

/// LOCAL_PREF.
pub(crate) fn local_pref(n: u32) -> Attribute {
    (flags::WELL_KNOWN, code::LOCAL_PREF, n.to_be_bytes().to_vec())
}

pub(crate) struct Talk {
    pub(crate) tables: Tables,
    pub(crate) net: Net,
    peers: Vec<(PeerIdx, ReadContext)>,
}

impl Talk {
    pub(crate) fn new(shards: u32) -> Talk {
        let settings = Settings {
            asn: ASN,
            router_id: u32::from_be_bytes(ROUTER_ID),
            cluster_id: u32::from_be_bytes(CLUSTER),
            med_always_compare: false,
            limits: Limits::default(),
        };
        Talk { tables: Tables::new(settings, shards), net: Net::default(), peers: Vec::new() }
    }

    /// A session comes up, and everything that follows from it happens.
    pub(crate) fn up(&mut self, info: PeerInfo) -> PeerIdx {
        let idx = self.begin(info);
        self.settle();
        idx
    }

    /// A session comes up, without what follows from it.
    pub(crate) fn begin(&mut self, info: PeerInfo) -> PeerIdx {
        let ctx = ReadContext {
            four_octet_as: info.four_octet_as,
            external: info.external(),
            families: info.families,
            add_path: info.add_path,
        };
        let idx = self.tables.peer_up(info, 0).unwrap();
        self.net.up(idx);
        self.peers.push((idx, ctx));
        idx
    }

    pub(crate) fn down(&mut self, peer: PeerIdx) {
        self.end(peer);
        self.settle();
    }

    /// A session ends, without what follows from it.
    pub(crate) fn end(&mut self, peer: PeerIdx) {
        self.tables.peer_down(peer);
        self.net.down(peer);
        self.peers.retain(|(p, _)| *p != peer);
    }

    pub(crate) fn settle(&mut self) {
        self.settle_at(0);
    }

    /// Everything happens that can, so many milliseconds after the begin.
    pub(crate) fn settle_at(&mut self, now: u64) {
        while self.tables.work(now, &mut self.net) {}
    }

    pub(crate) fn context(&self, peer: PeerIdx) -> ReadContext {
        self.peers.iter().find(|(p, _)| *p == peer).unwrap().1
    }

    /// An UPDATE from a peer, without what follows from it.
    pub(crate) fn says(&mut self, peer: PeerIdx, list: &[Attribute], nlri: &[[u8; 4]]) -> Applied {
        self.says_of(peer, list, nlri.as_flattened())
    }

    /// The same with NLRI as it is on the wire.
    pub(crate) fn says_of(&mut self, peer: PeerIdx, list: &[Attribute], nlri: &[u8]) -> Applied {
        let mut attributes = Vec::new();
        list.iter().for_each(|(f, c, v)| write_attribute(&mut attributes, *f, *c, v));
        let mut body = vec![0, 0];
        body.extend(u16::try_from(attributes.len()).unwrap().to_be_bytes());
        body.extend(attributes);
        body.extend(nlri);
        let ctx = self.context(peer);
        let update = parse(&body, &ctx).unwrap();
        assert!(update.faults.is_empty(), "{:?}", update.faults);
        self.tables.apply(peer, &update, &ctx)
    }

    /// Withdrawals from a peer, without what follows from them.
    pub(crate) fn withdraws(&mut self, peer: PeerIdx, nlri: &[[u8; 4]]) {
        self.withdraws_of(peer, nlri.as_flattened());
    }

    /// The same with NLRI as it is on the wire.
    pub(crate) fn withdraws_of(&mut self, peer: PeerIdx, nlri: &[u8]) {
        let mut body = u16::try_from(nlri.len()).unwrap().to_be_bytes().to_vec();
        body.extend(nlri);
        body.extend([0, 0]);
        let ctx = self.context(peer);
        self.tables.apply(peer, &parse(&body, &ctx).unwrap(), &ctx);
    }

    /// What a peer was told since it was asked last, without End-of-RIB.
    pub(crate) fn heard(&mut self, peer: PeerIdx) -> Vec<Heard> {
        let ctx = self.context(peer);
        let messages = self.net.read(peer);
        let heard = messages.iter().map(|m| {
            let update = parse(&m[HEADER_LEN..], &ctx).unwrap();
            assert!(update.faults.is_empty(), "{:?}", update.faults);
            let nets = |list: &bgp::nlri::Nlri<'_>| list.iter().map(|(_, net)| net).collect::<Vec<_>>();
            let [mut announced, mut withdrawn] = [nets(&update.announced), nets(&update.withdrawn)];
            announced.extend(update.mp_reach.iter().flat_map(&nets));
            withdrawn.extend(update.mp_unreach.iter().flat_map(&nets));
            let attributes = update.attributes.iter().map(|a| (a.flags, a.code, a.value.to_vec())).collect();
            Heard { announced, withdrawn, next_hop: update.next_hop.or(update.mp_next_hop), attributes }
        });
        heard.collect()
    }

    /// The one announcement, or nothing, that a peer was told since it was asked last.
    pub(crate) fn announcement(&mut self, peer: PeerIdx) -> Option<Heard> {
        let mut heard = self.heard(peer);
        assert!(heard.len() < 2 && heard.iter().all(|h| h.withdrawn.is_empty()), "{heard:?}");
        heard.pop()
    }
}
