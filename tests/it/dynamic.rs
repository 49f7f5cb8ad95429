//! Dynamic neighbors: who connects from a range becomes one, by the rules of the longest one, and is gone with its session.

use std::net::IpAddr;

use bgpbench::bgp;
use lab::peers::{Kind, Session, Setup};
use lab::{Error, Lab, Neighbor, Origin, Pairs, Result, Route, Rustbgpd, Speaker, wait, wait_for};
use nix::sys::signal::Signal;
use serde_json::Value;

const US: u32 = 65001;
const PEER: u32 = 65002;
const ROUTE: &str = "10.83.1.0/24";
const KEY: &str = "correct-horse";

/// The cases of the other daemons, by the number of their pair of addresses.
const ANY_AS: u8 = 70;
const RIGHT_AS: u8 = 71;
const WRONG_AS: u8 = 72;
const RIGHT_KEY: u8 = 73;
const WRONG_KEY: u8 = 74;
const NO_KEY: u8 = 75;
const GTSM: u8 = 76;
const CONFIGURED: u8 = 77;

/// The neighbors, if there are some, then what is to follow them.
fn configuration(neighbors: &[Neighbor], rest: &str) -> String {
    format!("{}\n{rest}", Rustbgpd::configuration(US, "10.0.70.1", neighbors))
}

fn group(name: &str, keys: &str) -> String {
    format!("[peer_groups.{name}]\nhold_time = 90\n{keys}\n")
}

fn range(prefix: &str, group: &str, keys: &str) -> String {
    format!("[[dynamic_neighbors]]\nprefix = \"{prefix}\"\npeer_group = \"{group}\"\n{keys}\n")
}

fn route(prefix: &str) -> Route {
    Route {
        prefix: prefix.into(),
        origin: Origin::Igp,
        med: 1,
        local_pref: None,
        communities: vec!["65002:1".into()],
        large: vec!["65002:1:1".into()],
    }
}

/// The neighbor with this address, if there is one.
fn listed(daemon: &Rustbgpd, address: IpAddr) -> Result<Option<Value>> {
    let all = daemon.json(&["neighbor"])?;
    let address = address.to_string();
    Ok(all.as_array().into_iter().flatten().find(|n| n["config"]["address"] == *address).cloned())
}

fn is_up(daemon: &Rustbgpd, address: IpAddr) -> Result<bool> {
    let state = listed(daemon, address)?.map(|n| n["state"].clone());
    Ok(state.is_some_and(|s| s.as_str().is_some_and(|s| s.eq_ignore_ascii_case("established"))))
}

fn wait_up(daemon: &Rustbgpd, addresses: &[IpAddr]) -> Result<()> {
    for address in addresses {
        wait(&format!("an Established session with {address}"), 20, || is_up(daemon, *address))
            .map_err(|e| Error::new(format!("{e}\n{:?}", listed(daemon, *address))))?;
    }
    Ok(())
}

fn wait_gone(daemon: &Rustbgpd, address: IpAddr) -> Result<()> {
    wait(&format!("{address} to be gone"), 10, || Ok(listed(daemon, address)?.is_none()))
}

fn metric(daemon: &Rustbgpd, name: &str) -> Result<u64> {
    let metrics = daemon.ctl(&["metrics"])?;
    let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    Ok(line.ok_or_else(|| format!("no {name} in {metrics}"))?.parse()?)
}

/// Has the daemon read this file.
fn reload(daemon: &mut Rustbgpd, config: &str) -> Result<()> {
    let said =
        |daemon: &mut Rustbgpd| daemon.process().log().matches("\"message\":\"config reloaded\"").count();
    let before = said(daemon);
    daemon.process().host().write("config.toml", config)?;
    daemon.process().signal(Signal::SIGHUP)?;
    wait("the reload", 20, || Ok(said(daemon) > before))
        .map_err(|e| format!("{e}\n{}", daemon.process().log_tail()).into())
}

fn speaker(pairs: &Pairs, n: u8, asn: u32) -> Result<Speaker> {
    Speaker::establish(&pairs.peer, Pairs::port(n), asn, 90, [10, 0, n, 2])
}

/// What the daemon says to somebody who connects, as its last word.
fn last_word(pairs: &Pairs, n: u8, asn: u32) -> Result<Option<(u8, u8)>> {
    let mut speaker = Speaker::connect(&pairs.peer, Pairs::port(n))?;
    speaker.send(&bgp::open(asn, 90, [10, 0, n, 2], false))?;
    Ok(speaker.farewell(5)?.and_then(|m| m.notification()))
}

