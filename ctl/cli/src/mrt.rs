//! Routes from MRT table dumps: TABLE_DUMP (RFC 6396 §4.2) and TABLE_DUMP_V2 (§4.3), plain or gzip.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bgpkit_parser::BgpkitParser;
use bgpkit_parser::models::{
    AsPath, AsPathSegment, AsnLength, Attribute, AttributeValue, Attributes, Community, MrtMessage, Origin,
    RibEntry, TableDumpMessage, TableDumpV2Message, TableDumpV2Type,
};
use flate2::read::MultiGzDecoder;
use grpc::v1::AddPathRequest;
use ipnet::IpNet;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const BZIP2: [u8; 3] = *b"BZh";

/// What was left out, and why.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Skipped {
    /// Paths with AS_SETs or confederation segments: the API injects plain sequences.
    pub(crate) as_sets: u64,
    /// Routes without a next hop of the prefix's family, or otherwise unusable.
    pub(crate) unusable: u64,
    /// Records that do not decode.
    pub(crate) undecodable: u64,
}

/// A table dump being read.
pub(crate) struct Dump {
    records: Box<
        dyn Iterator<Item = Result<bgpkit_parser::MrtRecord, bgpkit_parser::ParserErrorWithBytes>> + Send,
    >,
    peer_index: Option<u16>,
    /// TABLE_DUMP has a record for each route: the prefix of the last one, how many of it there were.
    last: Option<(IpNet, u16)>,
    /// What was left out so far.
    pub(crate) skipped: Skipped,
    ended: bool,
}

/// The routes of a record: candidates of one prefix.
type Candidate = (IpNet, Attributes);

impl Dump {
    /// Opens a file. Octets read from it are counted in `progress`.
    ///
    /// # Errors
    /// Where it cannot be read or is compressed otherwise than by gzip.
    pub(crate) fn open(path: &Path, peer_index: Option<u16>, progress: Arc<AtomicU64>) -> io::Result<Dump> {
        let file = Counted { file: File::open(path)?, progress };
        let mut reader = BufReader::with_capacity(256 * 1024, file);
        let begin = io::BufRead::fill_buf(&mut reader)?;
        let reader: Box<dyn Read + Send> = if begin.starts_with(&GZIP) {
            Box::new(BufReader::with_capacity(256 * 1024, MultiGzDecoder::new(reader)))
        } else if begin.starts_with(&BZIP2) {
            let what = "compressed with bzip2; unpack it first (bunzip2)";
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        } else {
            Box::new(reader)
        };
        let records =
            Box::new(BgpkitParser::from_reader(reader).disable_warnings().into_fallible_record_iter());
        Ok(Dump { records, peer_index, last: None, skipped: Skipped::default(), ended: false })
    }

    /// The next route that can be injected. `None` at the end.
    ///
    /// # Errors
    /// Where the file ends within a record or is no table dump.
    pub(crate) fn next_route(&mut self) -> io::Result<Option<AddPathRequest>> {
        while !self.ended {
            let record = match self.records.next() {
                None => break,
                Some(Ok(record)) => record,
                Some(Err(e)) => {
                    self.undecodable(e.error)?;
                    continue;
                }
            };
            let route = self
                .candidate(record.message)?
                .and_then(|(prefix, attributes)| self.convert(prefix, &attributes));
            if route.is_some() {
                return Ok(route);
            }
        }
        self.ended = true;
        Ok(None)
    }

    /// A record that does not decode is skipped; a file that ends too early, or cannot be read, is an error.
    fn undecodable(&mut self, e: bgpkit_parser::ParserError) -> io::Result<()> {
        use bgpkit_parser::ParserError::{EofError, IoError, OversizedRecord};
        match e {
            IoError(e) | EofError(e) => {
                Err(io::Error::new(e.kind(), format!("the file is cut off or damaged: {e}")))
            }
            OversizedRecord { length } => {
                let what = format!("not an MRT file: a record claims {length} octets");
                Err(io::Error::new(io::ErrorKind::InvalidData, what))
            }
            _ => {
                self.skipped.undecodable += 1;
                Ok(())
            }
        }
    }

    /// The one route of a record that is wanted.
    fn candidate(&mut self, message: MrtMessage) -> io::Result<Option<Candidate>> {
        match message {
            MrtMessage::TableDumpV2Message(TableDumpV2Message::RibAfi(rib)) => {
                let unicast = matches!(
                    rib.rib_type,
                    TableDumpV2Type::RibIpv4Unicast
                        | TableDumpV2Type::RibIpv6Unicast
                        | TableDumpV2Type::RibIpv4UnicastAddPath
                        | TableDumpV2Type::RibIpv6UnicastAddPath
                );
                let wanted = |e: &RibEntry| self.peer_index.is_none_or(|i| e.peer_index == i);
                let entry = rib.rib_entries.into_iter().find(wanted).filter(|_| unicast);
                Ok(entry.map(|e| (rib.prefix.prefix, e.attributes)))
            }
            MrtMessage::TableDumpV2Message(_) => Ok(None),
            MrtMessage::TableDumpMessage(m) => Ok(self.of_table_dump(m)),
            MrtMessage::TableDumpMessageBatch(batch) => {
                let wanted: Vec<Candidate> =
                    batch.into_iter().filter_map(|m| self.of_table_dump(m)).collect();
                Ok(wanted.into_iter().next())
            }
            MrtMessage::Bgp4Mp(_) | MrtMessage::LegacyBgp(_) => {
                let what = "holds BGP messages, not a table dump; use a file of type TABLE_DUMP_V2 (\"rib\" or \"bview\")";
                Err(io::Error::new(io::ErrorKind::InvalidData, what))
            }
        }
    }

