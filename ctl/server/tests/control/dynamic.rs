//! Dynamic neighbors: ranges that are listed, added and deleted, and neighbors that come and go.

use grpc::v1::neighbor_service_client::NeighborServiceClient;
use grpc::v1::{
    AddDynamicNeighborRequest, DeleteDynamicNeighborRequest, DeleteNeighborRequest, DynamicNeighborRange,
    GetNeighborStateRequest, ListDynamicNeighborsRequest, ListNeighborsRequest, NeighborState,
};
use ipc::PeerId;
use ipc::config::{ControlPeer, ControlRange};
use ipc::edit::{Edit, NewRange};
use ipc::parent_control::ParentToControl;
use tonic::Code;
use tonic::transport::Channel;

use crate::harness::{Control, peer};

type Client = NeighborServiceClient<Channel>;

/// Waits until the dynamic neighbors are these.
async fn until_dynamic(client: &mut Client, expected: &[&str]) -> Vec<NeighborState> {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let all = client.list_neighbors(ListNeighborsRequest {}).await.unwrap().into_inner().neighbors;
        let dynamic: Vec<&str> = all
            .iter()
            .filter(|n| n.is_dynamic)
            .map(|n| n.config.as_ref().unwrap().address.as_str())
            .collect();
        if dynamic == expected {
            return all;
        }
        assert!(std::time::Instant::now() < deadline, "{dynamic:?}");
    }
}

#[tokio::test]
async fn neighbors_come_and_go_between_configurations() {
    let (mut control, channel) = Control::start_whole().await;
    let mut client = NeighborServiceClient::new(channel);
    let dynamic = |id, address| ControlPeer { dynamic: true, remote_asn: 0, ..peer(id, address) };
    let (seven, eight) = (dynamic(7, "198.51.100.7"), dynamic(8, "198.51.100.8"));
    control.parent.send(&ParentToControl::AddPeers(vec![seven, eight.clone()])).await.unwrap();
    let all = until_dynamic(&mut client, &["198.51.100.7", "198.51.100.8"]).await;
    assert_eq!(all.len(), 5, "the configured ones are there as well");
    let request = DeleteNeighborRequest { address: "198.51.100.7".into() };
    let refused = client.delete_neighbor(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    control.parent.send(&ParentToControl::RemovePeers(vec![PeerId(7), PeerId(99)])).await.unwrap();
    until_dynamic(&mut client, &["198.51.100.8"]).await;
    let request = GetNeighborStateRequest { address: "198.51.100.7".into() };
    assert_eq!(client.get_neighbor_state(request).await.unwrap_err().code(), Code::NotFound);
    // Another configuration has those that were there when it was made.
    control.configure(2, vec![peer(1, "192.0.2.1"), eight]).await;
    until_dynamic(&mut client, &["198.51.100.8"]).await;
    control.configure(3, vec![peer(1, "192.0.2.1")]).await;
    until_dynamic(&mut client, &[]).await;
}

#[tokio::test]
async fn who_comes_or_goes_while_a_configuration_is_staged_is_in_it_or_not() {
    let (mut control, channel) = Control::start_whole().await;
    let mut client = NeighborServiceClient::new(channel);
    let dynamic = |id, address| ControlPeer { dynamic: true, ..peer(id, address) };
    let meanwhile = [
        ParentToControl::AddPeers(vec![dynamic(7, "198.51.100.7")]),
        ParentToControl::RemovePeers(vec![PeerId(8)]),
    ];
    control.configure_with(2, vec![dynamic(8, "198.51.100.8")], &[], &meanwhile).await;
    until_dynamic(&mut client, &["198.51.100.7"]).await;
}

#[tokio::test]
async fn ranges_are_listed_added_and_deleted() {
    let (mut control, channel) = Control::start_whole().await;
    let mut client = NeighborServiceClient::new(channel);
    let list = ListDynamicNeighborsRequest {};
    assert!(client.list_dynamic_neighbors(list).await.unwrap().into_inner().ranges.is_empty());
    let shown = |prefix: &str, remote_asn| ControlRange {
        prefix: prefix.parse().unwrap(),
        peer_group: "ix".into(),
        remote_asn,
        description: "members".into(),
    };
    let staged =
        [ParentToControl::StageRanges(vec![shown("192.0.2.0/24", 0), shown("2001:db8::/32", 65009)])];
    control.configure_with(2, vec![peer(1, "192.0.2.1")], &staged, &[]).await;
    let ranges = client.list_dynamic_neighbors(list).await.unwrap().into_inner().ranges;
    let range = |prefix: &str, remote_asn| DynamicNeighborRange {
        prefix: prefix.into(),
        peer_group: "ix".into(),
        remote_asn,
        description: "members".into(),
    };
    assert_eq!(ranges, [range("192.0.2.0/24", 0), range("2001:db8::/32", 65009)]);

    let add = |range| AddDynamicNeighborRequest { range };
    client.add_dynamic_neighbor(add(Some(range("198.51.100.0/24", 65001)))).await.unwrap();
    let delete = |prefix: &str| DeleteDynamicNeighborRequest { prefix: prefix.into() };
    client.delete_dynamic_neighbor(delete("192.0.2.0/24")).await.unwrap();
    let new = NewRange {
        prefix: "198.51.100.0/24".parse().unwrap(),
        peer_group: "ix".into(),
        remote_asn: 65001,
        description: Some("members".into()),
    };
    let prefix = "192.0.2.0/24".parse().unwrap();
    assert_eq!(control.world.lock().unwrap().edits, [Edit::AddRange(new), Edit::DeleteRange { prefix }]);
    // What makes no sense does not reach the parent.
    for wrong in [
        None,
        Some(range("192.0.2.0", 0)),
        Some(range("192.0.2.1/24", 0)),
        Some(DynamicNeighborRange { peer_group: String::new(), ..range("10.0.0.0/8", 0) }),
    ] {
        let error = client.add_dynamic_neighbor(add(wrong)).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    }
    let error = client.delete_dynamic_neighbor(delete("192.0.2.9/24")).await.unwrap_err();
    assert!(error.code() == Code::InvalidArgument && error.message().contains("192.0.2.0/24"), "{error}");
    assert_eq!(control.world.lock().unwrap().edits.len(), 2);
}
