//! One running engine: its process, and the tasks that carry messages to and from it.
//!
//! Nothing here waits for an engine: what it is told goes into a bounded queue, and an engine that lets the
//! queue fill up is taken for hung.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant, SystemTime};

use ipc::channel::{self, Receiver, Sender};
use ipc::parent_control::ControlToParent;
use ipc::parent_rde::RdeToParent;
use ipc::parent_session::SessionToParent;
use ipc::{Link, LinkError, Message, Role};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};

use crate::pulse::Pulse;

/// How many messages may wait for an engine.
const QUEUE: usize = 4096;

/// How long an engine may take to say hello, to stage, to commit, to answer a question.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// What happened to an engine, or what it says.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) role: Role,
    /// Which of the processes that had this role.
    pub(crate) incarnation: u64,
    pub(crate) what: What,
}

/// See [`Event`].
#[derive(Debug)]
pub(crate) enum What {
    Session(SessionToParent),
    Rde(RdeToParent),
    Control(ControlToParent),
    /// The channel can't be used any more.
    LinkFailed(LinkError),
    /// The process has ended and is reaped.
    Ended(io::Result<ExitStatus>),
}

/// A message that an engine sends to the parent.
pub(crate) trait FromEngine: Message {
    fn into_event(self) -> What;
}

impl FromEngine for SessionToParent {
    fn into_event(self) -> What {
        What::Session(self)
    }
}

impl FromEngine for RdeToParent {
    fn into_event(self) -> What {
        What::Rde(self)
    }
}

impl FromEngine for ControlToParent {
    fn into_event(self) -> What {
        What::Control(self)
    }
}

/// How far an engine is with the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Was told it.
    Staging,
    /// Can use it.
    Staged,
    /// Was told to use it.
    Committing,
    /// Uses it.
    Running,
}

/// Where engines are found, and what they start with.
#[derive(Debug)]
pub(crate) struct Launcher {
    pub(crate) folder: PathBuf,
    pub(crate) environment: Vec<(&'static str, String)>,
    pub(crate) events: mpsc::Sender<Event>,
}

/// A message to an engine with its fds.
type Outgoing<Tx> = (Tx, Vec<OwnedFd>);

/// A running engine that is told `Tx`.
#[derive(Debug)]
pub(crate) struct Engine<Tx> {
    pub(crate) role: Role,
    pub(crate) incarnation: u64,
    /// Its process.
    pub(crate) pid: u32,
    pub(crate) started: SystemTime,
    pub(crate) phase: Phase,
    /// Kill it at this time, where it did not do what it should by then.
    pub(crate) deadline: Option<Instant>,
    /// It was killed because of another engine's death: not its fault.
    pub(crate) condemned: bool,
    /// It has its listeners.
    pub(crate) listening: bool,
    /// Whether it answers.
    pub(crate) pulse: Pulse,
    /// What it says of itself.
    pub(crate) report: Option<ipc::report::Report>,
    queue: mpsc::Sender<Outgoing<Tx>>,
    kill: Option<oneshot::Sender<()>>,
}

/// File name of an engine's program.
pub(crate) fn program(role: Role) -> String {
    format!("rustbgpd-{}", role.name())
}

impl Launcher {
    /// Starts the engine of `role`. Must be called on the main thread: the engine ends with it.
    pub(crate) fn launch<Tx: Message + Sync, Rx: FromEngine>(
        &self,
        role: Role,
        incarnation: u64,
    ) -> io::Result<Engine<Tx>> {
        let path = self.folder.join(program(role));
        let (ours, theirs) = channel::pair()?;
        let child = self.spawn(&path, theirs)?;
        let link = Link::<Tx, Rx>::from_fd(ours, role)?;
        let (queue, queued) = mpsc::channel(QUEUE);
        let (kill, killed) = oneshot::channel();
        let to = self.events.clone();
        let report = Report { role, incarnation, to };
        // A child that nobody has waited for yet has one.
        let pid = child.id().unwrap_or_default();
        tracing::debug!(engine = role.name(), pid, "engine started");
        tokio::spawn(watch(child, killed, report.clone()));
        tokio::spawn(talk(link, queued, report));
        Ok(Engine {
            role,
            incarnation,
            pid,
            started: SystemTime::now(),
            phase: Phase::Staging,
            deadline: Some(Instant::now() + ANSWER_WITHIN),
            condemned: false,
            listening: false,
            pulse: Pulse::default(),
            report: None,
            queue,
            kill: Some(kill),
        })
    }

