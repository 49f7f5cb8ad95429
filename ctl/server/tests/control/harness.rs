//! Runs the real rustbgpd-control and plays the other processes around it.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bgp::{BgpRole, Family, FamilySet, NextHop, Verdict};
use hyper_util::rt::TokioIo;
use ipc::channel::{Link, Sender, pair};
use ipc::config::{
    Access, AllowedPeers, ControlGlobal, ControlPeer, ListenerKind, OverLimit, PeerRole, PrefixLimits,
    Speaker, Tls,
};
use ipc::control_rde::{
    ControlToRde, Cursor, InjectedRoute, Injection, OwnedBy, OwnerView, PageEnd, PeerCounters, RdeToControl,
    Restart, RouteFilter, RouteView, Segment, SoftResetError, Table, TableCounters,
};
use ipc::control_session::{
    Agreed, ControlToSession, FsmState, MessageCounts, NotificationCount, Notified, PeerStatus,
    SessionToControl, Transition, UNASSIGNED,
};
use ipc::edit::{Assembly, Chains, Edit, EditError, EditPart, parts};
use ipc::errors::{FaultCount, PeerError, Wrong};
use ipc::explain::{
    ExplainedMatch, ExplainedPath, ExplainedPolicy, ExplainedStatement, PolicyChanges, Question,
};
use ipc::figures::{Amount, DynamicPeers, Process, Traffic, Usage};
use ipc::file::{Answer, Done, Request as FileRequest};
use ipc::object;
use ipc::parent_control::{ControlToParent, Intent, IntentError, ParentToControl};
use ipc::report::{Protection, Sandbox};
use ipc::{Generation, PeerId, QueryId, Role};
use ipnet::IpNet;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, watch};
use tonic::transport::{Channel, Endpoint};

pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// What the played processes saw and what they are to say.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) intents: Vec<Intent>,
    pub(crate) refuse_intents: Option<IntentError>,
    pub(crate) edits: Vec<Edit>,
    pub(crate) refuse_edits: Option<EditError>,
    /// What was asked of the file as a whole, and what is said to the next questions.
    pub(crate) file_requests: Vec<FileRequest>,
    pub(crate) file_answers: Vec<Answer>,
    pub(crate) asked: Vec<object::Question>,
    /// What the parent answers to that.
    pub(crate) answer: Option<object::Answer>,
    pub(crate) routes: BTreeMap<(IpNet, Option<PeerId>, u32), RouteView>,
    pub(crate) questions: Vec<(Table, RouteFilter, Option<Cursor>, u32)>,
    pub(crate) injected: Vec<InjectedRoute>,
    pub(crate) inject_messages: usize,
    /// Whose the routes of each of these messages are.
    pub(crate) owners: Vec<Option<OwnedBy>>,
    pub(crate) renewed: Vec<OwnedBy>,
    pub(crate) cancelled: Vec<QueryId>,
    /// Soft resets: whose routes, of which families, whether the peer is asked as well.
    pub(crate) resets: Vec<(PeerId, FamilySet, bool)>,
    pub(crate) refuse_resets: Option<SoftResetError>,
    /// rde hears, and says nothing.
    pub(crate) silent: bool,
}

pub(crate) type Shared = Arc<Mutex<World>>;

/// A certificate or key of the tests.
pub(crate) fn tls_file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/tls").join(name)
}

pub(crate) struct Control {
    child: Option<Child>,
    pub(crate) parent: Sender<ParentToControl>,
    pub(crate) said: mpsc::UnboundedReceiver<ControlToParent>,
    pub(crate) world: Shared,
    pub(crate) dir: tempfile::TempDir,
    /// Counts changes of the world, to wait for one.
    changes: watch::Receiver<u64>,
    change: watch::Sender<u64>,
    parent_task: tokio::task::JoinHandle<()>,
}

pub(crate) fn peer(id: u16, address: &str) -> ControlPeer {
    ControlPeer {
        id: PeerId(id),
        address: address.parse().unwrap(),
        dynamic: false,
        remote_asn: 65000 + u32::from(id),
        description: format!("peer {id}"),
        hold_time: 90,
        prefix_limits: match id {
            1 => PrefixLimits {
                received: Some(1000),
                accepted_only: false,
                advertised: None,
                action: OverLimit::Restart { minutes: 5 },
            },
            _ => PrefixLimits::default(),
        },
        families: FamilySet::EMPTY.with(Family::Ipv4Unicast).with(Family::Ipv6Unicast),
        remove_private_as: String::new(),
        peer_group: String::new(),
        route_server_client: false,
        add_path_receive: false,
        add_path_send: false,
        add_path_send_max: 0,
        md5: id == 1,
        ttl_security: false,
        role: (id == 1).then_some(PeerRole { role: BgpRole::RsClient, strict: true }),
        policy_missing: false,
    }
}

