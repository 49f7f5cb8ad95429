//! Every receiving side of every pair of processes is sent what it must not be sent: it survives, says who
//! misbehaved and how, keeps no fd, and can go on to receive.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fmt::Debug;
use std::io::{IoSlice, PipeReader, Read};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use ipc::channel::{self, MAX_DATAGRAM, MAX_FDS, Misbehaviour};
use ipc::config::{Access, AllowedPeers, ListenerKind};
use ipc::control_rde::{ControlToRde, RdeToControl};
use ipc::control_session::{ControlToSession, SessionToControl};
use ipc::hello::{BUILD, PROTOCOL};
use ipc::parent_control::{ControlToParent, Intent, ParentToControl};
use ipc::parent_rde::{ParentToRde, RdeToParent};
use ipc::parent_session::{ParentToSession, SessionToParent};
use ipc::session_rde::{RdeToSession, RdeToSessionBulk, Run, SessionToRde, SessionToRdeBulk, Source, Target};
use ipc::{Attempt, Epoch, Generation, GroupId, Hello, Link, LinkError, Message, PeerId, QueryId, Role};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use proptest::prelude::*;

/// Sends one datagram as it is.
fn send_raw(to: &OwnedFd, octets: &[u8], fds: &[RawFd]) {
    let rights = [ControlMessage::ScmRights(fds)];
    let control: &[ControlMessage<'_>] = if fds.is_empty() { &[] } else { &rights };
    let sent = sendmsg::<()>(to.as_raw_fd(), &[IoSlice::new(octets)], control, MsgFlags::empty(), None);
    assert_eq!(sent, Ok(octets.len()));
}

/// A receiver of `M`, and the raw end of the one who misbehaves.
struct Bench<M> {
    link: Link<Hello, M>,
    raw: OwnedFd,
    by: Role,
}

impl<M: Message + Debug + PartialEq> Bench<M> {
    fn new(by: Role) -> Bench<M> {
        let (ours, raw) = channel::pair().unwrap();
        Bench { link: Link::from_fd(ours, by).unwrap(), raw, by }
    }

    /// What `octets` with `fds` are received as; the copies that the receiver got must be gone.
    async fn fault(&mut self, octets: &[u8], fds: usize) -> LinkError {
        let (reader, writer) = std::io::pipe().unwrap();
        send_raw(&self.raw, octets, &vec![writer.as_raw_fd(); fds]);
        drop(writer);
        let error = self.link.recv().await.unwrap_err();
        assert_closed(reader);
        error
    }

    async fn misbehaviour(&mut self, octets: &[u8], fds: usize) -> Misbehaviour {
        match self.fault(octets, fds).await {
            LinkError::Misbehaved { by, what } => {
                assert_eq!(by, self.by);
                let text = LinkError::Misbehaved { by, what: what.clone() }.to_string();
                assert!(text.starts_with(&format!("{} misbehaved: ", by.name())), "{text}");
                what
            }
            other => panic!("{other:?}"),
        }
    }

    async fn still_receives(&mut self, octets: &[u8], message: &M, fds: usize) {
        let (_reader, writer) = std::io::pipe().unwrap();
        send_raw(&self.raw, octets, &vec![writer.as_raw_fd(); fds]);
        let received = self.link.recv().await.unwrap();
        assert_eq!((&received.message, received.fds.len()), (message, fds));
        assert_eq!(received.payload.len(), message.payload_len());
    }
}

/// Nobody holds the writing end of a pipe any more.
fn assert_closed(mut reader: PipeReader) {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    assert_eq!(reader.read(&mut [0]).unwrap(), 0, "an fd that was refused is still open");
}

/// Feeds everything that is wrong to a receiver of `M`, between good messages.
async fn feed<M: Message + Debug + PartialEq>(by: Role, good: M) {
    let mut bench = Bench::<M>::new(by);
    let (fds, payload) = (good.fd_count(), good.payload_len());
    let mut octets = postcard::to_stdvec(&good).unwrap();
    let header = octets.len();
    octets.resize(header + payload, 0xa5);
    bench.still_receives(&octets, &good, fds).await;

    // Garbage: no enum has so many variants.
    let garbage = bench.misbehaviour(&[0xff; 64], 0).await;
    assert!(matches!(garbage, Misbehaviour::Undecodable { len: 64, .. }), "{garbage:?}");

    // Truncated, at every octet of the header.
    for len in 1..header {
        let error = bench.misbehaviour(&octets[..len], 0).await;
        assert!(
            matches!(
                error,
                Misbehaviour::Undecodable { .. } | Misbehaviour::Fds { .. } | Misbehaviour::Payload { .. }
            ),
            "{len}: {error:?}"
        );
    }

    // Leftover octets, and a payload that is cut short.
    let longer: Vec<u8> = octets.iter().copied().chain([0]).collect();
    let expected = Misbehaviour::Payload { announced: payload, found: payload + 1 };
    assert_eq!(bench.misbehaviour(&longer, fds).await, expected);
    if payload > 0 {
        let expected = Misbehaviour::Payload { announced: payload, found: payload - 1 };
        assert_eq!(bench.misbehaviour(&octets[..octets.len() - 1], fds).await, expected);
    }

    // One fd more, one fewer, and more than fit.
    let expected = Misbehaviour::Fds { announced: fds, found: fds + 1 };
    assert_eq!(bench.misbehaviour(&octets, fds + 1).await, expected);
    if fds > 0 {
        let expected = Misbehaviour::Fds { announced: fds, found: fds - 1 };
        assert_eq!(bench.misbehaviour(&octets, fds - 1).await, expected);
    }
    for many in [MAX_FDS + 1, 28, 29, 253] {
        assert_eq!(bench.misbehaviour(&octets, many).await, Misbehaviour::TooManyFds, "{many} fds");
    }

    // Larger than any message may be, also where it would decode otherwise.
    octets.resize(MAX_DATAGRAM + 1, 0);
    assert_eq!(bench.misbehaviour(&octets, 0).await, Misbehaviour::Oversized);
    octets.truncate(header + payload);

    bench.still_receives(&octets, &good, fds).await;

    // An empty datagram can't be told from the end, which is what it is taken for.
    assert!(matches!(bench.fault(&[], 0).await, LinkError::Closed { with } if with == by));
    drop(bench.raw);
    assert!(matches!(bench.link.recv().await, Err(LinkError::Closed { with }) if with == by));
}

fn source() -> Source {
    Source { peer: PeerId(7), epoch: Epoch(3) }
}

#[tokio::test]
async fn parent_and_session() {
    let listener = ParentToSession::Listener { address: "192.0.2.1:179".parse().unwrap() };
    feed(Role::Parent, listener).await;
    feed(Role::Parent, ParentToSession::Link { to: Role::Rde }).await;
    feed(Role::Parent, ParentToSession::Shutdown { reason: "maintenance".to_owned() }).await;
    feed(Role::Session, SessionToParent::WantConnect { peer: PeerId(300), attempt: Attempt(300) }).await;
}

#[tokio::test]
async fn parent_and_rde() {
    feed(Role::Parent, ParentToRde::Link { to: Role::Session }).await;
    feed(Role::Parent, ParentToRde::Commit(Generation(1 << 40))).await;
    let refused = RdeToParent::StageRefused { generation: Generation(1), error: "no".to_owned() };
    feed(Role::Rde, refused).await;
}

#[tokio::test]
async fn parent_and_control() {
    let kind =
        ListenerKind::GrpcUnix { access: Access::ReadOnly, token: true, allow: AllowedPeers::default() };
    feed(Role::Parent, ParentToControl::Listener { kind, address: "/run/grpc.sock".to_owned() }).await;
    feed(Role::Parent, ParentToControl::Link { to: Role::Rde }).await;
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let intent = Intent::DisableNeighbor { address, reason: "maintenance".to_owned() };
    feed(Role::Control, ControlToParent::Intent { id: QueryId(1), intent }).await;
}

#[tokio::test]
async fn session_and_rde() {
    let runs = vec![Run { of: source(), len: 100 }, Run { of: source(), len: 23 }];
    feed(Role::Session, SessionToRdeBulk::Received(runs)).await;
    feed(Role::Session, SessionToRde::Written(vec![(source(), 1 << 40)])).await;
    let runs = vec![Run { of: Target::GroupExcept(GroupId(5), PeerId(7)), len: 4096 }];
    feed(Role::Rde, RdeToSessionBulk::Send(runs)).await;
    let (code, subcode) = (3, 1);
    let reason = "malformed AS_PATH".to_owned();
    let notify = RdeToSession::Notify { source: source(), code, subcode, data: vec![1, 2, 3], reason };
    feed(Role::Rde, notify).await;
}

#[tokio::test]
async fn control_and_the_engines() {
    feed(Role::Control, ControlToSession::Peers { id: QueryId(9), peer: Some(PeerId(1)) }).await;
    feed(Role::Session, SessionToControl::PeersReply { id: QueryId(9), peers: Vec::new(), last: true }).await;
    let prefix = "2001:db8::/32".parse().unwrap();
    feed(Role::Control, ControlToRde::Withdraw { id: QueryId(9), prefix, path_id: 4 }).await;
    feed(Role::Rde, RdeToControl::Failed { id: QueryId(9), error: "no such table".to_owned() }).await;
}

/// What `greet` says about this first message of a process that should be rde.
async fn greeted_with(octets: &[u8]) -> Result<(), String> {
    let (ours, raw) = channel::pair().unwrap();
    let mut link = Link::<ParentToRde, RdeToParent>::from_fd(ours, Role::Rde).unwrap();
    send_raw(&raw, octets, &[]);
    link.greet(Role::Parent).await.map_err(|e| e.to_string())
}

#[tokio::test]
async fn a_wrong_hello_is_told_from_a_right_one() {
    let hello = |protocol, build: &str, role| {
        postcard::to_stdvec(&Hello { protocol, build: build.to_owned(), role }).unwrap()
    };
    assert_eq!(greeted_with(&hello(PROTOCOL, BUILD, Role::Rde)).await, Ok(()));
    for wrong in [
        hello(PROTOCOL + 1, BUILD, Role::Rde),
        hello(PROTOCOL, "0.0.0-other", Role::Rde),
        hello(PROTOCOL, &"\u{1b}[31m".repeat(1000), Role::Rde),
        hello(PROTOCOL, BUILD, Role::Session),
        hello(PROTOCOL, BUILD, Role::Parent),
        postcard::to_stdvec(&RdeToParent::Committed(Generation(1))).unwrap(),
        vec![0; 3000],
    ] {
        let error = greeted_with(&wrong).await.unwrap_err();
        assert!(error.starts_with("rde misbehaved: "), "{error}");
        assert!(error.len() < 1000 && !error.contains('\u{1b}'), "fit for a log: {error:?}");
    }
}

#[tokio::test]
async fn a_link_that_ends_before_hello_is_closed() {
    let (ours, raw) = channel::pair().unwrap();
    let mut link = Link::<ParentToRde, RdeToParent>::from_fd(ours, Role::Rde).unwrap();
    drop(raw);
    let error = link.greet(Role::Parent).await.unwrap_err();
    assert!(matches!(error, LinkError::Closed { with: Role::Rde }), "{error:?}");
}

/// A burst within one turn of a task goes through as long as there is room, however much the task has done.
#[tokio::test]
async fn bursts_are_not_cut_short() {
    const BURST: u64 = 200;
    let (near, far) = channel::pair().unwrap();
    let (tx, _near) = Link::<RdeToParent, ParentToRde>::from_fd(near, Role::Parent).unwrap().split();
    let (_far, mut rx) = Link::<ParentToRde, RdeToParent>::from_fd(far, Role::Rde).unwrap().split();
    tx.writable().await.unwrap();
    for n in 0..BURST {
        assert!(tx.try_send(&RdeToParent::Committed(Generation(n)), &[]).unwrap(), "message {n}");
    }
    assert_eq!(rx.recv().await.unwrap().message, RdeToParent::Committed(Generation(0)));
    for n in 1..BURST {
        let received = rx.try_recv().unwrap().unwrap_or_else(|| panic!("message {n}"));
        assert_eq!(received.message, RdeToParent::Committed(Generation(n)));
    }
    assert!(rx.try_recv().unwrap().is_none());
}

/// A batch never outgrows a datagram, and nothing is lost or reordered.
#[test]
fn batches_fit() {
    let items: Vec<String> = (0..5000).map(|n| "x".repeat(n % 700)).collect();
    let batches = channel::batches(Role::Session, items.clone()).unwrap();
    assert!(batches.len() > 1);
    assert!(batches.iter().all(|b| postcard::to_stdvec(b).unwrap().len() <= MAX_DATAGRAM / 2 + 16));
    assert_eq!(batches.concat(), items);
    assert!(channel::batches(Role::Session, Vec::<String>::new()).unwrap().is_empty());
    let huge = ["y".repeat(MAX_DATAGRAM)];
    assert!(matches!(channel::batches(Role::Session, huge), Err(LinkError::TooLarge { .. })));
}

fn decodes<M: Message>(octets: &[u8]) {
    // Whatever comes out, it must come out.
    if let Ok((message, _)) = postcard::take_from_bytes::<M>(octets) {
        let again = postcard::to_stdvec(&message).map(|o| o.len());
        assert!(again.is_ok_and(|len| len <= octets.len()), "a message that grows by decoding");
        let _ = (message.payload_len(), message.fd_count());
    }
}

proptest! {
    /// The first octets choose the variant, so that every one is reached.
    #[test]
    fn no_octets_harm_a_receiver(variant in 0u8..12, rest in proptest::collection::vec(any::<u8>(), 0..200)) {
        let octets: Vec<u8> = std::iter::once(variant).chain(rest).collect();
        decodes::<Hello>(&octets);
        decodes::<ParentToSession>(&octets);
        decodes::<SessionToParent>(&octets);
        decodes::<ParentToRde>(&octets);
        decodes::<RdeToParent>(&octets);
        decodes::<ParentToControl>(&octets);
        decodes::<ControlToParent>(&octets);
        decodes::<SessionToRdeBulk>(&octets);
        decodes::<RdeToSessionBulk>(&octets);
        decodes::<SessionToRde>(&octets);
        decodes::<RdeToSession>(&octets);
        decodes::<ControlToSession>(&octets);
        decodes::<SessionToControl>(&octets);
        decodes::<ControlToRde>(&octets);
        decodes::<RdeToControl>(&octets);
    }
}
