//! The session engine as a process, with the test as its parent, its rde and its peers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's own tools fail loudly")]

mod dynamic;
mod groups;
mod limits;
mod restart;
mod rig;
mod sessions;

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use bgp::capability::Capability;
use bgp::header::MessageType;
use bgp::{Family, FamilySet};
use ipc::control_session::FsmState;
use ipc::parent_session::{ParentToSession, SessionToParent};
use ipc::session_rde::{RECEIVE_WINDOW, RdeToSession, RdeToSessionBulk, SessionToRdeBulk, Target};
use ipc::{GroupId, PeerId};
use rig::*;
use tokio::time::timeout;

#[tokio::test]
async fn a_session_comes_up_and_messages_reach_rde_bit_exact() {
    let mut rig = Rig::start(vec![peer(1), peer(2)]).await;
    let mut one = rig.dial(1).await;
    let ours = one.expect_open().await;
    assert_eq!((ours.asn().0, ours.hold_time, ours.router_id.0), (64512, 90, Ipv4Addr::new(192, 0, 2, 1)));
    assert!(ours.capabilities.contains(&Capability::RouteRefresh));
    assert!(ours.capabilities.contains(&Capability::EnhancedRouteRefresh));
    one.write(&open_of(1, 30).encode()).await;
    assert_eq!(one.next().await.unwrap().0, MessageType::Keepalive);
    // The KEEPALIVE that completes the session and what follows it come in pieces of any size.
    let mut sent = Vec::new();
    for i in 0..3000_usize {
        sent.extend(update(23 + i * 7 % 4074, i as u8));
        if i % 100 == 0 {
            sent.extend(message(MessageType::RouteRefresh, &[0, 1, 0, 1]));
        }
    }
    let bytes = [&bgp::header::KEEPALIVE, sent.as_slice()].concat();
    let writer = tokio::spawn(async move {
        for (i, piece) in bytes.chunks(39_989).enumerate() {
            let (head, tail) = piece.split_at(piece.len().min(i % 50));
            one.write(head).await;
            one.write(tail).await;
        }
        one
    });
    let (source, negotiated) = rig.up().await;
    assert_eq!(negotiated.families, FamilySet::EMPTY.with(Family::Ipv4Unicast));
    assert_eq!(
        (negotiated.four_octet_as, negotiated.route_refresh, negotiated.max_message),
        (true, true, 4096)
    );
    assert!(!negotiated.enhanced_refresh, "the peer has not announced it");
    assert_eq!(negotiated.local, rig.listener);
    assert_eq!(negotiated.remote.ip(), peer(1).address);
    let mut got = Vec::new();
    while got.len() < sent.len() {
        let len = 1 + got.len();
        let part = rig.received(source, 1).await;
        assert!(part.len() <= 128 * 1024);
        rig.control.send(&RdeToSession::Consumed(vec![(source, part.len() as u64)])).await.unwrap();
        got.extend(part);
        assert!(got.len() >= len);
    }
    assert!(got == sent, "octets differ");
    let one = writer.await.unwrap();
    let status = rig.status(PeerId(1)).await;
    assert_eq!(
        (status.state, status.hold_time, status.router_id),
        (FsmState::Established, 30, Some(Ipv4Addr::new(192, 0, 2, 101)))
    );
    assert_eq!((status.received.update, status.received.route_refresh), (3000, 30));
    assert_eq!((status.received.open, status.received.keepalive, status.sent.open), (1, 1, 1));
    assert_eq!(rig.status(PeerId(2)).await.state, FsmState::Active);
    rig.logged("\"message\":\"peer session established\"").await;
    drop(one);
    assert_eq!(rig.down().await, source);
    rig.logged("\"message\":\"peer session down\"").await;
    let status = rig.status(PeerId(1)).await;
    assert_eq!((status.state, status.flap_count, status.families), (FsmState::Active, 1, FamilySet::EMPTY));
}

