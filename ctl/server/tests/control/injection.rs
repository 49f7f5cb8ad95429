//! InjectionService.

use grpc::v1::injection_item::Item;
use grpc::v1::injection_service_client::InjectionServiceClient;
use grpc::v1::{
    AddPathRequest, DeleteOwnerRequest, DeletePathRequest, InjectRoutesRequest, InjectStreamRequest,
    InjectionItem, ListOwnersRequest, RenewLeaseRequest,
};
use ipc::control_rde::{ControlToRde, OwnedBy, RdeToControl};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use crate::harness::{Control, soon, unix_channel};

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

fn add(n: u32) -> InjectionItem {
    InjectionItem { item: Some(Item::Add(path(n))) }
}

fn delete(n: u32) -> InjectionItem {
    let AddPathRequest { prefix, prefix_length, .. } = path(n);
    InjectionItem { item: Some(Item::Delete(DeletePathRequest { prefix, prefix_length, path_id: 0 })) }
}

fn message(items: Vec<InjectionItem>) -> InjectStreamRequest {
    InjectStreamRequest { owner: "announcer-1".into(), lease_seconds: Some(600), items }
}

#[tokio::test]
async fn each_message_of_a_stream_is_answered_in_order_and_what_is_wrong_is_named() {
    let (control, channel) = Control::start_whole().await;
    let mut client = InjectionServiceClient::new(channel);
    let wrong = InjectionItem { item: Some(Item::Add(AddPathRequest { origin: 9, ..path(5) })) };
    let mut messages = vec![
        message(vec![add(1), add(2)]),
        message(vec![delete(2), add(4), wrong, InjectionItem { item: None }, add(6)]),
        message(vec![]),
    ];
    messages.extend((0..20).map(|b| message((0..1000).map(|n| add(1000 + b * 1000 + n)).collect())));
    let mut answers = client.inject_stream(tokio_stream::iter(messages)).await.unwrap().into_inner();
    let mut all = Vec::new();
    while let Some(answer) = soon(answers.message()).await.unwrap() {
        all.push(answer);
    }
    assert_eq!(all.iter().map(|a| a.message).collect::<Vec<_>>(), (1..=23).collect::<Vec<_>>());
    let done: Vec<u64> = all.iter().map(|a| a.done).collect();
    assert_eq!(done[..3], [2, 3, 0]);
    assert!(done[3..].iter().all(|n| *n == 1000));
    let errors = &all[1].errors;
    assert_eq!(errors.iter().map(|e| e.item).collect::<Vec<_>>(), [5, 6]);
    assert_eq!((errors[0].prefix.as_str(), errors[0].prefix_length), ("10.0.5.0", 24));
    assert!(errors[0].message.starts_with("origin") && errors[1].message.contains("add or delete"));
    let world = control.world.lock().unwrap();
    let injected: Vec<_> = world.injected.iter().map(|r| r.as_path[1]).collect();
    let expected: Vec<u32> = [2, 5, 7].into_iter().chain(1001..=21_000).collect();
    assert_eq!(injected, expected);
    let owner = OwnedBy { name: "announcer-1".into(), lease: Some(600) };
    assert!(world.owners.iter().all(|o| o.as_ref() == Some(&owner)));
    assert!(world.inject_messages < 400);
}

#[tokio::test]
async fn a_stream_that_makes_no_sense_ends() {
    let (_control, channel) = Control::start_whole().await;
    let mut client = InjectionServiceClient::new(channel);
    let other = InjectStreamRequest { owner: "b".into(), ..message(vec![]) };
    let lease_of_nobody = InjectStreamRequest { owner: String::new(), ..message(vec![]) };
    for (messages, says) in [
        (vec![message(vec![]), other], "owner"),
        (vec![lease_of_nobody], "lease_seconds"),
        (vec![message(vec![InjectionItem { item: None }; 10_001])], "10000"),
    ] {
        let mut answers = client.inject_stream(tokio_stream::iter(messages)).await.unwrap().into_inner();
        let status = loop {
            match soon(answers.message()).await {
                Ok(answer) => assert!(answer.is_some()),
                Err(status) => break status,
            }
        };
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(says), "{status}");
    }
}

