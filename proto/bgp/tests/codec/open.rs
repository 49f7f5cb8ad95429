//! OPEN and its capabilities: RFC 4271 §6.2, RFC 5492, RFC 9072.

use bgp::capability::{AddPathMode, Capability, GracefulFamily, LongLivedFamily};
use bgp::open::Open;
use bgp::{Afi, Asn, Safi};

/// Version 4, AS 65001, hold time 90, identifier 192.0.2.1, then the optional parameters as they are.
fn body(parameters: &[u8]) -> Vec<u8> {
    [&[4, 0xfd, 0xe9, 0, 90, 192, 0, 2, 1], parameters].concat()
}

#[test]
fn rfc4271_6_2_errors_with_their_subcodes_and_data() {
    let change = |at: usize, bytes: &[u8]| {
        let mut b = body(&[0]);
        b[at..at + bytes.len()].copy_from_slice(bytes);
        b
    };
    let cases: Vec<(&str, Vec<u8>, u8, Vec<u8>)> = vec![
        ("version", change(0, &[3]), 1, vec![0, 4]),
        ("version", change(0, &[5]), 1, vec![0, 4]),
        ("RFC 7607: AS 0", change(1, &[0, 0]), 2, vec![]),
        ("RFC 7607: 4-octet AS 0", body(&[8, 2, 6, 65, 4, 0, 0, 0, 0]), 2, vec![]),
        ("identifier 0", change(5, &[0; 4]), 3, vec![]),
        ("authentication parameter", body(&[3, 1, 1, 0]), 4, vec![]),
        ("unknown parameter", body(&[2, 77, 0]), 4, vec![]),
        ("RFC 9072 §3: 255 elsewhere", body(&[7, 2, 2, 2, 0, 255, 0, 0]), 4, vec![]),
        ("hold time 1", change(3, &[0, 1]), 6, vec![]),
        ("hold time 2", change(3, &[0, 2]), 6, vec![]),
        ("octets behind the parameters", body(&[0, 1]), 0, vec![]),
        ("parameters beyond the message", body(&[4, 2, 0]), 0, vec![]),
        ("parameter beyond the parameters", body(&[2, 2, 1]), 0, vec![]),
        ("capability beyond its parameter", body(&[4, 2, 2, 1, 4]), 0, vec![]),
        ("capability of a wrong length", body(&[7, 2, 5, 1, 3, 0, 1, 0]), 0, vec![]),
        ("RFC 9072: octets behind", body(&[255, 255, 0, 0, 9]), 0, vec![]),
        ("RFC 9072: length missing", body(&[255, 255, 0]), 0, vec![]),
    ];
    for (name, bytes, subcode, data) in cases {
        let n = Open::decode(&bytes).unwrap_err();
        assert_eq!((n.code, n.subcode, n.data), (2, subcode, data), "{name}");
    }
    for hold in [0, 3, 65535u16] {
        assert_eq!(Open::decode(&change(3, &hold.to_be_bytes())).unwrap().hold_time, hold);
    }
}

#[test]
fn rfc5492_4_one_parameter_or_many() {
    let one = [10, 2, 8, 1, 4, 0, 1, 0, 1, 2, 0];
    let many = [12, 2, 6, 1, 4, 0, 1, 0, 1, 2, 2, 2, 0];
    let expected = [Capability::MultiProtocol(Afi(1), Safi(1)), Capability::RouteRefresh];
    for parameters in [&one[..], &many] {
        let open = Open::decode(&body(parameters)).unwrap();
        assert_eq!(open.capabilities, expected);
    }
    // Unknown ones are kept, not refused.
    let open = Open::decode(&body(&[5, 2, 3, 200, 1, 7])).unwrap();
    assert_eq!(open.capabilities, [Capability::Unknown { code: 200, value: vec![7] }]);
    // RFC 7911 §4: an undefined Send/Receive value makes it not understood.
    let open = Open::decode(&body(&[8, 2, 6, 69, 4, 0, 1, 1, 4])).unwrap();
    assert_eq!(open.capabilities, [Capability::Unknown { code: 69, value: vec![0, 1, 1, 4] }]);
}

