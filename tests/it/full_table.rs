//! A full table, IPv4 and IPv6, from one speaker through the daemon into BIRD, compared prefix by prefix and
//! path by path with what BIRD has at the end; and nothing of it when the speaker is gone.
//!
//! BIRD is an internal peer: it must be told everything as it came, MED, NEXT_HOP and NO_EXPORT included.

use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::thread;

use bgpbench::bgp::{Attrs, Prefix};
use lab::full_table::FullTable;
use lab::mrt::{self, Path};
use lab::peers::{Bird, Session, Setup};
use lab::{Error, Host, Lab, Neighbor, Result, Rustbgpd, Speaker, wait};

/// AS numbers that no table has in its paths.
const US: u32 = 4_200_000_001;
const SOURCE: u32 = 4_200_000_002;

/// The source's sessions, one for each family: our end and its own.
const SESSIONS: [(&str, &str); 2] = [("10.0.1.1", "10.0.1.2"), ("fd00:1::1", "fd00:1::2")];
const TO_BIRD: [(&str, &str); 2] = [("10.0.2.1", "10.0.2.2"), ("fd00:2::1", "fd00:2::2")];
const TABLES: [&str; 2] = ["master4", "master6"];

fn start_bird(lab: &Lab, us: &Rc<Host>) -> Result<Bird> {
    let host = lab.host("bird")?;
    lab.link(us, &host, &["10.0.2.1/24", "fd00:2::1/64"], &["10.0.2.2/24", "fd00:2::2/64"])?;
    let sessions = TO_BIRD.iter().map(|(ours, birds)| Ok(Session::new(birds, ours, US)?.hold_time(240)));
    let sessions = sessions.collect::<Result<_>>()?;
    Bird::start(&host, &Setup { asn: US, router_id: "10.0.2.2", sessions, routes: vec![] })
}

fn configuration() -> String {
    let source = SESSIONS.iter().map(|(_, peer)| Neighbor::new(peer, SOURCE).set("passive", true));
    let bird = TO_BIRD.iter().map(|(_, peer)| Neighbor::new(peer, US).set("hold_time", 240));
    let neighbors: Vec<Neighbor> = source.chain(bird).collect();
    Rustbgpd::configuration(US, "10.0.1.1", &neighbors)
}

/// What BIRD must have for a route that was announced with `attrs`.
fn expected(attrs: &Attrs) -> Attrs {
    let mut attrs = attrs.clone();
    attrs.path.insert(0, SOURCE);
    // RFC 7607 §2 and RFC 7606 §7.7: an AGGREGATOR with AS 0 is malformed and is discarded.
    attrs.aggregator = attrs.aggregator.filter(|(asn, _)| *asn != 0);
    normal(attrs)
}

/// Communities are sets: in order and once each.
fn normal(mut attrs: Attrs) -> Attrs {
    attrs.communities.sort_unstable();
    attrs.communities.dedup();
    attrs.large.sort_unstable();
    attrs.large.dedup();
    attrs.extended.sort_unstable();
    attrs.extended.dedup();
    attrs
}

/// Compares one of BIRD's tables with what was announced; every announced prefix is struck off.
fn compare(
    bird: &Bird,
    table: &str,
    attrs: &[Attrs],
    left: &mut HashMap<Prefix, u32>,
    hop: IpAddr,
) -> Result<()> {
    let file = format!("{table}.mrt");
    bird.ask_write(&format!("mrt dump table \"{table}\" to \"/run/lab/{file}\""))?;
    let dump = std::io::BufReader::with_capacity(1 << 20, bird.host().open(&file)?);
    mrt::read(dump, |prefix, paths| {
        let [path] = paths else {
            return Error::fail(format!("BIRD has {} paths for {prefix:?}", paths.len()));
        };
        let place = left.remove(&prefix).ok_or_else(|| Error::new(format!("nobody announced {prefix:?}")))?;
        let Path { next_hop, local_pref, attrs: has } = path;
        let should = attrs.get(place as usize).ok_or_else(|| Error::new("no such attributes"))?;
        if normal(has.clone()) != *should {
            return Error::fail(format!("{prefix:?}\n  should be {should:?}\n  but is   {has:?}"));
        }
        if (*next_hop, *local_pref) != (Some(hop), Some(100)) {
            return Error::fail(format!(
                "{prefix:?} has next hop {next_hop:?}, local preference {local_pref:?}"
            ));
        }
        Ok(())
    })
}

#[test]
fn a_full_table_goes_through() -> Result<()> {
    let table = FullTable::load()?;
    Lab::run(|lab| {
        let (us, source) = (lab.host("us")?, lab.host("source")?);
        lab.link(&us, &source, &["10.0.1.1/24", "fd00:1::1/64"], &["10.0.1.2/24", "fd00:1::2/64"])?;
        let bird = start_bird(lab, &us)?;
        let daemon = Rustbgpd::start(&us, &configuration())?;
        for (_, peer) in TO_BIRD {
            daemon.wait_established(&[peer.parse()?])?;
        }

        let mut speakers = Vec::new();
        for (ours, _) in SESSIONS {
            // A hold time of 0: no keepalives, the speaker has nothing to do but send.
            speakers.push(Speaker::establish(
                &source,
                (ours.parse::<IpAddr>()?, 179).into(),
                SOURCE,
                0,
                [10, 0, 1, 2],
            )?);
        }
        thread::scope(|scope| -> Result<()> {
            let mut senders = Vec::new();
            for (speaker, (_, own)) in speakers.iter_mut().zip(SESSIONS) {
                let updates = table.updates(SOURCE, own.parse()?);
                senders.push(scope.spawn(move || speaker.send(&updates)));
            }
            for sender in senders {
                sender.join().map_err(|_| Error::new("a sender panicked"))??;
            }
            Ok(())
        })?;

        for (name, ipv6) in TABLES.into_iter().zip([false, true]) {
            let all = table.count(ipv6) as u64;
            wait(&format!("{all} routes in BIRD's {name}"), 240, || Ok(bird.count(name)? >= all))
                .map_err(|e| Error::new(format!("{e}: {:?}", bird.count(name))))?;
        }
        let attrs: Vec<Attrs> = table.attrs.iter().map(expected).collect();
        let mut left: HashMap<Prefix, u32> = table.routes.iter().copied().collect();
        for (name, (_, own)) in TABLES.into_iter().zip(SESSIONS) {
            compare(&bird, name, &attrs, &mut left, own.parse()?)?;
        }
        assert_eq!(left.len(), 0, "BIRD lacks {:?}", left.keys().next());

        drop(speakers);
        for name in TABLES {
            wait(&format!("an empty {name} in BIRD"), 120, || Ok(bird.count(name)? == 0))?;
        }
        for (_, peer) in TO_BIRD {
            let state = daemon.neighbor(peer.parse()?)?;
            assert!(state.established && state.flaps == 0, "{state:?}");
        }
        Ok(())
    })
}
