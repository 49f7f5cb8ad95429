//! Who gets in, by the process at the other end or by a certificate; what becomes of those who only hold a place; health.

use std::time::{Duration, Instant};

use grpc::v1::global_service_client::GlobalServiceClient;
use grpc::v1::injection_service_client::InjectionServiceClient;
use grpc::v1::{AddPathRequest, GetGlobalRequest};
use ipc::config::{Access, AllowedPeers, ListenerKind};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tonic::Code;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::harness::{Control, soon, tls_file, unix_channel};

async fn asn(channel: Channel) -> Result<u32, Code> {
    let answer = soon(GlobalServiceClient::new(channel).get_global(GetGlobalRequest {})).await;
    answer.map(|a| a.into_inner().asn).map_err(|s| s.code())
}

#[tokio::test]
async fn a_unix_socket_lets_in_processes_of_listed_users_and_groups_alone() {
    let (control, _) = Control::start_whole().await;
    let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    for (name, uids, gids, in_) in [
        ("user", vec![uid], vec![], true),
        ("group", vec![], vec![gid], true),
        ("group of others", vec![uid + 1], vec![gid], true),
        ("other user", vec![uid + 1], vec![], false),
        ("other group", vec![], vec![gid + 1], false),
        ("others", vec![uid + 1, uid + 2], vec![gid + 1], false),
    ] {
        let path = control.listen_unix_for(name, Access::ReadWrite, AllowedPeers { uids, gids }).await;
        if in_ {
            assert_eq!(asn(unix_channel(path).await).await, Ok(64999), "{name}");
            continue;
        }
        let mut stream = UnixStream::connect(&path).await.unwrap();
        let mut octets = Vec::new();
        // Closed, with nothing said; what is sent meanwhile may make a reset of it.
        let _ = stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        let _ = soon(stream.read_to_end(&mut octets)).await;
        assert!(octets.is_empty(), "{name}");
    }
}

fn pem(name: &str) -> Vec<u8> {
    std::fs::read(tls_file(name)).unwrap()
}

async fn tls(port: u16, ca: &str, identity: Option<&str>) -> Result<u32, String> {
    let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem(ca)));
    if let Some(name) = identity {
        let identity = Identity::from_pem(pem(&format!("{name}.pem")), pem(&format!("{name}.key")));
        config = config.identity(identity);
    }
    let endpoint = Endpoint::from_shared(format!("https://localhost:{port}")).unwrap();
    let channel = soon(endpoint.tls_config(config).unwrap().connect()).await.map_err(|e| format!("{e:?}"))?;
    asn(channel).await.map_err(|code| code.to_string())
}

#[tokio::test]
async fn tls_shows_the_configured_certificate_and_nothing_is_answered_in_clear_text() {
    let (control, _) = Control::start_whole().await;
    let port = control.listen_tls(false).await;
    assert_eq!(tls(port, "ca.pem", None).await, Ok(64999));
    assert_eq!(tls(port, "ca.pem", Some("stranger")).await, Ok(64999), "nobody asked for it");
    tls(port, "other-ca.pem", None).await.unwrap_err();
    let mut plain = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    plain.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut octets = Vec::new();
    let _ = soon(plain.read_to_end(&mut octets)).await;
    assert!(octets.len() < 32 && octets.first() != Some(&0), "at most an alert of TLS: {octets:x?}");
    assert_eq!(tls(port, "ca.pem", None).await, Ok(64999), "others do not notice");
}

#[tokio::test]
async fn mutual_tls_lets_in_clients_with_a_certificate_of_the_configured_authority() {
    let (control, _) = Control::start_whole().await;
    let port = control.listen_tls(true).await;
    assert_eq!(tls(port, "ca.pem", Some("client")).await, Ok(64999));
    for identity in [None, Some("stranger")] {
        tls(port, "ca.pem", identity).await.unwrap_err();
    }
    assert_eq!(tls(port, "ca.pem", Some("client")).await, Ok(64999));
}

