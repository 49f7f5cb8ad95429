//! Lists in pages: complete and in order, however many shards there are and whatever happens meanwhile.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod tables;

use std::net::Ipv4Addr;

use bgp::aspath::AsPathBuf;
use bgp::attr::canonical::Builder;
use bgp::attr::{Origin, PathAttribute};
use bgp::{Asn, NextHop};
use ipnet::{IpNet, Ipv4Net};
use proptest::prelude::*;
use rib::{Limits, Query, QueryTable, RouteKey, Settings};
use tables::Tables;

fn prefix(n: u32) -> IpNet {
    Ipv4Net::new(Ipv4Addr::from_bits(0x0a00_0000 | n << 8), 24).unwrap().into()
}

fn attributes() -> Vec<u8> {
    Builder::new()
        .with(PathAttribute::Origin(Origin::Igp))
        .with(PathAttribute::AsPath(AsPathBuf::sequence([Asn(65001)])))
        .build()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_route_that_is_there_all_along_is_listed_once(
        shards in 1..6_u32,
        limit in 1..40_usize,
        stays in prop::collection::btree_set(0..300_u32, 1..200),
        // Come and go between two pages.
        others in prop::collection::vec(0..300_u32, 0..60),
    ) {
        let limits = Limits::default();
        let settings =
            Settings { asn: 65000, router_id: 1, cluster_id: 1, med_always_compare: false, limits };
        let mut tables = Tables::new(settings, shards);
        let (attributes, next_hop) = (attributes(), NextHop::V4([192, 0, 2, 9].into()));
        for n in &stays {
            tables.inject(prefix(*n), 0, &attributes, next_hop);
        }
        let mut query = Query {
            table: QueryTable::LocRib,
            family: None,
            prefix: None,
            longer: false,
            origin_asn: 0,
            communities: vec![],
            large_communities: vec![],
            after: None,
            limit,
        };
        let mut listed: Vec<RouteKey> = Vec::new();
        let mut changes = others.iter().filter(|n| !stays.contains(n)).cycle().take(200);
        loop {
            let page = tables.page(&query);
            prop_assert!(page.routes.len() <= limit);
            listed.extend(page.routes.iter().map(|r| r.key));
            let Some(next) = page.more_behind else { break };
            query.after = Some(next);
            for n in changes.by_ref().take(3) {
                if !tables.withdraw_injected(prefix(*n), 0) {
                    tables.inject(prefix(*n), 0, &attributes, next_hop);
                }
            }
        }
        prop_assert!(listed.is_sorted() && listed.windows(2).all(|w| w[0] != w[1]), "{listed:?}");
        let kept: Vec<IpNet> = listed.iter().map(|k| k.prefix).filter(|p| stays.iter().any(|n| prefix(*n) == *p)).collect();
        prop_assert_eq!(kept, stays.iter().map(|n| prefix(*n)).collect::<Vec<_>>());
    }
}