    fn spawn(&self, path: &Path, channel: OwnedFd) -> io::Result<Child> {
        let mut command = Command::from(sys::engine_command(path, channel)?);
        command.envs(self.environment.iter().map(|(k, v)| (k, v))).kill_on_drop(true).spawn()
    }
}

impl<Tx> Engine<Tx> {
    /// Tells the engine something.
    pub(crate) fn tell(&mut self, message: Tx) {
        self.tell_with(message, Vec::new());
    }

    /// Tells the engine something with fds.
    pub(crate) fn tell_with(&mut self, message: Tx, fds: Vec<OwnedFd>) {
        // A closed queue is an engine whose end is being reported.
        if let Err(mpsc::error::TrySendError::Full(_)) = self.queue.try_send((message, fds))
            && !self.is_killed()
        {
            tracing::error!(engine = self.role.name(), "engine does not read its messages: killing it");
            self.kill();
        }
    }

    /// How many messages wait to be sent.
    pub(crate) fn queued(&self) -> u32 {
        u32::try_from(self.queue.max_capacity() - self.queue.capacity()).unwrap_or(u32::MAX)
    }

    /// Whether it is being ended.
    pub(crate) fn is_killed(&self) -> bool {
        self.kill.is_none()
    }

    /// Ends the process, if it has not ended yet.
    pub(crate) fn kill(&mut self) {
        if let Some(kill) = self.kill.take() {
            // It may have ended by itself.
            let _ = kill.send(());
        }
    }
}

/// Reports on one engine to the main loop.
#[derive(Debug, Clone)]
struct Report {
    role: Role,
    incarnation: u64,
    to: mpsc::Sender<Event>,
}

impl Report {
    async fn send(&self, what: What) -> bool {
        let event = Event { role: self.role, incarnation: self.incarnation, what };
        self.to.send(event).await.is_ok()
    }
}

/// Waits for the end of the process, or ends it.
async fn watch(mut child: Child, killed: oneshot::Receiver<()>, report: Report) {
    let status = tokio::select! {
        status = child.wait() => status,
        // Also where the engine's handle is gone.
        _ = killed => child.kill().await.and(child.wait().await),
    };
    report.send(What::Ended(status)).await;
}

/// Greets, then carries messages both ways until the channel fails.
async fn talk<Tx: Message + Sync, Rx: FromEngine>(
    mut link: Link<Tx, Rx>,
    queued: mpsc::Receiver<Outgoing<Tx>>,
    report: Report,
) {
    let error = match link.greet(Role::Parent).await {
        Err(e) => e,
        Ok(()) => {
            let (tx, rx) = link.split();
            tokio::select! {
                e = write(tx, queued) => e,
                e = read(rx, &report) => e,
            }
        }
    };
    report.send(What::LinkFailed(error)).await;
}

async fn write<Tx: Message + Sync>(tx: Sender<Tx>, mut queued: mpsc::Receiver<Outgoing<Tx>>) -> LinkError {
    while let Some((message, fds)) = queued.recv().await {
        let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        match tx.send_with_fds(&message, &borrowed).await {
            Ok(()) => {}
            // What it said before it went is still to be read.
            Err(LinkError::Closed { .. }) => break,
            Err(e) => return e,
        }
    }
    std::future::pending().await
}

async fn read<Rx: FromEngine>(mut rx: Receiver<Rx>, report: &Report) -> LinkError {
    loop {
        match rx.recv().await {
            Ok(received) => {
                if !report.send(received.message.into_event()).await {
                    return LinkError::Closed { with: report.role };
                }
            }
            Err(e) => return e,
        }
    }
}
