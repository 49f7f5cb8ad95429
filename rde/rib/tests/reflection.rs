//! Route reflection, octet by octet: RFC 4456 §6, §8, §9 and §10.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

mod net;
mod tables;
mod talk;

use bgp::attr::{code, flags};
use bgp::{Asn, Family, FamilySet, NextHop};
use talk::{
    Attribute, CLUSTER, ROUTER_ID, Talk, client, internal, local_pref, mandatory, peer, prefix, router_id,
};

const OPTIONAL: u8 = flags::OPTIONAL_NON_TRANSITIVE;

fn originator(id: [u8; 4]) -> Attribute {
    (OPTIONAL, code::ORIGINATOR_ID, id.to_vec())
}

fn clusters(list: &[[u8; 4]]) -> Attribute {
    (OPTIONAL, code::CLUSTER_LIST, list.as_flattened().to_vec())
}

/// Of a route inside the AS.
fn plain(next_hop: [u8; 4]) -> Vec<Attribute> {
    [mandatory(&[64500], next_hop), vec![local_pref(100)]].concat()
}

#[test]
fn rfc4456_6_who_is_sent_whose_routes() {
    for shards in [1, 4] {
        let mut talk = Talk::new(shards);
        let infos = [client(1), client(2), internal(3), internal(4), peer(5, 65005), peer(6, 65006)];
        let peers = infos.map(|info| talk.up(info));
        // Who gets what each of them says, and what is injected.
        for (from, expected) in [
            (Some(0), [false, true, true, true, true, true]),
            (Some(1), [true, false, true, true, true, true]),
            (Some(2), [true, true, false, false, true, true]),
            (Some(3), [true, true, false, false, true, true]),
            (Some(4), [true, true, true, true, false, true]),
            (None, [true; 6]),
        ] {
            let n = from.map_or(9, |f: u8| f);
            let (nlri, net) = prefix(n);
            match from.map(|f| peers[usize::from(f)]) {
                Some(p) if n < 4 => _ = talk.says(p, &plain([192, 0, 2, n + 1]), &[nlri]),
                Some(p) => _ = talk.says(p, &mandatory(&[65005], [192, 0, 2, 5]), &[nlri]),
                None => {
                    let path =
                        bgp::attr::PathAttribute::AsPath(bgp::aspath::AsPathBuf::sequence([Asn(64500)]));
                    let attributes = bgp::attr::canonical::Builder::new().with(path).build();
                    talk.tables.inject(net, 0, &attributes, NextHop::V4([192, 0, 2, 9].into()));
                }
            }
            talk.settle();
            for (to, expected) in peers.iter().zip(expected) {
                let told: Vec<_> = talk.heard(*to).into_iter().flat_map(|h| h.announced).collect();
                assert_eq!(told == [net], expected, "from {from:?} to {to:?}: {told:?}");
            }
        }
    }
}

#[test]
fn rfc4456_8_a_reflected_route_gets_originator_and_cluster_and_nothing_else_changes() {
    let more: Vec<Attribute> = vec![
        (OPTIONAL, code::MULTI_EXIT_DISC, vec![0, 0, 0, 9]),
        local_pref(200),
        (flags::OPTIONAL_TRANSITIVE, code::COMMUNITIES, vec![0xfd, 0xe9, 0, 100]),
    ];
    let behind: Vec<Attribute> = vec![(flags::OPTIONAL_TRANSITIVE, code::LARGE_COMMUNITY, vec![1; 12])];
    let (other, far) = ([10, 7, 7, 7], [10, 8, 8, 8]);
    let long = vec![far; 63];
    // What comes with the route, what goes on.
    for (brings, gets) in [
        (vec![], vec![originator(router_id(1)), clusters(&[CLUSTER])]),
        (vec![originator(other)], vec![originator(other), clusters(&[CLUSTER])]),
        (
            vec![originator(other), clusters(&[far, other])],
            vec![originator(other), clusters(&[CLUSTER, far, other])],
        ),
        // With ours, the length takes two octets.
        (
            vec![originator(other), clusters(&long)],
            vec![
                originator(other),
                (OPTIONAL | flags::EXTENDED, code::CLUSTER_LIST, {
                    [&CLUSTER[..], long.as_flattened()].concat()
                }),
            ],
        ),
    ] {
        let front = [mandatory(&[64500], [192, 0, 2, 77]), more.clone()].concat();
        let mut talk = Talk::new(1);
        let [from, reflected, outside] = [client(1), internal(2), peer(3, 65003)].map(|info| talk.up(info));
        let second = talk.up(client(4));
        talk.says(from, &[front.clone(), brings, behind.clone()].concat(), &[prefix(1).0]);
        talk.settle();
        let expected = [front, gets, behind.clone()].concat();
        for to in [reflected, second] {
            assert_eq!(talk.announcement(to).unwrap().attributes, expected);
        }
        let heard = talk.announcement(outside).unwrap();
        assert_eq!((heard.value(code::ORIGINATOR_ID), heard.value(code::CLUSTER_LIST)), (None, None));
    }
}

