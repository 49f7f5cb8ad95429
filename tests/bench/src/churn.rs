//! The churn scenarios: routes change, go and come back, while probes measure how long a change takes.

use crate::engine::Engine;
use crate::probes::Prober;
use crate::query::Lister;
use crate::run::{QUIET, Run, secs};
use crate::usage;
use bgpbench::bgp::{self, HEADER};
use bgpbench::table::{self, Group};
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// A 99th percentile wants some hundreds of probes; cycles are repeated until there are so many.
const ENOUGH: usize = 300;
/// The same for a leg of `churn-query`, of which there are two of each kind.
const ENOUGH_OF_LEG: usize = 600;
const LEAST_CYCLES: u32 = 4;
/// A daemon that reaches less than this part of the offered rate does not keep up.
const KEEPS_UP: f64 = 0.95;
/// Withdrawn prefixes in one message of a paced stream: a millisecond's worth at 200,000 a second.
const PACED_WITHDRAWALS: usize = 200;

#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    /// As fast as the daemon takes it.
    Burst,
    /// At so many changes per second.
    Paced(u32),
    /// Like `Burst`, with a client that reads the table and without.
    Queried,
    /// At so many changes per second, with this number of clients that read the table and without any.
    Listed { rate: u32, clients: usize },
}

impl Kind {
    /// At how many changes per second.
    pub fn rate(self) -> Option<u32> {
        match self {
            Kind::Paced(rate) | Kind::Listed { rate, .. } => Some(rate),
            Kind::Burst | Kind::Queried => None,
        }
    }

    /// How many clients read the table in some of the legs.
    fn clients(self) -> usize {
        match self {
            Kind::Burst | Kind::Paced(_) => 0,
            Kind::Queried => 1,
            Kind::Listed { clients, .. } => clients,
        }
    }
}

/// UPDATEs, and where they may be cut.
struct Stream {
    octets: Arc<Vec<u8>>,
    /// End of each message and the number of changes up to there.
    marks: Vec<(usize, u32)>,
}

impl Stream {
    fn new(octets: Vec<u8>) -> Stream {
        let (mut marks, mut at, mut changes) = (vec![], 0, 0);
        while let Some(Ok(n)) = bgp::message_len(&octets[at..]) {
            let _ = bgp::routes(&octets[at + HEADER..at + n], |_, _| changes += 1);
            at += n;
            marks.push((at, changes));
        }
        Stream { octets: Arc::new(octets), marks }
    }
}

pub struct Churn {
    kind: Kind,
    /// Changed, withdrawn, restored.
    streams: [Stream; 3],
    /// Prefixes that each stream touches.
    prefixes: u32,
}

impl Churn {
    pub fn new(kind: Kind, some: &[Group], asn: u32, next_hop: IpAddr) -> Churn {
        let prefixes = table::prefixes(some);
        let chunk = if kind.rate().is_some() { PACED_WITHDRAWALS } else { prefixes.len() };
        let mut gone = Vec::new();
        prefixes.chunks(chunk.max(1)).for_each(|c| bgp::withdraw(&mut gone, c));
        let streams = [
            table::announce_all(some, asn, next_hop, 0, 1),
            gone,
            table::announce_all(some, asn, next_hop, 0, 0),
        ];
        Churn { kind, streams: streams.map(Stream::new), prefixes: prefixes.len() as u32 }
    }
}

/// Sends a stream bit by bit, on schedule.
struct Pacer<'a> {
    stream: &'a Stream,
    next: usize,
    begun: Instant,
    rate: f64,
}

impl Pacer<'_> {
    /// What is due at `now`, in whole messages.
    fn due(&mut self, now: Instant) -> Option<Vec<u8>> {
        let changes = (secs(self.begun, now) * self.rate) as u32;
        let end = self.stream.marks.partition_point(|m| m.1 <= changes).max(self.next);
        let at = |n: usize| n.checked_sub(1).map_or(0, |n| self.stream.marks[n].0);
        let piece = &self.stream.octets[at(self.next)..at(end)];
        self.next = end;
        (!piece.is_empty()).then(|| piece.to_vec())
    }
}

/// What some cycles gave.
struct Leg {
    cycles: u32,
    changes: f64,
    phases: [f64; 3],
    /// From the first change sent to the last one received.
    window: f64,
    probes: Range<usize>,
}

impl Leg {
    fn per_s(legs: &[Leg]) -> f64 {
        let time: f64 = legs.iter().flat_map(|l| l.phases).sum();
        legs.iter().map(|l| l.changes).sum::<f64>() / time
    }
}