/// An UPDATE for a prefix of 24 bits.
fn update(prefix: [u8; 3], asn: u32, next_hop: IpAddr) -> Result<Vec<u8>> {
    let IpAddr::V4(next_hop) = next_hop else { return Error::fail("an IPv4 next hop") };
    let attributes = [
        &[0x40, 1, 1, 0, 0x40, 2, 6, 2, 1][..],
        &asn.to_be_bytes(),
        &[0x40, 3, 4],
        &next_hop.octets(),
        // LOCAL_PREF, which an internal neighbor must send and an external one must not: there it is discarded.
        &[0x40, 5, 4, 0, 0, 0, 100],
    ]
    .concat();
    let len = u16::try_from(attributes.len())?;
    let body = [&[0, 0], len.to_be_bytes().as_slice(), &attributes, &[24], &prefix].concat();
    let length = u16::try_from(bgp::HEADER + body.len())?;
    Ok([&[0xff; 16], length.to_be_bytes().as_slice(), &[bgp::UPDATE], &body].concat())
}

fn our_config() -> String {
    let key = format!("md5_password = \"{KEY}\"");
    let exact = |n: u8| format!("10.0.{n}.0/24");
    let asn = |n: u32| format!("remote_asn = {n}");
    let neighbor =
        Neighbor::new(&Pairs::theirs(CONFIGURED).to_string(), PEER).set("description", "\"listed\"");
    let ranges = [
        group("plain", "graceful_restart = false"),
        group("keyed", &format!("graceful_restart = false\n{key}")),
        group("other", "graceful_restart = false\nmd5_password = \"battery-staple\""),
        group("near", "graceful_restart = false\nttl_security = true"),
        // The wide range has a key that nobody uses: each longer one has its own, or none.
        range("10.0.0.0/16", "other", "description = \"wide\""),
        range(&exact(ANY_AS), "plain", "description = \"any\""),
        range(&exact(RIGHT_AS), "plain", &asn(PEER)),
        range(&exact(WRONG_AS), "plain", &asn(65099)),
        range(&exact(RIGHT_KEY), "keyed", ""),
        range(&exact(GTSM), "near", ""),
        // Whoever has no key here is not kept out by that of the wide range.
        range(&exact(NO_KEY), "plain", ""),
        range("fd00:70::/64", "plain", ""),
        range("fd00:73::/64", "keyed", &asn(PEER)),
    ];
    configuration(&[neighbor.set("graceful_restart", false)], &ranges.concat())
}

fn their_setup() -> Result<Setup> {
    let session = |n: u8| Session::new(&Pairs::theirs(n).to_string(), &Pairs::ours(n).to_string(), US);
    let session_v6 =
        |n: u8| Session::new(&Pairs::theirs_v6(n).to_string(), &Pairs::ours_v6(n).to_string(), US);
    let sessions = vec![
        session(ANY_AS)?,
        session(RIGHT_AS)?,
        session(WRONG_AS)?,
        session(RIGHT_KEY)?.password(KEY),
        session(WRONG_KEY)?.password(KEY),
        session(NO_KEY)?,
        session(GTSM)?.ttl_security(),
        session(CONFIGURED)?,
        session_v6(ANY_AS)?,
        session_v6(RIGHT_KEY)?.password(KEY),
    ];
    Ok(Setup { asn: PEER, router_id: "10.0.70.2", sessions, routes: vec![route(ROUTE)] })
}

