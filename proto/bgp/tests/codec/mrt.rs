//! As much of MRT (RFC 6396, RFC 8050) as it takes to feed recorded messages to the codec, and the routes
//! that come out, a line each.

use std::fmt::Write as _;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use bgp::aspath::{AsPath, SegmentKind};
use bgp::attr::canonical::{self, Canonical};
use bgp::attr::{Origin, code, mp_next_hop, write_attribute};
use bgp::update::{ReadContext, Update, parse};
use bgp::{Family, FamilySet, FaultKind, NextHop, Verdict};
use ipnet::IpNet;

use crate::support::body;

/// The folders with data: the project's own, and the one that the environment names.
pub(crate) fn folders() -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    std::iter::once(own).chain(std::env::var_os("RUSTBGPD_TEST_DATA").map(PathBuf::from)).collect()
}

/// Files that say something else than what they hold, which each reader resolves in its own way: add-path
/// messages under a subtype without add-path, and AGGREGATOR of 8 octets in a table of 2-octet AS numbers.
const MISWRITTEN: [&str; 2] = ["mrtparse-bird_bgp.mrt", "mrtparse-openbgpd_rib_table.mrt"];

/// The files of a subfolder of every folder with data.
pub(crate) fn files(subfolder: &str) -> Vec<PathBuf> {
    let mut list: Vec<_> = folders()
        .iter()
        .flat_map(|f| std::fs::read_dir(f.join(subfolder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    list.retain(|path| !MISWRITTEN.iter().any(|name| path.ends_with(name)));
    list.sort();
    assert!(!list.is_empty());
    list
}

pub(crate) fn read(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    if path.extension().is_some_and(|e| e == "gz") {
        let mut out = Vec::new();
        flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut out).unwrap();
        return out;
    }
    bytes
}

/// What stands in an MRT file.
pub(crate) enum Item {
    /// An UPDATE as it was received: its body.
    Update { peer: IpAddr, four_octet_as: bool, add_path: bool, body: Vec<u8> },
    /// A route of a table: path attributes with MP_REACH_NLRI abbreviated (RFC 6396 §4.3.4).
    Route { peer: IpAddr, four_octet_as: bool, path_id: Option<u32>, prefix: IpNet, attributes: Vec<u8> },
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, n: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(n);
        self.0 = rest;
        head
    }
    fn number(&mut self, n: usize) -> u32 {
        self.take(n).iter().fold(0, |v, b| v << 8 | u32::from(*b))
    }
    fn len(&mut self, n: usize) -> usize {
        usize::try_from(self.number(n)).unwrap()
    }
    fn ip(&mut self, v6: bool) -> IpAddr {
        if v6 {
            IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(self.take(16)).unwrap()))
        } else {
            IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(self.take(4)).unwrap()))
        }
    }
    fn prefix(&mut self, v6: bool) -> IpNet {
        let bits = u8::try_from(self.number(1)).unwrap();
        let mut octets = [0; 16];
        let n = usize::from(bits).div_ceil(8);
        octets[..n].copy_from_slice(self.take(n));
        let ip = Bytes(&octets).ip(v6);
        IpNet::new(ip, bits).unwrap().trunc()
    }
}

/// The items of an MRT file that have to do with routes of the unicast families.
pub(crate) fn items(mut file: &[u8]) -> Vec<Item> {
    let mut out = Vec::new();
    let mut peers = Vec::new();
    while file.len() >= 12 {
        let mut head = Bytes(file);
        head.number(4);
        let (kind, subtype, len) = (head.number(2), head.number(2), head.len(4));
        let mut record = Bytes(head.take(len));
        file = head.0;
        match (kind, subtype) {
            (12, 1 | 2) => table_dump(&mut record, subtype == 2, &mut out),
            (13, 1) => peers = peer_index(&mut record),
            (13, 2 | 4 | 8 | 10) => {
                rib(&mut record, matches!(subtype, 4 | 10), subtype >= 8, &peers, &mut out)
            }
            (16, 1 | 4 | 8 | 9) => message(&mut record, subtype, &mut out),
            (17, 1 | 4 | 8 | 9) => {
                record.number(4);
                message(&mut record, subtype, &mut out);
            }
            _ => {}
        }
    }
    out
}

