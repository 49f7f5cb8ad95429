//! What is counted of a peer beyond its messages: NOTIFICATIONs by what they say, changes of state.

use std::collections::BTreeMap;

use bgp::Notification;
use ipc::control_session::{FsmState, NotificationCount, Transition, UNASSIGNED};

use crate::status::fsm_state;

/// The counters of a peer. Bounded whatever the peer sends: all codes that no RFC assigns are one.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    notifications: BTreeMap<(bool, u8, u8), u64>,
    transitions: [[u64; FsmState::ALL.len()]; FsmState::ALL.len()],
}

impl Tally {
    /// A connection ended with this NOTIFICATION, which was sent or received.
    pub(crate) fn notification(&mut self, sent: bool, notification: &Notification) {
        let Notification { code, subcode, .. } = *notification;
        let code = notification.code_name().map_or(UNASSIGNED, |_| code);
        // No subcode at all is 0 with every code.
        let assigned = code != UNASSIGNED && (subcode == 0 || notification.subcode_name().is_some());
        let subcode = if assigned { subcode } else { UNASSIGNED };
        *self.notifications.entry((sent, code, subcode)).or_default() += 1;
    }

    /// The state was `from` before an event and is `to` after it.
    pub(crate) fn state(&mut self, from: fsm::State, to: fsm::State) {
        if from == to {
            return;
        }
        let row = self.transitions.get_mut(fsm_state(from) as usize);
        if let Some(count) = row.and_then(|r| r.get_mut(fsm_state(to) as usize)) {
            *count += 1;
        }
    }

    /// The NOTIFICATIONs that there were.
    pub(crate) fn notifications(&self) -> Vec<NotificationCount> {
        let all = self.notifications.iter();
        all.map(|(&(sent, code, subcode), &count)| NotificationCount { sent, code, subcode, count }).collect()
    }

    /// The changes of state that there were.
    pub(crate) fn transitions(&self) -> Vec<Transition> {
        let rows = FsmState::ALL.into_iter().zip(&self.transitions);
        rows.flat_map(|(from, row)| FsmState::ALL.into_iter().zip(row).map(move |(to, n)| (from, to, *n)))
            .filter(|(_, _, count)| *count > 0)
            .map(|(from, to, count)| Transition { from, to, count })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_sends_every_code_is_counted_in_a_bounded_number_of_ways() {
        let mut tally = Tally::default();
        for code in 0..=u8::MAX {
            for subcode in 0..=u8::MAX {
                tally.notification(false, &Notification { code, subcode, data: Vec::new() });
            }
        }
        let counted = tally.notifications();
        assert_eq!(counted.iter().map(|c| c.count).sum::<u64>(), 65_536);
        assert!(counted.len() < 80, "{}", counted.len());
        let of =
            |code, subcode| counted.iter().find(|c| (c.code, c.subcode) == (code, subcode)).map(|c| c.count);
        assert_eq!(of(6, 2), Some(1), "Administrative Shutdown");
        assert_eq!(of(4, 0), Some(1), "Hold Timer Expired");
        assert_eq!(of(4, UNASSIGNED), Some(255));
        assert_eq!(of(UNASSIGNED, UNASSIGNED), Some(248 * 256));
    }

    #[test]
    fn changes_of_state_are_counted_by_both_ends() {
        let mut tally = Tally::default();
        tally.state(fsm::State::Idle, fsm::State::Idle);
        for _ in 0..2 {
            tally.state(fsm::State::OpenConfirm, fsm::State::Established);
        }
        tally.state(fsm::State::Established, fsm::State::Idle);
        let (from, to) = (FsmState::OpenConfirm, FsmState::Established);
        let up = Transition { from, to, count: 2 };
        let down = Transition { from: to, to: FsmState::Idle, count: 1 };
        assert_eq!(tally.transitions(), [up, down]);
    }
}