fn from_ranges(kind: Kind) -> Result<()> {
    Lab::run(|lab| {
        let cases = [ANY_AS, RIGHT_AS, WRONG_AS, RIGHT_KEY, WRONG_KEY, NO_KEY, GTSM, CONFIGURED];
        let Pairs { us, peer } = Pairs::new(lab, &cases)?;
        let mut daemon = Rustbgpd::start(&us, &our_config())?;
        let mut other = kind.start(&peer, &their_setup()?)?;
        let v6 = [Pairs::theirs_v6(ANY_AS), Pairs::theirs_v6(RIGHT_KEY)];
        let dynamic = [&[ANY_AS, RIGHT_AS, RIGHT_KEY, NO_KEY, GTSM].map(Pairs::theirs)[..], &v6].concat();
        wait_up(&daemon, &dynamic)?;
        wait_up(&daemon, &[Pairs::theirs(CONFIGURED)])?;
        for address in &dynamic {
            let state = listed(&daemon, *address)?.unwrap_or_default();
            assert_eq!(
                (&state["is_dynamic"], &state["config"]["remote_asn"]),
                (&true.into(), &PEER.into()),
                "{state}"
            );
        }
        let of = |n: u8| Ok::<_, Error>(listed(&daemon, Pairs::theirs(n))?.unwrap_or_default());
        assert_eq!(of(ANY_AS)?["config"]["description"], "any", "the longest range counts");
        assert_eq!(of(RIGHT_KEY)?["config"]["peer_group"], "keyed");
        let configured = of(CONFIGURED)?;
        assert_eq!(
            (&configured["is_dynamic"], &configured["config"]["description"]),
            (&false.into(), &"listed".into())
        );
        wait("a dynamic neighbor's route", 10, || {
            Ok(daemon.received(Pairs::theirs(ANY_AS), ROUTE)?.is_some())
        })?;
        let series = format!("bgp_session_up{{peer=\"{}\"}}", Pairs::theirs(ANY_AS));
        assert_eq!(metric(&daemon, &series)?, 1);

        // RFC 4271 §6.2: Bad Peer AS, as the peer itself understood it.
        wait("the peer to be told of the wrong AS", 20, || {
            Ok(other.complaints(Pairs::ours(WRONG_AS))?.contains(other.bad_peer_as()))
        })
        .map_err(|e| format!("{e}: {:?}", other.complaints(Pairs::ours(WRONG_AS))))?;
        for case in [WRONG_AS, WRONG_KEY] {
            assert!(!is_up(&daemon, Pairs::theirs(case))? && !other.established(Pairs::ours(case))?);
        }
        wait("those alone that have a session", 10, || Ok(metric(&daemon, "bgp_dynamic_peers")? == 7))?;

        // With the session the neighbor goes, and with it all that was of it.
        other.stop()?;
        for address in &dynamic {
            wait_gone(&daemon, *address)?;
        }
        wait("the route to go", 10, || Ok(daemon.best(ROUTE)?.is_none()))?;
        let metrics = daemon.ctl(&["metrics"])?;
        assert!(!metrics.contains(&format!("peer=\"{}\"", Pairs::theirs(ANY_AS))), "{metrics}");
        assert_eq!(metric(&daemon, "bgp_dynamic_peers")?, 0);
        assert!(listed(&daemon, Pairs::theirs(CONFIGURED))?.is_some());
        let log = daemon.process().log();
        assert!(!log.contains("\"level\":\"ERROR\""), "{log}");
        Ok(())
    })
}

#[test]
fn with_frr() -> Result<()> {
    from_ranges(Kind::Frr)
}

#[test]
fn with_bird() -> Result<()> {
    from_ranges(Kind::Bird)
}

#[test]
fn with_openbgpd() -> Result<()> {
    from_ranges(Kind::OpenBgpd)
}

/// RFC 4724 §4.2: its routes are kept, and it is there for as long as they are.
#[test]
fn one_that_restarts_is_there_until_its_routes_are_gone() -> Result<()> {
    Lab::run(|lab| {
        let pairs = Pairs::new(lab, &[ANY_AS])?;
        let config = configuration(&[], &(group("g", "") + &range("10.0.70.0/24", "g", "")));
        let daemon = Rustbgpd::start(&pairs.us, &config)?;
        let them = Pairs::theirs(ANY_AS);
        let session = Session::new(&them.to_string(), &Pairs::ours(ANY_AS).to_string(), US)?;
        let setup = |seconds| Setup {
            asn: PEER,
            router_id: "10.0.70.2",
            sessions: vec![session.clone().restart_time(seconds).hold_time(90)],
            routes: vec![route(ROUTE)],
        };
        let stale = || Ok::<_, Error>(listed(&daemon, them)?.unwrap_or_default()["graceful_restart"].clone());
        let mut bird = Kind::Bird.start(&pairs.peer, &setup(60))?;
        wait_up(&daemon, &[them])?;
        wait("its route", 10, || Ok(daemon.best(ROUTE)?.is_some()))?;
        bird.crash()?;
        wait("the session to be down", 10, || Ok(!is_up(&daemon, them)?))?;
        assert_eq!(stale()?["stale_routes"], 1);
        assert!(daemon.best(ROUTE)?.is_some() && metric(&daemon, "bgp_dynamic_peers")? == 1);
        // It comes back and asks for less the next time.
        let mut bird = Kind::Bird.start(&pairs.peer, &setup(2))?;
        wait_up(&daemon, &[them])?;
        wait("the end of the restart", 20, || Ok(stale()?.is_null()))?;
        assert!(daemon.best(ROUTE)?.is_some());
        bird.crash()?;
        wait("the session to be down", 10, || Ok(!is_up(&daemon, them)?))?;
        wait_gone(&daemon, them)?;
        assert!(daemon.best(ROUTE)?.is_none() && metric(&daemon, "bgp_dynamic_peers")? == 0);
        Ok(())
    })
}

