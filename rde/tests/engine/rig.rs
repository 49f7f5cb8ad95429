//! A route decision engine with the test as its parent, its session engine and its control.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bgp::header::{HEADER_LEN, MessageType};
use bgp::{Family, FamilySet};
use ipc::channel::{Receiver, Sender, pair};
use ipc::config::{PrefixLimits, RdeGlobal, RdePeer, Speaker};
use ipc::control_rde::{ControlToRde, Cursor, PageEnd, RdeToControl, RouteFilter, RouteView, Table};
use ipc::parent_rde::{ParentToRde, RdeToParent};
use ipc::session_rde::{
    Direction, DownReason, Negotiated, RdeToSession, RdeToSessionBulk, Run, SessionToRde, SessionToRdeBulk,
    Source, Target,
};
use ipc::{Epoch, Generation, GroupId, Link, Message, PeerId, QueryId, Role};
use tokio::time::timeout;

/// Longer than anything here takes.
const SOON: Duration = Duration::from_secs(10);

pub(crate) const OUR_AS: u32 = 64512;
/// Our end of every session.
pub(crate) const LOCAL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 254);
pub(crate) const LOCAL_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xff);

pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(SOON, what).await.expect("nothing came in time")
}

pub(crate) struct Rig {
    parent_tx: Sender<ParentToRde>,
    pub(crate) parent_rx: Receiver<RdeToParent>,
    bulk_tx: Sender<SessionToRdeBulk>,
    bulk_rx: Receiver<RdeToSessionBulk>,
    pub(crate) control: Link<SessionToRde, RdeToSession>,
    pub(crate) queries: Link<ControlToRde, RdeToControl>,
    /// The same sockets, for what is no message.
    pub(crate) raw_bulk: UnixDatagram,
    pub(crate) raw_control: UnixDatagram,
    pub(crate) raw_queries: UnixDatagram,
    groups: HashMap<GroupId, HashSet<PeerId>>,
    /// Messages for peers that nobody has looked at.
    sent: HashMap<PeerId, VecDeque<Vec<u8>>>,
    up: HashMap<PeerId, Source>,
    log: Arc<Mutex<Vec<String>>>,
    child: Child,
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn families() -> FamilySet {
    FamilySet::EMPTY.with(Family::Ipv4Unicast).with(Family::Ipv6Unicast)
}

pub(crate) fn peer(n: u8) -> RdePeer {
    RdePeer {
        id: PeerId(n.into()),
        address: Ipv4Addr::new(192, 0, 2, n).into(),
        range: None,
        remote_asn: asn(n),
        local_asn: OUR_AS,
        families: families(),
        route_server_client: false,
        route_reflector_client: false,
        local_ipv6_nexthop: Some(LOCAL_V6),
        enforce_first_as: true,
        allow_own_as: 0,
        advertisement_interval: 0,
        policy_required: false,
        keep_rejected: true,
        reject_as_sets: false,
        remove_private_as: None,
        default_originate: false,
        add_path_send_max: 0,
        role: None,
        graceful_shutdown: true,
        draining: false,
        stale_routes_time: 300,
        long_lived: false,
        awaited: false,
        prefix_limits: PrefixLimits::default(),
    }
}

pub(crate) fn asn(n: u8) -> u32 {
    65000 + u32::from(n)
}

pub(crate) fn global() -> RdeGlobal {
    let router_id = Ipv4Addr::new(10, 0, 0, 254);
    RdeGlobal {
        speaker: Speaker { asn: OUR_AS, router_id },
        cluster_id: router_id,
        med_always_compare: false,
        deferral: 0,
        threads: threads(),
    }
}

/// Shards of the tables: as many as the environment says.
fn threads() -> u16 {
    std::env::var("RUSTBGPD_LAB_RDE_THREADS").map_or(1, |n| n.parse().unwrap())
}

pub(crate) fn source(n: u8, epoch: u32) -> Source {
    Source { peer: PeerId(n.into()), epoch: Epoch(epoch) }
}

pub(crate) fn up(source: Source) -> SessionToRdeBulk {
    up_with(source, |_| ())
}

/// A session that agreed on something else.
pub(crate) fn up_with(source: Source, change: impl FnOnce(&mut Negotiated)) -> SessionToRdeBulk {
    let n = u8::try_from(source.peer.0).unwrap();
    let mut negotiated = Negotiated {
        remote_asn: asn(n),
        families: families(),
        four_octet_as: true,
        route_refresh: true,
        enhanced_refresh: false,
        refresh_after_end_of_rib: false,
        add_path_receive: FamilySet::EMPTY,
        add_path_send: FamilySet::EMPTY,
        max_message: 4096,
        extended_next_hop: false,
        graceful: None,
        router_id: Ipv4Addr::new(10, 0, 0, n),
        local: SocketAddr::new(LOCAL.into(), 179),
        remote: SocketAddr::new(peer(n).address, 30_000),
    };
    change(&mut negotiated);
    SessionToRdeBulk::PeerUp { source, negotiated }
}

/// A link to the engine over a new pair, the raw socket beside it, and the engine's end.
fn connect<Tx: Message, Rx: Message>() -> (Link<Tx, Rx>, UnixDatagram, OwnedFd) {
    let (ours, theirs) = pair().unwrap();
    let raw = UnixDatagram::from(ours.try_clone().unwrap());
    (Link::from_fd(ours, Role::Rde).unwrap(), raw, theirs)
}

impl Rig {
    /// A running engine that has its channels and no configuration.
    pub(crate) async fn unconfigured() -> Rig {
        let (mut parent, _, parent_end) = connect::<ParentToRde, RdeToParent>();
        let (child, log) = spawn(parent_end);
        let (mut bulk, raw_bulk, bulk_end) = connect();
        let (mut control, raw_control, control_end) = connect();
        let (mut queries, raw_queries, queries_end) = connect();
        let greeting = soon(parent.greet(Role::Parent)).await;
        assert!(greeting.is_ok(), "{greeting:?}; log: {:?}", log.lock().unwrap());
        let (parent_tx, parent_rx) = parent.split();
        let fds = [bulk_end.as_fd(), control_end.as_fd()];
        parent_tx.send_with_fds(&ParentToRde::Link { to: Role::Session }, &fds).await.unwrap();
        let fds = [queries_end.as_fd()];
        parent_tx.send_with_fds(&ParentToRde::Link { to: Role::Control }, &fds).await.unwrap();
        soon(bulk.greet(Role::Session)).await.unwrap();
        soon(control.greet(Role::Session)).await.unwrap();
        soon(queries.greet(Role::Control)).await.unwrap();
        let (bulk_tx, bulk_rx) = bulk.split();
        Rig {
            parent_tx,
            parent_rx,
            bulk_tx,
            bulk_rx,
            control,
            queries,
            raw_bulk,
            raw_control,
            raw_queries,
            groups: HashMap::new(),
            sent: HashMap::new(),
            up: HashMap::new(),
            log,
            child,
        }
    }

