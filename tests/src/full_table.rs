//! A full table to announce: a real one from files, or one of the same size and shape.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use bgpbench::bgp::{self, Attrs, Prefix};
use bgpbench::table;
use flate2::read::MultiGzDecoder;

use crate::{Error, Origin, Result};

/// Names the folder that holds `fulltable-v4.txt.gz`, `fulltable-v6.txt.gz` and `fulltable-attrs.txt.gz`.
pub const ENVIRONMENT: &str = "RUSTBGPD_FULL_TABLE";

/// The size of the generated table: what the Internet's was in 2026.
const GENERATED: [(usize, bool); 2] = [(1_170_000, false), (280_000, true)];

/// A table: every prefix once, and its attributes behind the announcing speaker's own AS.
pub struct FullTable {
    /// Distinct sets of attributes.
    pub attrs: Vec<Attrs>,
    /// Each prefix with the place of its attributes.
    pub routes: Vec<(Prefix, u32)>,
}

impl FullTable {
    /// The table that the environment names, or a generated one.
    ///
    /// # Errors
    /// When the named files cannot be read or have another format.
    pub fn load() -> Result<Self> {
        match std::env::var_os(ENVIRONMENT) {
            Some(folder) => Self::read(&PathBuf::from(folder)),
            None => Ok(Self::generate()),
        }
    }

    /// Reads `PREFIX|A|B` lines, A being the line of the attributes in the third file. The first AS of a path
    /// there is the announcing speaker's, which the sender puts in front itself.
    fn read(folder: &Path) -> Result<Self> {
        let mut attrs = Vec::new();
        for line in lines(&folder.join("fulltable-attrs.txt.gz"))? {
            attrs.push(attributes(&line?)?);
        }
        let mut routes = Vec::new();
        for file in ["fulltable-v4.txt.gz", "fulltable-v6.txt.gz"] {
            for line in lines(&folder.join(file))? {
                let line = line?;
                let mut fields = line.split('|');
                let prefix = prefix(fields.next().unwrap_or_default())?;
                let place: u32 = fields.next().unwrap_or_default().parse()?;
                if place as usize >= attrs.len() {
                    return Error::fail(format!("{file}: no attributes at {place}"));
                }
                routes.push((prefix, place));
            }
        }
        Ok(FullTable { attrs, routes })
    }

    /// The same table every time.
    fn generate() -> Self {
        let (mut attrs, mut routes) = (Vec::new(), Vec::new());
        for (size, ipv6) in GENERATED {
            for group in table::synthetic(size, ipv6, 1) {
                let place = attrs.len() as u32;
                attrs.push(table::attrs(&group, 0, 0));
                routes.extend(group.prefixes.iter().map(|prefix| (*prefix, place)));
            }
        }
        FullTable { attrs, routes }
    }

    /// How many prefixes of a family it has.
    pub fn count(&self, ipv6: bool) -> usize {
        self.routes.iter().filter(|(prefix, _)| prefix.v6 == ipv6).count()
    }

    /// The part of the table that `next_hop` can be the next hop of, as UPDATE messages of a speaker, with
    /// End-of-RIB behind it.
    pub fn updates(&self, asn: u32, next_hop: IpAddr) -> Vec<u8> {
        let mut groups: BTreeMap<u32, Vec<Prefix>> = BTreeMap::new();
        for (prefix, place) in self.routes.iter().filter(|(prefix, _)| prefix.v6 == next_hop.is_ipv6()) {
            groups.entry(*place).or_default().push(*prefix);
        }
        let mut stream = Vec::new();
        for (place, prefixes) in groups {
            if let Some(attrs) = self.attrs.get(place as usize) {
                bgp::announce(&mut stream, asn, next_hop, attrs, &prefixes);
            }
        }
        stream.extend(bgp::end_of_rib(next_hop.is_ipv6()));
        stream
    }
}

fn lines(file: &Path) -> Result<impl Iterator<Item = std::io::Result<String>> + use<>> {
    let input = File::open(file).map_err(|e| Error::new(format!("{}: {e}", file.display())))?;
    Ok(BufReader::with_capacity(1 << 20, MultiGzDecoder::new(input)).lines())
}

fn prefix(text: &str) -> Result<Prefix> {
    let wrong = || Error::new(format!("{text:?} is not a prefix of up to 64 bits"));
    let (address, len) = text.split_once('/').ok_or_else(wrong)?;
    let len: u8 = len.parse()?;
    let (bits, v6, limit) = match address.parse()? {
        IpAddr::V4(a) => (u64::from(u32::from(a)) << 32, false, 32),
        IpAddr::V6(a) => ((u128::from(a) >> 64) as u64, true, 64),
    };
    if len > limit { Err(wrong()) } else { Ok(Prefix { bits, len, v6 }) }
}

/// `src|as_path|origin|med|communities|large|extended|atomic|aggregator`.
fn attributes(line: &str) -> Result<Attrs> {
    let wrong = || Error::new(format!("{line:?} is not a set of attributes"));
    let fields: Vec<&str> = line.split('|').collect();
    let &[_, path, origin, med, communities, large, extended, atomic, aggregator] = fields.as_slice() else {
        return Err(wrong());
    };
    let numbers = |text: &str, by: char| -> Result<Vec<u32>> {
        Ok(text.split(by).filter(|n| !n.is_empty()).map(str::parse).collect::<std::result::Result<_, _>>()?)
    };
    let mut attrs = Attrs {
        origin: Origin::from_word(origin).ok_or_else(wrong)? as u8,
        path: numbers(path, ' ')?.split_off(1),
        med: med.parse().ok(),
        atomic: atomic == "1",
        ..Attrs::default()
    };
    for community in communities.split_whitespace() {
        match numbers(community, ':')?.as_slice() {
            [high, low] => attrs.communities.push(high << 16 | low),
            _ => return Err(wrong()),
        }
    }
    for community in large.split_whitespace() {
        attrs.large.push(numbers(community, ':')?.try_into().map_err(|_| wrong())?);
    }
    for community in extended.split_whitespace() {
        attrs.extended.push(u64::from_str_radix(community, 16)?.to_be_bytes());
    }
    if let Some((asn, address)) = aggregator.split_once(':') {
        let address: std::net::Ipv4Addr = address.parse()?;
        attrs.aggregator = Some((asn.parse()?, address.octets()));
    }
    Ok(attrs)
}