#[tokio::test]
async fn health_tells_whether_the_engines_are_there() {
    let mut control = Control::start().await;
    control.add_session().await;
    let rde = control.add_rde().await;
    let channel = unix_channel(control.listen_unix("grpc.sock", Access::ReadWrite).await).await;
    control.until_healthy(&channel).await;
    let mut client = HealthClient::new(channel);
    for service in ["", "rustbgpd.v1.RibService", "grpc.health.v1.Health"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        assert_eq!(client.check(request).await.unwrap().into_inner().status, 1, "{service}: SERVING");
    }
    let unknown = client.check(HealthCheckRequest { service: "bgp".to_owned() }).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    let mut watch = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(soon(watch.message()).await.unwrap().unwrap().status, 1);
    rde.abort();
    assert_eq!(soon(watch.message()).await.unwrap().unwrap().status, 2, "NOT_SERVING");
    let status = client.check(HealthCheckRequest::default()).await.unwrap().into_inner().status;
    assert_eq!(status, 2);
}

#[tokio::test]
async fn a_message_of_more_than_4_mib_is_refused_and_the_connection_goes_on() {
    let (control, _) = Control::start_whole().await;
    let channel = unix_channel(control.dir.path().join("grpc.sock")).await;
    let large = AddPathRequest { communities: vec![u32::MAX; 1 << 20], ..AddPathRequest::default() };
    let refused = InjectionServiceClient::new(channel.clone()).add_path(large).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange, "{refused:?}");
    assert_eq!(asn(channel).await, Ok(64999));
}

/// Until the other side ends the connection, with a trickle of octets or without.
async fn closed_after(mut stream: impl AsyncRead + AsyncWrite + Unpin, trickle: &[u8]) -> Duration {
    let begin = Instant::now();
    let mut space = [0; 4096];
    for octet in trickle {
        let pause = tokio::time::sleep(Duration::from_millis(500));
        tokio::pin!(pause);
        if stream.write_all(&[*octet]).await.is_err() {
            return begin.elapsed();
        }
        loop {
            tokio::select! {
                () = &mut pause => break,
                read = stream.read(&mut space) => if !matches!(read, Ok(1..)) { return begin.elapsed() },
            }
        }
    }
    while let Ok(1..) = stream.read(&mut space).await {}
    begin.elapsed()
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[tokio::test]
async fn who_asks_for_nothing_loses_its_connection_and_others_do_not_notice() {
    let (control, _) = Control::start_whole().await;
    let unix = control.dir.path().join("grpc.sock");
    let tcp = ListenerKind::GrpcTcp { access: Access::ReadWrite, token: true, tls: None };
    let tcp = control.listen_tcp(tcp, Some("s3cret\n")).await;
    let tls_port = control.listen_tls(false).await;
    let good = unix_channel(unix.clone()).await;
    assert_eq!(asn(good.clone()).await, Ok(64999));
    // A request whose header never ends: HEADERS without END_HEADERS, and octets of CONTINUATION frames.
    let endless: Vec<u8> = PREFACE
        .iter()
        .chain(b"\0\0\x02\x01\0\0\0\0\x01\x83\x86")
        .chain(std::iter::repeat_n(b"\0\0\0\x09\0\0\0\0\x01", 40).flatten())
        .copied()
        .collect();
    // Without the token nothing is let through, however often it is asked for.
    let unauthorized = async {
        let begin = Instant::now();
        let channel = Endpoint::from_shared(format!("http://{tcp}")).unwrap().connect().await.unwrap();
        assert_eq!(asn(channel).await, Err(Code::Unauthenticated));
        begin.elapsed()
    };
    let connect = async || TcpStream::connect(tcp).await.unwrap();
    let mut garbage = connect().await;
    garbage.write_all(&[0xa5; 5000]).await.unwrap();
    let all = async {
        tokio::join!(
            closed_after(connect().await, b""),
            closed_after(connect().await, PREFACE),
            closed_after(connect().await, &endless),
            closed_after(UnixStream::connect(&unix).await.unwrap(), b""),
            closed_after(UnixStream::connect(&unix).await.unwrap(), &endless),
            closed_after(TcpStream::connect(("127.0.0.1", tls_port)).await.unwrap(), b""),
            closed_after(
                TcpStream::connect(("127.0.0.1", tls_port)).await.unwrap(),
                b"\x16\x03\x01\x02\x00\x01"
            ),
            closed_after(garbage, b""),
            unauthorized,
        )
    };
    let closed =
        tokio::time::timeout(Duration::from_secs(45), all).await.expect("all are closed within 30 s");
    assert!(closed.0 > Duration::from_secs(20), "who is slow has some time: {closed:?}");
    assert!(closed.5 < Duration::from_secs(20), "a handshake has less: {closed:?}");
    assert!(closed.7 < Duration::from_secs(5), "garbage has none: {closed:?}");
    assert_eq!(asn(good).await, Ok(64999), "one that has asked before stays");
}
