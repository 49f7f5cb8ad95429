//! What a group is sent of a route: may it have it, with which next hop, with which attributes.
//!
//! RFC 4271 §5.1 (attributes by kind of peer), §9.2 (no internal route to an internal peer) unless it is reflected (RFC
//! 4456 §6 and §8), RFC 1997 (NO_EXPORT, NO_ADVERTISE), RFC 3765 (NOPEER), RFC 6793 §4.2.2 (towards 2-octet
//! speakers), RFC 6996 §5 (private AS numbers), RFC 7947 §2.2 (clients of a route server), RFC 7999 §3.2 (BLACKHOLE),
//! RFC 8326 §4.2 (GRACEFUL_SHUTDOWN), RFC 9234 §5 (ONLY_TO_CUSTOMER), RFC 9494 §4.3 (LLGR_STALE).

use std::net::Ipv4Addr;

use bgp::aspath::{self, AsPath, AsPathBuf};
use bgp::attr::canonical::{Builder, Canonical, SummaryFlags};
use bgp::attr::{PathAttribute, RawAttribute, code, flags, write_attribute};
use bgp::community::well_known;
use bgp::{AS_TRANS, Asn, BgpRole, Family, NextHop, RemovePrivateAs, Safi};

use crate::attrs::{AttrId, Attrs, DEFAULT_LOCAL_PREF, Head, LAST_CHOICE_PREF, Own};
use crate::long_lived;
use crate::otc;
use crate::pack::Shape;
use crate::peers::{PeerInfo, Rank};
use crate::policies::Export;

/// Whether routes leave our AS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeerClass {
    /// eBGP.
    External,
    /// iBGP.
    Internal,
}

/// All that the octets for a peer depend on: peers with equal rules share a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) family: Family,
    pub(crate) class: PeerClass,
    /// External, and sent AS_PATH, next hop and MED as they are (RFC 7947 §2.2).
    pub(crate) transparent: bool,
    /// Internal, and a client of ours as a route reflector.
    pub(crate) reflector_client: bool,
    /// Our cluster (RFC 4456 §7).
    pub(crate) cluster_id: u32,
    /// What happens to private AS numbers; never for transparent ones.
    pub(crate) remove_private_as: Option<RemovePrivateAs>,
    /// They are sent a default route, whatever the table has.
    pub(crate) default_originate: bool,
    pub(crate) local_asn: u32,
    /// "Next hop self" for the family, where some routes need it.
    pub(crate) self_next_hop: Option<NextHop>,
    pub(crate) four_octet_as: bool,
    pub(crate) extended_next_hop: bool,
    pub(crate) max_message: usize,
    /// Several paths of a prefix are sent, with identifiers (RFC 7911): at most so many, 0 = all.
    pub(crate) add_path: Option<u32>,
    /// Our role towards them, where it counts: for unicast (RFC 9234 §5).
    pub(crate) role: Option<BgpRole>,
    /// Every route is marked with GRACEFUL_SHUTDOWN. The rules of a group say no; those of a member may say yes.
    pub(crate) draining: bool,
    /// They know what a long-lived stale route is (RFC 9494 §4.3).
    pub(crate) long_lived: bool,
    /// Nothing is sent.
    pub(crate) barred: bool,
    /// Announcements leave at most every so many seconds; 0 = at once.
    pub(crate) advertisement_interval: u16,
    /// What routes go through before all this.
    pub(crate) export: Option<Export>,
}

/// Why a peer is not sent a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It must have an export policy and has none (RFC 8212 §2).
    NoPolicy,
    /// It would not know what a long-lived stale route is (RFC 9494 §4.3).
    LongLived,
    /// It is from our own AS, and neither side is a client of ours as a route reflector (RFC 4456 §6).
    NotReflected,
    /// The route is marked with something that keeps it here.
    Mark(SummaryFlags),
    /// The export policy says so.
    Policy,
    /// There is no next hop that it could use.
    NoNextHop,
    /// Its attributes fit no message.
    TooLarge,
}

