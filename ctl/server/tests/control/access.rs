//! Who may do what, and clients with odd authorities.

use grpc::v1::control_service_client::ControlServiceClient;
use grpc::v1::global_service_client::GlobalServiceClient;
use grpc::v1::injection_service_client::InjectionServiceClient;
use grpc::v1::neighbor_service_client::NeighborServiceClient;
use grpc::v1::policy_service_client::PolicyServiceClient;
use grpc::v1::{
    AddPathRequest, EnableNeighborRequest, GetGlobalRequest, InjectRoutesRequest, ListNeighborsRequest,
    SetPolicyRequest, ShutdownRequest,
};
use ipc::config::{Access, ListenerKind};
use prost::Message;
use prost_types::FileDescriptorProto;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::harness::{Control, soon, unix_channel};

#[tokio::test]
async fn a_read_only_listener_permits_nothing_that_changes() {
    let (control, _) = Control::start_whole().await;
    let channel = unix_channel(control.listen_unix("ro.sock", Access::ReadOnly).await).await;
    let mut neighbors = NeighborServiceClient::new(channel.clone());
    assert_eq!(
        neighbors.list_neighbors(ListNeighborsRequest {}).await.unwrap().into_inner().neighbors.len(),
        3
    );
    let mut injection = InjectionServiceClient::new(channel.clone());
    let batches = tokio_stream::iter(vec![InjectRoutesRequest::default()]);
    let refusals = [
        neighbors.enable_neighbor(EnableNeighborRequest { address: "192.0.2.1".into() }).await.unwrap_err(),
        injection.add_path(AddPathRequest::default()).await.unwrap_err(),
        injection.inject_routes(batches).await.unwrap_err(),
        ControlServiceClient::new(channel.clone()).shutdown(ShutdownRequest::default()).await.unwrap_err(),
        PolicyServiceClient::new(channel).set_policy(SetPolicyRequest::default()).await.unwrap_err(),
    ];
    for status in refusals {
        assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
        assert!(status.message().contains("read-only"));
    }
    assert!(control.world.lock().unwrap().intents.is_empty());
}

/// RPCs that only read. Whatever is not listed here has to be refused by a read-only listener.
const READS: &[&str] = &[
    "Check",
    "Watch",
    "ServerReflectionInfo",
    "GetConfig",
    "GetGlobal",
    "ListNeighbors",
    "GetNeighborState",
    "ListDynamicNeighbors",
    "GetNeighborErrors",
    "ListPolicies",
    "GetPolicy",
    "ListNeighborSets",
    "GetNeighborSet",
    "GetGlobalPolicyChains",
    "GetNeighborPolicyChains",
    "TestPolicies",
    "ListMatchSets",
    "GetMatchSet",
    "ListPeerGroups",
    "GetPeerGroup",
    "ListReceivedRoutes",
    "ListBestRoutes",
    "ListAdvertisedRoutes",
    "ExplainAdvertisedRoute",
    "ExplainReceivedRoute",
    "ExplainBestPath",
    "WatchRoutes",
    "ListFlowSpecRoutes",
    "ListOwners",
    "GetRibSummary",
    "GetHealth",
    "GetMetrics",
    "GetProcesses",
];

/// Paths of all RPCs, as the daemon itself tells them (server reflection).
async fn all_rpcs(channel: &Channel) -> Vec<String> {
    let mut client = ServerReflectionClient::new(channel.clone());
    let mut ask = async |message_request: MessageRequest| {
        let request = ServerReflectionRequest { host: String::new(), message_request: Some(message_request) };
        let answers = client.server_reflection_info(tokio_stream::iter(vec![request])).await.unwrap();
        soon(answers.into_inner().message()).await.unwrap().unwrap().message_response.unwrap()
    };
    let MessageResponse::ListServicesResponse(listed) =
        ask(MessageRequest::ListServices(String::new())).await
    else {
        panic!("no list of services");
    };
    let mut paths = Vec::new();
    for service in listed.service {
        let about = ask(MessageRequest::FileContainingSymbol(service.name.clone())).await;
        let MessageResponse::FileDescriptorResponse(files) = about else { panic!("no file for {service:?}") };
        for file in files.file_descriptor_proto {
            let file = FileDescriptorProto::decode(file.as_slice()).unwrap();
            for found in
                file.service.iter().filter(|s| format!("{}.{}", file.package(), s.name()) == service.name)
            {
                paths.extend(found.method.iter().map(|m| format!("/{}/{}", service.name, m.name())));
            }
        }
    }
    paths
}

/// Calls any RPC with an empty message; an answer's messages are not waited for.
async fn call(channel: &Channel, path: &str) -> Code {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let answer = client.server_streaming(Request::new(()), path.parse().unwrap(), codec);
    soon(answer).await.map_or_else(|status| status.code(), |_| Code::Ok)
}

