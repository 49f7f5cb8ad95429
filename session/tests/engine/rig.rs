//! A session engine with the test as its parent, its rde and its control, and scripted peers over TCP.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bgp::capability::Capability;
use bgp::header::{self, HEADER_LEN, MessageType};
use bgp::open::Open;
use bgp::{Family, FamilySet, Notification, RouterId};
use ipc::channel::{Receiver, Sender, pair};
use ipc::config::{PrefixLimits, SessionPeer, Speaker};
use ipc::control_session::{ControlToSession, PeerStatus, SessionToControl};
use ipc::errors::PeerError;
use ipc::parent_session::{ParentToSession, SessionToParent};
use ipc::session_rde::{
    Negotiated, RdeToSession, RdeToSessionBulk, Run, SessionToRde, SessionToRdeBulk, Source, Target,
};
use ipc::{Attempt, Generation, Link, PeerId, QueryId, Role};
use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// Longer than anything here takes.
pub(crate) const SOON: Duration = Duration::from_secs(10);

pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(SOON, what).await.expect("nothing came in time")
}

pub(crate) struct Rig {
    pub(crate) parent_tx: Sender<ParentToSession>,
    parent_rx: Receiver<SessionToParent>,
    /// What came for the parent while something else was waited for.
    early: VecDeque<SessionToParent>,
    pub(crate) bulk_tx: Sender<RdeToSessionBulk>,
    bulk_rx: Receiver<SessionToRdeBulk>,
    pub(crate) control: Link<RdeToSession, SessionToRde>,
    queries: Link<ControlToSession, SessionToControl>,
    pub(crate) listener: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
    child: Child,
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn peer(n: u8) -> SessionPeer {
    SessionPeer {
        id: PeerId(n.into()),
        address: address(n),
        remote_asn: 65000 + u32::from(n),
        only: None,
        dynamic: false,
        local_asn: 64512,
        hold_time: 90,
        keepalive: None,
        send_hold_time: None,
        families: FamilySet::EMPTY.with(Family::Ipv4Unicast),
        role: None,
        passive: true,
        connect_retry: 5,
        min_ttl: None,
        shutdown: false,
        add_path_receive: false,
        add_path_send: false,
        restart_time: None,
        llgr_stale_time: 0,
        restarted: None,
        log_level: None,
        revision: 0,
        prefix_limits: PrefixLimits::default(),
    }
}

fn address(n: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 1, n).into()
}

impl Rig {
    /// A running engine with these peers and a listener.
    pub(crate) async fn start(peers: Vec<SessionPeer>) -> Rig {
        let (ours, theirs) = pair().unwrap();
        let (mut child, log) = spawn(theirs);
        let mut parent = Link::<_, SessionToParent>::from_fd(ours, Role::Session).unwrap();
        if soon(parent.greet(Role::Parent)).await.is_err() {
            let _ = child.kill();
            panic!("no hello; log: {:?}", log.lock().unwrap());
        }
        let (bulk, bulk_fd) = pair().unwrap();
        let (control, control_fd) = pair().unwrap();
        let (queries, queries_fd) = pair().unwrap();
        let mut bulk = Link::<_, SessionToRdeBulk>::from_fd(bulk, Role::Session).unwrap();
        let mut control = Link::from_fd(control, Role::Session).unwrap();
        let mut queries = Link::from_fd(queries, Role::Session).unwrap();
        let (tx, rx): (Sender<ParentToSession>, _) = parent.split();
        let fds = [bulk_fd.as_fd(), control_fd.as_fd()];
        tx.send_with_fds(&ParentToSession::Link { to: Role::Rde }, &fds).await.unwrap();
        let fds = [queries_fd.as_fd()];
        tx.send_with_fds(&ParentToSession::Link { to: Role::Control }, &fds).await.unwrap();
        soon(bulk.greet(Role::Rde)).await.unwrap();
        soon(control.greet(Role::Rde)).await.unwrap();
        soon(queries.greet(Role::Control)).await.unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let listener = OwnedFd::from(listener);
        ipc::sockopt::save_syns(&listener).unwrap();
        tx.send_with_fds(&ParentToSession::Listener { address }, &[listener.as_fd()]).await.unwrap();
        let (bulk_tx, bulk_rx) = bulk.split();
        let (parent_tx, parent_rx) = (tx, rx);
        let mut rig = Rig {
            parent_tx,
            parent_rx,
            early: VecDeque::new(),
            bulk_tx,
            bulk_rx,
            control,
            queries,
            listener: address,
            log,
            child,
        };
        rig.configure(1, peers).await;
        rig
    }

