//! Messages that were right once, changed at random, on live sessions: nobody else notices, memory stays where it is,
//! and no engine ends.
//!
//! The generator is seeded: a failure comes again. `RUSTBGPD_LAB_MUTATIONS` is the number of messages, where it shall be
//! another one than what a run of all tests has time for; the test prints how many sessions they took and what became
//! of the engines' memory.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, TcpStream};
use std::time::{Duration, Instant};

use bgpbench::bgp::{self, Attrs, Prefix};
use lab::peers::{Kind, Session, Setup};
use lab::{Lab, Neighbor, Origin, Pairs, Result, Route, Rustbgpd, Speaker, wait};

const US: u32 = 65001;
const PEER: u32 = 65002;
const ID: [u8; 4] = [10, 0, 0, 2];
/// Neighbors that send nonsense.
const MUTATORS: u8 = 60;
/// The pairs of those that do not, and must not notice: a speaker and BIRD.
const GOOD: u8 = 101;
const BIRD: u8 = 102;
const MESSAGES: &str = "RUSTBGPD_LAB_MUTATIONS";
const USUAL: u64 = 30_000;
/// Messages at once; what comes behind one that ends the session is not looked at.
const AT_ONCE: u64 = 4;
/// By so much may an engine be larger at the end, in KiB.
const GROWTH: u64 = 16 << 10;

/// xorshift64*: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound.max(1) as u64)).unwrap_or(0)
    }
}

/// What is changed: every kind of message, most of them UPDATEs.
fn originals() -> Vec<Vec<u8>> {
    let prefix = |n: u64| Prefix { bits: (0x0a80_0000 + (n << 8)) << 32, len: 24, v6: false };
    let full = Attrs {
        origin: 1,
        path: vec![64999, 4_200_000_001],
        med: Some(5),
        aggregator: Some((64999, [10, 0, 0, 9])),
        communities: vec![0xfde9_0001, 0xffff_ff01],
        large: vec![[PEER, 1, 2]],
        extended: vec![[0, 2, 0xfd, 0xe9, 0, 0, 0, 1]],
        atomic: true,
    };
    let announce = |next_hop: IpAddr, attrs: &Attrs, count| {
        let mut out = Vec::new();
        let prefixes: Vec<Prefix> = (0..count).map(prefix).collect();
        bgp::announce(&mut out, PEER, next_hop, attrs, &prefixes);
        out
    };
    let mut withdraw = Vec::new();
    bgp::withdraw(&mut withdraw, &[prefix(0), prefix(1)]);
    let v4 = IpAddr::from([10, 0, 1, 2]);
    let mut v6 = Vec::new();
    let far = Prefix { bits: 0x2001_0db8 << 32, len: 48, v6: true };
    bgp::announce(&mut v6, PEER, Pairs::theirs_v6(1), &full, &[far]);
    let refresh = [&[0xff; 16][..], &[0, 23, 5, 0, 1, 0, 1]].concat();
    vec![
        announce(v4, &Attrs::default(), 1),
        announce(v4, &full, 1),
        announce(v4, &full, 40),
        announce(v4, &Attrs { path: vec![64999; 200], ..full.clone() }, 2),
        v6,
        withdraw,
        bgp::end_of_rib(false),
        refresh,
        bgp::open(PEER, 90, ID, false),
    ]
}

/// One of them with up to four changes. Its length is right, mostly: else nothing behind the header would be seen.
fn mutated(random: &mut Random, originals: &[Vec<u8>]) -> Vec<u8> {
    let mut m = originals.get(random.below(originals.len())).cloned().unwrap_or_default();
    for _ in 0..=random.below(4) {
        let body = m.len().saturating_sub(bgp::HEADER);
        let at = bgp::HEADER + random.below(body);
        let octet = match random.below(4) {
            0 => 0,
            1 => 0xff,
            _ => random.next().to_le_bytes()[0],
        };
        match random.below(5) {
            _ if at >= m.len() => m.push(octet),
            0 => m[at] ^= 1 << random.below(8),
            1 => m[at] = octet,
            2 => drop(m.drain(at..(at + 1 + random.below(8)).min(m.len()))),
            3 => m.splice(at..at, std::iter::repeat_n(octet, 1 + random.below(8))).for_each(drop),
            _ => {
                let piece = m[at..(at + 1 + random.below(40)).min(m.len())].to_vec();
                m.splice(at..at, piece).for_each(drop);
            }
        }
    }
    m.truncate(4096);
    if random.below(16) > 0
        && let Ok(len) = u16::try_from(m.len())
    {
        m[16..18].copy_from_slice(&len.to_be_bytes());
    }
    m
}

/// A neighbor that sends them.
struct Mutator {
    n: u8,
    stream: Option<TcpStream>,
    /// How many sessions it has had.
    sessions: u64,
}

impl Mutator {
    /// Sends some, on a new session where the last one is over; says whether.
    fn send(&mut self, pairs: &Pairs, octets: &[u8]) -> Result<bool> {
        if self.stream.as_mut().is_none_or(|s| !is_open(s)) {
            // It is shut out for a moment when it comes back too often.
            let Ok(speaker) = Speaker::establish(&pairs.peer, Pairs::port(self.n), PEER, 90, ID) else {
                self.stream = None;
                return Ok(false);
            };
            let stream = speaker.stream()?;
            stream.set_nonblocking(true)?;
            self.stream = Some(stream);
            self.sessions += 1;
        }
        let Some(stream) = &mut self.stream else { return Ok(false) };
        match stream.write_all(octets) {
            Ok(()) => Ok(true),
            // Half a message may have gone: another session begins.
            Err(_) => {
                self.stream = None;
                Ok(false)
            }
        }
    }
}