#[test]
fn beyond_the_limit_nobody_comes_in_and_nobody_else_notices() -> Result<()> {
    const LISTED: u8 = 4;
    Lab::run(|lab| {
        let pairs = Pairs::new(lab, &[1, 2, 3, LISTED])?;
        let listed_one = Neighbor::new(&Pairs::theirs(LISTED).to_string(), PEER).set("passive", true);
        let rest = [group("g", "graceful_restart = false"), range("10.0.0.0/16", "g", "")].concat();
        let config = configuration(&[listed_one.set("hold_time", 90)], &rest).replacen(
            "[global]\n",
            "[global]\ndynamic_neighbor_limit = 2\n",
            1,
        );
        let mut daemon = Rustbgpd::start(&pairs.us, &config)?;
        let one = speaker(&pairs, 1, 65011)?;
        let _two = speaker(&pairs, 2, 65012)?;
        // RFC 4486 §4: Out of Resources.
        assert_eq!(last_word(&pairs, 3, 65013)?, Some((6, 8)));
        daemon.process().wait_log("dynamic neighbor limit reached", 5)?;
        assert_eq!(metric(&daemon, "bgp_dynamic_peers_refused_total")?, 1);
        assert_eq!(metric(&daemon, "bgp_dynamic_peer_limit")?, 2);
        let _listed = speaker(&pairs, LISTED, PEER)?;
        wait_up(&daemon, &[1, 2, LISTED].map(Pairs::theirs))?;
        drop(one);
        wait_gone(&daemon, Pairs::theirs(1))?;
        let _three = speaker(&pairs, 3, 65013)?;
        wait_up(&daemon, &[Pairs::theirs(3)])
    })
}

/// What a group says is for one kind of neighbors holds for whoever turns out to be of the other one.
#[test]
fn one_of_any_as_is_internal_or_external_by_its_open_and_its_policies_follow() -> Result<()> {
    Lab::run(|lab| {
        let pairs = Pairs::new(lab, &[1, 2, 3, 4])?;
        let rest = [
            group("rs", "route_server_client = true"),
            group("all", "import_policy_chain = [\"p\"]"),
            range("10.0.1.0/24", "rs", ""),
            range("10.0.0.0/16", "all", ""),
            "[policy.neighbor_sets.s]\nremote_asns = [65013]\n[[policy.definitions.p.statements]]\naction = \"deny\"\n\
             match_neighbor_set = \"s\"\n"
                .to_owned(),
        ];
        let daemon = Rustbgpd::start(&pairs.us, &configuration(&[], &rest.concat()))?;
        // RFC 7947 is about external clients. RFC 4271 §6.2: Bad Peer AS.
        assert_eq!(last_word(&pairs, 1, US)?, Some((2, 2)));
        wait_gone(&daemon, Pairs::theirs(1))?;
        let _client = speaker(&pairs, 1, 65011)?;
        let mut internal = speaker(&pairs, 2, US)?;
        let mut in_set = speaker(&pairs, 3, 65013)?;
        let mut not_in_set = speaker(&pairs, 4, 65014)?;
        wait_up(&daemon, &[1, 2, 3, 4].map(Pairs::theirs))?;
        internal.send(&update([10, 91, 2], 65099, Pairs::theirs(2))?)?;
        in_set.send(&update([10, 91, 3], 65013, Pairs::theirs(3))?)?;
        not_in_set.send(&update([10, 91, 4], 65014, Pairs::theirs(4))?)?;
        for (n, prefix, taken) in
            [(2, "10.91.2.0/24", true), (3, "10.91.3.0/24", false), (4, "10.91.4.0/24", true)]
        {
            wait(prefix, 5, || Ok(daemon.received(Pairs::theirs(n), prefix)?.is_some()))?;
            assert_eq!(daemon.best(prefix)?.is_some(), taken, "{prefix}");
        }
        assert_eq!(listed(&daemon, Pairs::theirs(2))?.unwrap_or_default()["config"]["remote_asn"], US);
        Ok(())
    })
}

