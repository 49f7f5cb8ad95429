//! WatchRoutes, with rde played message by message.

use bgp::Family;
use grpc::v1::rib_service_client::RibServiceClient;
use grpc::v1::{RouteEvent, RouteEventType, WatchRoutesRequest};
use ipc::channel::Link;
use ipc::control_rde::{BestChange, BestRoute, ControlToRde, RdeToControl, Whose};
use ipc::{PeerId, QueryId};
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

use crate::harness::{Control, route, soon, unix_channel};

/// Number of the last change before control watches.
const BEGIN: u64 = 500;

type Rde = Link<RdeToControl, ControlToRde>;

struct Played {
    control: Control,
    rde: Rde,
    client: RibServiceClient<Channel>,
    /// What control's question to watch is called.
    id: QueryId,
}

impl Played {
    async fn start() -> Played {
        let mut control = Control::start().await;
        let rde = control.raw_rde().await;
        let path = control.listen_unix("grpc.sock", ipc::config::Access::ReadWrite).await;
        let client = RibServiceClient::new(unix_channel(path).await);
        Played { control, rde, client, id: QueryId(0) }
    }

    /// Begins to watch, as the first one.
    async fn first(&mut self, request: WatchRoutesRequest) -> Streaming<RouteEvent> {
        let whole_wanted = request.attributes;
        let mut client = self.client.clone();
        let begun = async {
            loop {
                match client.watch_routes(request.clone()).await {
                    // The link is served by a task of its own.
                    Err(e) if e.code() == Code::Unavailable => tokio::task::yield_now().await,
                    other => return other.unwrap().into_inner(),
                }
            }
        };
        let rde = &mut self.rde;
        let answered = async {
            let ControlToRde::Watch { id, whole } = rde.recv().await.unwrap().message else {
                panic!("control does not watch")
            };
            assert_eq!(whole, whole_wanted);
            rde.send(&RdeToControl::Watching { id, whole, sequence: BEGIN }).await.unwrap();
            id
        };
        let (events, id) = soon(async { tokio::join!(begun, answered) }).await;
        self.id = id;
        events
    }

    async fn also(&mut self, request: WatchRoutesRequest) -> Result<Streaming<RouteEvent>, Status> {
        soon(self.client.watch_routes(request)).await.map(tonic::Response::into_inner)
    }

    async fn say(&mut self, message: RdeToControl) {
        soon(self.rde.send(&message)).await.unwrap();
    }

    /// Tells changes and waits until control has room for more.
    async fn tell(&mut self, first: u64, changes: Vec<BestChange>) {
        let id = self.id;
        self.say(RdeToControl::Changes { id, shard: 0, first, at: 1_795_953_600_500, changes }).await;
        assert_eq!(self.hears().await, ControlToRde::More { id, shard: 0 });
    }

    async fn hears(&mut self) -> ControlToRde {
        soon(self.rde.recv()).await.unwrap().message
    }
}

fn whose(peer: u16) -> Option<Whose> {
    Some(Whose { peer: Some(PeerId(peer)), path_id: 0 })
}

fn change(prefix: &str, slot: u32, now: Option<Whose>, before: Option<Whose>) -> BestChange {
    BestChange { prefix: prefix.parse().unwrap(), slot, now, before, route: None }
}

async fn next(events: &mut Streaming<RouteEvent>) -> RouteEvent {
    soon(events.message()).await.unwrap().unwrap()
}

/// How a stream ends, and how many events come before.
async fn end(events: &mut Streaming<RouteEvent>) -> (u64, Status) {
    let mut count = 0;
    loop {
        match soon(events.message()).await {
            Ok(event) => assert!(event.is_some(), "it ends as if all were well"),
            Err(status) => return (count, status),
        }
        count += 1;
    }
}

