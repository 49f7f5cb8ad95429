//! Route refresh (RFC 2918, RFC 7313) with each of four other daemons, as far as they have it, and octet by octet
//! with a speaker of our own; `softreset`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use bgpbench::bgp;
use lab::peers::{Kind, Session, Setup};
use lab::{Lab, Message, Neighbor, Origin, Pairs, Result, Route, Rustbgpd, Speaker, wait};

const US: u32 = 65001;
const PEER: u32 = 65002;
const ROUTE_REFRESH: u8 = 5;

const THEIRS: &str = "10.81.0.0/24";
const OURS: &str = "10.82.0.0/24";

fn route(prefix: &str) -> Route {
    let (communities, large) = (vec!["65002:1".into()], vec!["65002:1:1".into()]);
    Route { prefix: prefix.into(), origin: Origin::Igp, med: 1, local_pref: None, communities, large }
}

/// What a daemon can do, and how it is told to.
struct Ability {
    kind: Kind,
    /// Enhanced route refresh (RFC 7313): a begin and an end are marked.
    enhanced: bool,
    /// Ask us for our routes.
    ask: &'static [&'static str],
    /// Whether that says anything to us, or is done with what it has kept of our routes.
    asks: bool,
    /// Send its own again; nothing: it has no command for that.
    again: &'static [&'static str],
    /// What its log says where it ignores that we ask.
    ignores: Option<&'static str>,
}

/// Messages exchanged with a neighbor: ROUTE-REFRESH and UPDATE received, the same sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    refreshes_in: u64,
    updates_in: u64,
    refreshes_out: u64,
    updates_out: u64,
}

fn counts(daemon: &Rustbgpd, neighbor: IpAddr) -> Result<Counts> {
    let state = daemon.json(&["neighbor", &neighbor.to_string()])?;
    let number = |way: &str, kind: &str| state[way][kind].as_u64().unwrap_or_default();
    Ok(Counts {
        refreshes_in: number("messages_received", "route_refresh"),
        updates_in: number("messages_received", "update"),
        refreshes_out: number("messages_sent", "route_refresh"),
        updates_out: number("messages_sent", "update"),
    })
}

/// Waits until exactly so many ROUTE-REFRESHes and at least so many UPDATEs more were exchanged.
fn wait_more(daemon: &Rustbgpd, n: IpAddr, what: &str, before: Counts, more: [u64; 4]) -> Result<()> {
    let mut last = before;
    let outcome = wait(what, 30, || {
        last = counts(daemon, n)?;
        let [refreshes_in, updates_in, refreshes_out, updates_out] = more;
        Ok(last.refreshes_in == before.refreshes_in + refreshes_in
            && last.refreshes_out == before.refreshes_out + refreshes_out
            && last.updates_in >= before.updates_in + updates_in
            && last.updates_out >= before.updates_out + updates_out)
    });
    outcome.map_err(|e| format!("{e}: {more:?} more than {before:?}, but {last:?}").into())
}

fn refresh(ability: &Ability) -> Result<()> {
    let Ability { kind, enhanced, ask, asks, again, ignores } = *ability;
    // RFC 7313 §4: a begin and an end.
    let marks = if enhanced { 2 } else { 0 };
    // FRR marks what it was asked for, not what its operator has it send again.
    let marked_again = if kind == Kind::Frr { 0 } else { marks };
    Lab::run(|lab| {
        let Pairs { us, peer } = Pairs::new(lab, &[1])?;
        let (ours, theirs) = (Pairs::ours(1), Pairs::theirs(1));
        let session = Session::new(&theirs.to_string(), &ours.to_string(), US)?;
        let sessions = vec![if enhanced { session.enhanced_refresh() } else { session }];
        let setup = Setup { asn: PEER, router_id: "10.0.1.2", sessions, routes: vec![route(THEIRS)] };
        let mut other = kind.start(&peer, &setup)?;
        let neighbor = Neighbor::new(&theirs.to_string(), PEER);
        let daemon = Rustbgpd::start(&us, &Rustbgpd::configuration(US, "10.0.1.1", &[neighbor]))?;
        daemon.wait_established(&[theirs])?;
        daemon.add(&route(OURS), ours, "")?;
        wait("routes both ways", 15, || {
            Ok(daemon.received(theirs, THEIRS)?.is_some() && other.route(OURS)?.is_some())
        })?;

        let before = counts(&daemon, theirs)?;
        peer.run(ask)?;
        if asks {
            wait_more(&daemon, theirs, "our table again", before, [1, 0, marks, 1])?;
        }
        if !again.is_empty() {
            let before = counts(&daemon, theirs)?;
            peer.run(again)?;
            wait_more(&daemon, theirs, "the peer's table again", before, [marked_again, 1, 0, 0])?;
        }
        // We ask.
        let before = counts(&daemon, theirs)?;
        daemon.ctl(&["neighbor", &theirs.to_string(), "softreset", "--refresh"])?;
        match ignores {
            None => wait_more(&daemon, theirs, "the table that we asked for", before, [marks, 1, 1, 0])?,
            Some(words) => {
                wait_more(&daemon, theirs, "our request", before, [0, 0, 1, 0])?;
                wait("the table that we asked for, or word that it does not come", 30, || {
                    let again = counts(&daemon, theirs)?.updates_in > before.updates_in;
                    Ok(again || other.process().log().contains(words))
                })?;
            }
        }
        // Without asking, nothing goes over the wire.
        let before = counts(&daemon, theirs)?;
        daemon.ctl(&["neighbor", &theirs.to_string(), "softreset", "-a", "ipv4_unicast"])?;
        // Everybody still has everything, nothing waits to be swept, and nobody lost the session.
        assert!(daemon.received(theirs, THEIRS)?.is_some() && other.route(OURS)?.is_some());
        let received = daemon.json(&["rib", "received", &theirs.to_string()])?;
        assert!(received.as_array().is_some_and(|r| r.len() == 1 && r.iter().all(|r| r["stale"] == false)));
        let state = daemon.neighbor(theirs)?;
        assert!(state.established && state.flaps == 0 && state.notifications_sent == 0, "{state:?}");
        let after = counts(&daemon, theirs)?;
        assert_eq!(after.refreshes_out, before.refreshes_out);
        assert!(asks || after.refreshes_in == 0, "{after:?}");
        Ok(())
    })
}

