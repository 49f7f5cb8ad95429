//! Prefixes with a range of lengths, as prefix lists have them.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// A prefix, and the lengths that prefixes inside of it may have. With no bound it is that prefix alone. With `ge`
/// alone lengths go up to that of an address, with `le` alone they begin at the prefix's own.
///
/// A set writes it `192.0.2.0/24`, `10.0.0.0/8 le 24`, `10.0.0.0/8 ge 9 le 24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PrefixRange {
    prefix: IpNet,
    ge: Option<u8>,
    le: Option<u8>,
}

/// A text or numbers that are no range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PrefixRangeError {
    /// It cannot be read.
    #[error(
        "must be a prefix, like 192.0.2.0/24, and may have ge and le after it, like 10.0.0.0/8 ge 9 le 24"
    )]
    Shape,
    /// Not prefix length <= ge <= le <= length of an address.
    #[error("must have ge and le from {0} to {1}, as the prefix is, and ge not above le")]
    Bounds(u8, u8),
}

impl PrefixRange {
    /// A range. Bits of the prefix beyond its length do not count.
    ///
    /// # Errors
    /// Not prefix length <= `ge` <= `le` <= length of an address.
    pub fn new(prefix: IpNet, ge: Option<u8>, le: Option<u8>) -> Result<PrefixRange, PrefixRangeError> {
        let range = PrefixRange { prefix: prefix.trunc(), ge, le };
        let (least, most) = (prefix.prefix_len(), prefix.max_prefix_len());
        let fits = |bound: Option<u8>| bound.is_none_or(|b| (least..=most).contains(&b));
        if fits(ge) && fits(le) && !range.lengths().is_empty() {
            Ok(range)
        } else {
            Err(PrefixRangeError::Bounds(least, most))
        }
    }

    /// The prefix.
    pub fn prefix(&self) -> IpNet {
        self.prefix
    }

    /// The lengths that it takes.
    pub fn lengths(&self) -> RangeInclusive<u8> {
        let (least, most) = (self.prefix.prefix_len(), self.prefix.max_prefix_len());
        match (self.ge, self.le) {
            (None, None) => least..=least,
            (ge, le) => ge.unwrap_or(least)..=le.unwrap_or(most),
        }
    }

    /// As a statement has it: `prefix = "10.0.0.0/8", ge = 9`.
    pub(super) fn write_as_keys(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "prefix = \"{}\"", self.prefix)?;
        self.ge.map_or(Ok(()), |ge| write!(f, ", ge = {ge}"))?;
        self.le.map_or(Ok(()), |le| write!(f, ", le = {le}"))
    }
}

impl FromStr for PrefixRange {
    type Err = PrefixRangeError;

    fn from_str(text: &str) -> Result<PrefixRange, PrefixRangeError> {
        let shape = |_| PrefixRangeError::Shape;
        let mut words = text.split_ascii_whitespace();
        let prefix =
            words.next().ok_or(PrefixRangeError::Shape)?.parse().map_err(|_| PrefixRangeError::Shape)?;
        let (mut ge, mut le) = (None, None);
        while let Some(word) = words.next() {
            let bound = match word {
                "ge" if ge.is_none() && le.is_none() => &mut ge,
                "le" if le.is_none() => &mut le,
                _ => return Err(PrefixRangeError::Shape),
            };
            let number = words.next().filter(|w| w.bytes().all(|b| b.is_ascii_digit()));
            *bound = Some(number.ok_or(PrefixRangeError::Shape)?.parse::<u8>().map_err(shape)?);
        }
        PrefixRange::new(prefix, ge, le)
    }
}

impl fmt::Display for PrefixRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.prefix.fmt(f)?;
        self.ge.map_or(Ok(()), |ge| write!(f, " ge {ge}"))?;
        self.le.map_or(Ok(()), |le| write!(f, " le {le}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_and_shown_alike() {
        for (text, lengths) in [
            ("192.0.2.0/24", 24..=24),
            ("10.0.0.0/8 le 24", 8..=24),
            ("10.0.0.0/8 ge 9", 9..=32),
            ("10.0.0.0/8 ge 9 le 24", 9..=24),
            ("2001:db8::/32 ge 48 le 48", 48..=48),
            ("::/0 ge 0", 0..=128),
        ] {
            let range: PrefixRange = text.parse().unwrap();
            assert_eq!((range.to_string(), range.lengths()), (text.to_owned(), lengths));
        }
        assert_eq!("10.0.0.1/8".parse::<PrefixRange>().unwrap().to_string(), "10.0.0.0/8");
        for (text, why) in [
            ("10.0.0.0", PrefixRangeError::Shape),
            ("10.0.0.0/33", PrefixRangeError::Shape),
            ("10.0.0.0/8 ge", PrefixRangeError::Shape),
            ("10.0.0.0/8 ge +9", PrefixRangeError::Shape),
            ("10.0.0.0/8 le 24 ge 9", PrefixRangeError::Shape),
            ("10.0.0.0/8 ge 9 ge 9", PrefixRangeError::Shape),
            ("10.0.0.0/8-24", PrefixRangeError::Shape),
            ("", PrefixRangeError::Shape),
            ("10.0.0.0/8 ge 7", PrefixRangeError::Bounds(8, 32)),
            ("10.0.0.0/8 le 33", PrefixRangeError::Bounds(8, 32)),
            ("10.0.0.0/8 ge 24 le 9", PrefixRangeError::Bounds(8, 32)),
        ] {
            assert_eq!(text.parse::<PrefixRange>(), Err(why), "{text}");
        }
    }
}