#[tokio::test]
async fn groups_share_bytes_and_a_peer_that_does_not_read_blocks_nobody() {
    let mut rig = Rig::start(vec![peer(1), peer(2), peer(3)]).await;
    let (mut one, source1) = rig.session(1, 90).await;
    let (mut two, source2) = rig.session(2, 90).await;
    let (mut slow, source3) = rig.session(3, 90).await;
    let group = GroupId(7);
    for member in [source1, source2, source3] {
        rig.bulk_tx.send(&RdeToSessionBulk::Join { group, member }).await.unwrap();
    }
    let (all, but_two, only_one) = (update(100, 1), update(101, 2), update(102, 3));
    rig.send(&[
        (Target::Group(group), &all),
        (Target::GroupExcept(group, PeerId(2)), &but_two),
        (Target::Peer(source1), &only_one),
        (Target::Group(GroupId(99)), &update(103, 4)),
    ])
    .await;
    for expected in [&all, &but_two, &only_one] {
        assert_eq!(one.next_but_keepalives().await.unwrap().1, *expected);
    }
    assert_eq!(two.next_but_keepalives().await.unwrap().1, all);
    rig.written(source1, 303).await;

    // 16 MiB for all: peer 3 does not read, the others get everything.
    let block = update(4096, 5).repeat(16);
    for _ in 0..256 {
        rig.send(&[(Target::Group(group), &block)]).await;
    }
    for _ in 0..256 * 16 {
        assert_eq!(one.next_but_keepalives().await.unwrap().1.len(), 4096);
        assert_eq!(two.next_but_keepalives().await.unwrap().1.len(), 4096);
    }
    let status = rig.status(PeerId(3)).await;
    assert!(status.queued_octets > 1 << 20, "{}", status.queued_octets);
    // It leaves the group, and reads at last: what was queued is whole.
    rig.bulk_tx.send(&RdeToSessionBulk::Leave { group, member: source3 }).await.unwrap();
    rig.send(&[(Target::Group(group), &all)]).await;
    assert_eq!(one.next_but_keepalives().await.unwrap().1, all);
    for expected in [&all, &but_two] {
        assert_eq!(slow.next_but_keepalives().await.unwrap().1, *expected);
    }
    for _ in 0..256 * 16 {
        assert_eq!(slow.next_but_keepalives().await.unwrap().1.len(), 4096);
    }
    rig.send(&[(Target::Peer(source3), &only_one)]).await;
    assert_eq!(slow.next_but_keepalives().await.unwrap().1, only_one);
    assert_eq!(rig.status(PeerId(3)).await.sent.update, 2 + 256 * 16 + 1);
}

#[tokio::test]
async fn what_is_late_for_an_older_epoch_is_dropped() {
    let mut rig = Rig::start(vec![peer(1)]).await;
    let (one, old) = rig.session(1, 90).await;
    let group = GroupId(1);
    rig.bulk_tx.send(&RdeToSessionBulk::Join { group, member: old }).await.unwrap();
    drop(one);
    assert_eq!(rig.down().await, old);
    let (mut one, new) = rig.session(1, 90).await;
    assert!(new.epoch > old.epoch);
    let (late, current) = (update(50, 1), update(51, 2));
    rig.bulk_tx.send(&RdeToSessionBulk::Join { group, member: old }).await.unwrap();
    rig.send(&[(Target::Peer(old), &late), (Target::Group(group), &late), (Target::Peer(new), &current)])
        .await;
    let notify = |source| RdeToSession::Notify {
        source,
        code: 3,
        subcode: 1,
        data: vec![9],
        reason: "malformed".to_owned(),
    };
    rig.control.send(&notify(old)).await.unwrap();
    assert_eq!(one.next_but_keepalives().await.unwrap().1, current);
    // For the current one it counts.
    rig.control.send(&notify(new)).await.unwrap();
    let n = one.notified().await;
    assert_eq!((n.code, n.subcode, n.data), (3, 1, vec![9]));
    assert_eq!(rig.down().await, new);
    assert!(rig.status(PeerId(1)).await.last_error.ends_with("malformed"));
}

#[tokio::test]
async fn no_hold_timer_expires_on_octets_that_we_chose_not_to_read() {
    let mut rig = Rig::start(vec![peer(1)]).await;
    let (mut one, source) = rig.session(1, 3).await;
    let block = update(4096, 1).repeat(16);
    // More than the window and less than window and socket buffers hold: rde gives no credit.
    let total = RECEIVE_WINDOW as usize + 4 * block.len();
    for _ in 0..total / block.len() {
        one.write(&block).await;
    }
    let most = RECEIVE_WINDOW as usize;
    let mut got = rig.received(source, most - most / 16).await.len();
    // Twice the hold time in silence: all there is to be heard are KEEPALIVEs.
    let silence = async {
        loop {
            assert_eq!(one.read().await.expect("closed").0, MessageType::Keepalive);
        }
    };
    assert!(timeout(Duration::from_secs(6), silence).await.is_err());
    assert!(got <= most, "{got} octets outstanding");
    // With credit the rest comes, and then silence is silence.
    while got < total {
        rig.control.send(&RdeToSession::Consumed(vec![(source, got as u64)])).await.unwrap();
        got += rig.received(source, 1).await.len();
    }
    assert_eq!(got, total);
    let n = one.notified().await;
    assert_eq!((n.code, n.subcode), (4, 0));
    assert_eq!(rig.down().await, source);
}

