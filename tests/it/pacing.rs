//! When changes leave.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bgpbench::bgp::{self, Attrs, Prefix};
use lab::{Host, Lab, Neighbor, Origin, Pairs, Result, Route, Rustbgpd, Speaker};

use crate::lan::lan;

const US: u32 = 65001;
const PEER: u32 = 65002;

fn route(prefix: &str, med: u32) -> Route {
    let (communities, large) = (Vec::new(), Vec::new());
    Route { prefix: prefix.into(), origin: Origin::Igp, med, local_pref: None, communities, large }
}

/// The next UPDATE that is no End-of-RIB.
fn update(speaker: &mut Speaker) -> Result<Vec<u8>> {
    while let Some(message) = speaker.receive(30)? {
        if message.kind == bgp::UPDATE && message.body.len() > 4 {
            return Ok(message.body);
        }
    }
    lab::Error::fail("the session has ended".to_owned())
}

/// MULTI_EXIT_DISC.
fn med(n: u32) -> Vec<u8> {
    [&[0x80, 4, 4], n.to_be_bytes().as_slice()].concat()
}

/// RFC 4271 §9.2.1.1, on the wire.
#[test]
fn rfc4271_9_2_1_1_a_burst_leaves_as_one_announcement_and_a_withdrawal_at_once() -> Result<()> {
    Lab::run(|lab| {
        let pairs = Pairs::new(lab, &[1])?;
        let neighbor = Neighbor::new(&Pairs::theirs(1).to_string(), PEER).set("passive", true);
        let neighbor = neighbor.set("advertisement_interval", 5);
        let us = Rustbgpd::start(&pairs.us, &Rustbgpd::configuration(US, "10.0.0.1", &[neighbor]))?;
        let mut speaker = Speaker::establish(&pairs.peer, Pairs::port(1), PEER, 0, [10, 0, 0, 2])?;
        us.wait_established(&[Pairs::theirs(1)])?;
        // In one part of the tables the second one waits for an interval; in another one it does not.
        for (prefix, octets) in [("10.30.0.0/16", [16, 10, 30]), ("10.31.0.0/16", [16, 10, 31])] {
            us.add(&route(prefix, 1), "10.0.1.1".parse()?, "")?;
            let first = update(&mut speaker)?;
            assert!(first.ends_with(&octets), "{first:?}");
        }
        for n in 2..=10 {
            us.add(&route("10.31.0.0/16", n), "10.0.1.1".parse()?, "")?;
        }
        us.delete("10.30.0.0/16")?;
        assert_eq!(update(&mut speaker)?, [0, 3, 16, 10, 30, 0, 0], "the withdrawal of 10.30.0.0/16");
        let last = update(&mut speaker)?;
        assert!(last.ends_with(&[16, 10, 31]), "{last:?}");
        assert!(last.windows(7).any(|w| w == med(10)), "the last of the burst: {last:?}");
        Ok(())
    })
}

/// A storm: so many prefixes change so often, one message each time.
const PREFIXES: u32 = 500;
const ROUNDS: u32 = 200;
/// A path of so many AS numbers is in each message: all of them together are 80 MB, of which sockets and queues hold
/// a fraction.
const PATH: usize = 200;
/// After so many rounds every queue that may grow has had its time.
const SETTLED: u32 = 60;
/// By so much may an engine have grown since then, in KiB: for a neighbor that does not read, 16 MiB may wait.
const GROWTH: u64 = 24 << 10;

fn stormy(n: u32) -> Prefix {
    Prefix { bits: (0x0a40_0000 + (u64::from(n) << 8)) << 32, len: 24, v6: false }
}

/// A round of the storm: each prefix with a path of its own, in which the round stands; in the last round every
/// other prefix goes.
fn round(next_hop: IpAddr, number: u32) -> Vec<u8> {
    let mut octets = Vec::new();
    for n in 0..PREFIXES {
        if number == ROUNDS && n % 2 == 0 {
            bgp::withdraw(&mut octets, &[stormy(n)]);
            continue;
        }
        let mut path = vec![4_200_000_000; PATH];
        (path[0], path[1]) = (100_000 + number, 200_000 + n);
        let attrs = Attrs { path, ..Attrs::default() };
        bgp::announce(&mut octets, PEER, next_hop, &attrs, &[stormy(n)]);
    }
    octets
}

/// What a neighbor has been told: the round of each prefix that it has, and how many announcements it got.
#[derive(Default)]
struct Told {
    rounds: HashMap<Prefix, u32>,
    announcements: u32,
}

