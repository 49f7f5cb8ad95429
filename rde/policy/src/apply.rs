//! What a chain changes about a route that it permits.
//!
//! Of scalars the last one of the chain wins. Communities are removed and added policy by policy, so that what comes
//! later wins as well; within a statement removal goes first. The result is in canonical form, as tables keep it.

use bgp::aspath::{AsPath, prepend};
use bgp::attr::{code, flags, write_attribute};
use bgp::{Asn, NextHop};
use ipnet::IpNet;

use crate::chain::Chain;
use crate::def::{Change, NextHopChange};
use crate::eval::Scratch;
use crate::route::Route;
use crate::sets::{CommunityTest, Matcher, exact};

/// The longest value of an attribute, in octets.
const LONGEST: usize = u16::MAX as usize;

/// The changes of a statement.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    local_pref: Option<u32>,
    med: Option<u32>,
    next_hop: Option<NextHopChange>,
    prepend: Option<(Asn, u8)>,
    remove: CommunityTest,
    add: Added,
}

/// Communities to add, sorted.
#[derive(Debug, Default)]
struct Added {
    standard: Box<[[u8; 4]]>,
    extended: Box<[[u8; 8]]>,
    large: Box<[[u8; 12]]>,
}

/// What a chain changes, put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summed {
    /// LOCAL_PREF.
    pub local_pref: Option<u32>,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// The next hop.
    pub next_hop: Option<NextHopChange>,
    /// The AS to put in front, and how often.
    pub prepend: Option<(Asn, u8)>,
}

impl Changes {
    pub(crate) fn new(written: &[Change]) -> Changes {
        let mut changes = Changes::default();
        let mut added = Vec::new();
        let mut removed = Vec::new();
        for change in written {
            match change {
                Change::LocalPref(n) => changes.local_pref = Some(*n),
                Change::Med(n) => changes.med = Some(*n),
                Change::NextHop(n) => changes.next_hop = Some(*n),
                Change::Prepend { asn, count } => changes.prepend = Some((Asn(*asn), *count)),
                Change::AddCommunities(list) => added.extend(list.iter().map(|c| exact(*c))),
                Change::RemoveCommunities(list) => removed.extend_from_slice(list),
            }
        }
        changes.remove = removed.iter().collect();
        changes.add =
            Added { standard: of_length(&added), extended: of_length(&added), large: of_length(&added) };
        changes
    }

    pub(crate) fn is_empty(&self) -> bool {
        let scalars = (self.local_pref, self.med, self.next_hop, self.prepend) == (None, None, None, None);
        scalars && !self.touches_standard() && !self.touches_extended() && !self.touches_large()
    }

    fn touches_standard(&self) -> bool {
        !self.add.standard.is_empty() || !self.remove.standard.is_empty()
    }

    fn touches_extended(&self) -> bool {
        !self.add.extended.is_empty() || !self.remove.extended.is_empty()
    }

    fn touches_large(&self) -> bool {
        !self.add.large.is_empty() || !self.remove.large.is_empty()
    }
}

/// Those that have `N` octets, sorted, each once.
fn of_length<const N: usize>(all: &[Vec<u8>]) -> Box<[[u8; N]]> {
    let mut list: Vec<[u8; N]> = all.iter().filter_map(|c| c.as_slice().try_into().ok()).collect();
    list.sort_unstable();
    list.dedup();
    list.into()
}

/// Room for lists of communities.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    standard: Vec<[u8; 4]>,
    extended: Vec<[u8; 8]>,
    large: Vec<[u8; 12]>,
    path: Vec<u8>,
}

impl Chain {
    /// Appends the attributes of the route as the chain changes it, in canonical form without next hop, and returns
    /// the next hop to set. `scratch` is that of the evaluation of this very route, which permitted it.
    ///
    /// What would not fit an attribute (65535 octets) is not added.
    pub fn apply(&self, route: &Route<'_>, scratch: &mut Scratch, out: &mut Vec<u8>) -> Summed {
        let permitted = std::mem::take(&mut scratch.permitted);
        let find = |(policy, statement): &(u16, u16)| {
            let policy = self.policies.get(usize::from(*policy))?;
            policy.statements.get(usize::from(*statement)).map(|s| &s.changes)
        };
        let steps = || permitted.iter().filter_map(find);
        let mut summed = sum(steps());
        summed.next_hop = summed.next_hop.filter(|n| suits(route.prefix, *n));
        let mut writer = Writer { summed, out };
        let lists = &mut scratch.lists;
        let touched = Touched::by(&summed, steps());
        let mut new = NEW.into_iter().filter(|c| touched.has(*c)).peekable();
        // What nothing touches is copied in pieces as long as can be.
        let octets = route.attributes.as_bytes();
        let (mut same_from, mut at) = (0, 0);
        for attribute in route.attributes.iter() {
            let begin = at;
            at += attribute.octets();
            if new.peek().is_some_and(|c| *c <= attribute.code) {
                writer.out.extend_from_slice(octets.get(same_from..begin).unwrap_or_default());
                same_from = begin;
            }
            while let Some(code) = new.next_if(|c| *c < attribute.code) {
                writer.missing(code, steps(), lists);
            }
            if new.next_if_eq(&attribute.code).is_some() {
                writer.attribute(attribute.flags, attribute.code, attribute.value, steps(), lists);
                same_from = at;
            }
        }
        writer.out.extend_from_slice(octets.get(same_from..at).unwrap_or_default());
        new.for_each(|code| writer.missing(code, steps(), lists));
        scratch.permitted = permitted;
        summed
    }
}

fn sum<'c>(steps: impl Iterator<Item = &'c Changes>) -> Summed {
    steps.fold(Summed::default(), |before, c| Summed {
        local_pref: c.local_pref.or(before.local_pref),
        med: c.med.or(before.med),
        next_hop: c.next_hop.or(before.next_hop),
        prepend: c.prepend.or(before.prepend),
    })
}