#[test]
fn rfc7313_with_frr() -> Result<()> {
    let (ask, again) = (&["vtysh", "-c", "clear bgp * soft in"], &["vtysh", "-c", "clear bgp * soft out"]);
    refresh(&Ability { kind: Kind::Frr, enhanced: true, ask, asks: true, again, ignores: None })
}

#[test]
fn rfc7313_with_bird() -> Result<()> {
    let ask = &["birdc", "-s", "/run/bird.ctl", "reload in p0"];
    let again = &["birdc", "-s", "/run/bird.ctl", "reload out p0"];
    refresh(&Ability { kind: Kind::Bird, enhanced: true, ask, asks: true, again, ignores: None })
}

/// It has no command to send its routes again. Version 7.7 takes requests to be for families that were not negotiated;
/// 7.9 does not.
fn openbgpd(enhanced: bool) -> Ability {
    let ask = &["bgpctl", "-s", "/run/openbgpd.sock", "neighbor", "10.0.1.1", "refresh"];
    let ignores = Some("route refresh: AID IPv4 unicast not negotiated");
    Ability { kind: Kind::OpenBgpd, enhanced, ask, asks: true, again: &[], ignores }
}

#[test]
fn rfc2918_with_openbgpd() -> Result<()> {
    refresh(&openbgpd(false))
}

#[test]
fn rfc7313_with_openbgpd() -> Result<()> {
    refresh(&openbgpd(true))
}

/// It keeps what it has from us, and asks itself instead.
#[test]
fn rfc2918_with_gobgp() -> Result<()> {
    let ask = &["gobgp", "neighbor", "10.0.1.1", "softresetin"];
    let again = &["gobgp", "neighbor", "10.0.1.1", "softresetout"];
    refresh(&Ability { kind: Kind::GoBgp, enhanced: false, ask, asks: false, again, ignores: None })
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = (bgp::HEADER + body.len()) as u16;
    [&[0xff; 16], len.to_be_bytes().as_slice(), &[kind], body].concat()
}

/// ROUTE-REFRESH for IPv4 unicast.
fn route_refresh(subtype: u8) -> Vec<u8> {
    message(ROUTE_REFRESH, &[0, 1, subtype, 1])
}

/// A speaker of IPv4 whose OPEN has these capabilities besides.
fn establish(pairs: &Pairs, n: u8, more: &[u8]) -> Result<Speaker> {
    let asn = PEER.to_be_bytes();
    let capabilities = [&[1, 4, 0, 1, 0, 1, 65, 4], asn.as_slice(), more].concat();
    let len = capabilities.len() as u8;
    let fixed = [4, asn[2], asn[3], 0, 90, 10, 0, n, 2, len + 2, 2, len];
    let mut speaker = Speaker::connect(&pairs.peer, Pairs::port(n))?;
    speaker.send(&message(bgp::OPEN, &[fixed.as_slice(), &capabilities].concat()))?;
    speaker.expect(bgp::OPEN)?;
    speaker.send(&bgp::keepalive())?;
    speaker.expect(bgp::KEEPALIVE)?;
    Ok(speaker)
}

/// UPDATEs for 10.83.`n`.0/24.
fn announce(from: u8, numbers: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let prefix = |n| bgp::Prefix { bits: (0x0a53_0000 | u64::from(n) << 8) << 32, len: 24, v6: false };
    let prefixes: Vec<bgp::Prefix> = numbers.into_iter().map(prefix).collect();
    let mut updates = Vec::new();
    bgp::announce(&mut updates, PEER, Pairs::theirs(from), &bgp::Attrs::default(), &prefixes);
    updates
}