/// A route as a peer is sent it, for those who want to look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its attributes in canonical form.
    pub attributes: Vec<u8>,
    /// Its next hop.
    pub next_hop: NextHop,
}

impl Rules {
    pub(crate) fn of(peer: &PeerInfo, family: Family, cluster_id: u32) -> Rules {
        let v4 = peer.self_v4.map(NextHop::V4);
        let v6 = peer.self_v6.map(NextHop::V6);
        let ipv4 = family == Family::Ipv4Unicast;
        let external = peer.external();
        let transparent = external && peer.route_server_client;
        Rules {
            family,
            class: if external { PeerClass::External } else { PeerClass::Internal },
            transparent,
            reflector_client: !external && peer.route_reflector_client,
            cluster_id,
            remove_private_as: peer.remove_private_as.filter(|_| external && !transparent),
            default_originate: peer.default_originate,
            local_asn: peer.local_asn,
            self_next_hop: match (ipv4, peer.extended_next_hop) {
                // What is passed on as it came needs none.
                _ if (transparent || !external) && !peer.default_originate => None,
                (true, true) => v4.or(v6),
                (true, false) => v4,
                (false, _) => v6,
            },
            four_octet_as: peer.four_octet_as,
            extended_next_hop: ipv4 && peer.extended_next_hop,
            max_message: usize::from(peer.max_message),
            barred: peer.barred.export,
            advertisement_interval: peer.advertisement_interval,
            add_path: peer.add_path.contains(family).then_some(peer.add_path_max),
            role: peer.role.filter(|_| family.safi() == Safi::UNICAST),
            draining: false,
            long_lived: peer.long_lived.received,
            export: Export::of(peer, ipv4),
        }
    }

    /// Whether each such peer is sent the best of what it may have: a client of a route server (RFC 7947 §2.3) that
    /// takes one path.
    pub(crate) fn own_best(&self) -> bool {
        self.transparent && self.add_path.is_none()
    }

    /// Why the route may not go to such peers at all; `None` where it may.
    pub(crate) fn refusal(&self, head: &Head, source: Rank) -> Option<Refusal> {
        if self.barred {
            return Some(Refusal::NoPolicy);
        }
        if !self.long_lived && long_lived::is_last_choice(head, source) {
            return Some(Refusal::LongLived);
        }
        let refused = match self.class {
            PeerClass::External => self.kept_in(source),
            // RFC 4456 §6: from a client to all, from others to clients.
            PeerClass::Internal if source.internal() && !source.client && !self.reflector_client => {
                return Some(Refusal::NotReflected);
            }
            PeerClass::Internal => SummaryFlags::NO_ADVERTISE,
        };
        head.flags.intersects(refused).then_some(Refusal::Mark(head.flags.of(refused)))
    }

    /// The marks that keep a route from external peers.
    fn kept_in(&self, source: Rank) -> SummaryFlags {
        let mut marks =
            SummaryFlags::NO_ADVERTISE.with(SummaryFlags::NO_EXPORT).with(SummaryFlags::NO_EXPORT_SUBCONFED);
        // RFC 7999 §3.2: it goes no further than to the AS that is asked to drop the traffic. That of our own AS is
        // to be asked of others, and a route server is not on the way of the traffic.
        if source.external && !self.transparent {
            marks.insert(SummaryFlags::BLACKHOLE);
        }
        if self.role.is_some_and(otc::keeps_back) {
            marks.insert(SummaryFlags::HAS_OTC);
        }
        // RFC 3765 §2: the only ones that are known to be bilateral peers.
        if self.role == Some(BgpRole::Peer) {
            marks.insert(SummaryFlags::NOPEER);
        }
        marks
    }

