//! FRRouting: zebra and bgpd.

use std::net::IpAddr;
use std::rc::Rc;

use serde_json::Value;

use super::{Peer, Session, Setup, need};
use crate::seen::sorted;
use crate::{Error, Host, Origin, Proc, Reflection, Result, Route, Seen};

const FOLDER: &str = "/usr/lib/frr";

/// A running FRR.
pub struct Frr {
    bgpd: Proc,
    /// Next hops are resolved by it.
    zebra: Proc,
    asn: u32,
}

impl Frr {
    /// Starts zebra and bgpd with the sessions and routes of `setup`.
    ///
    /// # Errors
    /// When FRR is not installed or refuses the configuration.
    pub fn start(host: &Rc<Host>, setup: &Setup) -> Result<Self> {
        need(&format!("{FOLDER}/bgpd"), "frr")?;
        host.write("frr/vtysh.conf", "service integrated-vtysh-config\n")?;
        host.write("frr/frr.conf", configuration(setup))?;
        for daemon in ["zebra", "bgpd"] {
            host.write(&format!("frr/{daemon}.conf"), "")?;
        }
        host.sh(
            "chown -R frr:frr /run/lab/frr; rm -rf /run/frr; mkdir /run/frr; chown frr:frr /run/frr
             mountpoint -q /etc/frr || mount --bind /run/lab/frr /etc/frr",
            &[],
        )?;
        let zebra = daemon(host, "zebra")?;
        let bgpd = daemon(host, "bgpd")?;
        let text = host.run(&["vtysh", "-b"])?;
        if text.contains("% ") || text.contains("line ") {
            return Error::fail(format!("FRR refuses its configuration: {text}"));
        }
        Ok(Frr { bgpd, zebra, asn: setup.asn })
    }

    fn vtysh(&self, commands: &[&str]) -> Result<String> {
        let argv: Vec<&str> =
            std::iter::once("vtysh").chain(commands.iter().flat_map(|c| ["-c", c])).collect();
        self.bgpd.host().run(&argv)
    }

    /// Asks FRR something.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn ask(&self, command: &str) -> Result<String> {
        self.vtysh(&[command])
    }

    fn json(&self, command: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.vtysh(&[command])?)?)
    }

    fn neighbor(&self, address: IpAddr) -> Result<Value> {
        let all = self.json(&format!("show bgp neighbors {address} json"))?;
        let neighbor = all.get(address.to_string()).cloned();
        neighbor.ok_or_else(|| Error::new(format!("FRR has no neighbor {address}")))
    }

    /// The paths from elsewhere for a prefix.
    fn all(&self, prefix: &str) -> Result<Vec<Value>> {
        let family = if prefix.contains(':') { "ipv6" } else { "ipv4" };
        let all = self.json(&format!("show bgp {family} unicast {prefix} json"))?;
        let paths = all["paths"].as_array().cloned().unwrap_or_default();
        // A peer that is away has no identifier either.
        let foreign = |path: &Value| path["peer"]["routerId"] != "0.0.0.0" || path["stale"] == true;
        Ok(paths.into_iter().filter(foreign).collect())
    }

    fn configure(&self, lines: &str) -> Result<()> {
        let lines = lines.lines().filter(|l| !l.trim().is_empty());
        let commands: Vec<&str> = std::iter::once("configure terminal").chain(lines).collect();
        self.vtysh(&commands).map(drop)
    }
}

impl Peer for Frr {
    fn process(&mut self) -> &mut Proc {
        &mut self.bgpd
    }

    fn stop(&mut self) -> Result<()> {
        self.bgpd.stop()?;
        self.zebra.stop().map(drop)
    }

    fn crash(&mut self) -> Result<()> {
        self.bgpd.kill()?;
        self.zebra.kill().map(drop)
    }

    fn established(&self, neighbor: IpAddr) -> Result<bool> {
        Ok(self.neighbor(neighbor)?["bgpState"] == "Established")
    }

