//! NeighborService: what neighbors are configured to be and what they do.

use std::sync::Arc;

use bgp::Family;
use grpc::v1::neighbor_service_server::NeighborService;
use grpc::v1::{
    AddDynamicNeighborRequest, AddDynamicNeighborResponse, AddNeighborRequest, AddNeighborResponse,
    DeleteDynamicNeighborRequest, DeleteDynamicNeighborResponse, DeleteNeighborRequest,
    DeleteNeighborResponse, DisableNeighborRequest, DisableNeighborResponse, DrainNeighborRequest,
    DrainNeighborResponse, EnableNeighborRequest, EnableNeighborResponse, GetNeighborErrorsRequest,
    GetNeighborErrorsResponse, GetNeighborStateRequest, ListDynamicNeighborsRequest,
    ListDynamicNeighborsResponse, ListNeighborsRequest, ListNeighborsResponse, NeighborState,
    SoftResetInRequest, SoftResetInResponse,
};
use ipc::config::ControlPeer;
use ipc::control_rde::{ControlToRde, RdeToControl, SoftResetError};
use ipc::edit::Edit;
use ipc::parent_control::Intent;
use tonic::{Request, Response, Status};

use crate::app::App;
use crate::convert;
use crate::error::invalid;
use crate::services::neighbor_config::{new_neighbor, new_range, range_prefix};

/// The longest shutdown communication, in octets (RFC 9003 §2).
const MAX_REASON: usize = 255;

/// Checks a shutdown communication.
///
/// # Errors
/// INVALID_ARGUMENT where it is too long.
pub(super) fn check_reason(reason: String) -> Result<String, Status> {
    if reason.len() <= MAX_REASON {
        return Ok(reason);
    }
    let what =
        format!("has {} octets, and a shutdown communication holds {MAX_REASON} (RFC 9003)", reason.len());
    Err(invalid("reason", reason, what))
}

/// FAILED_PRECONDITION, in words.
fn soft_reset_refused(peer: &ControlPeer, error: SoftResetError) -> Status {
    let address = peer.address;
    Status::failed_precondition(match error {
        SoftResetError::NoSession => {
            format!("neighbor {address} has no session, and so no routes to evaluate again")
        }
        SoftResetError::NotNegotiated(families) => {
            let names: Vec<&str> = families.iter().map(Family::name).collect();
            format!("neighbor {address} does not offer {}: the session has no such routes", names.join(", "))
        }
        SoftResetError::NoRouteRefresh => format!(
            "neighbor {address} cannot be asked for its routes: it has not announced route refresh (RFC 2918). \
             Without asking, what it has sent is evaluated again"
        ),
    })
}

/// The service.
#[derive(Debug)]
pub(super) struct Neighbor(pub(super) Arc<App>);

#[tonic::async_trait]
impl NeighborService for Neighbor {
    async fn list_neighbors(
        &self,
        _: Request<ListNeighborsRequest>,
    ) -> Result<Response<ListNeighborsResponse>, Status> {
        let view = self.0.view()?;
        let (sessions, counters) = tokio::try_join!(self.0.sessions(None), self.0.counters())?;
        let neighbors = view
            .peers
            .values()
            .map(|p| convert::neighbor(p, sessions.get(&p.id), counters.peers.get(&p.id)))
            .collect();
        Ok(Response::new(ListNeighborsResponse { neighbors }))
    }

    async fn get_neighbor_state(
        &self,
        request: Request<GetNeighborStateRequest>,
    ) -> Result<Response<NeighborState>, Status> {
        let peer = self.0.peer("address", &request.get_ref().address)?;
        let (sessions, counters) = tokio::try_join!(self.0.sessions(Some(peer.id)), self.0.counters())?;
        let state = convert::neighbor(&peer, sessions.get(&peer.id), counters.peers.get(&peer.id));
        Ok(Response::new(state))
    }

    async fn enable_neighbor(
        &self,
        request: Request<EnableNeighborRequest>,
    ) -> Result<Response<EnableNeighborResponse>, Status> {
        let address = self.0.peer("address", &request.get_ref().address)?.address;
        self.0.intend(Intent::EnableNeighbor { address }).await?;
        Ok(Response::new(EnableNeighborResponse {}))
    }

