//! Policies at work: what BIRD announces goes through them to FRR, and to a speaker that notes every message.

use std::net::IpAddr;

use bgpbench::bgp;
use lab::peers::{Kind, Peer, Session, Setup};
use lab::{Error, Lab, Neighbor, Origin, Pairs, Result, Route, Rustbgpd, Seen, Speaker, wait};
use nix::sys::signal::Signal;

use crate::lan::lan;

const US: u32 = 65001;
const BIRD: u32 = 64497;
const FRR: u32 = 64498;
const ROUTES: [&str; 2] = ["10.81.1.0/24", "fd81:1::/48"];
const US_AT: [&str; 2] = ["10.0.1.1", "fd00:1::1"];
const BIRD_AT: [&str; 2] = ["10.0.1.2", "fd00:1::2"];
const FRR_AT: [&str; 2] = ["10.0.1.3", "fd00:1::3"];

fn route(prefix: &str) -> Route {
    Route {
        prefix: prefix.into(),
        origin: Origin::Igp,
        med: 5,
        local_pref: None,
        communities: vec!["64497:1".into()],
        large: vec!["64497:1:1".into()],
    }
}

/// One statement, for import from BIRD and for export to FRR.
fn configuration(import: &str, export: &str) -> String {
    let neighbors = |addresses: [&str; 2], asn| {
        addresses.map(|a| {
            Neighbor::new(a, asn)
                .set("import_policy_chain", "[\"in\"]")
                .set("export_policy_chain", "[\"out\"]")
        })
    };
    let all = [neighbors(BIRD_AT, BIRD), neighbors(FRR_AT, FRR)].concat();
    let statement = |name: &str, keys: &str| match keys {
        "" => format!("[policy.definitions.{name}]\n"),
        _ => format!("[[policy.definitions.{name}.statements]]\n{keys}\n"),
    };
    // What is sent by FRR and to BIRD goes through them as well, and has no routes that they concern.
    let sets = "[policy.neighbor_sets.bird]\nremote_asns = [64497]\n\
                [policy.neighbor_sets.frr]\naddresses = [\"10.0.1.3\", \"fd00:1::3\"]\n\
                [policy.prefix_sets.here]\nprefixes = [\"10.81.0.0/16 ge 24 le 24\", \"fd81::/16 ge 48 le 48\"]\n\
                [policy.prefix_sets.there]\nprefixes = [\"10.82.0.0/16 le 32\", \"fd82::/16 le 128\"]\n\
                [policy.as_sets.here]\nasns = [64497]\n[policy.as_sets.there]\nasns = [64499]\n\
                [policy.community_sets.here]\ncommunities = [\"LC:64497:*:1\"]\n\
                [policy.community_sets.there]\ncommunities = [\"64497:2\"]\n";
    let policies = [statement("in", import), statement("out", export)].concat();
    Rustbgpd::configuration(US, "10.0.0.1", &all) + &policies + sets
}

fn reload(daemon: &mut Rustbgpd, config: &str) -> Result<()> {
    let said = |daemon: &mut Rustbgpd| daemon.process().log().matches("\"message\":\"config reload").count();
    let before = said(daemon);
    daemon.process().host().write("config.toml", config)?;
    daemon.process().signal(Signal::SIGHUP)?;
    wait("the reload", 20, || Ok(said(daemon) > before))?;
    match daemon.process().log().contains("config reload failed") {
        true => Error::fail(daemon.process().log_tail()),
        false => Ok(()),
    }
}

fn expect<T: PartialEq + std::fmt::Debug>(
    what: &str,
    expected: &T,
    mut probe: impl FnMut() -> Result<T>,
) -> Result<()> {
    let mut last = None;
    let outcome = wait(what, 20, || {
        last = Some(probe()?);
        Ok(last.as_ref() == Some(expected))
    });
    outcome.map_err(|e| Error::new(format!("{what}: {e}\n  should be {expected:?}\n  but is   {last:?}")))
}

/// A daemon between two others.
struct World {
    us: Rustbgpd,
    /// Announces.
    _bird: Box<dyn Peer>,
    /// Looks on.
    frr: Box<dyn Peer>,
}

