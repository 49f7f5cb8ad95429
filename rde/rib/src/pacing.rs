//! Pacing: announcements to a group leave at most every so many seconds, withdrawals at once (RFC 4271 §9.2.1.1).
//!
//! A round begins with the first announcement after a pause and ends when nothing is left to be sent. From then on what would
//! be announced waits, each prefix once, and what has to be withdrawn does not.

use crate::column::{Column, SlotSet};
use crate::slots::{Addr, Slots};

/// Where a group is between two rounds of announcements.
#[derive(Debug)]
pub(crate) struct Pacing {
    /// Milliseconds from one round to the next.
    interval: u64,
    /// Nothing is announced before.
    opens_at: u64,
    /// It is before that.
    closed: bool,
    /// Something was announced in this round.
    announced: bool,
    /// Slots with something to announce in the next round; each is held.
    waiting: SlotSet,
}

impl Pacing {
    /// For this many seconds; `None` for 0.
    pub(crate) fn new(seconds: u16) -> Option<Box<Pacing>> {
        (seconds > 0).then(|| {
            let interval = u64::from(seconds) * 1000;
            Box::new(Pacing {
                interval,
                opens_at: 0,
                closed: false,
                announced: false,
                waiting: SlotSet::default(),
            })
        })
    }

    /// What is to be announced waits.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Nothing waits.
    pub(crate) fn is_quiet(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Something is announced.
    pub(crate) fn announces(&mut self) {
        self.announced = true;
    }

    /// The slot is announced in the next round; `true` where it did not wait yet, so that it stays held.
    pub(crate) fn wait(&mut self, slot: u32) -> bool {
        self.waiting.insert(slot)
    }

    /// Queues what has waited, where it is time; returns how many slots that were. `ready`: the initial table is out,
    /// which is a round of its own.
    pub(crate) fn step<A: Addr>(
        &mut self,
        now: u64,
        ready: bool,
        column: &mut Column,
        slots: &mut Slots<A>,
        budget: u32,
    ) -> u32 {
        self.closed = ready && now < self.opens_at;
        if self.closed {
            return 0;
        }
        let mut queued = 0;
        while queued < budget
            && let Some(slot) = self.waiting.pop()
        {
            queued += 1;
            if !column.mark(slot) {
                slots.let_go(slot);
            }
        }
        queued
    }

    /// All of this round is sent.
    pub(crate) fn round_ends(&mut self, now: u64) {
        if !self.closed && std::mem::take(&mut self.announced) {
            self.opens_at = now + self.interval;
        }
    }

    /// The group ends.
    pub(crate) fn give_up<A: Addr>(&mut self, slots: &mut Slots<A>) {
        while let Some(slot) = self.waiting.pop() {
            slots.let_go(slot);
        }
    }
}
