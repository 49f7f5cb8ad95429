//! Dynamic peers: they come and go one by one, and their AS number is what their OPEN says.

use ipc::config::RdePeer;
use ipc::control_rde::{ControlToRde, RdeToControl, Table};
use ipc::errors::FaultCount;
use ipc::parent_rde::{ParentToRde, RdeToParent};
use ipc::session_rde::{DownReason, RdeToSession, Source};
use ipc::{Epoch, PeerId, QueryId, RangeId};

use crate::restart::{announces, graceful};
use crate::rig::*;
use crate::{ONE, TWO, announcement, passed_on, path, route, withdrawal};

/// Peer `n` as a dynamic one of any AS.
fn dynamic(n: u8) -> RdePeer {
    RdePeer { range: Some(RangeId(0)), remote_asn: 0, ..peer(n) }
}

impl Rig {
    async fn add(&mut self, peer: RdePeer) {
        let id = peer.id;
        self.tell(ParentToRde::AddPeer(Box::new(peer))).await;
        assert_eq!(soon(self.parent_rx.recv()).await.unwrap().message, RdeToParent::PeerAdded(id));
    }
}

/// A route of peer 1 that it has from AS 65009, without its own AS in the path.
fn from_elsewhere(prefix: &str) -> Vec<u8> {
    use bgp::attr::{Origin, PathAttribute};
    let next_hop = PathAttribute::NextHop([192, 0, 2, 1].into());
    announcement(
        vec![PathAttribute::Origin(Origin::Igp), path(&[65009]), next_hop, PathAttribute::LocalPref(100)],
        prefix,
    )
}

#[tokio::test]
async fn what_a_peer_of_any_as_is_follows_from_its_open() {
    let mut rig = Rig::start(vec![peer(2)]).await;
    rig.up(source(2, 1)).await;
    rig.add(dynamic(1)).await;
    // Of another AS: a path must begin with its own (RFC 4271 §6.3).
    rig.up(source(1, 1)).await;
    rig.taken_in(source(1, 1), &[from_elsewhere("10.1.0.0/16"), route(1, "10.2.0.0/16")].concat()).await;
    assert_eq!(rig.next(TWO).await, passed_on(1, "10.2.0.0/16"));
    rig.down(source(1, 1)).await;
    assert_eq!(rig.next(TWO).await, withdrawal("10.2.0.0/16"));
    // The same peer in our own AS.
    rig.up_with(source(1, 2), |n| n.remote_asn = OUR_AS).await;
    rig.taken_in(source(1, 2), &from_elsewhere("10.1.0.0/16")).await;
    let sent = rig.next(TWO).await;
    assert_ne!(sent, withdrawal("10.1.0.0/16"));
    assert_eq!(rig.prefixes(Table::LocRib).await, ["10.1.0.0/16"]);
    // Another configuration says no more about it than the one before.
    rig.configure(2, vec![peer(2), dynamic(1)]).await;
    rig.taken_in(source(1, 2), &from_elsewhere("10.3.0.0/16")).await;
    rig.next(TWO).await;
    assert_eq!(rig.prefixes(Table::LocRib).await, ["10.1.0.0/16", "10.3.0.0/16"]);
}

#[tokio::test]
async fn a_peer_that_is_removed_is_gone_with_its_routes_whatever_session_still_says() {
    for kept in [false, true] {
        let mut rig = Rig::start(vec![peer(2)]).await;
        rig.up(source(2, 1)).await;
        rig.add(dynamic(1)).await;
        rig.up_with(source(1, 1), announces(graceful(100))).await;
        rig.taken_in(source(1, 1), &route(1, "10.2.0.0/16")).await;
        assert_eq!(rig.next(TWO).await, passed_on(1, "10.2.0.0/16"));
        if kept {
            rig.down_for(source(1, 1), DownReason::Restarting).await;
        }
        rig.tell(ParentToRde::RemovePeers(vec![ONE])).await;
        assert_eq!(rig.next(TWO).await, withdrawal("10.2.0.0/16"));
        // What was on its way.
        rig.received(source(1, 1), &route(1, "10.4.0.0/16")).await;
        rig.down(source(1, 1)).await;
        rig.come_up(up(source(1, 2))).await;
        rig.taken_in(source(2, 1), &route(2, "10.6.0.0/16")).await;
        // Its identifier is somebody else's later on.
        let other = RdePeer { id: ONE, address: [192, 0, 2, 3].into(), ..dynamic(3) };
        rig.add(other).await;
        let there = Source { peer: ONE, epoch: Epoch(1) };
        rig.up_with(there, |n| n.remote_asn = asn(3)).await;
        rig.taken_in(there, &route(3, "10.5.0.0/16")).await;
        assert_eq!(rig.next(TWO).await, passed_on(3, "10.5.0.0/16"));
        assert_eq!(rig.prefixes(Table::LocRib).await, ["10.5.0.0/16", "10.6.0.0/16"]);
    }
}

