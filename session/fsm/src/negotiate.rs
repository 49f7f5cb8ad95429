//! What two OPENs agree on: RFC 4271 §6.2, RFC 4760 §8, RFC 5492 §3, RFC 6286 §2, RFC 6793 §4, RFC 7313 §4,
//! RFC 7607, RFC 7911 §4 and §5, RFC 8654, RFC 8950, RFC 9234 §4; graceful restart in `restart`.

use bgp::capability::{AddPathMode, Capability};
use bgp::notification::{Notification, code, open_error};
use bgp::open::{Open, VERSION};
use bgp::{Afi, Asn, BgpRole, Family, FamilySet, MAX_EXTENDED_MESSAGE, MAX_MESSAGE, RouterId, Safi};

use crate::restart::{self, Restart};
use crate::settings::{HoldTime, Kind, Settings};

/// What a session runs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The peer's AS number.
    pub remote_asn: Asn,
    /// The smaller of the proposed hold times.
    pub hold_time: HoldTime,
    /// Families that both sides announced; never empty.
    pub families: FamilySet,
    /// Those of them with several paths from the peer.
    pub add_path_receive: FamilySet,
    /// Those of them with several paths to the peer.
    pub add_path_send: FamilySet,
    /// Both speak 4-octet AS numbers.
    pub four_octet_as: bool,
    /// The peer takes ROUTE-REFRESH.
    pub route_refresh: bool,
    /// It tells where a table that it sends again begins and ends, and wants to be told (RFC 7313).
    pub enhanced_refresh: bool,
    /// Both announced graceful restart: a refresh that it begins before its End-of-RIB is ignored (RFC 7313 §4).
    pub refresh_after_end_of_rib: bool,
    /// Prefixes of IPv4 unicast may have IPv6 next hops, both ways (RFC 8950 §4).
    pub extended_next_hop: bool,
    /// Largest message that the peer takes, in octets.
    pub max_message: u16,
    /// What the peer announced about restarts, where we did so too.
    pub restart: Option<Restart>,
    /// The peer's BGP identifier.
    pub router_id: RouterId,
    /// Families that only one side announced.
    pub one_sided: FamilySet,
    /// The peer's capabilities, in the order of its OPEN.
    pub capabilities: Vec<Capability>,
}

impl Session {
    /// What the peer announces as its role (RFC 9234 §4.1): its name, a number where that is not assigned,
    /// empty where it announces none.
    pub fn peer_role(&self) -> String {
        let value = roles(&self.capabilities).next();
        let name = |value| BgpRole::from_value(value).map_or_else(|| value.to_string(), |r| r.to_string());
        value.map(name).unwrap_or_default()
    }
}

/// An OPEN that is refused: what to send, and why in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{notification}: {detail}")]
pub struct Refusal {
    /// What the peer is to be told.
    pub notification: Notification,
    /// Why, beyond what code and subcode say.
    pub detail: String,
}

/// RFC 8950 §4: prefixes of IPv4 unicast with IPv6 next hops.
const IPV4_OVER_IPV6: (Afi, Safi, Afi) = (Afi::IPV4, Safi::UNICAST, Afi::IPV6);

/// Who has both families knows what to do with either kind of next hop.
fn offers_extended_next_hop(settings: &Settings) -> bool {
    [Family::Ipv4Unicast, Family::Ipv6Unicast].iter().all(|f| settings.families.contains(*f))
}

/// The OPEN that we send; `restarted`: while peers keep our routes of before (RFC 4724 §4.1).
pub fn our_open(settings: &Settings, restarted: bool) -> Open {
    let mut capabilities: Vec<Capability> =
        settings.families.iter().map(Capability::multi_protocol).collect();
    capabilities.push(Capability::RouteRefresh);
    capabilities.push(Capability::EnhancedRouteRefresh);
    capabilities.push(Capability::FourOctetAs(settings.local_asn.0));
    capabilities.push(Capability::ExtendedMessage);
    if offers_extended_next_hop(settings) {
        capabilities.push(Capability::ExtendedNextHop(vec![IPV4_OVER_IPV6]));
    }
    if let Some(mode) = settings.add_path.mode() {
        // All families in one capability (RFC 7911 §4).
        let list = settings.families.iter().map(|f| (f.afi(), f.safi(), mode)).collect();
        capabilities.push(Capability::AddPath(list));
    }
    capabilities.extend(role_of(settings).map(|role| Capability::Role(role as u8)));
    let graceful = |time| restart::capability(settings.families, time, restarted);
    capabilities.extend(settings.restart_time.map(graceful));
    capabilities.extend(restart::long_lived_capability(settings));
    Open {
        version: VERSION,
        my_as: settings.local_asn.to_two_octets(),
        hold_time: settings.hold_time.seconds(),
        router_id: settings.router_id,
        capabilities,
    }
}