impl Told {
    /// Reads until it has been told this.
    fn until(&mut self, speaker: &mut Speaker, state: &HashMap<Prefix, u32>) -> Result<()> {
        while self.rounds != *state {
            let Some(message) = speaker.receive(60)? else {
                return lab::Error::fail("the session has ended");
            };
            if message.kind == bgp::UPDATE {
                bgp::routes(&message.body, |prefix, announced| {
                    self.announcements += u32::from(announced);
                    match round_of(&message.body).filter(|_| announced) {
                        Some(round) => self.rounds.insert(prefix, round),
                        None => self.rounds.remove(&prefix),
                    };
                })?;
            }
        }
        Ok(())
    }
}

/// The round that stands in the AS_PATH of an announcement.
fn round_of(update: &[u8]) -> Option<u32> {
    let asns = update.windows(4).map(|w| u32::from_be_bytes([w[0], w[1], w[2], w[3]]));
    let found = asns.into_iter().find(|asn| (100_000..=100_000 + ROUNDS).contains(asn))?;
    Some(found - 100_000)
}

/// The state after a round.
fn after(number: u32) -> HashMap<Prefix, u32> {
    let left = (0..PREFIXES).filter(|n| number < ROUNDS || n % 2 == 1);
    left.map(|n| (stormy(n), number)).collect()
}

/// What changes again and again while a neighbor does not read is sent to it once, as it is in the end; memory does
/// not grow with what it has missed, and who does read has each change at once.
fn storm(mut us: Rustbgpd, addresses: [IpAddr; 3], speakers: [Speaker; 3]) -> Result<()> {
    us.wait_established(&addresses)?;
    let [mut source, mut reader, mut idler] = speakers;
    let (mut told, mut times, mut settled) = (Told::default(), Vec::new(), [0; 2]);
    for number in 1..=ROUNDS {
        let octets = round(addresses[0], number);
        let begun = Instant::now();
        source.send(&octets)?;
        told.until(&mut reader, &after(number))?;
        times.push(begun.elapsed());
        if number == SETTLED {
            settled = [us.resident("session")?, us.resident("rde")?];
        }
    }
    assert_eq!(told.announcements, PREFIXES * ROUNDS - PREFIXES / 2, "the one that reads");
    times.sort_unstable();
    assert!(times[times.len() / 2] < Duration::from_secs(2), "the times of rounds: {times:?}");
    for (role, size) in ["session", "rde"].into_iter().zip(settled) {
        let now = us.resident(role)?;
        assert!(now < size + GROWTH, "{role} has grown from {size} to {now} KiB");
    }

    // It has its session, and is told what there is.
    let mut told = Told::default();
    told.until(&mut idler, &after(ROUNDS))?;
    assert!(told.announcements < PREFIXES * ROUNDS / 3, "{} announcements", told.announcements);
    for address in addresses {
        let state = us.neighbor(address)?;
        assert!(state.established && state.flaps == 0, "{state:?}");
    }
    Ok(())
}

fn configuration(addresses: [IpAddr; 3]) -> String {
    let neighbors = addresses.map(|a| Neighbor::new(&a.to_string(), PEER).set("passive", true));
    Rustbgpd::configuration(US, "10.0.0.1", &neighbors)
}

/// Both are sent the same octets: they are in one update group.
#[test]
fn who_does_not_read_misses_what_changed_meanwhile_and_nobody_waits_for_it() -> Result<()> {
    Lab::run(|lab| {
        let [us, source, reader, idler] = lan(lab, ["us", "source", "reader", "idler"])?;
        let addresses = [2, 3, 4].map(|n| IpAddr::from([10, 0, 1, n]));
        let daemon = Rustbgpd::start(&us, &configuration(addresses))?;
        let port: SocketAddr = "10.0.1.1:179".parse()?;
        let establish = |host: &Rc<Host>, n| Speaker::establish(host, port, PEER, 0, [10, 0, 1, n]);
        storm(daemon, addresses, [establish(&source, 2)?, establish(&reader, 3)?, establish(&idler, 4)?])
    })
}

/// Next hops differ: each is a group of its own.
#[test]
fn who_does_not_read_and_shares_nothing_with_others_misses_the_same() -> Result<()> {
    Lab::run(|lab| {
        let pairs = Pairs::new(lab, &[1, 2, 3])?;
        let addresses = [1, 2, 3].map(Pairs::theirs);
        let daemon = Rustbgpd::start(&pairs.us, &configuration(addresses))?;
        let establish = |n| Speaker::establish(&pairs.peer, Pairs::port(n), PEER, 0, [10, 0, n, 2]);
        storm(daemon, addresses, [establish(1)?, establish(2)?, establish(3)?])
    })
}
