//! BIRD 2.

use std::net::IpAddr;
use std::rc::Rc;

use super::{Peer, Session, Setup, need};
use crate::seen::sorted;
use crate::{Error, Host, Origin, Proc, Reflection, Result, Route, Seen};

const SOCKET: &str = "/run/bird.ctl";

/// A running BIRD.
pub struct Bird {
    process: Proc,
    setup: Setup,
}

impl Bird {
    /// Starts BIRD with the sessions and routes of `setup`.
    ///
    /// # Errors
    /// When it is not installed or refuses the configuration.
    pub fn start(host: &Rc<Host>, setup: &Setup) -> Result<Self> {
        let restarts = setup.sessions.iter().any(|s| s.restart_time.is_some());
        let process = Self::launch(host, &configuration(setup), restarts)?;
        Ok(Bird { process, setup: setup.clone() })
    }

    /// Starts the process and waits until it answers; `restarted`: it takes itself for one that has restarted.
    fn launch(host: &Rc<Host>, text: &str, restarted: bool) -> Result<Proc> {
        need("bird", "bird2")?;
        let file = host.write("bird.conf", text)?;
        let mut argv = vec!["bird", "-f", "-c", &file, "-s", SOCKET];
        argv.extend(restarted.then_some("-R"));
        let mut process = host.spawn("bird", &argv)?;
        process.wait_ready(|p| Ok(birdc(p.host(), "show status")?.contains("up and running")))?;
        Ok(process)
    }

    /// Asks BIRD something.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn ask(&self, command: &str) -> Result<String> {
        birdc(self.process.host(), command)
    }

    /// Has BIRD do something that its read-only mode refuses.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn ask_write(&self, command: &str) -> Result<String> {
        self.process.host().run(&["birdc", "-s", SOCKET, command])
    }

    /// The host it runs in.
    pub fn host(&self) -> &Rc<Host> {
        self.process.host()
    }

    /// How many routes a table has.
    ///
    /// # Errors
    /// When BIRD does not answer.
    pub fn count(&self, table: &str) -> Result<u64> {
        let text = self.ask(&format!("show route table {table} count"))?;
        let line = text.lines().find(|line| line.contains(" routes for ")).unwrap_or_default();
        let number = line.split_whitespace().next().unwrap_or_default();
        number.parse().map_err(|e| Error::new(format!("BIRD counts {text:?}: {e}")))
    }

    /// Writes the configuration anew and has it read.
    fn reconfigure(&self) -> Result<()> {
        let host = self.process.host();
        host.write("bird.conf", configuration(&self.setup))?;
        let text = host.run(&["birdc", "-s", SOCKET, "configure"])?;
        if text.contains("Reconfigur") {
            return Ok(());
        }
        Error::fail(format!("BIRD: {text}"))
    }

    /// What it prints about a prefix, if it has a route for it from a peer.
    fn show(&self, prefix: &str) -> Result<Option<String>> {
        let command = format!("show route {prefix} all");
        let output = self.process.host().output(&["birdc", "-r", "-s", SOCKET, &command])?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text.contains("BGP.as_path").then_some(text))
    }

    /// The name of the session with `neighbor`.
    fn session(&self, neighbor: IpAddr) -> Result<String> {
        let place = self.setup.sessions.iter().position(|s| s.remote == neighbor);
        place.map(|i| format!("p{i}")).ok_or_else(|| Error::new(format!("BIRD has no neighbor {neighbor}")))
    }
}

impl Peer for Bird {
    fn process(&mut self) -> &mut Proc {
        &mut self.process
    }

    fn established(&self, neighbor: IpAddr) -> Result<bool> {
        let text = self.ask(&format!("show protocols {}", self.session(neighbor)?))?;
        Ok(text.contains("Established"))
    }

    fn paths(&self, prefix: &str) -> Result<Vec<Seen>> {
        let text = self.show(prefix)?.unwrap_or_default();
        // Each begins with a line that names the protocol which it is from.
        let mut blocks: Vec<String> = Vec::new();
        for line in text.lines() {
            match blocks.last_mut() {
                Some(block) if !line.contains("unicast [") => block.extend([line, "\n"]),
                _ => blocks.push(format!("{line}\n")),
            }
        }
        blocks.iter().filter(|block| block.contains("BGP.as_path")).map(|block| parse(block)).collect()
    }

    fn reflection(&self, prefix: &str) -> Result<Option<Reflection>> {
        Ok(self.show(prefix)?.map(|text| Reflection {
            originator: attribute(&text, "originator_id").map(String::from),
            clusters: attribute(&text, "cluster_list")
                .map_or_else(Vec::new, |list| list.split_whitespace().map(String::from).collect()),
        }))
    }

    fn announce(&mut self, route: &Route) -> Result<()> {
        self.setup.routes.push(route.clone());
        self.reconfigure()
    }

    fn withdraw(&mut self, prefix: &str) -> Result<()> {
        self.setup.routes.retain(|r| r.prefix != prefix);
        self.reconfigure()
    }

    fn complaints(&self, neighbor: IpAddr) -> Result<String> {
        // After a quick retry `show protocols` may have forgotten, the log does not.
        let name = self.session(neighbor)?;
        let log = self.process.log();
        let lines = log.lines().filter(|line| line.contains(&format!(" {name}: ")));
        Ok(lines.filter(|line| line.contains("Received:")).collect::<Vec<_>>().join("\n"))
    }

    fn shut_down(&mut self, neighbor: IpAddr, text: &str) -> Result<()> {
        self.ask_write(&format!("disable {} \"{text}\"", self.session(neighbor)?)).map(drop)
    }