#[tokio::test]
async fn no_more_is_read_than_rde_takes_and_an_open_stream_keeps_its_lease() {
    let mut control = Control::start().await;
    let mut rde = control.raw_rde().await;
    let path = control.listen_unix("grpc.sock", ipc::config::Access::ReadWrite).await;
    let mut client = InjectionServiceClient::new(unix_channel(path).await);
    let (messages, receiver) = mpsc::channel(1);
    let lease = |items| InjectStreamRequest { lease_seconds: Some(3), ..message(items) };
    let mut answers = soon(client.inject_stream(ReceiverStream::new(receiver))).await.unwrap().into_inner();
    let sender = tokio::spawn(async move {
        for n in 0..200 {
            messages.send(lease((0..1000).map(|i| add((n * 1000 + i) % 65_536)).collect())).await.unwrap();
        }
        messages
    });
    let mut ids = std::collections::VecDeque::new();
    let mut question = async || soon(rde.recv()).await.unwrap().message;
    // Nothing is answered: not more than four come.
    while ids.len() < 4 {
        let ControlToRde::Inject { id, items, .. } = question().await else { panic!("not to inject") };
        ids.push_back((id, items.len() as u32));
    }
    // The next thing that it says is that its owner is still there.
    let ControlToRde::Renew { id, owner } = question().await else { panic!("more than four") };
    assert_eq!(owner, OwnedBy { name: "announcer-1".into(), lease: Some(3) });
    rde.send(&RdeToControl::Injected { id, count: 1 }).await.unwrap();
    let serving = tokio::spawn(async move {
        let mut count = 0u64;
        loop {
            while let Some((id, n)) = ids.pop_front() {
                rde.send(&RdeToControl::Injected { id, count: n }).await.unwrap();
                count += u64::from(n);
            }
            match rde.recv().await.map(|r| r.message) {
                Ok(ControlToRde::Inject { id, items, .. }) => ids.push_back((id, items.len() as u32)),
                Ok(ControlToRde::Renew { id, .. }) => {
                    rde.send(&RdeToControl::Injected { id, count: 1 }).await.unwrap();
                }
                _ => return count,
            }
        }
    });
    let mut done = 0;
    for n in 1..=200 {
        let answer = soon(answers.message()).await.unwrap().unwrap();
        assert_eq!(answer.message, n);
        done += answer.done;
    }
    assert_eq!(done, 200_000);
    drop(soon(sender).await.unwrap());
    assert!(soon(answers.message()).await.unwrap().is_none());
    drop(control);
    assert_eq!(soon(serving).await.unwrap(), 200_000);
}

#[tokio::test]
async fn owners_are_listed_renewed_and_deleted() {
    let (control, channel) = Control::start_whole().await;
    let mut client = InjectionServiceClient::new(channel);
    let owned = AddPathRequest { owner: "a".into(), lease_seconds: Some(9), ..path(1) };
    client.add_path(owned).await.unwrap();
    assert_eq!(control.world.lock().unwrap().owners, [Some(OwnedBy { name: "a".into(), lease: Some(9) })]);
    let owners = client.list_owners(ListOwnersRequest {}).await.unwrap().into_inner().owners;
    assert_eq!(
        (owners[0].name.as_str(), owners[0].routes, owners[0].lease_seconds, owners[0].seconds_left),
        ("announcer-1", 7, 30, 12)
    );
    let renew = |owner: &str| RenewLeaseRequest { owner: owner.into(), lease_seconds: None };
    client.renew_lease(renew("announcer-1")).await.unwrap();
    assert_eq!(client.renew_lease(renew("x")).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(client.renew_lease(renew("")).await.unwrap_err().code(), Code::InvalidArgument);
    let delete = |owner: &str| DeleteOwnerRequest { owner: owner.into() };
    assert_eq!(client.delete_owner(delete("announcer-1")).await.unwrap().into_inner().routes, 7);
    assert_eq!(client.delete_owner(delete("x")).await.unwrap_err().code(), Code::NotFound);
}
