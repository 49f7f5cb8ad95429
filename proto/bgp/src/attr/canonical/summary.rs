//! What the decision process and the export rules ask of attributes, found once.

use crate::aspath::{AsPath, RawSegment, SegmentKind, Width, raw_segments};
use crate::attr::{RawAttribute, code};
use crate::community::well_known;
use crate::wire::words;

use super::Canonical;

/// Yes-or-no facts about attributes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub struct SummaryFlags(u16);

impl SummaryFlags {
    /// None of them.
    pub const EMPTY: SummaryFlags = SummaryFlags(0);
    /// Community NO_EXPORT (RFC 1997).
    pub const NO_EXPORT: SummaryFlags = SummaryFlags(1);
    /// Community NO_ADVERTISE (RFC 1997).
    pub const NO_ADVERTISE: SummaryFlags = SummaryFlags(1 << 1);
    /// Community NO_EXPORT_SUBCONFED (RFC 1997).
    pub const NO_EXPORT_SUBCONFED: SummaryFlags = SummaryFlags(1 << 2);
    /// Community NOPEER (RFC 3765).
    pub const NOPEER: SummaryFlags = SummaryFlags(1 << 3);
    /// Community BLACKHOLE (RFC 7999).
    pub const BLACKHOLE: SummaryFlags = SummaryFlags(1 << 4);
    /// Community GRACEFUL_SHUTDOWN (RFC 8326).
    pub const GRACEFUL_SHUTDOWN: SummaryFlags = SummaryFlags(1 << 5);
    /// Community LLGR_STALE (RFC 9494).
    pub const LLGR_STALE: SummaryFlags = SummaryFlags(1 << 6);
    /// Community NO_LLGR (RFC 9494).
    pub const NO_LLGR: SummaryFlags = SummaryFlags(1 << 7);
    /// The path has an AS_SET or AS_CONFED_SET (RFC 9774).
    pub const HAS_AS_SET: SummaryFlags = SummaryFlags(1 << 8);
    /// ONLY_TO_CUSTOMER is there (RFC 9234).
    pub const HAS_OTC: SummaryFlags = SummaryFlags(1 << 9);
    /// An unknown transitive attribute is there; it is sent on with its Partial flag set (RFC 4271 §5).
    pub const HAS_UNKNOWN: SummaryFlags = SummaryFlags(1 << 10);

    /// Whether all of `flags` are set.
    #[inline]
    pub const fn contains(self, flags: SummaryFlags) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Whether one of `flags` is set.
    #[inline]
    pub const fn intersects(self, flags: SummaryFlags) -> bool {
        self.0 & flags.0 != 0
    }

    /// Those of them that are in `flags` too.
    #[must_use]
    pub const fn of(self, flags: SummaryFlags) -> SummaryFlags {
        SummaryFlags(self.0 & flags.0)
    }

    /// Sets `flags`.
    #[inline]
    pub const fn insert(&mut self, flags: SummaryFlags) {
        self.0 |= flags.0;
    }

    /// The set with `flags` as well.
    #[must_use]
    pub const fn with(self, flags: SummaryFlags) -> SummaryFlags {
        SummaryFlags(self.0 | flags.0)
    }

    /// The bits.
    #[inline]
    pub const fn bits(self) -> u16 {
        self.0
    }
}

/// The facts that are asked for often.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Summary {
    /// LOCAL_PREF.
    pub local_pref: Option<u32>,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// ORIGIN: the lower is preferred.
    pub origin: u8,
    /// Length of the path in the decision process: a set counts one, confederation segments nothing.
    pub path_len: u16,
    /// The neighbor AS of the MED comparison: the first AS of a path that begins with a sequence, else 0
    /// (RFC 4271 §9.1.2.2 c).
    pub neighbor_as: u32,
    /// The last AS of a path that ends with a sequence, else 0.
    pub origin_as: u32,
    /// How many clusters the route passed (RFC 4456 §9).
    pub cluster_list_len: u8,
    /// ORIGINATOR_ID.
    pub originator_id: Option<u32>,
    /// Yes-or-no facts.
    pub flags: SummaryFlags,
}

