//! What the dashboard knows, and what follows from it: figures by the second, order, what is selected. No terminal, no
//! connection and no clock: time is an argument.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use grpc::v1::{GlobalState, MessageCounts, NeighborState, Process, RibSummaryResponse, SessionState};

use super::events::{self, Event, Log};

/// How many figures the curve has: two minutes at the usual interval.
const CURVE: usize = 60;

/// What the daemon said at one point of time.
#[derive(Debug, Clone, Default)]
pub(super) struct Snapshot {
    /// Since the dashboard began.
    pub(super) at: Duration,
    /// Milliseconds since 1970.
    pub(super) time_ms: u64,
    pub(super) global: GlobalState,
    pub(super) neighbors: Vec<NeighborState>,
    /// Empty where the daemon does not tell.
    pub(super) processes: Vec<Process>,
    pub(super) summary: RibSummaryResponse,
    /// Validated ROA payloads of IPv4 and IPv6; none where the daemon does not tell.
    pub(super) vrps: Option<(u64, u64)>,
}

/// What comes from the daemon, or does not.
#[derive(Debug)]
pub(super) enum Update {
    /// It answered.
    Snapshot(Box<Snapshot>),
    /// It did not, and why.
    Lost { at: Duration, time_ms: u64, reason: String },
    /// A route has changed.
    Route(Event),
    /// Why no route events come; empty where they do.
    Routes(String),
}

/// Figures by the second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Rates {
    pub(super) messages_in: f64,
    pub(super) messages_out: f64,
    pub(super) updates_in: f64,
    pub(super) updates_out: f64,
    /// By how many routes the Adj-RIB-In grows; negative where it shrinks.
    pub(super) routes: f64,
}

/// What the sessions are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Address,
    As,
    State,
    Uptime,
    Received,
    Sent,
    In,
    Out,
    Description,
}

/// In the order of the columns.
pub(super) const SORTS: [Sort; 9] = [
    Sort::Address,
    Sort::As,
    Sort::State,
    Sort::Uptime,
    Sort::Received,
    Sort::Sent,
    Sort::In,
    Sort::Out,
    Sort::Description,
];

impl Sort {
    /// Whether the largest come first unless somebody reverses it: what people look for.
    fn largest_first(self) -> bool {
        matches!(self, Sort::Uptime | Sort::Received | Sort::Sent | Sort::In | Sort::Out)
    }
}

/// What is on the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum View {
    Sessions,
    /// Everything about one neighbor, from this line on.
    Neighbor {
        address: String,
        line: u16,
    },
    /// All events, from this one on.
    Events {
        line: usize,
    },
}

/// Everything.
#[derive(Debug)]
pub(super) struct App {
    pub(super) color: bool,
    pub(super) snapshot: Option<Snapshot>,
    /// Why there is no answer, and since when.
    pub(super) lost: Option<(Duration, String)>,
    rates: HashMap<String, Rates>,
    pub(super) total: Rates,
    /// Per cent of a processor, by process id.
    cpu: HashMap<u32, f64>,
    /// Updates by the second, both ways.
    pub(super) curve: VecDeque<u64>,
    pub(super) log: Log,
    pub(super) view: View,
    pub(super) help: bool,
    pub(super) sort: Sort,
    pub(super) reversed: bool,
    pub(super) filter: String,
    /// The filter is being typed.
    pub(super) typing: bool,
    /// The address of the selected neighbor.
    pub(super) selected: Option<String>,
    /// The first neighbor that is shown.
    pub(super) offset: usize,
}

impl App {
    /// Nothing is known yet.
    pub(super) fn new(color: bool) -> App {
        App {
            color,
            snapshot: None,
            lost: None,
            rates: HashMap::new(),
            total: Rates::default(),
            cpu: HashMap::new(),
            curve: VecDeque::new(),
            log: Log::default(),
            view: View::Sessions,
            help: false,
            sort: Sort::Address,
            reversed: false,
            filter: String::new(),
            typing: false,
            selected: None,
            offset: 0,
        }
    }

    /// Takes what has come.
    pub(super) fn apply(&mut self, update: Update) {
        match update {
            Update::Snapshot(snapshot) => self.take(*snapshot),
            Update::Lost { at, time_ms, reason } => {
                if self.lost.is_none() {
                    self.log.add(Event::bad(time_ms, None, format!("no answer from the daemon: {reason}")));
                }
                let since = self.lost.take().map_or(at, |(since, _)| since);
                self.lost = Some((since, reason));
                self.forget_rates();
            }
            Update::Route(event) => self.log.add(event),
            Update::Routes(note) => self.log.note = note,
        }
    }

    fn take(&mut self, new: Snapshot) {
        if self.lost.take().is_some() {
            self.log.add(Event::good(new.time_ms, None, "the daemon answers again".to_owned()));
        }
        self.forget_rates();
        if let Some(old) = self.snapshot.take() {
            events::compare(&old, &new).into_iter().for_each(|e| self.log.add(e));
            self.measure(&old, &new);
        }
        self.snapshot = Some(new);
    }

    /// Nothing moves unless two answers in a row say so.
    fn forget_rates(&mut self) {
        self.rates.clear();
        self.cpu.clear();
        self.total = Rates::default();
    }

