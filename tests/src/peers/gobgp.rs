//! GoBGP.

use std::net::IpAddr;
use std::rc::Rc;

use serde_json::Value;

use super::{Peer, Session, Setup, need};
use crate::seen::sorted;
use crate::{Error, Host, Origin, Proc, Result, Route, Seen};

/// `session_state` of an established session in its JSON.
const ESTABLISHED: u64 = 6;

/// A running GoBGP.
pub struct GoBgp {
    process: Proc,
    setup: Setup,
}

impl GoBgp {
    /// Starts GoBGP with the sessions and routes of `setup`.
    ///
    /// # Errors
    /// When it is not installed or refuses the configuration.
    pub fn start(host: &Rc<Host>, setup: &Setup) -> Result<Self> {
        need("gobgpd", "gobgpd")?;
        let file = host.write("gobgp.conf", configuration(setup))?;
        let options = ["-l", "debug", "-p", "--pprof-disable", "--api-hosts", "127.0.0.1:50051"];
        let restarts = setup.sessions.iter().any(|s| s.restart_time.is_some());
        let restarted = restarts.then_some("--graceful-restart");
        let argv: Vec<&str> =
            ["gobgpd", "-t", "toml", "-f", &file].into_iter().chain(options).chain(restarted).collect();
        let mut process = host.spawn("gobgp", &argv)?;
        process.wait_ready(|p| Ok(p.host().output(&["gobgp", "-j", "neighbor"])?.status.success()))?;
        let mut daemon = GoBgp { process, setup: setup.clone() };
        for route in &setup.routes {
            daemon.announce(route)?;
        }
        Ok(daemon)
    }

    fn json(&self, command: &str) -> Result<Value> {
        let argv: Vec<&str> = ["gobgp", "-j"].into_iter().chain(command.split(' ')).collect();
        let output = self.process.host().output(&argv)?;
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    fn ask(&self, command: &str) -> Result<()> {
        let argv: Vec<&str> = std::iter::once("gobgp").chain(command.split(' ')).collect();
        self.process.host().run(&argv).map(drop)
    }
}

impl Peer for GoBgp {
    fn process(&mut self) -> &mut Proc {
        &mut self.process
    }

    fn established(&self, neighbor: IpAddr) -> Result<bool> {
        let one = self.json(&format!("neighbor {neighbor}"))?;
        let state = one["state"]["session_state"].as_u64();
        Ok(state == Some(ESTABLISHED))
    }

    fn paths(&self, prefix: &str) -> Result<Vec<Seen>> {
        let family = family(prefix.contains(':'));
        // A prefix that it does not know is an error of the command.
        let argv = ["gobgp", "-j", "global", "rib", prefix, "-a", family];
        let output = self.process.host().output(&argv)?;
        let Ok(all) = serde_json::from_slice::<Value>(&output.stdout) else {
            return Ok(Vec::new());
        };
        let paths = all.as_object().and_then(|o| o.values().next()).and_then(Value::as_array).cloned();
        let paths = paths.unwrap_or_default();
        let is_foreign = |path: &&Value| path["source-id"].as_str().is_some_and(|id| id != "<nil>");
        paths.iter().filter(is_foreign).map(parse).collect()
    }

    fn announce(&mut self, route: &Route) -> Result<()> {
        let session = self.setup.sessions.iter().find(|s| s.local.is_ipv6() == route.is_ipv6());
        let hop = session.map(|s| s.local).ok_or_else(|| Error::new("no session of the route's family"))?;
        let mut command = format!(
            "global rib add {} nexthop {hop} origin {} med {} community {} large-community {}",
            route.prefix,
            route.origin.word(),
            route.med,
            route.communities.join(","),
            route.large.join(","),
        );
        if let Some(local_pref) = route.local_pref {
            command.push_str(&format!(" local-pref {local_pref}"));
        }
        self.ask(&format!("{command} -a {}", family(route.is_ipv6())))
    }

    fn withdraw(&mut self, prefix: &str) -> Result<()> {
        self.ask(&format!("global rib del {prefix} -a {}", family(prefix.contains(':'))))
    }

    fn complaints(&self, neighbor: IpAddr) -> Result<String> {
        // It counts them, and says no more about them.
        let one = self.json(&format!("neighbor {neighbor}"))?;
        let count = one["state"]["messages"]["received"]["notification"].as_u64().unwrap_or_default();
        Ok(if count > 0 { "notifications received".into() } else { String::new() })
    }

