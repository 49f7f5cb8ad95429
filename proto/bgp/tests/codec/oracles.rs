//! Real routes must come out as other decoders read them: bgpdump (the program) and bgpkit-parser (the
//! crate), over the MRT files of the project and of the folder that `RUSTBGPD_TEST_DATA` names.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;

use bgpkit_parser::BgpkitParser;
use bgpkit_parser::models::{BgpElem, Community, ElemType, MetaCommunity, Origin};

use crate::mrt::{self, Line, Shown, decode, files, read, withdrawn};

/// Compares two lists of lines as multisets; tells how they differ.
fn compare(path: &Path, oracle: &str, mut ours: Vec<String>, mut theirs: Vec<String>) -> Option<String> {
    ours.sort_unstable();
    theirs.sort_unstable();
    if ours == theirs {
        return None;
    }
    let only = |a: &[String], b: &[String]| -> Vec<String> {
        a.iter().filter(|l| b.binary_search(l).is_err()).take(8).cloned().collect()
    };
    Some(format!(
        "{}: {} routes here, {} by {oracle}\nonly here: {:#?}\nonly by {oracle}: {:#?}",
        path.display(),
        ours.len(),
        theirs.len(),
        only(&ours, &theirs),
        only(&theirs, &ours)
    ))
}

/// A line of `bgpdump -m`.
fn from_bgpdump(line: &str) -> Option<String> {
    let fields: Vec<&str> = line.split('|').collect();
    let (kind, peer, prefix) = (*fields.get(2)?, &ip(fields.get(3)?), &ip(fields.get(5)?));
    let add_path = fields[0].ends_with("_AP");
    let mut rest = fields.get(6..).unwrap_or_default();
    let mut path_id = None;
    if add_path {
        path_id = rest.first()?.parse().ok();
        rest = &rest[1..];
    }
    match (kind, rest) {
        ("W", _) => Some(withdrawn(peer, prefix, path_id)),
        ("A" | "B", [path, ..]) if has_as_zero(path) => None,
        ("A" | "B", [path, origin, next_hop, local_pref, med, communities, atomic, aggregator, ..]) => {
            // What a route without any attribute is given there.
            let made_up = *next_hop == "255.255.255.255";
            let origins: &[&str] = if made_up { &[] } else { &["IGP", "EGP", "INCOMPLETE"] };
            let line = Line {
                peer: peer.clone(),
                prefix: prefix.clone(),
                path_id,
                path: path.replace(',', " "),
                origin: origins.iter().find(|o| *o == origin).copied().unwrap_or_default(),
                next_hop: if made_up { String::new() } else { ip(next_hop) },
                local_pref: local_pref.parse().unwrap(),
                med: med.parse().unwrap(),
                communities: communities.split_whitespace().map(community).collect(),
                large: Vec::new(),
                atomic: *atomic == "AG",
                aggregator: aggregator
                    .split_once(' ')
                    .map(|(asn, ip)| (asn.parse().unwrap(), ip.parse::<Ipv4Addr>().unwrap()))
                    .filter(not_as_zero),
            };
            Some(line.announced())
        }
        _ => None,
    }
}

/// RFC 7607 §2: such an aggregator is discarded here.
fn not_as_zero(aggregator: &(u32, Ipv4Addr)) -> bool {
    aggregator.0 != 0
}

/// RFC 7607 §2: such a route is treated as withdrawn here.
fn has_as_zero(path: &str) -> bool {
    path.split([' ', '{', '}', ',']).any(|asn| asn == "0")
}

/// An address or prefix in the usual text form: bgpdump shortens IPv6 in its own way.
fn ip(text: &str) -> String {
    let (address, len) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
    let address = address.parse::<IpAddr>().map_or_else(|_| address.to_owned(), |a| a.to_string());
    len.map_or(address.clone(), |len| format!("{address}/{len}"))
}

