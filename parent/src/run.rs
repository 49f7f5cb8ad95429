//! The main loop of the parent: signals, what the engines say, deadlines; and the order of ending.

mod edits;
mod file;
mod questions;
mod reload;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use ipc::parent_control::{ControlToParent, ParentToControl};
use ipc::parent_rde::{ParentToRde, RdeToParent};
use ipc::parent_session::{ParentToSession, SessionToParent};
use ipc::{Attempt, Generation, LinkError, PeerId, Role};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::config::{self, Config, Loaded};
use crate::engine::{Event, Launcher, What};
use crate::listeners::{ControlListeners, ListenerError};
use crate::marker::Marker;
use crate::plan::{Plan, PlanError};
use crate::privileges::{self, Mode, PrivilegeError};
use crate::sockets::{ConnectError, SocketError, Sockets};
use crate::supervisor::{Outcome, Supervisor};
use crate::{VERSION, folder, intents, processes, ready};
use edits::Edits;
use file::Requests;
use questions::Questions;
use reload::Reload;

/// How long session may take to tell all peers that we end.
const SESSIONS_END_WITHIN: Duration = Duration::from_secs(5);
/// How long the engines may take to exit after that.
const ENGINES_EXIT_WITHIN: Duration = Duration::from_secs(1);
/// A second signal this soon is the first one, sent to the process and to its group.
const SAME_SIGNAL: Duration = Duration::from_secs(1);
/// Events that may wait for the main loop.
const EVENTS: usize = 1024;