    fn shut_down(&mut self, neighbor: IpAddr, text: &str) -> Result<()> {
        let argv = ["gobgp", "neighbor", &neighbor.to_string(), "shutdown", "--reason", text];
        self.process.host().run(&argv).map(drop)
    }

    fn bad_peer_as(&self) -> &'static str {
        "notifications received"
    }
}

fn family(ipv6: bool) -> &'static str {
    if ipv6 { "ipv6" } else { "ipv4" }
}

/// The configuration file.
fn configuration(setup: &Setup) -> String {
    let mut text = format!(
        "[global.config]\n  as = {}\n  router-id = \"{}\"\n  port = 179\n",
        setup.asn, setup.router_id
    );
    text.extend(setup.sessions.iter().map(neighbor));
    text
}

fn neighbor(s: &Session) -> String {
    let password = s.password.as_ref().map(|p| format!("    auth-password = \"{p}\"\n")).unwrap_or_default();
    let mut text = format!(
        "[[neighbors]]\n  [neighbors.config]\n    neighbor-address = \"{}\"\n    peer-as = {}\n{password}  \
         [neighbors.transport.config]\n    local-address = \"{}\"\n  \
         [neighbors.timers.config]\n    hold-time = {}\n    keepalive-interval = {}\n    connect-retry = 1\n    \
         idle-hold-time-after-reset = 1\n  \
         [[neighbors.afi-safis]]\n    [neighbors.afi-safis.config]\n      afi-safi-name = \"{}-unicast\"\n",
        s.remote,
        s.remote_asn,
        s.local,
        s.hold_time,
        (s.hold_time / 3).max(1),
        family(s.local.is_ipv6()),
    );
    if s.add_path {
        text.push_str(
            "    [neighbors.afi-safis.add-paths.config]\n      receive = true\n      send-max = 8\n",
        );
    }
    if let Some(seconds) = s.restart_time {
        text.push_str("    [neighbors.afi-safis.mp-graceful-restart.config]\n      enabled = true\n");
        if let Some(seconds) = s.long_lived {
            text.push_str(&format!(
                "    [neighbors.afi-safis.long-lived-graceful-restart.config]\n      enabled = true\n      \
                 restart-time = {seconds}\n"
            ));
        }
        text.push_str(&format!(
            "  [neighbors.graceful-restart.config]\n    enabled = true\n    restart-time = {seconds}\n    \
             deferral-time = 10\n    notification-enabled = true\n    long-lived-enabled = {}\n",
            s.long_lived.is_some()
        ));
    }
    if s.ttl_security {
        text.push_str("  [neighbors.ttl-security.config]\n    enabled = true\n    ttl-min = 255\n");
    }
    text
}

/// A path of `global rib`: a list of attributes by type code.
fn parse(path: &Value) -> Result<Seen> {
    let missing = || Error::new(format!("GoBGP shows a route without something: {path}"));
    let attribute = |code: u64| -> Option<&Value> {
        path["attrs"].as_array()?.iter().find(|a| a["type"].as_u64() == Some(code))
    };
    let number = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok());
    let next_hop = attribute(3).or_else(|| attribute(14)).and_then(|a| a["nexthop"].as_str());
    let segments = attribute(2).and_then(|a| a["as_paths"].as_array()).cloned().unwrap_or_default();
    let numbers = segments.iter().flat_map(|s| s["asns"].as_array().cloned().unwrap_or_default());
    let communities = attribute(8).and_then(|a| a["communities"].as_array()).cloned().unwrap_or_default();
    let communities: Vec<String> =
        communities.iter().filter_map(number).map(|c| format!("{}:{}", c >> 16, c & 0xffff)).collect();
    let large = attribute(32).and_then(|a| a["value"].as_array()).cloned().unwrap_or_default();
    let large: Vec<String> =
        large.iter().map(|c| format!("{}:{}:{}", c["ASN"], c["LocalData1"], c["LocalData2"])).collect();
    Ok(Seen {
        next_hop: next_hop.ok_or_else(missing)?.parse()?,
        as_path: numbers.filter_map(|n| number(&n)).collect(),
        origin: attribute(1)
            .and_then(|a| a["value"].as_u64())
            .and_then(Origin::from_code)
            .ok_or_else(missing)?,
        med: attribute(4).and_then(|a| number(&a["metric"])),
        local_pref: attribute(5).and_then(|a| number(&a["value"])),
        communities: sorted(communities.iter().map(String::as_str)),
        large: sorted(large.iter().map(String::as_str)),
    })
}
