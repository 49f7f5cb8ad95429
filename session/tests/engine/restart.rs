//! What rde is told of sessions with peers that restart (RFC 4724, RFC 8538).

use bgp::capability::{Capability, GracefulFamily};
use bgp::notification::cease;
use bgp::{Family, FamilySet, Notification};
use ipc::PeerId;
use ipc::config::SessionPeer;
use ipc::parent_session::ParentToSession;
use ipc::session_rde::{DownReason, GracefulRestart, SessionToRdeBulk, Source};

use crate::rig::*;

fn capability(notification: bool, restart_time: u16) -> Capability {
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

async fn reason(rig: &mut Rig, of: Source) -> DownReason {
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
