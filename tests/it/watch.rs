//! WatchRoutes and `rustbgpctl watch`: what happens between us and real daemons, as who watches is told of it.

use std::rc::Rc;

use bgpbench::bgp::{self, Attrs, Prefix};
use lab::peers::{Bird, Peer, Session, Setup};
use lab::{Error, Host, Lab, Neighbor, Origin, Proc, Result, Route, Rustbgpd, Speaker, wait, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::lan::lan;

const US: u32 = 65001;
const SPEAKER: u32 = 65005;
const SHARED: &str = "10.90.1.0/24";
const ROUTER_IDS: [&str; 4] = ["", "", "10.0.0.2", "10.0.0.3"];
/// More than control keeps, and more beside that than a connection holds.
const MANY: u64 = 250_000;

fn route(prefix: &str) -> Route {
    Route {
        prefix: prefix.into(),
        origin: Origin::Igp,
        med: 0,
        local_pref: None,
        communities: Vec::new(),
        large: Vec::new(),
    }
}

/// BIRD at 10.0.1.`n`, with these routes. Of equal routes, those of the lower number are better.
fn bird(host: &Rc<Host>, n: u8, prefixes: &[&str]) -> Result<Bird> {
    let sessions = vec![Session::new(&format!("10.0.1.{n}"), "10.0.1.1", US)?];
    let routes = prefixes.iter().map(|p| route(p)).collect();
    Bird::start(
        host,
        &Setup { asn: 65000 + u32::from(n), router_id: ROUTER_IDS[usize::from(n)], sessions, routes },
    )
}

fn configuration(policy: &str) -> String {
    let neighbor = |n: u8| {
        Neighbor::new(&format!("10.0.1.{n}"), 65000 + u32::from(n))
            .set("graceful_restart", false)
            .set("passive", n == 5)
    };
    Rustbgpd::configuration(US, "10.0.0.1", &[2, 3, 5].map(neighbor)) + policy
}

/// A watching `rustbgpctl`.
struct Watcher {
    process: Proc,
    /// Lines that were looked at.
    seen: usize,
}

impl Watcher {
    fn start(host: &Rc<Host>, name: &str, args: &[&str]) -> Result<Watcher> {
        let program = lab::binary("rustbgpctl")?;
        let program = program.to_string_lossy();
        let address = lab::api_address();
        let argv = [&[&*program, "-s", &address, "-j", "watch"], args].concat();
        Ok(Watcher { process: host.spawn(name, &argv)?, seen: 0 })
    }

    /// All events by now.
    fn all(&self) -> Vec<Value> {
        let log = self.process.log();
        let whole = log.rfind('\n').map_or("", |end| &log[..end]);
        whole.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The next event: what has happened, to which prefix, from whom, in place of whom.
    fn next(&mut self) -> Result<[String; 4]> {
        let event = self.event()?;
        let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        let prefix = format!("{}/{}", text("prefix"), event["prefix_length"]);
        Ok([text("event_type"), prefix, text("peer_address"), text("previous_peer_address")])
    }

    fn event(&mut self) -> Result<Value> {
        let event = wait_for("an event", 30, || Ok(self.all().get(self.seen).cloned()))
            .map_err(|e| Error::new(format!("{e}\n{}", self.process.log_tail())))?;
        self.seen += 1;
        Ok(event)
    }

    /// Waits for what must come next.
    fn expect(&mut self, kind: &str, prefix: &str, from: &str, before: &str) -> Result<()> {
        assert_eq!(self.next()?, [kind, prefix, from, before]);
        Ok(())
    }
}

#[test]
fn what_happens_is_told_in_order_and_again_to_who_comes_back() -> Result<()> {
    Lab::run(|lab| {
        let [us, one, two] = lan(lab, ["us", "one", "two"])?;
        let mut first = bird(&two, 3, &[SHARED, "10.90.2.0/24"])?;
        let mut daemon = Rustbgpd::start(&us, &configuration(""))?;
        wait("both routes", 20, || {
            Ok(daemon.best(SHARED)?.is_some() && daemon.best("10.90.2.0/24")?.is_some())
        })?;

        let mut all = Watcher::start(&us, "all", &["--snapshot", "--attributes"])?;
        let mut shown = [all.next()?[1].clone(), all.next()?[1].clone()];
        shown.sort();
        assert_eq!(shown, [SHARED, "10.90.2.0/24"]);
        let end = all.event()?;
        assert_eq!(end["event_type"], "end_of_snapshot");
        // Another one, with a better route.
        let mut second = bird(&one, 2, &[SHARED])?;
        all.expect("best_changed", SHARED, "10.0.1.2", "10.0.1.3")?;
        assert_eq!(all.all().last().map(|e| e["route"]["as_path"][0].clone()), Some(65002.into()));
        let mut of_second = Watcher::start(&us, "of-second", &["10.0.1.2", "--snapshot"])?;
        of_second.expect("added", SHARED, "10.0.1.2", "")?;
        of_second.event()?;
        // It withdraws; it comes back; its session ends.
        second.withdraw(SHARED)?;
        all.expect("best_changed", SHARED, "10.0.1.3", "10.0.1.2")?;
        of_second.expect("best_changed", SHARED, "10.0.1.3", "10.0.1.2")?;
        let resume = all.all().last().map(|e| e["sequence"].to_string()).unwrap_or_default();
        second.announce(&route(SHARED))?;
        all.expect("best_changed", SHARED, "10.0.1.2", "10.0.1.3")?;
        second.stop()?;
        all.expect("best_changed", SHARED, "10.0.1.3", "10.0.1.2")?;
        // A policy takes the rest.
        let none =
            "[policy]\nimport_chain = [\"none\"]\n[policy.definitions.none]\ndefault_action = \"deny\"\n";
        daemon.process().host().write("config.toml", configuration(none))?;
        daemon.process().signal(Signal::SIGHUP)?;
        let mut gone = [all.next()?, all.next()?];
        gone.sort();
        let withdrawn = |prefix: &str| ["withdrawn", prefix, "10.0.1.3", ""].map(str::to_owned);
        assert_eq!(gone, [withdrawn(SHARED), withdrawn("10.90.2.0/24")]);
        // Who was away is told all of that again.
        let mut back = Watcher::start(&us, "back", &["--resume-after", &resume])?;
        back.expect("best_changed", SHARED, "10.0.1.2", "10.0.1.3")?;
        back.expect("best_changed", SHARED, "10.0.1.3", "10.0.1.2")?;
        let mut again = [back.next()?, back.next()?];
        again.sort();
        assert_eq!(again, gone);
        let numbers: Vec<u64> =
            all.all().iter().filter_map(|e| e["sequence"].as_u64()).filter(|n| *n > 0).collect();
        assert!(numbers.is_sorted(), "{numbers:?}");

        // A killed rde ends all streams, with a word of what to do.
        let rde = i32::try_from(daemon.engine("rde")?).map_err(|e| e.to_string())?;
        kill(Pid::from_raw(rde), Signal::SIGKILL)?;
        assert_eq!(all.process.wait_end(10)?.code(), Some(1));
        assert!(all.process.log().contains("--resume-after"), "{}", all.process.log_tail());
        // After that there is nothing to go on behind, but a new beginning.
        let status = wait_for("an answer of the new rde", 20, || {
            let mut late = Watcher::start(&us, "late", &["--resume-after", &resume])?;
            late.process.wait_end(10)?;
            let log = late.process.log();
            Ok(log.contains("--snapshot").then_some(log))
        })?;
        assert!(status.contains("resume_after"), "{status}");
        first.stop()
    })
}

#[test]
fn who_does_not_read_is_ended_and_nobody_else_notices() -> Result<()> {
    Lab::run(|lab| {
        let [us, one, _, _, source] = lan(lab, ["us", "one", "two", "nobody", "source"])?;
        let daemon = Rustbgpd::start(&us, &configuration(""))?;
        let mut speaker = Speaker::establish(&source, "10.0.1.1:179".parse()?, SPEAKER, 0, [10, 0, 0, 5])?;
        let mut slow = Watcher::start(&us, "slow", &["--snapshot"])?;
        assert_eq!(slow.event()?["event_type"], "end_of_snapshot");
        daemon.add(&route("10.91.0.0/24"), "10.0.1.9".parse()?, "65009")?;
        slow.expect("added", "10.91.0.0/24", "0.0.0.0", "")?;
        slow.process.signal(Signal::SIGSTOP)?;
        let mut updates = Vec::new();
        let prefix = |n: u64| Prefix { bits: (0x1400_0000 + (n << 8)) << 32, len: 24, v6: false };
        for begin in (0..MANY).step_by(500) {
            let prefixes: Vec<Prefix> = (begin..begin + 500).map(prefix).collect();
            bgp::announce(&mut updates, SPEAKER, "10.0.1.5".parse()?, &Attrs::default(), &prefixes);
        }
        speaker.send(&updates)?;
        wait("all routes", 60, || {
            let summary = daemon.json(&["rib", "summary"])?;
            Ok(summary["families"][0]["loc_rib_prefixes"].as_u64() > Some(MANY))
        })?;
        // Others go on meanwhile: BIRD's route comes in, and is told to who reads.
        let mut quick = Watcher::start(&us, "quick", &["10.0.1.2", "--snapshot"])?;
        let end = quick.event()?;
        assert_eq!(end["event_type"], "end_of_snapshot");
        let mut bird = bird(&one, 2, &[SHARED])?;
        quick.expect("added", SHARED, "10.0.1.2", "")?;
        bird.stop()?;
        quick.expect("withdrawn", SHARED, "10.0.1.2", "")?;
        slow.process.signal(Signal::SIGCONT)?;
        assert_eq!(slow.process.wait_end(60)?.code(), Some(1));
        let log = slow.process.log();
        assert!(
            log.contains("not read in time") && log.contains("--snapshot"),
            "{}",
            slow.process.log_tail()
        );
        Ok(())
    })
}
