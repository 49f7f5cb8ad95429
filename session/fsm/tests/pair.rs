//! Two speakers under a simulated clock: however connects and messages interleave, they end up with one
//! session over one connection (RFC 4271 §6.8, RFC 6286 §2.3).
#![allow(clippy::unwrap_used, reason = "a test's own tools fail loudly")]

mod common;

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use bgp::Asn;
use bgp::header::HEADER_LEN;
use common::{KEEPALIVE, NOTIFICATION, OPEN, handle, mirrored, settings};
use fsm::{ConnId, Input, Outgoing, Output, Peer, Settings, State};
use proptest::prelude::*;

/// On the way to side `to`.
#[derive(Debug, Clone)]
enum Wire {
    Message(u8, Vec<u8>),
    Closed,
}

/// A TCP connection that both sides know by the same number: a queue of what is under way to each side.
#[derive(Debug)]
struct Tcp {
    to: [VecDeque<Wire>; 2],
    open: [bool; 2],
}

#[derive(Debug)]
struct World {
    now: Instant,
    peers: [Peer; 2],
    links: Vec<Tcp>,
    /// Connects under way: who, which attempt.
    connects: Vec<(usize, u32)>,
    established: [Option<usize>; 2],
}

impl World {
    fn new(ours: Settings, theirs: Settings, seed: u64) -> World {
        World {
            now: Instant::now(),
            peers: [Peer::new(ours, seed), Peer::new(theirs, seed ^ 0xabcd)],
            links: Vec::new(),
            connects: Vec::new(),
            established: [None, None],
        }
    }

    fn input(&mut self, side: usize, input: Input<'_>) {
        for output in handle(&mut self.peers[side], self.now, input) {
            match output {
                Output::Connect { attempt } => self.connects.push((side, attempt)),
                Output::Abandon { attempt } => self.connects.retain(|c| *c != (side, attempt)),
                Output::Send { conn, message } => {
                    let (kind, bytes) = match message {
                        Outgoing::Open(open) => (OPEN, open.encode()),
                        Outgoing::Keepalive => (KEEPALIVE, bgp::header::KEEPALIVE.to_vec()),
                        Outgoing::Notification(n) => (NOTIFICATION, n.encode()),
                    };
                    let body = bytes[HEADER_LEN..].to_vec();
                    self.links[conn.0 as usize].to[1 - side].push_back(Wire::Message(kind, body));
                }
                Output::Up { conn, .. } => {
                    assert_eq!(self.established[side], None, "two sessions");
                    self.established[side] = Some(conn.0 as usize);
                }
                Output::End { conn, established, .. } => {
                    let link = &mut self.links[conn.0 as usize];
                    link.open[side] = false;
                    link.to[1 - side].push_back(Wire::Closed);
                    if established {
                        self.established[side] = None;
                    }
                }
            }
        }
    }

    /// One of the things that can happen now, chosen by a number.
    fn step(&mut self, choice: usize) {
        let ready: Vec<(usize, usize)> = (0..self.links.len())
            .flat_map(|l| [(l, 0), (l, 1)])
            .filter(|(l, side)| !self.links[*l].to[*side].is_empty())
            .collect();
        let events = ready.len() + self.connects.len();
        if events == 0 {
            return self.pass_time();
        }
        let choice = choice % events;
        if let Some((link, side)) = ready.get(choice) {
            self.deliver(*link, *side);
        } else {
            let (side, attempt) = self.connects.remove(choice - ready.len());
            self.connect(side, attempt);
        }
    }

    fn connect(&mut self, side: usize, attempt: u32) {
        let conn = ConnId(u32::try_from(self.links.len()).unwrap());
        self.links.push(Tcp { to: Default::default(), open: [true, true] });
        self.input(side, Input::Connected { attempt, conn });
        self.input(1 - side, Input::Accepted(conn));
    }

