//! Another configuration for engines that run: staged with all of them, then in force in all, or in none.
//!
//! What can fail comes first: each engine checks what it is told, and the listeners get their keys. An engine that ends
//! before that is done takes the reload with it; one that ends later is started again with what is in force by then.

use std::time::Instant;

use ipc::parent_control::ParentToControl;
use ipc::parent_rde::ParentToRde;
use ipc::parent_session::ParentToSession;
use ipc::{Generation, LinkError, PeerId, Role};

use super::{Outcome, Supervisor, tell, tell_all};
use crate::edit::{FileError, Replacement};
use crate::engine::{ANSWER_WITHIN, Phase};
use crate::plan::{Internal, Plan};
use crate::sockets::Peers;

const ALL: [Role; 3] = [Role::Rde, Role::Control, Role::Session];

/// What the engines are asked about.
#[derive(Debug)]
pub(super) struct Pending {
    plan: Plan,
    peers: Peers,
    /// What the configuration file becomes, where it is not the file that was read.
    file: Option<Replacement>,
    /// Who has not answered.
    waiting: Vec<Role>,
}

/// Why a configuration was not put in force. All is as before then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotInForce {
    /// An engine can't use it, or the system does not let us.
    #[error("{0}")]
    Refused(String),
    /// An engine ended before it had answered.
    #[error("{} ended meanwhile", .0.name())]
    Ended(Role),
    /// The configuration file can't be replaced.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Supervisor {
    /// Whether all engines run, and nothing is on its way to them.
    pub(crate) fn may_reload(&self) -> bool {
        let all_run = ALL.iter().all(|role| self.phase(*role) == Some(Phase::Running));
        all_run && self.pending.is_none() && !self.reloading && !self.stopping && !self.is_adding()
    }

    /// Whether another configuration is on its way.
    pub(crate) fn is_reloading(&self) -> bool {
        self.pending.is_some() || self.reloading
    }

    /// Asks the engines whether they can use `plan`, and has them use it if they can: how that ends is
    /// [told](Self::take_reloaded) later. Before they do, the configuration file becomes `file`.
    ///
    /// # Errors
    /// Where the plan does not fit into messages.
    pub(crate) fn begin_reload(
        &mut self,
        plan: Plan,
        peers: Peers,
        file: Option<Replacement>,
    ) -> Result<(), LinkError> {
        let (session, rde, control) = (plan.for_session()?, plan.for_rde()?, plan.for_control()?);
        tell_all(&mut self.session, session);
        tell_all(&mut self.rde, rde);
        tell_all(&mut self.control, control);
        let by = Instant::now() + ANSWER_WITHIN;
        ALL.iter().for_each(|role| self.set_deadline(*role, Some(by)));
        self.pending = Some(Pending { plan, peers, file, waiting: ALL.to_vec() });
        Ok(())
    }

    /// How a reload ended that was begun; once.
    pub(crate) fn take_reloaded(&mut self) -> Option<Result<(), NotInForce>> {
        self.reloaded.take()
    }

    /// The peer was removed a moment ago: session may not have heard of it.
    pub(crate) fn is_retired(&self, peer: PeerId) -> bool {
        self.retired.contains(&peer)
    }

    /// Remembers that the operator wants the peer down or up.
    pub(crate) fn set_shutdown(&mut self, peer: PeerId, shutdown: bool) {
        self.plan.set_shutdown(peer, shutdown);
        if let Some(pending) = &mut self.pending {
            pending.plan.set_shutdown(peer, shutdown);
        }
    }

    /// Remembers whether the operator wants the session with the peer shut down gracefully.
    ///
    /// # Errors
    /// Where the peer is internal.
    pub(crate) fn set_draining(&mut self, peer: PeerId, draining: bool) -> Result<(), Internal> {
        self.plan.set_draining(peer, draining)?;
        if let Some(pending) = &mut self.pending {
            // It may be internal from then on, and is not drained then.
            pending.plan.set_draining(peer, draining).ok();
        }
        Ok(())
    }

    /// An engine can use what it was asked about; `None`: it was not asked.
    pub(super) fn next_staged(&mut self, role: Role, generation: Generation) -> Option<Outcome> {
        let pending = self.pending.as_mut().filter(|p| p.plan.generation == generation)?;
        let asked = pending.waiting.iter().position(|waiting| *waiting == role)?;
        pending.waiting.remove(asked);
        self.set_deadline(role, None);
        match self.pending.take_if(|p| p.waiting.is_empty()) {
            Some(pending) => Some(self.put_in_force(pending)),
            None => Some(Outcome::Fine),
        }
    }

    fn put_in_force(&mut self, pending: Pending) -> Outcome {
        if let Err(error) = self.change_files_and_keys(pending.peers, pending.file) {
            self.abort(pending.plan.generation);
            self.reloaded = Some(Err(error));
            return Outcome::Fine;
        }
        self.retired = self.plan.not_in(&pending.plan);
        self.ranges_change(self.plan.ranges());
        self.plan = pending.plan;
        self.reloading = true;
        for role in ALL {
            self.set_phase(role, Phase::Staged);
        }
        self.advance()
    }

    /// The last steps that can fail. What is done is undone then.
    fn change_files_and_keys(&mut self, peers: Peers, file: Option<Replacement>) -> Result<(), NotInForce> {
        let before = self.sockets.change(peers).map_err(|error| NotInForce::Refused(error.to_string()))?;
        let published = file.map_or(Ok(()), Replacement::publish);
        if published.is_err()
            && let Err(error) = self.sockets.change(before)
        {
            tracing::error!(%error, "cannot set the keys of before again");
        }
        Ok(published?)
    }

    /// All engines use what is in force.
    pub(super) fn reload_is_done(&mut self) {
        self.reloading = false;
        self.retired.clear();
        self.reloaded = Some(Ok(()));
    }

    /// What the engines are asked about is forgotten; `false`: they are not asked about anything.
    pub(super) fn reload_fails(&mut self, why: impl FnOnce() -> NotInForce) -> bool {
        let Some(pending) = self.pending.take() else { return false };
        self.abort(pending.plan.generation);
        self.reloaded = Some(Err(why()));
        true
    }

    fn abort(&mut self, generation: Generation) {
        tell(&mut self.session, ParentToSession::Abort(generation), Vec::new());
        tell(&mut self.rde, ParentToRde::Abort(generation), Vec::new());
        tell(&mut self.control, ParentToControl::Abort(generation), Vec::new());
        ALL.iter().for_each(|role| self.set_deadline(*role, None));
    }
}