/// Checks the body of the peer's OPEN and computes what was agreed on.
///
/// # Errors
/// OPEN Message Error with the subcode and data of RFC 4271 §6.2, RFC 5492 §5, RFC 6286 §2.2 and RFC 9234 §4.2.
pub fn negotiate(settings: &Settings, body: &[u8]) -> Result<Session, Refusal> {
    let open = Open::decode(body)
        .map_err(|notification| Refusal { notification, detail: "the OPEN is malformed".to_owned() })?;
    check_asn(settings, open.asn())?;
    let settings = &settings.towards(open.asn());
    check_identity(settings, &open)?;
    check_role(settings, &open)?;
    let hold_time = HoldTime::new(open.hold_time)
        .ok_or_else(|| refuse(open_error::UNACCEPTABLE_HOLD_TIME, format!("{} s", open.hold_time)))?;
    let theirs = families_of(&open);
    let families = settings.families.intersection(theirs);
    if families.is_empty() {
        return Err(no_common_family(settings, theirs));
    }
    let has = |c: Capability| open.capabilities.contains(&c);
    let takes_ipv6_next_hops = open
        .capabilities
        .iter()
        .any(|c| matches!(c, Capability::ExtendedNextHop(list) if list.contains(&IPV4_OVER_IPV6)));
    let add_path = |ours: bool, theirs: fn(AddPathMode) -> bool| match ours {
        true => add_path_of(&open, theirs).intersection(families),
        false => FamilySet::EMPTY,
    };
    Ok(Session {
        remote_asn: open.asn(),
        hold_time: settings.hold_time.negotiate(hold_time),
        families,
        add_path_receive: add_path(settings.add_path.receive, AddPathMode::sends),
        add_path_send: add_path(settings.add_path.send, AddPathMode::receives),
        four_octet_as: open.capabilities.iter().any(|c| matches!(c, Capability::FourOctetAs(_))),
        route_refresh: has(Capability::RouteRefresh),
        enhanced_refresh: has(Capability::EnhancedRouteRefresh),
        refresh_after_end_of_rib: restarts(&open) && restarts(&our_open(settings, false)),
        extended_next_hop: takes_ipv6_next_hops
            && offers_extended_next_hop(settings)
            && families.contains(Family::Ipv4Unicast),
        max_message: if has(Capability::ExtendedMessage) { MAX_EXTENDED_MESSAGE } else { MAX_MESSAGE } as u16,
        restart: restart::negotiate(settings, &open.capabilities, families),
        router_id: open.router_id,
        one_sided: Family::ALL
            .into_iter()
            .filter(|f| settings.families.contains(*f) != theirs.contains(*f))
            .collect(),
        capabilities: open.capabilities,
    })
}

/// Whether the speaker announces graceful restart, and with it End-of-RIB (RFC 4724 §3).
fn restarts(open: &Open) -> bool {
    open.capabilities.iter().any(|c| matches!(c, Capability::GracefulRestart { .. }))
}

/// The peer's AS number (RFC 4271 §6.2). What kind of peer one of any AS is, follows from it.
fn check_asn(settings: &Settings, asn: Asn) -> Result<(), Refusal> {
    if settings.accepts(asn) {
        return Ok(());
    }
    let detail = match settings.only {
        _ if settings.remote_asn != Asn(0) => {
            format!("the peer's AS is {asn}, expected {}", settings.remote_asn)
        }
        Some(Kind::External) if asn == settings.local_asn => {
            format!("the peer's AS is {asn}, our own, and its range has settings for eBGP alone")
        }
        Some(Kind::Internal) if asn != Asn(0) => {
            format!("the peer's AS is {asn}, not our own, and its range has settings for iBGP alone")
        }
        _ => format!("the peer's AS is {asn}"),
    };
    Err(refuse(open_error::BAD_PEER_AS, detail))
}

