//! What configuration makes of what external peers and others are sent: private AS numbers (RFC 6996 §5), default
//! routes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

mod net;
mod tables;
mod talk;

use bgp::attr::canonical::Builder;
use bgp::attr::{PathAttribute, code};
use bgp::{AS_TRANS, NextHop, RemovePrivateAs};
use ipnet::IpNet;
use rib::{PeerIdx, PeerInfo, Query, QueryTable};
use talk::{ASN, Heard, SELF_V4, SELF_V6, Talk, client, internal, mandatory, path, peer, prefix};

const FAR: u32 = 4_200_000_001;

#[test]
fn rfc6996_5_private_numbers_are_taken_out_of_paths_before_our_own_is_put_in() {
    use RemovePrivateAs::{All, Remove, Replace};
    let mut talk = Talk::new(1);
    let from = talk.up(peer(1, 65001));
    let to = |n, how| PeerInfo { remove_private_as: how, ..peer(n, 3356) };
    let peers = [None, Some(Remove), Some(All), Some(Replace)];
    let peers: Vec<PeerIdx> = (2..).zip(peers).map(|(n, how)| talk.up(to(n, how))).collect();
    let mixed = [65001, 1299, FAR];
    for (n, asns, expected) in [
        (
            1,
            &mixed[..],
            [&[ASN, 65001, 1299, FAR][..], &[ASN, 65001, 1299, FAR], &[ASN, 1299], &[ASN, ASN, 1299, ASN]],
        ),
        (2, &[65001, FAR][..], [&[ASN, 65001, FAR][..], &[ASN], &[ASN], &[ASN, ASN, ASN]]),
    ] {
        talk.says(from, &mandatory(asns, [192, 0, 2, 1]), &[prefix(n).0]);
        talk.settle();
        for (peer, expected) in peers.iter().zip(expected) {
            let heard = talk.announcement(*peer).unwrap();
            assert_eq!(heard.value(code::AS_PATH), Some(path(expected).as_slice()));
        }
    }
}

#[test]
fn rfc6793_4_2_2_an_old_speaker_gets_both_paths_without_private_numbers() {
    let mut talk = Talk::new(1);
    let from = talk.up(peer(1, 65001));
    let old = |n, how| PeerInfo { four_octet_as: false, remove_private_as: how, ..peer(n, 3356) };
    let [all, replace] =
        [(2, RemovePrivateAs::All), (3, RemovePrivateAs::Replace)].map(|(n, how)| talk.up(old(n, Some(how))));
    talk.says(from, &mandatory(&[65001, 200_000, FAR], [192, 0, 2, 1]), &[prefix(1).0]);
    talk.settle();
    let ours = u16::try_from(ASN).unwrap();
    for (peer, short, wide) in [
        (all, vec![ours, AS_TRANS], vec![ASN, 200_000]),
        (replace, vec![ours, ours, AS_TRANS, ours], vec![ASN, ASN, 200_000, ASN]),
    ] {
        let heard = talk.announcement(peer).unwrap();
        let octets: Vec<u8> = short.iter().flat_map(|a| a.to_be_bytes()).collect();
        assert_eq!(heard.value(code::AS_PATH).unwrap()[2..], octets);
        assert_eq!(heard.value(code::AS4_PATH), Some(path(&wide).as_slice()));
    }
}

#[test]
fn private_numbers_stay_inside_our_as_and_on_the_way_to_route_server_clients() {
    let mut talk = Talk::new(1);
    let from = talk.up(peer(1, 65001));
    let how = Some(RemovePrivateAs::All);
    let inside = talk.up(PeerInfo { remove_private_as: how, ..internal(2) });
    let member = talk.up(PeerInfo { remove_private_as: how, route_server_client: true, ..peer(3, 3356) });
    talk.says(from, &mandatory(&[65001, FAR], [192, 0, 2, 1]), &[prefix(1).0]);
    talk.settle();
    for to in [inside, member] {
        let heard = talk.announcement(to).unwrap();
        assert_eq!(heard.value(code::AS_PATH), Some(path(&[65001, FAR]).as_slice()));
    }
}

fn with_default(info: PeerInfo) -> PeerInfo {
    PeerInfo { default_originate: true, ..info }
}