/// BIRD and FRR with us between them, over IPv4 and IPv6.
fn start(lab: &Lab) -> Result<World> {
    let [us, a, b] = lan(lab, ["us", "a", "b"])?;
    let sessions = |addresses: [&str; 2]| -> Result<Vec<Session>> {
        addresses.iter().zip(US_AT).map(|(at, us)| Session::new(at, us, US)).collect()
    };
    let routes = ROUTES.map(route).to_vec();
    let (bird, frr) = (sessions(BIRD_AT)?, sessions(FRR_AT)?);
    let bird = Kind::Bird.start(&a, &Setup { asn: BIRD, router_id: "10.0.0.2", sessions: bird, routes })?;
    let frr = Setup { asn: FRR, router_id: "10.0.0.3", sessions: frr, routes: vec![] };
    let frr = Kind::Frr.start(&b, &frr)?;
    let us = Rustbgpd::start(&us, &configuration("", ""))?;
    for address in [BIRD_AT, FRR_AT].concat() {
        us.wait_established(&[address.parse()?])?;
    }
    Ok(World { us, _bird: bird, frr })
}

/// Each match, with a value that holds for BIRD's routes and one that does not, for IPv4 and IPv6 alike.
const MATCHES: [[&str; 2]; 17] = [
    ["match_prefix_set = \"here\"", "match_prefix_set = \"there\""],
    ["match_origin_as_set = \"here\"", "match_origin_as_set = \"there\""],
    ["match_community_set = \"here\"", "match_community_set = \"there\""],
    ["match_community = [\"64497:2\", \"64497:1\"]", "match_community = [\"64497:2\"]"],
    ["match_community = [\"LC:64497:1:1\"]", "match_community = [\"LC:64497:1:2\"]"],
    ["match_community = [\"64497:*\"]", "match_community = [\"64496:*\"]"],
    ["match_as_path = \"^64497$\"", "match_as_path = \"^64497_\\\\d\""],
    ["match_as_path = \"_644(97|98)_\"", "match_as_path = \"^$\""],
    ["match_route_type = \"external\"", "match_route_type = \"internal\""],
    ["match_as_path_length_ge = 1", "match_as_path_length_ge = 2"],
    ["match_as_path_length_le = 1", "match_as_path_length_le = 0"],
    ["match_local_pref_ge = 100", "match_local_pref_ge = 101"],
    ["match_local_pref_le = 100", "match_local_pref_le = 99"],
    ["match_med_ge = 5", "match_med_ge = 6"],
    ["match_med_le = 5", "match_med_le = 4"],
    ["match_rpki_validation = \"not_found\"", "match_rpki_validation = \"valid\""],
    ["match_aspa_validation = \"unknown\"", "match_aspa_validation = \"invalid\""],
];

/// What FRR has of the routes.
fn seen(frr: &dyn Peer) -> Result<[Option<Seen>; 2]> {
    let [v4, v6] = ROUTES;
    Ok([frr.route(v4)?, frr.route(v6)?])
}

#[test]
fn every_match_decides_on_import_and_export_as_frr_sees_it() -> Result<()> {
    Lab::run(|lab| {
        let World { mut us, _bird, frr } = start(lab)?;
        let there = |expected: [bool; 2], what: &str| {
            expect(what, &expected, || Ok(seen(&*frr)?.map(|route| route.is_some())))
        };
        there([true; 2], "without a statement")?;
        let families = [
            (["prefix = \"10.81.0.0/16\"\nge = 24", "prefix = \"10.81.0.0/16\"\nge = 25"], [false, true]),
            (["prefix = \"10.81.1.0/24\"", "prefix = \"10.81.0.0/16\""], [false, true]),
            (["prefix = \"fd81::/16\"\nle = 48", "prefix = \"fd81::/16\"\nle = 47"], [true, false]),
        ];
        let all = MATCHES.into_iter().map(|pair| (pair, [false; 2])).chain(families);
        for ([holds, fails], left) in all {
            let deny = |keys: &str| format!("action = \"deny\"\n{keys}");
            for (import, export) in [(deny(holds), String::new()), (String::new(), deny(holds))] {
                reload(&mut us, &configuration(&import, &export))?;
                there(left, &format!("import {import:?}, export {export:?}"))?;
                let other = |text: &str| text.replace(holds, fails);
                reload(&mut us, &configuration(&other(&import), &other(&export)))?;
                there([true; 2], &format!("import {:?}, export {:?}", other(&import), other(&export)))?;
            }
        }
        // The next hop is seen as it came, the neighbor is the one that the policy is for.
        for (keys, import, export) in [
            ("match_next_hop = \"10.0.1.2\"", [false, true], [false, true]),
            ("match_next_hop = \"fd00:1::2\"", [true, false], [true, false]),
            ("match_next_hop = \"10.0.1.1\"", [true; 2], [true; 2]),
            ("match_neighbor_set = \"bird\"", [false; 2], [true; 2]),
            ("match_neighbor_set = \"frr\"", [true; 2], [false; 2]),
        ] {
            let deny = format!("action = \"deny\"\n{keys}");
            reload(&mut us, &configuration(&deny, ""))?;
            there(import, &format!("import {keys}"))?;
            reload(&mut us, &configuration("", &deny))?;
            there(export, &format!("export {keys}"))?;
        }
        for address in [BIRD_AT, FRR_AT].concat() {
            let state = us.neighbor(address.parse()?)?;
            assert_eq!((state.established, state.flaps), (true, 0), "{address}");
        }
        Ok(())
    })
}