    /// A running engine with these peers.
    pub(crate) async fn start(peers: Vec<RdePeer>) -> Rig {
        Rig::start_with(global(), peers).await
    }

    pub(crate) async fn start_with(global: RdeGlobal, peers: Vec<RdePeer>) -> Rig {
        let mut rig = Rig::unconfigured().await;
        rig.configure_with(1, global, peers).await;
        rig
    }

    /// Stages and commits a configuration.
    pub(crate) async fn configure(&mut self, generation: u64, peers: Vec<RdePeer>) {
        self.configure_with(generation, global(), peers).await;
    }

    async fn configure_with(&mut self, generation: u64, global: RdeGlobal, peers: Vec<RdePeer>) {
        let generation = Generation(generation);
        self.tell(ParentToRde::StageBegin { generation, global }).await;
        self.tell(ParentToRde::StagePeers(peers)).await;
        self.tell(ParentToRde::StageEnd).await;
        assert_eq!(soon(self.parent_rx.recv()).await.unwrap().message, RdeToParent::Staged(generation));
        self.tell(ParentToRde::Commit(generation)).await;
        assert_eq!(soon(self.parent_rx.recv()).await.unwrap().message, RdeToParent::Committed(generation));
    }

    pub(crate) async fn tell(&self, message: ParentToRde) {
        self.parent_tx.send(&message).await.unwrap();
    }

    /// Another control takes the place of the one before.
    pub(crate) async fn restart_control(&mut self) {
        let end;
        (self.queries, self.raw_queries, end) = connect();
        let fds = [end.as_fd()];
        self.parent_tx.send_with_fds(&ParentToRde::Link { to: Role::Control }, &fds).await.unwrap();
        soon(self.queries.greet(Role::Control)).await.unwrap();
    }

    pub(crate) async fn session_says(&mut self, message: SessionToRdeBulk) {
        self.bulk_tx.send(&message).await.unwrap();
    }

    /// A session comes up; its initial routes are all sent when this is over.
    pub(crate) async fn up(&mut self, source: Source) -> Vec<Vec<u8>> {
        self.up_with(source, |_| ()).await
    }

    /// The same where something else was agreed on.
    pub(crate) async fn up_with(
        &mut self,
        source: Source,
        change: impl FnOnce(&mut Negotiated),
    ) -> Vec<Vec<u8>> {
        self.comes_up(source, change).await;
        self.until_end_of_rib(source.peer).await
    }

