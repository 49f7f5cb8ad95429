//! The life of the engines: started together, told the configuration in step, started again when they die.
//!
//! session and rde hold one state between them (who is up, and with which routes), so that they live and
//! die together; control holds nothing and is replaced by itself.

/// Does the same with whichever engine has the role.
macro_rules! with_engine {
    ($self:ident, $role:expr, $engine:ident => $do:expr) => {
        match $role {
            Role::Session => $self.session.as_mut().map(|$engine| $do),
            Role::Rde => $self.rde.as_mut().map(|$engine| $do),
            Role::Control => $self.control.as_mut().map(|$engine| $do),
            Role::Parent => None,
        }
    };
}

mod dynamic;
mod health;
mod reload;

use std::collections::HashSet;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use ipc::parent_control::{ControlToParent, ParentToControl};
use ipc::parent_rde::{ParentToRde, RdeToParent};
use ipc::parent_session::{ParentToSession, SessionToParent};
use ipc::report::Sandbox;
use ipc::{Generation, LinkError, PeerId, Role, channel};

use crate::backoff::{Backoff, Verdict};
use crate::engine::{ANSWER_WITHIN, Engine, Event, Launcher, Phase, What};
use crate::listeners::ControlListeners;
use crate::marker::Restarted;
use crate::plan::Plan;
use crate::pulse::Rhythm;
use crate::ready;
use crate::sockets::Sockets;
use dynamic::Dynamic;
pub(crate) use reload::NotInForce;
use reload::Pending;

/// How long an engine may live without its channel to the parent.
const EXIT_WITHIN: Duration = Duration::from_secs(1);

/// Engines that are started together.
const TOGETHER: [&[Role]; 2] = [&[Role::Session, Role::Rde], &[Role::Control]];

/// What the main loop learns from an event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing that concerns it.
    Fine,
    /// All engines run the configuration and have their listeners, after a start or a restart.
    AllRunning,
    /// An engine can't be kept alive or can't use the configuration.
    GiveUp(Role),
}

/// The three engines.
#[derive(Debug)]
pub(crate) struct Supervisor {
    launcher: Launcher,
    pub(crate) plan: Plan,
    pub(crate) sockets: Sockets,
    listeners: ControlListeners,
    pub(crate) session: Option<Engine<ParentToSession>>,
    pub(crate) rde: Option<Engine<ParentToRde>>,
    pub(crate) control: Option<Engine<ParentToControl>>,
    incarnations: u64,
    /// How often each engine was started.
    starts: [u64; 3],
    backoff: [Backoff; 3],
    /// When to start the engines of [`TOGETHER`] again.
    restart_at: [Option<Instant>; 2],
    /// Another configuration that the engines are asked about.
    pending: Option<Pending>,
    /// The engines are told to use another configuration.
    reloading: bool,
    /// Peers of the configuration before, for which session may still want a connection meanwhile.
    retired: HashSet<PeerId>,
    dynamic: Dynamic,
    /// How a reload ended.
    reloaded: Option<Result<(), NotInForce>>,
    stopping: bool,
    /// How often engines are asked whether they are at work.
    rhythm: Rhythm,
    /// What keeps the parent itself from doing harm.
    pub(crate) own_sandbox: Sandbox,
}

impl Supervisor {
    pub(crate) fn new(
        launcher: Launcher,
        plan: Plan,
        sockets: Sockets,
        listeners: ControlListeners,
        own_sandbox: Sandbox,
        restarted: Option<&Restarted>,
    ) -> Supervisor {
        Supervisor {
            launcher,
            plan,
            sockets,
            listeners,
            session: None,
            rde: None,
            control: None,
            incarnations: 0,
            starts: [0; 3],
            backoff: Default::default(),
            restart_at: [None; 2],
            pending: None,
            reloading: false,
            retired: HashSet::new(),
            dynamic: Dynamic::new(restarted),
            reloaded: None,
            stopping: false,
            rhythm: Rhythm::new(ready::watchdog()),
            own_sandbox,
        }
    }

    /// Starts all engines.
    ///
    /// # Errors
    /// Where a program can't be started.
    pub(crate) fn start_all(&mut self) -> io::Result<()> {
        self.start(&[Role::Session, Role::Rde, Role::Control])
    }