    fn deliver(&mut self, link: usize, side: usize) {
        let Some(wire) = self.links[link].to[side].pop_front() else { return };
        if !self.links[link].open[side] {
            return;
        }
        let conn = ConnId(u32::try_from(link).unwrap());
        match wire {
            Wire::Message(kind, body) => self.input(side, Input::Received { conn, kind, body: &body }),
            Wire::Closed => self.input(side, Input::Lost { conn, error: "closed".to_owned() }),
        }
    }

    fn pass_time(&mut self) {
        let Some(deadline) = self.peers.iter().filter_map(Peer::next_deadline).min() else { return };
        self.now = self.now.max(deadline);
        for side in [0, 1] {
            if self.peers[side].next_deadline().is_some_and(|d| d <= self.now) {
                self.input(side, Input::Timer);
            }
        }
    }

    /// Nothing is under way, and both are in Established on the same connection, the only one.
    fn is_settled(&self) -> bool {
        let quiet =
            self.connects.is_empty() && self.links.iter().all(|l| l.to.iter().all(VecDeque::is_empty));
        let open: Vec<usize> = (0..self.links.len()).filter(|l| self.links[*l].open != [false; 2]).collect();
        quiet
            && self.peers.iter().all(|p| p.state() == State::Established)
            && self.established[0].is_some()
            && self.established[0] == self.established[1]
            && open == [self.established[0].unwrap_or_default()]
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn two_speakers_always_meet(
        seed: u64,
        higher: bool,
        same_identifier: bool,
        passive in prop_oneof![3 => Just([false, false]), 1 => Just([true, false]), 1 => Just([false, true])],
        choices in prop::collection::vec(any::<usize>(), 0..60),
    ) {
        let ours = Settings { passive: passive[0], ..settings() };
        let identifier = match (same_identifier, higher) {
            (true, _) => ours.router_id.0,
            (false, true) => Ipv4Addr::new(203, 0, 113, 9),
            (false, false) => Ipv4Addr::new(10, 0, 0, 1),
        };
        let theirs = Settings { passive: passive[1], ..mirrored(&ours, identifier) };
        let mut world = World::new(ours, theirs, seed);
        world.input(0, Input::Start);
        world.input(1, Input::Start);
        let started = world.now;
        let mut steps = choices.into_iter().chain((0..).map(|n: usize| n.wrapping_mul(0x9e37_79b9) >> 7));
        // KEEPALIVEs go on for ever: a bound on the steps, and on the time it takes.
        for _ in 0..4000 {
            if world.is_settled() {
                break;
            }
            world.step(steps.next().unwrap());
        }
        prop_assert!(world.is_settled(), "{world:#?}");
        prop_assert!(world.now - started < Duration::from_secs(60), "took {:?}", world.now - started);
    }
}

#[test]
fn rfc4271_6_8_of_two_connections_that_of_the_higher_identifier_is_kept() {
    for (identifier, kept) in [(Ipv4Addr::new(10, 0, 0, 1), 0), (Ipv4Addr::new(203, 0, 113, 9), 1)] {
        collide(mirrored(&settings(), identifier), kept);
    }
    // RFC 6286 §2.3: with equal identifiers the higher AS decides.
    let theirs = mirrored(&settings(), settings().router_id.0);
    assert!(theirs.local_asn > settings().local_asn && theirs.local_asn != Asn(0));
    collide(theirs, 1);
}

/// Both connect, both connections exchange OPENs before anything else happens.
fn collide(theirs: Settings, kept: usize) {
    let mut world = World::new(settings(), theirs, 1);
    world.input(0, Input::Start);
    world.input(1, Input::Start);
    for (side, attempt) in std::mem::take(&mut world.connects) {
        world.connect(side, attempt);
    }
    for _ in 0..100 {
        for link in 0..world.links.len() {
            world.deliver(link, 0);
            world.deliver(link, 1);
        }
    }
    assert!(world.is_settled(), "{world:#?}");
    assert_eq!(world.established[0], Some(kept), "link 0 is ours, link 1 theirs");
}