#[test]
fn every_change_is_made_on_import_and_export_as_frr_sees_it() -> Result<()> {
    Lab::run(|lab| {
        let World { mut us, _bird, frr } = start(lab)?;
        let permit =
            |changes: &str| format!("action = \"permit\"\nmatch_route_type = \"external\"\n{changes}");
        let base = |n: usize| -> Result<Seen> {
            let next_hop: IpAddr = US_AT.get(n).copied().unwrap_or_default().parse()?;
            let (communities, large) = (vec!["64497:1".to_owned()], vec!["64497:1:1".to_owned()]);
            let as_path = vec![US, BIRD];
            Ok(Seen {
                next_hop,
                as_path,
                origin: Origin::Igp,
                med: None,
                local_pref: None,
                communities,
                large,
            })
        };
        type Change = fn(&mut Seen);
        let both: [(&str, Change); 4] = [
            ("set_community_add = [\"65001:7\", \"LC:65001:1:2\", \"NO_EXPORT\"]", |s| {
                s.communities = ["64497:1", "65001:7", "65535:65281"].map(String::from).to_vec();
                s.large.push("65001:1:2".into());
            }),
            ("set_community_remove = [\"64497:*\", \"LC:*:1:1\"]", |s| {
                s.communities.clear();
                s.large.clear();
            }),
            ("set_as_path_prepend = { asn = 65007, count = 3 }", |s| {
                s.as_path = vec![US, 65007, 65007, 65007, BIRD];
            }),
            ("set_community_remove = [\"64497:1\"]\nset_community_add = [\"64497:1\"]", |_| {}),
        ];
        let export: [(&str, Change); 2] = [
            ("set_med = 42", |s| s.med = Some(42)),
            ("set_med = 42\nset_local_pref = 7\nset_next_hop = \"self\"", |s| s.med = Some(42)),
        ];
        let cases = both.iter().map(|c| (c, [true, false])).chain(both.iter().map(|c| (c, [false, true])));
        for ((keys, change), on) in cases.chain(export.iter().map(|c| (c, [false, true]))) {
            let [import, out] = on.map(|on| if on { permit(keys) } else { String::new() });
            // NO_EXPORT that is there on import keeps the route here: that is another test.
            let import = import.replace(", \"NO_EXPORT\"", "");
            reload(&mut us, &configuration(&import, &out))?;
            for (n, prefix) in ROUTES.iter().enumerate() {
                let mut expected = base(n)?;
                change(&mut expected);
                if on == [true, false] {
                    expected.communities.retain(|c| c != "65535:65281");
                }
                let what = format!("{prefix} with {keys:?}, import {}", on == [true, false]);
                expect(&what, &Some(expected), || {
                    Ok(frr.route(prefix)?.map(|s| Seen {
                        local_pref: None,
                        med: s.med.filter(|m| *m > 0),
                        ..s
                    }))
                })?;
            }
        }

        // What is set on import is used here, and the Adj-RIB-In keeps what came.
        let keys = "set_local_pref = 250\nset_med = 9\nset_next_hop = \"self\"";
        reload(&mut us, &configuration(&permit(keys), ""))?;
        for ((prefix, bird), ours) in ROUTES.into_iter().zip(BIRD_AT).zip(US_AT) {
            let (ours, theirs): (IpAddr, IpAddr) = (ours.parse()?, bird.parse()?);
            expect("the best route", &Some((Some(250), Some(9), ours)), || {
                Ok(us.best(prefix)?.map(|s| (s.local_pref, s.med, s.next_hop)))
            })?;
            let received = us.received(theirs, prefix)?.map(|s| (s.med, s.next_hop));
            assert_eq!(received, Some((Some(5), theirs)), "{prefix} as it came");
        }

        // A next hop for whom the route is sent to.
        for (n, other) in ["10.0.1.99", "fd00:1::99"].into_iter().enumerate() {
            let keys = format!("set_next_hop = \"{other}\"");
            reload(&mut us, &configuration("", &permit(&keys)))?;
            let prefix = ROUTES.get(n).copied().unwrap_or_default();
            expect(prefix, &Some(other.parse()?), || Ok(frr.route(prefix)?.map(|s| s.next_hop)))?;
        }

        // Why FRR has what it has.
        let explained = |us: &Rustbgpd, n: usize| {
            let (at, prefix) = (FRR_AT.get(n).copied(), ROUTES.get(n).copied());
            let args =
                ["rib", "advertised", at.unwrap_or_default(), "-p", prefix.unwrap_or_default(), "--explain"];
            us.json(&args)
        };
        reload(&mut us, &configuration("", &permit("set_med = 42")))?;
        let why = explained(&us, 0)?;
        assert_eq!((&why["decision"], &why["modifications"]["set_med"]), (&"advertise".into(), &42.into()));
        assert_eq!(why["paths"][0]["made"]["med"], 42, "{why}");
        reload(&mut us, &configuration("", "action = \"deny\"\nmatch_as_path = \"^64497$\""))?;
        let why = explained(&us, 1)?;
        assert_eq!((&why["decision"], &why["reasons"][0]["code"]), (&"deny".into(), &"policy_denied".into()));
        let text = us.ctl(&["rib", "advertised", "fd00:1::3", "-p", "fd81:1::/48", "--explain"])?;
        assert!(text.contains("+ match_as_path = '^64497$'; the route has 64497"), "{text}");

        let other = us.json(&["rib", "advertised", "10.0.1.3", "-p", "fd81:1::/48", "--explain"])?;
        assert_eq!(other["decision"], "unsupported_family", "{other}");

        // A route that is not taken is shown as such, and its reason is known.
        reload(&mut us, &configuration("action = \"deny\"\nmatch_med_ge = 5", ""))?;
        for (prefix, bird) in ROUTES.into_iter().zip(BIRD_AT) {
            expect("no best route", &None, || us.best(prefix))?;
            let shown = us.json(&["rib", "received", bird, "-p", prefix])?;
            assert_eq!(shown[0]["rejected"], true, "{shown}");
            let why = us.json(&["rib", "received", bird, "-p", prefix, "--explain"])?;
            assert_eq!(why[0]["reason"]["code"], "import_policy_denied", "{why}");
            let statement = &why[0]["policies"][0]["statements"][0];
            assert_eq!((&statement["held"], &statement["matches"][0]["found"]), (&true.into(), &"5".into()));
        }
        Ok(())
    })
}

