//! The interface on the wire, octet by octet: what clients compiled against it send must mean the same here.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use grpc::v1::{
    AddPathRequest, AddressFamily, DeletePathRequest, ErrorDetail, FlowSpecAction, FlowSpecTrafficRate,
    HealthResponse, ListRoutesRequest, NeighborConfig, NeighborState, PolicyStatement, Route, RouteEvent,
    SessionState, error_detail, flow_spec_action,
};
use prost::Message;

/// A field of wire type 0 (a number below 128).
fn number(field: u8, value: u8) -> Vec<u8> {
    let mut octets = key(field, 0);
    octets.push(value);
    octets
}

/// A field of wire type 2 (text, message, packed numbers).
fn bytes(field: u8, value: &[u8]) -> Vec<u8> {
    let mut octets = key(field, 2);
    octets.push(value.len() as u8);
    octets.extend_from_slice(value);
    octets
}

fn key(field: u8, wire_type: u8) -> Vec<u8> {
    let key = u16::from(field) << 3 | u16::from(wire_type);
    if key < 128 { vec![key as u8] } else { vec![key as u8 & 0x7f | 0x80, (key >> 7) as u8] }
}

fn decode<M: Message + Default>(fields: &[Vec<u8>]) -> M {
    let message = M::decode(fields.concat().as_slice()).unwrap();
    // Fields in the order of their numbers: encoding gives the same octets.
    assert_eq!(message.encode_to_vec(), fields.concat());
    message
}

#[test]
fn route() {
    let r: Route = decode(&[
        bytes(1, b"10.0.0.0"),
        number(2, 8),
        bytes(3, b"192.0.2.1"),
        bytes(4, b"192.0.2.2"),
        number(5, 2),
        bytes(6, &[0xe9, 0xfb, 0x03, 7]),
        number(7, 100),
        number(8, 5),
        number(9, 1),
        bytes(10, &[1, 2]),
        bytes(11, &[3]),
        bytes(12, b"1:2:3"),
        number(13, 9),
        bytes(14, b"valid"),
        bytes(15, b"unknown"),
    ]);
    assert_eq!((r.prefix.as_str(), r.prefix_length, r.next_hop.as_str()), ("10.0.0.0", 8, "192.0.2.1"));
    assert_eq!((r.peer_address.as_str(), r.origin, r.as_path.as_slice()), ("192.0.2.2", 2, &[65001, 7][..]));
    assert_eq!((r.local_pref, r.med, r.best, r.path_id), (100, 5, true, 9));
    assert_eq!((r.communities.as_slice(), r.extended_communities.as_slice()), (&[1, 2][..], &[3][..]));
    assert_eq!(r.large_communities, ["1:2:3"]);
    assert_eq!((r.validation_state.as_str(), r.aspa_state.as_str()), ("valid", "unknown"));
}

#[test]
fn list_routes_request() {
    let r: ListRoutesRequest = decode(&[
        bytes(1, b"192.0.2.1"),
        number(2, 2),
        number(3, 50),
        bytes(4, b"token"),
        bytes(5, b"2001:db8::"),
        number(6, 32),
        number(7, 1),
        number(8, 77),
        bytes(9, &[5, 6]),
        bytes(10, b"1:2:3"),
    ]);
    assert_eq!((r.neighbor_address.as_str(), r.afi_safi()), ("192.0.2.1", AddressFamily::Ipv6Unicast));
    assert_eq!((r.page_size, r.page_token.as_str()), (50, "token"));
    assert_eq!(
        (r.prefix_filter.as_str(), r.prefix_filter_length, r.longer_prefixes),
        ("2001:db8::", 32, true)
    );
    assert_eq!(
        (r.origin_asn, r.community_filter, r.large_community_filter),
        (77, vec![5, 6], vec!["1:2:3".to_owned()])
    );
}

#[test]
fn neighbor_state() {
    let config = [bytes(1, b"192.0.2.1"), number(2, 7), bytes(3, b"d"), number(4, 90), number(5, 3)].concat();
    let n: NeighborState = decode(&[
        bytes(1, &config),
        number(2, 6),
        number(3, 1),
        number(4, 2),
        number(5, 3),
        number(6, 4),
        number(7, 5),
        number(8, 6),
        number(9, 7),
        number(10, 8),
        bytes(11, b"error"),
        number(12, 1),
    ]);
    let config: NeighborConfig = n.config.clone().unwrap();
    assert_eq!(
        (config.address.as_str(), config.remote_asn, config.description.as_str()),
        ("192.0.2.1", 7, "d")
    );
    assert_eq!((config.hold_time, config.max_prefixes), (90, 3));
    assert_eq!(n.state(), SessionState::Established);
    assert_eq!((n.uptime_seconds, n.prefixes_received, n.prefixes_sent), (1, 2, 3));
    assert_eq!((n.updates_received, n.updates_sent), (4, 5));
    assert_eq!((n.notifications_received, n.notifications_sent, n.flap_count), (6, 7, 8));
    assert_eq!((n.last_error.as_str(), n.is_dynamic), ("error", true));
}

#[test]
fn paths_that_are_injected_tell_zero_from_absent() {
    let p: AddPathRequest = decode(&[
        bytes(1, b"10.0.0.0"),
        number(2, 8),
        bytes(3, b"192.0.2.1"),
        bytes(4, &[1, 2]),
        number(5, 1),
        number(6, 0),
        bytes(8, &[4]),
        bytes(9, &[5]),
        bytes(10, b"1:2:3"),
        number(11, 6),
    ]);
    assert_eq!((p.local_pref, p.med, p.origin, p.path_id), (Some(0), None, 1, 6));
    let d: DeletePathRequest = decode(&[bytes(1, b"10.0.0.0"), number(2, 8), number(4, 6)]);
    assert_eq!((d.prefix.as_str(), d.prefix_length, d.path_id), ("10.0.0.0", 8, 6));
}

#[test]
fn what_is_ours_does_not_disturb_old_clients() {
    // An old client reads none of the fields from 100 up, and what it reads is the same without them.
    let old = number(1, 1);
    let new = HealthResponse { healthy: true, unavailable: vec!["rde".into()], ..HealthResponse::default() };
    assert_eq!(new.encode_to_vec(), [old, bytes(100, b"rde")].concat());
}

#[test]
fn messages_with_choices_and_high_numbers() {
    let detail: ErrorDetail = decode(&[bytes(3, &[bytes(1, b"f"), bytes(2, b"m"), bytes(3, b"v")].concat())]);
    assert!(matches!(detail.kind, Some(error_detail::Kind::Config(c)) if c.provided_value == "v"));
    let action: FlowSpecAction = decode(&[bytes(1, &[0x0d, 0, 0, 0x80, 0x3f])]);
    let rate = FlowSpecTrafficRate { rate: 1.0 };
    assert_eq!(action.action, Some(flow_spec_action::Action::TrafficRate(rate)));
    let event: RouteEvent = decode(&[number(1, 3), bytes(2, b"::"), bytes(7, b"192.0.2.9"), number(8, 4)]);
    assert_eq!((event.event_type, event.previous_peer_address.as_str(), event.path_id), (3, "192.0.2.9", 4));
    let statement: PolicyStatement = decode(&[
        bytes(1, b"permit"),
        bytes(15, &[number(1, 9), number(2, 3)].concat()),
        number(20, 0),
        bytes(23, b"valid"),
    ]);
    assert_eq!(statement.set_as_path_prepend.map(|p| (p.asn, p.count)), Some((9, 3)));
    assert_eq!(
        (statement.match_med_ge, statement.match_aspa_validation.as_deref()),
        (Some(0), Some("valid"))
    );
}