#[tokio::test]
async fn events_say_what_has_changed() {
    let mut played = Played::start().await;
    let mut all = played.first(WatchRoutesRequest::default()).await;
    let one = WatchRoutesRequest { neighbor_address: "192.0.2.1".into(), ..WatchRoutesRequest::default() };
    let mut one = played.also(one).await.unwrap();
    let v6 = WatchRoutesRequest { afi_safi: 2, ..WatchRoutesRequest::default() };
    let mut v6 = played.also(v6).await.unwrap();
    let injected = WatchRoutesRequest { neighbor_address: "0.0.0.0".into(), ..WatchRoutesRequest::default() };
    let mut injected = played.also(injected).await.unwrap();
    let ours = Some(Whose { peer: None, path_id: 7 });
    let changes = vec![
        change("10.0.0.0/8", 0, whose(2), None),
        change("10.0.0.0/8", 0, whose(1), whose(2)),
        change("2001:db8::/32", 0, whose(3), whose(3)),
        change("10.0.0.0/8", 0, ours, whose(1)),
        change("10.0.0.0/8", 0, None, ours),
    ];
    played.tell(BEGIN + 1, changes).await;
    let added = next(&mut all).await;
    let expected = RouteEvent {
        event_type: RouteEventType::Added.into(),
        prefix: "10.0.0.0".into(),
        prefix_length: 8,
        peer_address: "2001:db8::2".into(),
        afi_safi: 1,
        timestamp: "2026-11-29T12:00:00.500Z".into(),
        sequence: 501,
        ..RouteEvent::default()
    };
    assert_eq!(added, expected);
    let best = next(&mut all).await;
    assert_eq!(best.event_type(), RouteEventType::BestChanged);
    assert_eq!(
        (best.peer_address.as_str(), best.previous_peer_address.as_str()),
        ("192.0.2.1", "2001:db8::2")
    );
    let update = next(&mut all).await;
    assert_eq!((update.afi_safi, update.prefix.as_str(), update.sequence), (2, "2001:db8::", 503));
    assert_eq!(
        (update.peer_address.as_str(), update.previous_peer_address.as_str()),
        ("10.0.0.9", "10.0.0.9")
    );
    let local = next(&mut all).await;
    assert_eq!((local.peer_address.as_str(), local.path_id, local.sequence), ("0.0.0.0", 7, 504));
    let gone = next(&mut all).await;
    assert_eq!(gone.event_type(), RouteEventType::Withdrawn);
    assert_eq!((gone.peer_address.as_str(), gone.path_id), ("0.0.0.0", 7));
    assert_eq!(gone.previous_peer_address, "");
    // Those that come from or go to what is asked for.
    assert_eq!(next(&mut one).await.sequence, 502);
    assert_eq!(next(&mut one).await.sequence, 504);
    assert_eq!(next(&mut v6).await.sequence, 503);
    assert_eq!(next(&mut injected).await.sequence, 504);
    assert_eq!(next(&mut injected).await.sequence, 505);
}

#[tokio::test]
async fn a_snapshot_comes_first_and_what_it_has_seen_does_not_come_again() {
    let mut played = Played::start().await;
    let request = WatchRoutesRequest { snapshot: true, attributes: true, ..WatchRoutesRequest::default() };
    let mut events = played.first(request).await;
    let ControlToRde::Snapshot { id, family: None, peer: None } = played.hears().await else {
        panic!("no snapshot is asked for")
    };
    let shown = |prefix: &str| BestRoute {
        prefix: prefix.parse().unwrap(),
        whose: whose(1).unwrap(),
        route: Some(Box::new(route(prefix, Some(1)))),
    };
    let changed = |prefix: &str, slot| BestChange {
        route: Some(Box::new(route(prefix, Some(1)))),
        ..change(prefix, slot, whose(1), None)
    };
    // A change from before the first step.
    played.tell(501, vec![changed("10.0.0.0/24", 3)]).await;
    let walked = |sequence, family, upto, routes, last| RdeToControl::Walked {
        id,
        shard: 0,
        family,
        upto,
        sequence,
        routes,
        last,
    };
    let (v4, v6) = (Family::Ipv4Unicast, Family::Ipv6Unicast);
    played.say(walked(501, v4, 10, vec![shown("10.0.0.0/24"), shown("10.0.1.0/24")], false)).await;
    let first = next(&mut events).await;
    assert_eq!(
        (first.prefix.as_str(), first.event_type(), first.sequence),
        ("10.0.0.0", RouteEventType::Added, 0)
    );
    assert_eq!(played.hears().await, ControlToRde::More { id, shard: 0 });
    // One that was walked past, one that is yet to come, one of another family.
    let changes = vec![changed("10.0.2.0/24", 5), changed("10.0.3.0/24", 50), changed("2001:db8::/32", 5)];
    played.tell(502, changes).await;
    played.say(walked(504, v4, u32::MAX, vec![shown("10.0.3.0/24")], false)).await;
    assert_eq!(played.hears().await, ControlToRde::More { id, shard: 0 });
    played.tell(505, vec![changed("10.0.4.0/24", 70)]).await;
    played.say(walked(505, v6, u32::MAX, vec![shown("2001:db8::/32")], true)).await;
    played.tell(506, vec![changed("2001:db8:1::/48", 90)]).await;
    let mut got = Vec::new();
    while got.len() < 7 {
        let event = next(&mut events).await;
        let is_end = event.event_type() == RouteEventType::EndOfSnapshot;
        assert_eq!(event.route.is_some(), !is_end);
        assert_eq!(event.snapshot, event.sequence == 0 || is_end);
        got.push((event.prefix, event.sequence));
    }
    let expected = [
        ("10.0.1.0", 0),
        ("10.0.3.0", 0),
        ("2001:db8::", 0),
        ("", 501),
        ("10.0.2.0", 502),
        ("10.0.4.0", 505),
        ("2001:db8:1::", 506),
    ];
    assert_eq!(got, expected.map(|(prefix, n)| (prefix.to_owned(), n)));
}

