//! `policy-chain`: which policies apply to a neighbor, and to all that have none themselves.

use std::net::IpAddr;

use grpc::v1;
use grpc::v1::policy_service_client::PolicyServiceClient;
use serde_json::json;

use crate::args::{ChainAction, ChainArgs, Way};
use crate::connect::{Connection, MAX_ANSWER};
use crate::error::CliError;
use crate::output::Out;

type Client = PolicyServiceClient<Connection>;

/// `policy-chain ..`.
pub(super) async fn run(connection: Connection, args: ChainArgs, out: &mut Out) -> Result<(), CliError> {
    let mut client = Client::new(connection).max_decoding_message_size(MAX_ANSWER);
    let whose = args.address.map_or_else(|| "all neighbors".to_owned(), |a| format!("neighbor {a}"));
    match args.action {
        None => show(&mut client, args.address, out).await,
        Some(ChainAction::Set { way, policies }) => {
            let names = policies.join(", ");
            set(&mut client, args.address, way, policies).await?;
            let word = word(way);
            Ok(out.done(&format!("{word} chain for {whose}: {names}, also in the configuration file"))?)
        }
        Some(ChainAction::Clear { way }) => {
            clear(&mut client, args.address, way).await?;
            let word = word(way);
            Ok(out.done(&format!("{word} chain for {whose} cleared, also in the configuration file"))?)
        }
    }
}

fn word(way: Way) -> &'static str {
    match way {
        Way::Import => "import",
        Way::Export => "export",
    }
}

async fn show(client: &mut Client, address: Option<IpAddr>, out: &mut Out) -> Result<(), CliError> {
    let chains = match address {
        Some(address) => {
            let request = v1::GetNeighborPolicyChainsRequest { address: address.to_string() };
            client.get_neighbor_policy_chains(request).await?.into_inner()
        }
        None => {
            let all =
                client.get_global_policy_chains(v1::GetGlobalPolicyChainsRequest {}).await?.into_inner();
            v1::NeighborPolicyChains {
                address: String::new(),
                import_policy_names: all.import_policy_names,
                export_policy_names: all.export_policy_names,
            }
        }
    };
    let (import, export) = (chains.import_policy_names, chains.export_policy_names);
    if out.json {
        let mut document = json!({ "import_policy_names": import, "export_policy_names": export });
        if let (Some(address), Some(object)) = (address, document.as_object_mut()) {
            object.insert("address".to_owned(), json!(address));
        }
        return Ok(out.document(&document)?);
    }
    let names = |names: Vec<String>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    out.line(format!("Import:  {}", names(import)))?;
    Ok(out.line(format!("Export:  {}", names(export)))?)
}

async fn set(
    client: &mut Client,
    address: Option<IpAddr>,
    way: Way,
    policy_names: Vec<String>,
) -> Result<(), tonic::Status> {
    let address = address.map(|a| a.to_string());
    match (address, way) {
        (Some(address), Way::Import) => {
            client
                .set_neighbor_import_chain(v1::SetNeighborImportChainRequest { address, policy_names })
                .await?;
        }
        (Some(address), Way::Export) => {
            client
                .set_neighbor_export_chain(v1::SetNeighborExportChainRequest { address, policy_names })
                .await?;
        }
        (None, Way::Import) => {
            client.set_global_import_chain(v1::SetGlobalImportChainRequest { policy_names }).await?;
        }
        (None, Way::Export) => {
            client.set_global_export_chain(v1::SetGlobalExportChainRequest { policy_names }).await?;
        }
    }
    Ok(())
}

async fn clear(client: &mut Client, address: Option<IpAddr>, way: Way) -> Result<(), tonic::Status> {
    let address = address.map(|a| a.to_string());
    match (address, way) {
        (Some(address), Way::Import) => {
            client.clear_neighbor_import_chain(v1::ClearNeighborImportChainRequest { address }).await?;
        }
        (Some(address), Way::Export) => {
            client.clear_neighbor_export_chain(v1::ClearNeighborExportChainRequest { address }).await?;
        }
        (None, Way::Import) => {
            client.clear_global_import_chain(v1::ClearGlobalImportChainRequest {}).await?;
        }
        (None, Way::Export) => {
            client.clear_global_export_chain(v1::ClearGlobalExportChainRequest {}).await?;
        }
    }
    Ok(())
}