pub fn run(r: &mut Run, c: &Churn) -> Result<(), String> {
    let mut p = Prober::new(r)?;
    let until = Instant::now() + QUIET;
    r.turn("probing", 5 * QUIET, &mut p.during(&mut |_| Instant::now() >= until))?;
    let quiet = 0..p.sent();
    let (cpu, busy, own, begin) = (r.cpu(), usage::machine_busy(), usage::own(), Instant::now());
    let (mut legs, mut queried, mut listed, mut listing) = (vec![], vec![], 0, 0.0);
    if c.kind.clients() > 0 {
        for _ in 0..2 {
            legs.push(leg(r, c, &mut p, ENOUGH_OF_LEG)?);
            let start = |_| Lister::start(r.name, r.dir, r.dut());
            let listers = (0..c.kind.clients()).map(start).collect::<Result<Vec<_>, _>>()?;
            let t0 = Instant::now();
            let with = leg(r, c, &mut p, ENOUGH_OF_LEG);
            listing += secs(t0, Instant::now());
            for lister in listers {
                listed += lister.finish()?;
            }
            queried.push(with?);
        }
    } else {
        legs.push(leg(r, c, &mut p, ENOUGH)?);
    }
    let window = secs(begin, Instant::now());
    let (spent, own) = (r.cpu() - cpu, usage::own() - own);
    let busy = usage::machine_busy() - busy;
    p.finish(r)?;
    let (have, want) = (r.e.peers[1].rx.present.count, r.plan.peers[1].expects);
    if want.is_some_and(|w| w != have) {
        return Err(format!("{have} prefixes at the end, expected {want:?}"));
    }
    r.note("churn_cpu_s", spent);
    r.note("churn_generator_cpu_s", own);
    r.note("churn_other_cpu_pct", 100.0 * (busy - own - spent).max(0.0) / window);
    r.note("cycles", legs.iter().map(|l| l.cycles).sum::<u32>());
    for (k, name) in ["change", "withdraw", "restore"].iter().enumerate() {
        let time: f64 = legs.iter().map(|l| l.phases[k]).sum();
        let changes: f64 = legs.iter().map(|l| l.changes).sum();
        r.note(&format!("{name}_per_s"), changes / 3.0 / time);
    }
    r.note("churn_per_s", Leg::per_s(&legs));
    p.report(r, &[quiet], "idle_probe");
    let of = |legs: &[Leg]| legs.iter().map(|l| l.probes.clone()).collect::<Vec<_>>();
    let p99 = p.report(r, &of(&legs), "probe");
    if let Kind::Paced(rate) = c.kind {
        let achieved = legs[0].changes / legs[0].window;
        r.note("offered_per_s", rate);
        r.note("achieved_per_s", achieved);
        r.note("keeps_up", achieved >= KEEPS_UP * rate as f64);
    }
    if !queried.is_empty() {
        r.note("control_peak_mb", usage::peak_mb(r.pid, "rustbgpd-control"));
        let with = p.report(r, &of(&queried), "query_probe");
        r.note("query_churn_per_s", Leg::per_s(&queried));
        r.note("listed_per_s", listed as f64 / listing);
        r.note("query_p99_ratio", with.zip(p99).map(|(a, b)| a / b));
        if listed == 0 {
            return Err("the client listed nothing".into());
        }
    }
    let settled = r.usage().pss_mb;
    r.note("settled_pss_mb", settled);
    Ok(())
}

/// Cycles until so many probes were sent.
fn leg(r: &mut Run, c: &Churn, p: &mut Prober, probes: usize) -> Result<Leg, String> {
    let (n, limit, from, begin) = (c.prefixes, r.o.limit, p.sent(), Instant::now());
    let (mut cycles, mut phases) = (0, [0.0; 3]);
    while cycles < LEAST_CYCLES || p.sent() - from < probes {
        for (k, (phase, stream)) in phases.iter_mut().zip(&c.streams).enumerate() {
            r.e.peers[1].rx.touched.clear();
            let t0 = Instant::now();
            let mut pacer = None;
            match c.kind.rate() {
                Some(rate) => pacer = Some(Pacer { stream, next: 0, begun: t0, rate: rate.max(1) as f64 }),
                None => r.e.send(0, stream.octets.clone()),
            }
            let mut done = |e: &mut Engine| {
                if let Some(piece) = pacer.as_mut().and_then(|p| p.due(Instant::now())) {
                    e.send(0, Arc::new(piece));
                }
                e.peers[1].rx.touched.count >= n
            };
            r.turn("churn", limit, &mut p.during(&mut done)).map_err(|x| {
                let touched = r.e.peers[1].rx.touched.count;
                let present = [1, 2].map(|i| r.e.peers[i].rx.present.count);
                format!("{x} (cycle {cycles}, phase {k}: {touched} of {n} prefixes; the receivers have {present:?})")
            })?;
            *phase += r.e.peers[1].rx.last_change.map_or(0.0, |t| secs(t0, t));
        }
        cycles += 1;
        if begin.elapsed() > limit {
            return Err(format!("not enough probes in {} s of churn", limit.as_secs()));
        }
    }
    let window = secs(begin, Instant::now());
    Ok(Leg { cycles, changes: (3 * n * cycles) as f64, phases, window, probes: from..p.sent() })
}