#[tokio::test]
async fn who_was_away_goes_on_where_it_was() {
    let mut played = Played::start().await;
    let first = played.first(WatchRoutesRequest::default()).await;
    played.tell(501, (0..10).map(|n| change("10.0.0.0/8", n, whose(1), None)).collect()).await;
    drop(first);
    // What happens while nobody is there is kept.
    played.tell(511, vec![change("10.0.0.0/8", 0, None, whose(1))]).await;
    let resume = |resume_after| WatchRoutesRequest { resume_after, ..WatchRoutesRequest::default() };
    let mut events = played.also(resume(508)).await.unwrap();
    for expected in 509..=511 {
        assert_eq!(next(&mut events).await.sequence, expected);
    }
    for (wrong, says) in [(499, "oldest event is 501"), (512, "last event is 511")] {
        let status = played.also(resume(wrong)).await.unwrap_err();
        assert_eq!(status.code(), Code::OutOfRange, "{wrong}");
        assert!(status.message().contains(says) && status.message().contains("snapshot"), "{status}");
    }
    let both = WatchRoutesRequest { snapshot: true, ..resume(508) };
    assert_eq!(played.also(both).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let mut played = Played::start().await;
    for (request, code, says) in [
        (WatchRoutesRequest { afi_safi: 3, ..Default::default() }, Code::InvalidArgument, "afi_safi"),
        (WatchRoutesRequest { afi_safi: 9, ..Default::default() }, Code::InvalidArgument, "afi_safi"),
        (
            WatchRoutesRequest { neighbor_address: "me".into(), ..Default::default() },
            Code::InvalidArgument,
            "192.0.2.1",
        ),
        (
            WatchRoutesRequest { neighbor_address: "192.0.2.3".into(), ..Default::default() },
            Code::NotFound,
            "did you mean",
        ),
    ] {
        let status = played.also(request).await.unwrap_err();
        assert_eq!(status.code(), code);
        assert!(status.message().contains(says), "{status}");
    }
}

#[tokio::test]
async fn who_does_not_keep_up_is_ended_and_nobody_waits_for_it() {
    let mut played = Played::start().await;
    let mut slow = played.first(WatchRoutesRequest::default()).await;
    let mut quick = played.also(WatchRoutesRequest::default()).await.unwrap();
    // More than is kept and than connections hold.
    const LISTS: u64 = 400;
    for n in 0..LISTS {
        let changes = (0..512).map(|slot| change("10.0.0.0/8", slot, whose(1), whose(1))).collect();
        played.tell(BEGIN + 1 + n * 512, changes).await;
        for i in 0..512 {
            assert_eq!(next(&mut quick).await.sequence, BEGIN + 1 + n * 512 + i);
        }
    }
    let (count, status) = end(&mut slow).await;
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("snapshot"), "{status}");
    assert!((1..LISTS * 512).contains(&count), "{count} events");
}

#[tokio::test]
async fn without_rde_streams_end_and_may_begin_again() {
    let mut played = Played::start().await;
    let mut events = played.first(WatchRoutesRequest::default()).await;
    let request = WatchRoutesRequest { snapshot: true, ..WatchRoutesRequest::default() };
    let mut snapshot = played.also(request).await.unwrap();
    let other = played.control.raw_rde().await;
    drop(std::mem::replace(&mut played.rde, other));
    assert_eq!(end(&mut events).await.1.code(), Code::Unavailable);
    assert_eq!(end(&mut snapshot).await.1.code(), Code::Unavailable);
    let mut events = played.first(WatchRoutesRequest::default()).await;
    played.tell(BEGIN + 1, vec![change("10.0.0.0/8", 0, whose(1), None)]).await;
    assert_eq!(next(&mut events).await.sequence, BEGIN + 1);
}

#[tokio::test]
async fn an_rde_that_counts_wrong_is_not_believed() {
    let mut played = Played::start().await;
    let mut events = played.first(WatchRoutesRequest::default()).await;
    let (id, changes) = (played.id, vec![change("10.0.0.0/8", 0, whose(1), None)]);
    played.say(RdeToControl::Changes { id, shard: 0, first: 700, at: 0, changes }).await;
    assert_eq!(end(&mut events).await.1.code(), Code::Internal);
}
