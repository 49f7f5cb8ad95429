//! Roles and route leaks (RFC 9234): with BIRD, FRR and OpenBGPD as provider, customer, lateral peer and route server at
//! once, and octet by octet with a speaker.

use bgpbench::bgp;
use lab::peers::{Bird, Frr, OpenBgpd, Session, Setup};
use lab::{Lab, Message, Neighbor, Origin, Pairs, Result, Route, Rustbgpd, Speaker, wait};

const US: u32 = 65001;
const PEER: u32 = 65002;
/// The AS of speakers.
const SPEAKER: u32 = 65003;

/// The cases, by the number of their pair of addresses: what the other daemon is to us.
const PROVIDER: u8 = 1;
const CUSTOMER: u8 = 2;
const LATERAL: u8 = 3;
const ROUTE_SERVER: u8 = 4;
/// A provider that has no role for us.
const SILENT: u8 = 5;
/// Each side believes to be the provider.
const MISMATCH: u8 = 6;
/// We insist on a role, and it has none; the other way round.
const WE_INSIST: u8 = 7;
const IT_INSISTS: u8 = 8;
/// Where speakers are.
const SOURCE: u8 = 9;

const ITS_ROUTE: &str = "10.60.0.0/24";
const OUR_ROUTE: &str = "10.61.0.0/24";

/// The other daemon.
enum Other {
    Bird(Bird),
    Frr(Frr),
    OpenBgpd(OpenBgpd),
}

impl Other {
    /// Who has marked the route that it has of us by the session of a pair; the outer `None`: it has none.
    fn mark(&self, pair: u8, prefix: &str) -> Result<Option<Option<u32>>> {
        match self {
            Other::Bird(bird) => {
                let text = bird.ask(&format!("show route {prefix} protocol p{} all", pair - 1))?;
                let mark = text.lines().find_map(|line| line.trim().strip_prefix("BGP.otc: "));
                let mark = mark.map(str::parse).transpose()?;
                Ok(text.contains("BGP.as_path").then_some(mark))
            }
            Other::Frr(frr) => {
                let all = frr.ask(&format!("show bgp ipv4 unicast {prefix} json"))?;
                let all: serde_json::Value = serde_json::from_str(&all)?;
                let paths = all["paths"].as_array().cloned().unwrap_or_default();
                let of_us = paths.iter().find(|p| p["peer"]["peerId"] == Pairs::ours(pair).to_string());
                Ok(of_us.map(|p| p["otc"].as_u64().and_then(|n| u32::try_from(n).ok())))
            }
            Other::OpenBgpd(daemon) => {
                let all =
                    daemon.ask(&format!("show rib detail in neighbor {} {prefix}", Pairs::ours(pair)))?;
                let mark = all.lines().find_map(|line| line.trim().strip_prefix("OTC: "));
                let mark = mark.map(str::parse).transpose()?;
                Ok(all.contains("BGP routing table entry").then_some(mark))
            }
        }
    }
}

fn route(prefix: &str, asn: u32) -> Route {
    Route {
        prefix: prefix.into(),
        origin: Origin::Igp,
        med: 1,
        local_pref: None,
        communities: vec![format!("{asn}:1")],
        large: vec![format!("{asn}:1:1")],
    }
}

fn their_setup() -> Result<Setup> {
    let session = |n: u8| Session::new(&Pairs::theirs(n).to_string(), &Pairs::ours(n).to_string(), US);
    let sessions = vec![
        session(PROVIDER)?.role("provider"),
        session(CUSTOMER)?.role("customer"),
        session(LATERAL)?.role("peer"),
        session(ROUTE_SERVER)?.role("rs"),
        session(SILENT)?,
        session(MISMATCH)?.role("provider"),
        session(WE_INSIST)?,
        session(IT_INSISTS)?.strict_role("customer"),
    ];
    Ok(Setup { asn: PEER, router_id: "10.0.1.2", sessions, routes: vec![route(ITS_ROUTE, PEER)] })
}

fn neighbor(n: u8, asn: u32) -> Neighbor {
    Neighbor::new(&Pairs::theirs(n).to_string(), asn)
}

