//! Neighbors as clients describe them, for the parent to write.

use std::net::IpAddr;

use grpc::v1;
use ipc::edit::{NewNeighbor, NewRange};
use ipc::object::Kind;
use ipnet::IpNet;
use tonic::Status;

use super::objects::object_of;
use crate::error::invalid;

/// The address in `field`.
///
/// # Errors
/// INVALID_ARGUMENT for what is no address.
pub(super) fn address(field: &str, text: &str) -> Result<IpAddr, Status> {
    text.parse().map_err(|_| {
        invalid(field, text, format!("{text:?} is not an IP address, such as 192.0.2.1 or 2001:db8::1"))
    })
}

/// The neighbor of a request. Whether its values make sense is for the rules of the configuration file.
///
/// # Errors
/// INVALID_ARGUMENT where it has no form that the parent could be asked about.
pub(super) fn new_neighbor(config: Option<v1::NeighborConfig>) -> Result<NewNeighbor, Status> {
    let config = config.ok_or_else(|| invalid("config", "", "is missing: it says which neighbor to add"))?;
    let address = address("address", &config.address)?;
    if config.md5 {
        let why = "says that a key is set, and no key comes with it: give it in settings.md5_password, or the neighbor a \
                   peer group that has one";
        return Err(invalid("md5", true, why));
    }
    let settings = config.settings.map(|settings| object_of(Kind::PeerGroup, &settings));
    let settings = settings.transpose()?.unwrap_or_default();
    Ok(NewNeighbor {
        address,
        remote_asn: config.remote_asn,
        description: text(config.description),
        peer_group: text(config.peer_group),
        families: config.families,
        hold_time: number(config.hold_time),
        max_prefixes: number(config.max_prefixes),
        max_prefixes_out: number(config.max_prefixes_out),
        max_prefixes_action: text(config.max_prefixes_action),
        max_prefixes_restart_minutes: number(config.max_prefixes_restart_minutes),
        remove_private_as: text(config.remove_private_as),
        ttl_security: config.ttl_security,
        role: text(config.role),
        role_strict: config.role_strict,
        route_server_client: config.route_server_client,
        add_path_receive: config.add_path_receive,
        add_path_send: config.add_path_send,
        add_path_send_max: number(config.add_path_send_max),
        settings,
    })
}

/// The prefix of a range of dynamic neighbors.
///
/// # Errors
/// INVALID_ARGUMENT for what is none, and where bits are set behind its length.
pub(super) fn range_prefix(text: &str) -> Result<IpNet, Status> {
    let prefix: IpNet = text.parse().map_err(|_| {
        let what = format!("{text:?} is not a prefix, such as 192.0.2.0/24 or 2001:db8::/32");
        invalid("prefix", text, what)
    })?;
    let right = prefix.trunc();
    if right == prefix {
        return Ok(prefix);
    }
    Err(invalid("prefix", text, format!("{prefix} has bits set behind its length; the prefix is {right}")))
}

/// The range of a request. Whether its values make sense is for the rules of the configuration file.
///
/// # Errors
/// INVALID_ARGUMENT where it has no form that the parent could be asked about.
pub(super) fn new_range(range: Option<v1::DynamicNeighborRange>) -> Result<NewRange, Status> {
    let range = range.ok_or_else(|| invalid("range", "", "is missing: it says which range to add"))?;
    let prefix = range_prefix(&range.prefix)?;
    if range.peer_group.is_empty() {
        return Err(invalid(
            "peer_group",
            "",
            "is missing: it names the group that gives the neighbors' settings",
        ));
    }
    Ok(NewRange {
        prefix,
        peer_group: range.peer_group,
        remote_asn: range.remote_asn,
        description: text(range.description),
    })
}

/// What a field says that is empty where it says nothing.
fn text(text: String) -> Option<String> {
    Some(text).filter(|t| !t.is_empty())
}

/// What a field says that is 0 where it says nothing.
fn number(number: u32) -> Option<u32> {
    Some(number).filter(|n| *n > 0)
}
