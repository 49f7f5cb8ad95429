//! With each of four other daemons: what keeps the wrong ones out, and what notices that the right one is gone.
//!
//! One link with a pair of addresses for each case, so that all cases run at once.

use std::io::Read;

use lab::peers::{Kind, Session, Setup};
use lab::{Lab, Neighbor, Origin, Pairs, Result, Route, Rustbgpd, Speaker, State, wait, wait_for};

const US: u32 = 65001;
const PEER: u32 = 65002;

/// The cases, by the number of their pair of addresses.
const PLAIN: u8 = 10;
const RIGHT_KEY: u8 = 11;
const WRONG_KEY: u8 = 12;
const RIGHT_TTL: u8 = 13;
const WRONG_TTL: u8 = 14;
const WRONG_AS: u8 = 15;
const SILENT: u8 = 16;

const KEY: &str = "correct-horse";
const ROUTE: &str = "10.77.0.0/24";

fn our_config() -> String {
    let neighbor = |case: u8, asn: u32| Neighbor::new(&Pairs::theirs(case).to_string(), asn);
    let key = |password: &str| format!("\"{password}\"");
    Rustbgpd::configuration(
        US,
        "10.0.10.1",
        &[
            neighbor(PLAIN, PEER),
            neighbor(RIGHT_KEY, PEER).set("md5_password", key(KEY)),
            neighbor(WRONG_KEY, PEER).set("md5_password", key("battery-staple")),
            neighbor(RIGHT_TTL, PEER).set("ttl_security", true),
            neighbor(WRONG_TTL, PEER).set("ttl_security", true),
            neighbor(WRONG_AS, 65099),
            neighbor(SILENT, PEER).set("hold_time", 3),
            Neighbor::new(&Pairs::theirs_v6(RIGHT_KEY).to_string(), PEER).set("md5_password", key(KEY)),
            Neighbor::new(&Pairs::theirs_v6(RIGHT_TTL).to_string(), PEER).set("ttl_security", true),
        ],
    )
}

fn their_setup() -> Result<Setup> {
    let session =
        |case: u8| Session::new(&Pairs::theirs(case).to_string(), &Pairs::ours(case).to_string(), US);
    let session_v6 =
        |case: u8| Session::new(&Pairs::theirs_v6(case).to_string(), &Pairs::ours_v6(case).to_string(), US);
    let sessions = vec![
        session(PLAIN)?,
        session(RIGHT_KEY)?.password(KEY),
        session(WRONG_KEY)?.password(KEY),
        session(RIGHT_TTL)?.ttl_security(),
        session(WRONG_TTL)?,
        session(WRONG_AS)?,
        session(SILENT)?.hold_time(3),
        session_v6(RIGHT_KEY)?.password(KEY),
        session_v6(RIGHT_TTL)?.ttl_security(),
    ];
    let route = Route {
        prefix: ROUTE.into(),
        origin: Origin::Igp,
        med: 1,
        local_pref: None,
        communities: vec!["65002:1".into()],
        large: vec!["65002:1:1".into()],
    };
    Ok(Setup { asn: PEER, router_id: "10.0.10.2", sessions, routes: vec![route] })
}

fn guards(kind: Kind) -> Result<()> {
    Lab::run(|lab| {
        let Pairs { us, peer } =
            Pairs::new(lab, &[PLAIN, RIGHT_KEY, WRONG_KEY, RIGHT_TTL, WRONG_TTL, WRONG_AS, SILENT])?;
        let _capture = peer.capture("wrong-as", Pairs::ours(WRONG_AS))?;
        let other = kind.start(&peer, &their_setup()?)?;
        let mut daemon = Rustbgpd::start(&us, &our_config())?;

        let right_v6 = [Pairs::theirs_v6(RIGHT_KEY), Pairs::theirs_v6(RIGHT_TTL)];
        daemon.wait_established(&[
            Pairs::theirs(PLAIN),
            Pairs::theirs(RIGHT_KEY),
            Pairs::theirs(RIGHT_TTL),
            Pairs::theirs(SILENT),
        ])?;
        daemon.wait_established(&right_v6)?;
        for case in [RIGHT_KEY, RIGHT_TTL] {
            assert!(other.established(Pairs::ours(case))?);
        }

        // RFC 4271 §6.2: OPEN Message Error, Bad Peer AS, as the peer itself understood it.
        wait("the peer to be told of the wrong AS", 10, || {
            Ok(other.complaints(Pairs::ours(WRONG_AS))?.contains(other.bad_peer_as()))
        })
        .map_err(|e| format!("{e}: {:?}", other.complaints(Pairs::ours(WRONG_AS))))?;
        let exact = [&[0xff; 16], [0, 21, 3, 2, 2].as_slice()].concat();
        wait("the exact NOTIFICATION on the wire", 5, || {
            let mut packets = Vec::new();
            peer.open("wrong-as.pcap")?.read_to_end(&mut packets)?;
            Ok(packets.windows(exact.len()).any(|window| window == exact))
        })?;
        let before = wait_for("our own account of the wrong AS", 10, || {
            let state = daemon.neighbor(Pairs::theirs(WRONG_AS))?;
            Ok(state.last_error.contains("Bad Peer AS").then_some(state))
        })?;
        assert!(before.notifications_sent > 0);

        // Hold timer (RFC 4271 §6.5): nothing comes any more, and the routes of that session go.
        wait("the silent peer's route", 5, || Ok(daemon.received(Pairs::theirs(SILENT), ROUTE)?.is_some()))?;
        us.block(&[Pairs::theirs(SILENT)])?;
        wait("the hold timer", 8, || Ok(!daemon.neighbor(Pairs::theirs(SILENT))?.established))?;
        let silent = daemon.neighbor(Pairs::theirs(SILENT))?;
        assert!(silent.last_error.contains("Hold Timer Expired"), "{silent:?}");
        assert_eq!(daemon.received(Pairs::theirs(SILENT), ROUTE)?, None);
        us.unblock()?;
        daemon.wait_established(&[Pairs::theirs(SILENT)])?;
        wait("its route again", 5, || Ok(daemon.received(Pairs::theirs(SILENT), ROUTE)?.is_some()))?;

        // Seconds have passed: those who must not come in have not, and nobody was pestered.
        for case in [WRONG_KEY, WRONG_TTL, WRONG_AS] {
            let state = daemon.neighbor(Pairs::theirs(case))?;
            assert!(
                !state.established && state.flaps == 0 && state.prefixes_received == 0,
                "{case}: {state:?}"
            );
            assert!(!other.established(Pairs::ours(case))?);
        }
        // RFC 5082: who connects from too far away is told nothing, not even our OPEN.
        let told = Speaker::connect(&peer, Pairs::port(WRONG_TTL))?.receive(5)?;
        assert_eq!(told, None);
        daemon.process().wait_log("connection of a neighbor closed: GTSM", 5)?;
        let after: State = daemon.neighbor(Pairs::theirs(WRONG_AS))?;
        assert!(after.notifications_sent - before.notifications_sent < 20, "{before:?} {after:?}");
        assert_eq!(daemon.neighbor(Pairs::theirs(PLAIN))?.flaps, 0);
        Ok(())
    })
}

#[test]
fn against_frr() -> Result<()> {
    guards(Kind::Frr)
}

#[test]
fn against_bird() -> Result<()> {
    guards(Kind::Bird)
}

#[test]
fn against_openbgpd() -> Result<()> {
    guards(Kind::OpenBgpd)
}

#[test]
fn against_gobgp() -> Result<()> {
    guards(Kind::GoBgp)
}
