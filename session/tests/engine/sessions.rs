//! What a session may carry and how long it lasts; who may begin one, and how often.

use std::time::{Duration, Instant};

use bgp::capability::Capability;
use bgp::header::MessageType;
use ipc::PeerId;
use ipc::config::SessionPeer;
use ipc::control_session::FsmState;
use ipc::parent_session::ParentToSession;
use ipc::session_rde::{RdeToSession, Target};

use crate::rig::*;

#[tokio::test]
async fn rfc9687_a_peer_that_does_not_read_is_torn_down_and_one_with_nothing_to_read_is_not() {
    let impatient = |n| SessionPeer { send_hold_time: Some(2), ..peer(n) };
    let mut rig = Rig::start(vec![impatient(1), impatient(2), peer(3)]).await;
    let (mut stuck, source) = rig.session(1, 90).await;
    let (mut idle, _) = rig.session(2, 90).await;
    let (_standard, _) = rig.session(3, 300).await;
    assert_eq!(rig.status(PeerId(1)).await.send_hold_time, 2);
    assert_eq!(rig.status(PeerId(3)).await.send_hold_time, 480);
    // More than sockets hold.
    let block = update(4096, 5).repeat(16);
    let begun = Instant::now();
    for _ in 0..256 {
        rig.send(&[(Target::Peer(source), &block)]).await;
    }
    assert_eq!(rig.down().await, source);
    assert!(begun.elapsed() >= Duration::from_secs(2));
    let status = rig.status(PeerId(1)).await;
    assert!(status.last_error.contains("Send Hold Timer Expired (8/0)"), "{}", status.last_error);
    assert_eq!(status.notification_sent.map(|n| (n.code, n.subcode)), Some((8, 0)));
    assert_eq!((status.notification_received, status.agreed), (None, None));
    assert_eq!((status.send_hold_time, status.sent.notification), (0, 1));
    rig.logged("\"code_name\":\"Send Hold Timer Expired\"").await;
    // It was attempted to tell it: whole messages come before that, and nothing after it.
    let last = loop {
        match stuck.next_but_keepalives().await.expect("closed without NOTIFICATION") {
            (MessageType::Update, bytes) => assert_eq!(bytes.len(), 4096),
            (_, bytes) => break bytes,
        }
    };
    assert_eq!(last[18..], [3, 8, 0]);
    assert_eq!(stuck.next().await, None);
    // Nothing was there to be taken: that is no fault.
    rig.session(1, 90).await;
    idle.write(&bgp::header::KEEPALIVE).await;
    assert_eq!(rig.status(PeerId(2)).await.state, FsmState::Established);
}

#[tokio::test]
async fn a_neighbor_that_floods_us_with_connections_is_shut_out_for_a_moment_and_nobody_else_is() {
    let mut rig = Rig::start(vec![peer(1), peer(2), peer(3)]).await;
    // Connections that are left open: the newer one is used, the older ones wait for their end.
    let mut open = Vec::new();
    loop {
        let mut one = rig.dial(1).await;
        if one.next().await.is_none() {
            break;
        }
        open.push(one);
        assert!(open.len() < 100, "any number at a time");
    }
    assert!(open.len() > 10, "{} connections at a time", open.len());
    rig.logged("\"why\":\"too many of its connections are still being closed\"").await;
    // Connections that come and go: so many at once, and then no more than ten a second.
    let mut answered = 0;
    while rig.dial(2).await.next().await.is_some() {
        answered += 1;
        assert!(answered < 10_000, "as often as it likes");
    }
    assert!(answered >= 100, "{answered}");
    rig.logged("\"why\":\"it connects too often\"").await;
    rig.session(3, 90).await;
    // It is over when it stops.
    drop(open);
    let deadline = Instant::now() + SOON;
    for n in [1, 2] {
        while rig.dial(n).await.next().await.is_none() {
            assert!(Instant::now() < deadline, "{n} is locked out");
        }
    }
}

#[tokio::test]
async fn a_connection_of_the_peer_is_answered_while_our_own_attempt_is_pending() {
    let mut active = peer(1);
    active.passive = false;
    let mut rig = Rig::start(vec![active]).await;
    let (id, attempt) = rig.want_connect().await;
    assert_eq!(rig.status(id).await.state, FsmState::Connect);
    let (_one, source) = rig.session(1, 90).await;
    // Ours comes to nothing, and that changes nothing.
    rig.tell(ParentToSession::ConnectFailed { peer: id, attempt, error: "refused".to_owned() }).await;
    rig.logged("\"error\":\"refused\"").await;
    let status = rig.status(id).await;
    assert_eq!((status.state, status.flap_count, source.peer), (FsmState::Established, 0, id));
    assert_eq!(status.last_error, "");
}