/// The identifier (RFC 6286 §2.2).
fn check_identity(settings: &Settings, open: &Open) -> Result<(), Refusal> {
    if open.router_id.to_u32() == 0 || (settings.is_internal() && open.router_id == settings.router_id) {
        let detail = format!("the peer's identifier is {}", open.router_id);
        return Err(refuse(open_error::BAD_BGP_IDENTIFIER, detail));
    }
    Ok(())
}

/// Our role. There are none within an AS (RFC 9234 §4).
fn role_of(settings: &Settings) -> Option<BgpRole> {
    settings.role.filter(|_| !settings.is_internal())
}

/// What a speaker announces as its role, once for each time that it does.
fn roles(capabilities: &[Capability]) -> impl Iterator<Item = u8> {
    capabilities.iter().filter_map(|c| match c {
        Capability::Role(value) => Some(*value),
        _ => None,
    })
}

/// Roles must fit together, where both sides announce one (RFC 9234 §4.2).
fn check_role(settings: &Settings, open: &Open) -> Result<(), Refusal> {
    if settings.is_internal() {
        return Ok(());
    }
    let mismatch = |detail: String| Err(refuse(open_error::ROLE_MISMATCH, detail));
    let shown = |value: u8| Capability::Role(value).to_string();
    let mut theirs = roles(&open.capabilities);
    let first = theirs.next();
    if let Some(other) = theirs.find(|value| Some(*value) != first) {
        return mismatch(format!(
            "the peer announces {} and {}",
            first.map(shown).unwrap_or_default(),
            shown(other)
        ));
    }
    match (role_of(settings), first) {
        (Some(ours), None) if settings.role_strict => {
            mismatch(format!("the peer announces no role, ours is {ours}"))
        }
        (Some(ours), Some(value)) if value != ours.counterpart() as u8 => {
            mismatch(format!("the peer announces {}, ours is {ours}", shown(value)))
        }
        _ => Ok(()),
    }
}

/// The families that a peer announces. IPv4 unicast is implied only where it announces none at all,
/// not even one that is unknown here.
fn families_of(open: &Open) -> FamilySet {
    let mut announced = open.capabilities.iter().filter_map(|c| match c {
        Capability::MultiProtocol(afi, safi) => Some(Family::from_afi_safi(*afi, *safi)),
        _ => None,
    });
    match announced.next() {
        None => FamilySet::EMPTY.with(Family::Ipv4Unicast),
        Some(first) => first.into_iter().chain(announced.flatten()).collect(),
    }
}

/// The families in which the peer says this of add-path (RFC 7911 §4).
fn add_path_of(open: &Open, says: fn(AddPathMode) -> bool) -> FamilySet {
    let lists = open.capabilities.iter().filter_map(|c| match c {
        Capability::AddPath(list) => Some(list),
        _ => None,
    });
    let said = lists.flatten().filter(|(_, _, mode)| says(*mode));
    said.filter_map(|(afi, safi, _)| Family::from_afi_safi(*afi, *safi)).collect()
}

/// Unsupported Capability with the capabilities that would have been needed (RFC 5492 §5).
fn no_common_family(settings: &Settings, theirs: FamilySet) -> Refusal {
    let mut data = Vec::new();
    settings.families.iter().for_each(|f| Capability::multi_protocol(f).encode(&mut data));
    let names = |set: FamilySet| set.iter().map(Family::name).collect::<Vec<_>>().join(", ");
    let detail = format!("no common family: ours {}; the peer's {}", names(settings.families), names(theirs));
    let subcode = open_error::UNSUPPORTED_CAPABILITY;
    Refusal { notification: Notification { code: code::OPEN, subcode, data }, detail }
}

fn refuse(subcode: u8, detail: String) -> Refusal {
    Refusal { notification: Notification::open(subcode), detail }
}
