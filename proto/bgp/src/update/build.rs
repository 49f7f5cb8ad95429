//! A plain encoder of UPDATEs, for tests and tools: everything into one message, in the order given. What
//! peers are sent is packed where the tables are.

use ipnet::IpNet;

use crate::attr::PathAttribute;
use crate::header::{self, MessageType};
use crate::nlri;

/// The parts of an UPDATE.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpdateBuilder {
    /// Withdrawn Routes: IPv4 prefixes with their path identifiers, where there are some.
    pub withdrawn: Vec<(Option<u32>, IpNet)>,
    /// Path attributes in the order of the wire.
    pub attributes: Vec<PathAttribute>,
    /// NLRI: IPv4 prefixes with their path identifiers, where there are some.
    pub announced: Vec<(Option<u32>, IpNet)>,
}

impl UpdateBuilder {
    /// The body: the message without its header. Each field must fit its 2-octet length.
    pub fn body(&self, four_octet_as: bool) -> Vec<u8> {
        let mut withdrawn = Vec::new();
        self.withdrawn.iter().for_each(|(id, p)| nlri::write(&mut withdrawn, *id, *p));
        let mut attributes = Vec::new();
        self.attributes.iter().for_each(|a| a.encode(&mut attributes, four_octet_as));
        let mut out = Vec::with_capacity(withdrawn.len() + attributes.len() + 4);
        for field in [withdrawn, attributes] {
            out.extend_from_slice(&u16::try_from(field.len()).unwrap_or(u16::MAX).to_be_bytes());
            out.extend_from_slice(&field);
        }
        self.announced.iter().for_each(|(id, p)| nlri::write(&mut out, *id, *p));
        out
    }

    /// The whole message with its header.
    pub fn message(&self, four_octet_as: bool) -> Vec<u8> {
        let mut out = Vec::new();
        let start = header::write(&mut out, MessageType::Update);
        out.extend_from_slice(&self.body(four_octet_as));
        header::finish(&mut out, start);
        out
    }
}
