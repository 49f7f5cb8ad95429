//! GlobalService, NeighborService, and everything that is not implemented.

use bgp::{Family, FamilySet};
use grpc::v1::control_service_client::ControlServiceClient;
use grpc::v1::global_service_client::GlobalServiceClient;
use grpc::v1::neighbor_service_client::NeighborServiceClient;
use grpc::v1::{
    DisableNeighborRequest, DrainNeighborRequest, EnableNeighborRequest, ErrorDetail, GetGlobalRequest,
    GetNeighborErrorsRequest, GetNeighborStateRequest, HealthRequest, ListNeighborsRequest, SessionState,
    SetGlobalRequest, SoftResetInRequest, error_detail,
};
use ipc::PeerId;
use ipc::config::ControlPeer;
use ipc::control_rde::SoftResetError;
use ipc::parent_control::{Intent, IntentError};
use prost::Message;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request};
use tonic_prost::ProstCodec;

use crate::harness::{Control, address, peer};

#[tokio::test]
async fn global_says_who_we_are() {
    let (_control, channel) = Control::start_whole().await;
    let mut client = GlobalServiceClient::new(channel);
    let global = client.get_global(GetGlobalRequest {}).await.unwrap().into_inner();
    assert_eq!((global.asn, global.router_id.as_str(), global.listen_port), (64999, "192.0.2.254", 1179));
    assert_eq!(global.version, "rustbgpd 1.2.3");
    let status = client.set_global(SetGlobalRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    assert!(status.message().contains("configuration file"));
}

#[tokio::test]
async fn neighbors_are_listed_by_address_with_what_every_process_knows() {
    let (_control, channel) = Control::start_whole().await;
    let mut client = NeighborServiceClient::new(channel);
    let all = client.list_neighbors(ListNeighborsRequest {}).await.unwrap().into_inner().neighbors;
    let addresses: Vec<_> = all.iter().map(|n| n.config.as_ref().unwrap().address.as_str()).collect();
    assert_eq!(addresses, ["10.0.0.9", "192.0.2.1", "2001:db8::2"]);
    let states: Vec<_> = all.iter().map(|n| n.state()).collect();
    assert_eq!(states, [SessionState::Idle, SessionState::Established, SessionState::Idle]);
    assert!(all[2].disabled && all[2].over_prefix_limit && !all[1].over_prefix_limit);

    let request = GetNeighborStateRequest { address: "192.0.2.1".into() };
    let one = client.get_neighbor_state(request).await.unwrap().into_inner();
    assert_eq!(one, all[1]);
    let config = one.config.unwrap();
    assert_eq!((config.remote_asn, config.description.as_str(), config.hold_time), (65001, "peer 1", 90));
    assert_eq!(config.families, ["ipv4_unicast", "ipv6_unicast"]);
    assert!(config.md5);
    assert_eq!((config.max_prefixes, config.max_prefixes_out), (1000, 0));
    assert_eq!((config.max_prefixes_action.as_str(), config.max_prefixes_restart_minutes), ("restart", 5));
    assert_eq!(all[0].config.as_ref().unwrap().max_prefixes_action, "");
    assert_eq!((one.uptime_seconds, one.flap_count, one.last_error.as_str()), (77, 2, "hold timer expired"));
    assert_eq!((one.prefixes_received, one.prefixes_sent), (11, 7));
    assert_eq!((one.updates_received, one.updates_sent), (10, 11));
    assert_eq!((one.notifications_received, one.notifications_sent), (1, 2));
    assert_eq!((one.send_hold_time, one.keepalive_interval), (480, 10));
    assert_eq!(one.negotiated_capabilities, ["four_octet_as", "enhanced_route_refresh", "graceful_restart"]);
    assert_eq!(one.peer_restart_time, 120);
    assert_eq!(one.graceful_restart_families, ["ipv4_unicast"]);
    assert_eq!(one.last_notification_received, None);
    let sent = one.last_notification_sent.as_ref().unwrap();
    assert_eq!((sent.time_ms, sent.code, sent.subcode, sent.message.as_str()), (4000, 4, 0, "silence"));
    assert_eq!((one.negotiated_hold_time, one.router_id.as_str()), (30, "10.9.9.9"));
    assert_eq!(
        (one.local_address.as_str(), one.remote_address.as_str()),
        ("192.0.2.254:179", "192.0.2.1:40000")
    );
    let prefixes: Vec<_> = one.prefixes.iter().map(|p| (p.family.as_str(), p.received, p.sent)).collect();
    assert_eq!(prefixes, [("ipv4_unicast", 10, 5), ("ipv6_unicast", 1, 2)]);
    assert_eq!((one.as_loops, one.reflection_loops), (4, 3));
    assert_eq!((one.treated_as_withdraw, one.attributes_discarded), (5, 6));
    assert_eq!(one.add_path_send_families, ["ipv4_unicast"]);
    assert!(one.add_path_receive_families.is_empty());
    assert_eq!(one.paths_refused, 9);
    assert_eq!((config.role.as_str(), config.role_strict, one.peer_role.as_str()), ("rs-client", true, "rs"));
    assert_eq!((one.route_leaks, one.draining, all[0].draining), (7, true, false));
    assert_eq!((&one.graceful_restart, one.graceful_restarts_expired), (&None, 7));
    let restart = all[2].graceful_restart.as_ref().unwrap();
    assert_eq!((restart.back, restart.seconds_left, restart.stale_routes), (false, 60, 4));
    assert_eq!(restart.families, ["ipv6_unicast"]);
    assert_eq!(restart.long_lived_families, ["ipv6_unicast"]);
    assert_eq!(one.prefix_limit_exceeded, 8);
}

#[tokio::test]
async fn errors_of_a_neighbor_are_those_of_both_engines_in_the_order_of_time() {
    let (_control, channel) = Control::start_whole().await;
    let mut client = NeighborServiceClient::new(channel);
    let request = GetNeighborErrorsRequest { address: "192.0.2.1".into() };
    let answer = client.get_neighbor_errors(request).await.unwrap().into_inner();
    let shown: Vec<_> = (answer.errors.iter())
        .map(|e| (e.time_ms, e.kind.as_str(), e.attribute_name.as_str(), e.verdict.as_str(), e.octet_count))
        .collect();
    let expected = [
        (1000, "attribute_length", "ATOMIC_AGGREGATE", "attribute_discard", 4),
        (2000, "notification", "", "session_reset", 0),
        (3000, "duplicate_attribute", "", "treat_as_withdraw", 300),
    ];
    assert_eq!(shown, expected);
    let [first, second, third] = &answer.errors[..] else { panic!("{answer:?}") };
    assert_eq!((first.octets.as_slice(), first.message.as_str()), (&[0x40, 6, 1, 7][..], "wrong"));
    assert_eq!((second.notification_code, second.notification_subcode), (3, 1));
    assert_eq!((third.attribute, third.octets.len()), (200, 256));
    let [count] = &answer.counts[..] else { panic!("{answer:?}") };
    assert_eq!((count.kind.as_str(), count.attribute, count.count), ("attribute_length", 6, 3));
    let request = GetNeighborErrorsRequest { address: "10.0.0.9".into() };
    assert_eq!(client.get_neighbor_errors(request).await.unwrap().into_inner(), Default::default());
    let request = GetNeighborErrorsRequest { address: "10.0.0.8".into() };
    assert_eq!(client.get_neighbor_errors(request).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_committed_configuration_replaces_the_view() {
    let (mut control, channel) = Control::start_whole().await;
    control.configure(2, vec![peer(4, "203.0.113.7")]).await;
    let mut client = NeighborServiceClient::new(channel);
    let all = client.list_neighbors(ListNeighborsRequest {}).await.unwrap().into_inner().neighbors;
    let addresses: Vec<_> = all.iter().map(|n| n.config.as_ref().unwrap().address.as_str()).collect();
    assert_eq!(addresses, ["203.0.113.7"]);
}

/// `google.rpc.Status` as a client library reads it.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(crate) details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Any {
    #[prost(string, tag = "1")]
    pub(crate) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) value: Vec<u8>,
}

#[tokio::test]
async fn unknown_neighbors_are_not_found_with_a_suggestion_and_details() {
    let (_control, channel) = Control::start_whole().await;
    let mut client = NeighborServiceClient::new(channel);
    let mut ask = async |a: &str| {
        client.get_neighbor_state(GetNeighborStateRequest { address: a.into() }).await.unwrap_err()
    };
    let status = ask("192.0.2.2").await;
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains("did you mean 192.0.2.1?"), "{}", status.message());
    let rpc = RpcStatus::decode(status.details()).unwrap();
    assert_eq!((rpc.code, rpc.message.as_str()), (Code::NotFound as i32, status.message()));
    assert_eq!(rpc.details[0].type_url, "type.googleapis.com/rustbgpd.v1.ErrorDetail");
    let detail = ErrorDetail::decode(rpc.details[0].value.as_slice()).unwrap();
    let Some(error_detail::Kind::Config(config)) = detail.kind else { panic!("{detail:?}") };
    assert_eq!((config.field_path.as_str(), config.provided_value.as_str()), ("address", "192.0.2.2"));

    assert!(!ask("198.51.100.77").await.message().contains("did you mean"));
    assert_eq!(ask("peer-one").await.code(), Code::InvalidArgument);
    assert_eq!(ask("").await.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn enable_disable_and_drain_are_asked_of_the_parent() {
    let (control, channel) = Control::start_whole().await;
    let mut client = NeighborServiceClient::new(channel);
    let disable = |address: &str, reason: &str| DisableNeighborRequest {
        address: address.into(),
        reason: reason.into(),
    };
    client.enable_neighbor(EnableNeighborRequest { address: "2001:db8::2".into() }).await.unwrap();
    client.disable_neighbor(disable("192.0.2.1", "maintenance")).await.unwrap();
    let drain = |undo| DrainNeighborRequest { address: "192.0.2.1".into(), undo };
    client.drain_neighbor(drain(false)).await.unwrap();
    client.drain_neighbor(drain(true)).await.unwrap();
    assert_eq!(
        control.world.lock().unwrap().intents,
        [
            Intent::EnableNeighbor { address: address("2001:db8::2") },
            Intent::DisableNeighbor { address: address("192.0.2.1"), reason: "maintenance".into() },
            Intent::DrainNeighbor { address: address("192.0.2.1"), on: true },
            Intent::DrainNeighbor { address: address("192.0.2.1"), on: false },
        ]
    );
    let status = client.disable_neighbor(disable("192.0.2.9", "")).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let status = client.disable_neighbor(disable("192.0.2.1", &"x".repeat(256))).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(control.world.lock().unwrap().intents.len(), 4, "refused requests do not reach the parent");

    for (refusal, code) in [
        (IntentError::Invalid("no".into()), Code::InvalidArgument),
        (IntentError::NotFound("no".into()), Code::NotFound),
        (IntentError::FailedPrecondition("no".into()), Code::FailedPrecondition),
        (IntentError::Unavailable("no".into()), Code::Unavailable),
    ] {
        control.world.lock().unwrap().refuse_intents = Some(refusal);
        let status = client.disable_neighbor(disable("192.0.2.1", "")).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (code, "no"));
    }
}

#[tokio::test]
async fn a_soft_reset_is_asked_of_rde_with_families_that_the_neighbor_has() {
    let (mut control, channel) = Control::start_whole().await;
    let one = ControlPeer { families: FamilySet::EMPTY.with(Family::Ipv4Unicast), ..peer(1, "192.0.2.1") };
    control.configure(2, vec![one, peer(2, "2001:db8::2")]).await;
    let mut client = NeighborServiceClient::new(channel);
    let mut reset = async |address: &str, families: &[&str], refresh| {
        let families = families.iter().map(|f| (*f).to_owned()).collect();
        client.soft_reset_in(SoftResetInRequest { address: address.into(), families, refresh }).await
    };
    reset("192.0.2.1", &[], false).await.unwrap();
    reset("2001:db8::2", &["ipv6_unicast"], true).await.unwrap();
    let v6 = FamilySet::EMPTY.with(Family::Ipv6Unicast);
    let asked = [(PeerId(1), FamilySet::EMPTY, false), (PeerId(2), v6, true)];
    assert_eq!(control.world.lock().unwrap().resets, asked);
    for (address, family, code, says) in [
        ("192.0.2.1", "ipv6_unicast", Code::InvalidArgument, "not configured for it, but for ipv4_unicast"),
        ("192.0.2.1", "vpnv4", Code::InvalidArgument, "unknown address family"),
        ("192.0.2.77", "ipv4_unicast", Code::NotFound, "there is no neighbor"),
    ] {
        let status = reset(address, &[family], false).await.unwrap_err();
        assert_eq!(status.code(), code, "{status}");
        assert!(status.message().contains(says), "{status}");
    }
    assert_eq!(control.world.lock().unwrap().resets.len(), 2, "refused requests do not reach rde");

    for (refusal, says) in [
        (SoftResetError::NoSession, "neighbor 192.0.2.1 has no session"),
        (SoftResetError::NotNegotiated(v6), "neighbor 192.0.2.1 does not offer ipv6_unicast"),
        (SoftResetError::NoRouteRefresh, "it has not announced route refresh (RFC 2918)"),
    ] {
        control.world.lock().unwrap().refuse_resets = Some(refusal);
        let status = reset("192.0.2.1", &[], true).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert!(status.message().contains(says), "{status}");
    }
}

#[tokio::test]
async fn health_counts_what_is_up() {
    let (_control, channel) = Control::start_whole().await;
    let health = ControlServiceClient::new(channel).get_health(HealthRequest {}).await.unwrap().into_inner();
    assert!(
        health.uptime_seconds >= 5000,
        "since the daemon started, not control: {}",
        health.uptime_seconds
    );
    assert!(health.healthy);
    assert_eq!((health.active_peers, health.total_routes), (1, 7));
    assert!(health.unavailable.is_empty());
}

#[tokio::test]
async fn what_is_not_implemented_says_so_in_a_sentence() {
    let (_control, channel) = Control::start_whole().await;
    let proto = include_str!("../../../../proto/grpc/rustbgpd.proto");
    let implemented = [
        "GetGlobal",
        "AddNeighbor",
        "DeleteNeighbor",
        "ListNeighbors",
        "GetNeighborState",
        "EnableNeighbor",
        "DisableNeighbor",
        "DrainNeighbor",
        "GetNeighborErrors",
        "ListDynamicNeighbors",
        "AddDynamicNeighbor",
        "DeleteDynamicNeighbor",
        "SoftResetIn",
        "ListReceivedRoutes",
        "ListBestRoutes",
        "ListAdvertisedRoutes",
        "GetRibSummary",
        "AddPath",
        "DeletePath",
        "InjectRoutes",
        "InjectStream",
        "ListOwners",
        "RenewLease",
        "DeleteOwner",
        "ExplainAdvertisedRoute",
        "ExplainReceivedRoute",
        "ExplainBestPath",
        "WatchRoutes",
        "Shutdown",
        "GetHealth",
        "GetMetrics",
        "GetProcesses",
    ];
    let mut client = tonic::client::Grpc::new(channel);
    let (mut service, mut count) = ("", 0);
    for line in proto.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("service ") {
            service = rest.trim_end_matches(" {");
        }
        let Some(method) = line.strip_prefix("rpc ").and_then(|l| l.split('(').next()) else { continue };
        if implemented.contains(&method)
            || matches!(service, "ConfigService" | "PolicyService" | "PeerGroupService")
        {
            continue;
        }
        let path = PathAndQuery::try_from(format!("/rustbgpd.v1.{service}/{method}")).unwrap();
        client.ready().await.unwrap();
        let codec = ProstCodec::<HealthRequest, HealthRequest>::default();
        let status = client.unary(Request::new(HealthRequest {}), path, codec).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented, "{method}");
        assert!(status.message().split(' ').count() > 5, "{method}: {:?}", status.message());
        count += 1;
    }
    assert!(count > 0, "nothing is left: this test has nothing to say any more");
    for name in implemented {
        assert!(proto.contains(&format!("rpc {name}(")), "there is no {name}");
    }
}