    /// The same without waiting for routes.
    pub(crate) async fn comes_up(&mut self, source: Source, change: impl FnOnce(&mut Negotiated)) {
        self.up.insert(source.peer, source);
        let mut message = up(source);
        if let SessionToRdeBulk::PeerUp { negotiated, .. } = &mut message {
            change(negotiated);
        }
        self.session_says(message).await;
    }

    /// A session comes up, and nothing is waited for.
    pub(crate) async fn come_up(&mut self, up: SessionToRdeBulk) {
        if let SessionToRdeBulk::PeerUp { source, .. } = &up {
            self.up.insert(source.peer, *source);
        }
        self.session_says(up).await;
    }

    /// What a peer is sent up to the end of the routes of both families, the markers not included.
    pub(crate) async fn until_end_of_rib(&mut self, peer: PeerId) -> Vec<Vec<u8>> {
        let (mut messages, mut ends) = (Vec::new(), HashSet::new());
        while ends.len() < 2 {
            let message = self.next(peer).await;
            match end_of_rib(&message) {
                Some(family) => assert!(ends.insert(family), "{family} ends twice"),
                None => messages.push(message),
            }
        }
        messages
    }

    pub(crate) async fn down(&mut self, source: Source) {
        self.down_for(source, DownReason::Ended).await;
    }

    pub(crate) async fn down_for(&mut self, source: Source, reason: DownReason) {
        self.up.remove(&source.peer);
        self.groups.values_mut().for_each(|members| members.retain(|m| *m != source.peer));
        self.session_says(SessionToRdeBulk::PeerDown { source, reason }).await;
    }

    /// A peer's messages arrive.
    pub(crate) async fn received(&mut self, of: Source, messages: &[u8]) {
        let run = Run { of, len: u32::try_from(messages.len()).unwrap() };
        let message = SessionToRdeBulk::Received(vec![run]);
        self.bulk_tx.send_with_payload(&message, &[messages]).await.unwrap();
    }

    /// Messages of several peers arrive in one piece.
    pub(crate) async fn received_together(&mut self, messages: &[(Source, &[u8])]) {
        let run = |(of, m): &(Source, &[u8])| Run { of: *of, len: u32::try_from(m.len()).unwrap() };
        let message = SessionToRdeBulk::Received(messages.iter().map(run).collect());
        let payload: Vec<&[u8]> = messages.iter().map(|(_, m)| *m).collect();
        self.bulk_tx.send_with_payload(&message, &payload).await.unwrap();
    }