    /// Another rde takes the place of the one before.
    pub(crate) async fn restart_rde(&mut self) {
        let (bulk, bulk_fd) = pair().unwrap();
        let (control, control_fd) = pair().unwrap();
        let mut bulk = Link::<_, SessionToRdeBulk>::from_fd(bulk, Role::Session).unwrap();
        self.control = Link::from_fd(control, Role::Session).unwrap();
        let fds = [bulk_fd.as_fd(), control_fd.as_fd()];
        self.parent_tx.send_with_fds(&ParentToSession::Link { to: Role::Rde }, &fds).await.unwrap();
        soon(bulk.greet(Role::Rde)).await.unwrap();
        soon(self.control.greet(Role::Rde)).await.unwrap();
        (self.bulk_tx, self.bulk_rx) = bulk.split();
    }

    pub(crate) async fn tell(&self, message: ParentToSession) {
        self.parent_tx.send(&message).await.unwrap();
    }

    pub(crate) async fn configure(&mut self, generation: u64, peers: Vec<SessionPeer>) {
        self.configure_with(generation, peers, Vec::new()).await;
    }

    /// The same with more that is staged.
    pub(crate) async fn configure_with(
        &mut self,
        generation: u64,
        peers: Vec<SessionPeer>,
        more: Vec<ParentToSession>,
    ) {
        let generation = Generation(generation);
        let speaker = Speaker { asn: 64512, router_id: Ipv4Addr::new(192, 0, 2, 1) };
        self.tell(ParentToSession::StageBegin { generation, speaker }).await;
        self.tell(ParentToSession::StagePeers(peers)).await;
        for message in more {
            self.tell(message).await;
        }
        self.tell(ParentToSession::StageEnd).await;
        assert_eq!(self.next_request().await, SessionToParent::Staged(generation));
        self.tell(ParentToSession::Commit(generation)).await;
        loop {
            match soon(self.parent_rx.recv()).await.unwrap().message {
                SessionToParent::Committed(g) => return assert_eq!(g, generation),
                early => self.early.push_back(early),
            }
        }
    }

