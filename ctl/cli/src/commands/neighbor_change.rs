//! `neighbor ADDR add` and `neighbor ADDR delete`: what is changed is in the configuration file as well.

use std::net::IpAddr;

use grpc::v1::neighbor_service_client::NeighborServiceClient;
use grpc::v1::peer_group_service_client::PeerGroupServiceClient;
use grpc::v1::{
    AddNeighborRequest, ClearNeighborPeerGroupRequest, DeleteNeighborRequest, NeighborConfig,
    PeerGroupDefinition, SetNeighborPeerGroupRequest,
};

use super::definition;
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
    let settings = settings(&args)?;
    let config = NeighborConfig { settings, ..config(address, args) };
    client.add_neighbor(AddNeighborRequest { config: Some(config) }).await?;
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

/// `neighbor ADDR peer-group`.
pub(super) async fn peer_group(
    connection: Connection,
    address: IpAddr,
    group: Option<&str>,
    out: &mut Out,
) -> Result<(), CliError> {
    let mut client = PeerGroupServiceClient::new(connection);
    let neighbor = address.to_string();
    let done = match group {
        Some(group) => {
            let request = SetNeighborPeerGroupRequest { address: neighbor, peer_group: group.to_owned() };
            client.set_neighbor_peer_group(request).await?;
            format!("neighbor {address} is in the peer group {group:?}, also in the configuration file")
        }
        None => {
            client.clear_neighbor_peer_group(ClearNeighborPeerGroupRequest { address: neighbor }).await?;
            format!("neighbor {address} is in no peer group, also in the configuration file")
        }
    };
    Ok(out.done(&done)?)
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

/// What a neighbor is given beyond what its own fields say; `None` where that is nothing.
fn settings(args: &AddNeighborArgs) -> Result<Option<PeerGroupDefinition>, CliError> {
    let mut settings: PeerGroupDefinition = match &args.settings {
        Some(file) => definition::read(file)?,
        None => PeerGroupDefinition::default(),
    };
    fn put<T>(field: &mut Option<T>, said: Option<T>) {
        if said.is_some() {
            *field = said;
        }
    }
    if let Some(file) = &args.md5_password_file {
        let text = definition::text(file)?;
        settings.md5_password = Some(text.trim_end_matches(['\r', '\n']).to_owned());
    }
    put(&mut settings.local_address, args.local_address.map(|a| a.to_string()));
    put(&mut settings.local_asn, args.local_asn);
    put(&mut settings.port, args.port);
    put(&mut settings.multihop, args.multihop);
    put(&mut settings.graceful_restart, args.graceful_restart);
    put(&mut settings.llgr_stale_time, args.llgr_stale_time);
    for (field, on) in [
        (&mut settings.passive, args.passive),
        (&mut settings.route_reflector_client, args.route_reflector_client),
        (&mut settings.default_originate, args.default_originate),
        (&mut settings.shutdown, args.shutdown),
    ] {
        put(field, on.then_some(true));
    }
    for (field, names) in [
        (&mut settings.import_policy_chain, &args.import_policy_chain),
        (&mut settings.export_policy_chain, &args.export_policy_chain),
    ] {
        if !names.is_empty() {
            field.clone_from(names);
        }
    }
    Ok(Some(settings).filter(|s| *s != PeerGroupDefinition::default()))
}
