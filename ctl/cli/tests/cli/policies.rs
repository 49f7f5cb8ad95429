//! The services of policies, sets and peer groups of a daemon that is only its API.

use grpc::v1::peer_group_service_server::PeerGroupService;
use grpc::v1::policy_service_server::PolicyService;
use grpc::v1::*;
use tonic::{Request, Response, Status};

use crate::server::Api;

/// What a request for a chain came to.
type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl PolicyService for Api {
    async fn get_global_policy_chains(
        &self,
        _: Request<GetGlobalPolicyChainsRequest>,
    ) -> Answer<GlobalPolicyChains> {
        let import_policy_names = vec!["a".into(), "b".into()];
        Ok(Response::new(GlobalPolicyChains { import_policy_names, export_policy_names: vec![] }))
    }

    async fn get_neighbor_policy_chains(
        &self,
        request: Request<GetNeighborPolicyChainsRequest>,
    ) -> Answer<NeighborPolicyChains> {
        let address = request.into_inner().address;
        let export_policy_names = vec![format!("of-{address}")];
        Ok(Response::new(NeighborPolicyChains { address, import_policy_names: vec![], export_policy_names }))
    }

    async fn set_global_import_chain(
        &self,
        request: Request<SetGlobalImportChainRequest>,
    ) -> Answer<SetGlobalImportChainResponse> {
        let request = request.into_inner();
        self.world().done.push(format!("set {} import {:?}", "global", request.policy_names));
        Ok(Response::new(SetGlobalImportChainResponse {}))
    }

    async fn clear_global_import_chain(
        &self,
        _: Request<ClearGlobalImportChainRequest>,
    ) -> Answer<ClearGlobalImportChainResponse> {
        self.world().done.push("clear global import".into());
        Ok(Response::new(ClearGlobalImportChainResponse {}))
    }

    async fn set_global_export_chain(
        &self,
        request: Request<SetGlobalExportChainRequest>,
    ) -> Answer<SetGlobalExportChainResponse> {
        let request = request.into_inner();
        self.world().done.push(format!("set {} export {:?}", "global", request.policy_names));
        Ok(Response::new(SetGlobalExportChainResponse {}))
    }

    async fn clear_global_export_chain(
        &self,
        _: Request<ClearGlobalExportChainRequest>,
    ) -> Answer<ClearGlobalExportChainResponse> {
        self.world().done.push("clear global export".into());
        Ok(Response::new(ClearGlobalExportChainResponse {}))
    }

    async fn set_neighbor_import_chain(
        &self,
        request: Request<SetNeighborImportChainRequest>,
    ) -> Answer<SetNeighborImportChainResponse> {
        let request = request.into_inner();
        self.world().done.push(format!("set {} import {:?}", request.address, request.policy_names));
        Ok(Response::new(SetNeighborImportChainResponse {}))
    }

    async fn clear_neighbor_import_chain(
        &self,
        request: Request<ClearNeighborImportChainRequest>,
    ) -> Answer<ClearNeighborImportChainResponse> {
        let request = request.into_inner();
        self.world().done.push(format!("clear {} import", request.address));
        Ok(Response::new(ClearNeighborImportChainResponse {}))
    }

    async fn set_neighbor_export_chain(
        &self,
        request: Request<SetNeighborExportChainRequest>,
    ) -> Answer<SetNeighborExportChainResponse> {
        let request = request.into_inner();
        self.world().done.push(format!("set {} export {:?}", request.address, request.policy_names));
        Ok(Response::new(SetNeighborExportChainResponse {}))
    }

    async fn clear_neighbor_export_chain(
        &self,
        request: Request<ClearNeighborExportChainRequest>,
    ) -> Answer<ClearNeighborExportChainResponse> {
        let request = request.into_inner();
        self.world().done.push(format!("clear {} export", request.address));
        Ok(Response::new(ClearNeighborExportChainResponse {}))
    }

    async fn list_policies(&self, _: Request<ListPoliciesRequest>) -> Answer<ListPoliciesResponse> {
        let named = |(name, definition): (String, PolicyDefinition)| NamedPolicy {
            name,
            definition: Some(definition),
        };
        let policies = self.world().policies.clone().into_iter().map(named).collect();
        Ok(Response::new(ListPoliciesResponse { policies }))
    }

    async fn get_policy(&self, request: Request<GetPolicyRequest>) -> Answer<GetPolicyResponse> {
        let name = request.into_inner().name;
        let definition = Some(found(self.world().policies.get(&name))?);
        Ok(Response::new(GetPolicyResponse { name, definition }))
    }

    async fn set_policy(&self, request: Request<SetPolicyRequest>) -> Answer<SetPolicyResponse> {
        let request = request.into_inner();
        self.world().policies.insert(request.name, request.definition.unwrap());
        done()
    }

    async fn delete_policy(&self, request: Request<DeletePolicyRequest>) -> Answer<DeletePolicyResponse> {
        found(self.world().policies.remove(&request.into_inner().name).as_ref())?;
        done()
    }

    async fn list_neighbor_sets(
        &self,
        _: Request<ListNeighborSetsRequest>,
    ) -> Answer<ListNeighborSetsResponse> {
        let named = |(name, definition)| NamedNeighborSet { name, definition: Some(definition) };
        let neighbor_sets = self.world().neighbor_sets.clone().into_iter().map(named).collect();
        Ok(Response::new(ListNeighborSetsResponse { neighbor_sets }))
    }

    async fn get_neighbor_set(
        &self,
        request: Request<GetNeighborSetRequest>,
    ) -> Answer<GetNeighborSetResponse> {
        let name = request.into_inner().name;
        let definition = Some(found(self.world().neighbor_sets.get(&name))?);
        Ok(Response::new(GetNeighborSetResponse { name, definition }))
    }

    async fn set_neighbor_set(
        &self,
        request: Request<SetNeighborSetRequest>,
    ) -> Answer<SetNeighborSetResponse> {
        let request = request.into_inner();
        self.world().neighbor_sets.insert(request.name, request.definition.unwrap());
        done()
    }

    async fn delete_neighbor_set(
        &self,
        request: Request<DeleteNeighborSetRequest>,
    ) -> Answer<DeleteNeighborSetResponse> {
        found(self.world().neighbor_sets.remove(&request.into_inner().name).as_ref())?;
        done()
    }

    async fn list_match_sets(&self, request: Request<ListMatchSetsRequest>) -> Answer<ListMatchSetsResponse> {
        let kind = request.into_inner().kind;
        let world = self.world();
        let of_kind = world.match_sets.iter().filter(|((of, _), _)| *of == kind);
        let size = |((_, name), list): (&(i32, String), &Vec<String>)| MatchSetSize {
            name: name.clone(),
            entries: list.len() as u32,
        };
        Ok(Response::new(ListMatchSetsResponse { sets: of_kind.map(size).collect() }))
    }

    async fn get_match_set(&self, request: Request<GetMatchSetRequest>) -> Answer<MatchSet> {
        let GetMatchSetRequest { kind, name } = request.into_inner();
        let entries = found(self.world().match_sets.get(&(kind, name.clone())))?;
        Ok(Response::new(MatchSet { kind, name, entries }))
    }

    async fn set_match_set(&self, request: Request<SetMatchSetRequest>) -> Answer<SetMatchSetResponse> {
        let request = request.into_inner();
        self.world().match_sets.insert((request.kind, request.name), request.entries);
        done()
    }

    async fn delete_match_set(
        &self,
        request: Request<DeleteMatchSetRequest>,
    ) -> Answer<DeleteMatchSetResponse> {
        let request = request.into_inner();
        found(self.world().match_sets.remove(&(request.kind, request.name)).as_ref())?;
        done()
    }

    async fn test_policies(&self, _: Request<TestPoliciesRequest>) -> Answer<TestPoliciesResponse> {
        Ok(Response::new(self.world().tests.clone()))
    }
}

