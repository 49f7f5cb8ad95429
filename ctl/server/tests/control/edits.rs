//! Changes of the configuration: what the parent is asked for, and what becomes of its answers.

use grpc::v1;
use grpc::v1::neighbor_service_client::NeighborServiceClient;
use grpc::v1::policy_service_client::PolicyServiceClient;
use grpc::v1::{AddNeighborRequest, DeleteNeighborRequest, ErrorDetail, NeighborConfig, error_detail};
use ipc::edit::{Edit, EditError, NewNeighbor, Refusal, Way};
use ipc::object::{Keys, Object, Plain};
use prost::Message;
use tonic::{Code, Status};

use crate::harness::{Control, address};
use crate::neighbors::RpcStatus;

fn neighbor(address: &str) -> NeighborConfig {
    NeighborConfig { address: address.into(), remote_asn: 65002, ..NeighborConfig::default() }
}

fn add(config: NeighborConfig) -> AddNeighborRequest {
    AddNeighborRequest { config: Some(config) }
}

/// What the parent is asked for where nothing but address and AS number is said.
fn plain(text: &str) -> NewNeighbor {
    NewNeighbor {
        address: address(text),
        remote_asn: 65002,
        description: None,
        peer_group: None,
        families: vec![],
        hold_time: None,
        max_prefixes: None,
        max_prefixes_out: None,
        max_prefixes_action: None,
        max_prefixes_restart_minutes: None,
        remove_private_as: None,
        ttl_security: false,
        role: None,
        role_strict: false,
        route_server_client: false,
        add_path_receive: false,
        add_path_send: false,
        add_path_send_max: None,
        settings: Object::default(),
    }
}

/// The field and the value of an error's details.
pub(crate) fn detail(status: &Status) -> (String, String) {
    let rpc = RpcStatus::decode(status.details()).unwrap();
    let detail = ErrorDetail::decode(rpc.details[0].value.as_slice()).unwrap();
    let Some(error_detail::Kind::Config(config)) = detail.kind else { panic!("{detail:?}") };
    (config.field_path, config.provided_value)
}

#[tokio::test]
async fn neighbors_are_added_and_deleted_by_the_parent() {
    let (control, channel) = Control::start_whole().await;
    let mut client = NeighborServiceClient::new(channel);
    client.add_neighbor(add(neighbor("198.51.100.7"))).await.unwrap();
    let whole = NeighborConfig {
        description: "d".into(),
        hold_time: 30,
        max_prefixes: 5,
        families: vec!["ipv6_unicast".into()],
        remove_private_as: "all".into(),
        peer_group: "g".into(),
        route_server_client: true,
        add_path_receive: true,
        add_path_send: true,
        add_path_send_max: 3,
        ttl_security: true,
        role: "peer".into(),
        role_strict: true,
        max_prefixes_out: 6,
        max_prefixes_action: "restart".into(),
        max_prefixes_restart_minutes: 7,
        settings: Some(v1::PeerGroupDefinition {
            port: Some(1179),
            families: vec!["ipv4_unicast".into()],
            import_policy: vec![v1::PolicyStatement { action: "deny".into(), ..Default::default() }],
            ..v1::PeerGroupDefinition::default()
        }),
        ..neighbor("2001:db8::7")
    };
    client.add_neighbor(add(whole)).await.unwrap();
    // In parts, and not mixed up with another one.
    let long = NeighborConfig { description: "x".repeat(300_000), ..neighbor("198.51.100.8") };
    let other = NeighborConfig { description: "y".repeat(300_000), ..neighbor("198.51.100.9") };
    let mut second = client.clone();
    let (one, two) = tokio::join!(client.add_neighbor(add(long)), second.add_neighbor(add(other)));
    one.unwrap();
    two.unwrap();
    client.delete_neighbor(DeleteNeighborRequest { address: "2001:db8::2".into() }).await.unwrap();

    let edits = control.world.lock().unwrap().edits.clone();
    let described = |a: &str, c: &str| NewNeighbor { description: Some(c.repeat(300_000)), ..plain(a) };
    let both = [described("198.51.100.8", "x"), described("198.51.100.9", "y")];
    assert!(both.map(|n| Edit::AddNeighbor(Box::new(n))).iter().all(|e| edits[2..4].contains(e)));
    let whole = NewNeighbor {
        description: Some("d".into()),
        peer_group: Some("g".into()),
        families: vec!["ipv6_unicast".into()],
        hold_time: Some(30),
        max_prefixes: Some(5),
        max_prefixes_out: Some(6),
        max_prefixes_action: Some("restart".into()),
        max_prefixes_restart_minutes: Some(7),
        remove_private_as: Some("all".into()),
        ttl_security: true,
        role: Some("peer".into()),
        role_strict: true,
        route_server_client: true,
        add_path_receive: true,
        add_path_send: true,
        add_path_send_max: Some(3),
        settings: Object {
            keys: Keys(vec![
                ("families".into(), Plain::Texts(vec!["ipv4_unicast".into()])),
                ("port".into(), Plain::Number(1179)),
            ]),
            statements: vec![(
                "import_policy".into(),
                vec![Keys(vec![("action".into(), Plain::Text("deny".into()))])],
            )],
        },
        ..plain("2001:db8::7")
    };
    assert_eq!(edits[0], Edit::AddNeighbor(Box::new(plain("198.51.100.7"))));
    assert_eq!(edits[1], Edit::AddNeighbor(Box::new(whole)));
    assert_eq!(edits[4..], [Edit::DeleteNeighbor { address: address("2001:db8::2") }]);
}

