//! PeerGroupService: settings that neighbors share.

use std::sync::Arc;

use grpc::v1;
use grpc::v1::peer_group_service_server::PeerGroupService;
use ipc::edit::Edit;
use ipc::object::Kind;
use tonic::{Request, Response, Status};

use super::objects::{definition_of, done, given, name, object_of};
use crate::app::App;
use crate::error::invalid;

type Reply<T> = Result<Response<T>, Status>;

/// The service.
#[derive(Debug)]
pub(super) struct PeerGroup(pub(super) Arc<App>);

#[tonic::async_trait]
impl PeerGroupService for PeerGroup {
    async fn list_peer_groups(
        &self,
        _: Request<v1::ListPeerGroupsRequest>,
    ) -> Reply<v1::ListPeerGroupsResponse> {
        let mut peer_groups = Vec::new();
        for (name, object) in self.0.edits.objects(Kind::PeerGroup, None).await? {
            let definition = Some(definition_of(Kind::PeerGroup, object)?);
            peer_groups.push(v1::NamedPeerGroup { name, definition });
        }
        Ok(Response::new(v1::ListPeerGroupsResponse { peer_groups }))
    }

    async fn get_peer_group(
        &self,
        request: Request<v1::GetPeerGroupRequest>,
    ) -> Reply<v1::GetPeerGroupResponse> {
        let (name, object) = self.0.edits.object(Kind::PeerGroup, request.into_inner().name).await?;
        let definition = Some(definition_of(Kind::PeerGroup, object)?);
        Ok(Response::new(v1::GetPeerGroupResponse { name, definition }))
    }

    async fn set_peer_group(
        &self,
        request: Request<v1::SetPeerGroupRequest>,
    ) -> Reply<v1::SetPeerGroupResponse> {
        let request = request.into_inner();
        let (name, definition) = (name(request.name, "transit")?, given(request.definition)?);
        let object = object_of(Kind::PeerGroup, &definition)?;
        let knows_all = definition.extended;
        self.0.edits.make(Edit::SetObject { kind: Kind::PeerGroup, name, object, knows_all }).await?;
        done()
    }

    async fn delete_peer_group(
        &self,
        request: Request<v1::DeletePeerGroupRequest>,
    ) -> Reply<v1::DeletePeerGroupResponse> {
        self.0.edits.delete(Kind::PeerGroup, request.into_inner().name).await?;
        done()
    }

    async fn set_neighbor_peer_group(
        &self,
        request: Request<v1::SetNeighborPeerGroupRequest>,
    ) -> Reply<v1::SetNeighborPeerGroupResponse> {
        let request = request.into_inner();
        let neighbor = self.0.peer("address", &request.address)?.address;
        if request.peer_group.is_empty() {
            let why = "is empty: name a group, such as \"transit\", or call ClearNeighborPeerGroup";
            return Err(invalid("peer_group", "", why));
        }
        let group = Some(request.peer_group);
        self.0.edits.make(Edit::SetNeighborGroup { neighbor, group }).await?;
        done()
    }

    async fn clear_neighbor_peer_group(
        &self,
        request: Request<v1::ClearNeighborPeerGroupRequest>,
    ) -> Reply<v1::ClearNeighborPeerGroupResponse> {
        let neighbor = self.0.peer("address", &request.get_ref().address)?.address;
        self.0.edits.make(Edit::SetNeighborGroup { neighbor, group: None }).await?;
        done()
    }
}
