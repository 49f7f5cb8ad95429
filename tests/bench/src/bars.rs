//! What rustbgpd has to reach in each scenario, and whether it does.

use crate::results::Scenario;

/// What a figure of ours is compared with.
#[derive(Clone, Copy)]
enum Against {
    /// The same figure of another daemon.
    Daemon(&'static str, &'static str),
    /// Another figure of ours.
    Own(&'static str, &'static str),
    /// Nothing: the bar is a number of these.
    Unit(&'static str),
}
use Against::{Daemon, Own, Unit};

const BIRD: Against = Daemon("bird", "BIRD");
const FRR: Against = Daemon("frr", "FRR");

pub struct Bar {
    what: &'static str,
    metric: &'static str,
    /// At most this much of what it is compared with; at least, when `more` is better.
    factor: f64,
    more: bool,
    against: Against,
}

const fn most(what: &'static str, metric: &'static str, factor: f64, against: Against) -> Bar {
    Bar { what, metric, factor, more: false, against }
}

const TIME: &str = "time_s";
const MEMORY: &str = "peak_pss_mb";

/// The bars of a scenario.
pub fn of(scenario: &str) -> Vec<Bar> {
    let time = |factor| most("time", TIME, factor, BIRD);
    let memory = |factor| most("memory", MEMORY, factor, BIRD);
    match scenario {
        "transit" => vec![time(0.6), most("CPU", "cpu_s", 1.1, BIRD), memory(0.8)],
        "transit-policy" => vec![time(0.6), most("CPU", "cpu_s", 1.1, BIRD)],
        "transit6" => vec![time(0.6), memory(1.2)],
        "bgperf2" => vec![time(0.6), memory(1.3)],
        "bgperf10" => vec![time(0.3)],
        "fanout" => vec![time(0.2), most("time", TIME, 1.0, FRR)],
        "routeserver" => vec![time(0.3), memory(1.3)],
        "churn" => vec![
            Bar { what: "changes/s", metric: "churn_per_s", factor: 1.2, more: true, against: BIRD },
            most("p99", "probe_p99_ms", 1.0, BIRD),
        ],
        "churn-query" | "churn-lists" => {
            vec![most("p99 with queries", "query_probe_p99_ms", 1.1, Own("probe_p99_ms", "without"))]
        }
        "idle-probe" => vec![most("p99", "probe_p99_ms", 5.0, Unit("ms"))],
        "reevaluate" => vec![
            most("rejected in", "reject_s", 2.0, Unit("s")),
            most("accepted in", "accept_s", 2.0, Unit("s")),
            most("longest probe", "probe_max_ms", 20.0, Unit("ms")),
        ],
        "sessions" => vec![
            most("up", "established_s", 0.5, BIRD),
            memory(1.5),
            most("steady CPU", "steady_cpu_pct", 1.0, BIRD),
        ],
        "restart" => vec![most("up", "established_s", 1.0, FRR)],
        "flap" => vec![most("memory at the end", "last_pss_mb", 1.1, Own("first_pss_mb", "at first"))],
        _ => vec![],
    }
}

impl Bar {
    /// The bar in words.
    pub fn text(&self) -> String {
        let sign = if self.more { "≥" } else { "≤" };
        match self.against {
            Daemon(_, other) | Own(_, other) if self.factor == 1.0 => format!("{} {sign} {other}", self.what),
            _ => format!("{} {sign} {}", self.what, self.against.times(&self.factor.to_string())),
        }
    }

    /// Ours in parts of what it is compared with, where all was measured.
    fn ratio(&self, s: &Scenario) -> Option<f64> {
        match self.against {
            Daemon(d, _) => s.ratio(("ours", self.metric), (d, self.metric)),
            Own(metric, _) => s.ratio(("ours", self.metric), ("ours", metric)),
            Unit(_) => s.median("ours", self.metric),
        }
    }
}

impl Against {
    fn name(&self) -> &'static str {
        match self {
            Daemon(_, name) | Own(_, name) | Unit(name) => name,
        }
    }

    /// So many times this.
    fn times(&self, factor: &str) -> String {
        match self {
            Daemon(..) | Own(..) => format!("{factor} x {}", self.name()),
            Unit(unit) => format!("{factor} {unit}"),
        }
    }
}

/// "yes", or each bar that is not reached or could not be looked at.
pub fn verdict(s: &Scenario) -> String {
    let bars = of(&s.name);
    if bars.is_empty() {
        return "–".into();
    }
    let failed = s.runs("ours").map_or(0, |r| r.values().filter(|r| !crate::results::is_ok(r)).count());
    let mut notes = Vec::new();
    let mut missed = failed > 0;
    if failed > 0 {
        notes.push(format!("{failed} failed"));
    }
    let mut seen = 0;
    for b in &bars {
        match b.ratio(s) {
            None if matches!(b.against, Unit(_)) => notes.push(format!("{} not measured", b.what)),
            None => notes.push(format!("{} not compared with {}", b.what, b.against.name())),
            Some(r) if (b.more && r < b.factor) || (!b.more && r > b.factor) => {
                (missed, seen) = (true, seen + 1);
                notes.push(format!("{} is {}", b.what, b.against.times(&format!("{r:.2}"))));
            }
            Some(_) => seen += 1,
        }
    }
    let word = match (missed, seen) {
        (true, _) => "**no**",
        (false, 0) => "?",
        (false, _) => "yes",
    };
    if notes.is_empty() { word.into() } else { format!("{word}: {}", notes.join(", ")) }
}
