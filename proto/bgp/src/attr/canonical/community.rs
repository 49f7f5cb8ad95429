//! A community more in attributes that are in canonical form.

use super::Canonical;
use crate::attr::{RawAttribute, code, flags, write_attribute};

/// The attributes with this standard community as well, in canonical form again.
pub fn with_community(canonical: Canonical<'_>, community: u32) -> Vec<u8> {
    let community = community.to_be_bytes();
    let mut out = Vec::with_capacity(canonical.as_bytes().len() + 8);
    let mut due = true;
    for RawAttribute { flags: attr_flags, code: attr_code, value, .. } in canonical.iter() {
        if attr_code == code::COMMUNITIES {
            write_attribute(&mut out, attr_flags, attr_code, &with(value, community));
            due = false;
            continue;
        }
        if due && attr_code > code::COMMUNITIES {
            write_attribute(&mut out, flags::OPTIONAL_TRANSITIVE, code::COMMUNITIES, &community);
            due = false;
        }
        write_attribute(&mut out, attr_flags, attr_code, value);
    }
    if due {
        write_attribute(&mut out, flags::OPTIONAL_TRANSITIVE, code::COMMUNITIES, &community);
    }
    out
}

/// The list with one more at its place in the order, once.
fn with(list: &[u8], community: [u8; 4]) -> Vec<u8> {
    let (items, _) = list.as_chunks::<4>();
    let (before, behind) = items.split_at(items.partition_point(|c| *c < community));
    let behind = behind.strip_prefix(&[community]).unwrap_or(behind);
    [before.as_flattened(), &community, behind.as_flattened()].concat()
}
