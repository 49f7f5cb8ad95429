//! RibService: pages, conditions, counters.

use std::collections::BTreeSet;

use bgp::Family;
use grpc::v1::rib_service_client::RibServiceClient;
use grpc::v1::{
    AddressFamily, ExplainAdvertisedRouteRequest, ExplainBestPathRequest, ExplainDecision,
    ExplainReceivedRouteRequest, ListRoutesRequest, RibSummaryRequest, Route,
};
use ipc::PeerId;
use ipc::control_rde::{RouteFilter, Segment, Table};
use tonic::Code;
use tonic::transport::Channel;

use crate::harness::{Control, route, soon};

fn numbered(n: usize) -> String {
    format!("10.{}.{}.0/24", n / 256, n % 256)
}

fn name(r: &Route) -> String {
    format!("{}/{}", r.prefix, r.prefix_length)
}

async fn all_pages(
    client: &mut RibServiceClient<Channel>,
    page_size: u32,
    mut between: impl FnMut(),
) -> Vec<Route> {
    let mut request = ListRoutesRequest { page_size, ..ListRoutesRequest::default() };
    let mut all = Vec::new();
    loop {
        let page = client.list_best_routes(request.clone()).await.unwrap().into_inner();
        all.extend(page.routes);
        if page.next_page_token.is_empty() {
            return all;
        }
        request.page_token = page.next_page_token;
        between();
    }
}

#[tokio::test]
async fn pages_neither_skip_nor_repeat_while_the_table_changes() {
    let (control, channel) = Control::start_whole().await;
    let mut client = RibServiceClient::new(channel);
    for n in (0..1000).filter(|n| n % 3 != 0) {
        control.world.lock().unwrap().add(route(&numbered(n), Some(1)));
    }
    for page_size in [1, 7, 100, 666, 667] {
        // Every third prefix comes and goes: at one page all of them are there, at the next none.
        let mut there = false;
        let world = std::sync::Arc::clone(&control.world);
        let routes = all_pages(&mut client, page_size, || {
            let mut world = world.lock().unwrap();
            there = !there;
            for n in (0..1000).filter(|n| n % 3 == 0) {
                let r = route(&numbered(n), Some(1));
                if there {
                    world.add(r);
                } else {
                    world.routes.remove(&(r.prefix, r.peer, r.path_id));
                }
            }
        })
        .await;
        let names: Vec<String> = routes.iter().map(name).collect();
        let distinct: BTreeSet<&String> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "nothing twice, page size {page_size}");
        for n in (0..1000).filter(|n| n % 3 != 0) {
            assert!(distinct.contains(&numbered(n)), "{} is missing, page size {page_size}", numbered(n));
        }
        control.world.lock().unwrap().routes.retain(|k, _| {
            let octets = match k.0.addr() {
                std::net::IpAddr::V4(a) => a.octets(),
                std::net::IpAddr::V6(_) => [0; 4],
            };
            (usize::from(octets[1]) * 256 + usize::from(octets[2])) % 3 != 0
        });
    }
}

#[tokio::test]
async fn page_size_has_a_default_and_a_cap() {
    let (control, channel) = Control::start_whole().await;
    for n in 0..12_000 {
        control.world.lock().unwrap().add(route(&numbered(n), Some(1)));
    }
    let mut client = RibServiceClient::new(channel);
    for (asked, given) in [(0, 1_000), (10, 10), (10_000, 10_000), (20_000, 10_000)] {
        let request = ListRoutesRequest { page_size: asked, ..ListRoutesRequest::default() };
        let page = client.list_best_routes(request).await.unwrap().into_inner();
        assert_eq!((page.routes.len(), page.total_count), (given, 12_000));
        assert!(!page.next_page_token.is_empty());
    }
}

