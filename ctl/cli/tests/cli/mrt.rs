//! `rib inject`: table dumps made here, octet by octet (RFC 6396).

use std::io::Write;

use crate::server::{Daemon, write};

fn record(kind: u16, subtype: u16, body: &[u8]) -> Vec<u8> {
    let mut octets = vec![0; 4];
    octets.extend(kind.to_be_bytes());
    octets.extend(subtype.to_be_bytes());
    octets.extend((body.len() as u32).to_be_bytes());
    octets.extend(body);
    octets
}

fn attribute(flags: u8, kind: u8, value: &[u8]) -> Vec<u8> {
    let mut octets = vec![flags, kind, value.len() as u8];
    octets.extend(value);
    octets
}

/// AS_PATH segments of 4-octet numbers: type, numbers.
fn path(segments: &[(u8, &[u32])]) -> Vec<u8> {
    let mut value = Vec::new();
    for (kind, asns) in segments {
        value.extend([*kind, asns.len() as u8]);
        value.extend(asns.iter().flat_map(|a| a.to_be_bytes()));
    }
    attribute(0x40, 2, &value)
}

fn attributes(segments: &[(u8, &[u32])]) -> Vec<u8> {
    [
        attribute(0x40, 1, &[2]),
        path(segments),
        attribute(0x40, 3, &[192, 0, 2, 7]),
        attribute(0x80, 4, &[0, 0, 0, 9]),
        attribute(0xc0, 8, &[0xfd, 0xe9, 0, 100, 0xff, 0xff, 0xff, 1]),
        attribute(0xc0, 16, &[0, 2, 0xfd, 0xe9, 0, 0, 0, 100]),
        attribute(0xc0, 32, &[0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]),
    ]
    .concat()
}

const SEQUENCE: u8 = 2;
const SET: u8 = 1;

fn peers() -> Vec<u8> {
    let mut body = vec![192, 0, 2, 254, 0, 0, 0, 2];
    for n in [1, 2] {
        body.extend([2, 10, 0, 0, n, 192, 0, 2, n, 0, 0, 0xfd, 0xe8]);
    }
    record(13, 1, &body)
}

/// A record of TABLE_DUMP_V2: the prefix, and for each entry its peer and attributes.
fn rib(subtype: u16, prefix: &[u8], entries: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut body = vec![0; 4];
    body.extend(prefix);
    body.extend((entries.len() as u16).to_be_bytes());
    for (peer, attributes) in entries {
        body.extend(peer.to_be_bytes());
        body.extend([0; 4]);
        body.extend((attributes.len() as u16).to_be_bytes());
        body.extend(attributes);
    }
    record(13, subtype, &body)
}

fn dump() -> Vec<u8> {
    // IPv6: the next hop in an MP_REACH_NLRI cut down to it (RFC 6396 §4.3.4).
    let hop = [&[16][..], &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]].concat();
    let v6 = [attribute(0x40, 1, &[0]), path(&[(SEQUENCE, &[65001])]), attribute(0x80, 14, &hop)].concat();
    [
        peers(),
        rib(
            2,
            &[8, 10],
            &[(0, attributes(&[(SEQUENCE, &[65001, 4_200_000_000])])), (1, attributes(&[(SEQUENCE, &[5])]))],
        ),
        rib(2, &[16, 10, 1], &[(1, attributes(&[(SEQUENCE, &[65002])]))]),
        rib(2, &[16, 10, 2], &[(0, attributes(&[(SEQUENCE, &[65001]), (SET, &[1, 2])]))]),
        rib(2, &[16, 10, 3], &[(0, [attribute(0x40, 1, &[0]), path(&[])].concat())]),
        rib(4, &[32, 0x20, 1, 0xd, 0xb8], &[(0, v6)]),
    ]
    .concat()
}

fn prefixes(daemon: &Daemon) -> Vec<String> {
    daemon.world().injected.drain(..).map(|r| format!("{}/{}", r.prefix, r.prefix_length)).collect()
}

#[test]
fn the_first_route_of_each_prefix_is_injected_with_its_attributes() {
    let daemon = Daemon::start();
    let file = write(daemon.dir.path(), "rib.mrt", &dump());
    let said = daemon.ok(&["rib", "inject", "--mrt", &file]);
    assert!(said.starts_with("3 routes injected in "), "{said}");
    assert!(
        said.contains("1 routes skipped: AS_SET") && said.contains("1 routes skipped: no usable next hop"),
        "{said}"
    );
    let r = daemon.world().injected[0].clone();
    assert_eq!(
        (r.next_hop.as_str(), r.as_path.as_slice(), r.origin),
        ("192.0.2.7", &[65001, 4_200_000_000][..], 2)
    );
    assert_eq!((r.med, r.local_pref), (Some(9), None));
    assert_eq!(r.communities, [65001 << 16 | 100, 0xffff_ff01]);
    assert_eq!(
        (r.extended_communities, r.large_communities),
        (vec![0x0002_fde9_0000_0064], vec!["1:2:3".to_owned()])
    );
    assert_eq!(daemon.world().injected[2].next_hop, "2001:db8::1");
    assert_eq!(prefixes(&daemon), ["10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32"]);
}