/// Why the daemon could not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Privileges(#[from] PrivilegeError),
    #[error(transparent)]
    Sockets(#[from] SocketError),
    #[error(transparent)]
    Listeners(#[from] ListenerError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Folder(#[from] folder::FolderError),
    #[error("cannot lock the parent down: {0}")]
    Sandbox(#[from] sandbox::SandboxError),
    #[error("cannot start the engines: {0}")]
    Engines(io::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// How far a coordinated shutdown is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stopping {
    /// Session tells the peers.
    Sessions(Instant),
    /// All engines exit.
    Engines(Instant),
    /// What was left is killed.
    Killed,
}

/// The daemon, as far as the parent is concerned.
struct Daemon {
    supervisor: Supervisor,
    config_path: PathBuf,
    /// What runs.
    config: Config,
    /// The configuration files as they were read last, or written.
    text: config::Files,
    /// What the engines are asked about.
    reload: Option<Reload>,
    /// The file is to be read again when that is possible.
    reload_wanted: bool,
    /// What clients want changed in it.
    edits: Edits,
    /// What they want of it as a whole.
    files: Requests,
    /// What they ask about it.
    questions: Questions,
    announced: bool,
    /// Where the next start is told of this end; `None` once it is.
    marker: Option<Marker>,
    stopping: Option<Stopping>,
    last_signal: Option<Instant>,
    exit_code: u8,
    /// When the engines are asked next whether they are at work.
    ask_at: Instant,
}

/// Opens everything, starts the engines, and runs until the daemon ends; gives its exit status.
///
/// # Errors
/// Where it can't start.
pub(crate) async fn run(loaded: &Loaded, config_path: PathBuf) -> Result<u8, StartError> {
    let config = &loaded.config;
    let mode = privileges::prepare(&config.global)?;
    let sockets = Sockets::open(config)?;
    let listeners = ControlListeners::open(&config.telemetry, mode.service_group())?;
    let marker = Marker::new(&config.global.runtime_state_dir);
    let restarted = marker.take(SystemTime::now());
    let plan = Plan::new(config, Generation(1), restarted.as_ref())?;
    privileges::raise_fd_limit()?;
    privileges::drop_rest(&mode)?;
    let (events, mut received) = mpsc::channel(EVENTS);
    let folder = folder::engines()?;
    let sandbox = sandbox::enter_parent(&writes(config, &config_path), &folder)?;
    let launcher = Launcher { folder, environment: environment(config, &mode), events };
    let mut signals = Signals::new()?;
    let mut daemon = Daemon {
        supervisor: Supervisor::new(launcher, plan, sockets, listeners, sandbox, restarted.as_ref()),
        config_path,
        config: config.clone(),
        text: loaded.text.clone(),
        reload: None,
        reload_wanted: false,
        edits: Edits::default(),
        files: Requests::default(),
        questions: Questions::default(),
        announced: false,
        marker: Some(marker),
        stopping: None,
        last_signal: None,
        exit_code: 0,
        ask_at: Instant::now(),
    };
    daemon.supervisor.start_all().map_err(StartError::Engines)?;
    loop {
        let deadline = daemon.next_deadline();
        tokio::select! {
            Some(event) = received.recv() => daemon.on_event(event),
            caught = signals.next() => daemon.on_signal(caught),
            answer = daemon.questions.answered() => daemon.on_answer(answer),
            () = until(deadline) => daemon.on_time(Instant::now()),
        }
        daemon.reload_goes_on();
        daemon.dynamic_goes_on();
        if daemon.stopping.is_some() && daemon.supervisor.all_ended() {
            tracing::info!(status = daemon.exit_code, "rustbgpd ended");
            return Ok(daemon.exit_code);
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Folders in which the parent goes on writing: for changes of the configuration, for what outlives the process, and to
/// remove the socket at the end.
fn writes(config: &Config, config_path: &Path) -> Vec<PathBuf> {
    // Where the file is a link, what it leads to is what is changed.
    let file = config_path.canonicalize().unwrap_or_else(|_| config_path.to_owned());
    let socket = config.telemetry.grpc_uds.as_ref().map(|uds| uds.path.as_path());
    let folders = [Some(file.as_path()), socket].into_iter().flatten().filter_map(Path::parent);
    folders.chain([config.global.runtime_state_dir.as_path()]).map(Path::to_owned).collect()
}

/// What engines find in their environment.
fn environment(config: &Config, mode: &Mode) -> Vec<(&'static str, String)> {
    let (format, level) = (config.telemetry.log_format.name(), config.telemetry.log_level.name());
    let peers: String = (config.neighbors.iter())
        .filter_map(|n| Some(format!(",[peer{{peer_addr={}}}]={}", n.address, n.log_level?.name())))
        .collect();
    let mut environment = vec![(sandbox::ENV_LOG, format!("{format}:{level}{peers}"))];
    if let Some(octets) = config.global.engine_memory_limit {
        environment.push((sandbox::ENV_MEMORY, octets.to_string()));
    }
    if let Ok(filter) = std::env::var("RUST_LOG") {
        environment.push(("RUST_LOG", filter));
    }
    if let Mode::Root { uid, gid, chroot } = mode {
        environment.push((sandbox::ENV_UID, uid.to_string()));
        environment.push((sandbox::ENV_GID, gid.to_string()));
        environment.push((sandbox::ENV_CHROOT, chroot.display().to_string()));
    }
    environment
}

/// What the operator's signals ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caught {
    Shutdown,
    Reload,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Caught {
        tokio::select! {
            _ = self.terminate.recv() => Caught::Shutdown,
            _ = self.interrupt.recv() => Caught::Shutdown,
            _ = self.hang_up.recv() => Caught::Reload,
        }
    }
}

impl Daemon {
    fn on_event(&mut self, event: Event) {
        // What a dead engine still says concerns nobody.
        if !self.supervisor.is_current(&event) {
            return;
        }
        let outcome = match event.what {
            What::Session(message) => self.on_session(message),
            What::Rde(message) => self.on_rde(message),
            What::Control(message) => self.on_control(message),
            What::LinkFailed(error) => self.supervisor.link_failed(event.role, &error),
            What::Ended(status) => {
                let outcome = self.supervisor.ended(event.role, &status, Instant::now());
                if event.role == Role::Control {
                    self.forget_clients();
                }
                self.shutdown_goes_on(event.role);
                outcome
            }
        };
        self.on_outcome(outcome);
    }

    fn on_outcome(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Fine => {}
            Outcome::AllRunning if self.announced => tracing::info!("all engines run again"),
            Outcome::AllRunning => {
                self.announced = true;
                self.supervisor.plan.restart_is_told();
                let (asn, router_id) = (self.config.global.asn, self.config.global.router_id);
                tracing::info!(version = VERSION, asn, %router_id, "starting rustbgpd");
                ready::ready(asn);
            }
            Outcome::GiveUp(Role::Control) => {
                tracing::error!("gRPC server exited unexpectedly");
                self.begin_shutdown(1, String::new());
            }
            Outcome::GiveUp(role) => {
                tracing::error!(engine = role.name(), "engine cannot be kept running: ending");
                self.begin_shutdown(1, String::new());
            }
        }
    }

    fn on_session(&mut self, message: SessionToParent) -> Outcome {
        match message {
            SessionToParent::Staged(generation) => self.supervisor.staged(Role::Session, generation),
            SessionToParent::StageRefused { error, .. } => {
                self.supervisor.stage_refused(Role::Session, &error)
            }
            SessionToParent::Committed(generation) => self.supervisor.committed(Role::Session, generation),
            SessionToParent::Pong { number, report } => {
                self.supervisor.pong(Role::Session, number, report, Instant::now())
            }
            SessionToParent::WantConnect { peer, attempt } => self.want_connect(peer, attempt),
            SessionToParent::WantPeer { address } => self.supervisor.want_peer(address),
            SessionToParent::PeerOver(peer) => self.supervisor.peer_over(peer),
            SessionToParent::ShutdownDone { restarting }
                if matches!(self.stopping, Some(Stopping::Sessions(_))) =>
            {
                self.leave_marker(Some(&restarting));
                self.end_engines();
                Outcome::Fine
            }
            // The wait for it is over already.
            SessionToParent::ShutdownDone { .. } if self.stopping.is_some() => Outcome::Fine,
            SessionToParent::ShutdownDone { .. } => {
                self.out_of_state(Role::Session, "ShutdownDone without a shutdown")
            }
        }
    }

    fn on_rde(&mut self, message: RdeToParent) -> Outcome {
        match message {
            RdeToParent::Staged(generation) => self.supervisor.staged(Role::Rde, generation),
            RdeToParent::StageRefused { error, .. } => self.supervisor.stage_refused(Role::Rde, &error),
            RdeToParent::Committed(generation) => self.supervisor.committed(Role::Rde, generation),
            RdeToParent::Pong { number, report } => {
                self.supervisor.pong(Role::Rde, number, report, Instant::now())
            }
            RdeToParent::PeerAdded(peer) => self.supervisor.peer_added(peer),
        }
    }

    fn on_control(&mut self, message: ControlToParent) -> Outcome {
        match message {
            ControlToParent::Staged(generation) => self.supervisor.staged(Role::Control, generation),
            ControlToParent::Committed(generation) => self.supervisor.committed(Role::Control, generation),
            ControlToParent::Pong { number, report } => {
                self.supervisor.pong(Role::Control, number, report, Instant::now())
            }
            ControlToParent::Intent { .. }
            | ControlToParent::Edit(_)
            | ControlToParent::File(_)
            | ControlToParent::Processes { .. }
            | ControlToParent::Chains { .. }
            | ControlToParent::Ask { .. }
                if !self.supervisor.control.as_ref().is_some_and(|e| e.listening) =>
            {
                self.out_of_state(Role::Control, "a wish of a client before it has a listener")
            }
            ControlToParent::Edit(part) => self.on_edit(part),
            ControlToParent::File(part) => self.on_file(part),
            ControlToParent::Processes { id } => {
                let (processes, traffic) = (processes::all(&self.supervisor), ipc::figures::traffic());
                let dynamic = self.supervisor.dynamic_figures();
                if let Some(control) = &mut self.supervisor.control {
                    control.tell(ParentToControl::ProcessesReply { id, processes, traffic, dynamic });
                }
                Outcome::Fine
            }
            ControlToParent::Chains { id, neighbor } => {
                self.show_chains(id, neighbor);
                Outcome::Fine
            }
            ControlToParent::Ask { id, question } => {
                self.on_question(id, question);
                Outcome::Fine
            }
            ControlToParent::Intent { id, intent } => {
                let handled = intents::handle(&mut self.supervisor, intent);
                if let Some(control) = &mut self.supervisor.control {
                    control.tell(ParentToControl::IntentReply { id, result: handled.result });
                }
                if let Some(reason) = handled.shutdown {
                    tracing::info!(reason, "shutdown initiated via gRPC");
                    self.begin_shutdown(0, reason);
                }
                Outcome::Fine
            }
        }
    }

    fn want_connect(&mut self, peer: PeerId, attempt: Attempt) -> Outcome {
        if !self.supervisor.session_may_ask() {
            return self.out_of_state(Role::Session, "WantConnect before the configuration is in force");
        }
        let address = self.supervisor.plan.address(peer);
        if address.is_none() && !self.supervisor.is_retired(peer) {
            return self.out_of_state(Role::Session, &format!("WantConnect: no peer {peer}"));
        }
        let none = Err(ConnectError::UnknownPeer);
        let begun = address.map_or(none, |address| self.supervisor.sockets.begin_connect(address));
        let Some(session) = &mut self.supervisor.session else { return Outcome::Fine };
        match begun {
            Ok(socket) => session.tell_with(ParentToSession::Connecting { peer, attempt }, vec![socket]),
            Err(error) => {
                session.tell(ParentToSession::ConnectFailed { peer, attempt, error: error.to_string() });
            }
        }
        Outcome::Fine
    }

    fn out_of_state(&mut self, role: Role, what: &str) -> Outcome {
        self.supervisor.misbehaved(role, &LinkError::out_of_state(role, what))
    }

    fn on_signal(&mut self, caught: Caught) {
        match caught {
            Caught::Reload => self.reload_wanted = true,
            Caught::Shutdown => self.on_shutdown_signal(Instant::now()),
        }
    }

    fn on_shutdown_signal(&mut self, now: Instant) {
        let before = self.last_signal.replace(now);
        if before.is_some_and(|t| now.saturating_duration_since(t) < SAME_SIGNAL) {
            return;
        }
        if before.is_some() {
            tracing::warn!("received shutdown signal again: not waiting any longer");
            self.kill_engines();
            return;
        }
        tracing::info!("received shutdown signal");
        self.begin_shutdown(0, String::new());
    }

    fn begin_shutdown(&mut self, exit_code: u8, reason: String) {
        self.exit_code = self.exit_code.max(exit_code);
        if self.stopping.is_some() {
            return;
        }
        ready::stopping();
        self.supervisor.stop_restarting();
        match &mut self.supervisor.session {
            Some(session) => {
                session.tell(ParentToSession::Shutdown { reason });
                self.stopping = Some(Stopping::Sessions(Instant::now() + SESSIONS_END_WITHIN));
            }
            None => self.end_engines(),
        }
    }

    /// Tells the next start who keeps our routes; once. Where session has not said it, it may be anybody.
    fn leave_marker(&mut self, restarting: Option<&[PeerId]>) {
        let plan = &self.supervisor.plan;
        if let (Some(marker), Some(window)) = (self.marker.take(), plan.restart_window()) {
            marker.leave(&plan.restarting(restarting), window, SystemTime::now());
        }
    }

    /// The peers have been told, or can't be.
    fn end_engines(&mut self) {
        self.leave_marker(None);
        if let Some(rde) = &mut self.supervisor.rde {
            rde.tell(ParentToRde::Shutdown);
        }
        if let Some(control) = &mut self.supervisor.control {
            control.tell(ParentToControl::Shutdown);
        }
        self.stopping = Some(Stopping::Engines(Instant::now() + ENGINES_EXIT_WITHIN));
    }

    fn kill_engines(&mut self) {
        self.leave_marker(None);
        self.supervisor.kill_all();
        self.stopping = Some(Stopping::Killed);
    }

    /// A session engine that is gone tells nobody anything any more.
    fn shutdown_goes_on(&mut self, ended: Role) {
        if ended == Role::Session && matches!(self.stopping, Some(Stopping::Sessions(_))) {
            self.end_engines();
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let own = match self.stopping {
            Some(Stopping::Sessions(at) | Stopping::Engines(at)) => Some(at),
            Some(Stopping::Killed) | None => None,
        };
        let all = self.supervisor.next_deadline().into_iter().chain(own).chain(self.file_deadline());
        all.chain([self.ask_at]).min()
    }

    fn on_time(&mut self, now: Instant) {
        match self.stopping {
            Some(Stopping::Sessions(at)) if at <= now => {
                tracing::warn!("not all peers could be told about the shutdown in time");
                self.supervisor.kill(Role::Session);
                self.end_engines();
            }
            Some(Stopping::Engines(at)) if at <= now => self.kill_engines(),
            _ => {}
        }
        self.file_time(now);
        if self.ask_at <= now {
            self.ask_at = now + self.supervisor.ask_every();
            if self.supervisor.ask_all(now) {
                ready::healthy();
            }
        }
        let outcome = self.supervisor.on_time(now);
        self.on_outcome(outcome);
    }
}