    fn paths(&self, prefix: &str) -> Result<Vec<Seen>> {
        self.all(prefix)?.iter().map(parse).collect()
    }

    fn reflection(&self, prefix: &str) -> Result<Option<Reflection>> {
        let text = |value: &Value| value.as_str().map(String::from);
        Ok(self.all(prefix)?.into_iter().next().map(|path| Reflection {
            originator: text(&path["originatorId"]),
            clusters: path["clusterList"]["list"]
                .as_array()
                .map_or_else(Vec::new, |list| list.iter().filter_map(text).collect()),
        }))
    }

    fn announce(&mut self, route: &Route) -> Result<()> {
        let name = map_name(&route.prefix);
        let (asn, family) = (self.asn, family(route.is_ipv6()));
        self.configure(&format!(
            "{}router bgp {asn}\naddress-family {family}\nnetwork {} route-map {name}\n",
            route_map(route),
            route.prefix
        ))
    }

    fn withdraw(&mut self, prefix: &str) -> Result<()> {
        let (asn, family) = (self.asn, family(prefix.contains(':')));
        self.configure(&format!("router bgp {asn}\naddress-family {family}\nno network {prefix}\n"))
    }

    fn complaints(&self, neighbor: IpAddr) -> Result<String> {
        // Not in the neighbor's JSON: FRR forgets what came over a connection that it had accepted.
        let log = self.bgpd.log();
        let name = format!("NOTIFICATION: received from neighbor {neighbor} ");
        Ok(log.lines().filter(|line| line.contains(&name)).collect::<Vec<_>>().join("\n"))
    }

    fn shut_down(&mut self, neighbor: IpAddr, text: &str) -> Result<()> {
        let asn = self.asn;
        self.configure(&format!("router bgp {asn}\nneighbor {neighbor} shutdown message {text}\n"))
    }

    fn bad_peer_as(&self) -> &'static str {
        " 2/2 (OPEN Message Error/Bad Peer AS)"
    }
}

/// Starts one of FRR's daemons and waits for its terminal socket.
fn daemon(host: &Rc<Host>, name: &str) -> Result<Proc> {
    let program = format!("{FOLDER}/{name}");
    let file = format!("/etc/frr/{name}.conf");
    let log = ["--log", "stdout", "--log-level", "debug", "-A", "127.0.0.1"];
    let argv: Vec<&str> = [program.as_str(), "-f", &file].into_iter().chain(log).collect();
    let mut process = host.spawn(name, &argv)?;
    let socket = format!("/run/frr/{name}.vty");
    process.wait_ready(|p| Ok(p.host().output(&["test", "-S", &socket])?.status.success()))?;
    Ok(process)
}

fn family(ipv6: bool) -> &'static str {
    if ipv6 { "ipv6 unicast" } else { "ipv4 unicast" }
}

fn map_name(prefix: &str) -> String {
    format!("m-{}", prefix.replace(['/', ':', '.'], "-"))
}

fn route_map(route: &Route) -> String {
    let mut text = format!("route-map {} permit 10\n", map_name(&route.prefix));
    text.push_str(&format!(" set origin {}\n set metric {}\n", route.origin.word(), route.med));
    if let Some(local_pref) = route.local_pref {
        text.push_str(&format!(" set local-preference {local_pref}\n"));
    }
    text.push_str(&format!(" set community {}\n", route.communities.join(" ")));
    text.push_str(&format!(" set large-community {}\nexit\n", route.large.join(" ")));
    text
}

