//! `neighbor ADDR add` and `neighbor ADDR delete`: what is changed is in the configuration file as well.

use std::net::IpAddr;

use grpc::v1::neighbor_service_client::NeighborServiceClient;
use grpc::v1::{AddNeighborRequest, DeleteNeighborRequest, NeighborConfig};

use crate::args::AddNeighborArgs;
use crate::connect::Connection;
use crate::error::CliError;
use crate::output::Out;

/// `neighbor ADDR add`.
pub(super) async fn add(
    client: &mut NeighborServiceClient<Connection>,
    address: IpAddr,
    args: AddNeighborArgs,
    out: &mut Out,
) -> Result<(), CliError> {
    let asn = args.asn;
    client.add_neighbor(AddNeighborRequest { config: Some(config(address, args)) }).await?;
    Ok(out.done(&format!("neighbor {address} (AS {asn}) added and written to the configuration file"))?)
}

/// `neighbor ADDR delete`.
pub(super) async fn delete(
    client: &mut NeighborServiceClient<Connection>,
    address: IpAddr,
    out: &mut Out,
) -> Result<(), CliError> {
    client.delete_neighbor(DeleteNeighborRequest { address: address.to_string() }).await?;
    Ok(out.done(&format!("neighbor {address} deleted, also from the configuration file"))?)
}

fn config(address: IpAddr, args: AddNeighborArgs) -> NeighborConfig {
    NeighborConfig {
        address: address.to_string(),
        remote_asn: args.asn,
        description: args.description.unwrap_or_default(),
        peer_group: args.peer_group.unwrap_or_default(),
        hold_time: args.hold_time.unwrap_or_default(),
        max_prefixes: args.max_prefixes.unwrap_or_default(),
        max_prefixes_out: args.max_prefixes_out.unwrap_or_default(),
        max_prefixes_action: args.max_prefixes_action.unwrap_or_default(),
        max_prefixes_restart_minutes: args.max_prefixes_restart_minutes.unwrap_or_default(),
        families: args.families,
        remove_private_as: args.remove_private_as.unwrap_or_default(),
        ttl_security: args.ttl_security,
        role: args.role.unwrap_or_default(),
        role_strict: args.role_strict,
        route_server_client: args.route_server_client,
        add_path_receive: args.add_path_receive,
        add_path_send: args.add_path_send,
        add_path_send_max: args.add_path_send_max.unwrap_or_default(),
        ..NeighborConfig::default()
    }
}