    /// TABLE_DUMP has no index of peers: their order within a prefix counts.
    fn of_table_dump(&mut self, m: TableDumpMessage) -> Option<Candidate> {
        let prefix = m.prefix.prefix;
        let position = match self.last {
            Some((last, position)) if last == prefix => position.saturating_add(1),
            _ => 0,
        };
        self.last = Some((prefix, position));
        (position == self.peer_index.unwrap_or(0)).then_some((prefix, m.attributes))
    }

    fn convert(&mut self, prefix: IpNet, attributes: &Attributes) -> Option<AddPathRequest> {
        match request(prefix, attributes) {
            Ok(request) => Some(request),
            Err(Unfit::Sets) => {
                self.skipped.as_sets += 1;
                None
            }
            Err(Unfit::Unusable) => {
                self.skipped.unusable += 1;
                None
            }
        }
    }
}

/// Why a route cannot be injected.
enum Unfit {
    Sets,
    Unusable,
}

fn request(prefix: IpNet, attributes: &Attributes) -> Result<AddPathRequest, Unfit> {
    let mut request = AddPathRequest {
        prefix: prefix.trunc().addr().to_string(),
        prefix_length: prefix.prefix_len().into(),
        as_path: sequence(attributes.effective_as_path())?,
        ..AddPathRequest::default()
    };
    let mut next_hop = None;
    for attribute in attributes.iter() {
        match attribute {
            AttributeValue::Origin(o) => request.origin = origin(*o),
            AttributeValue::NextHop(a) => next_hop = next_hop.or(Some(*a)),
            AttributeValue::MpReachNlri(nlri) => {
                next_hop =
                    nlri.next_hop.as_ref().map(bgpkit_parser::models::NextHopAddress::addr).or(next_hop);
            }
            AttributeValue::MultiExitDiscriminator(n) => request.med = Some(*n),
            AttributeValue::LocalPreference(n) => request.local_pref = Some(*n),
            AttributeValue::Communities(list) => request.communities = list.iter().map(community).collect(),
            AttributeValue::LargeCommunities(list) => {
                request.large_communities = list
                    .iter()
                    .map(|c| format!("{}:{}:{}", c.global_admin, c.local_data[0], c.local_data[1]))
                    .collect();
            }
            AttributeValue::ExtendedCommunities(_) => request.extended_communities = extended(attribute),
            _ => {}
        }
    }
    let same_family = |a: &IpAddr| a.is_ipv4() == prefix.addr().is_ipv4();
    request.next_hop = next_hop.filter(same_family).filter(is_next_hop).ok_or(Unfit::Unusable)?.to_string();
    Ok(request)
}

/// Whether the daemon accepts the address as a next hop: one of a host, not of a link only.
fn is_next_hop(a: &IpAddr) -> bool {
    match a {
        IpAddr::V4(a) => (1..224).contains(&a.octets()[0]),
        IpAddr::V6(a) => !a.is_unspecified() && !a.is_multicast() && !a.is_unicast_link_local(),
    }
}

/// The path as one AS_SEQUENCE.
fn sequence(path: Option<AsPath>) -> Result<Vec<u32>, Unfit> {
    let mut asns = Vec::new();
    for segment in path.unwrap_or_default().segments {
        match segment {
            AsPathSegment::AsSequence(list) => asns.extend(list.iter().map(|a| a.to_u32())),
            _ => return Err(Unfit::Sets),
        }
    }
    if asns.contains(&0) { Err(Unfit::Unusable) } else { Ok(asns) }
}

fn origin(origin: Origin) -> u32 {
    match origin {
        Origin::IGP => 0,
        Origin::EGP => 1,
        Origin::INCOMPLETE => 2,
    }
}

fn community(c: &Community) -> u32 {
    match c {
        Community::NoExport => 0xffff_ff01,
        Community::NoAdvertise => 0xffff_ff02,
        Community::NoExportSubConfed => 0xffff_ff03,
        Community::Custom(asn, value) => asn.to_u32() << 16 | u32::from(*value),
    }
}

/// The 8 octets of each community: the end of the encoded attribute.
fn extended(value: &AttributeValue) -> Vec<u64> {
    let AttributeValue::ExtendedCommunities(list) = value else { return Vec::new() };
    let octets = Attribute::from(value.clone()).encode(AsnLength::Bits32).unwrap_or_default();
    let begin = octets.len().saturating_sub(list.len() * 8);
    let (communities, _) = octets.get(begin..).unwrap_or_default().as_chunks::<8>();
    communities.iter().map(|c| u64::from_be_bytes(*c)).collect()
}

/// A file that counts what is read from it.
struct Counted {
    file: File,
    progress: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buf)?;
        self.progress.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}
