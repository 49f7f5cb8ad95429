//! PolicyService: policies, neighbor sets and chains. Not implemented yet.

use grpc::v1::policy_service_server::PolicyService;

use super::unimplemented_service;

/// The service.
#[derive(Debug)]
pub(super) struct Policy;

unimplemented_service! { PolicyService, Policy:
    list_policies(ListPoliciesRequest) -> ListPoliciesResponse, "ListPolicies";
    get_policy(GetPolicyRequest) -> GetPolicyResponse, "GetPolicy";
    set_policy(SetPolicyRequest) -> SetPolicyResponse, "SetPolicy";
    delete_policy(DeletePolicyRequest) -> DeletePolicyResponse, "DeletePolicy";
    list_neighbor_sets(ListNeighborSetsRequest) -> ListNeighborSetsResponse, "ListNeighborSets";
    get_neighbor_set(GetNeighborSetRequest) -> GetNeighborSetResponse, "GetNeighborSet";
    set_neighbor_set(SetNeighborSetRequest) -> SetNeighborSetResponse, "SetNeighborSet";
    delete_neighbor_set(DeleteNeighborSetRequest) -> DeleteNeighborSetResponse, "DeleteNeighborSet";
    get_global_policy_chains(GetGlobalPolicyChainsRequest) -> GlobalPolicyChains, "GetGlobalPolicyChains";
    set_global_import_chain(SetGlobalImportChainRequest) -> SetGlobalImportChainResponse, "SetGlobalImportChain";
    set_global_export_chain(SetGlobalExportChainRequest) -> SetGlobalExportChainResponse, "SetGlobalExportChain";
    clear_global_import_chain(ClearGlobalImportChainRequest) -> ClearGlobalImportChainResponse, "ClearGlobalImportChain";
    clear_global_export_chain(ClearGlobalExportChainRequest) -> ClearGlobalExportChainResponse, "ClearGlobalExportChain";
    get_neighbor_policy_chains(GetNeighborPolicyChainsRequest) -> NeighborPolicyChains, "GetNeighborPolicyChains";
    set_neighbor_import_chain(SetNeighborImportChainRequest) -> SetNeighborImportChainResponse, "SetNeighborImportChain";
    set_neighbor_export_chain(SetNeighborExportChainRequest) -> SetNeighborExportChainResponse, "SetNeighborExportChain";
    clear_neighbor_import_chain(ClearNeighborImportChainRequest) -> ClearNeighborImportChainResponse, "ClearNeighborImportChain";
    clear_neighbor_export_chain(ClearNeighborExportChainRequest) -> ClearNeighborExportChainResponse, "ClearNeighborExportChain";
}
