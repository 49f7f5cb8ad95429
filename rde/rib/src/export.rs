//! What a group is sent of a route: may it have it, with which next hop, with which attributes.
//!
//! RFC 4271 §5.1 (attributes by kind of peer), §9.2 (no internal route to an internal peer), RFC 1997
//! (NO_EXPORT, NO_ADVERTISE), RFC 6793 §4.2.2 (towards 2-octet speakers), RFC 7947 §2.2 (clients of a route
//! server).

use std::net::Ipv4Addr;

use bgp::aspath::{self, AsPath};
use bgp::attr::canonical::{Canonical, SummaryFlags};
use bgp::attr::{RawAttribute, code, flags, write_attribute};
use bgp::{AS_TRANS, Asn, Family, NextHop};

use crate::attrs::{DEFAULT_LOCAL_PREF, Head};
use crate::pack::Shape;
use crate::peers::{PeerInfo, Rank};

/// Whether routes leave our AS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeerClass {
    /// eBGP.
    External,
    /// iBGP.
    Internal,
}

/// All that the octets for a peer depend on: peers with equal rules share a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) family: Family,
    pub(crate) class: PeerClass,
    /// External, and sent AS_PATH, next hop and MED as they are (RFC 7947 §2.2).
    pub(crate) transparent: bool,
    pub(crate) local_asn: u32,
    /// "Next hop self" for the family, where some routes need it.
    pub(crate) self_next_hop: Option<NextHop>,
    pub(crate) four_octet_as: bool,
    pub(crate) extended_next_hop: bool,
    pub(crate) max_message: usize,
}

/// A route as a peer is sent it, for those who want to look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its attributes in canonical form.
    pub attributes: Vec<u8>,
    /// Its next hop.
    pub next_hop: NextHop,
}

impl Rules {
    pub(crate) fn of(peer: &PeerInfo, family: Family) -> Rules {
        let v4 = peer.self_v4.map(NextHop::V4);
        let v6 = peer.self_v6.map(NextHop::V6);
        let ipv4 = family == Family::Ipv4Unicast;
        let transparent = peer.external() && peer.route_server_client;
        Rules {
            family,
            class: if peer.external() { PeerClass::External } else { PeerClass::Internal },
            transparent,
            local_asn: peer.local_asn,
            self_next_hop: match (ipv4, peer.extended_next_hop) {
                _ if transparent => None,
                (true, true) => v4.or(v6),
                (true, false) => v4,
                (false, _) => v6,
            },
            four_octet_as: peer.four_octet_as,
            extended_next_hop: ipv4 && peer.extended_next_hop,
            max_message: usize::from(peer.max_message),
        }
    }

    /// Whether the route may go to such peers at all.
    pub(crate) fn allow(&self, head: &Head, source: Rank) -> bool {
        let refused = match self.class {
            PeerClass::External => SummaryFlags::NO_ADVERTISE
                .with(SummaryFlags::NO_EXPORT)
                .with(SummaryFlags::NO_EXPORT_SUBCONFED),
            PeerClass::Internal if !source.external && !source.local => return false,
            PeerClass::Internal => SummaryFlags::NO_ADVERTISE,
        };
        !head.flags.intersects(refused)
    }

    /// The next hop to announce, or `None` where there is none that the peer could use. A route injected
    /// here keeps its next hop: who injects it says where the traffic shall go. So does every route to a
    /// client of a route server, which is not on the way of the traffic (RFC 7947 §2.2.1).
    pub(crate) fn next_hop(&self, received: NextHop, source: Rank) -> Option<NextHop> {
        let next_hop = match self.class {
            PeerClass::External if !source.local && !self.transparent => self.self_next_hop?,
            _ => received,
        };
        let usable = match (self.family, next_hop) {
            (Family::Ipv4Unicast, NextHop::V4(_)) => true,
            (Family::Ipv4Unicast, _) => self.extended_next_hop,
            (_, NextHop::V4(_)) => false,
            (_, _) => true,
        };
        usable.then_some(next_hop)
    }

