//! InjectionService: routes of clients, one by one or as a stream.

use std::collections::VecDeque;
use std::sync::Arc;

use grpc::v1::injection_service_server::InjectionService;
use grpc::v1::{
    AddFlowSpecRequest, AddFlowSpecResponse, AddPathRequest, AddPathResponse, DeleteFlowSpecRequest,
    DeleteFlowSpecResponse, DeleteOwnerRequest, DeleteOwnerResponse, DeletePathRequest, DeletePathResponse,
    InjectRoutesRequest, InjectRoutesResponse, InjectStreamRequest, InjectStreamResponse, ListOwnersRequest,
    ListOwnersResponse, Owner, RenewLeaseRequest, RenewLeaseResponse,
};
use ipc::control_rde::{ControlToRde, Injection as Item, OwnedBy, RdeToControl};
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use crate::app::App;
use crate::convert;
use crate::engine::Query;
use crate::error::{invalid, not_found, not_yet};
use crate::inject;
use crate::services::inject_stream;

/// How many messages of routes may be on their way to rde at once: enough to keep both processes busy.
const IN_FLIGHT: usize = 4;

/// The service.
#[derive(Debug)]
pub(super) struct Injection(pub(super) Arc<App>);

impl Injection {
    async fn send(&self, owner: Option<OwnedBy>, items: Vec<Item>) -> Result<Query<ControlToRde>, Status> {
        self.0.rde.ask(|id| ControlToRde::Inject { id, owner, items }).await
    }
}

/// How many routes a query changed.
pub(super) async fn changed(mut query: Query<ControlToRde>) -> Result<u32, Status> {
    match query.next().await? {
        RdeToControl::Injected { count, .. } => {
            query.finish();
            Ok(count)
        }
        RdeToControl::Failed { error, .. } => {
            query.finish();
            Err(Status::resource_exhausted(error))
        }
        _ => Err(query.confused()),
    }
}

/// The owner of a request that must have one.
fn required_owner(name: &str, lease: Option<u32>) -> Result<OwnedBy, Status> {
    let missing = || invalid("owner", "", "is missing: give the name that the routes were injected with");
    inject::owner(name, lease)?.ok_or_else(missing)
}

fn no_owner(name: &str) -> Status {
    not_found("owner", name, format!("no injected routes are of {name:?}; ListOwners shows whose there are"))
}

/// Checks the routes of one message; what is wrong names the route.
fn check_all(paths: Vec<AddPathRequest>, before: u64) -> Result<Vec<Item>, Status> {
    let mut routes = Vec::with_capacity(paths.len());
    for (number, path) in (before + 1..).zip(paths) {
        let name = format!("route {number} ({}/{})", path.prefix, path.prefix_length);
        let route = inject::check_item(path).map_err(|e| {
            Status::with_details(e.code(), format!("{name}: {}", e.message()), e.details().to_vec().into())
        })?;
        routes.push(Item::Route(route));
    }
    Ok(routes)
}

#[tonic::async_trait]
impl InjectionService for Injection {
    async fn add_path(&self, request: Request<AddPathRequest>) -> Result<Response<AddPathResponse>, Status> {
        let request = request.into_inner();
        let owner = inject::owner(&request.owner, request.lease_seconds)?;
        let route = inject::check(request)?;
        changed(self.send(owner, vec![Item::Route(route)]).await?).await?;
        Ok(Response::new(AddPathResponse {}))
    }

    async fn delete_path(
        &self,
        request: Request<DeletePathRequest>,
    ) -> Result<Response<DeletePathResponse>, Status> {
        let request = request.into_inner();
        let path_id = request.path_id;
        let prefix = convert::prefix("prefix", &request.prefix, request.prefix_length)?;
        let query = self.0.rde.ask(|id| ControlToRde::Withdraw { id, prefix, path_id }).await?;
        if changed(query).await? == 0 {
            let what = match path_id {
                0 => format!("no route to {prefix} was injected"),
                id => format!("no route to {prefix} with path id {id} was injected"),
            };
            return Err(not_found("prefix", prefix, what));
        }
        Ok(Response::new(DeletePathResponse {}))
    }

    async fn inject_routes(
        &self,
        request: Request<Streaming<InjectRoutesRequest>>,
    ) -> Result<Response<InjectRoutesResponse>, Status> {
        let mut messages = request.into_inner();
        let (mut seen, mut injected) = (0, 0);
        let mut in_flight = VecDeque::new();
        while let Some(message) = messages.message().await? {
            let routes = check_all(message.paths, seen)?;
            seen += routes.len() as u64;
            for chunk in inject::chunks(routes) {
                in_flight.push_back(self.send(None, chunk).await?);
                if in_flight.len() >= IN_FLIGHT
                    && let Some(oldest) = in_flight.pop_front()
                {
                    injected += u64::from(changed(oldest).await?);
                }
            }
        }
        for query in in_flight {
            injected += u64::from(changed(query).await?);
        }
        Ok(Response::new(InjectRoutesResponse { injected }))
    }

    async fn inject_stream(
        &self,
        request: Request<Streaming<InjectStreamRequest>>,
    ) -> Result<Response<BoxStream<InjectStreamResponse>>, Status> {
        Ok(Response::new(inject_stream::answers(&self.0, request.into_inner())))
    }

    async fn list_owners(
        &self,
        _: Request<ListOwnersRequest>,
    ) -> Result<Response<ListOwnersResponse>, Status> {
        let mut query = self.0.rde.ask(|id| ControlToRde::Owners { id }).await?;
        let RdeToControl::OwnersReply { owners, .. } = query.next().await? else {
            return Err(query.confused());
        };
        query.finish();
        let owners = owners.into_iter().map(|o| Owner {
            name: o.name,
            routes: o.routes,
            lease_seconds: o.lease,
            seconds_left: o.left,
        });
        Ok(Response::new(ListOwnersResponse { owners: owners.collect() }))
    }

    async fn renew_lease(
        &self,
        request: Request<RenewLeaseRequest>,
    ) -> Result<Response<RenewLeaseResponse>, Status> {
        let RenewLeaseRequest { owner: name, lease_seconds } = request.into_inner();
        let owner = required_owner(&name, lease_seconds)?;
        let query = self.0.rde.ask(|id| ControlToRde::Renew { id, owner }).await?;
        match changed(query).await? {
            0 => Err(no_owner(&name)),
            _ => Ok(Response::new(RenewLeaseResponse {})),
        }
    }

    async fn delete_owner(
        &self,
        request: Request<DeleteOwnerRequest>,
    ) -> Result<Response<DeleteOwnerResponse>, Status> {
        let name = required_owner(&request.into_inner().owner, None)?.name;
        let ask = |id| ControlToRde::DeleteOwner { id, name: name.clone() };
        let mut query = self.0.rde.ask(ask).await?;
        let RdeToControl::OwnerGone { routes, .. } = query.next().await? else {
            return Err(query.confused());
        };
        query.finish();
        let routes = routes.ok_or_else(|| no_owner(&name))?;
        Ok(Response::new(DeleteOwnerResponse { routes }))
    }

    async fn add_flow_spec(
        &self,
        _: Request<AddFlowSpecRequest>,
    ) -> Result<Response<AddFlowSpecResponse>, Status> {
        Err(not_yet("AddFlowSpec"))
    }

    async fn delete_flow_spec(
        &self,
        _: Request<DeleteFlowSpecRequest>,
    ) -> Result<Response<DeleteFlowSpecResponse>, Status> {
        Err(not_yet("DeleteFlowSpec"))
    }
}
