//! The daemon under test, seen from outside: its configuration file, its process, its command line client.

use std::net::IpAddr;
use std::path::PathBuf;
use std::rc::Rc;

use serde_json::Value;

use crate::seen::sorted;
use crate::{Error, Host, Origin, Proc, Result, Route, Seen, children_of, wait, wait_for};

/// A folder with the programs, where they do not lie beside the tests.
const ENVIRONMENT: &str = "RUSTBGPD_BIN_DIR";
/// A number of threads for the tables.
const RDE_THREADS: &str = "RUSTBGPD_LAB_RDE_THREADS";
const STATE: &str = "/run/rustbgpd";
/// The configuration file, as the daemon sees it.
const CONFIGURATION: &str = "/run/lab/config.toml";

/// Where a program of the workspace lies.
///
/// # Errors
/// When it has not been built.
pub fn binary(name: &str) -> Result<PathBuf> {
    let folder = match std::env::var_os(ENVIRONMENT) {
        Some(folder) => PathBuf::from(folder),
        None => {
            let executable = std::env::current_exe()?;
            // target/PROFILE/deps/it-HASH
            executable.ancestors().nth(2).map(PathBuf::from).unwrap_or_default()
        }
    };
    let path = folder.join(name);
    if path.exists() {
        return Ok(path);
    }
    Error::fail(format!("{} is missing: run the tests with `make test`, which builds it", path.display()))
}

/// A `[[neighbors]]` table of the configuration file.
#[derive(Debug, Clone)]
pub struct Neighbor {
    text: String,
}

impl Neighbor {
    /// A neighbor with the family of its address, a hold time of nine seconds and quick retries.
    pub fn new(address: &str, remote_asn: u32) -> Self {
        let family = if address.contains(':') { "ipv6_unicast" } else { "ipv4_unicast" };
        let text = format!(
            "\n[[neighbors]]\naddress = \"{address}\"\nremote_asn = {remote_asn}\nfamilies = [\"{family}\"]\n\
             connect_retry = 1\n"
        );
        Neighbor { text }.set("hold_time", 9)
    }

    /// With one more key; text values bring their own quotes.
    pub fn set(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        let lines = self.text.lines().filter(|line| !line.starts_with(&format!("{key} = ")));
        self.text = lines.map(|line| format!("{line}\n")).collect();
        self.text.push_str(&format!("{key} = {value}\n"));
        self
    }
}

/// Fields of a neighbor's state that tests look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Whether the session is Established.
    pub established: bool,
    /// NOTIFICATIONs sent since the start.
    pub notifications_sent: u64,
    /// NOTIFICATIONs received since the start.
    pub notifications_received: u64,
    /// How often an Established session was lost.
    pub flaps: u64,
    /// What ended the last session.
    pub last_error: String,
    /// Prefixes in its Adj-RIB-In.
    pub prefixes_received: u64,
    /// Seconds since the session was established.
    pub uptime: u64,
}

/// A running daemon with its engines.
pub struct Rustbgpd {
    process: Proc,
    config: String,
}

impl Rustbgpd {
    /// A configuration file: AS and BGP identifier, and the neighbors.
    pub fn configuration(asn: u32, router_id: &str, neighbors: &[Neighbor]) -> String {
        let threads = rde_threads();
        let mut text = format!(
            "[global]\nasn = {asn}\nrouter_id = \"{router_id}\"\nlisten_port = 179\nrde_threads = {threads}\n\
             runtime_state_dir = \"{STATE}\"\n\n\
             [global.telemetry]\nlog_format = \"json\"\n"
        );
        text.extend(neighbors.iter().map(|n| n.text.as_str()));
        text
    }

    /// Starts the daemon and waits until it answers.
    ///
    /// # Errors
    /// When it does not start; the message has its log.
    pub fn start(host: &Rc<Host>, config: &str) -> Result<Self> {
        let process = Self::spawn(host, config)?;
        let mut daemon = Rustbgpd { process, config: config.into() };
        daemon.wait_healthy()?;
        Ok(daemon)
    }

