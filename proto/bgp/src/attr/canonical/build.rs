//! Attributes of routes that we make ourselves.

use std::collections::BTreeMap;

use super::write;
use crate::aspath::AsPathBuf;
use crate::attr::{Attributes, Origin, PathAttribute, next_attribute};
use crate::types::FamilySet;
use crate::update::ReadContext;
use crate::wire::Reader;

/// Collects typed attributes and writes them in canonical form. It begins with what every route has:
/// ORIGIN IGP and an empty AS_PATH.
#[derive(Debug, Clone)]
pub struct Builder(BTreeMap<u8, PathAttribute>);

impl Default for Builder {
    fn default() -> Builder {
        Builder::new()
    }
}

impl Builder {
    /// The attributes of a route of our own.
    pub fn new() -> Builder {
        Builder(BTreeMap::new())
            .with(PathAttribute::Origin(Origin::Igp))
            .with(PathAttribute::AsPath(AsPathBuf::new()))
    }

    /// Adds an attribute, in place of one of the same type. NEXT_HOP, MP_REACH_NLRI, MP_UNREACH_NLRI,
    /// AS4_PATH and AS4_AGGREGATOR have no place in canonical form and are left out of it.
    #[must_use]
    pub fn with(mut self, attribute: PathAttribute) -> Builder {
        self.set(attribute);
        self
    }

    /// Adds an attribute: see [`Builder::with`].
    pub fn set(&mut self, attribute: PathAttribute) {
        // A list of nothing is no attribute (RFC 7606 §7.8).
        let empty = match &attribute {
            PathAttribute::Communities(list) => list.is_empty(),
            PathAttribute::ClusterList(list) => list.is_empty(),
            PathAttribute::ExtendedCommunities(list) => list.is_empty(),
            PathAttribute::Ipv6ExtendedCommunities(list) => list.is_empty(),
            PathAttribute::LargeCommunities(list) => list.is_empty(),
            _ => false,
        };
        if empty {
            self.0.remove(&attribute.code());
        } else {
            self.0.insert(attribute.code(), attribute);
        }
    }

    /// The attributes in canonical form.
    pub fn build(&self) -> Vec<u8> {
        let mut wire = Vec::new();
        for attribute in self.0.values() {
            attribute.encode(&mut wire, true);
        }
        let mut attributes = Attributes::default();
        let mut reader = Reader(&wire);
        while let Ok(attribute) = next_attribute(&mut reader) {
            attributes.insert(attribute);
        }
        let ctx = ReadContext {
            four_octet_as: true,
            external: false,
            families: FamilySet::EMPTY,
            add_path: FamilySet::EMPTY,
        };
        let mut out = Vec::with_capacity(wire.len());
        write(&attributes, &ctx, &mut out);
        out
    }
}
