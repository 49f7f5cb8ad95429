//! Probes: single changes whose way through the daemon is timed.

use crate::engine::Engine;
use crate::run::{QUIET, Run, secs};
use bgpbench::bgp::{self, Attrs, Prefix};
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Prefixes kept for probes.
pub const PROBES: u64 = 30_000;
const PROBE_EVERY: Duration = Duration::from_millis(20);
/// Quiet time behind the arrival of a probe on an idle daemon, at least; up to so much more, so that no timer of a
/// daemon's goes with it.
const IDLE: Duration = Duration::from_millis(20);
const MORE_IDLE: u64 = 10;

pub fn probe(k: u64) -> Prefix {
    Prefix { bits: 11 << 56 | k << 40, len: 24, v6: false }
}

/// Peer 2 announces fresh prefixes; peer 1 notes their arrival.
pub struct Prober {
    sent: Vec<Instant>,
    next: Instant,
    asn: u32,
    nh: IpAddr,
}

impl Prober {
    pub fn new(r: &mut Run) -> Result<Prober, String> {
        r.e.stamp_arrivals(1).map_err(|e| format!("time stamps: {e}"))?;
        let sender = &r.plan.peers[2];
        Ok(Prober { sent: vec![], next: Instant::now(), asn: sender.asn, nh: sender.addr })
    }

    /// How many were sent.
    pub fn sent(&self) -> usize {
        self.sent.len()
    }

    fn send(&mut self, e: &mut Engine) {
        let a = Attrs { path: vec![64496], ..Attrs::default() };
        let mut b = Vec::new();
        bgp::announce(&mut b, self.asn, self.nh, &a, &[probe(self.sent.len() as u64)]);
        self.sent.push(Instant::now());
        e.send(2, Arc::new(b));
    }

    /// Sends one every 20 ms while something else goes on.
    pub fn during<'a>(
        &'a mut self,
        done: &'a mut dyn FnMut(&mut Engine) -> bool,
    ) -> impl FnMut(&mut Engine) -> bool + 'a {
        move |e| {
            let now = Instant::now();
            if now >= self.next && self.sent.len() < PROBES as usize {
                self.next = (self.next + PROBE_EVERY).max(now);
                self.send(e);
            }
            done(e)
        }
    }

    /// Waits for those that are still under way. A lost one is an error.
    pub fn finish(&self, r: &mut Run) -> Result<(), String> {
        let all = self.sent();
        let _ = r.turn("last probes", 5 * QUIET, &mut |e| e.peers[1].rx.probes.len() >= all);
        match r.e.peers[1].rx.probes.len() {
            seen if seen == all => Ok(()),
            seen => Err(format!("{seen} of {all} probes arrived")),
        }
    }

    /// Notes the latencies of these probes; returns the 99th percentile.
    pub fn report(&self, r: &mut Run, ranges: &[Range<usize>], name: &str) -> Option<f64> {
        let mut ms: Vec<f64> = r.e.peers[1]
            .rx
            .probes
            .iter()
            .filter(|(k, _)| ranges.iter().any(|r| r.contains(&(*k as usize))))
            .map(|&(k, t)| secs(self.sent[k as usize], t) * 1e3)
            .collect();
        ms.sort_by(f64::total_cmp);
        r.note(&format!("{name}s_sent"), ranges.iter().map(|r| r.len()).sum::<usize>());
        r.note(&format!("{name}s_seen"), ms.len());
        let at = |q: f64| {
            let n = ((ms.len() as f64 * q).ceil() as usize).max(1);
            ms.get(n - 1).copied()
        };
        for (k, q) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)] {
            r.note(&format!("{name}_{k}_ms"), at(q));
        }
        at(0.99)
    }
}

/// `idle-probe`: one change after another, each when the one before has arrived and the daemon has been idle since.
pub fn run(r: &mut Run, probes: usize) -> Result<(), String> {
    let mut p = Prober::new(r)?;
    let (cpu, limit, begin) = (r.cpu(), r.o.limit, Instant::now());
    for n in 0..probes {
        p.send(&mut r.e);
        r.turn("probing", limit, &mut |e| e.peers[1].rx.probes.len() > n)?;
        let until = Instant::now() + IDLE + Duration::from_millis(n as u64 % (MORE_IDLE + 1));
        r.turn("idling", limit, &mut |_| Instant::now() >= until)?;
    }
    let spent = r.cpu() - cpu;
    p.finish(r)?;
    let all = 0..probes;
    p.report(r, &[all], "probe");
    r.note("probing_cpu_pct", 100.0 * spent / secs(begin, Instant::now()));
    Ok(())
}
