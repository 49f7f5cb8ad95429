//! Peers take turns: nobody waits for all that another one has sent.

use std::net::Ipv4Addr;

use bgp::attr::{Origin, PathAttribute};
use bgp::header::HEADER_LEN;
use bgp::update::{UpdateBuilder, parse};
use ipc::PeerId;
use ipnet::{IpNet, Ipv4Net};

use crate::rig::{Rig, asn, peer, source};
use crate::{net, path, read_context, route};

/// Prefixes of the storm; the messages of both peers fit a datagram.
const STORM: u32 = 20_000;

#[tokio::test]
async fn a_storm_of_one_peer_does_not_hold_up_anothers_only_route() {
    let mut rig = Rig::start(vec![peer(1), peer(2), peer(3)]).await;
    for n in 1..=3 {
        rig.up(source(n, 1)).await;
    }
    let all: Vec<(Option<u32>, IpNet)> = (0..STORM)
        .map(|n| (None, Ipv4Net::new(Ipv4Addr::from_bits(0x0b00_0000 | n << 8), 24).unwrap().into()))
        .collect();
    let storm: Vec<u8> = (all.chunks(800))
        .flat_map(|announced| {
            let next_hop = PathAttribute::NextHop(Ipv4Addr::new(192, 0, 2, 1));
            let attributes = vec![PathAttribute::Origin(Origin::Igp), path(&[asn(1)]), next_hop];
            UpdateBuilder { announced: announced.to_vec(), attributes, ..Default::default() }.message(true)
        })
        .collect();
    rig.received_together(&[(source(1, 1), &storm), (source(2, 1), &route(2, "10.2.0.0/16"))]).await;
    let (mut before, mut total, mut lone) = (None, 0, 0);
    while total < STORM as usize || lone == 0 {
        let message = rig.next(PeerId(3)).await;
        let update = parse(&message[HEADER_LEN..], &read_context()).unwrap();
        for (_, prefix) in update.announced.iter() {
            if prefix == net("10.2.0.0/16") {
                before = Some(total);
                lone += 1;
            } else {
                total += 1;
            }
        }
    }
    assert!(before.is_some_and(|n| n < STORM as usize / 2), "{before:?} of the storm came before");
    assert_eq!((total, lone), (STORM as usize, 1), "everything arrives, once");
}
