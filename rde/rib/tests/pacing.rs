//! RFC 4271 §9.2.1.1: how often a peer is sent announcements, where it does not get them at once.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

mod net;
mod tables;
mod talk;

use rib::{PeerIdx, PeerInfo};
use talk::{Talk, mandatory, peer, prefix};

const SOURCE: u32 = 65001;
const OTHER: u32 = 65003;

/// A source, a peer that is sent announcements every five seconds, one that gets them at once.
fn start(shards: u32) -> (Talk, [PeerIdx; 3]) {
    let mut talk = Talk::new(shards);
    let source = talk.up(peer(1, SOURCE));
    let paced = talk.up(PeerInfo { advertisement_interval: 5, ..peer(2, 65002) });
    let plain = talk.up(peer(3, OTHER));
    (talk, [source, paced, plain])
}

/// The source announces a path of so many numbers.
fn announce(talk: &mut Talk, source: PeerIdx, n: u8, length: usize) {
    let asns = vec![SOURCE; length];
    talk.says(source, &mandatory(&asns, [192, 0, 2, 1]), &[prefix(n).0]);
}

/// The lengths of the paths that a peer was announced since it was asked last, with the prefix of each.
fn announced(talk: &mut Talk, to: PeerIdx) -> Vec<(u8, usize)> {
    let heard = talk.heard(to);
    let one = |h: talk::Heard| {
        let path = h.attributes.iter().find(|(_, code, _)| *code == bgp::attr::code::AS_PATH).unwrap();
        // Less our own number.
        let length = usize::from(path.2[1]) - 1;
        let number = |net: &ipnet::IpNet| (1..=9).find(|n| prefix(*n).1 == *net).unwrap();
        h.announced.iter().map(|net| (number(net), length)).collect::<Vec<_>>()
    };
    let mut list: Vec<_> = heard.into_iter().filter(|h| h.withdrawn.is_empty()).flat_map(one).collect();
    list.sort_unstable();
    list
}

#[test]
fn rfc4271_9_2_1_1_what_is_announced_within_an_interval_leaves_together_at_its_end() {
    for shards in [1, 3] {
        let (mut talk, [source, paced, plain]) = start(shards);
        // After a pause nothing waits. Each shard has intervals of its own, and both prefixes may be in the same one.
        (1..=2).for_each(|n| announce(&mut talk, source, n, 1));
        talk.settle_at(20_000);
        assert_eq!(announced(&mut talk, paced), [(1, 1), (2, 1)]);
        assert_eq!(announced(&mut talk, plain), [(1, 1), (2, 1)]);
        // From then on each prefix waits once, whatever happens to it meanwhile.
        for (at, length) in [(20_100, 2), (21_000, 3), (24_999, 4)] {
            announce(&mut talk, source, 1, length);
            announce(&mut talk, source, 2, length);
            talk.settle_at(at);
            assert_eq!(announced(&mut talk, plain), [(1, length), (2, length)]);
            assert_eq!(announced(&mut talk, paced), []);
        }
        talk.settle_at(25_000);
        assert_eq!(announced(&mut talk, paced), [(1, 4), (2, 4)]);
        // What is again as it was sent is not sent again.
        announce(&mut talk, source, 1, 5);
        talk.settle_at(25_100);
        announce(&mut talk, source, 1, 4);
        talk.settle_at(25_200);
        talk.settle_at(30_000);
        assert_eq!(announced(&mut talk, paced), []);
        talk.down(source);
        talk.down(paced);
        talk.down(plain);
        assert_eq!(talk.tables.counters().attribute_sets, 0, "nothing is held for ever");
    }
}

#[test]
fn rfc4271_9_2_1_1_withdrawals_do_not_wait() {
    for shards in [1, 3] {
        let (mut talk, [source, paced, _]) = start(shards);
        (1..=3).for_each(|n| announce(&mut talk, source, n, 1));
        talk.settle_at(20_000);
        assert_eq!(announced(&mut talk, paced), [(1, 1), (2, 1), (3, 1)]);
        // One that waits, and goes before its time: it was never announced so, and the old one is withdrawn at once.
        announce(&mut talk, source, 1, 2);
        talk.settle_at(20_100);
        talk.withdraws(source, &[prefix(1).0, prefix(2).0]);
        talk.settle_at(20_200);
        let mut gone: Vec<_> = talk.heard(paced).into_iter().flat_map(|h| h.withdrawn).collect();
        gone.sort_unstable();
        assert_eq!(gone, [prefix(1).1, prefix(2).1]);
        // One that comes back within the interval waits.
        announce(&mut talk, source, 2, 3);
        talk.settle_at(20_300);
        assert_eq!(announced(&mut talk, paced), []);
        talk.settle_at(25_000);
        assert_eq!(announced(&mut talk, paced), [(2, 3)]);
    }
}