    fn measure(&mut self, old: &Snapshot, new: &Snapshot) {
        let seconds = new.at.saturating_sub(old.at).as_secs_f64();
        if seconds <= 0.0 {
            return;
        }
        let before: HashMap<&str, &NeighborState> = old.neighbors.iter().map(|n| (address(n), n)).collect();
        for n in &new.neighbors {
            let Some(o) = before.get(address(n)) else { continue };
            let rates = rates(o, n, seconds);
            self.total.messages_in += rates.messages_in;
            self.total.messages_out += rates.messages_out;
            self.total.updates_in += rates.updates_in;
            self.total.updates_out += rates.updates_out;
            self.total.routes += rates.routes;
            self.rates.insert(address(n).to_owned(), rates);
        }
        for p in &new.processes {
            let used = old.processes.iter().find(|o| o.pid == p.pid).and_then(|o| o.cpu_milliseconds);
            if let (Some(used), Some(now)) = (used, p.cpu_milliseconds) {
                self.cpu.insert(p.pid, now.saturating_sub(used) as f64 / (10.0 * seconds));
            }
        }
        self.curve.push_back((self.total.updates_in + self.total.updates_out).round() as u64);
        while self.curve.len() > CURVE {
            self.curve.pop_front();
        }
    }

    /// The figures of a neighbor.
    pub(super) fn rates_of(&self, neighbor: &NeighborState) -> Rates {
        self.rates.get(address(neighbor)).copied().unwrap_or_default()
    }

    /// Per cent of a processor that a process uses; none where that is not known.
    pub(super) fn cpu_of(&self, process: &Process) -> Option<f64> {
        self.cpu.get(&process.pid).copied()
    }

    /// All neighbors that the filter lets through, in order.
    pub(super) fn rows(&self) -> Vec<&NeighborState> {
        let all = self.snapshot.iter().flat_map(|s| &s.neighbors);
        let mut rows: Vec<&NeighborState> = all.filter(|n| self.passes(n)).collect();
        // Stable: what is equal stays in the order of addresses, which is the daemon's.
        match self.sort {
            Sort::Address => rows.sort_by_key(|n| address(n).parse::<IpAddr>().ok()),
            Sort::As => rows.sort_by_key(|n| n.config.as_ref().map_or(0, |c| c.remote_asn)),
            Sort::State => rows.sort_by_key(|n| (trouble(n), n.state)),
            Sort::Uptime => rows.sort_by_key(|n| n.uptime_seconds),
            Sort::Received => rows.sort_by_key(|n| n.prefixes_received),
            Sort::Sent => rows.sort_by_key(|n| n.prefixes_sent),
            Sort::In => {
                rows.sort_by(|a, b| self.rates_of(a).messages_in.total_cmp(&self.rates_of(b).messages_in));
            }
            Sort::Out => {
                rows.sort_by(|a, b| self.rates_of(a).messages_out.total_cmp(&self.rates_of(b).messages_out));
            }
            Sort::Description => rows.sort_by_key(|n| description(n).to_lowercase()),
        }
        if self.descending() {
            rows.reverse();
        }
        rows
    }

    /// Whether the largest come first.
    pub(super) fn descending(&self) -> bool {
        self.reversed != self.sort.largest_first()
    }

    fn passes(&self, n: &NeighborState) -> bool {
        let wanted = self.filter.trim().to_lowercase();
        let Some(c) = n.config.as_ref().filter(|_| !wanted.is_empty()) else { return wanted.is_empty() };
        let fields = [
            c.address.clone(),
            format!("as{}", c.remote_asn),
            super::super::neighbor::state(n),
            c.description.clone(),
            c.peer_group.clone(),
        ];
        fields.iter().any(|f| f.to_lowercase().contains(&wanted))
    }

    /// Which of the rows is selected.
    pub(super) fn cursor(&self, rows: &[&NeighborState]) -> usize {
        let selected = self.selected.as_deref();
        rows.iter().position(|n| Some(address(n)) == selected).unwrap_or(0)
    }

    /// Moves the selection.
    pub(super) fn select(&mut self, by: isize) {
        let rows = self.rows();
        let last = rows.len().saturating_sub(1);
        let at = self.cursor(&rows).saturating_add_signed(by).min(last);
        self.selected = rows.get(at).map(|n| address(n).to_owned());
    }

    /// The neighbor of this address, while there is one.
    pub(super) fn neighbor(&self, wanted: &str) -> Option<&NeighborState> {
        self.snapshot.iter().flat_map(|s| &s.neighbors).find(|n| address(n) == wanted)
    }
}

/// A neighbor's address.
pub(super) fn address(n: &NeighborState) -> &str {
    n.config.as_ref().map_or("", |c| &c.address)
}

/// What it is called, where that says more than the address.
pub(super) fn description(n: &NeighborState) -> &str {
    n.config.as_ref().filter(|c| c.description != c.address).map_or("", |c| &c.description)
}

/// What needs attention comes first.
fn trouble(n: &NeighborState) -> u8 {
    match n.state() {
        _ if n.over_prefix_limit => 0,
        _ if n.disabled => 2,
        SessionState::Established => 3,
        _ => 1,
    }
}

fn rates(old: &NeighborState, new: &NeighborState, seconds: f64) -> Rates {
    // A counter that is less than before has begun anew.
    let rate = |old: u64, new: u64| if new < old { 0.0 } else { (new - old) as f64 / seconds };
    let all = |m: &Option<MessageCounts>| {
        m.as_ref().map_or(0, |m| m.open + m.update + m.notification + m.keepalive + m.route_refresh)
    };
    Rates {
        messages_in: rate(all(&old.messages_received), all(&new.messages_received)),
        messages_out: rate(all(&old.messages_sent), all(&new.messages_sent)),
        updates_in: rate(old.updates_received, new.updates_received),
        updates_out: rate(old.updates_sent, new.updates_sent),
        routes: (new.prefixes_received as f64 - old.prefixes_received as f64) / seconds,
    }
}