    /// Starts `roles`, links them to each other and to the engines that live, and stages the plan.
    fn start(&mut self, roles: &[Role]) -> io::Result<()> {
        if roles.contains(&Role::Session) {
            self.forget_dynamic();
        }
        if roles.contains(&Role::Control) {
            self.shown_at_once();
        }
        for role in roles {
            self.incarnations += 1;
            let n = self.incarnations;
            self.starts[index(*role)] += 1;
            match role {
                Role::Session => self.session = Some(self.launcher.launch::<_, SessionToParent>(*role, n)?),
                Role::Rde => self.rde = Some(self.launcher.launch::<_, RdeToParent>(*role, n)?),
                Role::Control => self.control = Some(self.launcher.launch::<_, ControlToParent>(*role, n)?),
                Role::Parent => {}
            }
        }
        for (a, b) in [(Role::Session, Role::Rde), (Role::Session, Role::Control), (Role::Rde, Role::Control)]
        {
            if roles.contains(&a) || roles.contains(&b) {
                self.link(a, b)?;
            }
        }
        for role in roles {
            self.stage(*role).map_err(io::Error::other)?;
        }
        // What they say of themselves is known soon.
        self.ask_all(Instant::now());
        Ok(())
    }

    /// Gives two engines channels to each other, if both live.
    fn link(&mut self, a: Role, b: Role) -> io::Result<()> {
        if !self.lives(a) || !self.lives(b) {
            return Ok(());
        }
        // One for bulk and one for control between session and rde; elsewhere one.
        let pairs = if (a, b) == (Role::Session, Role::Rde) { 2 } else { 1 };
        let (mut to_a, mut to_b) = (Vec::new(), Vec::new());
        for _ in 0..pairs {
            let (for_a, for_b) = channel::pair()?;
            to_a.push(for_a);
            to_b.push(for_b);
        }
        self.hand_link(a, b, to_a);
        self.hand_link(b, a, to_b);
        Ok(())
    }

    fn hand_link(&mut self, to: Role, other: Role, fds: Vec<OwnedFd>) {
        match to {
            Role::Session => tell(&mut self.session, ParentToSession::Link { to: other }, fds),
            Role::Rde => tell(&mut self.rde, ParentToRde::Link { to: other }, fds),
            Role::Control => tell(&mut self.control, ParentToControl::Link { to: other }, fds),
            Role::Parent => {}
        }
    }

    fn stage(&mut self, role: Role) -> Result<(), LinkError> {
        match role {
            Role::Session => tell_all(&mut self.session, self.plan.for_session()?),
            Role::Rde => tell_all(&mut self.rde, self.plan.for_rde()?),
            Role::Control => tell_all(&mut self.control, self.plan.for_control()?),
            Role::Parent => {}
        }
        Ok(())
    }

    fn lives(&self, role: Role) -> bool {
        self.incarnation(role).is_some()
    }

    /// The incarnation of the engine of `role`, and whether it is being killed.
    fn incarnation(&self, role: Role) -> Option<(u64, bool)> {
        match role {
            Role::Session => self.session.as_ref().map(|e| (e.incarnation, e.is_killed())),
            Role::Rde => self.rde.as_ref().map(|e| (e.incarnation, e.is_killed())),
            Role::Control => self.control.as_ref().map(|e| (e.incarnation, e.is_killed())),
            Role::Parent => None,
        }
    }

    pub(crate) fn phase(&self, role: Role) -> Option<Phase> {
        match role {
            Role::Session => self.session.as_ref().map(|e| e.phase),
            Role::Rde => self.rde.as_ref().map(|e| e.phase),
            Role::Control => self.control.as_ref().map(|e| e.phase),
            Role::Parent => None,
        }
    }

    fn set_phase(&mut self, role: Role, phase: Phase) {
        with_engine!(self, role, e => e.phase = phase);
    }

    fn set_deadline(&mut self, role: Role, deadline: Option<Instant>) {
        with_engine!(self, role, e => e.deadline = deadline);
    }

    /// Whether the event comes from an engine that lives, and not from one before it. What one that is being killed has said
    /// before its end counts no more: it may have sent a lot at once.
    pub(crate) fn is_current(&self, event: &Event) -> bool {
        let ended = matches!(event.what, What::Ended(_));
        let current = self.incarnation(event.role);
        current.is_some_and(|(now, killed)| now == event.incarnation && (ended || !killed))
    }

    /// How often the engine of `role` was started again.
    pub(crate) fn restarts(&self, role: Role) -> u64 {
        self.starts[index(role)].saturating_sub(1)
    }

    /// Whether no engine lives.
    pub(crate) fn all_ended(&self) -> bool {
        self.session.is_none() && self.rde.is_none() && self.control.is_none()
    }

    /// Whether session was told to use a configuration.
    pub(crate) fn session_may_ask(&self) -> bool {
        matches!(self.phase(Role::Session), Some(Phase::Committing | Phase::Running))
            || self.session.as_ref().is_some_and(|e| e.listening)
    }

    /// An engine can use the plan. Commits come in an order: session, which begins to connect, is last.
    pub(crate) fn staged(&mut self, role: Role, generation: Generation) -> Outcome {
        if let Some(outcome) = self.next_staged(role, generation) {
            return outcome;
        }
        if generation != self.plan.generation || self.phase(role) != Some(Phase::Staging) {
            return self.misbehaved(role, &out_of_state(role, "Staged"));
        }
        with_engine!(self, role, e => {
            e.phase = Phase::Staged;
            // What it waits for now are others.
            e.deadline = None;
        });
        self.advance()
    }