#[test]
fn ranges_come_go_and_change_while_the_daemon_runs() -> Result<()> {
    Lab::run(|lab| {
        let pairs = Pairs::new(lab, &[1, 2, 3])?;
        let groups =
            |hold: u32| [group("a", ""), group("b", "").replacen("= 90", &format!("= {hold}"), 1)].concat();
        let two = |more: &str| [range("10.0.1.0/24", "a", ""), range("10.0.2.0/24", "b", more)].concat();
        let mut daemon = Rustbgpd::start(&pairs.us, &configuration(&[], &(groups(30) + &two(""))))?;
        let mut one = speaker(&pairs, 1, 65011)?;
        let mut second = speaker(&pairs, 2, 65012)?;
        wait_up(&daemon, &[1, 2].map(Pairs::theirs))?;
        let up = |daemon: &Rustbgpd, n| is_up(daemon, Pairs::theirs(n));

        // What means the same touches nobody: also another range that has the same settings, and the AS that it has.
        let same = groups(30) + &range("10.0.0.0/16", "a", "") + &two("remote_asn = 65012");
        reload(&mut daemon, &configuration(&[], &same))?;
        assert!(up(&daemon, 1)? && up(&daemon, 2)?);
        // Another setting of a group resets its neighbors alone (RFC 4486 §4: Other Configuration Change).
        reload(&mut daemon, &configuration(&[], &(groups(60) + &two(""))))?;
        assert_eq!(second.farewell(5)?.and_then(|m| m.notification()), Some((6, 6)));
        assert!(up(&daemon, 1)?);
        wait_gone(&daemon, Pairs::theirs(2))?;
        let mut second = speaker(&pairs, 2, 65012)?;
        wait_up(&daemon, &[Pairs::theirs(2)])?;
        assert_eq!(listed(&daemon, Pairs::theirs(2))?.unwrap_or_default()["config"]["hold_time"], 60);
        // Another AS than its own.
        reload(&mut daemon, &configuration(&[], &(groups(60) + &two("remote_asn = 65099"))))?;
        assert_eq!(second.farewell(5)?.and_then(|m| m.notification()), Some((6, 6)));
        // A range that is gone: Peer De-configured.
        reload(&mut daemon, &configuration(&[], &(groups(60) + &range("10.0.2.0/24", "b", ""))))?;
        assert_eq!(one.farewell(5)?.and_then(|m| m.notification()), Some((6, 3)));
        wait_gone(&daemon, Pairs::theirs(1))?;

        // A neighbor that is listed takes the place of the one from the range.
        let mut second = speaker(&pairs, 2, 65012)?;
        wait_up(&daemon, &[Pairs::theirs(2)])?;
        let neighbor = Neighbor::new(&Pairs::theirs(2).to_string(), 65012).set("passive", true);
        reload(&mut daemon, &configuration(&[neighbor], &(groups(60) + &range("10.0.2.0/24", "b", ""))))?;
        assert_eq!(second.farewell(5)?.and_then(|m| m.notification()), Some((6, 3)));
        let _second = speaker(&pairs, 2, 65012)?;
        wait_up(&daemon, &[Pairs::theirs(2)])?;
        assert_eq!(listed(&daemon, Pairs::theirs(2))?.unwrap_or_default()["is_dynamic"], false);
        let log = daemon.process().log();
        assert!(!log.contains("\"level\":\"ERROR\""), "{log}");
        Ok(())
    })
}

