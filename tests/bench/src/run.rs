//! One run: a daemon, its peers, the load, and what was measured.

use crate::daemons::{PeerConf, Places, Running, Setup};
use crate::engine::{Engine, State};
use crate::net::{self, DUT4, DUT6, Net};
use crate::scenario::{After, Options, Plan};
use crate::usage::{self, Usage, Watch};
use crate::{churn, flap, policy, probes};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub static STOP: AtomicBool = AtomicBool::new(false);

pub const QUIET: Duration = Duration::from_secs(2);
/// Reading the daemon's queues costs milliseconds, so not more often.
const LOOK: Duration = Duration::from_millis(50);
/// When nothing has arrived for so long, nothing more will.
const STALL: Duration = Duration::from_secs(30);
/// How long a turn of the loop may sleep: probes and paced changes are due on time.
const TURN: Duration = Duration::from_millis(1);

// The order of the fields is that in which they end.
pub struct Run<'a> {
    pub e: Engine,
    watch: Watch,
    daemon: Running,
    net: Net,
    pub pid: u32,
    pub name: &'a str,
    pub plan: &'a Plan,
    pub o: &'a Options,
    pub dir: &'a Path,
    m: &'a mut Map<String, Value>,
}

pub fn secs(a: Instant, b: Instant) -> f64 {
    b.saturating_duration_since(a).as_secs_f64()
}

impl Plan {
    /// One run against one daemon: (status, metrics).
    pub fn run(&self, name: &str, places: &Places, dir: &Path, o: &Options) -> (String, Map<String, Value>) {
        let mut m = Map::new();
        let r = Run::start(self, name, places, dir, o, &mut m).and_then(|mut r| r.measure());
        (r.err().unwrap_or_else(|| "ok".into()), m)
    }
}