fn message(r: &mut Bytes<'_>, subtype: u32, out: &mut Vec<Item>) {
    let four_octet_as = matches!(subtype, 4 | 9);
    r.take(if four_octet_as { 8 } else { 4 });
    r.number(2);
    let v6 = r.number(2) == 2;
    let peer = r.ip(v6);
    r.ip(v6);
    let header = bgp::header::parse(r.take(19).try_into().unwrap(), bgp::MAX_EXTENDED_MESSAGE);
    if header.is_ok_and(|h| h.kind == bgp::header::MessageType::Update) {
        out.push(Item::Update { peer, four_octet_as, add_path: subtype >= 8, body: r.0.to_vec() });
    }
}

fn table_dump(r: &mut Bytes<'_>, v6: bool, out: &mut Vec<Item>) {
    r.number(4);
    let ip = r.ip(v6);
    let bits = u8::try_from(r.number(1)).unwrap();
    let prefix = IpNet::new(ip, bits).unwrap().trunc();
    r.take(5);
    let peer = r.ip(v6);
    r.number(2);
    let len = r.len(2);
    let attributes = r.take(len).to_vec();
    out.push(Item::Route { peer, four_octet_as: false, path_id: None, prefix, attributes });
}

fn peer_index(r: &mut Bytes<'_>) -> Vec<IpAddr> {
    r.number(4);
    let name = r.len(2);
    r.take(name);
    let count = r.number(2);
    let mut entry = || {
        let kind = r.number(1);
        r.number(4);
        let peer = r.ip(kind & 1 != 0);
        r.take(if kind & 2 != 0 { 4 } else { 2 });
        peer
    };
    (0..count).map(|_| entry()).collect()
}

fn rib(r: &mut Bytes<'_>, v6: bool, add_path: bool, peers: &[IpAddr], out: &mut Vec<Item>) {
    r.number(4);
    let prefix = r.prefix(v6);
    for _ in 0..r.number(2) {
        let peer = peers[r.len(2)];
        r.number(4);
        let path_id = add_path.then(|| r.number(4));
        let len = r.len(2);
        let attributes = r.take(len).to_vec();
        out.push(Item::Route { peer, four_octet_as: true, path_id, prefix, attributes });
    }
}

/// Makes an UPDATE of a route of a table: MP_REACH_NLRI gets its family and the prefix back.
fn update_of_route(prefix: IpNet, path_id: Option<u32>, attributes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut nlri = Vec::new();
    bgp::nlri::write(&mut nlri, path_id, prefix);
    let mut rest = Bytes(attributes);
    let mut in_mp_reach = false;
    while !rest.0.is_empty() {
        let (flags, code) = (u8::try_from(rest.number(1)).unwrap(), u8::try_from(rest.number(1)).unwrap());
        let len = rest.len(if flags & 0x10 == 0 { 1 } else { 2 });
        let value = rest.take(len);
        if code != code::MP_REACH_NLRI {
            write_attribute(&mut out, flags, code, value);
            continue;
        }
        // Some write the whole attribute all the same.
        let next_hop = if value[0] == 0 { &value[3..4 + usize::from(value[3])] } else { value };
        let afi = if prefix.addr().is_ipv6() { 2 } else { 1 };
        in_mp_reach = true;
        write_attribute(&mut out, flags, code, &[&[0, afi, 1][..], next_hop, &[0], &nlri].concat());
    }
    if in_mp_reach { body(&[], &out, &[]) } else { body(&[], &out, &nlri) }
}

/// The context that the item's octets need. Files don't say whether a session is internal; LOCAL_PREF
/// does.
fn context(four_octet_as: bool, add_path: bool, has_local_pref: bool) -> ReadContext {
    let families: FamilySet = [Family::Ipv4Unicast, Family::Ipv6Unicast].into_iter().collect();
    ReadContext {
        four_octet_as,
        external: !has_local_pref,
        families,
        add_path: if add_path { families } else { FamilySet::EMPTY },
    }
}