#[test]
fn ranges_are_added_and_deleted_by_clients_and_their_neighbors_disabled_and_enabled() -> Result<()> {
    Lab::run(|lab| {
        let pairs = Pairs::new(lab, &[1, 2])?;
        let config = configuration(&[], &group("g", "graceful_restart = false"));
        let mut daemon = Rustbgpd::start(&pairs.us, &config)?;
        let them = Pairs::theirs(1).to_string();
        assert_eq!(Speaker::connect(&pairs.peer, Pairs::port(1))?.receive(5)?, None, "a stranger");
        daemon.ctl(&[
            "dynamic-neighbor",
            "add",
            "10.0.1.0/24",
            "--peer-group",
            "g",
            "--description",
            "added",
        ])?;
        let refused = |args: &[&str]| match daemon.ctl(args) {
            Ok(said) => Error::fail(format!("not refused: {said}")),
            Err(error) => Ok(error.to_string()),
        };
        let again = refused(&["dynamic-neighbor", "add", "10.0.1.0/24", "--peer-group", "g"])?;
        assert!(again.contains("already"), "{again}");
        let nobody = refused(&["dynamic-neighbor", "add", "10.0.2.0/24", "--peer-group", "nobody"])?;
        assert!(nobody.contains("no such peer group"), "{nobody}");
        let missing = refused(&["dynamic-neighbor", "delete", "10.0.2.0/24"])?;
        assert!(missing.contains("no range"), "{missing}");
        let mut one = speaker(&pairs, 1, 65011)?;
        wait_up(&daemon, &[Pairs::theirs(1)])?;
        let table = daemon.ctl(&["neighbor"])?;
        assert!(table.contains("dynamic") && table.contains("added"), "{table}");
        let file = pairs.us.run(&["cat", "/run/lab/config.toml"])?;
        assert!(file.contains("prefix = \"10.0.1.0/24\"") && !file.contains(&them), "{file}");

        // It is not deleted alone, but disabled: then it stays, and is refused, until it is enabled.
        let alone = refused(&["neighbor", &them, "delete"])?;
        assert!(alone.contains("dynamic"), "{alone}");
        daemon.ctl(&["neighbor", &them, "softreset"])?;
        daemon.ctl(&["neighbor", &them, "disable", "--reason", "moving"])?;
        assert_eq!(one.farewell(5)?.and_then(|m| m.notification()), Some((6, 2)));
        assert_eq!(last_word(&pairs, 1, 65011)?, Some((6, 5)));
        assert_eq!(listed(&daemon, Pairs::theirs(1))?.unwrap_or_default()["disabled"], true);
        daemon.ctl(&["neighbor", &them, "enable"])?;
        wait_gone(&daemon, Pairs::theirs(1))?;
        let mut one = speaker(&pairs, 1, 65011)?;
        wait_up(&daemon, &[Pairs::theirs(1)])?;

        daemon.ctl(&["dynamic-neighbor", "delete", "10.0.1.0/24"])?;
        assert_eq!(one.farewell(5)?.and_then(|m| m.notification()), Some((6, 3)));
        wait_gone(&daemon, Pairs::theirs(1))?;
        assert_eq!(pairs.us.run(&["cat", "/run/lab/config.toml"])?, config);
        assert_eq!(daemon.json(&["dynamic-neighbor"])?, Value::Array(Vec::new()));
        let log = daemon.process().log();
        assert!(!log.contains("\"level\":\"ERROR\""), "{log}");
        Ok(())
    })
}

/// Engines that are started again know nobody who connected before; control alone is told of all.
#[test]
fn they_come_back_after_the_death_of_an_engine() -> Result<()> {
    Lab::run(|lab| {
        let pairs = Pairs::new(lab, &[1])?;
        let rest = [group("g", "graceful_restart = false"), range("10.0.0.0/16", "g", "")].concat();
        let mut daemon = Rustbgpd::start(&pairs.us, &configuration(&[], &rest))?;
        let them = Pairs::theirs(1);
        let mut current = speaker(&pairs, 1, 65011)?;
        wait_up(&daemon, &[them])?;
        for (role, survives) in [("control", true), ("rde", false), ("session", false)] {
            let pid = daemon.engine(role)?;
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.try_into()?), Signal::SIGKILL)?;
            wait("another engine", 10, || Ok(daemon.engine(role)? != pid))?;
            if !survives {
                current = wait_for("a session again", 20, || Ok(speaker(&pairs, 1, 65011).ok()))?;
            }
            wait("the neighbor", 20, || Ok(is_up(&daemon, them).unwrap_or_default()))
                .map_err(|e| format!("{role}: {e}\n{}", daemon.process().log_tail()))?;
        }
        drop(current);
        Ok(())
    })
}
