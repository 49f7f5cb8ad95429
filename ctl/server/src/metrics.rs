//! Snapshots of the engines' counters, as text for Prometheus.
//!
//! Names and labels are those of the operations manual. Every family is there from the start; the label
//! `peer` is the address alone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bgp::{Family, FaultKind};
use ipc::PeerId;
use ipc::config::ControlPeer;
use ipc::control_rde::PeerCounters;
use ipc::control_session::{FsmState, MessageCounts, PeerStatus};
use ipc::errors::FaultCount;

use crate::app::{App, Counters};
use crate::convert::of_family;
use crate::exposition::{Kind, Text};
use crate::view::View;

/// The figures that were last seen.
#[derive(Debug, Default, Clone)]
pub(crate) struct Snapshot {
    sessions: Arc<HashMap<PeerId, PeerStatus>>,
    counters: Arc<Counters>,
    faults: Arc<Vec<FaultCount>>,
}

/// Asks both engines, and writes down what they say. While one is away, its last figures stand.
pub(crate) async fn render(app: &App) -> String {
    let (sessions, counters, faults) =
        tokio::join!(app.sessions(None), app.counters(), app.update_errors(None));
    let up = [("session", sessions.is_ok()), ("rde", counters.is_ok())];
    let snapshot = app.with_snapshot(|last| {
        if let Ok(sessions) = sessions {
            last.sessions = Arc::new(sessions);
        }
        if let Ok(counters) = counters {
            last.counters = Arc::new(counters);
        }
        if let Ok((faults, _)) = faults {
            last.faults = Arc::new(faults);
        }
        last.clone()
    });
    let mut text = Text::default();
    let engines = text.family("rustbgpd_engine_up", Kind::Gauge, "Whether the process answers.");
    for (engine, up) in up {
        engines.sample(&[("engine", engine)], up.into());
    }
    let peers: Vec<Peer<'_>> =
        app.try_view().as_deref().map_or_else(Vec::new, |view| joined(view, &snapshot)).to_vec();
    write_daemon(&mut text, app.uptime(), &peers);
    write_sessions(&mut text, &peers);
    write_faults(&mut text, &snapshot.faults);
    write_tables(&mut text, &snapshot.counters);
    write_routes(&mut text, &peers);
    write_restarts(&mut text, &snapshot.counters);
    write_later(&mut text);
    text.finish()
}

/// A peer with its figures.
#[derive(Debug, Clone)]
struct Peer<'a> {
    address: String,
    families: bgp::FamilySet,
    status: Option<&'a PeerStatus>,
    counters: Option<&'a PeerCounters>,
}

fn joined<'a>(view: &View, snapshot: &'a Snapshot) -> Vec<Peer<'a>> {
    let join = |p: &ControlPeer| Peer {
        address: p.address.to_string(),
        families: p.families,
        status: snapshot.sessions.get(&p.id),
        counters: snapshot.counters.peers.get(&p.id),
    };
    view.peers.values().map(join).collect()
}

