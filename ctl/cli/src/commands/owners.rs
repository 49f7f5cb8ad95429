//! `rib owners`: who owns injected routes.

use grpc::v1::injection_service_client::InjectionServiceClient;
use grpc::v1::{DeleteOwnerRequest, ListOwnersRequest, RenewLeaseRequest};

use crate::args::OwnersAction;
use crate::connect::Connection;
use crate::error::CliError;
use crate::output::table::{Cell, Column, Row, Table};
use crate::output::{Out, json, text};

/// `rib owners ..`.
pub(super) async fn run(
    connection: Connection,
    action: Option<OwnersAction>,
    out: &mut Out,
) -> Result<(), CliError> {
    let mut client = InjectionServiceClient::new(connection);
    match action {
        None => {
            let owners = client.list_owners(ListOwnersRequest {}).await?.into_inner().owners;
            if out.json {
                return Ok(out.document(&json::list(&owners, json::owner))?);
            }
            if owners.is_empty() {
                return Ok(out.line("No injected routes have an owner.")?);
            }
            let columns = [
                Column::left("Owner"),
                Column::right("Routes"),
                Column::right("Lease"),
                Column::right("Left"),
            ];
            let rows: Vec<Row> = (owners.iter())
                .map(|o| {
                    let time = |seconds: u32| match o.lease_seconds {
                        0 => "-".to_owned(),
                        _ => text::duration(seconds.into()),
                    };
                    vec![
                        Cell::from(&o.name),
                        Cell::from(o.routes),
                        Cell::from(time(o.lease_seconds)),
                        Cell::from(time(o.seconds_left)),
                    ]
                })
                .collect();
            Ok(Table::print(&columns, &rows, out)?)
        }
        Some(OwnersAction::Delete { name }) => {
            let request = DeleteOwnerRequest { owner: name.clone() };
            let routes = client.delete_owner(request).await?.into_inner().routes;
            Ok(out.done(&format!("{routes} routes of {name} withdrawn"))?)
        }
        Some(OwnersAction::Renew { name, lease }) => {
            let request = RenewLeaseRequest { owner: name.clone(), lease_seconds: lease };
            client.renew_lease(request).await?;
            Ok(out.done(&format!("lease of {name} renewed"))?)
        }
    }
}
