//! What has happened: found by comparing two answers of the daemon, or told by it.

use std::collections::{HashMap, VecDeque};

use grpc::v1::{NeighborState, RouteEvent, RouteEventType, SessionState};

use super::model::{Snapshot, address, description};

/// Events of sessions and of routes that are kept, each; the oldest go.
const KEPT: usize = 500;

/// What an event means to who reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Good,
    Bad,
    Note,
    Route,
}

/// Something that has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// Milliseconds since 1970.
    pub(super) time_ms: u64,
    pub(super) kind: Kind,
    /// The neighbor that it is about.
    pub(super) neighbor: Option<String>,
    pub(super) text: String,
}

impl Event {
    pub(super) fn good(time_ms: u64, neighbor: Option<&str>, text: String) -> Event {
        Event { time_ms, kind: Kind::Good, neighbor: neighbor.map(str::to_owned), text }
    }

    pub(super) fn bad(time_ms: u64, neighbor: Option<&str>, text: String) -> Event {
        Event { time_ms, kind: Kind::Bad, neighbor: neighbor.map(str::to_owned), text }
    }

    pub(super) fn note(time_ms: u64, neighbor: Option<&str>, text: String) -> Event {
        Event { time_ms, kind: Kind::Note, neighbor: neighbor.map(str::to_owned), text }
    }

    /// A change of a best route.
    pub(super) fn route(time_ms: u64, e: &RouteEvent) -> Event {
        let what = match e.event_type() {
            RouteEventType::Added => "added",
            RouteEventType::Withdrawn => "withdrawn",
            RouteEventType::BestChanged => "changed",
            _ => "touched",
        };
        // Of a route that is gone, who it was from.
        let was = if e.event_type() == RouteEventType::Withdrawn { "was " } else { "" };
        let from = match e.peer_address.as_str() {
            "" => String::new(),
            "0.0.0.0" => format!(", {was}injected"),
            peer => format!(", {was}from {peer}"),
        };
        let before = match e.previous_peer_address.as_str() {
            "" => String::new(),
            peer if peer == e.peer_address => String::new(),
            "0.0.0.0" => ", before that injected".to_owned(),
            peer => format!(", before that from {peer}"),
        };
        let text = format!("{}/{} {what}{from}{before}", e.prefix, e.prefix_length);
        let neighbor = (!e.peer_address.is_empty()).then(|| e.peer_address.clone());
        Event { time_ms, kind: Kind::Route, neighbor, text }
    }
}

/// The last events.
#[derive(Debug, Default)]
pub(super) struct Log {
    sessions: VecDeque<Event>,
    /// Apart, so that many routes do not push out what sessions did.
    routes: VecDeque<Event>,
    /// Route events are not shown.
    pub(super) without_routes: bool,
    /// Why there are no route events; empty where there are.
    pub(super) note: String,
}

impl Log {
    pub(super) fn add(&mut self, event: Event) {
        let list = if event.kind == Kind::Route { &mut self.routes } else { &mut self.sessions };
        list.push_back(event);
        if list.len() > KEPT {
            list.pop_front();
        }
    }

    /// The newest first; those of one neighbor, or all.
    pub(super) fn newest(&self, neighbor: Option<&str>) -> Vec<&Event> {
        let routes = self.routes.iter().filter(|_| !self.without_routes);
        let wanted = |e: &&Event| neighbor.is_none() || e.neighbor.as_deref() == neighbor;
        let mut all: Vec<&Event> = self.sessions.iter().chain(routes).filter(wanted).collect();
        all.reverse();
        all.sort_by_key(|e| std::cmp::Reverse(e.time_ms));
        all
    }

    /// As many of the newest as there is room for. However many routes change, half of the room is for sessions.
    pub(super) fn latest(&self, room: usize) -> Vec<&Event> {
        let all = self.newest(None);
        let (routes, sessions): (Vec<&Event>, Vec<&Event>) =
            all.iter().copied().partition(|e| e.kind == Kind::Route);
        let natural = all.iter().take(room).filter(|e| e.kind != Kind::Route).count();
        let few = natural.max(sessions.len().min(room / 2));
        let mut latest: Vec<&Event> =
            sessions.into_iter().take(few).chain(routes.into_iter().take(room.saturating_sub(few))).collect();
        latest.sort_by_key(|e| std::cmp::Reverse(e.time_ms));
        latest
    }
}

/// What has happened between two answers.
pub(super) fn compare(old: &Snapshot, new: &Snapshot) -> Vec<Event> {
    let at = new.time_ms;
    let mut events = Vec::new();
    for p in &new.processes {
        let Some(o) = old.processes.iter().find(|o| o.name == p.name) else { continue };
        match (o.pid == p.pid, p.name.as_str()) {
            (true, _) => {}
            (false, "parent") => events.push(Event::note(at, None, "the daemon was started anew".to_owned())),
            (false, name) if p.restarts > o.restarts => {
                events.push(Event::bad(at, None, format!("{name} was restarted by the daemon")));
            }
            (false, _) => {}
        }
    }
    let before: HashMap<&str, &NeighborState> = old.neighbors.iter().map(|n| (address(n), n)).collect();
    let after: HashMap<&str, &NeighborState> = new.neighbors.iter().map(|n| (address(n), n)).collect();
    for n in &old.neighbors {
        if !after.contains_key(address(n)) {
            events.push(Event::note(at, Some(address(n)), format!("{} was deleted", name(n))));
        }
    }
    for n in &new.neighbors {
        match before.get(address(n)) {
            None => events.push(Event::note(at, Some(address(n)), format!("{} was added", name(n)))),
            Some(o) => changes(o, n, at, &mut events),
        }
    }
    events
}

fn name(n: &NeighborState) -> String {
    match description(n) {
        "" => address(n).to_owned(),
        description => format!("{} ({description})", address(n)),
    }
}

fn changes(old: &NeighborState, new: &NeighborState, at: u64, events: &mut Vec<Event>) {
    let who = Some(address(new));
    let name = name(new);
    let why = if new.last_error.is_empty() { String::new() } else { format!(": {}", new.last_error) };
    let up = |n: &NeighborState| n.state() == SessionState::Established;
    let again = new.flap_count > old.flap_count || new.uptime_seconds < old.uptime_seconds;
    match (up(old), up(new)) {
        (false, true) => {
            let asn = new.config.as_ref().map_or(0, |c| c.remote_asn);
            events.push(Event::good(at, who, format!("{name} is up, AS {asn}")));
        }
        (true, false) => events.push(Event::bad(at, who, format!("{name} is down{why}"))),
        (true, true) if again => {
            events.push(Event::bad(at, who, format!("{name} was down and is up again{why}")))
        }
        (false, false) if new.flap_count > old.flap_count => {
            events.push(Event::bad(at, who, format!("{name} was up and is down again{why}")));
        }
        _ => {}
    }
    if new.over_prefix_limit && !old.over_prefix_limit {
        events.push(Event::bad(at, who, format!("{name} is kept down by its prefix limit")));
    }
    for (was, is, begins, ends) in [
        (old.disabled, new.disabled, "was disabled", "was enabled"),
        (old.draining, new.draining, "is being drained", "is not drained any more"),
    ] {
        if was != is {
            events.push(Event::note(at, who, format!("{name} {}", if is { begins } else { ends })));
        }
    }
}
