//! Whether the engines are at work: all are asked every now and then, and one that does not answer is killed, which has it
//! started again like one that ends by itself.

use std::time::{Duration, Instant};

use ipc::parent_control::ParentToControl;
use ipc::parent_rde::ParentToRde;
use ipc::parent_session::ParentToSession;
use ipc::report::Report;
use ipc::{LinkError, Role};

use super::{Outcome, Supervisor};
use crate::engine::Engine;
use crate::pulse::Pulse;

impl Supervisor {
    /// How often [`ask_all`](Self::ask_all) is to be called.
    pub(crate) fn ask_every(&self) -> Duration {
        self.rhythm.every
    }

    /// Asks the engines that live whether they are at work. Says whether all were, lately: they are all there, and each
    /// has answered.
    pub(crate) fn ask_all(&mut self, now: Instant) -> bool {
        if self.stopping {
            // They are about to end, and that has its own deadlines.
            return true;
        }
        let healthy = self.all_healthy(now);
        if let Some((e, number)) = ask(&mut self.session, now) {
            e.tell(ParentToSession::Ping(number));
        }
        if let Some((e, number)) = ask(&mut self.rde, now) {
            e.tell(ParentToRde::Ping(number));
        }
        if let Some((e, number)) = ask(&mut self.control, now) {
            e.tell(ParentToControl::Ping(number));
        }
        healthy
    }

    fn all_healthy(&self, now: Instant) -> bool {
        let pulses = [
            self.session.as_ref().map(|e| &e.pulse),
            self.rde.as_ref().map(|e| &e.pulse),
            self.control.as_ref().map(|e| &e.pulse),
        ];
        pulses.iter().all(|pulse| pulse.is_some_and(|p| p.is_healthy(self.rhythm, now)))
    }

    /// An engine says that it is at work.
    pub(crate) fn pong(&mut self, role: Role, number: u32, report: Report, now: Instant) -> Outcome {
        let was_asked = with_engine!(self, role, e => e.is_killed() || e.pulse.answer(number, now));
        with_engine!(self, role, e => e.report = Some(report));
        match was_asked {
            Some(false) => {
                let error = LinkError::out_of_state(role, "answers a question that nobody has asked");
                self.misbehaved(role, &error)
            }
            _ => Outcome::Fine,
        }
    }

    /// When [`kill_hung`](Self::kill_hung) has something to do.
    pub(super) fn hung_at(&self) -> Option<Instant> {
        let engines = [
            self.session.as_ref().and_then(|e| e.pulse.hung_at(self.rhythm)),
            self.rde.as_ref().and_then(|e| e.pulse.hung_at(self.rhythm)),
            self.control.as_ref().and_then(|e| e.pulse.hung_at(self.rhythm)),
        ];
        engines.into_iter().flatten().filter(|_| !self.stopping).min()
    }

    /// Kills engines that do not answer.
    pub(super) fn kill_hung(&mut self, now: Instant) {
        let rhythm = self.rhythm;
        for role in [Role::Session, Role::Rde, Role::Control] {
            with_engine!(self, role, e => if e.pulse.hung_at(rhythm).is_some_and(|at| at <= now) {
                tracing::error!(engine = role.name(), "engine hangs: killing it");
                e.pulse = Pulse::default();
                e.kill();
            });
        }
    }
}

/// The engine and the number of the question that it is to be asked, if it is.
fn ask<Tx>(engine: &mut Option<Engine<Tx>>, now: Instant) -> Option<(&mut Engine<Tx>, u32)> {
    let engine = engine.as_mut().filter(|e| !e.is_killed())?;
    let number = engine.pulse.ask(now)?;
    Some((engine, number))
}