    /// Starts the process and waits for nothing.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(host: &Rc<Host>, config: &str) -> Result<Proc> {
        let file = host.write("config.toml", config)?;
        let program = binary("rustbgpd")?;
        host.spawn("rustbgpd", &[&program.to_string_lossy(), &file])
    }

    /// Waits until the control API says that it is healthy.
    fn wait_healthy(&mut self) -> Result<()> {
        let ctl = binary("rustbgpctl")?;
        let argv = [&*ctl.to_string_lossy(), "-s", &api_address(), "-j", "health"].map(String::from);
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        self.process.wait_ready(|p| {
            let output = p.host().output(&argv)?;
            Ok(serde_json::from_slice::<Value>(&output.stdout)?["healthy"] == true)
        })
    }

    /// Stops the daemon in order and starts it again with the same configuration.
    ///
    /// # Errors
    /// When it does not stop with status 0, or does not start.
    pub fn restart(&mut self) -> Result<()> {
        let status = self.process.stop()?;
        if !status.success() {
            return Error::fail(format!("rustbgpd ended with {status}\n{}", self.process.log_tail()));
        }
        let host = self.process.host().clone();
        self.process = Self::spawn(&host, &self.config)?;
        self.wait_healthy()
    }

    /// Starts the daemon again with the configuration file as it is now; one that still runs is stopped in order.
    ///
    /// # Errors
    /// When it does not stop, or does not start.
    pub fn start_again(&mut self) -> Result<()> {
        self.process.stop()?;
        let host = self.process.host().clone();
        let program = binary("rustbgpd")?;
        self.process = host.spawn("rustbgpd", &[&program.to_string_lossy(), CONFIGURATION])?;
        self.wait_healthy()
    }

    /// The parent process.
    pub fn process(&mut self) -> &mut Proc {
        &mut self.process
    }

    /// The process id of an engine: `session`, `rde` or `control`.
    ///
    /// # Errors
    /// When it does not run within five seconds.
    pub fn engine(&mut self, role: &str) -> Result<u32> {
        let parent = self.process.pid()?;
        let name = format!("rustbgpd-{role}");
        wait_for(&format!("the process {name}"), 5, || {
            let running = children_of(parent).into_iter().filter(|pid| crate::is_running(*pid));
            Ok(running.into_iter().find(|pid| program_of(*pid).is_some_and(|program| program == name)))
        })
    }

    /// Memory of an engine now (RSS), in KiB.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resident(&mut self, role: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.engine(role)?))?;
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap_or_default();
        Ok(line.split_whitespace().nth(1).unwrap_or_default().parse()?)
    }

    /// Runs `rustbgpctl` with these arguments; it must succeed.
    ///
    /// # Errors
    /// When it does not; the message has what it said.
    pub fn ctl(&self, args: &[&str]) -> Result<String> {
        let program = binary("rustbgpctl")?;
        let program = program.to_string_lossy();
        let address = api_address();
        let argv: Vec<&str> = [&*program, "-s", &address].into_iter().chain(args.iter().copied()).collect();
        self.process.host().run(&argv)
    }

    /// Runs `rustbgpctl -j`.
    ///
    /// # Errors
    /// When it fails or does not print JSON.
    pub fn json(&self, args: &[&str]) -> Result<Value> {
        let argv: Vec<&str> = std::iter::once("-j").chain(args.iter().copied()).collect();
        Ok(serde_json::from_str(&self.ctl(&argv)?)?)
    }

    /// The state of a neighbor.
    ///
    /// # Errors
    /// When the daemon does not answer or has no such neighbor.
    pub fn neighbor(&self, address: IpAddr) -> Result<State> {
        let value = self.json(&["neighbor", &address.to_string()])?;
        let number = |name: &str| value[name].as_u64().unwrap_or_default();
        Ok(State {
            established: value["state"].as_str().is_some_and(|s| s.eq_ignore_ascii_case("established")),
            notifications_sent: number("notifications_sent"),
            notifications_received: number("notifications_received"),
            flaps: number("flap_count"),
            last_error: value["last_error"].as_str().unwrap_or_default().to_string(),
            prefixes_received: number("prefixes_received"),
            uptime: number("uptime_seconds"),
        })
    }

    /// Waits until the sessions with all these neighbors are Established.
    ///
    /// # Errors
    /// When one is not within 15 seconds.
    pub fn wait_established(&self, neighbors: &[IpAddr]) -> Result<()> {
        for address in neighbors {
            wait(&format!("an Established session with {address}"), 15, || {
                Ok(self.neighbor(*address)?.established)
            })
            .map_err(|e| Error::new(format!("{e}\n{:?}", self.neighbor(*address))))?;
        }
        Ok(())
    }

    /// The best route for a prefix.
    ///
    /// # Errors
    /// When the daemon does not answer, or shows something that the lab does not understand.
    pub fn best(&self, prefix: &str) -> Result<Option<Seen>> {
        self.route(&["rib", "-a", family(prefix), "-p", prefix])
    }

    /// The route that a neighbor has sent for a prefix.
    ///
    /// # Errors
    /// As for [`Rustbgpd::best`].
    pub fn received(&self, neighbor: IpAddr, prefix: &str) -> Result<Option<Seen>> {
        self.route(&["rib", "received", &neighbor.to_string(), "-a", family(prefix), "-p", prefix])
    }

    /// The route that a neighbor has been sent for a prefix.
    ///
    /// # Errors
    /// As for [`Rustbgpd::best`].
    pub fn advertised(&self, neighbor: IpAddr, prefix: &str) -> Result<Option<Seen>> {
        self.route(&["rib", "advertised", &neighbor.to_string(), "-a", family(prefix), "-p", prefix])
    }

    /// What a neighbor has sent (`received`) or been sent (`advertised`) for a prefix, with path identifiers.
    ///
    /// # Errors
    /// As for [`Rustbgpd::best`].
    pub fn paths(&self, table: &str, neighbor: IpAddr, prefix: &str) -> Result<Vec<(u64, Seen)>> {
        let value = self.json(&["rib", table, &neighbor.to_string(), "-a", family(prefix), "-p", prefix])?;
        let routes = value.as_array().cloned().unwrap_or_default();
        routes.iter().map(|r| Ok((r["path_id"].as_u64().unwrap_or_default(), parse(r)?))).collect()
    }

    fn route(&self, args: &[&str]) -> Result<Option<Seen>> {
        let value = self.json(args)?;
        let list = value.as_array().or_else(|| value["routes"].as_array());
        list.and_then(|routes| routes.first()).map(parse).transpose()
    }

    /// Originates a route.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub fn add(&self, route: &Route, next_hop: IpAddr, as_path: &str) -> Result<()> {
        let (next_hop, med) = (next_hop.to_string(), route.med.to_string());
        let (communities, large) = (route.communities.join(","), route.large.join(","));
        let mut args = vec!["rib", "add", &route.prefix, "--nexthop", &next_hop, "--med", &med];
        args.extend(["--origin", route.origin.word(), "--as-path", as_path]);
        for (name, list) in [("--communities", &communities), ("--large-communities", &large)] {
            if !list.is_empty() {
                args.extend([name, list]);
            }
        }
        self.ctl(&args).map(drop)
    }

    /// Takes a route back that it originates.
    ///
    /// # Errors
    /// When the daemon has none.
    pub fn delete(&self, prefix: &str) -> Result<()> {
        self.ctl(&["rib", "delete", prefix]).map(drop)
    }
}

