//! Dynamic peers: session asks for each, and says when it is over.

use bgp::Family;
use bgp::capability::Capability;
use bgp::notification::{cease, code, open_error};
use bgp::open::Open;
use ipc::PeerId;
use ipc::config::{PeerKind, SessionPeer};
use ipc::control_session::FsmState;
use ipc::parent_session::{MAX_WANTED, ParentToSession, SessionToParent};
use ipc::session_rde::{DownReason, RdeToSession};
use ipnet::IpNet;

use crate::restart::{capability, reason};
use crate::rig::*;

/// The peer at the address of peer `n`, of any AS.
fn dynamic(n: u8) -> SessionPeer {
    SessionPeer { dynamic: true, remote_asn: 0, ..peer(n) }
}

/// An engine with this peer and a range that has the addresses of all.
async fn start(peers: Vec<SessionPeer>) -> Rig {
    let mut rig = Rig::start(peers.clone()).await;
    rig.configure_ranges(2, peers, &["127.0.1.0/24"]).await;
    rig
}

impl Rig {
    async fn configure_ranges(&mut self, generation: u64, peers: Vec<SessionPeer>, ranges: &[&str]) {
        let ranges: Vec<IpNet> = ranges.iter().map(|r| r.parse().unwrap()).collect();
        self.configure_with(generation, peers, vec![ParentToSession::StageRanges(ranges)]).await;
    }

    /// The parent is asked about peer `n`, and agrees.
    async fn agree(&mut self, peer: SessionPeer) {
        assert_eq!(self.next_request().await, SessionToParent::WantPeer { address: peer.address });
        self.tell(ParentToSession::AddPeer(Box::new(peer))).await;
    }

    async fn over(&mut self, n: u8) {
        assert_eq!(self.next_request().await, SessionToParent::PeerOver(PeerId(n.into())));
    }
}

#[tokio::test]
async fn a_connection_from_a_range_becomes_a_peer_where_the_parent_agrees_and_is_one_to_its_end() {
    let mut rig = start(vec![peer(1)]).await;
    let mut two = rig.dial(2).await;
    rig.agree(dynamic(2)).await;
    two.establish(2, 90).await;
    let (source, negotiated) = rig.up().await;
    assert_eq!((source.peer, negotiated.remote_asn), (PeerId(2), 65002));
    let status = rig.status(PeerId(2)).await;
    assert_eq!((status.state, status.remote_asn), (FsmState::Established, 65002));
    // A configured neighbor needs no question, and notices nothing.
    let (_one, _) = rig.session(1, 90).await;
    drop(two);
    assert_eq!(rig.down().await, source);
    rig.over(2).await;
    // Its address is free again.
    let _two = rig.dial(2).await;
    rig.agree(SessionPeer { id: PeerId(9), ..dynamic(2) }).await;
    rig.until_status(PeerId(9), |s| s.state == FsmState::OpenSent).await;
}

#[tokio::test]
async fn a_peer_that_does_not_come_up_is_over_and_was_told_why() {
    let mut rig = start(Vec::new()).await;
    for (only, asn, subcode) in [
        (None, 65009, open_error::BAD_PEER_AS),
        (Some(PeerKind::External), 64512, open_error::BAD_PEER_AS),
        (Some(PeerKind::Internal), 65002, open_error::BAD_PEER_AS),
    ] {
        let mut two = rig.dial(2).await;
        let remote_asn = if only.is_some() { 0 } else { 65002 };
        rig.agree(SessionPeer { only, remote_asn, ..dynamic(2) }).await;
        two.expect_open().await;
        let capabilities =
            vec![Capability::multi_protocol(Family::Ipv4Unicast), Capability::FourOctetAs(asn)];
        let open = Open { my_as: u16::try_from(asn).unwrap(), capabilities, ..open_of(2, 90) };
        two.write(&open.encode()).await;
        let told = two.notified().await;
        assert_eq!((told.code, told.subcode), (code::OPEN, subcode), "{only:?}");
        rig.over(2).await;
    }
    // One that is gone before the answer comes.
    drop(rig.dial(3).await);
    rig.agree(dynamic(3)).await;
    rig.over(3).await;
}

#[tokio::test]
async fn whom_the_parent_does_not_want_is_told_so() {
    let mut rig = start(Vec::new()).await;
    for (limit, subcode) in [(true, cease::OUT_OF_RESOURCES), (false, cease::CONNECTION_REJECTED)] {
        let mut two = rig.dial(2).await;
        let address = peer(2).address;
        assert_eq!(rig.next_request().await, SessionToParent::WantPeer { address });
        rig.tell(ParentToSession::NoPeer { address, limit }).await;
        let told = two.notified().await;
        assert_eq!((told.code, told.subcode), (code::CEASE, subcode));
    }
    // Outside of all ranges nobody is asked about.
    rig.configure_ranges(3, Vec::new(), &["127.0.2.0/24"]).await;
    assert_eq!(rig.dial(2).await.next().await, None);
    rig.logged("connection from an unknown address closed").await;
}

