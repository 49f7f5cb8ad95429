//! Each member its own best path (RFC 7947 §2.3), where a group is made of clients of our route server.
//!
//! Paths are ranked for all alike, and a member is sent the first one that it may have. What a member may not have for
//! itself alone is what is from it. So all but the source of the first path that the group may have are sent that one,
//! as the column says, and only its source another one: the first that is from somebody else. These exceptions are
//! kept here, where there are any.

use smallvec::SmallVec;

use crate::attrs::AttrId;
use crate::column::Sent;
use crate::decide::{Candidate, best, rank};
use crate::family::{Shared, candidate};
use crate::group::Group;
use crate::paths::Path;
use crate::peers::PeerIdx;
use crate::slots::{Addr, Slots};

/// What the members of a group are sent of a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sends {
    /// All but its source.
    pub(crate) best: Sent,
    /// Its source.
    pub(crate) instead: Sent,
}

impl Sends {
    pub(crate) const NOTHING: Sends = Sends { best: Sent::NOTHING, instead: Sent::NOTHING };

    /// Whether both say the same of the routes.
    pub(crate) fn same_routes(&self, other: &Sends) -> bool {
        self.best.same_route(&other.best) && self.instead.same_route(&other.instead)
    }

    /// Whether a member that was sent a route before is sent none now.
    pub(crate) fn takes_from(&self, before: &Sends) -> bool {
        let loses = |member| before.to(member).attr.is_some() && !self.to(member).attr.is_some();
        let all = before.best.attr.is_some() && !self.best.attr.is_some();
        all || loses(before.best.source) || loses(self.best.source)
    }

    /// What a member is sent.
    pub(crate) fn to(&self, member: PeerIdx) -> Sent {
        if self.best.source == member { self.instead } else { self.best }
    }
}

/// Prefixes whose exceptions lie together, by a power of 2.
const CHUNK: u32 = 8;

/// What the source of a prefix's best path is sent: 8 octets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exception {
    attr: AttrId,
    source: PeerIdx,
    /// Which slot of the chunk.
    at: u8,
    last_choice: bool,
}

/// The exceptions of a group, by slot. Chunks without any take no more than their place.
#[derive(Debug, Default)]
pub(crate) struct Instead {
    /// In the order of slots.
    chunks: Vec<Vec<Exception>>,
    /// How many each member is sent, indexed by [`PeerIdx`].
    to: Vec<u32>,
}

#[expect(clippy::cast_possible_truncation, reason = "a place within a chunk")]
fn place(slot: u32) -> (usize, u8) {
    ((slot >> CHUNK) as usize, slot as u8)
}

impl Instead {
    pub(crate) fn get(&self, slot: u32) -> Sent {
        let (chunk, at) = place(slot);
        let Some(chunk) = self.chunks.get(chunk) else { return Sent::NOTHING };
        let found = chunk.binary_search_by_key(&at, |e| e.at).ok().and_then(|n| chunk.get(n));
        found.map_or(Sent::NOTHING, |e| {
            let Exception { attr, source, last_choice, .. } = *e;
            Sent { attr, source, last_choice, dirty: false }
        })
    }

    /// What members are sent of a prefix changes.
    pub(crate) fn change(&mut self, slot: u32, old: &Sends, new: &Sends) {
        let (had, has) = (old.instead.attr.is_some(), new.instead.attr.is_some());
        if had {
            self.to[old.best.source.index()] -= 1;
        }
        if has {
            let member = new.best.source.index();
            if self.to.len() <= member {
                self.to.resize(member + 1, 0);
            }
            self.to[member] += 1;
            self.put(slot, new.instead);
        } else if had {
            self.remove(slot);
        }
    }

    fn put(&mut self, slot: u32, route: Sent) {
        let (chunk, at) = place(slot);
        if self.chunks.len() <= chunk {
            self.chunks.resize_with(chunk + 1, Vec::new);
        }
        let Some(chunk) = self.chunks.get_mut(chunk) else { return };
        let Sent { attr, source, last_choice, .. } = route;
        let exception = Exception { attr, source, at, last_choice };
        match chunk.binary_search_by_key(&at, |e| e.at) {
            Ok(n) => chunk[n] = exception,
            Err(n) => chunk.insert(n, exception),
        }
    }

    fn remove(&mut self, slot: u32) {
        let (chunk, at) = place(slot);
        let Some(chunk) = self.chunks.get_mut(chunk) else { return };
        if let Ok(n) = chunk.binary_search_by_key(&at, |e| e.at) {
            chunk.remove(n);
        }
        if chunk.is_empty() {
            *chunk = Vec::new();
            while self.chunks.pop_if(|c| c.is_empty()).is_some() {}
        } else if chunk.len() * 4 <= chunk.capacity() {
            chunk.shrink_to(chunk.len() * 2);
        }
    }