pub(crate) fn status(id: u16, state: FsmState) -> PeerStatus {
    let up = state == FsmState::Established;
    PeerStatus {
        peer: PeerId(id),
        remote_asn: 65000 + u32::from(id),
        state,
        disabled: false,
        held: false,
        uptime_seconds: if up { 77 } else { 0 },
        flap_count: 2,
        last_error: "hold timer expired".into(),
        notification_received: None,
        notification_sent: Some(Notified { at: 4000, code: 4, subcode: 0, text: "silence".into() }),
        next_attempt: (!up).then_some(12),
        received: MessageCounts { open: 3, update: 10, notification: 1, keepalive: 20, route_refresh: 0 },
        sent: MessageCounts { open: 3, update: 11, notification: 2, keepalive: 21, route_refresh: 1 },
        hold_time: if up { 30 } else { 0 },
        send_hold_time: if up { 480 } else { 0 },
        keepalive: if up { 10 } else { 0 },
        families: FamilySet::EMPTY.with(Family::Ipv4Unicast),
        agreed: up.then_some(Agreed {
            four_octet_as: true,
            enhanced_refresh: true,
            restart_time: Some(120),
            restart_families: FamilySet::EMPTY.with(Family::Ipv4Unicast),
            ..Agreed::default()
        }),
        add_path_receive: FamilySet::EMPTY,
        add_path_send: FamilySet::EMPTY.with(Family::Ipv4Unicast),
        capabilities_received: vec!["4-octet AS 65001".into()],
        capabilities_sent: vec!["route refresh".into()],
        local: Some("192.0.2.254:179".parse().unwrap()),
        remote: Some("192.0.2.1:40000".parse().unwrap()),
        router_id: Some("10.9.9.9".parse().unwrap()),
        peer_role: "rs".into(),
        queued_octets: 5,
        notifications: vec![
            NotificationCount { sent: true, code: 4, subcode: 0, count: 2 },
            NotificationCount { sent: false, code: 6, subcode: 2, count: 3 },
            NotificationCount { sent: false, code: UNASSIGNED, subcode: UNASSIGNED, count: 1 },
        ],
        transitions: vec![Transition { from: FsmState::OpenConfirm, to: FsmState::Established, count: 3 }],
    }
}

pub(crate) fn route(prefix: &str, peer: Option<u16>) -> RouteView {
    let prefix: IpNet = prefix.parse().unwrap();
    let next_hop = match prefix {
        IpNet::V4(_) => NextHop::V4("192.0.2.1".parse().unwrap()),
        IpNet::V6(_) => NextHop::V6Pair("2001:db8::1".parse().unwrap(), "fe80::1".parse().unwrap()),
    };
    RouteView {
        prefix,
        peer: peer.map(PeerId),
        path_id: 0,
        best: true,
        stale: false,
        denied: false,
        origin: 0,
        as_path: vec![Segment { set: false, asns: vec![65001, 65010] }],
        next_hop,
        local_pref: None,
        med: Some(0),
        communities: vec![65001 << 16 | 100],
        extended_communities: vec![],
        large_communities: vec![(65001, 1, 2)],
        only_to_customer: None,
    }
}

/// What the parent says to a request about the file as a whole.
fn answer_file(world: &Shared, files: &mut Assembly<FileRequest>, part: EditPart) -> Vec<EditPart> {
    let Some((id, request)) = files.take(part).unwrap() else { return Vec::new() };
    let mut world = world.lock().unwrap();
    world.file_requests.push(request);
    let answer = if world.file_answers.is_empty() { Ok(Done::Done) } else { world.file_answers.remove(0) };
    parts(id, &answer).unwrap()
}