    /// How such peers are sent a route with these attributes of this source. `last_choice`: of an external one
    /// (RFC 8326 §4).
    pub(crate) fn treatment(&self, head: &Head, source: Rank, last_choice: bool) -> Treatment {
        match self.class {
            PeerClass::External if source.local => Treatment::Injected,
            PeerClass::Internal if source.internal() => {
                let originator = if head.originator_id == 0 { source.router_id } else { 0 };
                Treatment::Reflected { originator }
            }
            class => {
                // RFC 7999 §3.2: other routers of our AS are told, too, that it stays here.
                let no_export = class == PeerClass::Internal
                    && source.external
                    && head.flags.contains(SummaryFlags::BLACKHOLE);
                match last_choice || no_export {
                    true => Treatment::Marked { last_choice, no_export },
                    false => Treatment::Plain,
                }
            }
        }
    }

    /// The next hop to announce, or `None` where there is none that the peer could use. A route injected
    /// here keeps its next hop: who injects it says where the traffic shall go. So does every route to a
    /// client of a route server, which is not on the way of the traffic (RFC 7947 §2.2.1), and one that the
    /// policy has given another.
    pub(crate) fn next_hop(&self, received: NextHop, treatment: Treatment, own: Own) -> Option<NextHop> {
        let next_hop = match self.class {
            PeerClass::External if treatment != Treatment::Injected && !self.transparent && !own.next_hop => {
                self.self_next_hop?
            }
            _ => received,
        };
        let usable = match (self.family, next_hop) {
            (Family::Ipv4Unicast, NextHop::V4(_)) => true,
            (Family::Ipv4Unicast, _) => self.extended_next_hop,
            (_, NextHop::V4(_)) => false,
            (_, _) => true,
        };
        usable.then_some(next_hop)
    }

    /// The default route that such peers are sent whatever the table has: attributes in canonical form and next
    /// hop. It is sent as if it were injected. `None` where they are sent none, or there is no address of ours to
    /// name.
    pub(crate) fn default_route(&self) -> Option<(Vec<u8>, NextHop)> {
        let next_hop = self.self_next_hop.filter(|_| self.default_originate)?;
        // What is ours has our AS in its path, towards clients of a route server too.
        let asns = self.transparent.then_some(Asn(self.local_asn));
        let path = PathAttribute::AsPath(AsPathBuf::sequence(asns));
        Some((Builder::new().with(path).build(), next_hop))
    }