/// What rde had not dealt with when a session ended does not count for the next one.
#[tokio::test]
async fn a_peer_whose_window_was_full_can_come_back() {
    let mut rig = Rig::start(vec![peer(1)]).await;
    let (mut one, source) = rig.session(1, 90).await;
    let block = update(4096, 1).repeat(16);
    let most = RECEIVE_WINDOW as usize;
    for _ in 0..most / block.len() + 4 {
        one.write(&block).await;
    }
    rig.received(source, most - most / 16).await;
    let (code, subcode, reason) = (3, 1, "malformed".to_owned());
    rig.control.send(&RdeToSession::Notify { source, code, subcode, data: vec![], reason }).await.unwrap();
    assert_eq!(rig.down().await, source);
    drop(one);
    let (_again, next) = rig.session(1, 90).await;
    assert_ne!(next, source);
}

#[tokio::test]
async fn errors_get_their_exact_notification() {
    let mut rig = Rig::start(vec![peer(1)]).await;
    let bad_length = |len: u16| [&[0xff; 16], len.to_be_bytes().as_slice(), &[2]].concat();
    let mut wrong_as = open_of(1, 90);
    wrong_as.capabilities = vec![Capability::FourOctetAs(65099)];
    let mut short_hold = open_of(1, 90);
    short_hold.hold_time = 2;
    let cases = [
        (b"GET / HTTP/1.1\r\nHost: example\r\n\r\n".to_vec(), (1, 1, vec![])),
        (bad_length(4097), (1, 2, vec![0x10, 0x01])),
        (bad_length(18), (1, 2, vec![0, 18])),
        ([[0xff; 16].as_slice(), &[0, 19, 77]].concat(), (1, 3, vec![77])),
        (wrong_as.encode(), (2, 2, vec![])),
        (short_hold.encode(), (2, 6, vec![])),
        (bgp::header::KEEPALIVE.to_vec(), (5, 1, vec![4])),
    ];
    for (bytes, expected) in cases {
        // Each time the peer is back at once, and is not locked out.
        let mut one = rig.dial(1).await;
        one.expect_open().await;
        one.write(&bytes).await;
        let n = one.notified().await;
        assert_eq!((n.code, n.subcode, n.data), expected);
    }
    // The same within a session; what came before is delivered first.
    let (mut one, source) = rig.session(1, 90).await;
    let good = update(60, 1);
    one.write(&[good.clone(), vec![0; 19]].concat()).await;
    assert_eq!(rig.received(source, good.len()).await, good);
    assert_eq!((one.notified().await.code, rig.down().await), (1, source));
    assert_eq!(rig.status(PeerId(1)).await.sent.notification, 8);
    let (mut one, source) = rig.session(1, 90).await;
    one.write(&open_of(1, 90).encode()).await;
    let n = one.notified().await;
    assert_eq!((n.code, n.subcode, n.data, rig.down().await), (5, 3, vec![1], source));
}

#[tokio::test]
async fn connections_begun_by_the_parent_are_used_and_a_refusal_is_not_repeated_hotly() {
    let mut active = peer(1);
    active.passive = false;
    active.connect_retry = 1;
    let far = tokio::net::TcpListener::bind(SocketAddr::new(active.address, 0)).await.unwrap();
    let mut rig = Rig::start(vec![]).await;
    rig.configure(2, vec![active]).await;
    let mut attempts = 0;
    let mut begin = Instant::now();
    let mut waits = Vec::new();
    let mut wrong = open_of(1, 90);
    wrong.capabilities = vec![Capability::FourOctetAs(65099)];
    while attempts < 3 {
        let (peer, attempt) = rig.want_connect().await;
        waits.push(begin.elapsed());
        let stream = std::net::TcpStream::connect(far.local_addr().unwrap()).unwrap();
        let fd = OwnedFd::from(stream);
        let message = ParentToSession::Connecting { peer, attempt };
        rig.parent_tx.send_with_fds(&message, &[fd.as_fd()]).await.unwrap();
        drop(fd);
        let mut one = Speaks { stream: soon(far.accept()).await.unwrap().0 };
        one.expect_open().await;
        one.write(&wrong.encode()).await;
        let n = one.notified().await;
        assert_eq!((n.code, n.subcode), (2, 2));
        begin = Instant::now();
        attempts += 1;
    }
    assert!(waits[1] >= Duration::from_millis(700) && waits[2] >= Duration::from_millis(1400), "{waits:?}");
    let status = rig.status(PeerId(1)).await;
    assert_eq!(status.state, FsmState::Idle);
    assert!(status.next_attempt.is_some_and(|seconds| seconds <= 4), "{status:?}");
    rig.logged("waiting before the next attempt to connect").await;
    // That nobody answers afterwards does not hide why the peer was refused.
    let (peer, attempt) = rig.want_connect().await;
    rig.tell(ParentToSession::ConnectFailed { peer, attempt, error: "no route".to_owned() }).await;
    let error = rig.until_status(PeerId(1), |s| s.last_error.contains("no route")).await.last_error;
    assert!(error.contains("Bad Peer AS"), "{error}");
}