    async fn disable_neighbor(
        &self,
        request: Request<DisableNeighborRequest>,
    ) -> Result<Response<DisableNeighborResponse>, Status> {
        let request = request.into_inner();
        let address = self.0.peer("address", &request.address)?.address;
        let reason = check_reason(request.reason)?;
        self.0.intend(Intent::DisableNeighbor { address, reason }).await?;
        Ok(Response::new(DisableNeighborResponse {}))
    }

    async fn drain_neighbor(
        &self,
        request: Request<DrainNeighborRequest>,
    ) -> Result<Response<DrainNeighborResponse>, Status> {
        let request = request.into_inner();
        let address = self.0.peer("address", &request.address)?.address;
        self.0.intend(Intent::DrainNeighbor { address, on: !request.undo }).await?;
        Ok(Response::new(DrainNeighborResponse {}))
    }

    async fn add_neighbor(
        &self,
        request: Request<AddNeighborRequest>,
    ) -> Result<Response<AddNeighborResponse>, Status> {
        let new = new_neighbor(request.into_inner().config)?;
        self.0.edits.make(Edit::AddNeighbor(Box::new(new))).await?;
        Ok(Response::new(AddNeighborResponse {}))
    }

    async fn delete_neighbor(
        &self,
        request: Request<DeleteNeighborRequest>,
    ) -> Result<Response<DeleteNeighborResponse>, Status> {
        let ControlPeer { address, dynamic, .. } = self.0.peer("address", &request.get_ref().address)?;
        if dynamic {
            let why = "is a dynamic one and not in the configuration: disable it, or delete its range";
            return Err(Status::failed_precondition(format!("neighbor {address} {why}")));
        }
        self.0.edits.make(Edit::DeleteNeighbor { address }).await?;
        Ok(Response::new(DeleteNeighborResponse {}))
    }

    async fn soft_reset_in(
        &self,
        request: Request<SoftResetInRequest>,
    ) -> Result<Response<SoftResetInResponse>, Status> {
        let request = request.into_inner();
        let peer = self.0.peer("address", &request.address)?;
        let families = convert::families_of(&peer, &request.families)?;
        let (id, ask) = (peer.id, request.refresh);
        let question = |query| ControlToRde::SoftReset { id: query, peer: id, families, ask };
        let mut query = self.0.rde.ask(question).await?;
        match query.next().await? {
            RdeToControl::SoftReset { result, .. } => {
                query.finish();
                result.map_err(|e| soft_reset_refused(&peer, e))?;
                Ok(Response::new(SoftResetInResponse {}))
            }
            _ => Err(query.confused()),
        }
    }

    async fn list_dynamic_neighbors(
        &self,
        _: Request<ListDynamicNeighborsRequest>,
    ) -> Result<Response<ListDynamicNeighborsResponse>, Status> {
        let ranges = self.0.view()?.ranges.iter().map(convert::range).collect();
        Ok(Response::new(ListDynamicNeighborsResponse { ranges }))
    }

    async fn add_dynamic_neighbor(
        &self,
        request: Request<AddDynamicNeighborRequest>,
    ) -> Result<Response<AddDynamicNeighborResponse>, Status> {
        let new = new_range(request.into_inner().range)?;
        self.0.edits.make(Edit::AddRange(new)).await?;
        Ok(Response::new(AddDynamicNeighborResponse {}))
    }

    async fn delete_dynamic_neighbor(
        &self,
        request: Request<DeleteDynamicNeighborRequest>,
    ) -> Result<Response<DeleteDynamicNeighborResponse>, Status> {
        let prefix = range_prefix(&request.get_ref().prefix)?;
        self.0.edits.make(Edit::DeleteRange { prefix }).await?;
        Ok(Response::new(DeleteDynamicNeighborResponse {}))
    }

    async fn get_neighbor_errors(
        &self,
        request: Request<GetNeighborErrorsRequest>,
    ) -> Result<Response<GetNeighborErrorsResponse>, Status> {
        let peer = self.0.peer("address", &request.get_ref().address)?.id;
        let (ended, (counts, mut errors)) =
            tokio::try_join!(self.0.session_errors(peer), self.0.update_errors(Some(peer)))?;
        // Behind its cause, where both are of the same millisecond.
        errors.extend(ended);
        Ok(Response::new(convert::neighbor_errors(errors, &counts)))
    }
}