impl Control {
    /// Starts the process with two peers and the given world around it; no listener yet.
    pub(crate) async fn start() -> Control {
        let (ours, theirs) = pair().unwrap();
        let child = Command::new("sh")
            .arg("-c")
            .arg("exec \"$0\" 3<&0 0</dev/null")
            .arg(env!("CARGO_BIN_EXE_rustbgpd-control"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("RUSTBGPD_LOG", "text:warn")
            .stdin(Stdio::from(theirs))
            .spawn()
            .unwrap();
        let mut link = Link::<ParentToControl, ControlToParent>::from_fd(ours, Role::Control).unwrap();
        soon(link.greet(Role::Parent)).await.unwrap();
        let (parent, mut rx) = link.split();
        let (change, changes) = watch::channel(0);
        let world = Shared::default();
        let (say, said) = mpsc::unbounded_channel();
        let parent_task = tokio::spawn({
            let (world, parent, change) = (Arc::clone(&world), parent.clone(), change.clone());
            async move {
                let mut assembly = Assembly::default();
                let mut files = Assembly::<FileRequest>::default();
                while let Ok(received) = rx.recv().await {
                    if let ControlToParent::Edit(part) = &received.message
                        && let Some((id, edit)) = assembly.take(part.clone()).unwrap()
                    {
                        let result = {
                            let mut world = world.lock().unwrap();
                            world.edits.push(edit);
                            world.refuse_edits.clone().map_or(Ok(()), Err)
                        };
                        let _ = parent.send(&ParentToControl::EditReply { id, result }).await;
                    }
                    if let ControlToParent::File(part) = &received.message {
                        for part in answer_file(&world, &mut files, part.clone()) {
                            let _ = parent.send(&ParentToControl::FileReply(part)).await;
                        }
                    }
                    if let ControlToParent::Chains { id, neighbor } = received.message {
                        let result = {
                            let world = world.lock().unwrap();
                            let names = |way| vec![format!("{way} of {neighbor:?}")];
                            let chains = Chains { import: names("import"), export: names("export") };
                            world.refuse_edits.clone().map_or(Ok(chains), Err)
                        };
                        let _ = parent.send(&ParentToControl::ChainsReply { id, result }).await;
                    }
                    if let ControlToParent::Ask { id, question } = &received.message {
                        let reply = {
                            let mut world = world.lock().unwrap();
                            world.asked.push(question.clone());
                            let answer = world.answer.clone().unwrap_or(object::Answer::Objects(vec![]));
                            world.refuse_edits.clone().map_or(object::Reply::Ok(answer), Err)
                        };
                        for part in parts(*id, &reply).unwrap() {
                            let _ = parent.send(&ParentToControl::Answer(part)).await;
                        }
                    }
                    if let ControlToParent::Intent { id, intent } = &received.message {
                        let result = {
                            let mut world = world.lock().unwrap();
                            world.intents.push(intent.clone());
                            world.refuse_intents.clone().map_or(Ok(()), Err)
                        };
                        let _ = parent.send(&ParentToControl::IntentReply { id: *id, result }).await;
                    }
                    if let ControlToParent::Processes { id } = received.message {
                        let traffic = vec![traffic(Role::Control, 3000)];
                        let (processes, dynamic) =
                            (processes(), DynamicPeers { present: 2, limit: 100, refused: 3 });
                        let answer = ParentToControl::ProcessesReply { id, processes, traffic, dynamic };
                        let _ = parent.send(&answer).await;
                        continue;
                    }
                    let _ = say.send(received.message);
                    change.send_modify(|n| *n += 1);
                }
            }
        });
        let dir = tempfile::tempdir().unwrap();
        let mut control =
            Control { child: Some(child), parent, said, world, dir, changes, change, parent_task };
        // Not in the order of their addresses.
        control.configure(1, vec![peer(2, "2001:db8::2"), peer(1, "192.0.2.1"), peer(3, "10.0.0.9")]).await;
        control
    }

    /// Stages and commits a configuration.
    pub(crate) async fn configure(&mut self, generation: u64, peers: Vec<ControlPeer>) {
        self.configure_with(generation, peers, &[], &[]).await;
    }

    /// The same with more that is staged, and with what is said before it is committed.
    pub(crate) async fn configure_with(
        &mut self,
        generation: u64,
        peers: Vec<ControlPeer>,
        staged: &[ParentToControl],
        meanwhile: &[ParentToControl],
    ) {
        let generation = Generation(generation);
        let global = ControlGlobal {
            speaker: Speaker { asn: 64999, router_id: "192.0.2.254".parse().unwrap() },
            listen_port: 1179,
            version: "rustbgpd 1.2.3".into(),
            started: std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() - 5000,
        };
        self.parent.send(&ParentToControl::StageBegin { generation, global }).await.unwrap();
        for peer in peers {
            self.parent.send(&ParentToControl::StagePeers(vec![peer])).await.unwrap();
        }
        for message in staged {
            self.parent.send(message).await.unwrap();
        }
        self.parent.send(&ParentToControl::StageEnd).await.unwrap();
        assert_eq!(soon(self.said.recv()).await, Some(ControlToParent::Staged(generation)));
        for message in meanwhile {
            self.parent.send(message).await.unwrap();
        }
        self.parent.send(&ParentToControl::Commit(generation)).await.unwrap();
        assert_eq!(soon(self.said.recv()).await, Some(ControlToParent::Committed(generation)));
    }

    /// Starts with both engines played and a Unix listener that permits everything.
    pub(crate) async fn start_whole() -> (Control, Channel) {
        let mut control = Control::start().await;
        control.add_session().await;
        control.add_rde().await;
        let path = control.listen_unix("grpc.sock", Access::ReadWrite).await;
        let channel = unix_channel(path).await;
        // The engines are linked by tasks of their own.
        control.until_healthy(&channel).await;
        (control, channel)
    }

    pub(crate) async fn until_healthy(&mut self, channel: &Channel) {
        use grpc::v1::{HealthRequest, control_service_client::ControlServiceClient};
        let mut client = ControlServiceClient::new(channel.clone());
        soon(async {
            while !client.get_health(HealthRequest {}).await.unwrap().into_inner().healthy {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Gives control one end of a link to an engine.
    pub(crate) async fn hand_over(&self, to: Role) -> OwnedFd {
        let (ours, theirs) = pair().unwrap();
        self.parent.send_with_fds(&ParentToControl::Link { to }, &[theirs.as_fd()]).await.unwrap();
        ours
    }

    /// Plays a session engine: one peer up, one disabled, one unknown to it.
    pub(crate) async fn add_session(&mut self) -> tokio::task::JoinHandle<()> {
        let fd = self.hand_over(Role::Session).await;
        tokio::spawn(async move {
            let mut link = Link::<SessionToControl, ControlToSession>::from_fd(fd, Role::Control).unwrap();
            link.greet(Role::Session).await.unwrap();
            while let Ok(received) = link.recv().await {
                let (id, peer) = match received.message {
                    ControlToSession::Peers { id, peer } => (id, peer),
                    ControlToSession::Traffic { id } => {
                        let traffic = vec![traffic(Role::Rde, 1000)];
                        link.send(&SessionToControl::TrafficReply { id, traffic, gone: [1000, 2000] })
                            .await
                            .unwrap();
                        continue;
                    }
                    ControlToSession::Errors { id, peer } => {
                        let errors = if peer == PeerId(1) { vec![error_of_session()] } else { vec![] };
                        link.send(&SessionToControl::ErrorsReply { id, errors }).await.unwrap();
                        continue;
                    }
                };
                let mut down = status(2, FsmState::Idle);
                (down.disabled, down.held) = (true, true);
                let all = [status(1, FsmState::Established), down];
                let wanted: Vec<_> = all.into_iter().filter(|s| peer.is_none_or(|p| p == s.peer)).collect();
                let count = wanted.len();
                for (i, one) in wanted.into_iter().enumerate() {
                    let reply = SessionToControl::PeersReply { id, peers: vec![one], last: i + 1 == count };
                    link.send(&reply).await.unwrap();
                }
                if count == 0 {
                    link.send(&SessionToControl::PeersReply { id, peers: vec![], last: true }).await.unwrap();
                }
            }
        })
    }

    /// A link as rde, greeted and otherwise untouched.
    pub(crate) async fn raw_rde(&mut self) -> Link<RdeToControl, ControlToRde> {
        let fd = self.hand_over(Role::Rde).await;
        let mut link = Link::from_fd(fd, Role::Control).unwrap();
        soon(link.greet(Role::Rde)).await.unwrap();
        link
    }

    /// Plays an rde with the routes of the world.
    pub(crate) async fn add_rde(&mut self) -> tokio::task::JoinHandle<()> {
        let fd = self.hand_over(Role::Rde).await;
        let (world, change) = (Arc::clone(&self.world), self.change.clone());
        tokio::spawn(async move {
            let mut link = Link::<RdeToControl, ControlToRde>::from_fd(fd, Role::Control).unwrap();
            link.greet(Role::Rde).await.unwrap();
            while let Ok(received) = link.recv().await {
                let answers = answer(&mut world.lock().unwrap(), received.message);
                for a in answers {
                    if link.send(&a).await.is_err() {
                        return;
                    }
                }
                change.send_modify(|n| *n += 1);
            }
        })
    }

    pub(crate) async fn listen_unix(&self, name: &str, access: Access) -> PathBuf {
        self.listen_unix_for(name, access, AllowedPeers::default()).await
    }

    /// A Unix socket for some processes.
    pub(crate) async fn listen_unix_for(&self, name: &str, access: Access, allow: AllowedPeers) -> PathBuf {
        let path = self.dir.path().join(name);
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let kind = ListenerKind::GrpcUnix { access, token: false, allow };
        let message = ParentToControl::Listener { kind, address: path.display().to_string() };
        self.parent.send_with_fds(&message, &[listener.as_fd()]).await.unwrap();
        path
    }

    /// A TCP listener, with a token if one is given. The address to connect to.
    pub(crate) async fn listen_tcp(&self, kind: ListenerKind, token: Option<&str>) -> std::net::SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let message = ParentToControl::Listener { kind, address: address.to_string() };
        match token {
            None => self.parent.send_with_fds(&message, &[listener.as_fd()]).await.unwrap(),
            Some(token) => {
                let file = self.dir.path().join("token");
                std::fs::write(&file, token).unwrap();
                let file = File::open(file).unwrap();
                self.parent.send_with_fds(&message, &[listener.as_fd(), file.as_fd()]).await.unwrap();
            }
        }
        address
    }

    /// A TCP listener with TLS, of the tests' own certificate. The port to connect to.
    pub(crate) async fn listen_tls(&self, client_ca: bool) -> u16 {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let kind =
            ListenerKind::GrpcTcp { access: Access::ReadWrite, token: false, tls: Some(Tls { client_ca }) };
        let names = ["server.pem", "server.key", "ca.pem"];
        let files: Vec<File> = names.iter().map(|name| File::open(tls_file(name)).unwrap()).collect();
        let fds: Vec<_> = std::iter::once(listener.as_fd()).chain(files.iter().map(AsFd::as_fd)).collect();
        let message = ParentToControl::Listener { kind: kind.clone(), address: address.to_string() };
        self.parent.send_with_fds(&message, &fds[..kind.fd_count()]).await.unwrap();
        address.port()
    }

    /// Waits until the played processes have seen something.
    pub(crate) async fn until(&mut self, mut seen: impl FnMut(&World) -> bool) {
        let world = Arc::clone(&self.world);
        soon(async {
            while !seen(&world.lock().unwrap()) {
                self.changes.changed().await.unwrap();
            }
        })
        .await;
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Waits for the process to end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        soon(tokio::task::spawn_blocking(move || child.wait().unwrap())).await.unwrap()
    }

    /// Closes the link as a dying parent does. Only this end is closed: the reader must go as well.
    pub(crate) fn abandon(&mut self) {
        self.parent_task.abort();
        let (other, _) = pair().unwrap();
        let link = Link::<ParentToControl, ControlToParent>::from_fd(other, Role::Control).unwrap();
        self.parent = link.split().0;
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn answer(world: &mut World, question: ControlToRde) -> Vec<RdeToControl> {
    if let ControlToRde::Cancel { id } = question {
        world.cancelled.push(id);
        return vec![];
    }
    if let ControlToRde::ListRoutes { table, filter, after, limit, .. } = &question {
        world.questions.push((*table, filter.clone(), *after, *limit));
    }
    if world.silent {
        return vec![];
    }
    match question {
        ControlToRde::ListRoutes { id, filter, after, limit, .. } => page(world, id, &filter, after, limit),
        ControlToRde::Counters { id } => counters(world, id),
        ControlToRde::Explain { id, question, prefix } => explained(id, question, prefix),
        ControlToRde::Errors { id, peer } => {
            let counts = match peer {
                // One is of a kind that this build has not heard of.
                None => [(1, 7), (17, 2), (200, 1)].map(|(kind, count)| fault(0, kind, count)).to_vec(),
                Some(PeerId(1)) => vec![fault(6, 1, 3)],
                Some(_) => vec![],
            };
            let errors = if peer == Some(PeerId(1)) { errors_of_rde() } else { vec![] };
            vec![RdeToControl::ErrorsReply { id, counts, errors }]
        }
        ControlToRde::Inject { id, owner, items } => {
            let count = items.len() as u32;
            for item in items {
                match item {
                    Injection::Route(route) => world.injected.push(route),
                    Injection::Withdraw { prefix, path_id } => {
                        world.injected.retain(|r| (r.prefix, r.path_id) != (prefix, path_id));
                    }
                }
            }
            world.inject_messages += 1;
            world.owners.push(owner);
            vec![RdeToControl::Injected { id, count }]
        }
        ControlToRde::Owners { id } => {
            let owner = OwnerView { name: "announcer-1".into(), routes: 7, lease: 30, left: 12 };
            vec![RdeToControl::OwnersReply { id, owners: vec![owner] }]
        }
        ControlToRde::Renew { id, owner } => {
            let count = u32::from(owner.name == "announcer-1");
            world.renewed.push(owner);
            vec![RdeToControl::Injected { id, count }]
        }
        ControlToRde::DeleteOwner { id, name } => {
            vec![RdeToControl::OwnerGone { id, routes: (name == "announcer-1").then_some(7) }]
        }
        ControlToRde::Withdraw { id, prefix, path_id } => {
            let before = world.injected.len();
            world.injected.retain(|r| (r.prefix, r.path_id) != (prefix, path_id));
            vec![RdeToControl::Injected { id, count: (before - world.injected.len()) as u32 }]
        }
        ControlToRde::SoftReset { id, peer, families, ask } => {
            world.resets.push((peer, families, ask));
            vec![RdeToControl::SoftReset { id, result: world.refuse_resets.map_or(Ok(()), Err) }]
        }
        ControlToRde::Traffic { id } => {
            vec![RdeToControl::TrafficReply { id, traffic: vec![traffic(Role::Session, 2000)] }]
        }
        ControlToRde::Watch { id, whole } => vec![RdeToControl::Watching { id, whole, sequence: 1000 }],
        ControlToRde::Snapshot { .. } | ControlToRde::More { .. } => vec![],
        ControlToRde::Cancel { .. } => unreachable!(),
    }
}

fn key(r: &RouteView) -> (IpNet, Option<PeerId>, u32) {
    (r.prefix, r.peer, r.path_id)
}

impl World {
    pub(crate) fn add(&mut self, route: RouteView) {
        self.routes.insert(key(&route), route);
    }
}

fn page(
    world: &World,
    id: QueryId,
    filter: &RouteFilter,
    after: Option<Cursor>,
    limit: u32,
) -> Vec<RdeToControl> {
    let wanted = |r: &&RouteView| match filter.prefix {
        Some(p) if filter.longer => p.contains(&r.prefix),
        Some(p) => p == r.prefix,
        None => true,
    };
    let all: Vec<&RouteView> = world.routes.values().filter(wanted).collect();
    let total = all.len() as u64;
    let rest: Vec<&RouteView> =
        all.into_iter().filter(|r| after.is_none_or(|c| key(r) > (c.prefix, c.peer, c.path_id))).collect();
    let now: Vec<RouteView> = rest.iter().take(limit as usize).map(|r| (*r).clone()).collect();
    let next = (now.len() < rest.len()).then(|| now.last()).flatten().map(|r| Cursor {
        family: if r.prefix.addr().is_ipv4() { Family::Ipv4Unicast } else { Family::Ipv6Unicast },
        prefix: r.prefix,
        peer: r.peer,
        path_id: r.path_id,
    });
    let mut answers: Vec<RdeToControl> =
        now.chunks(50).map(|c| RdeToControl::Routes { id, routes: c.to_vec(), end: None }).collect();
    answers.push(RdeToControl::Routes { id, routes: vec![], end: Some(PageEnd { next, total }) });
    answers
}

fn traffic(with: Role, octets: u64) -> Traffic {
    let amount = |octets| Amount { messages: 10, octets };
    Traffic { with, sent: amount(octets), received: amount(octets + 1) }
}

fn processes() -> Vec<Process> {
    let usage = Some(Usage { cpu_ms: 1250, resident: 4096, threads: 5 });
    let sandbox = Sandbox::default().with(Protection::Seccomp, true);
    let process = |role, usage| Process {
        role,
        pid: 7,
        started: 1000,
        restarts: 2,
        usage,
        queued: 3,
        sandbox: usage.map(|_| sandbox),
    };
    vec![process(Role::Parent, usage), process(Role::Rde, usage), process(Role::Session, None)]
}

fn fault(attribute: u8, kind: u8, count: u64) -> FaultCount {
    FaultCount { attribute, kind, verdict: Verdict::Discard, count }
}

/// Between the two of rde.
fn error_of_session() -> PeerError {
    let what = Wrong::Notification { code: 3, subcode: 1, text: "malformed".into() };
    PeerError { at: 2000, what, octets: vec![], len: 0 }
}

fn errors_of_rde() -> Vec<PeerError> {
    let update = |attribute, kind, verdict| Wrong::Update { attribute, kind, verdict, text: "wrong".into() };
    vec![
        PeerError { at: 1000, what: update(6, 1, Verdict::Discard), octets: vec![0x40, 6, 1, 7], len: 4 },
        PeerError {
            at: 3000,
            what: update(200, 4, Verdict::TreatAsWithdraw),
            octets: vec![9; 256],
            len: 300,
        },
    ]
}

/// Two paths: one that is used, and one that a policy does not take.
fn explained(id: QueryId, question: Question, prefix: IpNet) -> Vec<RdeToControl> {
    let matched = |held| ExplainedMatch { written: "match_med_ge = 5".into(), found: "7".into(), held };
    let statement = |held: bool| ExplainedStatement {
        number: 1,
        name: "high".into(),
        line: 12,
        permits: !held,
        held,
        matches: vec![matched(held)],
        changes: vec![],
    };
    let path = |peer, chosen: bool, code: &str| ExplainedPath {
        route: RouteView { denied: !chosen, ..route(&prefix.to_string(), Some(peer)) },
        route_type: "external".into(),
        chosen,
        code: code.into(),
        message: format!("because of {code}"),
        ordering: if chosen { "equal" } else { "worse" }.into(),
        policies: vec![ExplainedPolicy {
            name: "p".into(),
            permits: chosen,
            statements: vec![statement(!chosen)],
        }],
        made: chosen.then(|| RouteView { local_pref: Some(250), ..route(&prefix.to_string(), Some(peer)) }),
        changes: PolicyChanges { local_pref: chosen.then_some(250), ..PolicyChanges::default() },
    };
    let (yes, no) = match question {
        Question::BestPath => ("best", "shorter_as_path"),
        Question::Received(_) => ("best", "import_policy_denied"),
        Question::Advertised(_) => ("policy_permitted", "not_best"),
    };
    let part = |paths, last| RdeToControl::Explained { id, paths, last };
    // Nothing is known of others.
    if prefix.prefix_len() != 24 {
        return vec![part(vec![], true)];
    }
    vec![part(vec![path(1, true, yes)], false), part(vec![path(2, false, no)], true)]
}

fn counters(world: &World, id: QueryId) -> Vec<RdeToControl> {
    let tables = TableCounters {
        loc_rib: [world.routes.len() as u64, 7, 0, 0],
        adj_rib_in: [100, 50, 0, 0],
        adj_rib_out: [90, 40, 0, 0],
        attribute_sets: 33,
        restarts_expired: 14,
    };
    let peer = |n: u16| PeerCounters {
        peer: PeerId(n),
        received: [10 * u64::from(n), 1, 0, 0],
        advertised: [5 * u64::from(n), 2, 0, 0],
        as_loops: 4,
        reflection_loops: 3,
        treated_as_withdraw: 5,
        attributes_discarded: 6,
        paths_refused: 9,
        route_leaks: 7,
        draining: n == 1,
        stale: [3, 1, 0, 0],
        restart: (n == 2).then_some(Restart {
            back: false,
            seconds_left: 60,
            families: FamilySet::EMPTY.with(Family::Ipv6Unicast),
            long_lived: FamilySet::EMPTY.with(Family::Ipv6Unicast),
        }),
        restarts_expired: 7,
        prefix_limit_exceeded: 8,
    };
    vec![
        RdeToControl::CountersReply { id, tables, peers: vec![peer(1)], last: false },
        RdeToControl::CountersReply { id, tables, peers: vec![peer(2)], last: true },
    ]
}

/// Does not wait for ever.
pub(crate) async fn soon<T>(f: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, f).await.expect("in time")
}

pub(crate) async fn unix_channel(path: PathBuf) -> Channel {
    Endpoint::from_static("http://localhost")
        .connect_with_connector(tower::service_fn(move |_| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        }))
        .await
        .unwrap()
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}
