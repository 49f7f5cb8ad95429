//! The events of one client.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bgp::Family;
use grpc::v1::{AddressFamily, RouteEvent, RouteEventType, WatchRoutesRequest};
use ipc::PeerId;
use ipc::control_rde::{BestChange, BestRoute, ControlToRde, RdeToControl, Whose};
use ipnet::IpNet;
use tonic::Status;
use tonic::codegen::BoxStream;

use crate::app::App;
use crate::convert::{self, INJECTED};
use crate::engine::Query;
use crate::error::invalid;
use crate::view::View;
use crate::watch::feed::Subscription;
use crate::watch::ring::Chunk;

/// The stream of events that is asked for. It is read from as fast as the client takes it, and nothing waits for that.
///
/// # Errors
/// INVALID_ARGUMENT, NOT_FOUND for what makes no sense, OUT_OF_RANGE where the client cannot go on where it was,
/// UNAVAILABLE where rde is away, RESOURCE_EXHAUSTED where too many watch.
pub(crate) async fn events(
    app: &Arc<App>,
    request: &WatchRoutesRequest,
) -> Result<BoxStream<RouteEvent>, Status> {
    let family = convert::unicast_family(request.afi_safi)?;
    let neighbor = match request.neighbor_address.as_str() {
        "" => None,
        INJECTED => Some(None),
        address => Some(Some(app.peer("neighbor_address", address)?.id)),
    };
    if request.snapshot && request.resume_after != 0 {
        let what = "a snapshot is a new beginning: ask for one of both";
        return Err(invalid("resume_after", request.resume_after, what));
    }
    let subscription = app.feed.subscribe(&app.rde, request.attributes).await?;
    let mut position = subscription.end();
    let mut snapshot = None;
    if request.resume_after != 0 {
        subscription.resume(request.resume_after)?;
        position = request.resume_after;
    }
    if request.snapshot {
        let ask = |id| ControlToRde::Snapshot { id, family, peer: neighbor };
        snapshot = Some(app.rde.ask(ask).await?);
    }
    let watcher = Watcher {
        app: Arc::clone(app),
        subscription,
        family,
        neighbor,
        attributes: request.attributes,
        position,
        snapshot,
        marks: Marks::default(),
        ready: VecDeque::new(),
    };
    let next = |mut watcher: Watcher| async move { Ok(Some((watcher.next().await?, watcher))) };
    Ok(Box::pin(futures_util::stream::try_unfold(watcher, next)))
}

/// One client.
#[derive(Debug)]
struct Watcher {
    app: Arc<App>,
    subscription: Subscription,
    family: Option<Family>,
    neighbor: Option<Option<PeerId>>,
    attributes: bool,
    /// The last change that was looked at.
    position: u64,
    /// While one is under way.
    snapshot: Option<Query<ControlToRde>>,
    marks: Marks,
    /// To be sent next: never more than one list.
    ready: VecDeque<RouteEvent>,
}

impl Watcher {
    async fn next(&mut self) -> Result<RouteEvent, Status> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            if self.snapshot.is_some() {
                self.go_on_with_snapshot().await?;
            } else {
                let chunk = self.subscription.after(self.position).await?;
                self.take_changes(&chunk)?;
            }
        }
    }

    async fn go_on_with_snapshot(&mut self) -> Result<(), Status> {
        let Some(query) = &mut self.snapshot else { return Ok(()) };
        // Before the first step, all that changes will be in the snapshot.
        let begun = self.marks.begun;
        let answer = tokio::select! {
            answer = query.next_ever() => answer?,
            status = self.subscription.lost(begun.then_some(self.position)) => return Err(status),
        };
        let (shard, family, upto, sequence, routes, last) = match answer {
            RdeToControl::Walked { shard, family, upto, sequence, routes, last, .. } => {
                (shard, family, upto, sequence, routes, last)
            }
            RdeToControl::Failed { error, .. } => return Err(Status::unavailable(error)),
            _ => return Err(query.confused()),
        };
        let id = query.id();
        if !begun {
            self.position = sequence;
            self.subscription.snapshot_begins(id, sequence);
        }
        self.marks.walked(sequence, (shard, family), upto);
        let view = self.app.view()?;
        self.ready.extend(routes.into_iter().map(|route| shown(&view, route)));
        if !last {
            return query.say(ControlToRde::More { id, shard }).await;
        }
        if let Some(query) = self.snapshot.take() {
            query.finish();
        }
        self.subscription.snapshot_ends();
        self.ready.push_back(RouteEvent {
            event_type: RouteEventType::EndOfSnapshot.into(),
            sequence: self.position,
            timestamp: timestamp(now()),
            snapshot: true,
            ..RouteEvent::default()
        });
        Ok(())
    }

    fn take_changes(&mut self, chunk: &Chunk) -> Result<(), Status> {
        let view = self.app.view()?;
        let time = timestamp(chunk.at);
        for (sequence, change) in (chunk.first..).zip(&chunk.changes) {
            if sequence <= self.position {
                continue;
            }
            self.position = sequence;
            let family = family_of(&change.prefix);
            let news = self.marks.is_news(sequence, (chunk.shard, family), change.slot);
            if news && self.family.is_none_or(|f| f == family) && self.concerns(change) {
                self.ready.push_back(event(&view, change, sequence, &time, self.attributes));
            }
        }
        Ok(())
    }

    fn concerns(&self, change: &BestChange) -> bool {
        let Some(neighbor) = self.neighbor else { return true };
        [change.now, change.before].into_iter().flatten().any(|w| w.peer == neighbor)
    }
}