    /// An engine can't use the plan: no use in trying again. Where it runs another one, it goes on with that.
    pub(crate) fn stage_refused(&mut self, role: Role, error: &str) -> Outcome {
        if self.reload_fails(|| NotInForce::Refused(format!("{}: {error}", role.name()))) {
            return Outcome::Fine;
        }
        tracing::error!(engine = role.name(), error, "engine refuses the configuration");
        Outcome::GiveUp(role)
    }

    /// An engine uses the plan.
    pub(crate) fn committed(&mut self, role: Role, generation: Generation) -> Outcome {
        if generation != self.plan.generation || self.phase(role) != Some(Phase::Committing) {
            return self.misbehaved(role, &out_of_state(role, "Committed"));
        }
        with_engine!(self, role, e => {
            e.phase = Phase::Running;
            e.deadline = None;
        });
        self.advance()
    }

    fn advance(&mut self) -> Outcome {
        let phases = [Role::Rde, Role::Control, Role::Session].map(|r| (r, self.phase(r)));
        if phases.iter().any(|(_, p)| matches!(p, None | Some(Phase::Staging))) {
            return Outcome::Fine;
        }
        for (role, phase) in phases {
            let others_run = phases[..2].iter().all(|(_, p)| *p == Some(Phase::Running));
            if phase == Some(Phase::Staged) && (role != Role::Session || others_run) {
                self.commit(role);
            }
        }
        if phases.iter().any(|(_, p)| *p != Some(Phase::Running)) {
            return Outcome::Fine;
        }
        match self.hand_out_listeners() {
            Ok(()) if self.reloading => {
                self.reload_is_done();
                Outcome::Fine
            }
            Ok(()) => Outcome::AllRunning,
            Err(error) => {
                tracing::error!(%error, "cannot copy the listeners");
                Outcome::GiveUp(Role::Parent)
            }
        }
    }

    fn commit(&mut self, role: Role) {
        let generation = self.plan.generation;
        match role {
            Role::Session => tell(&mut self.session, ParentToSession::Commit(generation), Vec::new()),
            Role::Rde => tell(&mut self.rde, ParentToRde::Commit(generation), Vec::new()),
            Role::Control => tell(&mut self.control, ParentToControl::Commit(generation), Vec::new()),
            Role::Parent => {}
        }
        with_engine!(self, role, e => {
            e.phase = Phase::Committing;
            e.deadline = Some(Instant::now() + ANSWER_WITHIN);
        });
    }

    fn hand_out_listeners(&mut self) -> io::Result<()> {
        if let Some(session) = self.session.as_mut().filter(|e| !e.listening) {
            for listener in &self.sockets.listeners {
                let message = ParentToSession::Listener { address: listener.address };
                session.tell_with(message, vec![listener.socket.try_clone()?]);
            }
            session.listening = true;
        }
        if let Some(control) = self.control.as_mut().filter(|e| !e.listening) {
            for listener in &self.listeners.all {
                let message = ParentToControl::Listener {
                    kind: listener.kind.clone(),
                    address: listener.address.clone(),
                };
                let fds = listener.fds.iter().map(OwnedFd::try_clone).collect::<io::Result<_>>()?;
                control.tell_with(message, fds);
            }
            control.listening = true;
        }
        Ok(())
    }

    /// An engine did what it must not: it is not trusted any more.
    pub(crate) fn misbehaved(&mut self, role: Role, error: &LinkError) -> Outcome {
        tracing::error!(engine = role.name(), %error, "engine misbehaved: killing it");
        self.kill(role);
        Outcome::Fine
    }

    /// The channel to an engine failed.
    pub(crate) fn link_failed(&mut self, role: Role, error: &LinkError) -> Outcome {
        if let LinkError::Closed { .. } = error {
            // It is about to end, and its own exit status says more than SIGKILL would.
            with_engine!(self, role, e => {
                let by = Instant::now() + EXIT_WITHIN;
                e.deadline = Some(e.deadline.map_or(by, |d| d.min(by)));
            });
            return Outcome::Fine;
        }
        self.misbehaved(role, error)
    }