fn with_role(n: u8, asn: u32, role: &str) -> Neighbor {
    neighbor(n, asn).set("role", format!("{role:?}"))
}

fn our_config() -> String {
    let neighbors = [
        with_role(PROVIDER, PEER, "customer"),
        with_role(CUSTOMER, PEER, "provider").set("role_strict", true),
        with_role(LATERAL, PEER, "peer"),
        with_role(ROUTE_SERVER, PEER, "rs-client"),
        with_role(SILENT, PEER, "customer"),
        with_role(MISMATCH, PEER, "provider"),
        with_role(WE_INSIST, PEER, "provider").set("role_strict", true),
        neighbor(IT_INSISTS, PEER),
        with_role(SOURCE, SPEAKER, "customer").set("passive", true).set("hold_time", 90),
    ];
    Rustbgpd::configuration(US, "10.0.1.1", &neighbors)
}

/// The AS that has marked the route which a neighbor has sent, as we show it.
fn received_mark(daemon: &Rustbgpd, n: u8, prefix: &str) -> Result<Option<u64>> {
    let shown = daemon.json(&["rib", "received", &Pairs::theirs(n).to_string(), "-p", prefix])?;
    Ok(shown[0]["only_to_customer"].as_u64())
}

fn roles(start: impl Fn(&std::rc::Rc<lab::Host>, &Setup) -> Result<Other>) -> Result<()> {
    Lab::run(|lab| {
        let pairs: Vec<u8> = (PROVIDER..=SOURCE).collect();
        let Pairs { us, peer } = Pairs::new(lab, &pairs)?;
        let other = start(&peer, &their_setup()?)?;
        let daemon = Rustbgpd::start(&us, &our_config())?;
        let up = [PROVIDER, CUSTOMER, LATERAL, ROUTE_SERVER, SILENT];
        daemon.wait_established(&up.map(Pairs::theirs))?;
        for (n, role) in up.into_iter().zip(["provider", "customer", "peer", "rs", ""]) {
            assert_eq!(daemon.json(&["neighbor", &Pairs::theirs(n).to_string()])?["peer_role"], role);
        }

        // RFC 9234 §4.2: who does not fit is refused, and told so.
        for (n, who) in [(MISMATCH, ""), (WE_INSIST, "sent "), (IT_INSISTS, "received ")] {
            let said = format!("{who}NOTIFICATION OPEN Message Error/Role Mismatch (2/11)");
            wait(&format!("the refusal of pair {n}"), 10, || {
                Ok(daemon.neighbor(Pairs::theirs(n))?.last_error.contains(&said))
            })
            .map_err(|e| format!("{e}: {:?}", daemon.neighbor(Pairs::theirs(n))))?;
            assert_eq!(daemon.neighbor(Pairs::theirs(n))?.flaps, 0);
        }

        // RFC 9234 §5, ingress: marked by them, or by us where they do not do it.
        for (n, mark) in [
            (PROVIDER, Some(PEER)),
            (CUSTOMER, None),
            (LATERAL, Some(PEER)),
            (ROUTE_SERVER, Some(PEER)),
            (SILENT, Some(PEER)),
        ] {
            wait(&format!("its route by pair {n}"), 10, || {
                Ok(daemon.received(Pairs::theirs(n), ITS_ROUTE)?.is_some())
            })?;
            assert_eq!(received_mark(&daemon, n, ITS_ROUTE)?, mark.map(u64::from), "pair {n}");
        }

        // Egress: our own route goes everywhere, marked towards customers and peers.
        daemon.add(&route(OUR_ROUTE, US), Pairs::ours(PROVIDER), "")?;
        for (n, mark) in [
            (PROVIDER, None),
            (CUSTOMER, Some(US)),
            (LATERAL, Some(US)),
            (ROUTE_SERVER, None),
            (SILENT, None),
        ] {
            wait(&format!("our route at the other end of pair {n}"), 10, || {
                Ok(other.mark(n, OUR_ROUTE)? == Some(mark))
            })
            .map_err(|e| format!("{e}: {:?}", other.mark(n, OUR_ROUTE)))?;
        }

        // A route of another provider goes to the customer only.
        let mut source = speak(&peer, SOURCE, &[0])?;
        source.send(&update(62, SOURCE, SPEAKER, &[]))?;
        wait("the provider's route at the customer", 10, || {
            Ok(other.mark(CUSTOMER, "10.62.0.0/24")? == Some(Some(SPEAKER)))
        })
        .map_err(|e| format!("{e}: {:?}", other.mark(CUSTOMER, "10.62.0.0/24")))?;
        for n in [PROVIDER, LATERAL, ROUTE_SERVER, SILENT] {
            assert_eq!(daemon.advertised(Pairs::theirs(n), "10.62.0.0/24")?, None, "pair {n}");
            assert_eq!(other.mark(n, "10.62.0.0/24")?, None, "pair {n}");
        }
        Ok(())
    })
}

