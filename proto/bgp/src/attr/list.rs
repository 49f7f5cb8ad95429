//! The accepted attributes of one UPDATE: slices of the message, sorted by type code.

use smallvec::SmallVec;

use super::flags;
use crate::wire::Reader;

/// An attribute as it is on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawAttribute<'a> {
    /// Flags: [`flags`].
    pub flags: u8,
    /// Type code: [`code`](super::code).
    pub code: u8,
    /// The value without flags, code and length.
    pub value: &'a [u8],
}

impl RawAttribute<'_> {
    /// How many octets it has in all.
    #[inline]
    pub fn octets(&self) -> usize {
        let head = if self.flags & flags::EXTENDED == 0 { 3 } else { 4 };
        head + self.value.len()
    }
}

/// Why no attribute could be taken off (RFC 7606 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Truncated,
    /// With what can still be read of it.
    Overrun {
        code: u8,
    },
}

/// Takes an attribute off the front; there must be at least one octet.
#[inline]
pub(crate) fn next_attribute<'a>(reader: &mut Reader<'a>) -> Result<RawAttribute<'a>, Framing> {
    let mut ahead = *reader;
    let [flags, code] = ahead.array().ok_or(Framing::Truncated)?;
    let len =
        if flags & flags::EXTENDED == 0 { ahead.u8().map(usize::from) } else { ahead.u16().map(usize::from) };
    let value = ahead.take(len.ok_or(Framing::Truncated)?).ok_or(Framing::Overrun { code })?;
    *reader = ahead;
    Ok(RawAttribute { flags, code, value })
}

/// Accepted attributes, each type code at most once, without MP_REACH_NLRI and MP_UNREACH_NLRI.
#[derive(Debug, Clone, Default)]
pub struct Attributes<'a> {
    list: SmallVec<[RawAttribute<'a>; 12]>,
}

impl<'a> Attributes<'a> {
    /// Adds an attribute whose type code is not there yet.
    #[inline]
    pub(crate) fn insert(&mut self, attribute: RawAttribute<'a>) {
        let in_order = self.list.last().is_none_or(|last| last.code < attribute.code);
        if in_order {
            self.list.push(attribute);
        } else {
            let at = self.list.partition_point(|a| a.code < attribute.code);
            self.list.insert(at, attribute);
        }
    }

    /// The attribute of this type code.
    #[inline]
    pub fn raw(&self, code: u8) -> Option<&RawAttribute<'a>> {
        self.list.iter().find(|a| a.code == code)
    }

    /// The value of the attribute of this type code.
    #[inline]
    pub fn get(&self, code: u8) -> Option<&'a [u8]> {
        self.raw(code).map(|a| a.value)
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All, sorted by type code.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &RawAttribute<'a>> + Clone {
        self.list.iter()
    }
}