    /// The process of an engine is gone.
    pub(crate) fn ended(&mut self, role: Role, status: &io::Result<ExitStatus>, now: Instant) -> Outcome {
        let condemned = with_engine!(self, role, e => e.condemned).unwrap_or(false);
        match role {
            Role::Session => self.session = None,
            Role::Rde => self.rde = None,
            Role::Control => self.control = None,
            Role::Parent => {}
        }
        if self.stopping {
            tracing::debug!(engine = role.name(), status = describe(status), "engine ended");
            return Outcome::Fine;
        }
        self.reload_fails(|| NotInForce::Ended(role));
        let mut wait = Duration::ZERO;
        if !condemned {
            tracing::error!(engine = role.name(), status = describe(status), "engine ended unexpectedly");
            match self.backoff[index(role)].died(now) {
                Verdict::GiveUp => return Outcome::GiveUp(role),
                Verdict::RestartAfter(after) => wait = after,
            }
            self.condemn_partners(role);
        }
        self.schedule_restart(role, now + wait);
        Outcome::Fine
    }

    fn condemn_partners(&mut self, role: Role) {
        for partner in together(role).iter().filter(|r| **r != role) {
            with_engine!(self, *partner, e => {
                e.condemned = true;
                e.kill();
            });
        }
    }

    fn schedule_restart(&mut self, role: Role, at: Instant) {
        for (group, restart) in TOGETHER.iter().zip(&mut self.restart_at) {
            if group.contains(&role) {
                *restart = Some(restart.map_or(at, |before| before.max(at)));
            }
        }
    }

    /// When [`on_time`](Self::on_time) has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let restarts = TOGETHER.iter().zip(self.restart_at).filter(|(group, _)| self.all_dead(group));
        let engines = [
            self.session.as_ref().and_then(|e| e.deadline),
            self.rde.as_ref().and_then(|e| e.deadline),
            self.control.as_ref().and_then(|e| e.deadline),
        ];
        let engines = engines.into_iter().flatten().chain(self.hung_at());
        restarts.filter_map(|(_, at)| at).chain(engines).chain(self.dynamic_deadline()).min()
    }

    fn all_dead(&self, group: &[Role]) -> bool {
        !group.iter().any(|r| self.lives(*r))
    }

    /// Kills engines whose time is up and starts those whose time has come.
    pub(crate) fn on_time(&mut self, now: Instant) -> Outcome {
        for role in [Role::Session, Role::Rde, Role::Control] {
            with_engine!(self, role, e => if e.deadline.is_some_and(|d| d <= now) {
                tracing::error!(engine = role.name(), "engine does not answer: killing it");
                e.deadline = None;
                e.kill();
            });
        }
        if !self.stopping {
            self.kill_hung(now);
        }
        for (n, group) in TOGETHER.iter().enumerate() {
            let due = self.restart_at[n].is_some_and(|at| at <= now) && self.all_dead(group);
            if due && !self.stopping {
                self.restart_at[n] = None;
                if let Err(error) = self.restart(group) {
                    tracing::error!(%error, "cannot start the engine again");
                    return Outcome::GiveUp(group[0]);
                }
            }
        }
        Outcome::Fine
    }

    fn restart(&mut self, group: &[Role]) -> io::Result<()> {
        let names: Vec<_> = group.iter().map(|r| r.name()).collect();
        tracing::warn!(engines = names.join(" "), "starting engines again");
        self.start(group)
    }

    /// From now on engines that end stay dead.
    pub(crate) fn stop_restarting(&mut self) {
        self.stopping = true;
        self.pending = None;
        self.restart_at = [None; 2];
    }

    /// Kills the engine of `role`, if it lives.
    pub(crate) fn kill(&mut self, role: Role) {
        with_engine!(self, role, e => e.kill());
    }

    /// Kills what is left.
    pub(crate) fn kill_all(&mut self) {
        [Role::Session, Role::Rde, Role::Control].into_iter().for_each(|role| self.kill(role));
    }
}

fn tell<M>(engine: &mut Option<Engine<M>>, message: M, fds: Vec<OwnedFd>) {
    if let Some(engine) = engine {
        engine.tell_with(message, fds);
    }
}

fn tell_all<M>(engine: &mut Option<Engine<M>>, messages: Vec<M>) {
    messages.into_iter().for_each(|m| tell(engine, m, Vec::new()));
}

fn together(role: Role) -> &'static [Role] {
    TOGETHER.into_iter().find(|group| group.contains(&role)).unwrap_or_default()
}

fn index(role: Role) -> usize {
    match role {
        Role::Session => 0,
        Role::Rde => 1,
        Role::Control | Role::Parent => 2,
    }
}

fn out_of_state(role: Role, message: &str) -> LinkError {
    LinkError::out_of_state(role, format!("{message} of a configuration that it was not asked about"))
}

/// An exit status in words; the signal of a seccomp filter is explained.
fn describe(status: &io::Result<ExitStatus>) -> String {
    match status {
        Err(error) => error.to_string(),
        Ok(status) if status.signal() == Some(nix::libc::SIGSYS) => {
            format!("{status}: it made a system call that its seccomp filter does not allow")
        }
        Ok(status) => status.to_string(),
    }
}