#[test]
fn gzip_limit_and_peer_index() {
    let daemon = Daemon::start();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&dump()).unwrap();
    let file = write(daemon.dir.path(), "rib", &gzip.finish().unwrap());
    daemon.ok(&["rib", "inject", "--mrt", &file, "--limit", "1"]);
    assert_eq!(prefixes(&daemon), ["10.0.0.0/8"]);
    let said = daemon.json(&["rib", "inject", "--mrt", &file, "--peer-index", "1"]);
    assert_eq!(said["injected"], 2);
    assert_eq!(daemon.world().injected[0].as_path, [5]);
    assert_eq!(prefixes(&daemon), ["10.0.0.0/8", "10.1.0.0/16"]);
}

#[test]
fn table_dump_of_the_first_version() {
    let entry = |prefix: [u8; 4], asn: u16| {
        let [high, low] = asn.to_be_bytes();
        let attributes = [
            attribute(0x40, 1, &[0]),
            attribute(0x40, 2, &[2, 1, high, low]),
            attribute(0x40, 3, &[192, 0, 2, 7]),
        ];
        let attributes = attributes.concat();
        let mut body = vec![0, 0, 0, 1];
        body.extend(prefix);
        body.extend([16, 1, 0, 0, 0, 0, 192, 0, 2, 1, high, low]);
        body.extend((attributes.len() as u16).to_be_bytes());
        body.extend(attributes);
        record(12, 1, &body)
    };
    let daemon = Daemon::start();
    let octets = [entry([10, 0, 0, 0], 1), entry([10, 0, 0, 0], 2), entry([10, 1, 0, 0], 3)].concat();
    let file = write(daemon.dir.path(), "rib.mrt", &octets);
    daemon.ok(&["rib", "inject", "--mrt", &file]);
    let origins: Vec<_> = daemon.world().injected.drain(..).map(|r| r.as_path).collect();
    assert_eq!(origins, [[1], [3]]);
    daemon.ok(&["rib", "inject", "--mrt", &file, "--peer-index", "1"]);
    assert_eq!(daemon.world().injected[0].as_path, [2]);
}

#[test]
fn files_that_are_no_table_dumps_are_refused() {
    let daemon = Daemon::start();
    let cut = dump();
    let cut = &cut[..cut.len() - 5];
    let update = record(
        16,
        4,
        &[0, 0, 0xfd, 0xe8, 0, 0, 0xfd, 0xe9, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2]
            .into_iter()
            .chain([0xff; 16])
            .chain([0, 19, 4])
            .collect::<Vec<u8>>(),
    );
    for (octets, says) in [
        (b"BZh91AY&SY".as_slice(), "bunzip2"),
        (b"this is certainly not a table dump of any sort", "not an MRT file"),
        (cut, "cut off"),
        (&update, "not a table dump"),
    ] {
        let file = write(daemon.dir.path(), "file", octets);
        let message = daemon.fails(1, &["rib", "inject", "--mrt", &file]);
        assert!(message.contains(says) && message.contains(&file), "{message}");
    }
    assert!(daemon.fails(1, &["rib", "inject", "--mrt", "/nonexistent"]).contains("/nonexistent"));
}

#[test]
fn what_the_daemon_refuses_is_named_and_the_rest_is_injected() {
    let daemon = Daemon::start();
    let refused = rib(2, &[16, 10, 66], &[(0, attributes(&[(SEQUENCE, &[1])]))]);
    let file = write(daemon.dir.path(), "rib.mrt", &[peers(), refused].concat());
    let message = daemon.fails(1, &["rib", "inject", "--mrt", &file]);
    assert!(message.contains("1 routes refused"), "{message}");
    assert!(message.contains("route 1 (10.66.0.0/16): refused"), "{message}");
}

#[test]
fn injected_routes_have_an_owner_where_one_is_said() {
    let daemon = Daemon::start();
    let file = write(daemon.dir.path(), "rib.mrt", &dump());
    daemon.ok(&["rib", "inject", "--mrt", &file, "--owner", "announcer-1", "--lease", "30"]);
    assert_eq!(daemon.world().owners, [("announcer-1".to_owned(), Some(30))]);
    let add = ["rib", "add", "10.0.0.0/8", "--nexthop", "192.0.2.1", "--owner", "a", "--lease", "0"];
    daemon.ok(&add);
    let added = daemon.world().injected.last().cloned().unwrap();
    assert_eq!((added.owner.as_str(), added.lease_seconds), ("a", Some(0)));
    assert!(
        daemon
            .fails(2, &["rib", "add", "10.0.0.0/8", "--nexthop", "192.0.2.1", "--lease", "9"])
            .contains("--owner")
    );
    let table = daemon.ok(&["rib", "owners"]);
    let words: Vec<Vec<&str>> = table.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(words[1], ["a", "1000000", "1m", "30s", "1m", "01s"], "{table}");
    assert_eq!(words[2], ["b", "1000000", "-", "-"], "{table}");
    assert_eq!(daemon.json(&["rib", "owners"])[0]["seconds_left"], 61);
    assert!(daemon.ok(&["rib", "owners", "delete", "a"]).contains("7 routes of a withdrawn"));
    assert!(daemon.fails(1, &["rib", "owners", "delete", "x"]).contains("no injected routes"));
    daemon.ok(&["rib", "owners", "renew", "a", "--lease", "60"]);
    assert!(daemon.world().done.last().is_some_and(|d| d.contains("60")));
}