/// A speaker that is sent routes notes exactly what is different after a reload, and nothing else: no ROUTE-REFRESH, no
/// End-of-RIB, no route that is the same as before.
#[test]
fn a_reload_sends_only_the_difference() -> Result<()> {
    const FIRST: u8 = 61;
    const SECOND: u8 = 62;
    Lab::run(|lab| {
        let Pairs { us, peer } = Pairs::new(lab, &[FIRST, SECOND])?;
        let neighbor = |n: u8| Neighbor::new(&Pairs::theirs(n).to_string(), 65002).set("passive", true);
        let neighbors = [
            neighbor(FIRST).set("hold_time", 90),
            neighbor(SECOND).set("hold_time", 90).set("export_policy_chain", "[\"p\"]"),
        ];
        let config = |statements: &str| {
            Rustbgpd::configuration(US, "10.0.61.1", &neighbors)
                + &format!("[policy.definitions.p]\ndefault_action = \"permit\"\n{statements}")
        };
        let statement = |keys: &str| format!("[[policy.definitions.p.statements]]\n{keys}\n");
        let mut daemon = Rustbgpd::start(&us, &config(""))?;
        let mut first = Speaker::establish(&peer, Pairs::port(FIRST), 65002, 90, [10, 0, 61, 2])?;
        let mut second = Speaker::establish(&peer, Pairs::port(SECOND), 65002, 90, [10, 0, 61, 3])?;
        daemon.wait_established(&[FIRST, SECOND].map(Pairs::theirs))?;
        for n in 1..=3 {
            daemon.add(&route(&format!("10.{n}.0.0/16")), "10.0.61.9".parse()?, "64500")?;
        }
        // How many prefixes the speaker is told of until it has the last one; each takes three octets.
        let until = |speaker: &mut Speaker, n: u8| -> Result<usize> {
            let mut count = 0;
            loop {
                let body = speaker.expect(bgp::UPDATE)?.body;
                if body.ends_with(&[16, 10, n]) {
                    return Ok(count);
                }
                let len = |at: usize| match body.get(at..at + 2) {
                    Some([high, low]) => usize::from(*high) << 8 | usize::from(*low),
                    _ => 0,
                };
                let withdrawn = len(0);
                let attributes = len(2 + withdrawn);
                count += (withdrawn + body.len().saturating_sub(4 + withdrawn + attributes)) / 3;
            }
        };
        until(&mut first, 3)?;
        until(&mut second, 3)?;

        let changes = [
            // One is withdrawn, one is changed, one stays.
            statement("action = \"deny\"\nprefix = \"10.1.0.0/16\"")
                + &statement("action = \"permit\"\nprefix = \"10.2.0.0/16\"\nset_med = 77"),
            // The same in other words.
            statement("action = \"permit\"\nprefix = \"10.2.0.0/16\"\nset_med = 77")
                + &statement("action = \"deny\"\nprefix = \"10.1.0.0/16\"\nle = 16"),
            // Back to what it was.
            String::new(),
        ];
        for (n, (statements, expected)) in (10..).zip(changes.into_iter().zip([2, 0, 2])) {
            reload(&mut daemon, &config(&statements))?;
            // What is sent behind it tells that there is no more; a round of all that there was to look at comes first.
            let is_known = |what: &str| daemon.advertised(Pairs::theirs(SECOND), what);
            wait("the policy to be in force", 20, || {
                let denied = !statements.is_empty();
                Ok(is_known("10.1.0.0/16")?.is_none() == denied
                    && is_known("10.2.0.0/16")?.is_some_and(|s| (s.med == Some(77)) == denied))
            })?;
            daemon.add(&route(&format!("10.{n}.0.0/16")), "10.0.61.9".parse()?, "64500")?;
            assert_eq!(until(&mut second, n)?, expected, "after {statements:?}");
            assert_eq!(until(&mut first, n)?, 0, "whom the policy does not concern");
        }
        for n in [FIRST, SECOND] {
            let state = daemon.neighbor(Pairs::theirs(n))?;
            assert_eq!((state.established, state.flaps, state.notifications_sent), (true, 0, 0));
        }
        Ok(())
    })
}

