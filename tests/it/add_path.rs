//! Several paths of a prefix (RFC 7911), both ways, with four other daemons.

use std::net::IpAddr;

use bgpbench::bgp::{self, Attrs, Prefix};
use lab::peers::{Kind, Session, Setup};
use lab::{Error, Lab, Neighbor, Result, Rustbgpd, Seen, Speaker, wait};

const US: u32 = 65001;
const THEM: u32 = 65002;
/// Two neighbors of the other daemon.
const SOURCES: [u32; 2] = [65011, 65012];
/// Of all sessions: the sources send no KEEPALIVE, and are over long before. GoBGP ends sessions without a hold time.
const HOLD_TIME: u16 = 90;
/// What they both announce.
const THEIRS: &str = "10.50.0.0/24";
/// What we have several paths to: prefix and next hop.
const OURS: [(&str, &str); 2] = [("10.60.0.0/24", "10.0.1.1"), ("fd60::/48", "fd00:1::1")];

/// Waits until somebody has exactly the paths with these AS_PATHs.
fn expect(what: &str, expected: &[&[u32]], mut probe: impl FnMut() -> Result<Vec<Seen>>) -> Result<()> {
    let mut expected: Vec<Vec<u32>> = expected.iter().map(|path| path.to_vec()).collect();
    expected.sort();
    let mut last = Vec::new();
    let outcome = wait(what, 60, || {
        last = probe()?.into_iter().map(|seen| seen.as_path).collect();
        last.sort();
        Ok(last == expected)
    });
    outcome.map_err(|e| Error::new(format!("{e}\n  should be {expected:?}\n  but is   {last:?}")))
}

/// The identifiers of paths, by the AS behind the announcing one.
fn identifiers(us: &Rustbgpd, table: &str, neighbor: IpAddr, prefix: &str) -> Result<Vec<(u32, u64)>> {
    let paths = us.paths(table, neighbor, prefix)?;
    let mut list: Vec<(u32, u64)> =
        paths.iter().map(|(id, seen)| (seen.as_path.get(1).copied().unwrap_or_default(), *id)).collect();
    list.sort_unstable();
    let mut distinct: Vec<u64> = list.iter().map(|(_, id)| *id).collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), list.len(), "{list:?}");
    Ok(list)
}

fn source(lab_host: &lab::Host, n: usize) -> Result<Speaker> {
    let (subnet, asn) = (11 + n, SOURCES[n]);
    let at: IpAddr = format!("10.0.{subnet}.1").parse()?;
    let mut speaker =
        Speaker::establish(lab_host, (at, 179).into(), asn, HOLD_TIME, [10, 0, 11 + n as u8, 2])?;
    let mut update = Vec::new();
    let attrs = Attrs { path: vec![64496], ..Attrs::default() };
    bgp::announce(&mut update, asn, format!("10.0.{subnet}.2").parse()?, &attrs, &[theirs()]);
    speaker.send(&update)?;
    Ok(speaker)
}

fn theirs() -> Prefix {
    Prefix { bits: 0x0a32_0000 << 32, len: 24, v6: false }
}

