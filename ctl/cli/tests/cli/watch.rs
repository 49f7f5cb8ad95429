//! `rustbgpctl watch`.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use grpc::v1::{Route, RouteEvent, RouteEventType, WatchRoutesRequest};
use serde_json::{Value, json};
use tonic::Status;

use crate::server::{Daemon, text};

fn event(kind: RouteEventType, sequence: u64) -> RouteEvent {
    RouteEvent {
        event_type: kind.into(),
        prefix: "10.0.0.0".into(),
        prefix_length: 8,
        peer_address: "192.0.2.1".into(),
        afi_safi: 1,
        timestamp: "2026-11-29T12:00:00.500Z".into(),
        sequence,
        ..RouteEvent::default()
    }
}

pub(crate) fn events() -> Vec<Result<RouteEvent, Status>> {
    let changed = RouteEvent {
        previous_peer_address: "0.0.0.0".into(),
        previous_path_id: 7,
        path_id: 3,
        route: Some(Route { next_hop: "192.0.2.9".into(), as_path: vec![65001, 65010], ..Route::default() }),
        ..event(RouteEventType::BestChanged, 12)
    };
    let end = RouteEvent {
        event_type: RouteEventType::EndOfSnapshot.into(),
        sequence: 10,
        timestamp: "2026-11-29T12:00:00.500Z".into(),
        snapshot: true,
        ..RouteEvent::default()
    };
    vec![
        Ok(RouteEvent { snapshot: true, ..event(RouteEventType::Added, 0) }),
        Ok(end),
        Ok(event(RouteEventType::Added, 11)),
        Ok(changed),
        Ok(event(RouteEventType::Withdrawn, 13)),
    ]
}

fn begin(daemon: &Daemon, args: &[&str]) -> Child {
    daemon.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn lines(child: &mut Child, count: usize) -> Vec<String> {
    let out = BufReader::new(child.stdout.as_mut().unwrap());
    out.lines().take(count).map(|line| line.unwrap()).collect()
}

fn interrupt(mut child: Child) -> (Option<i32>, String) {
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let mut error = String::new();
    child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    (child.wait().unwrap().code(), error)
}

#[test]
fn each_event_is_a_line_at_once_and_ctrl_c_is_no_error() {
    let daemon = Daemon::start();
    daemon.world().events = events();
    let mut child = begin(&daemon, &["watch", "192.0.2.1", "-a", "ipv4", "--snapshot", "--attributes"]);
    assert_eq!(
        lines(&mut child, 5),
        [
            "2026-11-29T12:00:00.500Z  there      10.0.0.0/8          192.0.2.1",
            "2026-11-29T12:00:00.500Z  end of what is there, changes follow",
            "2026-11-29T12:00:00.500Z  added      10.0.0.0/8          192.0.2.1",
            "2026-11-29T12:00:00.500Z  changed    10.0.0.0/8          192.0.2.1, path 3 (before: injected, path 7)  via 192.0.2.9  path [65001 65010]",
            "2026-11-29T12:00:00.500Z  withdrawn  10.0.0.0/8          192.0.2.1",
        ]
    );
    assert_eq!(interrupt(child), (Some(0), String::new()));
    let expected = WatchRoutesRequest {
        neighbor_address: "192.0.2.1".into(),
        afi_safi: 1,
        snapshot: true,
        attributes: true,
        resume_after: 0,
    };
    assert_eq!(daemon.world().watches, [expected]);
}

#[test]
fn with_json_each_line_is_an_object() {
    let daemon = Daemon::start();
    daemon.world().events = events();
    let mut child = begin(&daemon, &["-j", "watch", "--resume-after", "10"]);
    let objects: Vec<Value> =
        lines(&mut child, 5).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(interrupt(child), (Some(0), String::new()));
    let time = "2026-11-29T12:00:00.500Z";
    assert_eq!(
        objects[1],
        json!({ "event_type": "end_of_snapshot", "sequence": 10, "timestamp": time, "snapshot": true })
    );
    assert_eq!(
        objects[4],
        json!({
            "event_type": "withdrawn", "sequence": 13, "timestamp": time, "snapshot": false,
            "afi_safi": "ipv4_unicast", "prefix": "10.0.0.0", "prefix_length": 8,
            "peer_address": "192.0.2.1", "path_id": 0,
        })
    );
    assert_eq!(objects[3]["previous_peer_address"], "0.0.0.0");
    assert_eq!(objects[3]["route"]["as_path"], json!([65001, 65010]));
    assert_eq!(daemon.world().watches[0].resume_after, 10);
}

#[test]
fn whoever_ends_the_stream_is_told_how_to_go_on() {
    let daemon = Daemon::start();
    for (status, says) in [
        (Status::unavailable("rde is not available"), "--resume-after 11"),
        (Status::resource_exhausted("events were not read in time"), "watch --snapshot"),
    ] {
        daemon.world().events = vec![Ok(event(RouteEventType::Added, 11)), Err(status)];
        let error = daemon.fails(1, &["watch"]);
        assert!(error.contains(says), "{error}");
    }
    let error = daemon.fails(2, &["watch", "--snapshot", "--resume-after", "5"]);
    assert!(error.contains("--resume-after"), "{error}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let daemon = Daemon::start();
    daemon.world().events = (0..100_000).map(|n| Ok(event(RouteEventType::Added, n))).collect();
    let mut child = begin(&daemon, &["watch"]);
    assert_eq!(lines(&mut child, 1).len(), 1);
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}
