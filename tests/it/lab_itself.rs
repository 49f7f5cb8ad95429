//! What the tests stand on: peers that can speak with each other, faults that are faults, nothing left behind.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::Duration;

use bgpbench::{bgp, table};
use lab::mrt;
use lab::peers::{Bird, Kind, Peer, Session, Setup};
use lab::{Lab, Origin, Pairs, Result, Route, Speaker, is_running, wait, wait_for};

fn route(prefix: &str) -> Route {
    Route {
        prefix: prefix.into(),
        origin: Origin::Igp,
        med: 50,
        local_pref: None,
        communities: vec!["65002:100".into(), "65002:200".into()],
        large: vec!["65002:1:2".into()],
    }
}

/// Each kind of peer and BIRD see each other's routes with all attributes.
fn exchange(kind: Kind) -> Result<()> {
    Lab::run(|lab| {
        let (a, b) = (lab.host("a")?, lab.host("b")?);
        lab.link(&a, &b, &["10.0.0.1/24", "fd00::1/64"], &["10.0.0.2/24", "fd00::2/64"])?;
        let bird = Bird::start(
            &a,
            &Setup {
                asn: 65001,
                router_id: "10.0.0.1",
                sessions: vec![
                    Session::new("10.0.0.1", "10.0.0.2", 65002)?,
                    Session::new("fd00::1", "fd00::2", 65002)?,
                ],
                routes: vec![route("10.1.0.0/24"), route("fd01::/48")],
            },
        )?;
        let mut peer = kind.start(
            &b,
            &Setup {
                asn: 65002,
                router_id: "10.0.0.2",
                sessions: vec![
                    Session::new("10.0.0.2", "10.0.0.1", 65001)?,
                    Session::new("fd00::2", "fd00::1", 65001)?,
                ],
                routes: vec![route("10.2.0.0/24"), route("fd02::/48")],
            },
        )?;
        for (remote, theirs, ours) in
            [("10.0.0.2", "10.2.0.0/24", "10.1.0.0/24"), ("fd00::2", "fd02::/48", "fd01::/48")]
        {
            let remote: IpAddr = remote.parse()?;
            wait("the session in BIRD", 40, || bird.established(remote))?;
            let seen = wait_for("a route in BIRD", 10, || bird.route(theirs))?;
            assert_eq!((seen.next_hop, seen.as_path, seen.med), (remote, vec![65002], Some(50)));
            assert_eq!(
                (seen.communities.join(" "), seen.large.join(" ")),
                ("65002:100 65002:200".into(), "65002:1:2".into())
            );
            let seen = wait_for("a route in the peer", 10, || peer.route(ours))?;
            assert_eq!((seen.origin, seen.as_path, seen.med), (Origin::Igp, vec![65001], Some(50)));
            assert_eq!(
                (seen.communities.join(" "), seen.large.join(" ")),
                ("65002:100 65002:200".into(), "65002:1:2".into())
            );
            peer.withdraw(theirs)?;
            wait("the withdrawal in BIRD", 10, || Ok(bird.route(theirs)?.is_none()))?;
            peer.announce(&route(theirs))?;
            wait("the route in BIRD again", 10, || Ok(bird.route(theirs)?.is_some()))?;
        }
        Ok(())
    })
}

#[test]
fn frr_and_bird_exchange_routes() -> Result<()> {
    exchange(Kind::Frr)
}

#[test]
fn bird_and_bird_exchange_routes() -> Result<()> {
    exchange(Kind::Bird)
}

#[test]
fn openbgpd_and_bird_exchange_routes() -> Result<()> {
    exchange(Kind::OpenBgpd)
}

#[test]
fn gobgp_and_bird_exchange_routes() -> Result<()> {
    exchange(Kind::GoBgp)
}

#[test]
fn faults_are_faults() -> Result<()> {
    Lab::run(|lab| {
        let (a, b) = (lab.host("a")?, lab.host("b")?);
        let link = lab.link(&a, &b, &["10.0.0.1/24"], &["10.0.0.2/24"])?;
        let address: SocketAddr = "10.0.0.2:179".parse()?;
        let _listener = b.listen(address)?;
        let reaches = || a.connect(address, Duration::from_millis(300)).is_ok();
        assert!(reaches());
        b.block(&["10.0.0.1".parse()?])?;
        assert!(!reaches());
        b.unblock()?;
        assert!(reaches());
        link.down()?;
        assert!(!reaches());
        link.up()?;
        wait("a path after the link is up", 10, || Ok(reaches()))
    })
}

