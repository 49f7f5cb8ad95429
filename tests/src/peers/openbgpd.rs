//! OpenBGPD.

use std::net::IpAddr;
use std::rc::Rc;

use serde_json::Value;

use super::{Peer, Session, Setup, need};
use crate::seen::sorted;
use crate::{Error, Host, Origin, Proc, Result, Route, Seen};

const SOCKET: &str = "/run/openbgpd.sock";

/// A running OpenBGPD.
pub struct OpenBgpd {
    process: Proc,
}

impl OpenBgpd {
    /// Starts OpenBGPD with the sessions and routes of `setup`.
    ///
    /// # Errors
    /// When it is not installed or refuses the configuration.
    pub fn start(host: &Rc<Host>, setup: &Setup) -> Result<Self> {
        need("/usr/sbin/bgpd", "openbgpd")?;
        let file = host.write("openbgpd.conf", configuration(setup))?;
        // Its processes change their root to this folder, which the Debian package keeps below /run.
        host.sh("mkdir -p /run/openbgpd; chmod 600 \"$1\"", &[&file])?;
        let mut process = host.spawn("openbgpd", &["/usr/sbin/bgpd", "-d", "-v", "-f", &file])?;
        process.wait_ready(|p| Ok(json(p.host(), "show")?["neighbors"].is_array()))?;
        Ok(OpenBgpd { process })
    }

    /// Asks its `bgpctl`.
    ///
    /// # Errors
    /// When it refuses.
    pub fn ask(&self, command: &str) -> Result<String> {
        let argv: Vec<&str> = ["bgpctl", "-s", SOCKET].into_iter().chain(command.split(' ')).collect();
        self.process.host().run(&argv)
    }
}

impl Peer for OpenBgpd {
    fn process(&mut self) -> &mut Proc {
        &mut self.process
    }

    fn established(&self, neighbor: IpAddr) -> Result<bool> {
        let all = json(self.process.host(), "show")?;
        let list = all["neighbors"].as_array().cloned().unwrap_or_default();
        let found = list.iter().find(|n| n["remote_addr"] == neighbor.to_string().as_str());
        let found = found.ok_or_else(|| Error::new(format!("OpenBGPD has no neighbor {neighbor}: {all}")))?;
        Ok(found["state"] == "Established")
    }

    fn paths(&self, prefix: &str) -> Result<Vec<Seen>> {
        let all = json(self.process.host(), &format!("show rib detail {prefix}"))?;
        let list = all["rib"].as_array().cloned().unwrap_or_default();
        let learned =
            list.iter().filter(|r| r["prefix"] == prefix && r["neighbor"]["remote_addr"] != "0.0.0.0");
        learned.filter(|r| r["source"] != "announced" && r["announced"] != true).map(parse).collect()
    }

    fn announce(&mut self, route: &Route) -> Result<()> {
        let mut command = format!("network add {} metric {}", route.prefix, route.med);
        if let Some(local_pref) = route.local_pref {
            command.push_str(&format!(" localpref {local_pref}"));
        }
        for community in &route.communities {
            command.push_str(&format!(" community {community}"));
        }
        for community in &route.large {
            command.push_str(&format!(" large-community {community}"));
        }
        self.ask(&command).map(drop)
    }

    fn withdraw(&mut self, prefix: &str) -> Result<()> {
        self.ask(&format!("network delete {prefix}")).map(drop)
    }

    fn complaints(&self, neighbor: IpAddr) -> Result<String> {
        let log = self.process.log();
        let name = format!("neighbor {neighbor}");
        let lines = log.lines().filter(|line| line.contains(&name) && line.contains("received notification"));
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }

    fn shut_down(&mut self, neighbor: IpAddr, text: &str) -> Result<()> {
        let argv = ["bgpctl", "-s", SOCKET, "neighbor", &neighbor.to_string(), "down", text];
        self.process.host().run(&argv).map(drop)
    }

    fn bad_peer_as(&self) -> &'static str {
        "received notification: error in OPEN message, AS unacceptable"
    }
}

fn json(host: &Host, command: &str) -> Result<Value> {
    let argv: Vec<&str> = ["bgpctl", "-j", "-s", SOCKET].into_iter().chain(command.split(' ')).collect();
    Ok(serde_json::from_str(&host.run(&argv)?)?)
}

/// The configuration file.
fn configuration(setup: &Setup) -> String {
    let mut text = format!(
        "AS {}\nrouter-id {}\nfib-update no\nconnect-retry 1\nsocket \"{SOCKET}\"\n",
        setup.asn, setup.router_id
    );
    let mut addresses: Vec<IpAddr> = setup.sessions.iter().map(|s| s.local).collect();
    addresses.dedup();
    text.extend(addresses.iter().map(|a| format!("listen on {a}\n")));
    text.extend(setup.routes.iter().map(network));
    text.extend(setup.sessions.iter().map(neighbor));
    text + "allow from any\nallow to any\n"
}

fn neighbor(s: &Session) -> String {
    let (yes, no) = if s.local.is_ipv6() { ("IPv6", "IPv4") } else { ("IPv4", "IPv6") };
    let mut text = format!(
        "neighbor {} {{\n  remote-as {}\n  local-address {}\n  holdtime {}\n  holdtime min 3\n  \
         announce {yes} unicast\n  announce {no} none\n",
        s.remote, s.remote_asn, s.local, s.hold_time
    );
    if let Some(password) = &s.password {
        text.push_str(&format!("  tcp md5sig password {password}\n"));
    }
    if s.add_path {
        text.push_str("  announce add-path recv yes\n  announce add-path send all\n");
    }
    if s.enhanced_refresh {
        text.push_str("  announce enhanced refresh yes\n");
    }
    if let Some((name, strict)) = s.role {
        text.push_str(&format!("  announce policy {name}{}\n", if strict { " enforce" } else { "" }));
    }
    if s.ttl_security {
        text.push_str("  ttl-security yes\n");
    }
    text + "}\n"
}

fn network(route: &Route) -> String {
    let mut text =
        format!("network {} set {{ origin {} metric {}", route.prefix, route.origin.word(), route.med);
    if let Some(local_pref) = route.local_pref {
        text.push_str(&format!(" localpref {local_pref}"));
    }
    text.extend(route.communities.iter().map(|c| format!(" community {c}")));
    text.extend(route.large.iter().map(|c| format!(" large-community {c}")));
    text + " }\n"
}

/// A route of `show rib detail`.
fn parse(route: &Value) -> Result<Seen> {
    let missing = || Error::new(format!("OpenBGPD shows a route without something: {route}"));
    let path = route["aspath"].as_str().unwrap_or_default();
    let list = |name: &str| sorted(route[name].as_array().into_iter().flatten().filter_map(Value::as_str));
    let number = |name: &str| route[name].as_u64().and_then(|n| u32::try_from(n).ok());
    Ok(Seen {
        next_hop: route["exit_nexthop"].as_str().ok_or_else(missing)?.parse()?,
        as_path: path.split_whitespace().map(str::parse).collect::<std::result::Result<_, _>>()?,
        origin: route["origin"].as_str().and_then(Origin::from_word).ok_or_else(missing)?,
        // It has no word for "absent", only 0.
        med: number("metric").filter(|med| *med != 0),
        local_pref: number("localpref"),
        communities: list("communities"),
        large: list("large_communities"),
    })
}