/// Reads what has come, and says whether the other side is still there.
fn is_open(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 16384];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(e) => return e.kind() == ErrorKind::WouldBlock,
        }
    }
}

const ENGINES: [&str; 3] = ["session", "rde", "control"];

fn engines(daemon: &mut Rustbgpd) -> Result<[u32; 3]> {
    Ok([daemon.engine(ENGINES[0])?, daemon.engine(ENGINES[1])?, daemon.engine(ENGINES[2])?])
}

#[test]
fn nobody_notices_what_others_send() -> Result<()> {
    let count = match std::env::var(MESSAGES) {
        Ok(number) => number.parse()?,
        Err(_) => USUAL,
    };
    Lab::run(|lab| {
        let numbers: Vec<u8> = (1..=MUTATORS).chain([GOOD, BIRD]).collect();
        let pairs = Pairs::new(lab, &numbers)?;
        let route = Route {
            prefix: "10.200.0.0/24".into(),
            origin: Origin::Igp,
            med: 1,
            local_pref: None,
            communities: vec!["65002:1".into()],
            large: vec!["65002:1:2".into()],
        };
        let session = Session::new(&Pairs::theirs(BIRD).to_string(), &Pairs::ours(BIRD).to_string(), US)?;
        let setup = Setup {
            asn: PEER,
            router_id: "10.0.102.2",
            sessions: vec![session.hold_time(9)],
            routes: vec![route],
        };
        let bird = Kind::Bird.start(&pairs.peer, &setup)?;
        let neighbor = |n: &u8| Neighbor::new(&Pairs::theirs(*n).to_string(), PEER).set("passive", true);
        let neighbors: Vec<Neighbor> = numbers
            .iter()
            .map(|n| if *n == GOOD || *n == BIRD { neighbor(n) } else { neighbor(n).set("hold_time", 90) })
            .collect();
        let mut daemon = Rustbgpd::start(&pairs.us, &Rustbgpd::configuration(US, "10.0.0.1", &neighbors))?;
        let mut good = Speaker::establish(&pairs.peer, Pairs::port(GOOD), PEER, 9, ID)?;
        daemon.wait_established(&[Pairs::theirs(GOOD), Pairs::theirs(BIRD)])?;
        let before = engines(&mut daemon)?;

        let (mut random, originals) = (Random(0x6f64_6e61_7262_6779), originals());
        let mut mutators: Vec<Mutator> =
            (1..=MUTATORS).map(|n| Mutator { n, stream: None, sessions: 0 }).collect();
        let (mut sent, mut settled, mut spoke) = (0u64, None, Instant::now());
        while sent < count {
            for mutator in &mut mutators {
                let octets: Vec<u8> = (0..AT_ONCE).flat_map(|_| mutated(&mut random, &originals)).collect();
                if mutator.send(&pairs, &octets)? {
                    sent += AT_ONCE;
                }
            }
            if spoke.elapsed() > Duration::from_secs(2) {
                good.send(&bgp::keepalive())?;
                spoke = Instant::now();
            }
            // What every queue and table has grown to by then is what is needed.
            if settled.is_none() && sent * 5 > count {
                let mut sizes = [0; 3];
                for (size, role) in sizes.iter_mut().zip(ENGINES) {
                    *size = daemon.resident(role)?;
                }
                settled = Some(sizes);
            }
        }
        good.send(&bgp::keepalive())?;
        assert_eq!(engines(&mut daemon)?, before, "an engine has ended:\n{}", daemon.process().log_tail());
        for n in [GOOD, BIRD] {
            let state = daemon.neighbor(Pairs::theirs(n))?;
            assert!(state.established && state.flaps == 0, "{state:?}");
        }
        assert!(bird.established(Pairs::ours(BIRD))?);
        assert!(daemon.best("10.200.0.0/24")?.is_some());
        let sessions: u64 = mutators.iter().map(|m| m.sessions).sum();
        println!("{sent} messages in {sessions} sessions");
        for (size, role) in settled.unwrap_or_default().into_iter().zip(ENGINES) {
            let now = daemon.resident(role)?;
            println!("{role}: {size} KiB after a fifth of them, {now} KiB at the end");
            assert!(now < size + GROWTH, "{role} has grown from {size} to {now} KiB");
        }
        // The others may still come and say something that makes sense.
        drop(mutators);
        wait("a session with one of them", 30, || {
            let mut again = Speaker::establish(&pairs.peer, Pairs::port(1), PEER, 90, ID)?;
            let mut announcement = Vec::new();
            let prefix = Prefix { bits: 0x0ac9_0000 << 32, len: 24, v6: false };
            bgp::announce(&mut announcement, PEER, Pairs::theirs(1), &Attrs::default(), &[prefix]);
            again.send(&announcement)?;
            wait("its route", 5, || Ok(daemon.best("10.201.0.0/24")?.is_some()))?;
            Ok(true)
        })
    })
}