#[tokio::test]
async fn session_hears_when_nothing_is_left_of_a_peer_that_did_not_come_back() {
    let mut rig = Rig::start(vec![peer(2)]).await;
    rig.up(source(2, 1)).await;
    rig.add(dynamic(1)).await;
    rig.up_with(source(1, 1), announces(graceful(1))).await;
    rig.taken_in(source(1, 1), &route(1, "10.2.0.0/16")).await;
    assert_eq!(rig.next(TWO).await, passed_on(1, "10.2.0.0/16"));
    rig.down_for(source(1, 1), DownReason::Restarting).await;
    assert_eq!(rig.next(TWO).await, withdrawal("10.2.0.0/16"));
    let said = soon(rig.control.recv()).await.unwrap().message;
    assert_eq!(said, RdeToSession::NothingKept(source(1, 1)));
}

#[tokio::test]
async fn only_what_is_a_dynamic_peer_is_added_and_removed_alone() {
    let mut rig = Rig::start(vec![peer(2)]).await;
    rig.up(source(2, 1)).await;
    rig.tell(ParentToRde::RemovePeers(vec![TWO, PeerId(77)])).await;
    rig.add(dynamic(1)).await;
    rig.up(source(1, 1)).await;
    rig.taken_in(source(1, 1), &route(1, "10.2.0.0/16")).await;
    assert_eq!(rig.next(TWO).await, passed_on(1, "10.2.0.0/16"), "a configured peer is not removed");
    rig.tell(ParentToRde::AddPeer(Box::new(peer(3)))).await;
    assert!(!rig.exited().await.success(), "the parent adds what is none");
}

/// Sums over all peers never become less.
#[tokio::test]
async fn what_was_counted_of_a_peer_that_is_gone_counts_on_in_sums() {
    let mut rig = Rig::start(vec![peer(2)]).await;
    rig.up(source(2, 1)).await;
    rig.add(dynamic(1)).await;
    rig.up_with(source(1, 1), announces(graceful(1))).await;
    // RFC 4271 §6.3: the first AS is not the peer's.
    rig.taken_in(source(1, 1), &from_elsewhere("10.1.0.0/16")).await;
    rig.taken_in(source(1, 1), &route(1, "10.2.0.0/16")).await;
    assert_eq!(rig.next(TWO).await, passed_on(1, "10.2.0.0/16"));
    let before = rig.faults().await;
    assert!(!before.is_empty());
    rig.down_for(source(1, 1), DownReason::Restarting).await;
    assert_eq!(rig.next(TWO).await, withdrawal("10.2.0.0/16"));
    rig.tell(ParentToRde::RemovePeers(vec![ONE])).await;
    rig.add(dynamic(3)).await;
    let after = rig.faults().await;
    let sum = |faults: &[FaultCount]| faults.iter().map(|f| f.count).sum::<u64>();
    assert_eq!(sum(&before), sum(&after));
    rig.queries.send(&ControlToRde::Counters { id: QueryId(9) }).await.unwrap();
    let RdeToControl::CountersReply { tables, peers, .. } = rig.answer().await else {
        panic!("not counters")
    };
    assert_eq!((tables.restarts_expired, peers.iter().any(|p| p.peer == ONE)), (1, false));
}

impl Rig {
    /// The faults of all peers together.
    async fn faults(&mut self) -> Vec<FaultCount> {
        self.queries.send(&ControlToRde::Errors { id: QueryId(8), peer: None }).await.unwrap();
        match self.answer().await {
            RdeToControl::ErrorsReply { counts, .. } => counts,
            other => panic!("{other:?}"),
        }
    }
}
