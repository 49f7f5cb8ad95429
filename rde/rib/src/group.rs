//! Update groups: peers that would be sent the same octets for a family share one.

use std::collections::HashMap;

use crate::column::{Column, SlotSet};
use crate::default_route::DefaultRoute;
use crate::export::Rules;
use crate::instead::Instead;
use crate::pacing::Pacing;
use crate::peers::PeerIdx;
use crate::regroup::Copying;
use crate::sent_paths::SentPaths;

/// A member's way back into the shared stream: what it still has to be sent on its own.
#[derive(Debug, Default)]
pub(crate) struct CatchUp {
    /// The column from here on was not walked yet.
    pub(crate) cursor: u32,
    /// Slots before this one were sent earlier, though they are being sent again.
    pub(crate) known: u32,
    /// Slots that the member knows and that changed; each is held.
    pub(crate) pending: SlotSet,
    /// The path identifiers that the member has of these, where there are any (RFC 7911).
    pub(crate) held: HashMap<u32, Box<[u32]>>,
}

impl CatchUp {
    /// For a member that has all that is in the column, and from now on only hears of changes on its own.
    pub(crate) fn behind() -> CatchUp {
        CatchUp { cursor: u32::MAX, known: u32::MAX, ..CatchUp::default() }
    }

    /// Whether the member was ever told of the slot, so that a change must be told too.
    pub(crate) fn knows(&self, slot: u32) -> bool {
        slot < self.cursor.max(self.known)
    }

    /// Whether nothing is left to be sent, for now.
    pub(crate) fn has_all(&self, column: &Column) -> bool {
        self.pending.is_empty() && self.cursor >= column.len()
    }

    /// Everything is sent once more.
    pub(crate) fn restart(&mut self) {
        self.known = self.known.max(self.cursor);
        self.cursor = 0;
    }
}

/// A member of a group.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) peer: PeerIdx,
    /// `None`: it gets the shared stream.
    pub(crate) catch_up: Option<Box<CatchUp>>,
    /// All its routes carry GRACEFUL_SHUTDOWN: it does not join the shared stream (RFC 8326 §4.2).
    pub(crate) draining: bool,
    /// It waits for the End-of-RIB of its initial table (RFC 4724 §2).
    pub(crate) end_of_rib_due: bool,
    /// It is being sent all again on request (RFC 2918 §4).
    pub(crate) refreshing: bool,
    /// How many routes it was last said to have; `None`: nobody asks.
    pub(crate) reported: Option<u64>,
}

impl Member {
    /// Whether it was sent all that the group has.
    pub(crate) fn has_all(&self, column: &Column) -> bool {
        self.catch_up.as_ref().is_none_or(|c| c.has_all(column))
    }
}

/// An update group of one family.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) id: u32,
    pub(crate) rules: Rules,
    /// Announced in place of the table's.
    pub(crate) default_route: Option<DefaultRoute>,
    pub(crate) members: Vec<Member>,
    /// Members in the shared stream, by [`PeerIdx`].
    stream: Vec<u64>,
    pub(crate) column: Column,
    /// What is sent beyond the best paths (RFC 7911). The column has an entry where a list has a path that is sent.
    pub(crate) paths: Option<Box<SentPaths>>,
    /// What a member that a best path is from is sent instead (RFC 7947 §2.3).
    pub(crate) instead: Option<Box<Instead>>,
    /// When announcements leave; `None`: at once.
    pub(crate) pacing: Option<Box<Pacing>>,
    /// Slots from here on were not marked since the group began.
    pub(crate) build: Option<u32>,
    /// The initial table is out when so many slots were taken from the queue.
    pub(crate) ready_at: Option<u64>,
    /// The initial table is out.
    pub(crate) ready: bool,
    /// The last member has left; the column is being taken down from here on.
    pub(crate) teardown: Option<u32>,
    /// It is still being made of another group, for members to come.
    pub(crate) copying: Option<Copying>,
    /// A copy of it is being made: slots whose routes have changed since it was begun. They are not held.
    pub(crate) copied: Option<Box<SlotSet>>,
}

impl Group {
    pub(crate) fn new(id: u32, rules: Rules) -> Group {
        let paths = rules.add_path.map(|limit| Box::new(SentPaths::new(limit)));
        let instead = rules.own_best().then(Box::default);
        // With several paths of a prefix there is none.
        let pacing = Pacing::new(if paths.is_some() { 0 } else { rules.advertisement_interval });
        Group {
            id,
            rules,
            default_route: None,
            members: Vec::new(),
            stream: Vec::new(),
            column: Column::default(),
            paths,
            instead,
            pacing,
            build: Some(0),
            ready_at: None,
            ready: false,
            teardown: None,
            copying: None,
            copied: None,
        }
    }

    /// Whether nothing waits to be sent.
    pub(crate) fn is_quiet(&self) -> bool {
        self.column.is_quiet() && self.pacing.as_ref().is_none_or(|p| p.is_quiet())
    }

    pub(crate) fn in_stream(&self, peer: PeerIdx) -> bool {
        let (word, bit) = (usize::from(peer.0 / 64), peer.0 % 64);
        self.stream.get(word).is_some_and(|w| w >> bit & 1 == 1)
    }

    pub(crate) fn set_in_stream(&mut self, peer: PeerIdx, on: bool) {
        let (word, bit) = (usize::from(peer.0 / 64), peer.0 % 64);
        if self.stream.len() <= word {
            self.stream.resize(word + 1, 0);
        }
        self.stream[word] = self.stream[word] & !(1 << bit) | u64::from(on) << bit;
    }

    pub(crate) fn member(&self, peer: PeerIdx) -> Option<&Member> {
        self.members.iter().find(|m| m.peer == peer)
    }

    /// The rules for what a member is sent on its own.
    pub(crate) fn rules_for(&self, peer: PeerIdx) -> Rules {
        Rules { draining: self.member(peer).is_some_and(|m| m.draining), ..self.rules.clone() }
    }

    /// How many members get the shared stream.
    pub(crate) fn stream_len(&self) -> u32 {
        self.stream.iter().map(|w| w.count_ones()).sum()
    }

    /// Whether changes behind the best path concern the group.
    pub(crate) fn looks_behind_best(&self) -> bool {
        self.paths.is_some() || self.instead.is_some()
    }

    /// How many routes this member has been sent: prefixes, or with add-path, paths.
    pub(crate) fn advertised_to(&self, peer: PeerIdx) -> u64 {
        self.paths.as_ref().map_or_else(|| self.prefixes_to(peer), |p| p.advertised_to(peer))
    }

    /// To how many prefixes this member has been sent routes.
    pub(crate) fn prefixes_to(&self, peer: PeerIdx) -> u64 {
        let own = self.paths.as_ref().map_or_else(|| self.column.routes_from(peer), |p| p.only_from(peer));
        self.column.routes - own + self.instead.as_ref().map_or(0, |i| i.sent_to(peer))
    }
}