    fn bad_peer_as(&self) -> &'static str {
        "Received: Bad peer AS"
    }
}

/// Asks BIRD in a host something.
fn birdc(host: &Host, command: &str) -> Result<String> {
    let argv: Vec<&str> = ["birdc", "-r", "-s", SOCKET].into_iter().chain(command.split(' ')).collect();
    host.run(&argv)
}

/// The configuration file.
fn configuration(setup: &Setup) -> String {
    let mut text = format!("router id {};\nlog stderr all;\nprotocol device {{}}\n", setup.router_id);
    if setup.sessions.iter().any(|s| s.restart_time.is_some()) {
        text.push_str("graceful restart wait 10;\n");
    }
    for (name, ipv6) in [("4", false), ("6", true)] {
        text.push_str(&format!("protocol static s{name} {{ ipv{name};\n"));
        for route in setup.routes.iter().filter(|r| r.is_ipv6() == ipv6) {
            text.push_str(&static_route(route));
        }
        text.push_str("}\n");
    }
    text.push_str(&filter(&setup.routes));
    for (i, session) in setup.sessions.iter().enumerate() {
        text.push_str(&protocol(i, session, setup.asn));
    }
    text
}

/// A `protocol bgp`.
fn protocol(i: usize, s: &Session, asn: u32) -> String {
    let channels = [("ipv4", false), ("ipv6", true)].into_iter().filter(|(_, ipv6)| s.carries(*ipv6));
    let extended = if s.extended_next_hop { "extended next hop on; " } else { "" };
    let channels: Vec<String> = channels
        .map(|(name, ipv6)| {
            let extended = if ipv6 { "" } else { extended };
            let export = if s.transit || s.add_path { "all" } else { "filter own" };
            let add_path = if s.add_path { " add paths on;" } else { "" };
            format!("{name} {{ {extended}import all; export {export};{add_path} }};")
        })
        .collect();
    let password = s.password.as_ref().map(|p| format!("password \"{p}\"; ")).unwrap_or_default();
    let security = if s.ttl_security { "ttl security on; " } else { "" };
    let restart = s.restart_time.map(|n| format!("graceful restart on; graceful restart time {n}; "));
    let long_lived =
        s.long_lived.map(|n| format!("long lived graceful restart on; long lived stale time {n}; "));
    let restart = [restart, long_lived].into_iter().flatten().collect::<String>();
    let first = if s.route_server { "enforce first as off; " } else { "" };
    let role = s.role.map(|(name, strict)| {
        let name = match name {
            "rs" => "rs_server",
            "rs-client" => "rs_client",
            other => other,
        };
        format!("local role {name}; require roles {}; ", if strict { "on" } else { "off" })
    });
    let role = role.unwrap_or_default();
    format!(
        "protocol bgp p{i} {{ debug {{ states, events }}; local {} as {asn}; neighbor {} as {}; hold time {};\n  \
         connect delay time 1; connect retry time 1; error wait time 1, 1; enable extended messages on; {password}{security}{first}{restart}{role}\n  \
         {} }}\n",
        s.local,
        s.remote,
        s.remote_asn,
        s.hold_time,
        channels.join(" ")
    )
}

/// The export filter: MED leaves BIRD only when an export filter sets it.
fn filter(routes: &[Route]) -> String {
    let mut text = String::from("filter own {\n  if source != RTS_STATIC then reject;\n");
    text.extend(routes.iter().map(|r| format!("  if net = {} then bgp_med = {};\n", r.prefix, r.med)));
    text + "  accept;\n}\n"
}

/// A route of a `protocol static`, with its attributes.
fn static_route(route: &Route) -> String {
    let mut text = format!("  route {} blackhole {{ ", route.prefix);
    let origin = route.origin.word().to_ascii_uppercase();
    text.push_str(&format!("bgp_origin = ORIGIN_{origin}; "));
    if let Some(local_pref) = route.local_pref {
        text.push_str(&format!("bgp_local_pref = {local_pref}; "));
    }
    for community in &route.communities {
        text.push_str(&format!("bgp_community.add(({})); ", community.replace(':', ",")));
    }
    for community in &route.large {
        text.push_str(&format!("bgp_large_community.add(({})); ", community.replace(':', ",")));
    }
    text + "};\n"
}

/// The value of a path attribute in what `show route all` prints.
fn attribute<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.trim().strip_prefix("BGP.")?.strip_prefix(name)?.strip_prefix(": "))
}

/// One route as `show route all` prints it.
fn parse(text: &str) -> Result<Seen> {
    let value = |name: &str| attribute(text, name);
    let missing = || Error::new(format!("BIRD shows a route without something: {text}"));
    let next_hop = value("next_hop").and_then(|v| v.split(' ').next()).ok_or_else(missing)?;
    let path = value("as_path").unwrap_or_default();
    let number = |name: &str| value(name).and_then(|v| v.parse().ok());
    Ok(Seen {
        next_hop: next_hop.parse()?,
        as_path: path.split_whitespace().map(str::parse).collect::<std::result::Result<_, _>>()?,
        origin: value("origin").and_then(Origin::from_word).ok_or_else(missing)?,
        med: number("med"),
        local_pref: number("local_pref"),
        communities: tuples(value("community").unwrap_or_default()),
        large: tuples(value("large_community").unwrap_or_default()),
    })
}

/// `(65001,1) (65001,2)` and `(65001, 1, 2)` as lists.
fn tuples(text: &str) -> Vec<String> {
    let compact = text.replace(", ", ",").replace(['(', ')'], "").replace(',', ":");
    sorted(compact.split_whitespace())
}