fn community(text: &str) -> u32 {
    match text {
        "no-export" => 0xffff_ff01,
        "no-advertise" => 0xffff_ff02,
        "local-AS" => 0xffff_ff03,
        _ => {
            let (high, low) = text.split_once(':').unwrap();
            high.parse::<u32>().unwrap() << 16 | low.parse::<u32>().unwrap()
        }
    }
}

#[test]
fn the_same_routes_come_out_as_from_bgpdump() {
    let mut differences = Vec::new();
    for path in files("mrt") {
        let out = Command::new("bgpdump").arg("-m").arg(&path).output().expect("the Debian package bgpdump");
        let text = String::from_utf8(out.stdout).unwrap();
        let theirs: Vec<String> = text.lines().filter_map(from_bgpdump).collect();
        let ours = decode(&read(&path), Shown { path_ids: true, large: false });
        differences.extend(compare(&path, "bgpdump", ours.lines, theirs));
        let refused = ours.refused.iter().filter(|r| *r != "AS_PATH: as zero");
        differences.extend(refused.map(|r| format!("{}: {r}", path.display())));
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn from_bgpkit(e: &BgpElem) -> Option<String> {
    let (peer, prefix) = (e.peer_ip.to_string(), e.prefix.prefix.trunc().to_string());
    if e.elem_type == ElemType::WITHDRAW {
        return Some(withdrawn(&peer, &prefix, None));
    }
    let path = e.as_path.as_ref().map(ToString::to_string).unwrap_or_default();
    if has_as_zero(&path) {
        return None;
    }
    let communities = e.communities.as_deref().unwrap_or_default();
    let plain = |c: &MetaCommunity| match c {
        MetaCommunity::Plain(Community::NoExport) => Some(0xffff_ff01),
        MetaCommunity::Plain(Community::NoAdvertise) => Some(0xffff_ff02),
        MetaCommunity::Plain(Community::NoExportSubConfed) => Some(0xffff_ff03),
        MetaCommunity::Plain(Community::Custom(asn, n)) => Some(asn.to_u32() << 16 | u32::from(*n)),
        _ => None,
    };
    let large = |c: &MetaCommunity| match c {
        MetaCommunity::Large(l) => Some((l.global_admin, l.local_data[0], l.local_data[1])),
        _ => None,
    };
    let line = Line {
        peer,
        prefix,
        path_id: None,
        path: path.replace(',', " "),
        origin: match e.origin {
            Some(Origin::IGP) => "IGP",
            Some(Origin::EGP) => "EGP",
            Some(Origin::INCOMPLETE) => "INCOMPLETE",
            None => "",
        },
        next_hop: e.next_hop.map(|n| n.to_string()).unwrap_or_default(),
        local_pref: e.local_pref.unwrap_or(0),
        med: e.med.unwrap_or(0),
        communities: communities.iter().filter_map(plain).collect(),
        large: communities.iter().filter_map(large).collect(),
        atomic: e.atomic,
        aggregator: e.aggr_asn.zip(e.aggr_ip).map(|(asn, ip)| (asn.to_u32(), ip)).filter(not_as_zero),
    };
    Some(line.announced())
}

#[test]
fn the_same_routes_come_out_as_from_bgpkit() {
    let mut differences = Vec::new();
    for path in files("mrt") {
        let file = read(&path);
        let theirs: Vec<String> =
            BgpkitParser::from_reader(&file[..]).into_elem_iter().filter_map(|e| from_bgpkit(&e)).collect();
        let ours = decode(&file, Shown { path_ids: false, large: true });
        differences.extend(compare(&path, "bgpkit-parser", ours.lines, theirs));
        let refused = ours.refused.iter().filter(|r| *r != "AS_PATH: as zero");
        differences.extend(refused.map(|r| format!("{}: {r}", path.display())));
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn the_reader_finds_routes_in_every_file() {
    for path in files("mrt") {
        assert!(!mrt::items(&read(&path)).is_empty(), "{}", path.display());
    }
}
