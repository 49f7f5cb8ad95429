//! PeerGroupService. Not implemented yet.

use grpc::v1::peer_group_service_server::PeerGroupService;

use super::unimplemented_service;

/// The service.
#[derive(Debug)]
pub(super) struct PeerGroup;

unimplemented_service! { PeerGroupService, PeerGroup:
    list_peer_groups(ListPeerGroupsRequest) -> ListPeerGroupsResponse, "ListPeerGroups";
    get_peer_group(GetPeerGroupRequest) -> GetPeerGroupResponse, "GetPeerGroup";
    set_peer_group(SetPeerGroupRequest) -> SetPeerGroupResponse, "SetPeerGroup";
    delete_peer_group(DeletePeerGroupRequest) -> DeletePeerGroupResponse, "DeletePeerGroup";
    set_neighbor_peer_group(SetNeighborPeerGroupRequest) -> SetNeighborPeerGroupResponse, "SetNeighborPeerGroup";
    clear_neighbor_peer_group(ClearNeighborPeerGroupRequest) -> ClearNeighborPeerGroupResponse, "ClearNeighborPeerGroup";
}
