//! Prefix limits, which rde counts and session keeps (RFC 4486 §4), and the errors that are remembered.

use bgp::Family;
use ipc::PeerId;
use ipc::config::{OverLimit, PrefixLimits, SessionPeer};
use ipc::control_session::FsmState;
use ipc::errors::Wrong;
use ipc::parent_session::ParentToSession;
use ipc::session_rde::{Direction, RdeToSession, Source};

use crate::rig::*;

const ONE: PeerId = PeerId(1);

fn limited(received: u32, action: OverLimit) -> SessionPeer {
    let prefix_limits = PrefixLimits { received: Some(received), action, ..PrefixLimits::default() };
    SessionPeer { prefix_limits, ..peer(1) }
}

fn over_limit(source: Source, limit: u32) -> RdeToSession {
    RdeToSession::OverLimit { source, direction: Direction::Received, family: Family::Ipv4Unicast, limit }
}

/// A session of peer 1 that has exceeded its limit of 1000.
async fn exceeded(action: OverLimit) -> Rig {
    let mut rig = Rig::start(vec![limited(1000, action), peer(2)]).await;
    let (mut one, source) = rig.session(1, 90).await;
    // What is late for another session is dropped.
    let late = Source { epoch: ipc::Epoch(77), ..source };
    rig.control.send(&over_limit(late, 1000)).await.unwrap();
    rig.control.send(&over_limit(source, 1000)).await.unwrap();
    let n = one.notified().await;
    assert_eq!((n.code, n.subcode, n.data), (6, 1, vec![0, 1, 1, 0, 0, 3, 0xe8]));
    assert_eq!(rig.down().await, source);
    rig
}

async fn is_refused(rig: &mut Rig) {
    let n = rig.dial(1).await.notified().await;
    assert_eq!((n.code, n.subcode), (6, 5));
}

#[tokio::test]
async fn rfc4486_4_a_peer_over_its_limit_stays_down_until_it_is_enabled() {
    let mut rig = exceeded(OverLimit::Shutdown).await;
    is_refused(&mut rig).await;
    let status = rig.status(ONE).await;
    assert_eq!((status.state, status.disabled, status.held), (FsmState::Idle, false, true));
    let says = "sent NOTIFICATION Cease/Maximum Number of Prefixes Reached (6/1): the peer announced more than \
                1000 prefixes, the last ones of ipv4_unicast; down until enabled";
    assert_eq!(status.last_error, says, "the refused connection does not hide it");
    // Another configuration that allows no more, another rde.
    rig.configure(2, vec![limited(900, OverLimit::Shutdown), peer(2)]).await;
    is_refused(&mut rig).await;
    rig.restart_rde().await;
    let _two = rig.session(2, 90).await;
    is_refused(&mut rig).await;
    rig.tell(ParentToSession::Enable(ONE)).await;
    rig.session(1, 90).await;
    assert!(!rig.status(ONE).await.held);
}

#[tokio::test]
async fn a_raised_limit_lets_the_peer_come_back_at_once() {
    let mut rig = exceeded(OverLimit::Shutdown).await;
    is_refused(&mut rig).await;
    rig.configure(2, vec![limited(2000, OverLimit::Shutdown), peer(2)]).await;
    rig.session(1, 90).await;
}

#[tokio::test]
async fn a_peer_over_its_limit_is_given_a_time_to_come_back() {
    let mut rig = exceeded(OverLimit::Restart { minutes: 7 }).await;
    is_refused(&mut rig).await;
    let status = rig.status(ONE).await;
    assert!(status.next_attempt.is_some_and(|s| (410..=420).contains(&s)), "{status:?}");
    assert!(status.last_error.ends_with("down for 7 minutes, or until enabled"), "{status:?}");
    // Disabled and enabled, it need not wait.
    rig.tell(ParentToSession::Disable { peer: ONE, reason: String::new() }).await;
    rig.tell(ParentToSession::Enable(ONE)).await;
    rig.session(1, 90).await;
}

/// They outlive the connections; what is no error of the peer is not among them.
#[tokio::test]
async fn errors_for_which_connections_were_ended_are_kept() {
    let mut rig = exceeded(OverLimit::Shutdown).await;
    rig.tell(ParentToSession::Enable(ONE)).await;
    let mut one = rig.dial(1).await;
    one.expect_open().await;
    one.write(&[[0xff; 16].as_slice(), &[0, 19, 77]].concat()).await;
    one.notified().await;
    rig.tell(ParentToSession::Disable { peer: ONE, reason: "later".to_owned() }).await;
    let errors = rig.errors(ONE).await;
    let codes: Vec<_> = (errors.iter())
        .map(|e| match &e.what {
            Wrong::Notification { code, subcode, .. } => (*code, *subcode, e.octets.as_slice(), e.len),
            Wrong::Update { .. } => panic!("{e:?}"),
        })
        .collect();
    assert_eq!(codes, [(6, 1, &[0, 1, 1, 0, 0, 3, 0xe8][..], 7), (1, 3, &[77][..], 1)]);
    assert!(errors[0].at <= errors[1].at);
    assert_eq!(rig.errors(PeerId(2)).await, []);
    assert_eq!(rig.errors(PeerId(99)).await, [], "one that is not there");
}