#[tokio::test]
async fn a_connect_that_fails_is_tried_again_and_one_that_works_is_a_session() {
    let mut active = peer(1);
    active.passive = false;
    active.connect_retry = 1;
    let far = tokio::net::TcpListener::bind(SocketAddr::new(active.address, 0)).await.unwrap();
    let mut rig = Rig::start(vec![]).await;
    rig.configure(2, vec![active]).await;
    let (peer, attempt) = rig.want_connect().await;
    rig.tell(ParentToSession::ConnectFailed { peer, attempt, error: "no route".to_owned() }).await;
    let (peer, attempt) = rig.want_connect().await;
    assert!(rig.status(peer).await.last_error.contains("no route"));
    let fd = OwnedFd::from(std::net::TcpStream::connect(far.local_addr().unwrap()).unwrap());
    let message = ParentToSession::Connecting { peer, attempt };
    rig.parent_tx.send_with_fds(&message, &[fd.as_fd()]).await.unwrap();
    let mut one = Speaks { stream: soon(far.accept()).await.unwrap().0 };
    one.establish(1, 90).await;
    let (source, negotiated) = rig.up().await;
    assert_eq!((source.peer, negotiated.remote), (PeerId(1), far.local_addr().unwrap()));
    assert_eq!(rig.status(peer).await.last_error, "", "it works now, and nothing else ever went wrong");
}

#[tokio::test]
async fn peers_are_disabled_enabled_removed_and_shut_down_with_their_cease() {
    let mut rig = Rig::start(vec![peer(1), peer(2)]).await;
    let (mut one, source1) = rig.session(1, 90).await;
    rig.tell(ParentToSession::Disable { peer: PeerId(1), reason: "cable é".to_owned() }).await;
    let n = one.notified().await;
    assert_eq!((n.code, n.subcode), (6, 2));
    assert_eq!(n.shutdown_communication().as_deref(), Some("cable é"));
    assert_eq!(rig.down().await, source1);
    let status = rig.status(PeerId(1)).await;
    assert_eq!((status.state, status.disabled), (FsmState::Idle, true));
    let n = rig.dial(1).await.notified().await;
    assert_eq!((n.code, n.subcode), (6, 5));
    rig.tell(ParentToSession::Enable(PeerId(1))).await;
    let (mut one, _) = rig.session(1, 90).await;

    // Unchanged peers keep their session, changed ones are reset, removed ones told so.
    let (mut two, _) = rig.session(2, 90).await;
    let mut changed = peer(2);
    changed.hold_time = 30;
    rig.configure(2, vec![peer(1), changed.clone()]).await;
    let n = two.notified().await;
    assert_eq!((n.code, n.subcode, rig.down().await.peer), (6, 6, PeerId(2)));
    let (mut two, _) = rig.session(2, 90).await;
    assert_eq!(rig.status(PeerId(2)).await.hold_time, 30);
    rig.configure(3, vec![changed]).await;
    let n = one.notified().await;
    assert_eq!((n.code, n.subcode, rig.down().await.peer), (6, 3, PeerId(1)));
    // Now it is unknown: closed at once, with a hint in the log.
    assert_eq!(rig.dial(1).await.next().await, None);
    rig.logged("rustbgpctl neighbor 127.0.1.1 add --asn N").await;

    rig.tell(ParentToSession::Shutdown { reason: "bye".to_owned() }).await;
    let n = two.notified().await;
    assert_eq!((n.code, n.subcode, n.shutdown_communication().as_deref()), (6, 2, Some("bye")));
    drop(two);
    assert_eq!(rig.next_request().await, SessionToParent::ShutdownDone { restarting: vec![] });
    assert!(rig.exited().await);
}