#[tokio::test]
async fn of_all_rpcs_a_read_only_listener_permits_those_that_read() {
    let (control, _) = Control::start_whole().await;
    let channel = unix_channel(control.listen_unix("ro.sock", Access::ReadOnly).await).await;
    let rpcs = all_rpcs(&channel).await;
    assert!(rpcs.len() > 50 && rpcs.iter().any(|path| path == "/grpc.health.v1.Health/Check"), "{rpcs:?}");
    for path in &rpcs {
        let reads = READS.iter().any(|r| path.ends_with(&format!("/{r}")));
        let refused = call(&channel, path).await == Code::PermissionDenied;
        assert_ne!(refused, reads, "{path}");
    }
    for name in READS {
        assert!(rpcs.iter().any(|path| path.ends_with(&format!("/{name}"))), "there is no {name}");
    }
    // Nor does what is no RPC of the API get through.
    assert_eq!(call(&channel, "/rustbgpd.v1.ControlService/Reload").await, Code::PermissionDenied);
    let world = control.world.lock().unwrap();
    assert!(world.intents.is_empty() && world.edits.is_empty() && world.injected.is_empty());
}

#[tokio::test]
async fn a_token_is_asked_for_where_one_is_set() {
    let (control, _) = Control::start_whole().await;
    let kind = ListenerKind::GrpcTcp { access: Access::ReadWrite, token: true, tls: None };
    let address = control.listen_tcp(kind, Some("s3cret\n")).await;
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let mut client = GlobalServiceClient::new(channel);
    let mut ask = async |token: Option<&str>| {
        let mut request = Request::new(GetGlobalRequest {});
        if let Some(token) = token {
            request.metadata_mut().insert("authorization", token.parse().unwrap());
        }
        client.get_global(request).await.map_err(|s| s.code())
    };
    assert_eq!(ask(Some("Bearer s3cret")).await.unwrap().into_inner().asn, 64999);
    for wrong in
        [None, Some("Bearer wrong"), Some("Bearer s3cre"), Some("Basic s3cret"), Some("s3cret"), Some("")]
    {
        assert_eq!(ask(wrong).await.unwrap_err(), Code::Unauthenticated, "{wrong:?}");
    }
}

fn frame(kind: u8, flags: u8, stream: u32, body: &[u8]) -> Vec<u8> {
    let mut frame = (body.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(body);
    frame
}

fn literal(first: u8, name: &str, value: &str) -> Vec<u8> {
    let mut field = vec![first];
    if first & 0x3f == 0 {
        field.push(name.len() as u8);
        field.extend_from_slice(name.as_bytes());
    }
    field.push(value.len() as u8);
    field.extend_from_slice(value.as_bytes());
    field
}

/// A request as a client sends it that takes the path of the socket for an authority; the second one
/// refers to the first by the compression table.
#[tokio::test]
async fn the_escaped_socket_path_is_an_acceptable_authority() {
    let (control, _) = Control::start_whole().await;
    for authority in ["%2Fvar%2Flib%2Frustbgpd%2Fgrpc.sock", "/var/lib/rustbgpd/grpc.sock"] {
        let mut stream = UnixStream::connect(control.dir.path().join("grpc.sock")).await.unwrap();
        // `:method POST`, `:scheme http`, `:path`, `:authority`, all but the first two into the table.
        let mut first = vec![0x83, 0x86];
        first.extend(literal(0x44, "", "/rustbgpd.v1.GlobalService/GetGlobal"));
        first.extend(literal(0x41, "", authority));
        first.extend(literal(0x40, "te", "trailers"));
        first.extend(literal(0x40, "content-type", "application/grpc"));
        let second = [0x83, 0x86, 0xc1, 0xc0, 0xbf, 0xbe];
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend(frame(4, 0, 0, &[]));
        for (number, block) in [(1, first.as_slice()), (3, &second[..])] {
            bytes.extend(frame(1, 4, number, block));
            bytes.extend(frame(0, 1, number, &[0, 0, 0, 0, 0]));
        }
        stream.write_all(&bytes).await.unwrap();
        let mut answered = 0;
        while answered < 2 {
            let mut header = [0; 9];
            soon(stream.read_exact(&mut header)).await.unwrap();
            let mut body = vec![0; u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize];
            soon(stream.read_exact(&mut body)).await.unwrap();
            assert!(header[3] != 3 && header[3] != 7, "refused: {authority}");
            if header[3] == 0 && body.windows(11).any(|w| w == b"192.0.2.254") {
                answered += 1;
            }
        }
    }
}
