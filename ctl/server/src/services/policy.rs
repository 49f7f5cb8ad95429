//! PolicyService: policies and what they match on, the chains that say which apply where, their tests.

use std::net::IpAddr;
use std::sync::Arc;

use grpc::v1;
use grpc::v1::policy_service_server::PolicyService;
use ipc::edit::{Edit, Way};
use ipc::object::{Answer, Kind, Question};
use tonic::{Request, Response, Status};

use super::objects::{definition_of, done, entries_of, given, name, object_of, set_kind, set_of};
use crate::app::App;
use crate::error::invalid;

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

fn other_answer() -> Status {
    Status::internal("rustbgpd answered another question")
}

#[tonic::async_trait]
impl PolicyService for Policy {
    async fn list_policies(&self, _: Request<v1::ListPoliciesRequest>) -> Reply<v1::ListPoliciesResponse> {
        let mut policies = Vec::new();
        for (name, object) in self.0.edits.objects(Kind::Policy, None).await? {
            let definition = Some(definition_of(Kind::Policy, object)?);
            policies.push(v1::NamedPolicy { name, definition });
        }
        Ok(Response::new(v1::ListPoliciesResponse { policies }))
    }

    async fn get_policy(&self, request: Request<v1::GetPolicyRequest>) -> Reply<v1::GetPolicyResponse> {
        let (name, object) = self.0.edits.object(Kind::Policy, request.into_inner().name).await?;
        let definition = Some(definition_of(Kind::Policy, object)?);
        Ok(Response::new(v1::GetPolicyResponse { name, definition }))
    }

    async fn set_policy(&self, request: Request<v1::SetPolicyRequest>) -> Reply<v1::SetPolicyResponse> {
        let request = request.into_inner();
        let (name, definition) = (name(request.name, "transit-in")?, given(request.definition)?);
        let object = object_of(Kind::Policy, &definition)?;
        let knows_all = definition.extended;
        self.0.edits.make(Edit::SetObject { kind: Kind::Policy, name, object, knows_all }).await?;
        done()
    }

    async fn delete_policy(
        &self,
        request: Request<v1::DeletePolicyRequest>,
    ) -> Reply<v1::DeletePolicyResponse> {
        self.0.edits.delete(Kind::Policy, request.into_inner().name).await?;
        done()
    }

    async fn list_neighbor_sets(
        &self,
        _: Request<v1::ListNeighborSetsRequest>,
    ) -> Reply<v1::ListNeighborSetsResponse> {
        let mut neighbor_sets = Vec::new();
        for (name, object) in self.0.edits.objects(Kind::NeighborSet, None).await? {
            let definition = Some(definition_of(Kind::NeighborSet, object)?);
            neighbor_sets.push(v1::NamedNeighborSet { name, definition });
        }
        Ok(Response::new(v1::ListNeighborSetsResponse { neighbor_sets }))
    }

    async fn get_neighbor_set(
        &self,
        request: Request<v1::GetNeighborSetRequest>,
    ) -> Reply<v1::GetNeighborSetResponse> {
        let (name, object) = self.0.edits.object(Kind::NeighborSet, request.into_inner().name).await?;
        let definition = Some(definition_of(Kind::NeighborSet, object)?);
        Ok(Response::new(v1::GetNeighborSetResponse { name, definition }))
    }

    async fn set_neighbor_set(
        &self,
        request: Request<v1::SetNeighborSetRequest>,
    ) -> Reply<v1::SetNeighborSetResponse> {
        let request = request.into_inner();
        let (name, definition) = (name(request.name, "upstreams")?, given(request.definition)?);
        let object = object_of(Kind::NeighborSet, &definition)?;
        self.0.edits.make(Edit::SetObject { kind: Kind::NeighborSet, name, object, knows_all: true }).await?;
        done()
    }

    async fn delete_neighbor_set(
        &self,
        request: Request<v1::DeleteNeighborSetRequest>,
    ) -> Reply<v1::DeleteNeighborSetResponse> {
        self.0.edits.delete(Kind::NeighborSet, request.into_inner().name).await?;
        done()
    }

    async fn list_match_sets(
        &self,
        request: Request<v1::ListMatchSetsRequest>,
    ) -> Reply<v1::ListMatchSetsResponse> {
        let kind = set_kind(request.get_ref().kind)?;
        let Answer::Sizes(sizes) = self.0.edits.ask(Question::Sizes { kind }).await? else {
            return Err(other_answer());
        };
        let sets = sizes.into_iter().map(|(name, entries)| v1::MatchSetSize { name, entries }).collect();
        Ok(Response::new(v1::ListMatchSetsResponse { sets }))
    }

    async fn get_match_set(&self, request: Request<v1::GetMatchSetRequest>) -> Reply<v1::MatchSet> {
        let request = request.into_inner();
        let (name, object) = self.0.edits.object(set_kind(request.kind)?, request.name).await?;
        Ok(Response::new(v1::MatchSet { kind: request.kind, name, entries: entries_of(object) }))
    }

    async fn set_match_set(
        &self,
        request: Request<v1::SetMatchSetRequest>,
    ) -> Reply<v1::SetMatchSetResponse> {
        let request = request.into_inner();
        let (kind, name) = (set_kind(request.kind)?, name(request.name, "customers")?);
        let object = set_of(kind, request.entries)?;
        self.0.edits.make(Edit::SetObject { kind, name, object, knows_all: true }).await?;
        done()
    }

    async fn delete_match_set(
        &self,
        request: Request<v1::DeleteMatchSetRequest>,
    ) -> Reply<v1::DeleteMatchSetResponse> {
        let request = request.into_inner();
        self.0.edits.delete(set_kind(request.kind)?, request.name).await?;
        done()
    }

    async fn test_policies(&self, _: Request<v1::TestPoliciesRequest>) -> Reply<v1::TestPoliciesResponse> {
        let Answer::PolicyTests(report) = self.0.edits.ask(Question::PolicyTests).await? else {
            return Err(other_answer());
        };
        let tests = report.tests.into_iter().map(|test| v1::PolicyTest {
            name: test.name,
            line: test.line,
            passed: test.mismatches.is_empty(),
            mismatches: (test.mismatches.into_iter())
                .map(|m| v1::PolicyTestMismatch { field: m.field, expected: m.expected, found: m.found })
                .collect(),
            decided_by: test.decided_by,
        });
        let coverage = report.coverage.into_iter().map(|s| v1::StatementCoverage {
            policy: s.policy,
            number: s.number,
            name: s.name.unwrap_or_default(),
            line: s.line,
            hits: s.hits,
        });
        Ok(Response::new(v1::TestPoliciesResponse {
            tests: tests.collect(),
            coverage: coverage.collect(),
            diagnostics: report.diagnostics,
        }))
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