/// Runs in two processes: the outer one kills the inner one, which owns a lab.
#[test]
fn a_killed_owner_leaves_nothing_behind() -> Result<()> {
    const INNER: &str = "LAB_INNER";
    if std::env::var_os(INNER).is_some() {
        return Lab::run(|lab| {
            let host = lab.host("a")?;
            let mut sleep = host.spawn("sleep", &["sleep", "1000"])?;
            println!("pids {} {}", host.init_pid(), sleep.pid()?);
            wait("a SIGKILL", 60, || Ok(false))
        });
    }
    let mut inner = Command::new(std::env::current_exe()?)
        .args(["--exact", "lab_itself::a_killed_owner_leaves_nothing_behind", "--nocapture"])
        .env(INNER, "1")
        .stdout(Stdio::piped())
        .spawn()?;
    let lines = BufReader::new(inner.stdout.take().unwrap()).lines().map_while(std::result::Result::ok);
    let line =
        lines.into_iter().find(|line| line.contains("pids ")).expect("the inner process starts its lab");
    let numbers = line.split_whitespace().filter_map(|word| word.parse().ok());
    let pids: Vec<u32> = numbers.collect();
    assert_eq!(pids.iter().filter(|pid| is_running(**pid)).count(), 2, "{line}");
    inner.kill()?;
    inner.wait()?;
    wait("the end of what ran in the lab", 5, || Ok(!pids.iter().any(|pid| is_running(*pid))))
}

/// The way in which the full table is compared, without the daemon between speaker and BIRD.
#[test]
fn what_a_speaker_announces_is_read_back_from_birds_dump() -> Result<()> {
    Lab::run(|lab| {
        let pairs = Pairs::new(lab, &[1])?;
        let (bird, own) = (Pairs::ours(1), Pairs::theirs(1));
        let sessions = vec![Session::new(&bird.to_string(), &own.to_string(), 65002)?];
        let bird =
            Bird::start(&pairs.us, &Setup { asn: 65001, router_id: "10.0.0.1", sessions, routes: vec![] })?;
        let groups = table::synthetic(2000, false, 7);
        let mut speaker = Speaker::establish(&pairs.peer, Pairs::port(1), 65002, 0, [10, 0, 0, 2])?;
        speaker.send(&table::announce_all(&groups, 65002, own, 0, 0))?;
        wait("all routes", 10, || Ok(bird.count("master4")? == 2000))?;
        bird.ask_write("mrt dump table \"master4\" to \"/run/lab/dump.mrt\"")?;
        let mut announced = HashMap::new();
        for group in &groups {
            let mut attrs = table::attrs(group, 0, 0);
            attrs.path.insert(0, 65002);
            attrs.communities.sort_unstable();
            announced.extend(group.prefixes.iter().map(|prefix| (*prefix, attrs.clone())));
        }
        mrt::read(bird.host().open("dump.mrt")?, |prefix, paths| {
            assert_eq!(paths.len(), 1);
            let mut has = paths[0].attrs.clone();
            has.communities.sort_unstable();
            assert_eq!(announced.remove(&prefix), Some(has));
            assert_eq!(paths[0].next_hop, Some(own));
            Ok(())
        })?;
        assert_eq!(announced.len(), 0);
        Ok(())
    })
}

/// Each kind of peer takes all options of a session, and tells of a NOTIFICATION in the words that tests look for.
#[test]
fn peers_tell_of_notifications() -> Result<()> {
    let refuse = |kind: Kind| {
        Lab::run(|lab| {
            let pairs = Pairs::new(lab, &[1, 2, 3])?;
            let session =
                |n: u8| Session::new(&Pairs::ours(n).to_string(), &Pairs::theirs(n).to_string(), 65002);
            let sessions = vec![session(1)?, session(2)?.password("secret"), session(3)?.ttl_security()];
            let setup = Setup { asn: 65001, router_id: "10.0.0.1", sessions, routes: vec![] };
            let peer = kind.start(&pairs.us, &setup)?;
            wait(&format!("{kind:?} to tell"), 15, || {
                let told = peer.complaints(Pairs::theirs(1))?;
                if told.contains(peer.bad_peer_as()) {
                    return Ok(true);
                }
                let mut speaker = Speaker::connect(&pairs.peer, Pairs::port(1))?;
                speaker.send(&bgp::open(65002, 90, [10, 0, 0, 2], false))?;
                speaker.expect(bgp::OPEN)?;
                let header = [0xff; 16].into_iter().chain([0, 21, bgp::NOTIFICATION]);
                speaker.send(&header.chain([2, 2]).collect::<Vec<u8>>())?;
                speaker.farewell(1)?;
                Err(told.into())
            })
        })
    };
    [Kind::Frr, Kind::Bird, Kind::OpenBgpd, Kind::GoBgp].into_iter().try_for_each(refuse)
}