fn defaults() -> [IpNet; 2] {
    ["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()]
}

/// The default routes that somebody was announced: prefix, next hop, path.
fn told(heard: Vec<Heard>) -> Vec<(IpNet, Option<NextHop>, Vec<u8>)> {
    let mut told: Vec<_> = heard
        .into_iter()
        .flat_map(|h| {
            assert_eq!(h.value(code::ORIGIN), Some(&[0][..]));
            let path = h.value(code::AS_PATH).unwrap().to_vec();
            h.announced.into_iter().map(move |net| (net, h.next_hop, path.clone()))
        })
        .collect();
    told.sort_by_key(|(net, ..)| *net);
    told
}

/// Both default routes with these next hops and this path.
fn both(path: &[u8]) -> Vec<(IpNet, Option<NextHop>, Vec<u8>)> {
    let [v4, v6] = defaults();
    vec![(v4, Some(NextHop::V4(SELF_V4)), path.to_vec()), (v6, Some(NextHop::V6(SELF_V6)), path.to_vec())]
}

fn listed(talk: &mut Talk, peer: PeerIdx) -> Vec<IpNet> {
    let query = Query {
        table: QueryTable::AdjRibOut(peer),
        family: None,
        prefix: None,
        longer: false,
        origin_asn: 0,
        communities: vec![],
        large_communities: vec![],
        after: None,
        limit: 100,
    };
    talk.tables.page(&query).routes.iter().map(|r| r.key.prefix).collect()
}

#[test]
fn a_default_route_is_announced_to_those_who_are_to_have_one() {
    for shards in [1, 4] {
        let mut talk = Talk::new(shards);
        let ours = path(&[ASN]);
        for (info, path) in [
            (peer(1, 65001), &ours[..]),
            (internal(2), &[][..]),
            (client(3), &[][..]),
            // What is ours has our AS in its path, for clients of a route server too.
            (PeerInfo { route_server_client: true, ..peer(4, 65004) }, &ours[..]),
        ] {
            let with = talk.up(with_default(info.clone()));
            assert_eq!(told(talk.heard(with)), both(path), "{info:?}");
            assert_eq!(listed(&mut talk, with), defaults());
            assert_eq!(talk.tables.peer_counters(with).1, [1, 1, 0, 0]);
            // Another one like it is told the same, one without the option is not.
            let [second, without] = [with_default(info.clone()), info].map(|info| talk.up(info));
            assert_eq!(told(talk.heard(second)), both(path));
            assert_eq!(talk.heard(without), []);
            [with, second].into_iter().for_each(|p| talk.down(p));
            assert_eq!(talk.heard(without), []);
            talk.down(without);
        }
        assert_eq!(talk.tables.counters(), rib::Counters::default(), "after all have gone");
    }
}

#[test]
fn a_default_route_needs_an_address_of_ours() {
    let mut talk = Talk::new(1);
    let to = talk.up(with_default(PeerInfo { self_v6: None, ..peer(1, 65001) }));
    assert_eq!(told(talk.heard(to)), both(&path(&[ASN]))[..1]);
}

#[test]
fn a_default_route_of_the_table_is_not_announced_beside_ours() {
    for shards in [1, 4] {
        let mut talk = Talk::new(shards);
        let plain = talk.up(peer(2, 65002));
        let with = talk.up(with_default(peer(3, 65003)));
        talk.heard(with);
        let [v4, v6] = defaults();
        // After ours.
        let attributes = Builder::new().with(PathAttribute::MultiExitDisc(5)).build();
        talk.tables.inject(v4, 0, &attributes, NextHop::V4([192, 0, 2, 9].into()));
        talk.tables.inject(v6, 0, &attributes, NextHop::V6(SELF_V6));
        talk.settle();
        assert_eq!(talk.heard(with), []);
        let mut nets: Vec<_> = talk.heard(plain).into_iter().flat_map(|h| h.announced).collect();
        nets.sort();
        assert_eq!(nets, [v4, v6]);
        // Before ours.
        let late = talk.up(with_default(peer(4, 65004)));
        assert_eq!(told(talk.heard(late)), both(&path(&[ASN])));
        assert_eq!(talk.tables.peer_counters(late).1, [1, 1, 0, 0]);
        // It goes, and ours stays.
        assert!(talk.tables.withdraw_injected(v4, 0));
        talk.settle();
        assert_eq!((talk.heard(with), talk.heard(late)), (vec![], vec![]));
        assert_eq!(talk.heard(plain).iter().map(|h| h.withdrawn.clone()).collect::<Vec<_>>(), [vec![v4]]);
        // Without the option, its next session is sent what the table has.
        talk.down(with);
        let with = talk.up(peer(3, 65003));
        let nets: Vec<_> = talk.heard(with).into_iter().flat_map(|h| h.announced).collect();
        assert_eq!(nets, [v6]);
    }
}