/// In how many threads every daemon of the lab has its tables, unless a test writes another number: the suite
/// runs with tables in one piece, and again in several.
fn rde_threads() -> String {
    std::env::var(RDE_THREADS).unwrap_or_else(|_| "1".into())
}

/// The threads that an engine has: one, and in rde one for each part of the tables, where they are in parts.
///
/// # Errors
/// When the environment has something that is no number.
pub fn engine_threads(role: &str) -> Result<u16> {
    let parts: u16 = rde_threads().parse()?;
    Ok(if role == "rde" && parts > 1 { parts + 1 } else { 1 })
}

/// Where the daemon of a host is to be asked.
pub fn api_address() -> String {
    format!("unix://{STATE}/grpc.sock")
}

/// The file name of the program that a process runs.
fn program_of(pid: u32) -> Option<String> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let first = line.split(|octet| *octet == 0).next()?;
    let text = String::from_utf8_lossy(first).into_owned();
    Some(text.rsplit('/').next()?.to_string())
}

fn family(prefix: &str) -> &'static str {
    if prefix.contains(':') { "ipv6_unicast" } else { "ipv4_unicast" }
}

/// A route as `rustbgpctl -j rib` prints it: the fields of the message `Route`.
fn parse(route: &Value) -> Result<Seen> {
    let missing = || Error::new(format!("rustbgpctl shows a route without something: {route}"));
    let number = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok());
    let list = |name: &str| route[name].as_array().cloned().unwrap_or_default();
    let words = |name: &str| sorted(list(name).iter().filter_map(Value::as_str));
    Ok(Seen {
        next_hop: route["next_hop"].as_str().ok_or_else(missing)?.parse()?,
        as_path: list("as_path").iter().filter_map(number).collect(),
        origin: route["origin"].as_u64().and_then(Origin::from_code).ok_or_else(missing)?,
        med: number(&route["med"]),
        local_pref: number(&route["local_pref"]),
        communities: words("communities"),
        large: words("large_communities"),
    })
}