    /// The form of messages with this next hop. `attributes` are those of
    /// [`write_attributes`](Self::write_attributes).
    pub(crate) fn shape<'a>(&self, attributes: &'a [u8], next_hop: NextHop) -> Shape<'a> {
        let native = self.family == Family::Ipv4Unicast && matches!(next_hop, NextHop::V4(_));
        Shape { attributes, mp: (!native).then_some(next_hop), max_message: self.max_message }
    }

    /// Appends the attributes for such peers, in the order of their types.
    pub(crate) fn write_attributes(
        &self,
        canonical: Canonical<'_>,
        source: Rank,
        next_hop: NextHop,
        out: &mut Vec<u8>,
    ) {
        let native = match (self.family, next_hop) {
            (Family::Ipv4Unicast, NextHop::V4(a)) => Some(a),
            _ => None,
        };
        self.rewrite(canonical, source, native, self.four_octet_as, out);
    }

    /// The route as such peers are sent it, in canonical form.
    pub(crate) fn outgoing(&self, canonical: Canonical<'_>, source: Rank, next_hop: NextHop) -> Outgoing {
        let mut attributes = Vec::new();
        self.rewrite(canonical, source, None, true, &mut attributes);
        Outgoing { attributes, next_hop }
    }

    fn rewrite(
        &self,
        canonical: Canonical<'_>,
        source: Rank,
        next_hop: Option<Ipv4Addr>,
        four_octet_as: bool,
        out: &mut Vec<u8>,
    ) {
        let external = self.class == PeerClass::External;
        let mut next_hop = next_hop;
        let mut local_pref = (!external).then_some(DEFAULT_LOCAL_PREF);
        let mut old_speaker = OldSpeaker::default();
        for RawAttribute { flags: attr_flags, code: attr_code, value, .. } in canonical.iter() {
            if attr_code > code::NEXT_HOP
                && let Some(a) = next_hop.take()
            {
                write_attribute(out, flags::WELL_KNOWN, code::NEXT_HOP, &a.octets());
            }
            if attr_code > code::LOCAL_PREF
                && let Some(p) = local_pref.take()
            {
                write_attribute(out, flags::WELL_KNOWN, code::LOCAL_PREF, &p.to_be_bytes());
            }
            match attr_code {
                code::AS_PATH => {
                    let prepend = (external && !self.transparent).then_some(self.local_asn);
                    let path = canonical.as_path();
                    if four_octet_as {
                        write_path(out, prepend, path);
                    } else {
                        old_speaker.write_path(out, prepend, path);
                    }
                }
                code::LOCAL_PREF if external => {}
                code::LOCAL_PREF => {
                    local_pref = None;
                    write_attribute(out, attr_flags, attr_code, value);
                }
                // RFC 4271 §5.1.4: not a neighbor's MED. Our own is ours to send, and a route server sends all
                // (RFC 7947 §2.2.3).
                code::MULTI_EXIT_DISC if external && !source.local && !self.transparent => {}
                code::ORIGINATOR_ID | code::CLUSTER_LIST if external => {}
                code::AGGREGATOR if !four_octet_as => old_speaker.write_aggregator(out, attr_flags, value),
                _ => {
                    if attr_code > code::AS4_PATH {
                        old_speaker.finish(out);
                    }
                    write_attribute(out, with_partial(attr_code, attr_flags), attr_code, value);
                }
            }
        }
        if let Some(a) = next_hop {
            write_attribute(out, flags::WELL_KNOWN, code::NEXT_HOP, &a.octets());
        }
        if let Some(p) = local_pref {
            write_attribute(out, flags::WELL_KNOWN, code::LOCAL_PREF, &p.to_be_bytes());
        }
        old_speaker.finish(out);
    }
}

/// RFC 4271 §5: what is passed on without being understood is marked.
fn with_partial(attr_code: u8, attr_flags: u8) -> u8 {
    if code::specified_flags(attr_code).is_some() { attr_flags } else { attr_flags | flags::PARTIAL }
}

/// Writes AS_PATH with `prepend` in front.
fn write_path(out: &mut Vec<u8>, prepend: Option<u32>, path: AsPath<'_>) {
    let Some(asn) = prepend else {
        return write_attribute(out, flags::WELL_KNOWN, code::AS_PATH, path.as_bytes());
    };
    // A path of up to 60 ASes is written in place: its length takes one octet, whatever is put in front.
    if path.as_bytes().len() <= 240 {
        let start = out.len();
        out.extend_from_slice(&[flags::WELL_KNOWN, code::AS_PATH, 0]);
        aspath::prepend(out, Asn(asn), 1, path);
        let len = out.len() - start - 3;
        if let (Some(place), Ok(len)) = (out.get_mut(start + 2), u8::try_from(len)) {
            *place = len;
        }
        return;
    }
    let mut value = Vec::with_capacity(path.as_bytes().len() + 6);
    aspath::prepend(&mut value, Asn(asn), 1, path);
    write_attribute(out, flags::WELL_KNOWN, code::AS_PATH, &value);
}

/// What a 2-octet speaker needs beside: the 4-octet forms that it passes on unread.
#[derive(Debug, Default)]
struct OldSpeaker {
    as4_path: Vec<u8>,
    as4_aggregator: Vec<u8>,
}

impl OldSpeaker {
    fn write_path(&mut self, out: &mut Vec<u8>, prepend: Option<u32>, path: AsPath<'_>) {
        let mut whole = Vec::with_capacity(path.as_bytes().len() + 6);
        match prepend {
            Some(asn) => aspath::prepend(&mut whole, Asn(asn), 1, path),
            None => whole.extend_from_slice(path.as_bytes()),
        }
        let mut short = Vec::with_capacity(whole.len());
        let translated = AsPath::parse(&whole).is_some_and(|path| aspath::write_two_octet(&mut short, path));
        write_attribute(out, flags::WELL_KNOWN, code::AS_PATH, &short);
        if translated {
            self.as4_path = whole;
        }
    }

    fn write_aggregator(&mut self, out: &mut Vec<u8>, attr_flags: u8, value: &[u8]) {
        let [0, 0, short @ ..] = value else {
            self.as4_aggregator = value.to_vec();
            let mut short = AS_TRANS.to_be_bytes().to_vec();
            short.extend_from_slice(value.get(4..).unwrap_or_default());
            return write_attribute(out, attr_flags, code::AGGREGATOR, &short);
        };
        write_attribute(out, attr_flags, code::AGGREGATOR, short);
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        for (attr_code, value) in
            [(code::AS4_PATH, &mut self.as4_path), (code::AS4_AGGREGATOR, &mut self.as4_aggregator)]
        {
            if !value.is_empty() {
                write_attribute(out, flags::OPTIONAL_TRANSITIVE, attr_code, value);
                value.clear();
            }
        }
    }
}