    /// How many this member is sent.
    pub(crate) fn sent_to(&self, member: PeerIdx) -> u64 {
        self.to.get(member.index()).copied().unwrap_or(0).into()
    }
}

impl Group {
    /// What the members have been sent of a prefix.
    pub(crate) fn sends(&self, slot: u32) -> Sends {
        let best = self.column.get(slot);
        let instead = self.instead.as_ref().map_or(Sent::NOTHING, |i| i.get(slot));
        Sends { best, instead }
    }

    /// What the members should have of a prefix with these paths.
    pub(crate) fn own_best<A: Addr>(
        &self,
        shared: &mut Shared,
        slots: &Slots<A>,
        paths: &[Path],
        slot: u32,
    ) -> Sends {
        let mut sends = Sends::NOTHING;
        let Some((first, rest)) = paths.split_first() else { return sends };
        // The usual end: there is one path, or all may have the best one.
        let enough = self.offer(shared, slots, slot, &mut sends, first);
        let has_best = sends.best.attr.is_some();
        if enough || rest.is_empty() || (has_best && rest.iter().all(|p| p.peer == first.peer)) {
            return sends;
        }
        let candidates = |shared: &Shared, paths: &[Path]| -> SmallVec<[Candidate; 8]> {
            paths.iter().map(|p| candidate::<A>(shared, p)).collect()
        };
        let second = match rest {
            [_] => Some(0),
            _ => best(&candidates(shared, rest), shared.med_always_compare),
        };
        let second = second.and_then(|at| rest.get(at));
        let enough = second.is_some_and(|p| self.offer(shared, slots, slot, &mut sends, p));
        if !enough && rest.len() > 1 {
            let ranked = rank(&candidates(shared, paths), shared.med_always_compare);
            let mut ranked = ranked.iter().filter_map(|at| paths.get(*at));
            ranked.any(|p| self.offer(shared, slots, slot, &mut sends, p));
        }
        sends
    }

    /// The next path in the order of the decision process; says whether no further one is asked for.
    fn offer<A: Addr>(
        &self,
        shared: &mut Shared,
        slots: &Slots<A>,
        slot: u32,
        sends: &mut Sends,
        path: &Path,
    ) -> bool {
        let has_best = sends.best.attr.is_some();
        if has_best && path.peer == sends.best.source {
            return false;
        }
        let Some(sent) = self.may_have(shared, slots, slot, path) else { return false };
        if has_best {
            sends.instead = sent;
            return true;
        }
        sends.best = sent;
        // Only a client can be a member that is not sent it.
        !shared.peers.rank(path.peer).route_server_client
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn sends() -> impl Strategy<Value = Sends> {
        let route = |attr, source| Sent {
            attr: AttrId(attr),
            source: PeerIdx(source),
            last_choice: attr == 2,
            dirty: false,
        };
        (0..3_u32, 1..4_u16, 0..3_u32).prop_map(move |(best, source, instead)| match best {
            0 => Sends::NOTHING,
            _ => Sends {
                best: route(best, source),
                instead: if instead > 0 { route(instead, 9) } else { Sent::NOTHING },
            },
        })
    }

    proptest! {
        #[test]
        fn exceptions_are_those_of_a_map_and_take_no_room_where_there_are_none(
            changes in prop::collection::vec((0..40_u32, sends()), 1..200),
        ) {
            let (mut instead, mut model) = (Instead::default(), HashMap::new());
            let change = |instead: &mut Instead, model: &mut HashMap<u32, Sends>, slot, new: Sends| {
                let old = model.insert(slot, new).unwrap_or(Sends::NOTHING);
                instead.change(slot, &old, &new);
            };
            for (slot, new) in changes {
                change(&mut instead, &mut model, slot * 100, new);
                for slot in (0..40).map(|n| n * 100) {
                    let expected = model.get(&slot).map_or(Sent::NOTHING, |s| s.instead);
                    prop_assert!(instead.get(slot).same_route(&expected));
                }
                for member in (0..5).map(PeerIdx) {
                    let has = |s: &&Sends| s.instead.attr.is_some() && s.best.source == member;
                    prop_assert_eq!(instead.sent_to(member), model.values().filter(has).count() as u64);
                }
            }
            for slot in model.keys().copied().collect::<Vec<_>>() {
                change(&mut instead, &mut model, slot, Sends::NOTHING);
            }
            prop_assert!(instead.chunks.is_empty());
        }
    }
}