/// A part of the tables: a family in a shard.
type Part = (u16, Family);

/// How far a snapshot had come at which change: what changes in slots that it had walked is news, the rest it has seen.
#[derive(Debug, Default)]
struct Marks {
    begun: bool,
    /// In the order of changes: number, part, and up to which slot it was walked then.
    coming: VecDeque<(u64, Part, u32)>,
    walked: HashMap<Part, u32>,
}

impl Marks {
    fn walked(&mut self, sequence: u64, part: Part, upto: u32) {
        self.begun = true;
        self.coming.push_back((sequence, part, upto));
    }

    /// Whether the change of this number is news; numbers grow.
    fn is_news(&mut self, number: u64, part: Part, slot: u32) -> bool {
        while self.coming.front().is_some_and(|(sequence, ..)| *sequence < number) {
            let Some((_, part, upto)) = self.coming.pop_front() else { break };
            self.walked.insert(part, upto);
        }
        if self.coming.is_empty() {
            // The snapshot had come to its end.
            return true;
        }
        self.walked.get(&part).is_some_and(|upto| slot < *upto)
    }
}

fn family_of(prefix: &IpNet) -> Family {
    match prefix {
        IpNet::V4(_) => Family::Ipv4Unicast,
        IpNet::V6(_) => Family::Ipv6Unicast,
    }
}

fn afi_safi(prefix: &IpNet) -> i32 {
    match prefix {
        IpNet::V4(_) => AddressFamily::Ipv4Unicast.into(),
        IpNet::V6(_) => AddressFamily::Ipv6Unicast.into(),
    }
}

/// Milliseconds since 1970.
fn now() -> u64 {
    u64::try_from(UNIX_EPOCH.elapsed().unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds since 1970 as RFC 3339 has them. What lies beyond all years comes as the beginning.
fn timestamp(ms: u64) -> String {
    const END: u64 = 253_402_300_800_000;
    let ms = if ms < END { ms } else { 0 };
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(ms)).to_string()
}

/// A change as an event.
fn event(view: &View, change: &BestChange, sequence: u64, time: &str, attributes: bool) -> RouteEvent {
    let kind = match (change.now, change.before) {
        (Some(_), None) => RouteEventType::Added,
        (None, _) => RouteEventType::Withdrawn,
        (Some(_), Some(_)) => RouteEventType::BestChanged,
    };
    let whose = change.now.or(change.before);
    let previous = change.before.filter(|_| kind == RouteEventType::BestChanged);
    let route = change.route.as_deref().filter(|_| attributes);
    RouteEvent {
        event_type: kind.into(),
        prefix: change.prefix.addr().to_string(),
        prefix_length: change.prefix.prefix_len().into(),
        peer_address: whose.map(|w| convert::peer_address(view, w.peer)).unwrap_or_default(),
        afi_safi: afi_safi(&change.prefix),
        timestamp: time.to_owned(),
        previous_peer_address: previous.map(|w| convert::peer_address(view, w.peer)).unwrap_or_default(),
        path_id: whose.map_or(0, |w| w.path_id),
        sequence,
        route: route.map(|r| convert::route(view, r.clone())),
        previous_path_id: previous.map_or(0, |w| w.path_id),
        snapshot: false,
    }
}

/// A route that is there, as an event.
fn shown(view: &View, best: BestRoute) -> RouteEvent {
    let Whose { peer, path_id } = best.whose;
    RouteEvent {
        event_type: RouteEventType::Added.into(),
        prefix: best.prefix.addr().to_string(),
        prefix_length: best.prefix.prefix_len().into(),
        peer_address: convert::peer_address(view, peer),
        afi_safi: afi_safi(&best.prefix),
        timestamp: timestamp(now()),
        path_id,
        route: best.route.map(|r| convert::route(view, *r)),
        snapshot: true,
        ..RouteEvent::default()
    }
}
