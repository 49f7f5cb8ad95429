//! Reads the table dumps (RFC 6396 TABLE_DUMP_V2) that peers write: the fastest way to see a whole table of theirs.
//!
//! Written apart from the daemon's own MRT code, because it is what that is checked with.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bgpbench::bgp::{Attrs, Prefix};

use crate::{Error, Result};

const TABLE_DUMP_V2: u16 = 13;
const RIB_IPV4_UNICAST: u16 = 2;
const RIB_IPV6_UNICAST: u16 = 4;
/// RFC 8050: as the two above, with a path identifier before the attributes.
const RIB_IPV4_UNICAST_ADDPATH: u16 = 8;
const RIB_IPV6_UNICAST_ADDPATH: u16 = 10;

/// A path of a table.
pub struct Path {
    /// NEXT_HOP, the first of MP_REACH_NLRI's.
    pub next_hop: Option<IpAddr>,
    /// LOCAL_PREF.
    pub local_pref: Option<u32>,
    /// All other attributes; the AS path is complete.
    pub attrs: Attrs,
}

/// Calls `each` with every prefix of a dump and its paths.
///
/// # Errors
/// When the dump is cut off or not what RFC 6396 says; and `each`'s.
pub fn read(mut dump: impl Read, mut each: impl FnMut(Prefix, &[Path]) -> Result<()>) -> Result<()> {
    let mut body = Vec::new();
    loop {
        let mut header = [0; 12];
        if !fill(&mut dump, &mut header)? {
            return Ok(());
        }
        let [_, _, _, _, t0, t1, s0, s1, l0, l1, l2, l3] = header;
        let (kind, subtype) = (u16::from_be_bytes([t0, t1]), u16::from_be_bytes([s0, s1]));
        body.resize(u32::from_be_bytes([l0, l1, l2, l3]) as usize, 0);
        if !fill(&mut dump, &mut body)? && !body.is_empty() {
            return Error::fail("an MRT record is cut off");
        }
        let (ipv6, identifiers) = match (kind, subtype) {
            (TABLE_DUMP_V2, RIB_IPV4_UNICAST) => (false, false),
            (TABLE_DUMP_V2, RIB_IPV6_UNICAST) => (true, false),
            (TABLE_DUMP_V2, RIB_IPV4_UNICAST_ADDPATH) => (false, true),
            (TABLE_DUMP_V2, RIB_IPV6_UNICAST_ADDPATH) => (true, true),
            _ => continue,
        };
        let (prefix, paths) = record(&body, ipv6, identifiers)?;
        each(prefix, &paths)?;
    }
}

/// Fills `buffer`; false at the end of the input.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> Result<bool> {
    let mut have = 0;
    while have < buffer.len() {
        let n = input.read(buffer.get_mut(have..).unwrap_or_default())?;
        if n == 0 && have == 0 {
            return Ok(false);
        }
        if n == 0 {
            return Error::fail("an MRT record is cut off");
        }
        have += n;
    }
    Ok(true)
}

/// Takes octets from the front of a slice.
struct Octets<'a>(&'a [u8]);

impl<'a> Octets<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let (front, rest) =
            self.0.split_at_checked(n).ok_or_else(|| Error::new("an MRT field is cut off"))?;
        self.0 = rest;
        Ok(front)
    }

    fn number(&mut self, octets: usize) -> Result<u32> {
        Ok(self.take(octets)?.iter().fold(0, |n, o| n << 8 | u32::from(*o)))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| Error::new("an MRT field is cut off"))
    }
}

/// One RIB record (RFC 6396 §4.3.2).
fn record(body: &[u8], ipv6: bool, identifiers: bool) -> Result<(Prefix, Vec<Path>)> {
    let mut octets = Octets(body);
    octets.take(4)?;
    let len = octets.take(1)?.iter().copied().next().unwrap_or_default();
    let address = octets.take(usize::from(len.div_ceil(8)))?;
    if len > 64 {
        return Error::fail(format!("a prefix of length {len}: the lab's tables end at /64"));
    }
    let bits =
        address.iter().zip((0..64).step_by(8)).fold(0, |bits, (o, at)| bits | u64::from(*o) << (56 - at));
    let count = octets.number(2)?;
    let mut paths = Vec::new();
    for _ in 0..count {
        octets.take(6)?;
        if identifiers {
            octets.take(4)?;
        }
        let length = octets.number(2)? as usize;
        paths.push(attributes(octets.take(length)?)?);
    }
    Ok((Prefix { bits, len, v6: ipv6 }, paths))
}

/// The attributes of a path; AS numbers have four octets.
fn attributes(bytes: &[u8]) -> Result<Path> {
    let mut octets = Octets(bytes);
    let mut path = Path { next_hop: None, local_pref: None, attrs: Attrs::default() };
    while !octets.0.is_empty() {
        let flags = octets.number(1)?;
        let code = octets.number(1)?;
        let length = octets.number(if flags & 0x10 == 0 { 1 } else { 2 })? as usize;
        attribute(&mut path, code, octets.take(length)?)?;
    }
    Ok(path)
}

fn attribute(path: &mut Path, code: u32, value: &[u8]) -> Result<()> {
    let attrs = &mut path.attrs;
    let mut octets = Octets(value);
    match code {
        1 => attrs.origin = octets.array::<1>()?[0],
        2 => {
            while !octets.0.is_empty() {
                let kind = octets.number(1)?;
                if kind != 2 {
                    return Error::fail(format!(
                        "an AS_PATH segment of type {kind}: the lab's tables have sequences"
                    ));
                }
                for _ in 0..octets.number(1)? {
                    attrs.path.push(octets.number(4)?);
                }
            }
        }
        3 => path.next_hop = Some(Ipv4Addr::from(octets.array::<4>()?).into()),
        4 => attrs.med = Some(octets.number(4)?),
        5 => path.local_pref = Some(octets.number(4)?),
        6 => attrs.atomic = true,
        7 => attrs.aggregator = Some((octets.number(4)?, octets.array()?)),
        8 => {
            while !octets.0.is_empty() {
                attrs.communities.push(octets.number(4)?);
            }
        }
        14 => path.next_hop = Some(mp_next_hop(octets)?),
        16 => {
            while !octets.0.is_empty() {
                attrs.extended.push(octets.array()?);
            }
        }
        32 => {
            while !octets.0.is_empty() {
                attrs.large.push([octets.number(4)?, octets.number(4)?, octets.number(4)?]);
            }
        }
        other => return Error::fail(format!("attribute {other}: none of the lab's tables has it")),
    }
    Ok(())
}

/// Dumps have either the next hop alone (RFC 6396 §4.3.4) or the whole attribute (what some writers do).
fn mp_next_hop(mut octets: Octets<'_>) -> Result<IpAddr> {
    if octets.0.first() == Some(&0) {
        octets.take(3)?;
    }
    octets.take(1)?;
    Ok(Ipv6Addr::from(octets.array::<16>()?).into())
}