#[test]
fn rfc9234_roles_and_marks_with_bird() -> Result<()> {
    roles(|host, setup| Ok(Other::Bird(Bird::start(host, setup)?)))
}

#[test]
fn rfc9234_roles_and_marks_with_frr() -> Result<()> {
    roles(|host, setup| Ok(Other::Frr(Frr::start(host, setup)?)))
}

#[test]
fn rfc9234_roles_and_marks_with_openbgpd() -> Result<()> {
    roles(|host, setup| Ok(Other::OpenBgpd(OpenBgpd::start(host, setup)?)))
}

/// An OPEN with these roles.
fn open(n: u8, roles: &[u8]) -> Vec<u8> {
    let mut message = bgp::open(SPEAKER, 90, [10, 0, n, 2], false);
    let more = 3 * u8::try_from(roles.len()).unwrap_or(u8::MAX);
    roles.iter().for_each(|role| message.extend([9, 1, *role]));
    // The lengths of the message, of its parameters, and of the one that holds capabilities.
    for at in [17, bgp::HEADER + 9, bgp::HEADER + 11] {
        if let Some(len) = message.get_mut(at) {
            *len += more;
        }
    }
    message
}

/// A session of a speaker that announces these roles.
fn speak(host: &lab::Host, n: u8, roles: &[u8]) -> Result<Speaker> {
    let mut speaker = Speaker::connect(host, Pairs::port(n))?;
    speaker.send(&open(n, roles))?;
    speaker.expect(bgp::OPEN)?;
    speaker.send(&bgp::keepalive())?;
    speaker.expect(bgp::KEEPALIVE)?;
    Ok(speaker)
}

/// An UPDATE for 10.`third`.0.0/24 of the neighbor of a pair, with `more` behind the mandatory attributes.
fn update(third: u8, n: u8, asn: u32, more: &[u8]) -> Vec<u8> {
    let mut attributes = vec![0x40, 1, 1, 0, 0x40, 2, 6, 2, 1];
    attributes.extend(asn.to_be_bytes());
    attributes.extend([0x40, 3, 4, 10, 0, n, 2]);
    attributes.extend(more);
    let body =
        [&[0, 0], (attributes.len() as u16).to_be_bytes().as_slice(), &attributes, &[24, 10, third, 0]]
            .concat();
    let len = (bgp::HEADER + body.len()) as u16;
    [&[0xff; 16], len.to_be_bytes().as_slice(), &[bgp::UPDATE], &body].concat()
}

/// ONLY_TO_CUSTOMER with this value.
fn mark(value: &[u8]) -> Vec<u8> {
    [&[0xc0, 35, u8::try_from(value.len()).unwrap_or(u8::MAX)], value].concat()
}