    /// Waits until exactly so many octets of this session were dealt with.
    pub(crate) async fn consumed(&mut self, of: Source, octets: usize) {
        let mut sum = 0;
        while sum < octets as u64 {
            match soon(self.control.recv()).await.unwrap().message {
                RdeToSession::Consumed(list) => {
                    assert!(list.iter().all(|(source, _)| *source == of), "{list:?}");
                    sum += list.iter().map(|(_, n)| n).sum::<u64>();
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(sum, octets as u64);
    }

    /// The same for messages that arrive now.
    pub(crate) async fn taken_in(&mut self, of: Source, messages: &[u8]) {
        self.received(of, messages).await;
        self.consumed(of, messages.len()).await;
    }

    /// Whom rde wants notified, and of what: code, subcode and data.
    pub(crate) async fn notified(&mut self) -> (Source, u8, u8, Vec<u8>) {
        match soon(self.control.recv()).await.unwrap().message {
            RdeToSession::Notify { source, code, subcode, data, .. } => (source, code, subcode, data),
            other => panic!("{other:?}"),
        }
    }

    /// Whose session is to end because of too many prefixes, of which direction, and the limit.
    pub(crate) async fn over_limit(&mut self) -> (Source, Direction, Family, u32) {
        match soon(self.control.recv()).await.unwrap().message {
            RdeToSession::OverLimit { source, direction, family, limit } => {
                (source, direction, family, limit)
            }
            other => panic!("{other:?}"),
        }
    }

    /// The next message that session is to send to a peer.
    pub(crate) async fn next(&mut self, peer: PeerId) -> Vec<u8> {
        loop {
            if let Some(message) = self.sent.entry(peer).or_default().pop_front() {
                return message;
            }
            let received = soon(self.bulk_rx.recv()).await.unwrap();
            match received.message {
                RdeToSessionBulk::Join { group, member } => {
                    if self.up.get(&member.peer) == Some(&member) {
                        self.groups.entry(group).or_default().insert(member.peer);
                    }
                }
                RdeToSessionBulk::Leave { group, member } => {
                    self.groups.entry(group).or_default().remove(&member.peer);
                }
                RdeToSessionBulk::Send(runs) => self.deliver(&runs, &received.payload).await,
            }
        }
    }

    async fn deliver(&mut self, runs: &[Run<Target>], mut payload: &[u8]) {
        let mut written = Vec::new();
        for run in runs {
            let (bytes, rest) = payload.split_at(run.len as usize);
            payload = rest;
            let members = |g: &GroupId| self.groups.get(g).cloned().unwrap_or_default();
            let peers: HashSet<PeerId> = match run.of {
                Target::Peer(s) => {
                    self.up.get(&s.peer).filter(|u| **u == s).map(|s| s.peer).into_iter().collect()
                }
                Target::Group(g) => members(&g),
                Target::GroupExcept(g, p) => members(&g).into_iter().filter(|m| *m != p).collect(),
            };
            for peer in peers {
                self.sent.entry(peer).or_default().extend(messages(bytes));
                written.extend(self.up.get(&peer).map(|s| (*s, u64::from(run.len))));
            }
        }
        self.control.send(&SessionToRde::Written(written)).await.unwrap();
    }

    /// One page: the routes, in how many messages they came, and what follows.
    pub(crate) async fn page(
        &mut self,
        table: Table,
        filter: RouteFilter,
        after: Option<Cursor>,
        limit: u32,
    ) -> (Vec<RouteView>, usize, PageEnd) {
        let id = QueryId(u64::from(limit));
        self.queries.send(&ControlToRde::ListRoutes { id, table, filter, after, limit }).await.unwrap();
        let (mut all, mut count) = (Vec::new(), 0);
        loop {
            match self.answer().await {
                RdeToControl::Routes { id: to, routes, end } => {
                    assert_eq!(to, id);
                    all.extend(routes);
                    count += 1;
                    if let Some(end) = end {
                        return (all, count, end);
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// The prefixes of a whole table.
    pub(crate) async fn prefixes(&mut self, table: Table) -> Vec<String> {
        let (routes, _, end) = self.page(table, RouteFilter::default(), None, 1000).await;
        assert_eq!(end, PageEnd { next: None, total: routes.len() as u64 });
        routes.iter().map(|r| r.prefix.to_string()).collect()
    }

    pub(crate) async fn answer(&mut self) -> RdeToControl {
        soon(self.queries.recv()).await.unwrap().message
    }

    /// Asks for something that is answered with a number.
    pub(crate) async fn injected(&mut self, question: ControlToRde) -> u32 {
        self.queries.send(&question).await.unwrap();
        match self.answer().await {
            RdeToControl::Injected { count, .. } => count,
            other => panic!("{other:?}"),
        }
    }

    /// Waits for a line of the log.
    pub(crate) async fn logged(&self, text: &str) {
        let deadline = Instant::now() + SOON;
        while !self.log.lock().unwrap().iter().any(|line| line.contains(text)) {
            assert!(Instant::now() < deadline, "{text:?} not in {:#?}", self.log.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn exited(&mut self) -> ExitStatus {
        let deadline = Instant::now() + SOON;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "does not exit: {:#?}", self.log.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The messages that follow each other in `bytes`, which has nothing else.
fn messages(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let header = bgp::header::parse(bytes.first_chunk().unwrap(), bgp::MAX_MESSAGE).unwrap();
        assert!(matches!(header.kind, MessageType::Update | MessageType::RouteRefresh), "{header:?}");
        let (message, rest) = bytes.split_at(header.len.into());
        messages.push(message.to_vec());
        bytes = rest;
    }
    messages
}

/// RFC 4724 §2: the family whose routes end with this message.
pub(crate) fn end_of_rib(message: &[u8]) -> Option<Family> {
    match message.get(HEADER_LEN..).unwrap() {
        [0, 0, 0, 0] => Some(Family::Ipv4Unicast),
        [0, 0, 0, 6, 0x80, 15, 3, 0, 2, 1] => Some(Family::Ipv6Unicast),
        // The same with the Extended Length flag.
        [0, 0, 0, 7, 0x90, 15, 0, 3, 0, 2, 1] => Some(Family::Ipv6Unicast),
        _ => None,
    }
}

fn spawn(parent_end: OwnedFd) -> (Child, Arc<Mutex<Vec<String>>>) {
    // The shell moves the channel to where the start contract wants it, and becomes the engine.
    let mut child = Command::new("/bin/sh")
        .args(["-c", "exec \"$0\" 3<&0 </dev/null", env!("CARGO_BIN_EXE_rustbgpd-rde")])
        .env_clear()
        .env("RUSTBGPD_LOG", "json:debug")
        .stdin(Stdio::from(parent_end))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let log = Arc::new(Mutex::new(Vec::new()));
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let to = Arc::clone(&log);
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            to.lock().unwrap().push(line);
        }
    });
    (child, log)
}