    /// The peer and the attempt of the next request for a connection.
    pub(crate) async fn want_connect(&mut self) -> (PeerId, Attempt) {
        match self.next_request().await {
            SessionToParent::WantConnect { peer, attempt } => (peer, attempt),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn next_request(&mut self) -> SessionToParent {
        match self.early.pop_front() {
            Some(message) => message,
            None => soon(self.parent_rx.recv()).await.unwrap().message,
        }
    }

    /// The next message for rde with its payload.
    pub(crate) async fn for_rde(&mut self) -> (SessionToRdeBulk, Vec<u8>) {
        let received = soon(self.bulk_rx.recv()).await.unwrap();
        (received.message, received.payload.to_vec())
    }

    pub(crate) async fn up(&mut self) -> (Source, Negotiated) {
        loop {
            match self.for_rde().await.0 {
                SessionToRdeBulk::PeerUp { source, negotiated } => return (source, negotiated),
                // What was kept of an earlier session goes.
                SessionToRdeBulk::Forget(_) => {}
                other => panic!("no PeerUp: {other:?}"),
            }
        }
    }

    pub(crate) async fn down(&mut self) -> Source {
        loop {
            if let SessionToRdeBulk::PeerDown { source, .. } = self.for_rde().await.0 {
                return source;
            }
        }
    }

    /// So many octets of one peer's messages, in order.
    pub(crate) async fn received(&mut self, from: Source, octets: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < octets {
            match self.for_rde().await {
                (SessionToRdeBulk::Received(runs), payload) => {
                    assert!(runs.iter().all(|r| r.of == from), "{runs:?}");
                    all.extend_from_slice(&payload);
                }
                other => panic!("{other:?}"),
            }
        }
        all
    }

    pub(crate) async fn send(&self, to: &[(Target, &[u8])]) {
        let run = |(of, bytes): &(Target, &[u8])| Run { of: *of, len: u32::try_from(bytes.len()).unwrap() };
        let message = RdeToSessionBulk::Send(to.iter().map(run).collect());
        let payload: Vec<&[u8]> = to.iter().map(|(_, bytes)| *bytes).collect();
        let sent = self.bulk_tx.send_with_payload(&message, &payload);
        soon(sent).await.unwrap();
    }

    pub(crate) async fn written(&mut self, of: Source, octets: u64) {
        let mut sum = 0;
        while sum < octets {
            let SessionToRde::Written(list) = soon(self.control.recv()).await.unwrap().message;
            sum += list.iter().filter(|(s, _)| *s == of).map(|(_, n)| n).sum::<u64>();
        }
        assert_eq!(sum, octets);
    }

    pub(crate) async fn status(&mut self, peer: PeerId) -> PeerStatus {
        self.queries.send(&ControlToSession::Peers { id: QueryId(5), peer: Some(peer) }).await.unwrap();
        let answer = soon(self.queries.recv()).await.unwrap().message;
        let SessionToControl::PeersReply { id, mut peers, last } = answer else { panic!("{answer:?}") };
        assert_eq!((id, peers.len(), last), (QueryId(5), 1, true));
        peers.remove(0)
    }

    pub(crate) async fn errors(&mut self, peer: PeerId) -> Vec<PeerError> {
        self.queries.send(&ControlToSession::Errors { id: QueryId(6), peer }).await.unwrap();
        match soon(self.queries.recv()).await.unwrap().message {
            SessionToControl::ErrorsReply { id: QueryId(6), errors } => errors,
            other => panic!("{other:?}"),
        }
    }

    /// Asks until the peer's status is as wanted.
    pub(crate) async fn until_status(
        &mut self,
        peer: PeerId,
        wanted: impl Fn(&PeerStatus) -> bool,
    ) -> PeerStatus {
        let deadline = Instant::now() + SOON;
        loop {
            let status = self.status(peer).await;
            if wanted(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "{status:?}");
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

    pub(crate) async fn exited(&mut self) -> bool {
        let deadline = Instant::now() + SOON;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            assert!(Instant::now() < deadline, "does not exit");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// A TCP connection from the address of peer `n`.
    pub(crate) async fn dial(&self, n: u8) -> Speaks {
        self.dial_with_ttl(n, 64).await
    }

    /// The same with this TTL from the first packet on.
    pub(crate) async fn dial_with_ttl(&self, n: u8, ttl: i32) -> Speaks {
        self.dial_as(address(n), ttl).await
    }

    /// A TCP connection from this address.
    pub(crate) async fn dial_from(&self, address: Ipv4Addr) -> Speaks {
        self.dial_as(address.into(), 64).await
    }

    /// The parent has been asked nothing, up to the answer to a question to the engine.
    pub(crate) async fn nothing_asked(&mut self) {
        self.queries.send(&ControlToSession::Traffic { id: QueryId(7) }).await.unwrap();
        soon(self.queries.recv()).await.unwrap();
        let more = timeout(Duration::from_millis(50), self.parent_rx.recv()).await;
        assert!(
            self.early.is_empty() && more.is_err(),
            "{:?} {:?}",
            self.early,
            more.map(|m| m.map(|m| m.message))
        );
    }

    async fn dial_as(&self, address: IpAddr, ttl: i32) -> Speaks {
        let socket = TcpSocket::new_v4().unwrap();
        setsockopt(&socket, sockopt::Ipv4Ttl, &ttl).unwrap();
        socket.bind(SocketAddr::new(address, 0)).unwrap();
        Speaks { stream: soon(socket.connect(self.listener)).await.unwrap() }
    }

    /// The same with a session on it, with this hold time.
    pub(crate) async fn session(&mut self, n: u8, hold_time: u16) -> (Speaks, Source) {
        let mut peer = self.dial(n).await;
        peer.establish(n, hold_time).await;
        let (source, _) = self.up().await;
        (peer, source)
    }
}

fn spawn(parent_end: OwnedFd) -> (Child, Arc<Mutex<Vec<String>>>) {
    // The shell moves the channel to where the start contract wants it, and becomes the engine.
    let mut child = Command::new("/bin/sh")
        .args(["-c", "exec \"$0\" 3<&0 </dev/null", env!("CARGO_BIN_EXE_rustbgpd-session")])
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

/// The far end of a session, scripted.
pub(crate) struct Speaks {
    pub(crate) stream: TcpStream,
}

pub(crate) fn open_of(n: u8, hold_time: u16) -> Open {
    let asn = 65000 + u32::from(n);
    Open {
        version: 4,
        my_as: u16::try_from(asn).unwrap(),
        hold_time,
        router_id: RouterId(Ipv4Addr::new(192, 0, 2, 100 + n)),
        capabilities: vec![
            Capability::multi_protocol(Family::Ipv4Unicast),
            Capability::FourOctetAs(asn),
            Capability::RouteRefresh,
        ],
    }
}

/// A message of this type.
pub(crate) fn message(kind: MessageType, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let start = header::write(&mut out, kind);
    out.extend_from_slice(body);
    header::finish(&mut out, start);
    out
}

/// An UPDATE-shaped message of `len` octets, filled with `fill`: session never looks inside.
pub(crate) fn update(len: usize, fill: u8) -> Vec<u8> {
    message(MessageType::Update, &vec![fill; len - HEADER_LEN])
}

impl Speaks {
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        soon(self.stream.write_all(bytes)).await.unwrap();
    }

    /// The next whole message: its type and all of its octets; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<(MessageType, Vec<u8>)> {
        soon(self.read()).await
    }

    pub(crate) async fn read(&mut self) -> Option<(MessageType, Vec<u8>)> {
        let mut all = vec![0; HEADER_LEN];
        self.stream.read_exact(&mut all).await.ok()?;
        let header = header::parse(all.first_chunk().unwrap(), bgp::MAX_EXTENDED_MESSAGE).unwrap();
        all.resize(header.len.into(), 0);
        self.stream.read_exact(&mut all[HEADER_LEN..]).await.unwrap();
        Some((header.kind, all))
    }

    /// The next message that is no KEEPALIVE.
    pub(crate) async fn next_but_keepalives(&mut self) -> Option<(MessageType, Vec<u8>)> {
        loop {
            match self.next().await {
                Some((MessageType::Keepalive, _)) => {}
                other => return other,
            }
        }
    }

    /// The NOTIFICATION with which the connection ends: nothing follows it.
    pub(crate) async fn notified(&mut self) -> Notification {
        let (kind, bytes) = self.next_but_keepalives().await.expect("closed without NOTIFICATION");
        assert_eq!(kind, MessageType::Notification, "{bytes:?}");
        assert_eq!(self.next().await, None);
        Notification::decode(&bytes[HEADER_LEN..]).unwrap()
    }

    pub(crate) async fn expect_open(&mut self) -> Open {
        let (kind, bytes) = self.next().await.expect("closed instead of OPEN");
        assert_eq!(kind, MessageType::Open, "{bytes:?}");
        Open::decode(&bytes[HEADER_LEN..]).unwrap()
    }

    pub(crate) async fn establish(&mut self, n: u8, hold_time: u16) {
        self.expect_open().await;
        self.write(&open_of(n, hold_time).encode()).await;
        assert_eq!(self.next().await.unwrap().0, MessageType::Keepalive);
        self.write(&header::KEEPALIVE).await;
    }
}