/// Where rejected routes are not kept, BIRD is asked for them when a policy would take them; and a limit of what is taken does
/// not count them.
#[test]
fn rejected_routes_that_are_not_kept_are_asked_for_and_do_not_count() -> Result<()> {
    const BIRD_PAIR: u8 = 63;
    Lab::run(|lab| {
        let Pairs { us, peer } = Pairs::new(lab, &[BIRD_PAIR])?;
        let theirs = Pairs::theirs(BIRD_PAIR);
        let routes: Vec<Route> = (1..=5).map(|n| route(&format!("10.{n}.0.0/16"))).collect();
        let session = Session::new(&theirs.to_string(), &Pairs::ours(BIRD_PAIR).to_string(), US)?;
        let setup = Setup { asn: BIRD, router_id: "10.0.63.2", sessions: vec![session], routes };
        let _bird = Kind::Bird.start(&peer, &setup)?;
        let neighbor = Neighbor::new(&theirs.to_string(), BIRD)
            .set("import_policy_chain", "[\"p\"]")
            .set("max_prefixes", 4)
            .set("max_prefixes_count", "\"accepted\"")
            .set("keep_rejected", false);
        let config = |prefixes: &[u8]| {
            let deny = |n: &u8| {
                format!(
                    "[[policy.definitions.p.statements]]\naction = \"deny\"\nprefix = \"10.{n}.0.0/16\"\n"
                )
            };
            Rustbgpd::configuration(US, "10.0.63.1", std::slice::from_ref(&neighbor))
                + "[policy.definitions.p]\n"
                + &prefixes.iter().map(deny).collect::<String>()
        };
        let mut daemon = Rustbgpd::start(&us, &config(&[1, 2]))?;
        daemon.wait_established(&[theirs])?;
        let received = |daemon: &Rustbgpd| -> Result<u64> { Ok(daemon.neighbor(theirs)?.prefixes_received) };
        expect("what is taken", &3, || received(&daemon))?;
        assert_eq!(daemon.received(theirs, "10.1.0.0/16")?, None, "not kept");

        reload(&mut daemon, &config(&[2, 3]))?;
        let there = |n: u8| -> Result<bool> { Ok(daemon.best(&format!("10.{n}.0.0/16"))?.is_some()) };
        expect("what is taken now", &[true, false, false, true, true], || {
            Ok([there(1)?, there(2)?, there(3)?, there(4)?, there(5)?])
        })?;
        let state = daemon.neighbor(theirs)?;
        assert_eq!((state.established, state.flaps, state.prefixes_received), (true, 0, 3));

        // All five are more than may be taken.
        reload(&mut daemon, &config(&[]))?;
        let address = theirs.to_string();
        expect("the limit to end the session", &true, || {
            Ok(daemon.json(&["neighbor", &address])?["over_prefix_limit"] == true)
        })
    })
}
