//! A host: namespaces held open by an init of their own.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::rc::Rc;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};

use crate::init::READY;
use crate::machine::ControlGroup;
use crate::process::{RUN_LIMIT, children_of, tail};
use crate::{Error, Proc, Result, wait_for};

/// Where a host keeps its files: a tmpfs that only the host sees, and that dies with it.
pub(crate) const FOLDER: &str = "/run/lab";

/// Network settings are those of a router; duplicate address detection would only cost time.
const SET_UP: &str = "
    hostname \"$1\"
    mount -t tmpfs -o mode=0755,nosuid,nodev lab /run
    mount -t tmpfs -o mode=1777,nosuid,nodev lab /var/tmp
    mkdir -p /run/lab /run/lock
    ip link set lo up
    for k in net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
             net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.accept_ra=0 \
             net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
             net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1; do
        sysctl -qw $k 2>/dev/null || true
    done";

/// A set of namespaces: a machine of the lab.
pub struct Host {
    name: String,
    /// `unshare`; its standard input is the pipe that the init watches.
    unshare: RefCell<Child>,
    init: u32,
    /// Of a machine: the control group that all of it is in.
    group: Option<ControlGroup>,
}

impl Host {
    pub(crate) fn new(name: &str, init: &PathBuf) -> Result<Self> {
        let mut unshare = Command::new("unshare")
            .args(["--net", "--pid", "--mount", "--uts", "--ipc", "--fork", "--kill-child"])
            .args(["--propagation", "private", "--mount-proc"])
            .arg(init)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| Error::new(format!("unshare (Debian package util-linux): {e}")))?;
        let mut line = String::new();
        if let Some(out) = unshare.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        if line.trim() != READY {
            let _ = unshare.kill();
            let _ = unshare.wait();
            return Error::fail(format!("host {name} did not start; the lab needs root"));
        }
        let outer = unshare.id();
        let init = wait_for("the init of a host", 5, || Ok(children_of(outer).first().copied()))?;
        let host = Host { name: name.into(), unshare: RefCell::new(unshare), init, group: None };
        host.sh(SET_UP, &[name])?;
        Ok(host)
    }

    /// A host with systemd for its init, see [`crate::Lab::machine`].
    pub(crate) fn boot(name: &str) -> Result<Self> {
        let group = ControlGroup::new(name)?;
        let boot = group.boot(name)?;
        let outer = boot.id();
        let mut host =
            Host { name: name.into(), unshare: RefCell::new(boot), init: outer, group: Some(group) };
        host.init = wait_for("systemd in a machine", 20, || {
            // The shell has become unshare, whose only child is to become systemd.
            let first = children_of(outer).first().copied();
            let exe = |pid: &u32| fs::read_link(format!("/proc/{pid}/exe")).ok();
            Ok(first.filter(|pid| exe(pid).is_some_and(|exe| exe.ends_with("systemd"))))
        })?;
        wait_for("the boot of a machine", 40, || {
            let state = host.output(&["systemctl", "is-system-running"])?;
            let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
            Ok(["running", "degraded"].contains(&&*state).then_some(()))
        })?;
        host.sh(&SET_UP[SET_UP.find("for k in").unwrap_or_default()..], &[name])?;
        Ok(host)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process id of its init, as seen from outside.
    pub fn init_pid(&self) -> u32 {
        self.init
    }

    /// A command that runs in all namespaces of the host.
    fn command(&self, argv: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args([
            "--target",
            &self.init.to_string(),
            "--net",
            "--pid",
            "--mount",
            "--uts",
            "--ipc",
            "--cgroup",
            "--",
        ]);
        command.args(argv);
        command
    }

    /// Runs a command and returns what it gave, whether it succeeded or not.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn output(&self, argv: &[&str]) -> Result<Output> {
        let limit = RUN_LIMIT.as_secs().to_string();
        let limited: Vec<&str> = ["timeout", &limit].iter().chain(argv).copied().collect();
        Ok(self.command(&limited).stdin(Stdio::null()).output()?)
    }

    /// Runs a command that must succeed and returns its standard output.
    ///
    /// # Errors
    /// When it fails; the message has what it wrote.
    pub fn run(&self, argv: &[&str]) -> Result<String> {
        let output = self.output(argv)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(text);
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        Error::fail(format!(
            "{}: {}: {}{}{}",
            self.name,
            argv.join(" "),
            output.status,
            tail(&text, 1000),
            errors
        ))
    }

    /// Runs a shell script that must succeed.
    ///
    /// # Errors
    /// As for [`Host::run`].
    pub fn sh(&self, script: &str, args: &[&str]) -> Result<String> {
        let argv: Vec<&str> = ["sh", "-ec", script, "sh"].iter().chain(args).copied().collect();
        self.run(&argv)
    }

    /// Runs a command with `input` on its standard input; it must succeed.
    ///
    /// # Errors
    /// As for [`Host::run`].
    pub fn feed(&self, argv: &[&str], input: &str) -> Result<()> {
        let mut child = self.command(argv).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        if output.status.success() {
            return Ok(());
        }
        Error::fail(format!("{}: {}", argv.join(" "), String::from_utf8_lossy(&output.stderr)))
    }

    /// Starts a process that keeps running, with its output in a log.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(self: &Rc<Self>, name: &str, argv: &[&str]) -> Result<Proc> {
        let mut n = 1;
        let mut log = format!("{name}.log");
        while self.outside(&log).exists() {
            n += 1;
            log = format!("{name}-{n}.log");
        }
        let file = File::create(self.outside(&log))?;
        let child = self.command(argv).stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).spawn()?;
        Ok(Proc::new(self.clone(), name, log, child))
    }

    /// Where a file of the host's folder is seen from outside.
    fn outside(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{FOLDER}/{file}", self.init))
    }

    /// Writes a file into the host's folder; returns its path within the host.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, file: &str, content: impl AsRef<[u8]>) -> Result<String> {
        let path = self.outside(file);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, content)?;
        Ok(format!("{FOLDER}/{file}"))
    }

    /// Reads a file of the host's folder.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, file: &str) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.outside(file))?).into_owned())
    }

    /// Opens a file of the host's folder.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(&self, file: &str) -> Result<File> {
        Ok(File::open(self.outside(file))?)
    }

    /// The ends of all logs, for the report of a failure.
    pub(crate) fn logs(&self) -> String {
        let mut files: Vec<PathBuf> = fs::read_dir(self.outside(""))
            .map(|entries| entries.flatten().map(|e| e.path()).collect())
            .unwrap_or_default();
        files.retain(|f| f.extension().is_some_and(|e| e == "log"));
        files.sort();
        let mut report = String::new();
        for file in files {
            let text = fs::read(&file).unwrap_or_default();
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            report.push_str(&format!("--- {}/{name}\n", self.name));
            report.push_str(tail(&String::from_utf8_lossy(&text), 8000));
        }
        report
    }

    /// Records the BGP traffic of an address, in `NAME.pcap` of the host's folder.
    ///
    /// # Errors
    /// When tcpdump does not start.
    pub fn capture(self: &Rc<Self>, name: &str, address: IpAddr) -> Result<Proc> {
        let (file, address) = (format!("{FOLDER}/{name}.pcap"), address.to_string());
        let filter = ["tcp", "port", "179", "and", "host", &address];
        let options = ["tcpdump", "-Z", "root", "-n", "-U", "-i", "any", "-w", &file];
        let argv: Vec<&str> = options.into_iter().chain(filter).collect();
        let mut process = self.spawn(name, &argv)?;
        process.wait_log("listening on", 10)?;
        Ok(process)
    }

    /// Drops every packet from and to these addresses without a word.
    ///
    /// # Errors
    /// When nftables refuses.
    pub fn block(&self, addresses: &[IpAddr]) -> Result<()> {
        let mut rules = String::from(
            "add table inet lab\n\
             add chain inet lab in { type filter hook input priority 0; }\n\
             add chain inet lab out { type filter hook output priority 0; }\n",
        );
        for address in addresses {
            let family = if address.is_ipv6() { "ip6" } else { "ip" };
            for (chain, side) in [("in", "saddr"), ("out", "daddr")] {
                rules.push_str(&format!("add rule inet lab {chain} {family} {side} {address} drop\n"));
            }
        }
        self.feed(&["nft", "-f", "-"], &rules)
    }

    /// Lets everything through again.
    ///
    /// # Errors
    /// When nothing was blocked.
    pub fn unblock(&self) -> Result<()> {
        self.run(&["nft", "delete", "table", "inet", "lab"]).map(drop)
    }

    /// Runs `work` on a thread that is in the host's network: sockets made there stay there.
    fn in_network<T: Send>(&self, work: impl FnOnce() -> std::io::Result<T> + Send) -> Result<T> {
        let namespace = File::open(format!("/proc/{}/ns/net", self.init))?;
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(namespace, CloneFlags::CLONE_NEWNET)?;
                work()
            });
            thread.join().map_err(|_| Error::new("a thread of the lab panicked"))?.map_err(Error::from)
        })
    }

    /// Connects from the host.
    ///
    /// # Errors
    /// When nobody accepts within `timeout`.
    pub fn connect(&self, to: SocketAddr, timeout: Duration) -> Result<TcpStream> {
        self.in_network(|| TcpStream::connect_timeout(&to, timeout))
            .map_err(|e| Error::new(format!("{to}: {e}")))
    }

    /// Listens in the host.
    ///
    /// # Errors
    /// When the address is not free.
    pub fn listen(&self, at: SocketAddr) -> Result<TcpListener> {
        self.in_network(|| TcpListener::bind(at)).map_err(|e| Error::new(format!("{at}: {e}")))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let mut unshare = self.unshare.borrow_mut();
        drop(unshare.stdin.take());
        // systemd would take its time.
        let patience = if self.group.is_some() { 0 } else { 5 };
        let ended = wait_for("the end of a host", patience, || Ok(unshare.try_wait()?));
        if ended.is_err() {
            // --kill-child takes the init along, and the kernel the rest.
            let _ = unshare.kill();
            let _ = unshare.wait();
        }
    }
}
