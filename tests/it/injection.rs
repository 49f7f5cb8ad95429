//! Routes injected as a stream and with owners, as neighbors see them come and go.

use std::net::Ipv4Addr;

use lab::peers::{Bird, Session, Setup};
use lab::{Lab, Neighbor, Result, Rustbgpd, is_running, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::lan::lan;

/// Routes of the dump.
const ROUTES: u64 = 50_000;

/// A table dump of one peer (RFC 6396 §4.3): /24 prefixes from 20.0.0.0 on.
fn dump() -> Vec<u8> {
    let record = |subtype: u16, body: &[u8]| {
        let mut octets = vec![0, 0, 0, 1, 0, 13];
        octets.extend(subtype.to_be_bytes());
        octets.extend((body.len() as u32).to_be_bytes());
        octets.extend(body);
        octets
    };
    let peer = [&[0, 0, 0, 1, 10, 0, 0, 9][..], &[10, 0, 1, 9], &65009_u32.to_be_bytes()].concat();
    let index = [&[10, 0, 0, 1, 0, 0, 0, 1, 2][..], &peer].concat();
    let attributes = [
        &[0x40, 1, 1, 0][..],
        &[0x40, 2, 6, 2, 1],
        &65009_u32.to_be_bytes(),
        &[0x40, 3, 4],
        &Ipv4Addr::new(10, 0, 1, 9).octets(),
    ]
    .concat();
    let mut octets = record(1, &index);
    for n in 0..ROUTES as u32 {
        let mut body = n.to_be_bytes().to_vec();
        body.push(24);
        body.extend(&(0x1400_0000 + (n << 8)).to_be_bytes()[..3]);
        body.extend([0, 1, 0, 0, 0, 0, 0, 1]);
        body.extend((attributes.len() as u16).to_be_bytes());
        body.extend(&attributes);
        octets.extend(record(2, &body));
    }
    octets
}

#[test]
fn a_table_goes_with_its_owner_and_stays_where_that_is_heard_of() -> Result<()> {
    Lab::run(|lab| {
        let [us, peer] = lan(lab, ["us", "peer"])?;
        let sessions = vec![Session::new("10.0.1.2", "10.0.1.1", 65001)?];
        let setup = Setup { asn: 65002, router_id: "10.0.0.2", sessions, routes: Vec::new() };
        let bird = Bird::start(&peer, &setup)?;
        let neighbors = [Neighbor::new("10.0.1.2", 65002)];
        let mut daemon = Rustbgpd::start(&us, &Rustbgpd::configuration(65001, "10.0.0.1", &neighbors))?;
        daemon.wait_established(&["10.0.1.2".parse()?])?;
        let file = us.write("table.mrt", dump())?;
        let said = daemon.json(&["rib", "inject", "--mrt", &file, "--owner", "table", "--lease", "600"])?;
        assert_eq!((said["injected"].as_u64(), said["refused"].as_u64()), (Some(ROUTES), Some(0)));
        // Acknowledged is what the table has.
        let summary = daemon.json(&["rib", "summary"])?;
        assert_eq!(summary["families"][0]["loc_rib_prefixes"].as_u64(), Some(ROUTES));
        daemon.ctl(&["rib", "add", "10.91.0.0/24", "--nexthop", "10.0.1.9", "--owner", "other"])?;
        wait("all routes at BIRD", 60, || Ok(bird.count("master4")? == ROUTES + 1))?;
        let owners = daemon.json(&["rib", "owners"])?;
        assert_eq!((&owners[0]["name"], &owners[1]["name"]), (&"other".into(), &"table".into()));
        assert_eq!(owners[1]["routes"].as_u64(), Some(ROUTES));

        // Leases are not control's: they go on while it is away.
        daemon.ctl(&["rib", "owners", "renew", "table", "--lease", "3"])?;
        let control = daemon.engine("control")?;
        kill(Pid::from_raw(i32::try_from(control).map_err(|e| e.to_string())?), Signal::SIGKILL)?;
        wait("the end of control", 10, || Ok(!is_running(control)))?;
        wait("the end of the lease", 60, || Ok(bird.count("master4")? == 1))?;
        wait("the owners", 20, || {
            let owners = daemon.json(&["rib", "owners"]).unwrap_or_default();
            Ok(owners.as_array().is_some_and(|o| o.len() == 1 && o[0]["name"] == "other"))
        })?;
        assert!(daemon.ctl(&["rib", "owners", "delete", "other"])?.contains("1 routes"));
        wait("nothing at BIRD", 20, || Ok(bird.count("master4")? == 0))
    })
}