#[test]
fn rfc4456_8_what_is_not_reflected_gets_neither_attribute() {
    let mut talk = Talk::new(1);
    let [outside, to] = [peer(1, 65001), client(2)].map(|info| talk.up(info));
    talk.says(outside, &mandatory(&[65001], [192, 0, 2, 1]), &[prefix(1).0]);
    talk.settle();
    let expected = [mandatory(&[65001], [192, 0, 2, 1]), vec![local_pref(100)]].concat();
    assert_eq!(talk.announcement(to).unwrap().attributes, expected);
}

#[test]
fn rfc4456_8_a_route_that_comes_back_is_refused_and_the_old_one_goes() {
    let (nlri, net) = prefix(1);
    for back in [
        vec![originator(ROUTER_ID), clusters(&[[10, 8, 8, 8]])],
        vec![originator([10, 7, 7, 7]), clusters(&[[10, 8, 8, 8], CLUSTER])],
        vec![clusters(&[CLUSTER])],
    ] {
        let mut talk = Talk::new(1);
        let [from, to] = [client(1), client(2)].map(|info| talk.up(info));
        let applied = talk.says(from, &plain([192, 0, 2, 1]), &[nlri]);
        assert!(!applied.reflected && !applied.looped);
        talk.settle();
        assert_eq!(talk.announcement(to).unwrap().announced, [net]);
        let applied = talk.says(from, &[plain([192, 0, 2, 1]), back].concat(), &[nlri]);
        assert!(applied.reflected && !applied.looped && !applied.treated_as_withdraw, "{applied:?}");
        talk.settle();
        let heard = talk.heard(to);
        assert_eq!(heard.iter().map(|h| h.withdrawn.clone()).collect::<Vec<_>>(), [vec![net]]);
        assert_eq!(talk.tables.counters().adj_rib_in, [0; 4]);
    }
}

#[test]
fn rfc4456_8_equal_routes_of_two_clients_keep_their_originators() {
    let mut talk = Talk::new(1);
    let [one, two, to] = [client(1), client(2), internal(3)].map(|info| talk.up(info));
    let (first, second) = (prefix(1), prefix(2));
    let attributes = plain([192, 0, 2, 77]);
    talk.says(one, &attributes, &[first.0]);
    talk.says(two, &attributes, &[second.0]);
    talk.settle();
    let told = |heard: Vec<talk::Heard>| -> Vec<_> {
        let mut told: Vec<_> = heard
            .into_iter()
            .map(|h| (h.announced.clone(), h.value(code::ORIGINATOR_ID).map(<[u8]>::to_vec)))
            .collect();
        told.sort();
        told
    };
    let id = |n| Some(router_id(n).to_vec());
    assert_eq!(told(talk.heard(to)), [(vec![first.1], id(1)), (vec![second.1], id(2))]);
    // The same attributes from another peer are another route for those who get it reflected.
    talk.says(two, &attributes, &[first.0]);
    talk.settle();
    assert_eq!(told(talk.heard(to)), []);
    talk.down(one);
    assert_eq!(told(talk.heard(to)), [(vec![first.1], id(2))]);
    // The same originator's route from another peer is not.
    let [far, near] = [internal(4), internal(5)].map(|info| talk.up(info));
    let watcher = talk.up(client(6));
    talk.heard(watcher);
    let attributes = [attributes, vec![originator([10, 7, 7, 7]), clusters(&[[10, 8, 8, 8]])]].concat();
    talk.says(far, &attributes, &[prefix(3).0]);
    talk.says(near, &attributes, &[prefix(3).0]);
    talk.settle();
    assert_eq!(told(talk.heard(watcher)), [(vec![prefix(3).1], Some(vec![10, 7, 7, 7]))]);
    talk.down(far);
    assert_eq!(told(talk.heard(watcher)), []);
}