#[test]
fn rfc9072_2_lengths_around_255() {
    // Octets of capabilities, whether the extended format must be used.
    for (octets, extended) in
        [(0, false), (2, false), (252, false), (253, false), (254, true), (255, true), (900, true)]
    {
        let mut capabilities = Vec::new();
        let mut left = octets;
        while left > 0 {
            let n = if left > 257 { 200 } else { left.min(257) };
            capabilities.push(Capability::Unknown { code: 250, value: vec![7; n - 2] });
            left -= n;
        }
        let open = Open { version: 4, my_as: 1, hold_time: 90, router_id: 7.into(), capabilities };
        let message = open.encode();
        assert_eq!(message[28] == 255 && message[29] == 255, extended, "{octets}");
        if octets == 253 {
            assert_eq!(message[28..31], [255, 2, 253], "exactly 255 octets need no extension");
        }
        assert_eq!(Open::decode(&message[19..]).unwrap(), open, "{octets}");
    }
    // The extended format must be accepted where it isn't needed, whatever the first length says.
    for first in [1, 5, 255] {
        let open = Open::decode(&body(&[first, 255, 0, 5, 2, 0, 2, 2, 0])).unwrap();
        assert_eq!(open.capabilities, [Capability::RouteRefresh]);
        assert!(Open::decode(&body(&[first, 255, 0, 0])).unwrap().capabilities.is_empty());
    }
}

#[test]
fn rfc6793_4_1_the_as_is_that_of_the_capability() {
    let open = Open::decode(&body(&[8, 2, 6, 65, 4, 0, 3, 0x0d, 0x40])).unwrap();
    assert_eq!((open.asn(), open.my_as), (Asn(200_000), 65001));
    assert_eq!(Open::decode(&body(&[0])).unwrap().asn(), Asn(65001));
}

#[test]
fn capabilities_are_read_and_shown() {
    let family = |forwarding| GracefulFamily { afi: Afi(1), safi: Safi(1), forwarding };
    let cases: Vec<(u8, &[u8], Capability, &str)> = vec![
        (1, &[0, 2, 0, 1], Capability::MultiProtocol(Afi(2), Safi(1)), "ipv6_unicast"),
        (1, &[0, 25, 9, 70], Capability::MultiProtocol(Afi(25), Safi(70)), "afi-25/safi-70"),
        (2, &[], Capability::RouteRefresh, "route-refresh"),
        (
            5,
            &[0, 1, 0, 1, 0, 2],
            Capability::ExtendedNextHop(vec![(Afi(1), Safi(1), Afi(2))]),
            "extended-next-hop ipv4_unicast",
        ),
        (6, &[], Capability::ExtendedMessage, "extended-message"),
        (9, &[0], Capability::Role(0), "role provider"),
        (9, &[1], Capability::Role(1), "role rs"),
        (9, &[2], Capability::Role(2), "role rs-client"),
        (9, &[3], Capability::Role(3), "role customer"),
        (9, &[4], Capability::Role(4), "role peer"),
        (9, &[5], Capability::Role(5), "role 5"),
        (
            64,
            &[0xc0, 120, 0, 1, 1, 0x80],
            Capability::GracefulRestart {
                restarting: true,
                notification: true,
                restart_time: 120,
                families: vec![family(true)],
            },
            "graceful-restart 120s restarting notification ipv4_unicast:forwarding",
        ),
        (
            64,
            &[0x0f, 0xff],
            Capability::GracefulRestart {
                restarting: false,
                notification: false,
                restart_time: 4095,
                families: vec![],
            },
            "graceful-restart 4095s",
        ),
        (65, &[0, 3, 0x0d, 0x40], Capability::FourOctetAs(200_000), "4-octet-as 200000"),
        (
            69,
            &[0, 1, 1, 3, 0, 2, 1, 1],
            Capability::AddPath(vec![
                (Afi(1), Safi(1), AddPathMode::Both),
                (Afi(2), Safi(1), AddPathMode::Receive),
            ]),
            "add-path ipv4_unicast:both ipv6_unicast:receive",
        ),
        (70, &[], Capability::EnhancedRouteRefresh, "enhanced-route-refresh"),
        (
            71,
            &[0, 1, 1, 0x80, 0, 0x0e, 0x10],
            Capability::LongLivedGracefulRestart(vec![LongLivedFamily {
                afi: Afi(1),
                safi: Safi(1),
                forwarding: true,
                stale_time: 3600,
            }]),
            "long-lived-graceful-restart ipv4_unicast:3600s:forwarding",
        ),
    ];
    for (code, value, expected, text) in cases {
        let got = Capability::decode(code, value).unwrap();
        assert_eq!(got, expected);
        assert_eq!(got.to_string(), text);
        // One octet more is one too many for each of them.
        let longer = [value, &[0]].concat();
        assert!(Capability::decode(code, &longer).is_err(), "{text}");
    }
}