/// Calls `f` with the type code and value of each attribute of an UPDATE.
fn each_attribute(body: &mut [u8], mut f: impl FnMut(u8, &mut [u8])) {
    let len = |b: &[u8]| usize::from(u16::from_be_bytes([b[0], b[1]]));
    let (_, rest) = body.split_at_mut(2 + len(body));
    let end = 2 + len(rest);
    let mut rest = &mut rest[2..end];
    while rest.len() > 3 {
        let (head, len) = if rest[0] & 0x10 == 0 { (3, usize::from(rest[2])) } else { (4, len(&rest[2..4])) };
        let (attribute, tail) = rest.split_at_mut(head + len);
        let (head, value) = attribute.split_at_mut(head);
        f(head[1], value);
        rest = tail;
    }
}

impl Item {
    /// The UPDATE's body and the context that it needs.
    pub(crate) fn update(&self) -> (IpAddr, Vec<u8>, ReadContext) {
        let (peer, bytes, four, add_path) = match self {
            Item::Update { peer, four_octet_as, add_path, body } => {
                (peer, body.clone(), *four_octet_as, *add_path)
            }
            Item::Route { peer, four_octet_as, path_id, prefix, attributes } => {
                let bytes = update_of_route(*prefix, *path_id, attributes);
                (peer, bytes, *four_octet_as, path_id.is_some())
            }
        };
        let mut bytes = bytes;
        let mut has_local_pref = false;
        each_attribute(&mut bytes, |code, value| match (code, value) {
            (code::LOCAL_PREF, _) => has_local_pref = true,
            // Multicast routes have the same form; the others show them like unicast routes.
            (code::MP_REACH_NLRI | code::MP_UNREACH_NLRI, [_, _, safi @ 2, ..]) => *safi = 1,
            _ => {}
        });
        let ctx = context(four, add_path, has_local_pref);
        (*peer, bytes, ctx)
    }
}

/// A route or withdrawal as a line that every decoder's output can be brought into.
#[derive(Default)]
pub(crate) struct Line {
    pub(crate) peer: String,
    pub(crate) prefix: String,
    pub(crate) path_id: Option<u32>,
    pub(crate) path: String,
    pub(crate) origin: &'static str,
    pub(crate) next_hop: String,
    pub(crate) local_pref: u32,
    pub(crate) med: u32,
    pub(crate) communities: Vec<u32>,
    pub(crate) large: Vec<(u32, u32, u32)>,
    pub(crate) atomic: bool,
    pub(crate) aggregator: Option<(u32, Ipv4Addr)>,
}

impl Line {
    pub(crate) fn announced(mut self) -> String {
        self.communities.sort_unstable();
        self.communities.dedup();
        self.large.sort_unstable();
        self.large.dedup();
        format!(
            "A|{}|{}|{:?}|{}|{}|{}|{}|{}|{:?}|{:?}|{}|{:?}",
            self.peer,
            self.prefix,
            self.path_id,
            self.path,
            self.origin,
            self.next_hop,
            self.local_pref,
            self.med,
            self.communities,
            self.large,
            self.atomic,
            self.aggregator
        )
    }
}

pub(crate) fn withdrawn(peer: &str, prefix: &str, path_id: Option<u32>) -> String {
    format!("W|{peer}|{prefix}|{path_id:?}")
}

/// Sets as `{1 2}`, confederation segments as `(1 2)` and `[1 2]`.
pub(crate) fn path_text(path: AsPath<'_>) -> String {
    let mut out = String::new();
    for segment in path.segments() {
        let (open, close) = match segment.kind {
            SegmentKind::Sequence => ("", ""),
            SegmentKind::Set => ("{", "}"),
            SegmentKind::ConfedSequence => ("(", ")"),
            SegmentKind::ConfedSet => ("[", "]"),
        };
        let asns: Vec<_> = segment.asns().map(|a| a.to_string()).collect();
        let space = if out.is_empty() { "" } else { " " };
        write!(out, "{space}{open}{}{close}", asns.join(" ")).unwrap();
    }
    out
}

pub(crate) fn origin_text(origin: Option<Origin>) -> &'static str {
    match origin {
        Some(Origin::Igp) => "IGP",
        Some(Origin::Egp) => "EGP",
        Some(Origin::Incomplete) => "INCOMPLETE",
        None => "",
    }
}