#[tokio::test]
async fn what_has_no_form_is_refused_without_asking_the_parent() {
    let (control, channel) = Control::start_whole().await;
    let mut client = NeighborServiceClient::new(channel);
    let status = client.add_neighbor(AddNeighborRequest::default()).await.unwrap_err();
    assert_eq!((status.code(), detail(&status).0), (Code::InvalidArgument, "config".into()));
    let status = client.add_neighbor(add(neighbor("peer-one"))).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(detail(&status), ("address".into(), "peer-one".into()));
    let with_key = NeighborConfig { md5: true, ..neighbor("198.51.100.7") };
    let status = client.add_neighbor(add(with_key)).await.unwrap_err();
    assert_eq!((status.code(), detail(&status).0), (Code::InvalidArgument, "md5".into()));
    let status =
        client.delete_neighbor(DeleteNeighborRequest { address: "192.0.2.2".into() }).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains("did you mean 192.0.2.1?"), "{status}");
    assert_eq!(control.world.lock().unwrap().edits, []);
}

#[tokio::test]
async fn the_parents_refusal_becomes_a_status_with_details() {
    let (control, channel) = Control::start_whole().await;
    let mut client = NeighborServiceClient::new(channel);
    for (kind, code) in [
        (Refusal::Invalid, Code::InvalidArgument),
        (Refusal::NotFound, Code::NotFound),
        (Refusal::Exists, Code::AlreadyExists),
        (Refusal::Precondition, Code::FailedPrecondition),
    ] {
        let error = EditError::about(kind, "hold_time", 2, "invalid hold_time 2: must be 0 or >= 3");
        control.world.lock().unwrap().refuse_edits = Some(error);
        let status = client.add_neighbor(add(neighbor("198.51.100.7"))).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (code, "invalid hold_time 2: must be 0 or >= 3"));
        assert_eq!(detail(&status), ("hold_time".into(), "2".into()));
    }
    control.world.lock().unwrap().refuse_edits = Some(EditError::new(Refusal::Unavailable, "busy"));
    let status = client.add_neighbor(add(neighbor("198.51.100.7"))).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "busy"));
}

#[tokio::test]
async fn chains_are_shown_and_changed_by_the_parent() {
    let (control, channel) = Control::start_whole().await;
    let mut client = PolicyServiceClient::new(channel);
    let names: Vec<String> = vec!["a".into(), "b".into()];
    let policy_names = || names.clone();
    let of = || "2001:db8::2".to_owned();

    let all =
        client.get_global_policy_chains(v1::GetGlobalPolicyChainsRequest {}).await.unwrap().into_inner();
    assert_eq!(
        (all.import_policy_names, all.export_policy_names),
        (vec!["import of None".into()], vec!["export of None".into()])
    );
    let request = v1::GetNeighborPolicyChainsRequest { address: "2001:DB8::2".into() };
    let one = client.get_neighbor_policy_chains(request).await.unwrap().into_inner();
    assert_eq!((one.address, one.import_policy_names), (of(), vec!["import of Some(2001:db8::2)".into()]));

    client
        .set_global_import_chain(v1::SetGlobalImportChainRequest { policy_names: policy_names() })
        .await
        .unwrap();
    client
        .set_global_export_chain(v1::SetGlobalExportChainRequest { policy_names: policy_names() })
        .await
        .unwrap();
    client.clear_global_import_chain(v1::ClearGlobalImportChainRequest {}).await.unwrap();
    client.clear_global_export_chain(v1::ClearGlobalExportChainRequest {}).await.unwrap();
    let request = v1::SetNeighborImportChainRequest { address: of(), policy_names: policy_names() };
    client.set_neighbor_import_chain(request).await.unwrap();
    let request = v1::SetNeighborExportChainRequest { address: of(), policy_names: policy_names() };
    client.set_neighbor_export_chain(request).await.unwrap();
    client.clear_neighbor_import_chain(v1::ClearNeighborImportChainRequest { address: of() }).await.unwrap();
    client.clear_neighbor_export_chain(v1::ClearNeighborExportChainRequest { address: of() }).await.unwrap();
    let neighbor = Some(address(&of()));
    let asked = [
        (None, Way::Import, names.clone()),
        (None, Way::Export, names.clone()),
        (None, Way::Import, vec![]),
        (None, Way::Export, vec![]),
        (neighbor, Way::Import, names.clone()),
        (neighbor, Way::Export, names.clone()),
        (neighbor, Way::Import, vec![]),
        (neighbor, Way::Export, vec![]),
    ];
    let asked = asked.map(|(neighbor, way, policies)| Edit::SetChain { neighbor, way, policies });
    assert_eq!(control.world.lock().unwrap().edits, asked);

    // Clearing is another call; and of a neighbor that is not there, the parent is not asked.
    let status =
        client.set_global_import_chain(v1::SetGlobalImportChainRequest::default()).await.unwrap_err();
    assert_eq!((status.code(), detail(&status).0), (Code::InvalidArgument, "policy_names".into()));
    let request = v1::GetNeighborPolicyChainsRequest { address: "192.0.2.99".into() };
    assert_eq!(client.get_neighbor_policy_chains(request).await.unwrap_err().code(), Code::NotFound);
    let request = v1::ClearNeighborImportChainRequest { address: "x".into() };
    assert_eq!(client.clear_neighbor_import_chain(request).await.unwrap_err().code(), Code::InvalidArgument);
    let error = EditError::about(Refusal::Invalid, "import_chain", "c", "there is no such policy");
    control.world.lock().unwrap().refuse_edits = Some(error);
    let request = v1::SetGlobalImportChainRequest { policy_names: vec!["c".into()] };
    let status = client.set_global_import_chain(request).await.unwrap_err();
    assert_eq!(
        (status.code(), detail(&status)),
        (Code::InvalidArgument, ("import_chain".into(), "c".into()))
    );
}
