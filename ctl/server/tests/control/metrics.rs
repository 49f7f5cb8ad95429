//! Metrics: the same text over gRPC and HTTP, with the manual's names.

use std::collections::BTreeMap;

use grpc::v1::control_service_client::ControlServiceClient;
use grpc::v1::{GetProcessesRequest, MetricsRequest};
use ipc::config::{Access, ListenerKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Control, peer, soon, unix_channel};

fn samples(text: &str) -> BTreeMap<String, f64> {
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
        ("rustbgpd_build_info{version=\"rustbgpd 1.2.3\"}", 1),
        ("bgp_peers_configured", 3),
        ("bgp_dynamic_peers", 2),
        ("bgp_dynamic_peer_limit", 100),
        ("bgp_dynamic_peers_refused_total", 3),
        ("bgp_updates_received_total", 1020),
        ("bgp_updates_sent_total", 2022),
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
        ("bgp_session_up{peer=\"192.0.2.1\"}", 1),
        ("bgp_session_up{peer=\"10.0.0.9\"}", 0),
        ("bgp_session_uptime_seconds{peer=\"192.0.2.1\"}", 77),
        ("bgp_peer_disabled{peer=\"2001:db8::2\"}", 1),
        (
            "bgp_session_state_transitions_total{peer=\"192.0.2.1\",from=\"open_confirm\",to=\"established\"}",
            3,
        ),
        ("bgp_notifications_sent_total{peer=\"192.0.2.1\",code=\"4\",subcode=\"0\"}", 2),
        ("bgp_notifications_received_total{peer=\"192.0.2.1\",code=\"6\",subcode=\"2\"}", 3),
        ("bgp_notifications_received_total{peer=\"192.0.2.1\",code=\"other\",subcode=\"other\"}", 1),
        ("bgp_route_leaks_total{peer=\"192.0.2.1\"}", 7),
        ("bgp_paths_refused_total{peer=\"192.0.2.1\"}", 9),
        ("bgp_peer_draining{peer=\"192.0.2.1\"}", 1),
        ("bgp_gr_peer_stale_routes{peer=\"2001:db8::2\",afi_safi=\"ipv4_unicast\"}", 3),
        ("bgp_gr_seconds_left{peer=\"2001:db8::2\"}", 60),
        ("rustbgpd_engine_up{engine=\"parent\"}", 1),
        ("rustbgpd_engine_up{engine=\"rde\"}", 1),
        ("rustbgpd_engine_resident_memory_bytes{engine=\"rde\"}", 4096),
        ("rustbgpd_engine_threads{engine=\"rde\"}", 5),
        ("rustbgpd_engine_start_time_seconds{engine=\"session\"}", 1000),
        ("rustbgpd_engine_restarts_total{engine=\"session\"}", 2),
        ("rustbgpd_engine_queued_messages{engine=\"session\"}", 3),
        ("rustbgpd_ipc_messages_total{engine=\"session\",with=\"rde\",direction=\"sent\"}", 10),
        ("rustbgpd_ipc_bytes_total{engine=\"rde\",with=\"session\",direction=\"received\"}", 2001),
        ("rustbgpd_ipc_bytes_total{engine=\"parent\",with=\"control\",direction=\"sent\"}", 3000),
        ("bgp_update_errors_total{kind=\"malformed_nlri\"}", 0),
    ] {
        assert_eq!(s.get(series), Some(&f64::from(value)), "{series}\n{body}");
    }
    let grpc = ControlServiceClient::new(channel).get_metrics(MetricsRequest {}).await.unwrap().into_inner();
    assert_eq!(s.get("rustbgpd_engine_cpu_seconds_total{engine=\"rde\"}"), Some(&1.25));
    // The system did not say what session uses.
    assert!(!s.contains_key("rustbgpd_engine_cpu_seconds_total{engine=\"session\"}"));
    let of_control = |s: &BTreeMap<String, f64>| {
        s.get("rustbgpd_ipc_messages_total{engine=\"control\",with=\"rde\",direction=\"sent\"}").copied()
    };
    let later = samples(&grpc.prometheus_text);
    assert!(of_control(&s) > Some(0.0) && of_control(&later) > of_control(&s));
    // What stands still is the same over both.
    let still = |s: &BTreeMap<String, f64>| {
        let moving = ["bgp_uptime", "rustbgpd_figures_age", "rustbgpd_ipc_"];
        let all = s.iter().filter(|(name, _)| !moving.iter().any(|m| name.starts_with(m)));
        all.map(|(name, value)| (name.clone(), *value)).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(still(&later), still(&s));
    every_documented_metric_is_in(body);

    let elsewhere = http(address, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(elsewhere.starts_with("HTTP/1.1 404") && elsewhere.contains("/metrics"), "{elsewhere}");
    let post =
        http(address, "POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\ncontent-length: 0\r\n\r\n")
            .await;
    assert!(post.starts_with("HTTP/1.1 405"), "{post}");
}

fn every_documented_metric_is_in(text: &str) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/METRICS.md");
    let document = std::fs::read_to_string(path).unwrap();
    let names = document.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let mut documented = 0;
    for name in names {
        assert!(text.contains(&format!("# TYPE {name} ")), "{name} is not served");
        documented += 1;
    }
    assert_eq!(text.matches("# TYPE ").count(), documented, "all that is served is documented");
}