#[tonic::async_trait]
impl PeerGroupService for Api {
    async fn list_peer_groups(&self, _: Request<ListPeerGroupsRequest>) -> Answer<ListPeerGroupsResponse> {
        let named = |(name, definition)| NamedPeerGroup { name, definition: Some(definition) };
        let peer_groups = self.world().groups.clone().into_iter().map(named).collect();
        Ok(Response::new(ListPeerGroupsResponse { peer_groups }))
    }

    async fn get_peer_group(&self, request: Request<GetPeerGroupRequest>) -> Answer<GetPeerGroupResponse> {
        let name = request.into_inner().name;
        let definition = Some(found(self.world().groups.get(&name))?);
        Ok(Response::new(GetPeerGroupResponse { name, definition }))
    }

    async fn set_peer_group(&self, request: Request<SetPeerGroupRequest>) -> Answer<SetPeerGroupResponse> {
        let request = request.into_inner();
        self.world().groups.insert(request.name, request.definition.unwrap());
        done()
    }

    async fn delete_peer_group(
        &self,
        request: Request<DeletePeerGroupRequest>,
    ) -> Answer<DeletePeerGroupResponse> {
        found(self.world().groups.remove(&request.into_inner().name).as_ref())?;
        done()
    }

    async fn set_neighbor_peer_group(
        &self,
        request: Request<SetNeighborPeerGroupRequest>,
    ) -> Answer<SetNeighborPeerGroupResponse> {
        let request = request.into_inner();
        self.world().done.push(format!("{} into {}", request.address, request.peer_group));
        done()
    }

    async fn clear_neighbor_peer_group(
        &self,
        request: Request<ClearNeighborPeerGroupRequest>,
    ) -> Answer<ClearNeighborPeerGroupResponse> {
        self.world().done.push(format!("{} into none", request.into_inner().address));
        done()
    }
}

fn done<T: Default>() -> Answer<T> {
    Ok(Response::new(T::default()))
}

fn found<T: Clone>(there: Option<&T>) -> Result<T, Status> {
    there.cloned().ok_or_else(|| Status::not_found("there is no such thing"))
}
