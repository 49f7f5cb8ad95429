//! Long-lived stale routes, octet by octet: RFC 9494 §4.2 and §4.3.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

mod net;
mod tables;
mod talk;

use bgp::Family;
use bgp::attr::{code, flags};
use bgp::community::well_known::{LLGR_STALE, NO_LLGR};
use ipnet::IpNet;
use rib::{LongLived, PeerIdx, PeerInfo};
use talk::{Attribute, Heard, Talk, mandatory, peer, prefix};

const V4: Family = Family::Ipv4Unicast;
/// A community without any meaning here.
const OTHER: u32 = 65001 << 16 | 7;

/// Both sides announce long-lived graceful restart.
fn both(info: PeerInfo) -> PeerInfo {
    PeerInfo { long_lived: LongLived { announced: true, received: true }, ..info }
}

fn communities(list: &[u32]) -> Vec<Attribute> {
    let value: Vec<u8> = list.iter().flat_map(|c| c.to_be_bytes()).collect();
    if value.is_empty() { vec![] } else { vec![(flags::OPTIONAL_TRANSITIVE, code::COMMUNITIES, value)] }
}

/// A route of peer `n` with these communities.
fn route(n: u8, path: &[u32], list: &[u32]) -> Vec<Attribute> {
    [mandatory(path, [192, 0, 2, n]), communities(list)].concat()
}

/// What is stale of the peer's routes becomes long-lived stale.
fn make_long_lived(talk: &mut Talk, peer: PeerIdx) {
    talk.tables.shards.iter_mut().for_each(|r| r.make_long_lived(peer, V4));
}

/// What a peer was told, in the order of prefixes: the communities, or `None` where it was withdrawn.
fn told(talk: &mut Talk, peer: PeerIdx) -> Vec<(IpNet, Option<Vec<u32>>)> {
    let mut all = Vec::new();
    for heard in talk.heard(peer) {
        let has = |h: &Heard| {
            let (list, _) = h.value(code::COMMUNITIES).unwrap_or_default().as_chunks::<4>();
            list.iter().map(|c| u32::from_be_bytes(*c)).collect::<Vec<_>>()
        };
        all.extend(heard.announced.iter().map(|net| (*net, Some(has(&heard)))));
        all.extend(heard.withdrawn.iter().map(|net| (*net, None)));
    }
    all.sort();
    all
}

fn net(n: u8) -> IpNet {
    prefix(n).1
}

#[test]
fn rfc9494_4_2_what_is_stale_is_marked_and_only_who_knows_the_mark_is_sent_it() {
    for shards in [1, 4] {
        let mut talk = Talk::new(shards);
        let away = talk.up(both(peer(1, 65001)));
        let knows = talk.up(both(peer(2, 65002)));
        let other = talk.up(peer(3, 65003));
        let lists: [&[u32]; 5] = [&[], &[OTHER], &[NO_LLGR], &[LLGR_STALE], &[OTHER, LLGR_STALE, NO_LLGR]];
        for (n, list) in (0..).zip(lists) {
            talk.says(away, &route(1, &[65001], list), &[prefix(n).0]);
        }
        talk.settle();
        let all: Vec<_> = (0..).zip(lists).map(|(n, list)| (net(n), Some(list.to_vec()))).collect();
        assert_eq!(told(&mut talk, knows), all, "as they came");
        assert_eq!(told(&mut talk, other), all[..3], "§4.3: not those that are marked");
        let sets = talk.tables.counters().attribute_sets;

        talk.tables.mark_stale(away, V4, true);
        // One comes again before it is time, and is as good as new.
        talk.says(away, &route(1, &[65001], lists[0]), &[prefix(0).0]);
        talk.settle();
        assert_eq!((told(&mut talk, knows), told(&mut talk, other)), (vec![], vec![]));
        make_long_lived(&mut talk, away);
        talk.settle();
        let expected = [(net(1), Some(vec![OTHER, LLGR_STALE])), (net(2), None), (net(4), None)];
        assert_eq!(told(&mut talk, knows), expected, "§4.2: marked, and NO_LLGR goes");
        assert_eq!(told(&mut talk, other), [(net(1), None), (net(2), None)]);
        assert!(talk.tables.counters().attribute_sets <= sets, "nothing is kept beside");
        assert_eq!(talk.tables.stale(away), 2);
        // A second time there is nothing left to be done.
        make_long_lived(&mut talk, away);
        talk.settle();
        assert_eq!((told(&mut talk, knows), told(&mut talk, other)), (vec![], vec![]));
        // Who comes now gets what is meant for it.
        let late = talk.up(both(peer(4, 65004)));
        let has = [(net(0), Some(vec![])), expected[0].clone(), (net(3), Some(vec![LLGR_STALE]))];
        assert_eq!(told(&mut talk, late), has);

        // The peer is back: the mark goes, and with it what was withdrawn because of it.
        talk.says(away, &route(1, &[65001], &[OTHER]), &[prefix(1).0]);
        talk.settle();
        let again = [(net(1), Some(vec![OTHER]))];
        assert_eq!((told(&mut talk, knows), told(&mut talk, other)), (again.to_vec(), again.to_vec()));
        talk.tables.sweep_stale(away, V4);
        talk.settle();
        assert_eq!(told(&mut talk, knows), [(net(3), None)]);
        assert_eq!(told(&mut talk, other), []);
    }
}