#[tokio::test]
async fn pages_of_large_routes_stay_within_what_clients_accept() {
    let (control, channel) = Control::start_whole().await;
    for n in 0..5_000 {
        let mut r = route(&numbered(n), Some(1));
        r.communities = vec![u32::MAX - 5; 300];
        control.world.lock().unwrap().add(r);
    }
    // The client's limit is the 4 MiB that every gRPC library has by default.
    let routes = soon(all_pages(&mut RibServiceClient::new(channel), 10_000, || ())).await;
    let names: Vec<String> = routes.iter().map(name).collect();
    assert_eq!(names, (0..5_000).map(numbered).collect::<Vec<_>>());
}

#[tokio::test]
async fn tokens_are_good_for_the_same_question_only() {
    let (control, channel) = Control::start_whole().await;
    for n in 0..20 {
        control.world.lock().unwrap().add(route(&numbered(n), Some(1)));
    }
    let mut client = RibServiceClient::new(channel);
    let request = ListRoutesRequest { page_size: 5, ..ListRoutesRequest::default() };
    let token = client.list_best_routes(request.clone()).await.unwrap().into_inner().next_page_token;
    let with = |token: &str| ListRoutesRequest { page_token: token.into(), ..request.clone() };
    let other_size = ListRoutesRequest { page_size: 100, ..with(&token) };
    assert_eq!(client.list_best_routes(other_size).await.unwrap().into_inner().routes.len(), 15);
    let other_question = ListRoutesRequest { origin_asn: 1, ..with(&token) };
    for wrong in [other_question, with("garbage"), with(&token[..10]), with(&format!("{token}00"))] {
        let status = client.list_best_routes(wrong).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().starts_with("page_token"));
    }
    let status = client.list_received_routes(with(&token)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn conditions_reach_rde_as_they_were_given() {
    let (control, channel) = Control::start_whole().await;
    let mut client = RibServiceClient::new(channel);
    let request = ListRoutesRequest {
        neighbor_address: "192.0.2.1".into(),
        afi_safi: AddressFamily::Ipv4Unicast.into(),
        prefix_filter: "10.0.0.0".into(),
        prefix_filter_length: 8,
        longer_prefixes: true,
        origin_asn: 65010,
        community_filter: vec![1, 2],
        large_community_filter: vec!["1:2:3".into()],
        ..ListRoutesRequest::default()
    };
    let filter = RouteFilter {
        family: Some(Family::Ipv4Unicast),
        prefix: Some("10.0.0.0/8".parse().unwrap()),
        longer: true,
        origin_asn: 65010,
        communities: vec![1, 2],
        large_communities: vec![(1, 2, 3)],
    };
    client.list_received_routes(request.clone()).await.unwrap();
    client.list_advertised_routes(request.clone()).await.unwrap();
    let everyone = ListRoutesRequest { neighbor_address: String::new(), ..request };
    client.list_received_routes(everyone.clone()).await.unwrap();
    client.list_best_routes(everyone).await.unwrap();
    let asked: Vec<_> = control.world.lock().unwrap().questions.iter().map(|q| (q.0, q.1.clone())).collect();
    let tables =
        [Table::AdjRibIn(Some(PeerId(1))), Table::AdjRibOut(PeerId(1)), Table::AdjRibIn(None), Table::LocRib];
    assert_eq!(asked, tables.map(|t| (t, filter.clone())));
}

#[tokio::test]
async fn conditions_that_make_no_sense_are_refused() {
    let (control, channel) = Control::start_whole().await;
    let mut client = RibServiceClient::new(channel);
    type Change = fn(&mut ListRoutesRequest);
    let cases: [(&str, Change); 10] = [
        ("afi_safi", |r| r.afi_safi = 3),
        ("afi_safi", |r| r.afi_safi = 99),
        ("prefix_filter", |r| r.prefix_filter = "ten".into()),
        ("prefix_filter", |r| (r.prefix_filter, r.prefix_filter_length) = ("10.0.0.1".into(), 8)),
        ("prefix_filter", |r| (r.prefix_filter, r.afi_safi) = ("10.0.0.0".into(), 2)),
        ("prefix_filter_length", |r| (r.prefix_filter, r.prefix_filter_length) = ("10.0.0.0".into(), 33)),
        ("prefix_filter", |r| r.prefix_filter_length = 8),
        ("large_community_filter", |r| r.large_community_filter = vec!["1:2".into()]),
        ("neighbor_address", |r| r.neighbor_address = "192.0.2.1".into()),
        ("page_token", |r| r.page_token = "x".into()),
    ];
    for (field, change) in cases {
        let mut request = ListRoutesRequest::default();
        change(&mut request);
        let status = client.list_best_routes(request.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{request:?}");
        assert!(status.message().starts_with(field), "{}", status.message());
    }
    let status = client.list_advertised_routes(ListRoutesRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let unknown = ListRoutesRequest { neighbor_address: "192.0.2.9".into(), ..ListRoutesRequest::default() };
    assert_eq!(client.list_advertised_routes(unknown.clone()).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(client.list_received_routes(unknown).await.unwrap_err().code(), Code::NotFound);
    assert!(control.world.lock().unwrap().questions.is_empty());
}

#[tokio::test]
async fn routes_come_with_all_their_attributes() {
    let (control, channel) = Control::start_whole().await;
    let mut sets = route("2001:db8:5::/48", None);
    sets.as_path.push(Segment { set: true, asns: vec![7, 8] });
    sets.local_pref = Some(200);
    sets.med = None;
    sets.path_id = 9;
    sets.best = false;
    sets.extended_communities = vec![0x0002_fde9_0000_0064];
    control.world.lock().unwrap().add(sets);
    control.world.lock().unwrap().add(route("10.1.0.0/16", Some(2)));
    let mut client = RibServiceClient::new(channel);
    let routes = client.list_best_routes(ListRoutesRequest::default()).await.unwrap().into_inner().routes;
    let plain = &routes[0];
    assert_eq!(
        (plain.prefix.as_str(), plain.prefix_length, plain.next_hop.as_str()),
        ("10.1.0.0", 16, "192.0.2.1")
    );
    assert_eq!((plain.peer_address.as_str(), plain.best, plain.path_id), ("2001:db8::2", true, 0));
    assert_eq!((plain.local_pref, plain.has_local_pref, plain.med, plain.has_med), (0, false, 0, true));
    assert_eq!((plain.as_path.as_slice(), plain.as_path_segments.len()), (&[65001, 65010][..], 0));
    assert_eq!(
        (plain.communities.as_slice(), plain.large_communities[0].as_str()),
        (&[65001 << 16 | 100][..], "65001:1:2")
    );
    let with_sets = &routes[1];
    assert_eq!((with_sets.peer_address.as_str(), with_sets.best, with_sets.path_id), ("0.0.0.0", false, 9));
    assert_eq!(
        (with_sets.next_hop.as_str(), with_sets.link_local_next_hop.as_str()),
        ("2001:db8::1", "fe80::1")
    );
    assert_eq!(with_sets.as_path, [65001, 65010, 7, 8]);
    let segments: Vec<_> = with_sets.as_path_segments.iter().map(|s| (s.set, s.asns.clone())).collect();
    assert_eq!(segments, [(false, vec![65001, 65010]), (true, vec![7, 8])]);
    assert_eq!((with_sets.local_pref, with_sets.has_local_pref, with_sets.has_med), (200, true, false));
    assert_eq!(with_sets.extended_communities, [0x0002_fde9_0000_0064]);
}

#[tokio::test]
async fn summary_counts_per_family_and_neighbor() {
    let (_control, channel) = Control::start_whole().await;
    let summary =
        RibServiceClient::new(channel).get_rib_summary(RibSummaryRequest {}).await.unwrap().into_inner();
    let families: Vec<_> = summary
        .families
        .iter()
        .map(|f| (f.family.as_str(), f.loc_rib_prefixes, f.adj_rib_in_routes, f.adj_rib_out_routes))
        .collect();
    assert_eq!(families[..2], [("ipv4_unicast", 0, 100, 90), ("ipv6_unicast", 7, 50, 40)]);
    assert_eq!(summary.attribute_sets, 33);
    let neighbors: Vec<_> =
        summary.neighbors.iter().map(|n| (n.address.as_str(), n.families[0].received)).collect();
    assert_eq!(neighbors, [("10.0.0.9", 0), ("192.0.2.1", 10), ("2001:db8::2", 20)]);
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_its_query() {
    let (mut control, channel) = Control::start_whole().await;
    control.world.lock().unwrap().silent = true;
    let mut client = RibServiceClient::new(channel);
    let call = tokio::spawn(async move { client.list_best_routes(ListRoutesRequest::default()).await });
    control.until(|w| !w.questions.is_empty()).await;
    call.abort();
    control.until(|w| w.cancelled.len() == 1).await;
}

#[tokio::test]
async fn a_prefix_is_explained() {
    let (_control, channel) = Control::start_whole().await;
    let mut client = RibServiceClient::new(channel);
    let (prefix, prefix_length) = ("10.1.1.0".to_owned(), 24);

    let request = ExplainBestPathRequest { prefix: prefix.clone(), prefix_length };
    let best = client.explain_best_path(request).await.unwrap().into_inner();
    assert!(best.best_route.is_some_and(|r| r.peer_address == "192.0.2.1"));
    let against: Vec<_> =
        (best.candidates.iter()).map(|c| (c.vs_best_reason.as_str(), c.vs_best_ordering.as_str())).collect();
    assert_eq!(against, [("", "equal"), ("shorter_as_path", "worse")]);

    let request = |peer_address: &str, prefix_length| ExplainReceivedRouteRequest {
        peer_address: peer_address.to_owned(),
        prefix: prefix.clone(),
        prefix_length,
    };
    let received = client.explain_received_route(request("192.0.2.1", 24)).await.unwrap().into_inner();
    let [used, rejected] = received.paths.as_slice() else { panic!("{received:?}") };
    assert_eq!(used.made.as_ref().map(|r| r.local_pref), Some(250));
    assert_eq!(used.modifications.as_ref().and_then(|m| m.set_local_pref), Some(250));
    assert!(rejected.route.as_ref().is_some_and(|r| r.rejected));
    let statement = &rejected.policies[0].statements[0];
    assert_eq!((statement.name.as_str(), statement.line, statement.held), ("high", 12, true));
    assert_eq!((statement.matches[0].found.as_str(), statement.action.as_str()), ("7", "deny"));

    let request = |peer_address: &str, prefix: &str, prefix_length| ExplainAdvertisedRouteRequest {
        peer_address: peer_address.to_owned(),
        prefix: prefix.to_owned(),
        prefix_length,
    };
    let sent =
        client.explain_advertised_route(request("192.0.2.1", "10.1.1.0", 24)).await.unwrap().into_inner();
    assert_eq!((sent.decision(), sent.paths.len()), (ExplainDecision::Advertise, 2));
    assert_eq!(sent.reasons[0].code, "policy_permitted");
    let none =
        client.explain_advertised_route(request("192.0.2.1", "10.0.0.0", 8)).await.unwrap().into_inner();
    assert_eq!(none.decision(), ExplainDecision::NoBestRoute);

    for (peer, prefix, expected) in [
        ("192.0.2.99", "10.1.1.0", Code::NotFound),
        ("nobody", "10.1.1.0", Code::InvalidArgument),
        ("192.0.2.1", "10.1.1.1", Code::InvalidArgument),
    ] {
        let answer = client.explain_advertised_route(request(peer, prefix, 24)).await;
        assert_eq!(answer.unwrap_err().code(), expected, "{peer} {prefix}");
    }
}