fn neighbor(s: &Session) -> String {
    let (remote, keepalive) = (s.remote, (s.hold_time / 3).max(1));
    let mut text = format!(
        " neighbor {remote} remote-as {}\n neighbor {remote} update-source {}\n \
         neighbor {remote} timers {keepalive} {}\n neighbor {remote} timers connect 1\n \
         neighbor {remote} advertisement-interval 0\n",
        s.remote_asn, s.local, s.hold_time
    );
    if let Some(password) = &s.password {
        text.push_str(&format!(" neighbor {remote} password {password}\n"));
    }
    if s.ttl_security {
        text.push_str(&format!(" neighbor {remote} ttl-security hops 1\n"));
    }
    if s.passive {
        text.push_str(&format!(" neighbor {remote} passive\n"));
    }
    if s.extended_next_hop {
        text.push_str(&format!(" neighbor {remote} capability extended-nexthop\n"));
    }
    if let Some((name, strict)) = s.role {
        let name = if name == "rs" { "rs-server" } else { name };
        let strict = if strict { " strict-mode" } else { "" };
        text.push_str(&format!(" neighbor {remote} local-role {name}{strict}\n"));
    }
    if s.route_server {
        text.push_str(&format!(" no neighbor {remote} enforce-first-as\n"));
    }
    text
}

/// The configuration file.
fn configuration(setup: &Setup) -> String {
    let mut text = String::from("debug bgp neighbor-events\n");
    text.extend(setup.routes.iter().map(route_map));
    text.push_str(&format!(
        "router bgp {}\n bgp router-id {}\n no bgp ebgp-requires-policy\n no bgp default ipv4-unicast\n \
         no bgp network import-check\n",
        setup.asn, setup.router_id
    ));
    if let Some(seconds) = setup.sessions.iter().find_map(|s| s.restart_time) {
        text.push_str(&format!(
            " bgp graceful-restart\n bgp graceful-restart preserve-fw-state\n \
             bgp graceful-restart restart-time {seconds}\n bgp graceful-restart stalepath-time 60\n \
             bgp graceful-restart select-defer-time 10\n"
        ));
    }
    if let Some(seconds) = setup.sessions.iter().find_map(|s| s.long_lived) {
        text.push_str(&format!(" bgp long-lived-graceful-restart stale-time {seconds}\n"));
    }
    text.extend(setup.sessions.iter().map(neighbor));
    for ipv6 in [false, true] {
        text.push_str(&format!(" address-family {}\n", family(ipv6)));
        for session in setup.sessions.iter().filter(|s| s.carries(ipv6)) {
            text.push_str(&format!("  neighbor {} activate\n", session.remote));
            if session.add_path {
                text.push_str(&format!("  neighbor {} addpath-tx-all-paths\n", session.remote));
            }
        }
        for route in setup.routes.iter().filter(|r| r.is_ipv6() == ipv6) {
            text.push_str(&format!("  network {} route-map {}\n", route.prefix, map_name(&route.prefix)));
        }
        text.push_str(" exit-address-family\n");
    }
    text + "exit\n"
}

/// A path of `show bgp ... json`.
fn parse(path: &Value) -> Result<Seen> {
    let missing = || Error::new(format!("FRR shows a route without something: {path}"));
    let hops = path["nexthops"].as_array().ok_or_else(missing)?;
    let global = hops.iter().find(|hop| hop["scope"] != "link-local").ok_or_else(missing)?;
    let words = |name: &str| sorted(path[name]["string"].as_str().unwrap_or_default().split_whitespace());
    let path_text = path["aspath"]["string"].as_str().ok_or_else(missing)?;
    // A path of our own AS only is shown as a word.
    let numbers = path_text.split_whitespace().filter(|word| *word != "Local");
    let number = |name: &str| path[name].as_u64().and_then(|n| u32::try_from(n).ok());
    Ok(Seen {
        next_hop: global["ip"].as_str().ok_or_else(missing)?.parse()?,
        as_path: numbers.map(str::parse).collect::<std::result::Result<_, _>>()?,
        origin: path["origin"].as_str().and_then(Origin::from_word).ok_or_else(missing)?,
        med: number("metric"),
        local_pref: number("locPrf"),
        communities: words("community"),
        large: words("largeCommunity"),
    })
}
