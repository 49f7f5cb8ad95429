//! Clients of a route server: each has its own best path (RFC 7947 §2.3).

use ipc::config::RdePeer;
use ipc::control_rde::{ControlToRde, RdeToControl, RouteFilter, Table};
use ipc::{PeerId, QueryId};

use crate::rig::*;
use crate::{ONE, TWO, route, withdrawal};

const THREE: PeerId = PeerId(3);
const PREFIX: &str = "10.1.0.0/16";

fn client(n: u8) -> RdePeer {
    RdePeer { route_server_client: true, ..peer(n) }
}

impl Rig {
    /// What a client has been sent: from which peer, and whether that is the best of all.
    async fn has(&mut self, peer: PeerId) -> Vec<(Option<PeerId>, bool)> {
        let (routes, ..) = self.page(Table::AdjRibOut(peer), RouteFilter::default(), None, 10).await;
        routes.iter().map(|r| (r.peer, r.best)).collect()
    }

    /// How many routes each peer has been sent.
    async fn counted(&mut self) -> Vec<u64> {
        self.queries.send(&ControlToRde::Counters { id: QueryId(8) }).await.unwrap();
        let RdeToControl::CountersReply { peers, .. } = self.answer().await else { panic!("not counters") };
        peers.iter().map(|p| p.advertised[0]).collect()
    }
}

#[tokio::test]
async fn rfc7947_2_3_a_client_whose_route_is_the_best_gets_the_next_one() {
    let mut rig = Rig::start(vec![client(1), client(2), client(3)]).await;
    for n in 1..=3 {
        rig.up(source(n, 1)).await;
    }
    // Of equal routes that of peer 1 is the best.
    rig.taken_in(source(2, 1), &route(2, PREFIX)).await;
    assert_eq!(rig.next(ONE).await, route(2, PREFIX));
    assert_eq!(rig.next(THREE).await, route(2, PREFIX));
    assert_eq!((rig.has(ONE).await, rig.has(TWO).await), (vec![(Some(TWO), true)], vec![]));
    rig.taken_in(source(1, 1), &route(1, PREFIX)).await;
    assert_eq!(rig.next(TWO).await, route(1, PREFIX));
    assert_eq!(rig.next(THREE).await, route(1, PREFIX));
    // Peer 1 keeps what it has, though that is not the best any more.
    assert_eq!(rig.has(ONE).await, [(Some(TWO), false)]);
    assert_eq!(
        (rig.has(TWO).await, rig.has(THREE).await),
        (vec![(Some(ONE), true)], vec![(Some(ONE), true)])
    );
    assert_eq!(rig.counted().await, [1, 1, 1]);
    // A client that comes later, and one that asks again, get the same.
    rig.down(source(3, 1)).await;
    assert_eq!(rig.up(source(3, 2)).await, [route(1, PREFIX)]);

    rig.taken_in(source(2, 1), &withdrawal(PREFIX)).await;
    assert_eq!(rig.next(ONE).await, withdrawal(PREFIX));
    rig.taken_in(source(2, 1), &route(2, PREFIX)).await;
    assert_eq!(rig.next(ONE).await, route(2, PREFIX));
    rig.taken_in(source(1, 1), &withdrawal(PREFIX)).await;
    assert_eq!(rig.next(TWO).await, withdrawal(PREFIX));
    assert_eq!(rig.next(THREE).await, route(2, PREFIX));
    // It has that already, and is told it again with the others.
    assert_eq!(rig.next(ONE).await, route(2, PREFIX));
    assert_eq!(rig.has(ONE).await, [(Some(TWO), true)]);
    assert_eq!(rig.counted().await, [1, 0, 1]);
    rig.down(source(2, 1)).await;
    assert_eq!(rig.next(ONE).await, withdrawal(PREFIX));
    assert_eq!(rig.next(THREE).await, withdrawal(PREFIX));
}
