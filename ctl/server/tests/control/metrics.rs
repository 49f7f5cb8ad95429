//! Metrics: the same text over gRPC and HTTP, with the manual's names.

use std::collections::BTreeMap;

use grpc::v1::MetricsRequest;
use grpc::v1::control_service_client::ControlServiceClient;
use ipc::config::{Access, ListenerKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Control, soon, unix_channel};

fn samples(text: &str) -> BTreeMap<String, u64> {
    text.lines()
        .filter(|l| !l.starts_with('#'))
        .map(|l| l.rsplit_once(' ').unwrap())
        .map(|(series, value)| (series.to_owned(), value.parse().unwrap()))
        .collect()
}

async fn http(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    answer
}

#[tokio::test]
async fn prometheus_reads_what_is_going_on() {
    let (control, channel) = Control::start_whole().await;
    let address = control.listen_tcp(ListenerKind::Metrics, None).await;
    let answer = http(address, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    let s = samples(body);
    for (series, value) in [
        ("bgp_peers_established", 1),
        ("bgp_peers_configured", 3),
        ("bgp_updates_received_total", 20),
        ("bgp_updates_sent_total", 22),
        ("bgp_rib_prefixes{table=\"adj_rib_in\",afi_safi=\"ipv4_unicast\"}", 100),
        ("bgp_rib_prefixes{table=\"loc_rib\",afi_safi=\"ipv6_unicast\"}", 7),
        ("bgp_rib_prefixes{table=\"adj_rib_out\",afi_safi=\"ipv6_unicast\"}", 40),
        ("bgp_session_established_total{peer=\"192.0.2.1\"}", 3),
        ("bgp_session_established_total{peer=\"2001:db8::2\"}", 2),
        ("bgp_session_flaps_total{peer=\"192.0.2.1\"}", 2),
        ("bgp_session_flaps_total{peer=\"10.0.0.9\"}", 0),
        ("bgp_messages_received_total{peer=\"192.0.2.1\",type=\"keepalive\"}", 20),
        ("bgp_rib_adj_out_prefixes{peer=\"192.0.2.1\",afi_safi=\"ipv4_unicast\"}", 5),
        ("bgp_as_path_loop_detected_total{peer=\"192.0.2.1\"}", 4),
        ("bgp_rr_loop_detected_total{peer=\"192.0.2.1\"}", 3),
        // Of two peers one is restarting; both have had restarts that took too long.
        ("bgp_gr_active_peers", 1),
        ("bgp_gr_stale_routes", 4),
        ("bgp_gr_timer_expired_total", 14),
        ("bgp_max_prefix_exceeded_total{peer=\"192.0.2.1\"}", 8),
        ("bgp_update_errors_total{kind=\"attribute_length\"}", 7),
        ("bgp_update_errors_total{kind=\"first_as\"}", 2),
        ("bgp_update_errors_total{kind=\"malformed_nlri\"}", 0),
    ] {
        assert_eq!(s.get(series), Some(&value), "{series}\n{body}");
    }
    let grpc = ControlServiceClient::new(channel).get_metrics(MetricsRequest {}).await.unwrap().into_inner();
    let without_uptime = |text: &str| {
        let mut s = samples(text);
        s.remove("bgp_uptime_seconds").unwrap();
        s
    };
    assert_eq!(without_uptime(&grpc.prometheus_text), without_uptime(body));

    let elsewhere = http(address, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(elsewhere.starts_with("HTTP/1.1 404") && elsewhere.contains("/metrics"), "{elsewhere}");
    let post =
        http(address, "POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\ncontent-length: 0\r\n\r\n")
            .await;
    assert!(post.starts_with("HTTP/1.1 405"), "{post}");
}

#[tokio::test]
async fn every_name_of_the_manual_is_there_from_the_start() {
    let control = Control::start().await;
    let channel = unix_channel(control.listen_unix("grpc.sock", Access::ReadWrite).await).await;
    let text = ControlServiceClient::new(channel).get_metrics(MetricsRequest {}).await.unwrap().into_inner();
    let s = samples(&text.prometheus_text);
    for series in [
        "bgp_peers_established",
        "bgp_rib_prefixes{table=\"adj_rib_in\",afi_safi=\"ipv4_unicast\"}",
        "bgp_rib_prefixes{table=\"loc_rib\",afi_safi=\"ipv4_unicast\"}",
        "bgp_rib_prefixes{table=\"adj_rib_out\",afi_safi=\"ipv4_unicast\"}",
        "bgp_updates_received_total",
        "bgp_updates_sent_total",
        "bgp_gr_active_peers",
        "bgp_gr_stale_routes",
        "bgp_gr_timer_expired_total",
        "bgp_rpki_vrp_count{af=\"ipv4\"}",
        "bgp_rpki_vrp_count{af=\"ipv6\"}",
    ] {
        assert_eq!(s.get(series), Some(&0), "{series}");
    }
    assert_eq!(s.get("bgp_peers_configured"), Some(&3));
    assert!(s.contains_key("bgp_uptime_seconds"));
}