impl Peer<'_> {
    fn established(&self) -> bool {
        self.status.is_some_and(|s| s.state == FsmState::Established)
    }

    fn flaps(&self) -> u64 {
        self.status.map_or(0, |s| s.flap_count)
    }

    fn received(&self) -> MessageCounts {
        self.status.map(|s| s.received).unwrap_or_default()
    }

    fn sent(&self) -> MessageCounts {
        self.status.map(|s| s.sent).unwrap_or_default()
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn write_daemon(text: &mut Text, uptime: Duration, peers: &[Peer<'_>]) {
    let established = peers.iter().filter(|p| p.established()).count();
    text.family("bgp_peers_established", Kind::Gauge, "Peers in Established state.")
        .sample(&[], count(established));
    text.family("bgp_peers_configured", Kind::Gauge, "Configured peers.").sample(&[], count(peers.len()));
    text.family("bgp_uptime_seconds", Kind::Gauge, "Uptime.").sample(&[], uptime.as_secs());
    text.family("bgp_updates_received_total", Kind::Counter, "UPDATE messages received.")
        .sample(&[], peers.iter().map(|p| p.received().update).sum());
    text.family("bgp_updates_sent_total", Kind::Counter, "UPDATE messages sent.")
        .sample(&[], peers.iter().map(|p| p.sent().update).sum());
}

fn per_peer(
    text: &mut Text,
    name: &'static str,
    kind: Kind,
    help: &str,
    peers: &[Peer<'_>],
    f: impl Fn(&Peer<'_>) -> u64,
) {
    let family = text.family(name, kind, help);
    for p in peers {
        family.sample(&[("peer", &p.address)], f(p));
    }
}

fn write_sessions(text: &mut Text, peers: &[Peer<'_>]) {
    use Kind::{Counter, Gauge};
    // Every session that left Established had reached it.
    per_peer(
        text,
        "bgp_session_established_total",
        Counter,
        "Sessions that reached Established.",
        peers,
        |p| p.flaps() + u64::from(p.established()),
    );
    per_peer(text, "bgp_session_flaps_total", Counter, "Sessions that left Established.", peers, |p| {
        p.flaps()
    });
    per_peer(text, "bgp_notifications_sent_total", Counter, "NOTIFICATION messages sent.", peers, |p| {
        p.sent().notification
    });
    per_peer(
        text,
        "bgp_notifications_received_total",
        Counter,
        "NOTIFICATION messages received.",
        peers,
        |p| p.received().notification,
    );
    per_peer(
        text,
        "bgp_as_path_loop_detected_total",
        Counter,
        "Paths refused because our own AS was in them.",
        peers,
        |p| p.counters.map_or(0, |c| c.as_loops),
    );
    per_peer(
        text,
        "bgp_rr_loop_detected_total",
        Counter,
        "Routes refused because of a reflection loop.",
        peers,
        |p| p.counters.map_or(0, |c| c.reflection_loops),
    );
    per_peer(
        text,
        "bgp_treat_as_withdraw_total",
        Counter,
        "UPDATEs treated as withdrawals (RFC 7606).",
        peers,
        |p| p.counters.map_or(0, |c| c.treated_as_withdraw),
    );
    per_peer(
        text,
        "bgp_attributes_discarded_total",
        Counter,
        "Attributes discarded (RFC 7606).",
        peers,
        |p| p.counters.map_or(0, |c| c.attributes_discarded),
    );
    per_peer(
        text,
        "bgp_max_prefix_exceeded_total",
        Counter,
        "Times the peer exceeded max_prefixes.",
        peers,
        |p| p.counters.map_or(0, |c| c.prefix_limit_exceeded),
    );
    per_peer(
        text,
        "bgp_queued_octets",
        Gauge,
        "Octets queued for the peer and not yet written.",
        peers,
        |p| p.status.map_or(0, |s| s.queued_octets),
    );
    messages(text, "bgp_messages_sent_total", "Messages sent.", peers, |p| p.sent());
    messages(text, "bgp_messages_received_total", "Messages received.", peers, |p| p.received());
}

/// What was wrong with UPDATEs of all peers; each kind is there from the start.
fn write_faults(text: &mut Text, faults: &[FaultCount]) {
    let help = "Malformations of UPDATEs that were handled by RFC 7606.";
    let family = text.family("bgp_update_errors_total", Kind::Counter, help);
    for (number, kind) in FaultKind::NAMES.into_iter().enumerate() {
        let of_kind = faults.iter().filter(|f| usize::from(f.kind) == number);
        family.sample(&[("kind", kind)], of_kind.map(|f| f.count).sum());
    }
}

fn messages(
    text: &mut Text,
    name: &'static str,
    help: &str,
    peers: &[Peer<'_>],
    f: impl Fn(&Peer<'_>) -> MessageCounts,
) {
    let family = text.family(name, Kind::Counter, help);
    for p in peers {
        let c = f(p);
        for (kind, n) in [
            ("open", c.open),
            ("update", c.update),
            ("notification", c.notification),
            ("keepalive", c.keepalive),
            ("route_refresh", c.route_refresh),
        ] {
            family.sample(&[("peer", &p.address), ("type", kind)], n);
        }
    }
}

fn write_tables(text: &mut Text, counters: &Counters) {
    let tables = &counters.tables;
    let family = text.family("bgp_rib_prefixes", Kind::Gauge, "Routes in the tables.");
    for (table, figures) in [
        ("adj_rib_in", &tables.adj_rib_in),
        ("loc_rib", &tables.loc_rib),
        ("adj_rib_out", &tables.adj_rib_out),
    ] {
        for f in Family::ALL {
            family.sample(&[("table", table), ("afi_safi", f.name())], of_family(figures, f));
        }
    }
    let family = text.family("bgp_rib_loc_prefixes", Kind::Gauge, "Prefixes in the Loc-RIB.");
    for f in Family::ALL {
        family.sample(&[("afi_safi", f.name())], of_family(&tables.loc_rib, f));
    }
    text.family("bgp_rib_attribute_sets", Kind::Gauge, "Distinct sets of path attributes held.")
        .sample(&[], tables.attribute_sets);
}

fn write_routes(text: &mut Text, peers: &[Peer<'_>]) {
    type Figures = fn(&PeerCounters) -> &[u64; 4];
    let families: [(&'static str, &str, Figures); 2] = [
        ("bgp_rib_adj_in_prefixes", "Routes received from the peer.", |c| &c.received),
        ("bgp_rib_adj_out_prefixes", "Routes advertised to the peer.", |c| &c.advertised),
    ];
    for (name, help, figures) in families {
        let family = text.family(name, Kind::Gauge, help);
        for p in peers {
            for f in p.families.iter() {
                let n = p.counters.map_or(0, |c| of_family(figures(c), f));
                family.sample(&[("peer", &p.address), ("afi_safi", f.name())], n);
            }
        }
    }
}

/// Graceful restarts of peers.
fn write_restarts(text: &mut Text, counters: &Counters) {
    let restarting = || counters.peers.values().filter(|c| c.restart.is_some());
    text.family("bgp_gr_active_peers", Kind::Gauge, "Peers whose routes are kept as stale.")
        .sample(&[], count(restarting().count()));
    text.family("bgp_gr_stale_routes", Kind::Gauge, "Routes of restarting peers that are stale.")
        .sample(&[], restarting().flat_map(|c| c.stale).sum());
    text.family("bgp_gr_timer_expired_total", Kind::Counter, "Graceful restarts that took too long.")
        .sample(&[], counters.peers.values().map(|c| c.restarts_expired).sum());
}

/// What the manual names and this version does not do: nothing of it happens, so 0 is the truth.
fn write_later(text: &mut Text) {
    use Kind::Gauge;
    text.family("bgp_rpki_vrp_count", Gauge, "Validated ROA payloads.")
        .sample(&[("af", "ipv4")], 0)
        .sample(&[("af", "ipv6")], 0);
    text.family("bgp_aspa_records_total", Gauge, "ASPA records.").sample(&[], 0);
}