#[test]
fn rfc4456_8_equal_paths_of_clients_keep_their_originators_where_several_are_sent() {
    let mut talk = Talk::new(1);
    let add_path = FamilySet::EMPTY.with(Family::Ipv4Unicast);
    let several = |info: rib::PeerInfo| rib::PeerInfo { add_path, ..info };
    let [one, two, three, first] =
        [client(1), client(2), client(3), several(internal(4))].map(|info| talk.up(info));
    let (attributes, nlri) = (plain([192, 0, 2, 77]), [prefix(1).0, prefix(2).0]);
    let brings = [attributes.clone(), vec![originator([10, 7, 7, 7])]].concat();
    [one, two].into_iter().for_each(|p| _ = talk.says(p, &attributes, &nlri));
    talk.says(three, &brings, &nlri);
    talk.settle();
    let second = talk.up(several(internal(5)));
    for to in [first, second] {
        let mut told: Vec<_> = (talk.heard(to).into_iter())
            .filter(|h| !h.announced.is_empty())
            .map(|h| (h.value(code::ORIGINATOR_ID).unwrap().to_vec(), h.announced.len()))
            .collect();
        told.sort();
        let expected = [router_id(1), router_id(2), [10, 7, 7, 7]].map(|id| (id.to_vec(), 2));
        assert_eq!(told, expected, "a message for each originator");
    }
}

#[test]
fn clients_share_messages_whatever_address_of_ours_they_know() {
    let mut talk = Talk::new(1);
    let from = talk.up(internal(1));
    let clients = [2, 3, 4].map(|n| {
        let self_v4 = Some([192, 0, 2, 100 + n].into());
        talk.up(rib::PeerInfo { self_v4, ..client(n) })
    });
    let before = talk.net.written;
    talk.says(from, &plain([192, 0, 2, 1]), &[prefix(1).0]);
    talk.settle();
    assert_eq!(talk.net.written - before, 1, "one message for all");
    clients.iter().for_each(|c| assert!(talk.announcement(*c).is_some()));
}

#[test]
fn rfc4456_9_originator_and_cluster_list_decide() {
    let id = |n| vec![originator([10, 5, 5, n]), clusters(&[[10, 8, 8, 8]])];
    let two = vec![originator([10, 5, 5, 1]), clusters(&[[10, 8, 8, 8], [10, 8, 8, 9]])];
    // By BGP identifier and address the first of the two peers would win.
    for (first, second) in [
        (id(9), id(1)),
        // The shorter list of the same originator.
        (two, id(1)),
    ] {
        let mut talk = Talk::new(1);
        let [one, other, to] = [internal(1), internal(2), client(3)].map(|info| talk.up(info));
        talk.says(one, &[plain([192, 0, 2, 1]), first].concat(), &[prefix(1).0]);
        talk.says(other, &[plain([192, 0, 2, 2]), second].concat(), &[prefix(1).0]);
        talk.settle();
        let next_hop = talk.announcement(to).unwrap().next_hop;
        assert_eq!(next_hop, Some(NextHop::V4([192, 0, 2, 2].into())));
    }
}
