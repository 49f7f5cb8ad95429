//! What rde is told of sessions with peers that restart (RFC 4724, RFC 8538).

use bgp::capability::{Capability, GracefulFamily};
use bgp::notification::cease;
use bgp::{Family, FamilySet, Notification};
use ipc::PeerId;
use ipc::config::SessionPeer;
use ipc::parent_session::{ParentToSession, SessionToParent};
use ipc::session_rde::{DownReason, GracefulRestart, SessionToRdeBulk, Source};

use crate::rig::*;

pub(crate) fn capability(notification: bool, restart_time: u16) -> Capability {
    let (afi, safi) = (Family::Ipv4Unicast.afi(), Family::Ipv4Unicast.safi());
    let families = vec![GracefulFamily { afi, safi, forwarding: true }];
    Capability::GracefulRestart { restarting: false, notification, restart_time, families }
}

fn ours() -> SessionPeer {
    SessionPeer { restart_time: Some(99), ..peer(1) }
}

/// A session with a peer that announces this; what rde is told of it.
async fn session(rig: &mut Rig, notification: bool) -> (Speaks, Source, Option<GracefulRestart>) {
    let mut one = rig.dial(1).await;
    let sent = one.expect_open().await.capabilities;
    assert!(sent.contains(&capability(true, 99)), "{sent:?}");
    let mut open = open_of(1, 90);
    open.capabilities.push(capability(notification, 7));
    one.write(&open.encode()).await;
    one.next().await.unwrap();
    one.write(&bgp::header::KEEPALIVE).await;
    let (source, negotiated) = rig.up().await;
    (one, source, negotiated.graceful)
}

pub(crate) async fn reason(rig: &mut Rig, of: Source) -> DownReason {
    match rig.for_rde().await.0 {
        SessionToRdeBulk::PeerDown { source, reason } if source == of => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn rde_is_told_what_a_peer_announces_and_how_its_session_ends() {
    let mut rig = Rig::start(vec![ours()]).await;
    let (one, source, graceful) = session(&mut rig, false).await;
    let families = FamilySet::EMPTY.with(Family::Ipv4Unicast);
    let expected = GracefulRestart {
        restarting: false,
        notification: false,
        restart_time: 7,
        families,
        forwarding: families,
        long_lived: None,
    };
    assert_eq!(graceful, Some(expected));
    drop(one);
    assert_eq!(reason(&mut rig, source).await, DownReason::Restarting);
    rig.logged("\"routes_kept\":true").await;

    for (notification, kept) in [(false, DownReason::Ended), (true, DownReason::Restarting)] {
        let (mut one, source, _) = session(&mut rig, notification).await;
        one.write(&Notification::cease(cease::ADMINISTRATIVE_SHUTDOWN).encode()).await;
        assert_eq!(reason(&mut rig, source).await, kept, "N bit {notification}");
    }
}

#[tokio::test]
async fn the_operators_end_is_a_hard_reset_and_nothing_is_kept() {
    let mut rig = Rig::start(vec![ours()]).await;
    let (mut one, source, _) = session(&mut rig, true).await;
    let id = PeerId(1);
    rig.tell(ParentToSession::Disable { peer: id, reason: "cable".to_owned() }).await;
    let n = one.notified().await;
    assert_eq!((n.code, n.subcode), (6, 9));
    assert_eq!(n.hard_reset_inner().unwrap().shutdown_communication().as_deref(), Some("cable"));
    rig.logged("\"communication\":\"cable\"").await;
    assert_eq!(reason(&mut rig, source).await, DownReason::Ended);
    // Also while it is away.
    rig.tell(ParentToSession::Enable(id)).await;
    let (one, source, _) = session(&mut rig, true).await;
    drop(one);
    assert_eq!(reason(&mut rig, source).await, DownReason::Restarting);
    rig.tell(ParentToSession::Disable { peer: id, reason: String::new() }).await;
    assert_eq!(rig.for_rde().await.0, SessionToRdeBulk::Forget(id));
    // And when it is not configured any more.
    rig.configure(2, Vec::new()).await;
    assert_eq!(rig.for_rde().await.0, SessionToRdeBulk::Forget(id));
}

/// Those that keep our routes while we restart are left so that they do (RFC 4724 §4, RFC 8538 §4).
#[tokio::test]
async fn before_a_restart_of_ours_each_peer_is_left_in_its_way() {
    let with = |n| SessionPeer { restart_time: Some(99), ..peer(n) };
    let mut rig = Rig::start(vec![with(1), with(2), with(3), with(4)]).await;
    let mut peers = Vec::new();
    for (n, notification) in [(1, Some(true)), (2, Some(false)), (3, None)] {
        let mut one = rig.dial(n).await;
        one.expect_open().await;
        let mut open = open_of(n, 90);
        open.capabilities.extend(notification.map(|n| capability(n, 7)));
        one.write(&open.encode()).await;
        one.next().await.unwrap();
        one.write(&bgp::header::KEEPALIVE).await;
        rig.up().await;
        peers.push(one);
    }
    rig.tell(ParentToSession::Shutdown { reason: "upgrade".to_owned() }).await;
    let [one, two, three] = &mut peers[..] else { panic!("three peers") };
    let n = one.notified().await;
    assert_eq!((n.code, n.subcode), (6, cease::ADMINISTRATIVE_RESET));
    assert_eq!(n.shutdown_communication().as_deref(), Some("upgrade"));
    assert_eq!(two.next_but_keepalives().await, None);
    assert_eq!(three.notified().await.subcode, cease::ADMINISTRATIVE_SHUTDOWN);
    // Who comes back too early is not refused: that would be a NOTIFICATION.
    assert_eq!(rig.dial(2).await.next().await, None);
    drop(peers);
    let restarting = vec![PeerId(1), PeerId(2)];
    assert_eq!(rig.next_request().await, SessionToParent::ShutdownDone { restarting });
    assert!(rig.exited().await);
}

#[tokio::test]
async fn rfc4724_4_1_after_a_restart_of_ours_peers_that_waited_are_told() {
    let told = |open: bgp::open::Open| {
        open.capabilities.iter().find_map(|c| match c {
            Capability::GracefulRestart { restarting, .. } => Some(*restarting),
            _ => None,
        })
    };
    let waiting = SessionPeer { restarted: Some(60), ..ours() };
    let mut rig = Rig::start(vec![waiting, SessionPeer { restart_time: Some(99), ..peer(2) }]).await;
    assert_eq!(told(rig.dial(2).await.expect_open().await), Some(false));
    let mut one = rig.dial(1).await;
    assert_eq!(told(one.expect_open().await), Some(true));
    one.write(&open_of(1, 90).encode()).await;
    one.next().await.unwrap();
    one.write(&bgp::header::KEEPALIVE).await;
    rig.up().await;
    let sent = rig.status(PeerId(1)).await.capabilities_sent;
    assert!(sent.iter().any(|c| c.starts_with("graceful-restart 99s restarting")), "{sent:?}");
    drop(one);
    rig.down().await;
    assert_eq!(told(rig.dial(1).await.expect_open().await), Some(false));
}
