//! `dynamic-neighbor`: the ranges from which neighbors may connect without being listed.

use grpc::v1::neighbor_service_client::NeighborServiceClient;
use grpc::v1::{
    AddDynamicNeighborRequest, DeleteDynamicNeighborRequest, DynamicNeighborRange,
    ListDynamicNeighborsRequest,
};

use crate::args::{RangeAction, RangeArgs};
use crate::connect::{Connection, MAX_ANSWER};
use crate::error::CliError;
use crate::output::table::{Cell, Column, Row, Table};
use crate::output::{Out, json};

type Client = NeighborServiceClient<Connection>;

/// `dynamic-neighbor ..`.
pub(super) async fn run(connection: Connection, args: RangeArgs, out: &mut Out) -> Result<(), CliError> {
    let mut client = Client::new(connection).max_decoding_message_size(MAX_ANSWER);
    match args.action.unwrap_or(RangeAction::List) {
        RangeAction::List => {
            let answer = client.list_dynamic_neighbors(ListDynamicNeighborsRequest {}).await?.into_inner();
            list(&answer.ranges, out)
        }
        RangeAction::Add { prefix, peer_group, asn, description } => {
            let range = DynamicNeighborRange {
                prefix: prefix.to_string(),
                peer_group,
                remote_asn: asn.unwrap_or_default(),
                description: description.unwrap_or_default(),
            };
            client.add_dynamic_neighbor(AddDynamicNeighborRequest { range: Some(range) }).await?;
            let whose = asn.map_or_else(|| "any AS".to_owned(), |n| format!("AS {n}"));
            let done =
                format!("dynamic neighbors {prefix} ({whose}) added and written to the configuration file");
            Ok(out.done(&done)?)
        }
        RangeAction::Delete { prefix } => {
            client
                .delete_dynamic_neighbor(DeleteDynamicNeighborRequest { prefix: prefix.to_string() })
                .await?;
            Ok(out.done(&format!("dynamic neighbors {prefix} deleted, also from the configuration file"))?)
        }
    }
}

fn list(ranges: &[DynamicNeighborRange], out: &mut Out) -> Result<(), CliError> {
    if out.json {
        return Ok(out.document(&json::list(ranges, json::range))?);
    }
    if ranges.is_empty() {
        return Ok(out.line("no ranges of dynamic neighbors are configured")?);
    }
    let columns = [
        Column::left("Prefix"),
        Column::right("AS"),
        Column::left("Peer group"),
        Column::left("Description").shrinking(),
    ];
    let rows: Vec<Row> = ranges
        .iter()
        .map(|r| {
            let asn = if r.remote_asn == 0 { "any".to_owned() } else { r.remote_asn.to_string() };
            [&r.prefix, &asn, &r.peer_group, &r.description].map(Cell::from).to_vec()
        })
        .collect();
    Ok(Table::print(&columns, &rows, out)?)
}