#[tokio::test]
async fn of_two_connections_of_a_peer_the_newer_is_used_until_one_is_established() {
    let mut rig = Rig::start(vec![peer(1)]).await;
    let mut old = rig.dial(1).await;
    old.expect_open().await;
    let mut new = rig.dial(1).await;
    let n = old.notified().await;
    assert_eq!((n.code, n.subcode), (6, 7));
    new.establish(1, 90).await;
    let (source, _) = rig.up().await;
    let n = rig.dial(1).await.notified().await;
    assert_eq!((n.code, n.subcode), (6, 7));
    let bytes = update(40, 1);
    new.write(&bytes).await;
    assert_eq!(rig.received(source, bytes.len()).await, bytes);
}

#[tokio::test]
async fn a_peer_goes_up_before_its_messages_and_down_behind_them() {
    let mut rig = Rig::start(vec![peer(1)]).await;
    for _ in 0..20 {
        let mut one = rig.dial(1).await;
        one.expect_open().await;
        let n = bgp::Notification::cease_with_text(2, "reboot").encode();
        let all = [open_of(1, 90).encode(), bgp::header::KEEPALIVE.to_vec(), update(70, 3), n].concat();
        one.write(&all).await;
        let (source, _) = rig.up().await;
        assert_eq!(rig.received(source, 70).await, update(70, 3));
        let (message, _) = rig.for_rde().await;
        assert!(
            matches!(message, SessionToRdeBulk::PeerDown { source: s, .. } if s == source),
            "{message:?}"
        );
    }
    let status = rig.status(PeerId(1)).await;
    assert_eq!((status.flap_count, status.received.notification), (20, 20));
    assert!(status.last_error.contains("\"reboot\""), "{}", status.last_error);
    let said = status.notification_received.unwrap();
    assert_eq!((said.code, said.subcode), (6, 2));
    assert!(said.text.contains("\"reboot\"") && said.at > 0, "{said:?}");
    assert_eq!(status.notification_sent, None);
}

#[tokio::test]
async fn rfc5082_packets_of_an_accepted_connection_need_the_least_ttl() {
    let mut near = peer(1);
    near.min_ttl = Some(255);
    let mut rig = Rig::start(vec![near]).await;
    // From too far away: closed at once, and nothing is said.
    assert_eq!(rig.dial_with_ttl(1, 254).await.next().await, None);
    rig.logged("its SYN has TTL 254, less than 255").await;
    assert_eq!(rig.status(PeerId(1)).await.sent.open, 0);
    let mut one = rig.dial_with_ttl(1, 255).await;
    one.expect_open().await;
    one.stream.set_ttl(64).unwrap();
    one.write(&open_of(1, 90).encode()).await;
    // What claims to belong to it and is from too far away does not arrive, whatever it is.
    assert!(timeout(Duration::from_millis(500), one.read()).await.is_err());
    assert_eq!(rig.status(PeerId(1)).await.received.open, 0);
    // What TCP sends again from near by does.
    one.stream.set_ttl(255).unwrap();
    assert_eq!(one.next().await.unwrap().0, MessageType::Keepalive);
    one.write(&bgp::header::KEEPALIVE).await;
    assert_eq!(rig.up().await.0.peer, PeerId(1));
}

#[tokio::test]
async fn an_rde_that_misbehaves_is_cut_off_and_sessions_come_back_with_the_next_one() {
    let mut rig = Rig::start(vec![peer(1), peer(2)]).await;
    let (mut one, old) = rig.session(1, 90).await;
    let half = &update(60, 1)[..59];
    rig.send(&[(Target::Peer(old), half)]).await;
    rig.logged("rde misbehaved").await;
    // Nothing of it reached the peer but the end of its session.
    let n = one.notified().await;
    assert_eq!((n.code, n.subcode), (6, 4));
    assert_eq!(rig.dial(1).await.notified().await.subcode, 5);
    rig.restart_rde().await;
    let (mut one, new) = rig.session(1, 90).await;
    assert!(new.epoch > old.epoch);
    let bytes = update(60, 2);
    one.write(&bytes).await;
    assert_eq!(rig.received(new, bytes.len()).await, bytes);
    rig.send(&[(Target::Peer(new), &bytes)]).await;
    assert_eq!(one.next_but_keepalives().await.unwrap().1, bytes);
    rig.written(new, 60).await;
}
