//! PolicyService: the chains that say which policies apply where. Policies and neighbor sets are for the configuration file.

use std::net::IpAddr;
use std::sync::Arc;

use grpc::v1;
use grpc::v1::policy_service_server::PolicyService;
use ipc::edit::{Edit, Way};
use tonic::{Request, Response, Status};

use crate::app::App;
use crate::error::{invalid, not_yet};

type Reply<T> = Result<Response<T>, Status>;

/// The service.
#[derive(Debug)]
pub(super) struct Policy(pub(super) Arc<App>);

impl Policy {
    /// The address of a neighbor that there is.
    fn neighbor(&self, address: &str) -> Result<Option<IpAddr>, Status> {
        self.0.peer("address", address).map(|peer| Some(peer.address))
    }

    async fn set<T: Default>(&self, neighbor: Option<IpAddr>, way: Way, policies: Vec<String>) -> Reply<T> {
        if policies.is_empty() {
            let why = "is empty: name at least one policy, or have the chain cleared";
            return Err(invalid("policy_names", "", why));
        }
        self.0.edits.make(Edit::SetChain { neighbor, way, policies }).await?;
        Ok(Response::new(T::default()))
    }

    async fn clear<T: Default>(&self, neighbor: Option<IpAddr>, way: Way) -> Reply<T> {
        self.0.edits.make(Edit::SetChain { neighbor, way, policies: Vec::new() }).await?;
        Ok(Response::new(T::default()))
    }
}

#[tonic::async_trait]
impl PolicyService for Policy {
    async fn list_policies(&self, _: Request<v1::ListPoliciesRequest>) -> Reply<v1::ListPoliciesResponse> {
        Err(not_yet("ListPolicies"))
    }

    async fn get_policy(&self, _: Request<v1::GetPolicyRequest>) -> Reply<v1::GetPolicyResponse> {
        Err(not_yet("GetPolicy"))
    }

    async fn set_policy(&self, _: Request<v1::SetPolicyRequest>) -> Reply<v1::SetPolicyResponse> {
        Err(not_yet("SetPolicy"))
    }

    async fn delete_policy(&self, _: Request<v1::DeletePolicyRequest>) -> Reply<v1::DeletePolicyResponse> {
        Err(not_yet("DeletePolicy"))
    }

    async fn list_neighbor_sets(
        &self,
        _: Request<v1::ListNeighborSetsRequest>,
    ) -> Reply<v1::ListNeighborSetsResponse> {
        Err(not_yet("ListNeighborSets"))
    }

    async fn get_neighbor_set(
        &self,
        _: Request<v1::GetNeighborSetRequest>,
    ) -> Reply<v1::GetNeighborSetResponse> {
        Err(not_yet("GetNeighborSet"))
    }

    async fn set_neighbor_set(
        &self,
        _: Request<v1::SetNeighborSetRequest>,
    ) -> Reply<v1::SetNeighborSetResponse> {
        Err(not_yet("SetNeighborSet"))
    }

    async fn delete_neighbor_set(
        &self,
        _: Request<v1::DeleteNeighborSetRequest>,
    ) -> Reply<v1::DeleteNeighborSetResponse> {
        Err(not_yet("DeleteNeighborSet"))
    }

    async fn get_global_policy_chains(
        &self,
        _: Request<v1::GetGlobalPolicyChainsRequest>,
    ) -> Reply<v1::GlobalPolicyChains> {
        let chains = self.0.edits.chains(None).await?;
        Ok(Response::new(v1::GlobalPolicyChains {
            import_policy_names: chains.import,
            export_policy_names: chains.export,
        }))
    }

    async fn get_neighbor_policy_chains(
        &self,
        request: Request<v1::GetNeighborPolicyChainsRequest>,
    ) -> Reply<v1::NeighborPolicyChains> {
        let peer = self.0.peer("address", &request.get_ref().address)?;
        let chains = self.0.edits.chains(Some(peer.address)).await?;
        Ok(Response::new(v1::NeighborPolicyChains {
            address: peer.address.to_string(),
            import_policy_names: chains.import,
            export_policy_names: chains.export,
        }))
    }

    async fn set_global_import_chain(
        &self,
        request: Request<v1::SetGlobalImportChainRequest>,
    ) -> Reply<v1::SetGlobalImportChainResponse> {
        self.set(None, Way::Import, request.into_inner().policy_names).await
    }

    async fn clear_global_import_chain(
        &self,
        _: Request<v1::ClearGlobalImportChainRequest>,
    ) -> Reply<v1::ClearGlobalImportChainResponse> {
        self.clear(None, Way::Import).await
    }

    async fn set_neighbor_import_chain(
        &self,
        request: Request<v1::SetNeighborImportChainRequest>,
    ) -> Reply<v1::SetNeighborImportChainResponse> {
        let request = request.into_inner();
        self.set(self.neighbor(&request.address)?, Way::Import, request.policy_names).await
    }

    async fn clear_neighbor_import_chain(
        &self,
        request: Request<v1::ClearNeighborImportChainRequest>,
    ) -> Reply<v1::ClearNeighborImportChainResponse> {
        self.clear(self.neighbor(&request.get_ref().address)?, Way::Import).await
    }

    async fn set_global_export_chain(
        &self,
        request: Request<v1::SetGlobalExportChainRequest>,
    ) -> Reply<v1::SetGlobalExportChainResponse> {
        self.set(None, Way::Export, request.into_inner().policy_names).await
    }

    async fn clear_global_export_chain(
        &self,
        _: Request<v1::ClearGlobalExportChainRequest>,
    ) -> Reply<v1::ClearGlobalExportChainResponse> {
        self.clear(None, Way::Export).await
    }

    async fn set_neighbor_export_chain(
        &self,
        request: Request<v1::SetNeighborExportChainRequest>,
    ) -> Reply<v1::SetNeighborExportChainResponse> {
        let request = request.into_inner();
        self.set(self.neighbor(&request.address)?, Way::Export, request.policy_names).await
    }

    async fn clear_neighbor_export_chain(
        &self,
        request: Request<v1::ClearNeighborExportChainRequest>,
    ) -> Reply<v1::ClearNeighborExportChainResponse> {
        self.clear(self.neighbor(&request.get_ref().address)?, Way::Export).await
    }
}