#[tokio::test]
async fn only_so_many_questions_wait_for_an_answer_and_one_for_each_address() {
    let mut rig = start(Vec::new()).await;
    rig.configure_ranges(3, Vec::new(), &["127.0.0.0/8"]).await;
    let mut waiting = Vec::new();
    for n in 0..MAX_WANTED + 44 {
        let address = [127, 1, u8::try_from(n / 250).unwrap(), u8::try_from(n % 250).unwrap() + 1].into();
        // The second one takes the place of the first one.
        waiting.push(rig.dial_from(address).await);
        waiting.push(rig.dial_from(address).await);
    }
    let mut asked = Vec::new();
    for _ in 0..MAX_WANTED {
        let SessionToParent::WantPeer { address } = rig.next_request().await else { panic!("{asked:?}") };
        assert!(!asked.contains(&address), "{address} twice");
        asked.push(address);
    }
    rig.nothing_asked().await;
    let address = asked[7];
    rig.tell(ParentToSession::NoPeer { address, limit: true }).await;
    let SessionToParent::WantPeer { address } = rig.next_request().await else { panic!("no other question") };
    assert!(!asked.contains(&address));
}

#[tokio::test]
async fn a_peer_whose_routes_are_kept_is_there_until_they_are_gone() {
    let mut rig = start(Vec::new()).await;
    let restarts = SessionPeer { restart_time: Some(99), ..dynamic(2) };
    for back in [false, true] {
        let mut two = rig.dial(2).await;
        rig.agree(restarts.clone()).await;
        two.expect_open().await;
        let mut open = open_of(2, 90);
        open.capabilities.push(capability(true, 7));
        two.write(&open.encode()).await;
        two.next().await.unwrap();
        two.write(&bgp::header::KEEPALIVE).await;
        let (mut source, _) = rig.up().await;
        drop(two);
        assert_eq!(reason(&mut rig, source).await, DownReason::Restarting);
        rig.until_status(PeerId(2), |s| s.state == FsmState::Active).await;
        if back {
            // No question is needed: it is a peer still. What it kept is over with its session.
            let (two, again) = rig.session(2, 90).await;
            rig.control.send(&RdeToSession::NothingKept(source)).await.unwrap();
            assert_eq!(rig.status(PeerId(2)).await.state, FsmState::Established);
            source = again;
            drop(two);
            assert_eq!(reason(&mut rig, source).await, DownReason::Ended);
        } else {
            rig.control.send(&RdeToSession::NothingKept(source)).await.unwrap();
        }
        rig.over(2).await;
    }
}

#[tokio::test]
async fn a_peer_that_is_kept_down_stays_until_it_is_enabled() {
    let mut rig = start(Vec::new()).await;
    let mut two = rig.dial(2).await;
    rig.agree(dynamic(2)).await;
    two.establish(2, 90).await;
    rig.up().await;
    rig.tell(ParentToSession::Disable { peer: PeerId(2), reason: String::new() }).await;
    assert_eq!(two.notified().await.subcode, cease::ADMINISTRATIVE_SHUTDOWN);
    rig.until_status(PeerId(2), |s| s.disabled && s.state == FsmState::Idle).await;
    assert_eq!(rig.dial(2).await.notified().await.subcode, cease::CONNECTION_REJECTED);
    rig.tell(ParentToSession::Enable(PeerId(2))).await;
    rig.over(2).await;
    // The operator's wish outlives the engine: the next one hears of such a peer with the configuration, and of no other.
    let (down, other) = (SessionPeer { shutdown: true, ..dynamic(3) }, dynamic(4));
    rig.configure_ranges(3, vec![down, other], &["127.0.1.0/24"]).await;
    assert_eq!(rig.dial(3).await.notified().await.subcode, cease::CONNECTION_REJECTED);
    let _four = rig.dial(4).await;
    rig.agree(dynamic(4)).await;
    rig.until_status(PeerId(4), |s| s.state == FsmState::OpenSent).await;
}

#[tokio::test]
async fn a_peer_whose_range_goes_is_deconfigured_and_nobody_is_told_twice() {
    let mut rig = start(Vec::new()).await;
    let mut two = rig.dial(2).await;
    rig.agree(dynamic(2)).await;
    two.establish(2, 90).await;
    let (source, _) = rig.up().await;
    // With the range as it was, nothing happens.
    rig.configure_ranges(3, vec![dynamic(2)], &["127.0.1.0/24"]).await;
    assert_eq!(rig.status(PeerId(2)).await.state, FsmState::Established);
    rig.configure_ranges(4, Vec::new(), &[]).await;
    assert_eq!(two.notified().await.subcode, cease::PEER_DECONFIGURED);
    assert_eq!(rig.down().await, source);
    rig.nothing_asked().await;
}