#[tokio::test]
async fn rfc8654_extended_messages_go_both_ways_where_they_were_announced() {
    let mut rig = Rig::start(vec![peer(1), peer(2)]).await;
    let mut one = rig.dial(1).await;
    assert!(one.expect_open().await.capabilities.contains(&Capability::ExtendedMessage));
    let mut open = open_of(1, 90);
    open.capabilities.push(Capability::ExtendedMessage);
    one.write(&open.encode()).await;
    assert_eq!(one.next().await.unwrap().0, MessageType::Keepalive);
    one.write(&bgp::header::KEEPALIVE).await;
    let (source, negotiated) = rig.up().await;
    assert_eq!(negotiated.max_message, 65535);
    let agreed = rig.status(source.peer).await.agreed.unwrap();
    assert!(agreed.extended_messages && agreed.four_octet_as && !agreed.enhanced_refresh, "{agreed:?}");
    // In pieces of any size, next to messages of all other sizes.
    let mut sent = Vec::new();
    for (i, len) in [23, 65535, 4097, 40_000, 19 + 4, 65535, 65534, 4096, 65535].into_iter().enumerate() {
        sent.extend(update(len, i as u8));
    }
    let writer = {
        let bytes = sent.clone();
        tokio::spawn(async move {
            for piece in bytes.chunks(50_021) {
                one.write(piece).await;
            }
            one
        })
    };
    let mut got = Vec::new();
    while got.len() < sent.len() {
        let part = rig.received(source, 1).await;
        rig.control.send(&RdeToSession::Consumed(vec![(source, part.len() as u64)])).await.unwrap();
        got.extend(part);
    }
    assert!(got == sent, "octets differ");
    let mut one = writer.await.unwrap();
    // To the peer: as rde puts them together, up to a batch and a message in one datagram.
    let longest = update(65535, 9);
    let (first, second) = (update(4096, 8).repeat(15), &longest);
    rig.send(&[(Target::Peer(source), &first), (Target::Peer(source), second)]).await;
    for _ in 0..15 {
        assert_eq!(one.next_but_keepalives().await.unwrap().1.len(), 4096);
    }
    assert!(one.next_but_keepalives().await.unwrap().1 == longest, "octets differ");
    // §4: not for OPEN and KEEPALIVE.
    one.write(&message(MessageType::Keepalive, &[0])).await;
    let n = one.notified().await;
    assert_eq!((n.code, n.subcode, n.data, rig.down().await), (1, 2, vec![0, 20], source));

    // A peer that does not announce it is never said to take more than 4096, and may send more, since we do.
    let (mut two, negotiated) = {
        let mut two = rig.dial(2).await;
        two.establish(2, 90).await;
        (two, rig.up().await)
    };
    assert_eq!(negotiated.1.max_message, 4096);
    two.write(&longest).await;
    assert!(rig.received(negotiated.0, longest.len()).await == longest, "octets differ");
}

#[tokio::test]
async fn keepalives_come_as_often_as_configured() {
    let mut rig = Rig::start(vec![SessionPeer { keepalive: Some(1), ..peer(1) }]).await;
    let begun = Instant::now();
    let (mut one, _) = rig.session(1, 90).await;
    // A third of the hold time would be half a minute.
    for _ in 0..3 {
        assert_eq!(one.next().await.unwrap().0, MessageType::Keepalive);
    }
    assert!(begun.elapsed() >= Duration::from_millis(3 * 750), "{:?}", begun.elapsed());
    assert_eq!(rig.status(PeerId(1)).await.keepalive, 1);
}

#[tokio::test]
async fn rfc9003_what_a_peer_says_is_shown_with_its_control_characters_escaped() {
    let mut rig = Rig::start(vec![peer(1)]).await;
    let said = [
        ("caf\u{e9} \u{1b}[2Jand\nmore".as_bytes().to_vec(), "\"caf\u{e9} \\u{1b}[2Jand\\nmore\""),
        ([b"broken \xff".as_slice(), &[b'x'; 247]].concat(), "\"broken \u{fffd}xxx"),
    ];
    for (text, shown) in said {
        let (mut one, _) = rig.session(1, 90).await;
        let data = [&[text.len() as u8], text.as_slice()].concat();
        one.write(&bgp::Notification { code: 6, subcode: 2, data }.encode()).await;
        rig.down().await;
        let error = rig.status(PeerId(1)).await.last_error;
        assert!(error.contains(shown) && !error.contains(char::is_control), "{error:?}");
        // In JSON a backslash is two.
        rig.logged(&format!("\"communication\":{}", shown.replace('\\', "\\\\"))).await;
    }
}