    /// The form of messages with this next hop. `attributes` are those of
    /// [`write_attributes`](Self::write_attributes).
    pub(crate) fn shape<'a>(&self, attributes: &'a [u8], next_hop: NextHop) -> Shape<'a> {
        let native = self.family == Family::Ipv4Unicast && matches!(next_hop, NextHop::V4(_));
        Shape { attributes, mp: (!native).then_some(next_hop), max_message: self.max_message }
    }

    /// Appends the attributes for such peers, in the order of their types.
    pub(crate) fn write_attributes(
        &self,
        (canonical, own): (Canonical<'_>, Own),
        treatment: Treatment,
        next_hop: NextHop,
        out: &mut Vec<u8>,
    ) {
        let native = match (self.family, next_hop) {
            (Family::Ipv4Unicast, NextHop::V4(a)) => Some(a),
            _ => None,
        };
        self.rewrite((canonical, own), treatment, native, self.four_octet_as, out);
    }

    /// The route as such peers are sent it, in canonical form.
    pub(crate) fn outgoing(
        &self,
        (canonical, own): (Canonical<'_>, Own),
        treatment: Treatment,
        next_hop: NextHop,
    ) -> Outgoing {
        let mut attributes = Vec::new();
        self.rewrite((canonical, own), treatment, None, true, &mut attributes);
        Outgoing { attributes, next_hop }
    }

    fn rewrite(
        &self,
        (canonical, own): (Canonical<'_>, Own),
        treatment: Treatment,
        next_hop: Option<Ipv4Addr>,
        four_octet_as: bool,
        out: &mut Vec<u8>,
    ) {
        let external = self.class == PeerClass::External;
        let mut due = self.due(treatment, next_hop);
        let marks = self.marks(treatment);
        let mut old_speaker = OldSpeaker::default();
        for RawAttribute { flags: attr_flags, code: attr_code, value, .. } in canonical.iter() {
            if attr_code > code::AS4_PATH {
                due.write_before(code::AS4_PATH, out);
                old_speaker.finish(out);
            }
            due.write_before(attr_code, out);
            match attr_code {
                code::AS_PATH => {
                    let prepend = (external && !self.transparent).then_some(self.local_asn);
                    let received = canonical.as_path();
                    let own = Asn(self.local_asn);
                    let rewritten = self.remove_private_as.and_then(|how| how.rewrite(received, own));
                    let path = rewritten.as_ref().map_or(received, AsPathBuf::as_path);
                    if four_octet_as {
                        write_path(out, prepend, path);
                    } else {
                        old_speaker.write_path(out, prepend, path);
                    }
                }
                code::LOCAL_PREF if external || treatment.is_last_choice() => {}
                code::LOCAL_PREF => {
                    due.local_pref = None;
                    write_attribute(out, attr_flags, attr_code, value);
                }
                // RFC 4271 §5.1.4: not a neighbor's MED. Our own is ours to send, and a route server sends all
                // (RFC 7947 §2.2.3).
                code::MULTI_EXIT_DISC
                    if external && treatment != Treatment::Injected && !self.transparent && !own.med => {}
                code::COMMUNITIES => {
                    due.communities = None;
                    write_communities(out, attr_flags, value, marks);
                }
                code::ORIGINATOR_ID | code::CLUSTER_LIST if external => {}
                code::ORIGINATOR_ID => {
                    due.originator = None;
                    write_attribute(out, attr_flags, attr_code, value);
                }
                code::CLUSTER_LIST => write_clusters(out, due.cluster.take(), value),
                code::AGGREGATOR if !four_octet_as => old_speaker.write_aggregator(out, attr_flags, value),
                code::ONLY_TO_CUSTOMER => {
                    // RFC 9234 §5: once it is set, it is preserved.
                    due.only_to_customer = None;
                    write_attribute(out, attr_flags, attr_code, value);
                }
                _ => write_attribute(out, with_partial(attr_code, attr_flags), attr_code, value),
            }
        }
        due.write_before(code::AS4_PATH, out);
        old_speaker.finish(out);
        due.write_before(u8::MAX, out);
    }

    /// Whether such peers are sent the same octets of two routes.
    pub(crate) fn look_alike(&self, attrs: &Attrs, a: (AttrId, Treatment), b: (AttrId, Treatment)) -> bool {
        let [a, b] = [a, b].map(|(id, treatment)| {
            let outgoing = attrs.outgoing(id);
            let next_hop = self.next_hop(attrs.next_hop(id), treatment, outgoing.1)?;
            let mut octets = Vec::new();
            self.write_attributes(outgoing, treatment, next_hop, &mut octets);
            Some((next_hop, octets))
        });
        a == b
    }

    /// What a route is sent with if it does not bring it.
    fn due(&self, treatment: Treatment, next_hop: Option<Ipv4Addr>) -> Due {
        let mut due = Due { next_hop, ..Due::default() };
        if self.class == PeerClass::Internal {
            let last_choice = treatment.is_last_choice();
            due.local_pref = Some(if last_choice { LAST_CHOICE_PREF } else { DEFAULT_LOCAL_PREF });
        }
        if self.draining || treatment.is_last_choice() {
            due.communities = Some(well_known::GRACEFUL_SHUTDOWN);
        }
        if let Treatment::Reflected { originator } = treatment {
            (due.originator, due.cluster) = (Some(originator), Some(self.cluster_id));
        }
        if self.role.is_some_and(otc::marks) {
            due.only_to_customer = Some(self.local_asn);
        }
        due
    }

    /// Communities that are added to those of a route.
    fn marks(&self, treatment: Treatment) -> [Option<u32>; 2] {
        let no_export = matches!(treatment, Treatment::Marked { no_export: true, .. });
        let last_choice = self.draining || treatment.is_last_choice();
        [no_export.then_some(well_known::NO_EXPORT), last_choice.then_some(well_known::GRACEFUL_SHUTDOWN)]
    }
}

/// The attributes of a route that is the last choice, as our own AS uses it (RFC 8326 §4.2).
pub(crate) fn last_choice(canonical: Canonical<'_>) -> Vec<u8> {
    let (pref, mark) = (Some(LAST_CHOICE_PREF), Some(well_known::GRACEFUL_SHUTDOWN));
    let mut due = Due { local_pref: pref, communities: mark, ..Due::default() };
    let mut out = Vec::new();
    for RawAttribute { flags, code, value, .. } in canonical.iter() {
        due.write_before(code, &mut out);
        match code {
            code::LOCAL_PREF => {}
            code::COMMUNITIES => {
                due.communities = None;
                write_communities(&mut out, flags, value, [mark, None]);
            }
            _ => write_attribute(&mut out, flags, code, value),
        }
    }
    due.write_before(u8::MAX, &mut out);
    out
}

/// What the octets of a route depend on beside its attribute set and the rules of the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// Passed on.
    Plain,
    /// Injected here, to an external peer.
    Injected,
    /// Reflected from an internal peer to another (RFC 4456 §8).
    Reflected {
        /// The ORIGINATOR_ID for a route that brings none, which is its peer's BGP identifier; else 0.
        originator: u32,
    },
    /// Passed on, and not as an external peer has sent it.
    Marked {
        /// The last choice: GRACEFUL_SHUTDOWN, and within our AS the least LOCAL_PREF (RFC 8326 §4.2).
        last_choice: bool,
        /// NO_EXPORT.
        no_export: bool,
    },
}

impl Treatment {
    fn is_last_choice(self) -> bool {
        matches!(self, Treatment::Marked { last_choice: true, .. })
    }
}

/// Attributes that a message must have if the route does not bring them, until it is their turn.
#[derive(Debug, Default)]
struct Due {
    next_hop: Option<Ipv4Addr>,
    local_pref: Option<u32>,
    /// COMMUNITIES, this only.
    communities: Option<u32>,
    /// ORIGINATOR_ID.
    originator: Option<u32>,
    /// The beginning of CLUSTER_LIST.
    cluster: Option<u32>,
    only_to_customer: Option<u32>,
}

impl Due {
    /// Writes those that come before attributes of this type.
    fn write_before(&mut self, attr_code: u8, out: &mut Vec<u8>) {
        if attr_code > code::NEXT_HOP
            && let Some(a) = self.next_hop.take()
        {
            write_attribute(out, flags::WELL_KNOWN, code::NEXT_HOP, &a.octets());
        }
        if attr_code > code::LOCAL_PREF
            && let Some(p) = self.local_pref.take()
        {
            write_attribute(out, flags::WELL_KNOWN, code::LOCAL_PREF, &p.to_be_bytes());
        }
        if attr_code > code::COMMUNITIES
            && let Some(c) = self.communities.take()
        {
            write_attribute(out, flags::OPTIONAL_TRANSITIVE, code::COMMUNITIES, &c.to_be_bytes());
        }
        if attr_code > code::ORIGINATOR_ID
            && let Some(id) = self.originator.take()
        {
            write_attribute(out, flags::OPTIONAL_NON_TRANSITIVE, code::ORIGINATOR_ID, &id.to_be_bytes());
        }
        if attr_code > code::CLUSTER_LIST
            && let Some(id) = self.cluster.take()
        {
            write_clusters(out, Some(id), &[]);
        }
        if attr_code > code::ONLY_TO_CUSTOMER
            && let Some(asn) = self.only_to_customer.take()
        {
            write_attribute(out, flags::OPTIONAL_TRANSITIVE, code::ONLY_TO_CUSTOMER, &asn.to_be_bytes());
        }
    }
}

/// Writes COMMUNITIES, a sorted set, with more of them.
fn write_communities(out: &mut Vec<u8>, attr_flags: u8, value: &[u8], more: [Option<u32>; 2]) {
    if more == [None; 2] {
        return write_attribute(out, attr_flags, code::COMMUNITIES, value);
    }
    let mut all = value.as_chunks::<4>().0.to_vec();
    all.extend(more.into_iter().flatten().map(u32::to_be_bytes));
    all.sort_unstable();
    all.dedup();
    write_attribute(out, attr_flags, code::COMMUNITIES, all.as_flattened());
}

/// Writes CLUSTER_LIST with `prepend` in front (RFC 4456 §8).
fn write_clusters(out: &mut Vec<u8>, prepend: Option<u32>, list: &[u8]) {
    let own = prepend.map(u32::to_be_bytes);
    let value = [own.as_ref().map_or(&[][..], |id| id), list].concat();
    write_attribute(out, flags::OPTIONAL_NON_TRANSITIVE, code::CLUSTER_LIST, &value);
}

/// RFC 4271 §5: what is passed on without being understood is marked.
fn with_partial(attr_code: u8, attr_flags: u8) -> u8 {
    if code::specified_flags(attr_code).is_some() { attr_flags } else { attr_flags | flags::PARTIAL }
}

/// Writes AS_PATH with `prepend` in front.
fn write_path(out: &mut Vec<u8>, prepend: Option<u32>, path: AsPath<'_>) {
    let Some(asn) = prepend else {
        return write_attribute(out, flags::WELL_KNOWN, code::AS_PATH, path.as_bytes());
    };
    // A path of up to 60 ASes is written in place: its length takes one octet, whatever is put in front.
    if path.as_bytes().len() <= 240 {
        let start = out.len();
        out.extend_from_slice(&[flags::WELL_KNOWN, code::AS_PATH, 0]);
        aspath::prepend(out, Asn(asn), 1, path);
        let len = out.len() - start - 3;
        if let (Some(place), Ok(len)) = (out.get_mut(start + 2), u8::try_from(len)) {
            *place = len;
        }
        return;
    }
    let mut value = Vec::with_capacity(path.as_bytes().len() + 6);
    aspath::prepend(&mut value, Asn(asn), 1, path);
    write_attribute(out, flags::WELL_KNOWN, code::AS_PATH, &value);
}

/// What a 2-octet speaker needs beside: the 4-octet forms that it passes on unread.
#[derive(Debug, Default)]
struct OldSpeaker {
    as4_path: Vec<u8>,
    as4_aggregator: Vec<u8>,
}

impl OldSpeaker {
    fn write_path(&mut self, out: &mut Vec<u8>, prepend: Option<u32>, path: AsPath<'_>) {
        let mut whole = Vec::with_capacity(path.as_bytes().len() + 6);
        match prepend {
            Some(asn) => aspath::prepend(&mut whole, Asn(asn), 1, path),
            None => whole.extend_from_slice(path.as_bytes()),
        }
        let mut short = Vec::with_capacity(whole.len());
        let translated = AsPath::parse(&whole).is_some_and(|path| aspath::write_two_octet(&mut short, path));
        write_attribute(out, flags::WELL_KNOWN, code::AS_PATH, &short);
        if translated {
            self.as4_path = whole;
        }
    }

    fn write_aggregator(&mut self, out: &mut Vec<u8>, attr_flags: u8, value: &[u8]) {
        let [0, 0, short @ ..] = value else {
            self.as4_aggregator = value.to_vec();
            let mut short = AS_TRANS.to_be_bytes().to_vec();
            short.extend_from_slice(value.get(4..).unwrap_or_default());
            return write_attribute(out, attr_flags, code::AGGREGATOR, &short);
        };
        write_attribute(out, attr_flags, code::AGGREGATOR, short);
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        for (attr_code, value) in
            [(code::AS4_PATH, &mut self.as4_path), (code::AS4_AGGREGATOR, &mut self.as4_aggregator)]
        {
            if !value.is_empty() {
                write_attribute(out, flags::OPTIONAL_TRANSITIVE, attr_code, value);
                value.clear();
            }
        }
    }
}