/// What the other decoder shows of a route.
#[derive(Clone, Copy)]
pub(crate) struct Shown {
    pub(crate) path_ids: bool,
    pub(crate) large: bool,
}

/// What the codec made of a file.
#[derive(Default)]
pub(crate) struct Decoded {
    pub(crate) lines: Vec<String>,
    /// Messages that would have ended the session, and those that were treated as withdrawals.
    pub(crate) refused: Vec<String>,
}

/// The routes and withdrawals of a file by our codec, by way of canonical form.
pub(crate) fn decode(file: &[u8], shown: Shown) -> Decoded {
    let mut out = Decoded::default();
    for item in items(file) {
        let (peer, bytes, ctx) = item.update();
        match parse(&bytes, &ctx) {
            Ok(update) if only_incomplete(&update) => {
                lines(&update, &ctx, &peer.to_string(), shown, &mut out.lines);
            }
            Ok(update) => out.refused.push(update.faults[0].to_string()),
            Err(notification) => out.refused.push(notification.to_string()),
        }
    }
    out
}

/// Whether nothing is wrong but what is missing: tables have routes of the router itself with hardly any
/// attribute.
fn only_incomplete(update: &Update<'_>) -> bool {
    let mut faults = update.faults.iter();
    faults.all(|f| f.verdict < Verdict::TreatAsWithdraw || f.kind == FaultKind::Missing)
}

fn lines(update: &Update<'_>, ctx: &ReadContext, peer: &str, shown: Shown, out: &mut Vec<String>) {
    let id = |family, id: u32| (shown.path_ids && ctx.add_path.contains(family)).then_some(id);
    for nlri in [Some(update.withdrawn), update.mp_unreach].into_iter().flatten() {
        out.extend(nlri.iter().map(|(n, prefix)| withdrawn(peer, &prefix.to_string(), id(nlri.family(), n))));
    }
    let mut bytes = Vec::new();
    let summary = canonical::write(&update.attributes, ctx, &mut bytes);
    assert_eq!(summary, canonical::summarize(&bytes));
    assert_idempotent(&bytes);
    let c = Canonical::new(&bytes);
    let announced = [(Some(update.announced), update.next_hop), (update.mp_reach, update.mp_next_hop)];
    for (nlri, next_hop) in announced {
        let Some(nlri) = nlri else { continue };
        let path = path_text(c.as_path());
        for (n, prefix) in nlri.iter() {
            let line = Line {
                peer: peer.to_owned(),
                prefix: prefix.to_string(),
                path_id: id(nlri.family(), n),
                path: path.clone(),
                origin: origin_text(c.origin()),
                next_hop: next_hop.map(|n| n.to_string()).unwrap_or_default(),
                local_pref: c.local_pref().unwrap_or(0),
                med: c.med().unwrap_or(0),
                communities: c.communities().collect(),
                large: if shown.large { c.large_communities().collect() } else { Vec::new() },
                atomic: c.atomic_aggregate(),
                aggregator: c.aggregator().map(|a| (a.asn.0, a.address)),
            };
            out.push(line.announced());
        }
    }
}

/// Canonical octets, read as an UPDATE again, give themselves.
pub(crate) fn assert_idempotent(canonical: &[u8]) {
    let mut attributes = Vec::new();
    let mut value = vec![0, 2, 1];
    mp_next_hop(&mut value, NextHop::V6(Ipv6Addr::LOCALHOST));
    value.extend_from_slice(&[0, 0]);
    write_attribute(&mut attributes, 0x80, code::MP_REACH_NLRI, &value);
    attributes.extend_from_slice(canonical);
    if attributes.len() > usize::from(u16::MAX) {
        return;
    }
    let has_local_pref = Canonical::new(canonical).local_pref().is_some();
    let ctx = ReadContext { external: false, ..context(true, false, has_local_pref) };
    let bytes = body(&[], &attributes, &[]);
    let update = parse(&bytes, &ctx).unwrap();
    let mut again = Vec::new();
    canonical::write(&update.attributes, &ctx, &mut again);
    assert_eq!(again, canonical);
}
