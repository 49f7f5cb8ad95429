//! Errors that peers made, as they are kept for operators: the last ones of each peer, with the octets concerned.

use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

use bgp::Verdict;
use serde::{Deserialize, Serialize};

/// How many errors are kept of a peer, in each of the processes that finds some.
pub const KEPT: usize = 16;

/// How many of an error's octets are kept.
pub const MAX_OCTETS: usize = 256;

/// An error that a peer made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerError {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// What was wrong.
    pub what: Wrong,
    /// The octets concerned, the first [`MAX_OCTETS`] of them.
    pub octets: Vec<u8>,
    /// How many there were.
    pub len: u32,
}

/// What was wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wrong {
    /// An UPDATE. The octets are those of the attribute, or of the message's body where it is about no attribute.
    Update {
        /// Type code of the attribute, 0 = none.
        attribute: u8,
        /// Number of the kind: a place in [`bgp::FaultKind::NAMES`].
        kind: u8,
        /// What followed.
        verdict: Verdict,
        /// In words.
        text: String,
    },
    /// Something for which we ended a connection. The octets are the data of the NOTIFICATION.
    Notification {
        /// Error code (RFC 4271 §4.5).
        code: u8,
        /// Error subcode.
        subcode: u8,
        /// In words.
        text: String,
    },
}

impl PeerError {
    /// An error of now.
    pub fn new(what: Wrong, octets: &[u8]) -> PeerError {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        PeerError {
            at: since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
            what,
            octets: octets.get(..MAX_OCTETS).unwrap_or(octets).to_vec(),
            len: u32::try_from(octets.len()).unwrap_or(u32::MAX),
        }
    }
}

/// The last errors of a peer.
#[derive(Debug, Clone, Default)]
pub struct LastErrors(VecDeque<PeerError>);

impl LastErrors {
    /// Adds one; the oldest goes where there are too many.
    pub fn push(&mut self, error: PeerError) {
        if self.0.len() >= KEPT {
            self.0.pop_front();
        }
        self.0.push_back(error);
    }

    /// All, the oldest first.
    pub fn to_vec(&self) -> Vec<PeerError> {
        self.0.iter().cloned().collect()
    }
}

/// How often the same was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultCount {
    /// Type code of the attribute, 0 = none.
    pub attribute: u8,
    /// Number of the kind: a place in [`bgp::FaultKind::NAMES`].
    pub kind: u8,
    /// What followed.
    pub verdict: Verdict,
    /// How often.
    pub count: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_errors_are_kept_and_the_beginning_of_their_octets() {
        let mut last = LastErrors::default();
        for n in 0..100_u8 {
            let what = Wrong::Notification { code: 1, subcode: n, text: String::new() };
            last.push(PeerError::new(what, &vec![n; 10 * usize::from(n)]));
        }
        let kept = last.to_vec();
        let subcodes: Vec<u8> = (kept.iter())
            .map(|e| match e.what {
                Wrong::Notification { subcode, .. } => subcode,
                Wrong::Update { .. } => 0,
            })
            .collect();
        assert_eq!(subcodes, (84..100).collect::<Vec<u8>>());
        assert!(kept.iter().all(|e| e.octets.len() == MAX_OCTETS && e.len >= 840 && e.at > 0));
    }
}