#[tokio::test]
async fn processes_are_what_the_parent_says_of_them() {
    let (_control, channel) = Control::start_whole().await;
    let answer = ControlServiceClient::new(channel).get_processes(GetProcessesRequest {}).await.unwrap();
    let processes = answer.into_inner().processes;
    let names: Vec<&str> = processes.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["parent", "rde", "session"]);
    let rde = &processes[1];
    assert_eq!((rde.pid, rde.restarts, rde.threads), (7, 2, Some(5)));
    assert_eq!((rde.cpu_milliseconds, rde.resident_bytes), (Some(1250), Some(4096)));
    assert!(rde.uptime_seconds > 1_000_000_000, "since 1000 s after 1970");
    assert_eq!(processes[2].resident_bytes, None, "the system does not say");
}

/// CPU time that a process has used, in milliseconds.
fn cpu_ms(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    // In hundredths of a second.
    10 * fields[11..13].iter().map(|f| f.parse::<u64>().unwrap()).sum::<u64>()
}

/// With 1,000 neighbors: all of them are there, and what a scrape costs is shown.
#[tokio::test]
async fn a_scrape_of_a_thousand_neighbors_is_cheap() {
    const SCRAPES: u64 = 20;
    let (mut control, _) = Control::start_whole().await;
    let peers = (1..=1000_u16).map(|n| peer(n, &format!("10.1.{}.{}", n >> 8, n & 255))).collect();
    control.configure(2, peers).await;
    let address = control.listen_tcp(ListenerKind::Metrics, None).await;
    let before = cpu_ms(control.pid());
    let mut last = String::new();
    for _ in 0..SCRAPES {
        last = http(address, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    }
    let spent = cpu_ms(control.pid()) - before;
    let (octets, each) = (last.len(), spent as f64 / SCRAPES as f64);
    println!("a scrape of 1,000 neighbors: {octets} octets, {each} ms of CPU in control");
    assert_eq!(last.matches("\nbgp_session_up{").count(), 1000);
    assert_eq!(last.matches("\nbgp_messages_sent_total{").count(), 5000);
}

/// An rde that is busy does not hold up a scrape: its last figures stand, and it is said that they are old.
#[tokio::test]
async fn a_scrape_does_not_wait_for_the_tables() {
    let (control, _) = Control::start_whole().await;
    let address = control.listen_tcp(ListenerKind::Metrics, None).await;
    let get = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let body = |answer: String| answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    let before = samples(&body(http(address, get).await));
    control.world.lock().unwrap().silent = true;
    let begun = std::time::Instant::now();
    let after = samples(&body(http(address, get).await));
    // Queries of other clients are answered after ten seconds.
    assert!(begun.elapsed() < std::time::Duration::from_secs(8), "{:?}", begun.elapsed());
    assert_eq!(after.get("rustbgpd_engine_up{engine=\"rde\"}"), Some(&0.0));
    assert_eq!(after.get("rustbgpd_engine_up{engine=\"session\"}"), Some(&1.0));
    let adj_in = "bgp_rib_prefixes{table=\"adj_rib_in\",afi_safi=\"ipv4_unicast\"}";
    assert_eq!((before.get(adj_in), after.get(adj_in)), (Some(&100.0), Some(&100.0)));
    assert!(after["rustbgpd_figures_age_seconds{engine=\"rde\"}"] >= 1.0);
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
        assert_eq!(s.get(series), Some(&0.0), "{series}");
    }
    assert_eq!(s.get("bgp_peers_configured"), Some(&3.0));
    assert!(s.contains_key("bgp_uptime_seconds"));
}
