//! `rib`: which routes to show, how much there is, routes to inject and withdraw.

use grpc::v1::injection_service_client::InjectionServiceClient;
use grpc::v1::rib_service_client::RibServiceClient;
use grpc::v1::{AddPathRequest, DeletePathRequest, ListRoutesRequest, RibSummaryRequest};

use crate::args::{AddArgs, Family, RibAction, RibArgs, RouteSelection};
use crate::commands::{explain, inject, owners, routes};
use crate::connect::{Connection, MAX_ANSWER};
use crate::error::CliError;
use crate::output::table::{Cell, Column, Row, Table};
use crate::output::{Out, json};

/// Refuses conditions that make no sense here.
pub(super) fn check(args: &RibArgs) -> Result<(), CliError> {
    let selection = &args.selection;
    let lists = matches!(args.action, None | Some(RibAction::Received { .. } | RibAction::Advertised { .. }));
    if !lists && !selection.is_empty() {
        return Err(CliError::Usage(
            "-a, -p, -l and the other conditions select routes to show, nothing else".to_owned(),
        ));
    }
    if selection.explain && (selection.prefix.is_none() || selection.longer) {
        return Err(CliError::Usage("--explain needs -p PREFIX: one prefix, without -l".to_owned()));
    }
    if selection.longer && selection.prefix.is_none() {
        return Err(CliError::Usage("-l needs -p PREFIX: longer than what?".to_owned()));
    }
    if let (Some(family), Some(prefix)) = (selection.family, selection.prefix)
        && (family == Family::Ipv4Unicast) != prefix.addr().is_ipv4()
    {
        return Err(CliError::Usage(format!("{prefix} is not of the family that -a selects")));
    }
    Ok(())
}

/// `rib ..`.
pub(super) async fn run(connection: Connection, args: RibArgs, out: &mut Out) -> Result<(), CliError> {
    let selection = args.selection;
    if let Some(prefix) = selection.prefix.filter(|_| selection.explain) {
        return match args.action {
            Some(RibAction::Received { address }) => {
                explain::received(connection, address, prefix, out).await
            }
            Some(RibAction::Advertised { address }) => {
                explain::advertised(connection, address, prefix, out).await
            }
            _ => explain::best(connection, prefix, out).await,
        };
    }
    match args.action {
        None => list(connection, routes::Table::Best, selection, String::new(), out).await,
        Some(RibAction::Received { address }) => {
            list(connection, routes::Table::Received, selection, address.to_string(), out).await
        }
        Some(RibAction::Advertised { address }) => {
            list(connection, routes::Table::Advertised, selection, address.to_string(), out).await
        }
        Some(RibAction::Summary) => summary(connection, out).await,
        Some(RibAction::Add(args)) => add(connection, args, out).await,
        Some(RibAction::Delete { target, path_id }) => {
            let request = DeletePathRequest {
                prefix: target.addr().to_string(),
                prefix_length: target.prefix_len().into(),
                path_id,
            };
            InjectionServiceClient::new(connection).delete_path(request).await?;
            Ok(out.done(&format!("{target} withdrawn"))?)
        }
        Some(RibAction::Inject(args)) => inject::run(connection, args, out).await,
        Some(RibAction::Owners { action }) => owners::run(connection, action, out).await,
    }
}

async fn list(
    connection: Connection,
    table: routes::Table,
    selection: RouteSelection,
    neighbor_address: String,
    out: &mut Out,
) -> Result<(), CliError> {
    let family = selection.family.map_or(0, Family::number);
    let one = selection.prefix.is_some() && !selection.longer;
    let request = ListRoutesRequest {
        neighbor_address,
        afi_safi: family,
        prefix_filter: selection.prefix.map(|p| p.addr().to_string()).unwrap_or_default(),
        prefix_filter_length: selection.prefix.map_or(0, |p| p.prefix_len().into()),
        longer_prefixes: selection.longer,
        origin_asn: selection.origin_asn.unwrap_or(0),
        community_filter: selection.community,
        large_community_filter: selection.large_community,
        ..ListRoutesRequest::default()
    };
    routes::print(connection, table, request, one, out).await
}

async fn summary(connection: Connection, out: &mut Out) -> Result<(), CliError> {
    let mut client = RibServiceClient::new(connection).max_decoding_message_size(MAX_ANSWER);
    let summary = client.get_rib_summary(RibSummaryRequest {}).await?.into_inner();
    if out.json {
        return Ok(out.document(&json::summary(&summary))?);
    }
    let columns = [
        Column::left("Family"),
        Column::right("Best routes"),
        Column::right("Received"),
        Column::right("Advertised"),
    ];
    let rows: Vec<Row> = summary
        .families
        .iter()
        .map(|f| {
            vec![
                Cell::from(&f.family),
                Cell::from(f.loc_rib_prefixes),
                Cell::from(f.adj_rib_in_routes),
                Cell::from(f.adj_rib_out_routes),
            ]
        })
        .collect();
    Table::print(&columns, &rows, out)?;
    out.line("")?;
    let columns = [
        Column::left("Neighbor").shrinking_to(22),
        Column::left("Family"),
        Column::right("Received"),
        Column::right("Advertised"),
        Column::left("Description").shrinking(),
    ];
    let mut rows: Vec<Row> = Vec::new();
    for n in &summary.neighbors {
        let description = if n.description == n.address { "" } else { &n.description };
        for f in &n.families {
            rows.push(vec![
                Cell::from(&n.address),
                Cell::from(&f.family),
                Cell::from(f.received),
                Cell::from(f.sent),
                Cell::from(description),
            ]);
        }
    }
    if !rows.is_empty() {
        Table::print(&columns, &rows, out)?;
        out.line("")?;
    }
    Ok(out.line(format!("{} sets of path attributes", summary.attribute_sets))?)
}

async fn add(connection: Connection, args: AddArgs, out: &mut Out) -> Result<(), CliError> {
    let request = AddPathRequest {
        prefix: args.target.addr().to_string(),
        prefix_length: args.target.prefix_len().into(),
        next_hop: args.nexthop.to_string(),
        as_path: args.as_path.0,
        origin: args.origin,
        local_pref: args.local_pref,
        med: args.med,
        communities: args.communities,
        extended_communities: Vec::new(),
        large_communities: args.large_communities,
        path_id: args.path_id,
        owner: args.owner.owner.unwrap_or_default(),
        lease_seconds: args.owner.lease,
    };
    InjectionServiceClient::new(connection).add_path(request).await?;
    Ok(out.done(&format!("{} injected", args.target))?)
}
