//! Typed attributes to their wire form.

use super::typed::{Aggregator, PathPrefix};
use super::{PathAttribute, code, flags, write_attribute};
use crate::aspath;
use crate::nlri;
use crate::types::{Family, NextHop};

impl PathAttribute {
    /// Appends the attribute; `four_octet_as` says how AS_PATH and AGGREGATOR carry AS numbers
    /// (RFC 6793 §4.2).
    pub fn encode(&self, out: &mut Vec<u8>, four_octet_as: bool) {
        if let PathAttribute::Unknown { flags, code, value } = self {
            return write_attribute(out, *flags, *code, value);
        }
        let code = self.code();
        let mut value = Vec::new();
        self.value(&mut value, four_octet_as);
        write_attribute(out, code::specified_flags(code).unwrap_or(flags::OPTIONAL), code, &value);
    }

    fn value(&self, out: &mut Vec<u8>, four_octet_as: bool) {
        match self {
            PathAttribute::Origin(origin) => out.push(*origin as u8),
            PathAttribute::AsPath(path) if four_octet_as => {
                out.extend_from_slice(path.as_path().as_bytes());
            }
            PathAttribute::AsPath(path) => {
                aspath::write_two_octet(out, path.as_path());
            }
            PathAttribute::As4Path(path) => out.extend_from_slice(path.as_path().as_bytes()),
            PathAttribute::NextHop(address) => out.extend_from_slice(&address.octets()),
            PathAttribute::MultiExitDisc(n) | PathAttribute::LocalPref(n) => {
                out.extend_from_slice(&n.to_be_bytes());
            }
            PathAttribute::OnlyToCustomer(asn) => out.extend_from_slice(&asn.0.to_be_bytes()),
            PathAttribute::OriginatorId(id) => out.extend_from_slice(&id.0.octets()),
            PathAttribute::AtomicAggregate => {}
            PathAttribute::Aggregator(a) if !four_octet_as => {
                out.extend_from_slice(&a.asn.to_two_octets().to_be_bytes());
                out.extend_from_slice(&a.address.octets());
            }
            PathAttribute::Aggregator(a) | PathAttribute::As4Aggregator(a) => aggregator(out, *a),
            PathAttribute::Communities(list) => list.iter().for_each(|c| out.extend(c.0.to_be_bytes())),
            PathAttribute::ClusterList(list) => list.iter().for_each(|id| out.extend(id.0.octets())),
            PathAttribute::ExtendedCommunities(list) => {
                list.iter().for_each(|c| out.extend(c.0.to_be_bytes()));
            }
            PathAttribute::Ipv6ExtendedCommunities(list) => list.iter().for_each(|c| out.extend(c)),
            PathAttribute::LargeCommunities(list) => {
                list.iter().flat_map(|c| [c.0, c.1, c.2]).for_each(|n| out.extend(n.to_be_bytes()));
            }
            PathAttribute::MpReach { family, next_hop, nlri } => {
                mp_head(out, *family);
                mp_next_hop(out, *next_hop);
                // Reserved.
                out.push(0);
                prefixes(out, nlri);
            }
            PathAttribute::MpUnreach { family, nlri } => {
                mp_head(out, *family);
                prefixes(out, nlri);
            }
            PathAttribute::Unknown { value, .. } => out.extend_from_slice(value),
        }
    }
}

fn aggregator(out: &mut Vec<u8>, a: Aggregator) {
    out.extend_from_slice(&a.asn.0.to_be_bytes());
    out.extend_from_slice(&a.address.octets());
}

fn mp_head(out: &mut Vec<u8>, family: Family) {
    out.extend_from_slice(&family.afi().0.to_be_bytes());
    out.push(family.safi().0);
}

/// Appends the length and the next hop as MP_REACH_NLRI has them (RFC 4760 §3, RFC 2545 §3, RFC 8950 §3).
pub fn mp_next_hop(out: &mut Vec<u8>, next_hop: NextHop) {
    match next_hop {
        NextHop::V4(a) => {
            out.push(4);
            out.extend_from_slice(&a.octets());
        }
        NextHop::V6(a) => {
            out.push(16);
            out.extend_from_slice(&a.octets());
        }
        NextHop::V6Pair(global, link_local) => {
            out.push(32);
            out.extend_from_slice(&global.octets());
            out.extend_from_slice(&link_local.octets());
        }
    }
}

fn prefixes(out: &mut Vec<u8>, list: &[PathPrefix]) {
    for (id, prefix) in list {
        nlri::write(out, *id, *prefix);
    }
}
