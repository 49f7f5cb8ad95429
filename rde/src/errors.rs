//! What was wrong with UPDATEs (RFC 7606): counted for each peer, and the last ones kept with their octets, beyond
//! the sessions.

use std::collections::BTreeMap;

use bgp::{AttributeFault, Verdict};
use ipc::errors::{FaultCount, LastErrors, PeerError, Wrong};

/// Different faults of a peer that are counted each for itself; beyond, they are counted without their attribute.
const DIFFERENT: usize = 128;

/// Attribute, kind, verdict.
type Key = (u8, u8, Verdict);

/// The faults of a peer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    counts: BTreeMap<Key, u64>,
    last: LastErrors,
}

impl Faults {
    /// Notes what is wrong with an UPDATE of this body.
    pub(crate) fn note(&mut self, fault: &AttributeFault, octets: &[u8]) {
        let kind = u8::try_from(fault.kind.number()).unwrap_or(u8::MAX);
        let mut key = (fault.code, kind, fault.verdict);
        if self.counts.len() >= DIFFERENT && !self.counts.contains_key(&key) {
            key.0 = 0;
        }
        *self.counts.entry(key).or_default() += 1;
        let what =
            Wrong::Update { attribute: fault.code, kind, verdict: fault.verdict, text: fault.to_string() };
        self.last.push(PeerError::new(what, octets));
    }

    /// The last ones, the oldest first.
    pub(crate) fn last(&self) -> Vec<PeerError> {
        self.last.to_vec()
    }

    /// How often what was wrong.
    pub(crate) fn counts(&self) -> Vec<FaultCount> {
        list(&self.counts)
    }
}

impl Faults {
    /// Those of a peer that is gone count on, without attributes.
    pub(crate) fn absorb(&mut self, gone: &Faults) {
        for ((_, kind, verdict), count) in &gone.counts {
            *self.counts.entry((0, *kind, *verdict)).or_default() += count;
        }
    }
}

/// The sum over peers; without attributes, so that it is a short list however many there are.
pub(crate) fn sum<'a>(all: impl Iterator<Item = &'a Faults>) -> Vec<FaultCount> {
    let mut sum: BTreeMap<Key, u64> = BTreeMap::new();
    for ((_, kind, verdict), count) in all.flat_map(|f| &f.counts) {
        *sum.entry((0, *kind, *verdict)).or_default() += count;
    }
    list(&sum)
}

fn list(counts: &BTreeMap<Key, u64>) -> Vec<FaultCount> {
    let count = |((attribute, kind, verdict), count): (&Key, &u64)| FaultCount {
        attribute: *attribute,
        kind: *kind,
        verdict: *verdict,
        count: *count,
    };
    counts.iter().map(count).collect()
}

/// The octets to show for a fault: those of the attribute, or of the body where it is about none.
pub(crate) fn octets<'a>(fault: &AttributeFault, body: &'a [u8]) -> &'a [u8] {
    match fault.bytes(body) {
        [] => body,
        attribute => attribute,
    }
}
