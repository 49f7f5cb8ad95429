//! Which RPCs change something. A read-only listener permits those that are listed here as reading, and nothing else:
//! an RPC that nobody has thought about is refused there.

/// A service with its RPCs.
struct Service {
    name: &'static str,
    /// Nothing is another way after them.
    reads: &'static [&'static str],
    /// Something may be. The list is here for the test that each RPC is in one of the two.
    #[cfg_attr(not(test), expect(dead_code, reason = "what is not known to read is refused"))]
    changes: &'static [&'static str],
}

const SERVICES: &[Service] = &[
    Service { name: "rustbgpd.v1.GlobalService", reads: &["GetGlobal"], changes: &["SetGlobal"] },
    Service {
        name: "rustbgpd.v1.NeighborService",
        reads: &["ListNeighbors", "GetNeighborState", "ListDynamicNeighbors", "GetNeighborErrors"],
        changes: &[
            "AddNeighbor",
            "DeleteNeighbor",
            "EnableNeighbor",
            "DisableNeighbor",
            "DrainNeighbor",
            // Routes are evaluated anew, and the neighbor may be asked for them: work, and messages.
            "SoftResetIn",
            "AddDynamicNeighbor",
            "DeleteDynamicNeighbor",
        ],
    },
    Service {
        name: "rustbgpd.v1.PolicyService",
        reads: &[
            "ListPolicies",
            "GetPolicy",
            "ListNeighborSets",
            "GetNeighborSet",
            "GetGlobalPolicyChains",
            "GetNeighborPolicyChains",
            "TestPolicies",
            "ListMatchSets",
            "GetMatchSet",
        ],
        changes: &[
            "SetPolicy",
            "DeletePolicy",
            "SetNeighborSet",
            "DeleteNeighborSet",
            "SetGlobalImportChain",
            "SetGlobalExportChain",
            "ClearGlobalImportChain",
            "ClearGlobalExportChain",
            "SetNeighborImportChain",
            "SetNeighborExportChain",
            "ClearNeighborImportChain",
            "ClearNeighborExportChain",
            "SetMatchSet",
            "DeleteMatchSet",
        ],
    },
    Service {
        name: "rustbgpd.v1.PeerGroupService",
        reads: &["ListPeerGroups", "GetPeerGroup"],
        changes: &["SetPeerGroup", "DeletePeerGroup", "SetNeighborPeerGroup", "ClearNeighborPeerGroup"],
    },
    Service {
        name: "rustbgpd.v1.RibService",
        reads: &[
            "ListReceivedRoutes",
            "ListBestRoutes",
            "ListAdvertisedRoutes",
            "ExplainAdvertisedRoute",
            "ExplainReceivedRoute",
            "ExplainBestPath",
            "WatchRoutes",
            "ListFlowSpecRoutes",
            "GetRibSummary",
        ],
        changes: &[],
    },
    Service {
        name: "rustbgpd.v1.InjectionService",
        reads: &["ListOwners"],
        changes: &[
            "AddPath",
            "DeletePath",
            "InjectRoutes",
            "InjectStream",
            "RenewLease",
            "DeleteOwner",
            "AddFlowSpec",
            "DeleteFlowSpec",
        ],
    },
    Service {
        name: "rustbgpd.v1.ControlService",
        reads: &["GetHealth", "GetMetrics", "GetProcesses"],
        // A dump writes a file.
        changes: &["Shutdown", "TriggerMrtDump"],
    },
    Service {
        name: "rustbgpd.v1.ConfigService",
        reads: &["GetConfig"],
        changes: &[
            // They read what a client sends, and files that it names.
            "CheckConfig",
            "DiffConfig",
            "ApplyConfig",
            "ConfirmConfig",
            "RollbackConfig",
        ],
    },
    Service { name: "grpc.health.v1.Health", reads: &["Check", "Watch"], changes: &[] },
    Service { name: "grpc.reflection.v1.ServerReflection", reads: &["ServerReflectionInfo"], changes: &[] },
    Service {
        name: "grpc.reflection.v1alpha.ServerReflection",
        reads: &["ServerReflectionInfo"],
        changes: &[],
    },
];

/// Whether the RPC of this path, `/service/method`, is known to change nothing.
pub(crate) fn only_reads(path: &str) -> bool {
    let Some((service, method)) = path.strip_prefix('/').and_then(|path| path.split_once('/')) else {
        return false;
    };
    SERVICES.iter().any(|s| s.name == service && s.reads.contains(&method))
}

/// The names of all services.
pub(crate) fn services() -> impl Iterator<Item = &'static str> {
    SERVICES.iter().map(|s| s.name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Paths of all RPCs, by the API's definition.
    fn defined() -> BTreeSet<String> {
        let mut service = "";
        let mut paths = BTreeSet::new();
        for line in include_str!("../../../proto/grpc/rustbgpd.proto").lines() {
            if let Some(rest) = line.strip_prefix("service ") {
                service = rest.split_whitespace().next().unwrap();
            }
            if let Some(rest) = line.trim().strip_prefix("rpc ") {
                paths.insert(format!("/rustbgpd.v1.{service}/{}", rest.split('(').next().unwrap()));
            }
        }
        paths
    }

    #[test]
    fn somebody_has_decided_of_each_rpc_whether_it_changes_something() {
        let listed = |of: fn(&Service) -> &'static [&'static str]| -> BTreeSet<String> {
            let paths = |s: &'static Service| of(s).iter().map(|m| format!("/{}/{m}", s.name));
            SERVICES.iter().flat_map(paths).collect()
        };
        let (reads, changes) = (listed(|s| s.reads), listed(|s| s.changes));
        assert!(reads.is_disjoint(&changes));
        let ours = |path: &&String| path.starts_with("/rustbgpd.");
        let all: BTreeSet<String> = reads.union(&changes).filter(ours).cloned().collect();
        assert_eq!(all, defined(), "put a new RPC into `reads` or `changes` of its service");
        for path in &changes {
            assert!(!only_reads(path));
            let method = path.rsplit('/').next().unwrap();
            let as_if = ["Get", "List", "Explain", "Watch"].iter().any(|p| method.starts_with(p));
            assert!(!as_if, "{path} has a name that promises to change nothing");
        }
        assert!(reads.iter().all(|path| only_reads(path)));
    }

    #[test]
    fn what_nobody_knows_is_taken_to_change_something() {
        for path in [
            "",
            "/",
            "GetGlobal",
            "/GetGlobal",
            "/rustbgpd.v1.GlobalService",
            "/rustbgpd.v1.GlobalService/",
            "/rustbgpd.v1.GlobalService/GetGlobal/",
            "//rustbgpd.v1.GlobalService/GetGlobal",
            "/rustbgpd.v1.RibService/GetGlobal",
            "/rustbgpd.v1.GlobalService/getglobal",
            "/rustbgpd.v2.GlobalService/GetGlobal",
            "/rustbgpd.v1.GlobalService/ListSecrets",
        ] {
            assert!(!only_reads(path), "{path}");
        }
    }
}
