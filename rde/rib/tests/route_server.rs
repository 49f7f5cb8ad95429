//! Clients of a route server, message by message: RFC 7947 §2.3.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

mod net;
mod tables;
mod talk;

use bgp::attr::{code, flags};
use ipnet::IpNet;
use rib::{PeerIdx, PeerInfo};
use talk::{Attribute, Talk, internal, mandatory, peer, prefix};

fn client(n: u8) -> PeerInfo {
    PeerInfo { route_server_client: true, ..peer(n, 65000 + u32::from(n)) }
}

/// What client `n` announces, with a path of so many ASes.
fn route(n: u8, len: usize) -> Vec<Attribute> {
    let path: Vec<u32> = (0..len).map(|_| 65000 + u32::from(n)).collect();
    mandatory(&path, [192, 0, 2, n])
}

/// What each peer was told since it was asked last: by the next hop, or as withdrawn.
fn told(talk: &mut Talk, peers: &[PeerIdx], net: IpNet) -> Vec<Vec<Option<u8>>> {
    let last = |next_hop: Option<bgp::NextHop>| match next_hop {
        Some(bgp::NextHop::V4(a)) => a.octets()[3],
        other => panic!("{other:?}"),
    };
    let mut of = |peer: &PeerIdx| -> Vec<Option<u8>> {
        (talk.heard(*peer).into_iter())
            .filter(|h| h.announced.contains(&net) || h.withdrawn.contains(&net))
            .map(|h| (!h.announced.is_empty()).then(|| last(h.next_hop)))
            .collect()
    };
    peers.iter().map(&mut of).collect()
}

#[test]
fn rfc7947_2_3_what_is_from_a_client_hides_nothing_from_it() {
    let mut talk = Talk::new(1);
    let peers = [client(1), client(2), client(3), peer(4, 65004)].map(|info| talk.up(info));
    let [one, two, three, _] = peers;
    let (nlri, net) = prefix(7);
    told(&mut talk, &peers, net);
    // Who says what, what the three clients and the plain peer are told then, and in how many messages.
    let ours = Some(100);
    for (from, says, expected, messages) in [
        (one, Some(2), [vec![], vec![Some(1)], vec![Some(1)], vec![ours]], 2),
        // Not the best of all, but of those for the first.
        (two, Some(3), [vec![Some(2)], vec![], vec![], vec![]], 1),
        (three, Some(4), [vec![], vec![], vec![], vec![]], 0),
        (two, None, [vec![Some(3)], vec![], vec![], vec![]], 1),
        (two, Some(3), [vec![Some(2)], vec![], vec![], vec![]], 1),
        // The second becomes the first. For the plain peer, it is another route with our next hop.
        (one, None, [vec![Some(2)], vec![Some(3)], vec![Some(2)], vec![ours]], 3),
        (one, Some(4), [vec![], vec![Some(1)], vec![], vec![]], 1),
        (three, None, [vec![], vec![], vec![], vec![]], 0),
        (two, None, [vec![None], vec![Some(1)], vec![Some(1)], vec![ours]], 3),
    ] {
        let before = talk.net.written;
        match says {
            Some(len) => {
                let n = peers.iter().position(|p| *p == from).unwrap() as u8 + 1;
                _ = talk.says(from, &route(n, len), &[nlri]);
            }
            None => talk.withdraws(from, &[nlri]),
        }
        talk.settle();
        assert_eq!(told(&mut talk, &peers, net), expected, "{says:?} of {from:?}");
        assert_eq!(talk.net.written - before, messages, "{says:?} of {from:?}");
    }
}

#[test]
fn rfc7947_2_3_what_is_kept_from_clients_hides_nothing_from_them() {
    const NO_EXPORT: [u8; 4] = [0xff, 0xff, 0xff, 1];
    let mut talk = Talk::new(1);
    let peers = [client(1), client(2), client(3), peer(4, 65004), internal(5)].map(|info| talk.up(info));
    let (nlri, net) = prefix(7);
    let inside = (flags::OPTIONAL_TRANSITIVE, code::COMMUNITIES, NO_EXPORT.to_vec());
    told(&mut talk, &peers, net);
    talk.says(peers[0], &[route(1, 2), vec![inside.clone()]].concat(), &[nlri]);
    talk.says(peers[1], &[route(2, 3), vec![inside.clone()]].concat(), &[nlri]);
    talk.settle();
    // Inside our AS, the best.
    assert_eq!(told(&mut talk, &peers, net), [vec![], vec![], vec![], vec![], vec![Some(1)]]);
    // The third of all is the first that clients may have; who is no client is sent the best of all or none.
    talk.says(peers[2], &route(3, 4), &[nlri]);
    talk.settle();
    assert_eq!(told(&mut talk, &peers, net), [vec![Some(3)], vec![Some(3)], vec![], vec![], vec![]]);
    // The second may be sent now, and its source gets the third.
    talk.says(peers[1], &route(2, 3), &[nlri]);
    talk.settle();
    assert_eq!(told(&mut talk, &peers, net), [vec![Some(2)], vec![], vec![Some(2)], vec![], vec![]]);
    assert_eq!(talk.tables.peer_counters(peers[1]).1[0], 1);
    // Nothing is left for anybody else.
    talk.says(peers[2], &[route(3, 4), vec![inside]].concat(), &[nlri]);
    talk.settle();
    assert_eq!(told(&mut talk, &peers, net), [vec![], vec![None], vec![], vec![], vec![]]);
}

#[test]
fn rfc7947_2_3_a_next_hop_that_a_client_cannot_be_sent_hides_nothing_from_it() {
    let both = |n| PeerInfo { extended_next_hop: true, ..client(n) };
    let mut talk = Talk::new(1);
    let peers = [both(1), client(2), client(3), both(4)].map(|info| talk.up(info));
    let (nlri, net) = prefix(7);
    told(&mut talk, &peers, net);
    // An IPv4 prefix over an IPv6 next hop (RFC 8950), with the shorter path.
    let mut value = vec![0, 1, 1, 16];
    value.extend("2001:db8::1".parse::<std::net::Ipv6Addr>().unwrap().octets());
    value.push(0);
    value.extend(nlri);
    let mut over_ipv6 = route(1, 1);
    over_ipv6.truncate(2);
    over_ipv6.push((flags::OPTIONAL, code::MP_REACH_NLRI, value));
    talk.says(peers[0], &over_ipv6, &[]);
    talk.says(peers[1], &route(2, 2), &[nlri]);
    talk.settle();
    let next_hops = |talk: &mut Talk, peer| -> Vec<_> {
        let heard = talk.heard(peer).into_iter().filter(|h| h.announced.contains(&net));
        heard.map(|h| h.next_hop.unwrap().global().to_string()).collect()
    };
    let [first, second, plain, able] = peers.map(|p| next_hops(&mut talk, p));
    assert_eq!(first, ["192.0.2.2"], "its own is the best");
    assert_eq!(second, [""; 0], "its own is the only one that it could have");
    assert_eq!(plain, ["192.0.2.2"]);
    assert_eq!(able, ["2001:db8::1"]);
}
