//! Figures of each peer.

use bgp::FamilySet;
use ipc::config::ControlPeer;
use ipc::control_rde::PeerCounters;
use ipc::control_session::{FsmState, MessageCounts, PeerStatus, UNASSIGNED};

use super::{Snapshot, count, of};
use crate::convert::of_family;
use crate::exposition::{Metric, Text};
use crate::view::View;

/// A peer with its figures.
#[derive(Debug)]
pub(super) struct Peer<'a> {
    address: String,
    families: FamilySet,
    status: Option<&'a PeerStatus>,
    counters: Option<&'a PeerCounters>,
}

/// The configured peers with what the engines say of them.
pub(super) fn joined<'a>(view: &View, snapshot: &'a Snapshot) -> Vec<Peer<'a>> {
    let join = |p: &ControlPeer| Peer {
        address: p.address.to_string(),
        families: p.families,
        status: snapshot.session.figures.0.get(&p.id),
        counters: snapshot.rde.figures.0.peers.get(&p.id),
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

/// Writes the figures of all peers. `gone`: UPDATEs received from and sent to those that there are no more.
pub(super) fn write(text: &mut Text, peers: &[Peer<'_>], gone: [u64; 2]) {
    text.metric(&of::PEERS_ESTABLISHED).sample(&[], count(peers.iter().filter(|p| p.established()).count()));
    text.metric(&of::PEERS_CONFIGURED).sample(&[], count(peers.len()));
    let [received, sent] = gone;
    let of_all = |f: fn(&Peer<'_>) -> MessageCounts| peers.iter().map(|p| f(p).update).sum::<u64>();
    text.metric(&of::UPDATES_RECEIVED).sample(&[], received + of_all(|p| p.received()));
    text.metric(&of::UPDATES_SENT).sample(&[], sent + of_all(|p| p.sent()));
    sessions(text, peers);
    messages(text, &of::MESSAGES_SENT, peers, |p| p.sent());
    messages(text, &of::MESSAGES_RECEIVED, peers, |p| p.received());
    transitions(text, peers);
    notifications(text, &of::NOTIFICATIONS_SENT, true, peers);
    notifications(text, &of::NOTIFICATIONS_RECEIVED, false, peers);
    routes(text, &of::ADJ_IN, peers, |c| &c.received);
    routes(text, &of::ADJ_OUT, peers, |c| &c.advertised);
    counters(text, peers);
    restarts(text, peers);
}

fn each(text: &mut Text, metric: &'static Metric, peers: &[Peer<'_>], f: impl Fn(&Peer<'_>) -> u64) {
    let mut samples = text.metric(metric);
    for p in peers {
        samples.sample(&[&p.address], f(p));
    }
}

fn sessions(text: &mut Text, peers: &[Peer<'_>]) {
    let status = |f: fn(&PeerStatus) -> u64| move |p: &Peer<'_>| p.status.map_or(0, f);
    each(text, &of::SESSION_UP, peers, |p| p.established().into());
    each(text, &of::SESSION_UPTIME, peers, status(|s| s.uptime_seconds));
    each(text, &of::DISABLED, peers, status(|s| (s.disabled || s.held).into()));
    // Every session that left Established had reached it.
    each(text, &of::ESTABLISHED, peers, |p| p.flaps() + u64::from(p.established()));
    each(text, &of::FLAPS, peers, |p| p.flaps());
    each(text, &of::QUEUED_OCTETS, peers, status(|s| s.queued_octets));
}

fn counters(text: &mut Text, peers: &[Peer<'_>]) {
    type Figure = fn(&PeerCounters) -> u64;
    let all: [(&'static Metric, Figure); 8] = [
        (&of::AS_LOOPS, |c| c.as_loops),
        (&of::RR_LOOPS, |c| c.reflection_loops),
        (&of::LEAKS, |c| c.route_leaks),
        (&of::PATHS_REFUSED, |c| c.paths_refused),
        (&of::MAX_PREFIX, |c| c.prefix_limit_exceeded),
        (&of::DRAINING, |c| c.draining.into()),
        (&of::TREAT_AS_WITHDRAW, |c| c.treated_as_withdraw),
        (&of::DISCARDED, |c| c.attributes_discarded),
    ];
    for (metric, f) in all {
        each(text, metric, peers, |p| p.counters.map_or(0, f));
    }
}

fn messages(text: &mut Text, metric: &'static Metric, peers: &[Peer<'_>], f: fn(&Peer<'_>) -> MessageCounts) {
    let mut samples = text.metric(metric);
    for p in peers {
        let c = f(p);
        for (kind, n) in [
            ("open", c.open),
            ("update", c.update),
            ("notification", c.notification),
            ("keepalive", c.keepalive),
            ("route_refresh", c.route_refresh),
        ] {
            samples.sample(&[&p.address, kind], n);
        }
    }
}

fn transitions(text: &mut Text, peers: &[Peer<'_>]) {
    let mut samples = text.metric(&of::TRANSITIONS);
    for p in peers {
        for t in p.status.iter().flat_map(|s| &s.transitions) {
            samples.sample(&[&p.address, t.from.name(), t.to.name()], t.count);
        }
    }
}

fn notifications(text: &mut Text, metric: &'static Metric, sent: bool, peers: &[Peer<'_>]) {
    let number = |n: u8| if n == UNASSIGNED { "other".to_owned() } else { n.to_string() };
    let mut samples = text.metric(metric);
    for p in peers {
        for n in p.status.iter().flat_map(|s| &s.notifications).filter(|n| n.sent == sent) {
            samples.sample(&[&p.address, &number(n.code), &number(n.subcode)], n.count);
        }
    }
}

fn routes(
    text: &mut Text,
    metric: &'static Metric,
    peers: &[Peer<'_>],
    figures: fn(&PeerCounters) -> &[u64; 4],
) {
    let mut samples = text.metric(metric);
    for p in peers {
        for f in p.families.iter() {
            let n = p.counters.map_or(0, |c| of_family(figures(c), f));
            samples.sample(&[&p.address, f.name()], n);
        }
    }
}

fn restarts(text: &mut Text, peers: &[Peer<'_>]) {
    let restarting =
        || peers.iter().filter_map(|p| Some((p, p.counters?))).filter_map(|(p, c)| Some((p, c, c.restart?)));
    let mut samples = text.metric(&of::GR_PEER_STALE);
    for (p, c, _) in restarting() {
        for f in p.families.iter() {
            samples.sample(&[&p.address, f.name()], of_family(&c.stale, f));
        }
    }
    let mut samples = text.metric(&of::GR_LEFT);
    for (p, _, restart) in restarting() {
        samples.sample(&[&p.address], restart.seconds_left);
    }
}