#[test]
fn rfc9234_4_the_role_capability_on_the_wire() -> Result<()> {
    Lab::run(|lab| {
        let Pairs { us, peer } = Pairs::new(lab, &[1, 2])?;
        let passive = |n, role: &str| with_role(n, SPEAKER, role).set("passive", true);
        let neighbors = [passive(1, "customer"), passive(2, "peer").set("role_strict", true)];
        let daemon = Rustbgpd::start(&us, &Rustbgpd::configuration(US, "10.0.1.1", &neighbors))?;
        for (n, roles, ours) in [
            // The customer of a customer; two roles, the right one among them; one that is not assigned.
            (1, &[3][..], 3),
            (1, &[0, 4], 3),
            (1, &[4, 0], 3),
            (1, &[7], 3),
            (2, &[], 4),
        ] {
            let mut speaker = Speaker::connect(&peer, Pairs::port(n))?;
            let theirs = speaker.expect(bgp::OPEN)?;
            assert!(theirs.body.windows(3).any(|w| w == [9, 1, ours]), "{theirs:?}");
            speaker.send(&open(n, roles))?;
            let end = speaker.farewell(5)?;
            assert_eq!(end, Some(Message { kind: bgp::NOTIFICATION, body: vec![2, 11] }), "{roles:?}");
        }
        // The same role twice is one; a customer's provider may be silent.
        for (n, roles) in [(1, &[0, 0][..]), (1, &[]), (2, &[4])] {
            let speaker = speak(&peer, n, roles)?;
            daemon.wait_established(&[Pairs::theirs(n)])?;
            drop(speaker);
            wait("the end of the session", 5, || Ok(!daemon.neighbor(Pairs::theirs(n))?.established))?;
        }
        Ok(())
    })
}

#[test]
fn rfc9234_5_a_leak_and_a_malformed_mark_end_the_route_and_not_the_session() -> Result<()> {
    const ROUTE: &str = "10.70.0.0/24";
    Lab::run(|lab| {
        let Pairs { us, peer } = Pairs::new(lab, &[1, 2, 3])?;
        let passive = |n| neighbor(n, SPEAKER).set("passive", true).set("hold_time", 90);
        let role = |n, role: &str| passive(n).set("role", format!("{role:?}"));
        let neighbors = [role(1, "provider"), role(2, "peer"), passive(3)];
        let mut daemon = Rustbgpd::start(&us, &Rustbgpd::configuration(US, "10.0.1.1", &neighbors))?;
        let mut watching = speak(&peer, 3, &[])?;
        // The end of its initial table.
        while watching.expect(bgp::UPDATE)?.body != [0; 4] {}
        let state = |daemon: &Rustbgpd, n: u8| daemon.json(&["neighbor", &Pairs::theirs(n).to_string()]);
        let by_64500 = mark(&64500u32.to_be_bytes());
        // A customer's mark and one of somebody else that a lateral peer sends on are leaks.
        for (n, roles) in [(1, &[3][..]), (2, &[4])] {
            let mut speaker = speak(&peer, n, roles)?;
            let there = |daemon: &Rustbgpd| Ok(daemon.best(ROUTE)?.is_some());
            for bad in [&by_64500[..], &mark(&[0, 0, 1]), &mark(&[]), &mark(&[0; 5])] {
                speaker.send(&update(70, n, SPEAKER, &[]))?;
                wait("the route", 5, || there(&daemon))?;
                // The watcher has no role: it is sent what there is, and its withdrawal.
                while !watching.expect(bgp::UPDATE)?.body.ends_with(&[24, 10, 70, 0]) {}
                speaker.send(&update(70, n, SPEAKER, bad))?;
                let withdrawn = watching.expect(bgp::UPDATE)?.body;
                assert_eq!(withdrawn, [0, 4, 24, 10, 70, 0, 0, 0], "{bad:?}");
                assert!(!there(&daemon)?);
                assert_eq!(daemon.received(Pairs::theirs(n), ROUTE)?, None);
            }
            let state = state(&daemon, n)?;
            assert_eq!((&state["route_leaks"], &state["treated_as_withdraw"]), (&1.into(), &3.into()));
            assert_eq!((&state["state"], &state["as_loops"]), (&"Established".into(), &0.into()));
        }
        daemon.process().wait_log("route leak: not used", 5)?;
        // Without a role of ours the mark is only passed on; a malformed one counts here, too.
        watching.send(&update(71, 3, SPEAKER, &by_64500))?;
        wait("a marked route", 5, || Ok(received_mark(&daemon, 3, "10.71.0.0/24")? == Some(64500)))?;
        watching.send(&update(71, 3, SPEAKER, &mark(&[1])))?;
        wait("its end", 5, || Ok(daemon.received(Pairs::theirs(3), "10.71.0.0/24")?.is_none()))?;
        let state = state(&daemon, 3)?;
        assert_eq!((&state["route_leaks"], &state["treated_as_withdraw"]), (&0.into(), &1.into()));
        Ok(())
    })
}