fn both_ways(kind: Kind) -> Result<()> {
    Lab::run(|lab| {
        let (us, them, sources) = (lab.host("us")?, lab.host("them")?, lab.host("sources")?);
        lab.link(&us, &them, &["10.0.1.1/24", "fd00:1::1/64"], &["10.0.1.2/24", "fd00:1::2/64"])?;
        lab.link(&them, &sources, &["10.0.11.1/24", "10.0.12.1/24"], &["10.0.11.2/24", "10.0.12.2/24"])?;
        let mut sessions = vec![
            Session::new("10.0.1.2", "10.0.1.1", US)?.add_path().hold_time(HOLD_TIME),
            Session::new("fd00:1::2", "fd00:1::1", US)?.add_path().hold_time(HOLD_TIME),
        ];
        for (n, asn) in (11..).zip(SOURCES) {
            sessions.push(
                Session::new(&format!("10.0.{n}.1"), &format!("10.0.{n}.2"), asn)?.hold_time(HOLD_TIME),
            );
        }
        let setup = Setup { asn: THEM, router_id: "10.0.1.2", sessions, routes: Vec::new() };
        let daemon = kind.start(&them, &setup)?;
        let add_path = "{ receive = true, send = true, send_max = 2 }";
        let neighbors = ["10.0.1.2", "fd00:1::2"]
            .map(|a| Neighbor::new(a, THEM).set("add_path", add_path).set("hold_time", HOLD_TIME));
        let us = Rustbgpd::start(&us, &Rustbgpd::configuration(US, "10.0.1.1", &neighbors))?;
        let at: [IpAddr; 2] = ["10.0.1.2".parse()?, "fd00:1::2".parse()?];
        us.wait_established(&at)?;
        for (at, family) in at.iter().zip(["ipv4_unicast", "ipv6_unicast"]) {
            wait(&format!("several paths both ways with {at}"), 60, || {
                let neighbor = us.json(&["neighbor", &at.to_string()])?;
                let ways = ["add_path_receive_families", "add_path_send_families"];
                Ok(ways.iter().all(|way| neighbor[way] == serde_json::json!([family])))
            })?;
        }
        for ((prefix, next_hop), at) in OURS.into_iter().zip(at) {
            to_them(&us, at, prefix, next_hop, || daemon.paths(prefix))?;
        }

        let mut speakers = [source(&sources, 0)?, source(&sources, 1)?];
        let received =
            || Ok(us.paths("received", at[0], THEIRS)?.into_iter().map(|(_, seen)| seen).collect());
        let (one, two) = ([THEM, SOURCES[0], 64496], [THEM, SOURCES[1], 64496]);
        expect("both paths of the sources", &[&one, &two], received)?;
        let before = identifiers(&us, "received", at[0], THEIRS)?;
        assert!(us.best(THEIRS)?.is_some());
        let mut withdrawal = Vec::new();
        bgp::withdraw(&mut withdrawal, &[theirs()]);
        speakers[0].send(&withdrawal)?;
        expect("the path of one source", &[&two], received)?;
        assert_eq!(identifiers(&us, "received", at[0], THEIRS)?, before.get(1..).unwrap_or_default());
        let [_, second] = speakers;
        drop(second);
        expect("the end of all paths", &[], received)
    })
}

/// Three paths of ours, of which the neighbor takes the best two.
fn to_them(
    us: &Rustbgpd,
    at: IpAddr,
    prefix: &str,
    next_hop: &str,
    paths: impl Fn() -> Result<Vec<Seen>>,
) -> Result<()> {
    let add = |id: &str, as_path: &str| {
        us.ctl(&["rib", "add", prefix, "--nexthop", next_hop, "--path-id", id, "--as-path", as_path])
            .map(drop)
    };
    add("1", "64999")?;
    add("2", "64998")?;
    add("3", "64997 64996")?;
    expect("the best two of our paths", &[&[US, 64999], &[US, 64998]], &paths)?;
    let before = identifiers(us, "advertised", at, prefix)?;
    us.ctl(&["rib", "delete", prefix, "--path-id", "1"])?;
    expect("the third in place of one", &[&[US, 64998], &[US, 64997, 64996]], &paths)?;
    // What stays keeps its identifier, and what comes has another one.
    let after = identifiers(us, "advertised", at, prefix)?;
    assert_eq!((before[0].0, after[1]), (64998, before[0]));
    assert!(before.iter().all(|(_, id)| *id != after[0].1), "{before:?} {after:?}");
    // The best one becomes the worst.
    add("2", "64998 64998 64998")?;
    expect("the same two", &[&[US, 64998, 64998, 64998], &[US, 64997, 64996]], &paths)?;
    assert_eq!(identifiers(us, "advertised", at, prefix)?, after);
    us.ctl(&["rib", "delete", prefix, "--path-id", "2"])?;
    us.ctl(&["rib", "delete", prefix, "--path-id", "3"])?;
    expect("the end of our paths", &[], &paths)
}

#[test]
fn rfc7911_several_paths_both_ways_with_bird() -> Result<()> {
    both_ways(Kind::Bird)
}

#[test]
fn rfc7911_several_paths_both_ways_with_frr() -> Result<()> {
    both_ways(Kind::Frr)
}

#[test]
fn rfc7911_several_paths_both_ways_with_gobgp() -> Result<()> {
    both_ways(Kind::GoBgp)
}

#[test]
fn rfc7911_several_paths_both_ways_with_openbgpd() -> Result<()> {
    both_ways(Kind::OpenBgpd)
}