/// The next message that is no KEEPALIVE.
fn next(speaker: &mut Speaker) -> Result<Message> {
    loop {
        match speaker.receive(5)? {
            Some(message) if message.kind == bgp::KEEPALIVE => {}
            Some(message) => return Ok(message),
            None => return lab::Error::fail("the connection was closed"),
        }
    }
}

/// The prefixes that an UPDATE announces.
fn announced(update: &Message) -> BTreeSet<u8> {
    let Some([0, 0, high, low]) = update.body.first_chunk::<4>() else { return BTreeSet::new() };
    let nlri = update.body.get(4 + usize::from(u16::from_be_bytes([*high, *low]))..).unwrap_or_default();
    nlri.chunks_exact(4).map(|p| p[3]).collect()
}

/// Two speakers with RFC 7313 and one without anything, and what the daemon says to them.
#[test]
fn rfc7313_on_the_wire() -> Result<()> {
    const BOTH: &[u8] = &[2, 0, 70, 0];
    Lab::run(|lab| {
        let pairs = Pairs::new(lab, &[1, 2, 3])?;
        let passive = |n| {
            let address = Pairs::theirs(n).to_string();
            Neighbor::new(&address, PEER).set("passive", true).set("hold_time", 90)
        };
        let config = Rustbgpd::configuration(US, "10.0.1.1", &[passive(1), passive(2), passive(3)]);
        let daemon = Rustbgpd::start(&pairs.us, &config)?;
        let address = |n| Pairs::theirs(n).to_string();
        let refused = |n, args: &[&str], says: &str| {
            let error = daemon.ctl(&[["neighbor", &address(n), "softreset"].as_slice(), args].concat()).err();
            assert!(error.as_ref().is_some_and(|e| e.to_string().contains(says)), "{error:?}");
        };
        refused(1, &[], "has no session");
        refused(1, &["-a", "ipv6_unicast"], "is not configured for it, but for ipv4_unicast");
        let mut one = establish(&pairs, 1, BOTH)?;
        let mut two = establish(&pairs, 2, BOTH)?;
        let _three = establish(&pairs, 3, &[])?;
        daemon.wait_established(&[Pairs::theirs(1), Pairs::theirs(2), Pairs::theirs(3)])?;
        refused(3, &["--refresh"], "it has not announced route refresh (RFC 2918)");

        // Whoever asks gets the table between BoRR and EoRR.
        one.send(&announce(1, 0..200))?;
        wait("the routes of one at two", 10, || {
            Ok(daemon.json(&["rib", "advertised", &address(2)])?.as_array().is_some_and(|r| r.len() == 200))
        })?;
        two.send(&route_refresh(0))?;
        // All that was sent before comes first.
        let mut before = BTreeSet::new();
        let begin = loop {
            match next(&mut two)? {
                message if message.kind == bgp::UPDATE => before.extend(announced(&message)),
                other => break other,
            }
        };
        assert_eq!((begin.kind, begin.body), (ROUTE_REFRESH, vec![0, 1, 1, 1]));
        assert_eq!(before.len(), 200);
        let mut again = BTreeSet::new();
        let end = loop {
            match next(&mut two)? {
                message if message.kind == bgp::UPDATE => again.extend(announced(&message)),
                other => break other,
            }
        };
        assert_eq!((end.kind, end.body), (ROUTE_REFRESH, vec![0, 1, 2, 1]));
        assert_eq!(again, before);

        // Whoever sends its table anew loses what was not in it, and only at the end.
        daemon.ctl(&["neighbor", &address(1), "softreset", "--refresh"])?;
        loop {
            let message = next(&mut one)?;
            if message.kind == ROUTE_REFRESH {
                assert_eq!(message.body, [0, 1, 0, 1]);
                break;
            }
        }
        one.send(&[route_refresh(1), announce(1, 0..150)].concat())?;
        let stale = || -> Result<(usize, usize)> {
            let routes = daemon.json(&["rib", "received", &address(1)])?;
            let routes = routes.as_array().cloned().unwrap_or_default();
            Ok((routes.len(), routes.iter().filter(|r| r["stale"] == true).count()))
        };
        wait("what has not come again", 10, || Ok(stale()? == (200, 50)))?;
        one.send(&route_refresh(2))?;
        wait("the end of it", 10, || Ok(stale()? == (150, 0)))?;
        let mut withdrawn = 0;
        while withdrawn < 50 {
            let message = next(&mut two)?;
            assert!(announced(&message).is_empty(), "of what came again nobody hears: {message:?}");
            withdrawn += usize::from(u16::from_be_bytes([message.body[0], message.body[1]])) / 4;
        }

        // RFC 7313 §5.
        one.send(&message(ROUTE_REFRESH, &[0, 1, 9, 1]))?;
        let malformed = message(ROUTE_REFRESH, &[0, 1, 2, 1, 0]);
        one.send(&malformed)?;
        let farewell = one.farewell(5)?.map(|m| m.body);
        assert_eq!(farewell, Some([&[7, 1], malformed.as_slice()].concat()));
        assert_eq!(daemon.neighbor(Pairs::theirs(2))?.flaps, 0);
        Ok(())
    })
}