/// The AS path that a peer is sent last.
fn best(talk: &mut Talk, peer: PeerIdx) -> Option<Vec<u8>> {
    talk.heard(peer).pop().and_then(|h| h.value(code::AS_PATH).map(<[u8]>::to_vec))
}

#[test]
fn rfc9494_4_3_a_long_lived_stale_route_is_the_last_choice() {
    let mut talk = Talk::new(1);
    let (short, long) = (talk.up(both(peer(1, 65001))), talk.up(both(peer(2, 65002))));
    let ask = talk.up(both(peer(3, 65003)));
    let nlri = [prefix(0).0];
    let is_through = |path: Option<Vec<u8>>, first: u32| {
        path.is_some_and(|p| p.get(6..10) == Some(&first.to_be_bytes()[..]))
    };
    talk.says(short, &route(1, &[65001], &[]), &nlri);
    talk.says(long, &route(2, &[65002, 65100, 65101], &[]), &nlri);
    talk.settle();
    assert!(is_through(best(&mut talk, ask), 65001));
    // Both are stale: it is as before. Then the better one becomes long-lived.
    talk.tables.mark_stale(short, V4, true);
    talk.tables.mark_stale(long, V4, true);
    talk.settle();
    assert_eq!(talk.heard(ask), []);
    make_long_lived(&mut talk, short);
    talk.settle();
    assert!(is_through(best(&mut talk, ask), 65002), "less preferred than any other");
    // Two of them are compared as usual.
    make_long_lived(&mut talk, long);
    talk.settle();
    assert!(is_through(best(&mut talk, ask), 65001));
    // It makes no difference who made it that.
    talk.says(long, &route(2, &[65002, 65100, 65101], &[LLGR_STALE]), &nlri);
    talk.settle();
    assert_eq!(talk.heard(ask), []);
    talk.says(long, &route(2, &[65002, 65100, 65101], &[]), &nlri);
    talk.settle();
    assert!(is_through(best(&mut talk, ask), 65002));
    talk.says(short, &route(1, &[65001], &[LLGR_STALE]), &nlri);
    talk.settle();
    assert_eq!(talk.heard(ask), []);
}

/// RFC 9494 §4.3 speaks of neighbors to which the capability was announced.
#[test]
fn without_the_capability_the_mark_is_a_community_like_any_other() {
    let mut talk = Talk::new(1);
    let (short, long) = (talk.up(peer(1, 65001)), talk.up(peer(2, 65002)));
    let ask = talk.up(peer(3, 65003));
    talk.says(short, &route(1, &[65001], &[LLGR_STALE]), &[prefix(0).0]);
    talk.says(long, &route(2, &[65002, 65100], &[]), &[prefix(0).0]);
    talk.settle();
    let last = told(&mut talk, ask).pop();
    assert_eq!(last, Some((net(0), Some(vec![LLGR_STALE]))));
}

/// More routes than a step looks at, and the peer comes back when some of them are marked.
#[test]
fn routes_that_come_again_while_others_are_being_marked_are_not_marked() {
    let mut talk = Talk::new(1);
    let (away, knows) = (talk.up(both(peer(1, 65001))), talk.up(both(peer(2, 65002))));
    let nlri: Vec<[u8; 4]> = (0..12_000u32).map(|n| (24 << 24 | 10 << 16 | n).to_be_bytes()).collect();
    let announce = |talk: &mut Talk| {
        nlri.chunks(500).for_each(|part| _ = talk.says(away, &route(1, &[65001], &[]), part));
    };
    announce(&mut talk);
    talk.settle();
    talk.heard(knows);
    talk.tables.mark_stale(away, V4, true);
    talk.settle();
    make_long_lived(&mut talk, away);
    talk.tables.work(0, &mut talk.net);
    let marked = told(&mut talk, knows);
    assert!(!marked.is_empty() && marked.len() < 12_000, "{}", marked.len());
    assert!(marked.iter().all(|(_, list)| list.as_deref() == Some(&[LLGR_STALE][..])));
    announce(&mut talk);
    talk.settle();
    let again = told(&mut talk, knows);
    assert!(again.iter().all(|(_, list)| list.as_deref() == Some(&[][..])), "nothing is marked");
    assert_eq!(again.len(), marked.len(), "and what was, is told again");
    assert_eq!(talk.tables.stale(away), 0);
    assert_eq!(talk.tables.counters().attribute_sets, 1);
}
