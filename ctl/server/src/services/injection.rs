//! InjectionService: routes of clients, one by one or as a stream.

use std::collections::VecDeque;
use std::sync::Arc;

use grpc::v1::injection_service_server::InjectionService;
use grpc::v1::{
    AddFlowSpecRequest, AddFlowSpecResponse, AddPathRequest, AddPathResponse, DeleteFlowSpecRequest,
    DeleteFlowSpecResponse, DeletePathRequest, DeletePathResponse, InjectRoutesRequest, InjectRoutesResponse,
};
use ipc::control_rde::{ControlToRde, InjectedRoute, RdeToControl};
use tonic::{Request, Response, Status, Streaming};

use crate::app::App;
use crate::convert;
use crate::engine::Query;
use crate::error::{not_found, not_yet};
use crate::inject;

/// How many messages of routes may be on their way to rde at once: enough to keep both processes busy.
const IN_FLIGHT: usize = 4;

/// The service.
#[derive(Debug)]
pub(super) struct Injection(pub(super) Arc<App>);

impl Injection {
    async fn send(&self, routes: Vec<InjectedRoute>) -> Result<Query<ControlToRde>, Status> {
        self.0.rde.ask(|id| ControlToRde::Inject { id, routes }).await
    }
}

/// How many routes a query changed.
async fn changed(mut query: Query<ControlToRde>) -> Result<u32, Status> {
    match query.next().await? {
        RdeToControl::Injected { count, .. } => {
            query.finish();
            Ok(count)
        }
        RdeToControl::Failed { error, .. } => {
            query.finish();
            Err(Status::invalid_argument(error))
        }
        _ => Err(query.confused()),
    }
}

/// Checks the routes of one message; what is wrong names the route.
fn check_all(paths: Vec<AddPathRequest>, before: u64) -> Result<Vec<InjectedRoute>, Status> {
    let mut routes = Vec::with_capacity(paths.len());
    for (number, path) in (before + 1..).zip(paths) {
        let name = format!("route {number} ({}/{})", path.prefix, path.prefix_length);
        routes.push(inject::check(path).map_err(|e| {
            Status::with_details(e.code(), format!("{name}: {}", e.message()), e.details().to_vec().into())
        })?);
    }
    Ok(routes)
}

#[tonic::async_trait]
impl InjectionService for Injection {
    async fn add_path(&self, request: Request<AddPathRequest>) -> Result<Response<AddPathResponse>, Status> {
        let route = inject::check(request.into_inner())?;
        changed(self.send(vec![route]).await?).await?;
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
                in_flight.push_back(self.send(chunk).await?);
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
