//! InjectionService.

use grpc::v1::injection_service_client::InjectionServiceClient;
use grpc::v1::{AddPathRequest, DeletePathRequest, InjectRoutesRequest};
use tonic::Code;

use crate::harness::Control;

fn path(n: u32) -> AddPathRequest {
    AddPathRequest {
        prefix: format!("10.{}.{}.0", n >> 8, n & 255),
        prefix_length: 24,
        next_hop: "192.0.2.1".into(),
        as_path: vec![65001, n + 1],
        origin: 2,
        local_pref: Some(0),
        communities: vec![1, 2],
        extended_communities: vec![3],
        large_communities: vec!["1:2:3".into()],
        ..AddPathRequest::default()
    }
}

#[tokio::test]
async fn a_route_is_injected_and_withdrawn() {
    let (control, channel) = Control::start_whole().await;
    let mut client = InjectionServiceClient::new(channel);
    client.add_path(AddPathRequest { path_id: 5, ..path(7) }).await.unwrap();
    {
        let world = control.world.lock().unwrap();
        let r = &world.injected[0];
        assert_eq!((r.prefix.to_string().as_str(), r.path_id, r.origin), ("10.0.7.0/24", 5, 2));
        assert_eq!((r.as_path.as_slice(), r.next_hop.to_string().as_str()), (&[65001, 8][..], "192.0.2.1"));
        assert_eq!((r.local_pref, r.med), (Some(0), None));
        assert_eq!(
            (r.communities.len(), r.extended_communities[0], r.large_communities[0]),
            (2, 3, (1, 2, 3))
        );
    }
    let mut delete = async |path_id| {
        let request = DeletePathRequest { prefix: "10.0.7.0".into(), prefix_length: 24, path_id };
        client.delete_path(request).await
    };
    assert_eq!(delete(0).await.unwrap_err().code(), Code::NotFound);
    delete(5).await.unwrap();
    assert_eq!(delete(5).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn routes_that_no_peer_may_send_do_not_reach_rde() {
    let (control, channel) = Control::start_whole().await;
    let mut client = InjectionServiceClient::new(channel);
    let wrong = [
        AddPathRequest { origin: 3, ..path(1) },
        AddPathRequest { prefix_length: 33, ..path(1) },
        AddPathRequest { next_hop: "2001:db8::1".into(), ..path(1) },
        AddPathRequest { as_path: vec![0], ..path(1) },
        AddPathRequest { large_communities: vec!["1:2:x".into()], ..path(1) },
    ];
    for request in wrong {
        assert_eq!(client.add_path(request).await.unwrap_err().code(), Code::InvalidArgument);
    }
    assert!(control.world.lock().unwrap().injected.is_empty());
}

#[tokio::test]
async fn a_stream_injects_every_route_in_order() {
    let (control, channel) = Control::start_whole().await;
    let batches: Vec<InjectRoutesRequest> = (0..20)
        .map(|b| InjectRoutesRequest { paths: (b * 1000..(b + 1) * 1000).map(path).collect() })
        .collect();
    let mut client = InjectionServiceClient::new(channel);
    let answer = client.inject_routes(tokio_stream::iter(batches)).await.unwrap().into_inner();
    assert_eq!(answer.injected, 20_000);
    let world = control.world.lock().unwrap();
    let injected: Vec<_> = world.injected.iter().map(|r| r.as_path[1]).collect();
    assert_eq!(injected, (1..=20_000).collect::<Vec<_>>());
    assert!(world.inject_messages < 400, "{} messages", world.inject_messages);
}

#[tokio::test]
async fn a_wrong_route_ends_the_stream_and_is_named() {
    let (control, channel) = Control::start_whole().await;
    let batches = vec![
        InjectRoutesRequest { paths: vec![path(1), path(2)] },
        InjectRoutesRequest { paths: vec![path(3), AddPathRequest { origin: 9, ..path(4) }] },
    ];
    let mut client = InjectionServiceClient::new(channel);
    let status = client.inject_routes(tokio_stream::iter(batches)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().starts_with("route 4 (10.0.4.0/24): origin"), "{}", status.message());
    assert_eq!(control.world.lock().unwrap().injected.len(), 2);
}