/// Whether a route of this prefix can have this next hop: IPv4 routes may have IPv6 ones (RFC 8950), not the other way
/// round.
fn suits(prefix: IpNet, next_hop: NextHopChange) -> bool {
    match next_hop {
        NextHopChange::OurAddress => true,
        NextHopChange::Address(a) => a.is_ipv6() || prefix.addr().is_ipv4(),
    }
}

impl Summed {
    /// The next hop of the route: the one to set, where `ours` is our address towards the peer, or what it has. `None`
    /// where we have no address to name.
    pub fn next_hop_of(&self, received: NextHop, ours: Option<NextHop>) -> Option<NextHop> {
        match self.next_hop {
            None => Some(received),
            Some(NextHopChange::Address(a)) => Some(a.into()),
            Some(NextHopChange::OurAddress) => ours,
        }
    }
}

/// The attributes that a change may bring in, in order.
const NEW: [u8; 6] = [
    code::AS_PATH,
    code::MULTI_EXIT_DISC,
    code::LOCAL_PREF,
    code::COMMUNITIES,
    code::EXTENDED_COMMUNITIES,
    code::LARGE_COMMUNITY,
];

/// Which of these attributes changes touch, a bit for each code.
#[derive(Debug, Clone, Copy)]
struct Touched(u64);

impl Touched {
    fn by<'c>(summed: &Summed, steps: impl Iterator<Item = &'c Changes>) -> Touched {
        let bit = |touches: bool, code: u8| u64::from(touches) << code;
        let scalars = bit(summed.prepend.is_some(), code::AS_PATH)
            | bit(summed.med.is_some(), code::MULTI_EXIT_DISC)
            | bit(summed.local_pref.is_some(), code::LOCAL_PREF);
        let lists = |c: &Changes| {
            bit(c.touches_standard(), code::COMMUNITIES)
                | bit(c.touches_extended(), code::EXTENDED_COMMUNITIES)
                | bit(c.touches_large(), code::LARGE_COMMUNITY)
        };
        Touched(steps.fold(scalars, |touched, c| touched | lists(c)))
    }

    fn has(self, code: u8) -> bool {
        self.0 >> code & 1 == 1
    }
}

struct Writer<'o> {
    summed: Summed,
    out: &'o mut Vec<u8>,
}

impl Writer<'_> {
    /// Writes what changes that touch it make of an attribute that is not there.
    fn missing<'c>(&mut self, code: u8, steps: impl Iterator<Item = &'c Changes>, lists: &mut Lists) {
        let specified = code::specified_flags(code).unwrap_or(flags::OPTIONAL_TRANSITIVE);
        self.attribute(specified, code, &[], steps, lists);
    }

    /// Writes an attribute that changes touch; an empty value is one that is not there.
    fn attribute<'c>(
        &mut self,
        attr_flags: u8,
        attr_code: u8,
        value: &[u8],
        steps: impl Iterator<Item = &'c Changes>,
        lists: &mut Lists,
    ) {
        let number = |set: Option<u32>| set.map(u32::to_be_bytes);
        match attr_code {
            code::AS_PATH => self.path(attr_flags, value, &mut lists.path),
            code::MULTI_EXIT_DISC | code::LOCAL_PREF => {
                let is_med = attr_code == code::MULTI_EXIT_DISC;
                let set = number(if is_med { self.summed.med } else { self.summed.local_pref });
                write_attribute(self.out, attr_flags, attr_code, set.as_ref().map_or(value, |octets| octets));
            }
            code::COMMUNITIES => {
                let edits = steps.map(|c| (c.touches_standard(), &c.remove.standard, &*c.add.standard));
                self.list(attr_flags, attr_code, value, edits, &mut lists.standard);
            }
            code::EXTENDED_COMMUNITIES => {
                let edits = steps.map(|c| (c.touches_extended(), &c.remove.extended, &*c.add.extended));
                self.list(attr_flags, attr_code, value, edits, &mut lists.extended);
            }
            code::LARGE_COMMUNITY => {
                let edits = steps.map(|c| (c.touches_large(), &c.remove.large, &*c.add.large));
                self.list(attr_flags, attr_code, value, edits, &mut lists.large);
            }
            _ => write_attribute(self.out, attr_flags, attr_code, value),
        }
    }

    fn path(&mut self, attr_flags: u8, value: &[u8], room: &mut Vec<u8>) {
        room.clear();
        if let (Some((asn, times)), Some(path)) = (self.summed.prepend, AsPath::parse(value)) {
            prepend(room, asn, times.into(), path);
        }
        let changed = !room.is_empty() && room.len() <= LONGEST;
        write_attribute(self.out, attr_flags, code::AS_PATH, if changed { room } else { value });
    }

    fn list<'c, const N: usize>(
        &mut self,
        attr_flags: u8,
        attr_code: u8,
        value: &[u8],
        edits: impl Iterator<Item = (bool, &'c Matcher<N>, &'c [[u8; N]])>,
        room: &mut Vec<[u8; N]>,
    ) {
        room.clear();
        room.extend_from_slice(value.as_chunks().0);
        for (_, remove, add) in edits.filter(|(touches, ..)| *touches) {
            if !remove.is_empty() {
                room.retain(|c| !remove.has(c));
            }
            for community in add {
                if let Err(place) = room.binary_search(community)
                    && (room.len() + 1) * N <= LONGEST
                {
                    room.insert(place, *community);
                }
            }
        }
        // A list of nothing is no attribute (RFC 7606 §7.8).
        if !room.is_empty() {
            write_attribute(self.out, attr_flags, attr_code, room.as_flattened());
        }
    }
}