impl Summary {
    /// Takes in an attribute in canonical form.
    #[inline]
    pub(super) fn note(&mut self, code: u8, value: &[u8]) {
        let number = || value.first_chunk::<4>().map(|b| u32::from_be_bytes(*b));
        match code {
            code::ORIGIN => self.origin = value.first().copied().unwrap_or_default(),
            code::AS_PATH => self.note_path(value),
            code::MULTI_EXIT_DISC => self.med = number(),
            code::LOCAL_PREF => self.local_pref = number(),
            code::ATOMIC_AGGREGATE
            | code::AGGREGATOR
            | code::EXTENDED_COMMUNITIES
            | code::IPV6_EXTENDED_COMMUNITIES
            | code::LARGE_COMMUNITY => {}
            code::COMMUNITIES => self.note_communities(value),
            code::ORIGINATOR_ID => self.originator_id = number(),
            code::CLUSTER_LIST => {
                self.cluster_list_len = u8::try_from(value.len() / 4).unwrap_or(u8::MAX);
            }
            code::ONLY_TO_CUSTOMER => self.flags.insert(SummaryFlags::HAS_OTC),
            _ => self.flags.insert(SummaryFlags::HAS_UNKNOWN),
        }
    }

    #[inline]
    fn note_path(&mut self, value: &[u8]) {
        // Nearly every path is one sequence.
        if let [kind, count, asns @ ..] = value
            && *kind == SegmentKind::Sequence as u8
            && asns.len() == 4 * usize::from(*count)
        {
            let end = |chunk: Option<&[u8; 4]>| chunk.map_or(0, |b| u32::from_be_bytes(*b));
            self.path_len = u16::from(*count);
            self.neighbor_as = end(asns.first_chunk());
            self.origin_as = end(asns.last_chunk());
            return;
        }
        let path = AsPath::from_checked(value);
        let len: usize = raw_segments(value, Width::Four).map(RawSegment::decision_len).sum();
        self.path_len = u16::try_from(len).unwrap_or(u16::MAX);
        self.neighbor_as = path.first_as().map_or(0, |a| a.0);
        self.origin_as = path.origin_as().map_or(0, |a| a.0);
        if path.has_set() {
            self.flags.insert(SummaryFlags::HAS_AS_SET);
        }
    }

    /// The well-known ones are the last in order, so that the first one from the end that is not ends the
    /// search.
    #[inline]
    fn note_communities(&mut self, value: &[u8]) {
        for community in words(value).rev() {
            if community < 0xffff_0000 {
                break;
            }
            self.flags.insert(match community {
                well_known::NO_EXPORT => SummaryFlags::NO_EXPORT,
                well_known::NO_ADVERTISE => SummaryFlags::NO_ADVERTISE,
                well_known::NO_EXPORT_SUBCONFED => SummaryFlags::NO_EXPORT_SUBCONFED,
                well_known::NOPEER => SummaryFlags::NOPEER,
                well_known::BLACKHOLE => SummaryFlags::BLACKHOLE,
                well_known::GRACEFUL_SHUTDOWN => SummaryFlags::GRACEFUL_SHUTDOWN,
                well_known::LLGR_STALE => SummaryFlags::LLGR_STALE,
                well_known::NO_LLGR => SummaryFlags::NO_LLGR,
                _ => SummaryFlags::EMPTY,
            });
        }
    }
}

/// The summary of attributes in canonical form.
pub fn summarize(canonical: &[u8]) -> Summary {
    let mut summary = Summary::default();
    for RawAttribute { code, value, .. } in Canonical::new(canonical).iter() {
        summary.note(code, value);
    }
    summary
}