impl<'a> Run<'a> {
    fn start(
        plan: &'a Plan,
        name: &'a str,
        places: &Places,
        dir: &'a Path,
        o: &'a Options,
        m: &'a mut Map<String, Value>,
    ) -> Result<Run<'a>, String> {
        let net = Net::new(plan.peers.len())?;
        let setup = Setup {
            peers: plan.peers.iter().map(|p| PeerConf { addr: p.addr, asn: p.asn }).collect(),
            rs: plan.rs,
            hold: plan.hold,
            policy: plan.policy,
        };
        let daemon = places.start(name, &setup, dir, &net.dut, o.nice)?;
        let pid = daemon.pid();
        let watch = Watch::start(pid);
        let mut e = Engine::new(plan.index.clone(), plan.probe_from, DUT4.into(), DUT6.into())
            .map_err(|e| e.to_string())?;
        e.deep = matches!(plan.after, After::Churn(_));
        for p in &plan.peers {
            e.add_peer(p.addr, p.asn, plan.hold);
        }
        Ok(Run { e, watch, daemon, net, pid, name, plan, o, dir, m })
    }

    pub fn note(&mut self, name: &str, value: impl Into<Value>) {
        self.m.insert(name.into(), value.into());
    }

    /// Turns the loop until `done`, the limit, or a failure.
    pub fn turn(
        &mut self,
        what: &str,
        limit: Duration,
        done: &mut dyn FnMut(&mut Engine) -> bool,
    ) -> Result<(), String> {
        let (began, e) = (Instant::now(), &mut self.e);
        let until = began + limit;
        let mut alive = began;
        loop {
            e.poll(TURN);
            if done(e) {
                return Ok(());
            }
            if STOP.load(Ordering::Relaxed) {
                return Err("interrupted".into());
            }
            let now = Instant::now();
            if now - alive > Duration::from_millis(50) {
                alive = now;
                if let Some(s) = self.daemon.exited() {
                    return Err(format!("daemon ended during {what}: {s}"));
                }
                if let Some(s) = e.lost() {
                    return Err(format!("{s} during {what}"));
                }
            }
            let last = e.peers.iter().filter_map(|p| p.rx.last_change).max().unwrap_or(until).max(began);
            if now > last + STALL && matches!(what, "loading" | "churn" | "flapping") && e.all_sent() {
                return Err(format!("stalled: no new route for {} s during {what}", STALL.as_secs()));
            }
            if now > until {
                return Err(format!("not finished in {} s: {what}", limit.as_secs()));
            }
        }
    }

    pub fn pause(&mut self, t: Duration) -> Result<(), String> {
        let until = Instant::now() + t;
        self.turn("settling", t * 2 + Duration::from_secs(10), &mut |_| Instant::now() >= until)
    }

    /// Memory and CPU time of the daemon now.
    pub fn usage(&self) -> Usage {
        self.watch.now(self.pid)
    }

    pub fn cpu(&self) -> f64 {
        usage::measure(self.pid, false).cpu
    }

    pub fn dut(&self) -> &std::fs::File {
        &self.net.dut
    }

    fn measure(&mut self) -> Result<(), String> {
        self.establish()?;
        self.pause(Duration::from_secs(1))?;
        let idle = self.usage();
        self.note("idle_pss_mb", idle.pss_mb);
        self.note("processes", idle.processes);
        if self.plan.peers.iter().any(|p| !p.stream.is_empty()) {
            self.load(idle.cpu)?;
        }
        match &self.plan.after {
            After::Nothing => {}
            After::Steady(t) => {
                let (a, t0) = (self.cpu(), Instant::now());
                self.pause(*t)?;
                let u = self.usage();
                self.note("steady_cpu_pct", 100.0 * (u.cpu - a) / secs(t0, Instant::now()));
                self.note("settled_pss_mb", u.pss_mb);
            }
            After::Churn(c) => churn::run(self, c)?,
            After::Probes(n) => probes::run(self, *n)?,
            After::Flap(gone) => flap::run(self, gone)?,
            After::OtherPolicy(gone) => policy::run(self, *gone)?,
        }
        let peak = self.watch.peak();
        self.note("peak_pss_mb", peak.pss_mb);
        self.note("peak_rss_mb", peak.rss_mb);
        let unknown = self.e.peers.iter().map(|p| p.rx.unknown).sum::<u64>();
        self.note("unknown", unknown);
        if unknown > 0 {
            return Err(format!("{unknown} routes arrived which nobody announced"));
        }
        Ok(())
    }

    fn establish(&mut self) -> Result<(), String> {
        self.turn("establishing sessions", self.o.limit, &mut |e| e.all_established()).map_err(|x| {
            let peers = &self.e.peers;
            let up = peers.iter().filter(|p| p.state == State::Established).count();
            let why = peers.iter().find(|p| p.state != State::Established).map_or("", |p| &p.error);
            format!("{x} ({up} of {} up; {why})", peers.len())
        })?;
        let started = self.daemon.started;
        let times: Vec<f64> =
            self.e.peers.iter().filter_map(|p| Some(secs(started, p.established?))).collect();
        self.note("established_first_s", times.iter().cloned().fold(f64::MAX, f64::min));
        self.note("established_s", times.iter().cloned().fold(0.0, f64::max));
        self.note("attempts", self.e.peers.iter().map(|p| p.attempts).sum::<u32>());
        Ok(())
    }

    /// Sends the tables; waits until every receiver has them all.
    fn load(&mut self, idle_cpu: f64) -> Result<(), String> {
        let (plan, pid) = (self.plan, self.pid);
        let (busy0, own0, t0) = (usage::machine_busy(), usage::own(), Instant::now());
        for (i, p) in plan.peers.iter().enumerate() {
            self.e.send(i, p.stream.clone());
        }
        let (mut consumed, mut looked) = (None, t0);
        let r = self.turn("loading", self.o.limit, &mut |e| {
            let now = Instant::now();
            if consumed.is_none() && plan.peers.len() <= 60 && now - looked > LOOK {
                if e.all_sent() && net::unread(pid) == 0 {
                    consumed = Some(now);
                }
                looked = Instant::now();
            }
            if plan.rs {
                let last = e.peers.iter().filter_map(|p| p.rx.last_update).max().unwrap_or(t0).max(t0);
                let right = plan.rs_total.contains(&present(e));
                now - last > if right { QUIET } else { 5 * QUIET } && e.all_sent()
            } else {
                let mut pairs = e.peers.iter().zip(&plan.peers);
                pairs.all(|(p, q)| q.expects.is_none_or(|x| p.rx.present.count >= x))
            }
        });
        let (peers, sum) = (&self.e.peers, present(&self.e));
        let total = |f: fn(&crate::engine::Rx) -> u64| peers.iter().map(|p| f(&p.rx)).sum::<u64>();
        let counted = [
            ("present", sum),
            ("announced", total(|r| r.announced)),
            ("withdrawn", total(|r| r.withdrawn)),
            ("update_messages", total(|r| r.updates)),
            ("bytes_out", total(|r| r.bytes)),
            ("bytes_in", plan.peers.iter().map(|p| p.stream.len() as u64).sum()),
        ];
        let last = |p: &crate::engine::Peer| if plan.rs { p.rx.last_update } else { p.rx.last_change };
        let end = peers.iter().filter_map(last).max();
        counted.into_iter().for_each(|(k, v)| self.note(k, v));
        if let Err(x) = r {
            let u = self.usage();
            self.note("reached_cpu_s", u.cpu - idle_cpu);
            self.note("peak_pss_mb", self.watch.peak().pss_mb);
            return Err(format!("{x} ({sum} prefixes had arrived)"));
        }
        let window = secs(t0, Instant::now());
        let own = usage::own() - own0;
        let other = (usage::machine_busy() - busy0 - own - (self.cpu() - idle_cpu)).max(0.0);
        self.note("time_s", end.map(|end| secs(t0, end)));
        self.note("consumed_s", consumed.map(|c| secs(t0, c)));
        self.note("generator_cpu_s", own);
        self.note("other_cpu_pct", 100.0 * other / window);
        self.pause(QUIET)?;
        let u = self.usage();
        self.note("cpu_s", u.cpu - idle_cpu);
        self.note("settled_pss_mb", u.pss_mb);
        self.note("settled_rss_mb", u.rss_mb);
        if !plan.rs {
            return Ok(());
        }
        let meaning = ["best path", "best path per client", "best path, also to its announcer"];
        let which = plan.rs_total.iter().position(|&x| x == sum);
        let which = which.ok_or(format!("clients hold {sum} routes, expected one of {:?}", plan.rs_total))?;
        self.note("clients_get", json!(meaning[which]));
        Ok(())
    }
}

fn present(e: &Engine) -> u64 {
    e.peers.iter().map(|p| p.rx.present.count as u64).sum()
}
