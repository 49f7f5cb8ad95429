"""Calls every RPC of the API with right and wrong arguments, as a client that is not ours: gRPC's C core, generated code.

Usage: every_rpc.py ADDRESS [shutdown], with the generated modules on PYTHONPATH. The daemon has the neighbors 10.0.0.2 (AS 65002,
whose session is up) and 10.0.0.3 (AS 65003, shut down), the peer group "g", and the policy "p".
Prints what was not as expected; status 1 then.
"""

import sys

import grpc
import rustbgpd_pb2 as pb
import rustbgpd_pb2_grpc as stubs
import status_pb2

OK = grpc.StatusCode.OK
INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
EXISTS = grpc.StatusCode.ALREADY_EXISTS
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
UNIMPLEMENTED = grpc.StatusCode.UNIMPLEMENTED

# What may not be there: it says why.
NEVER = {"SetGlobal", "AddFlowSpec", "DeleteFlowSpec", "ListFlowSpecRoutes", "TriggerMrtDump"}

# What this version may not do yet: it says so, or answers, and not with a failure of the daemon.
NOT_YET = {"WatchRoutes", "AddDynamicNeighbor", "ListDynamicNeighbors", "DeleteDynamicNeighbor"}
FAILURES = {grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE}

LONG = "x" * 300
V4 = dict(prefix="203.0.113.0", prefix_length=24, next_hop="10.0.0.2")


def neighbor(**fields):
    fields = dict(address="10.0.0.9", remote_asn=65009) | fields
    return dict(config=pb.NeighborConfig(**fields))


def path(**fields):
    return V4 | fields


# The RPC, its request's fields, the status. In order: later ones build on earlier ones.
CASES = [
    ("Global", "GetGlobal", dict(), OK),
    ("Global", "SetGlobal", dict(asn=65001), UNIMPLEMENTED),
    # Neighbors.
    ("Neighbor", "AddNeighbor", neighbor(), OK),
    ("Neighbor", "AddNeighbor", neighbor(), EXISTS),
    ("Neighbor", "AddNeighbor", dict(), INVALID),
    ("Neighbor", "AddNeighbor", neighbor(address=""), INVALID),
    ("Neighbor", "AddNeighbor", neighbor(address="10.0.0"), INVALID),
    ("Neighbor", "AddNeighbor", neighbor(address="0.0.0.0"), INVALID),
    ("Neighbor", "AddNeighbor", neighbor(address="224.0.0.1"), INVALID),
    ("Neighbor", "AddNeighbor", neighbor(address="10.0.0.10", remote_asn=0), INVALID),
    ("Neighbor", "AddNeighbor", neighbor(address="10.0.0.10", hold_time=2), INVALID),
    ("Neighbor", "AddNeighbor", neighbor(address="10.0.0.10", hold_time=65536), INVALID),
    ("Neighbor", "AddNeighbor", neighbor(address="10.0.0.10", families=["ipv4"]), INVALID),
    ("Neighbor", "AddNeighbor", neighbor(address="10.0.0.10", remove_private_as="some"), INVALID),
    ("Neighbor", "AddNeighbor", neighbor(address="10.0.0.10", peer_group="nobody"), INVALID),
    ("Neighbor", "AddNeighbor", neighbor(address="10.0.0.10", remote_asn=65001, route_server_client=True), INVALID),
    ("Neighbor", "AddNeighbor", neighbor(address="10.0.0.10", families=["ipv4_unicast", "ipv4_flowspec"]), OK),
    ("Neighbor", "DeleteNeighbor", dict(address="10.0.0.10"), OK),
    ("Neighbor", "ListNeighbors", dict(), OK),
    ("Neighbor", "GetNeighborState", dict(address="10.0.0.2"), OK),
    ("Neighbor", "GetNeighborState", dict(address="10.0.0.77"), NOT_FOUND),
    ("Neighbor", "GetNeighborState", dict(address="ten"), INVALID),
    ("Neighbor", "GetNeighborErrors", dict(address="10.0.0.2"), OK),
    ("Neighbor", "GetNeighborErrors", dict(address="10.0.0.77"), NOT_FOUND),
    ("Neighbor", "GetNeighborErrors", dict(address=""), INVALID),
    ("Neighbor", "DisableNeighbor", dict(address="10.0.0.9", reason="maintenance"), OK),
    ("Neighbor", "DisableNeighbor", dict(address="10.0.0.9", reason=LONG), INVALID),
    ("Neighbor", "DisableNeighbor", dict(address="10.0.0.77"), NOT_FOUND),
    ("Neighbor", "DisableNeighbor", dict(address="10/8"), INVALID),
    ("Neighbor", "EnableNeighbor", dict(address="10.0.0.9"), OK),
    ("Neighbor", "EnableNeighbor", dict(address="10.0.0.77"), NOT_FOUND),
    ("Neighbor", "EnableNeighbor", dict(), INVALID),
    ("Neighbor", "DrainNeighbor", dict(address="10.0.0.2"), OK),
    ("Neighbor", "DrainNeighbor", dict(address="10.0.0.2", undo=True), OK),
    ("Neighbor", "DrainNeighbor", dict(address="10.0.0.77"), NOT_FOUND),
    ("Neighbor", "DrainNeighbor", dict(address="x"), INVALID),
    ("Neighbor", "SoftResetIn", dict(address="10.0.0.2"), OK),
    ("Neighbor", "SoftResetIn", dict(address="10.0.0.2", families=["ipv4_unicast"]), OK),
    ("Neighbor", "SoftResetIn", dict(address="10.0.0.2", families=["ipv4"]), INVALID),
    ("Neighbor", "SoftResetIn", dict(address="10.0.0.2", families=["ipv6_unicast"]), INVALID),
    ("Neighbor", "SoftResetIn", dict(address="10.0.0.3"), PRECONDITION),
    ("Neighbor", "SoftResetIn", dict(address="10.0.0.77"), NOT_FOUND),
    ("Neighbor", "SoftResetIn", dict(address=""), INVALID),
    ("Neighbor", "DeleteNeighbor", dict(address="10.0.0.9"), OK),
    ("Neighbor", "DeleteNeighbor", dict(address="10.0.0.9"), NOT_FOUND),
    ("Neighbor", "DeleteNeighbor", dict(address="10.0.0.256"), INVALID),
    ("Neighbor", "AddDynamicNeighbor", dict(range=pb.DynamicNeighborRange(prefix="10.9.0.0/16", peer_group="g")), OK),
    ("Neighbor", "AddDynamicNeighbor", dict(range=pb.DynamicNeighborRange(prefix="10.9.0.0/16", peer_group="g")), EXISTS),
    ("Neighbor", "AddDynamicNeighbor", dict(range=pb.DynamicNeighborRange(prefix="10.9.0.1/16", peer_group="g")), INVALID),
    ("Neighbor", "AddDynamicNeighbor", dict(range=pb.DynamicNeighborRange(prefix="10.0.0.0/33", peer_group="g")), INVALID),
    ("Neighbor", "AddDynamicNeighbor", dict(range=pb.DynamicNeighborRange(prefix="10.8.0.0/16", peer_group="x")), INVALID),
    ("Neighbor", "AddDynamicNeighbor", dict(), INVALID),
    ("Neighbor", "ListDynamicNeighbors", dict(), OK),
    ("Neighbor", "DeleteDynamicNeighbor", dict(prefix="10.9.0.0/16"), OK),
    ("Neighbor", "DeleteDynamicNeighbor", dict(prefix="10.9.0.0/16"), NOT_FOUND),
    ("Neighbor", "DeleteDynamicNeighbor", dict(prefix="everybody"), INVALID),
    # Injected routes.
    ("Injection", "AddPath", path(), OK),
    ("Injection", "AddPath", path(as_path=[65010, 65011], local_pref=200, med=0, communities=[65001 << 16 | 1]), OK),
    ("Injection", "AddPath", path(large_communities=["65001:1:2"], extended_communities=[0x0002FDE900000001]), OK),
    ("Injection", "AddPath", path(prefix="2001:db8::", prefix_length=32, next_hop="2001:db8::1"), OK),
    ("Injection", "AddPath", path(prefix_length=33), INVALID),
    ("Injection", "AddPath", path(prefix="2001:db8::", prefix_length=129, next_hop="2001:db8::1"), INVALID),
    ("Injection", "AddPath", path(prefix="203.0.113.1"), INVALID),
    ("Injection", "AddPath", path(prefix=""), INVALID),
    ("Injection", "AddPath", path(next_hop=""), INVALID),
    ("Injection", "AddPath", path(next_hop="0.0.0.0"), INVALID),
    ("Injection", "AddPath", path(next_hop="255.255.255.255"), INVALID),
    ("Injection", "AddPath", path(next_hop="2001:db8::1"), INVALID),
    ("Injection", "AddPath", path(origin=3), INVALID),
    ("Injection", "AddPath", path(as_path=[0]), INVALID),
    ("Injection", "AddPath", path(as_path=[65010] * 20000), INVALID),
    ("Injection", "AddPath", path(large_communities=["1:2"]), INVALID),
    ("Injection", "AddPath", path(large_communities=["4294967296:1:2"]), INVALID),
    ("Injection", "DeletePath", dict(prefix="2001:db8::", prefix_length=32), OK),
    ("Injection", "DeletePath", dict(prefix="2001:db8::", prefix_length=32), NOT_FOUND),
    ("Injection", "DeletePath", dict(prefix="203.0.113.0", prefix_length=24, path_id=7), NOT_FOUND),
    ("Injection", "DeletePath", dict(prefix="203.0.113.0", prefix_length=40), INVALID),
    ("Injection", "DeletePath", dict(prefix="x", prefix_length=8), INVALID),
    ("Injection", "InjectRoutes", [pb.InjectRoutesRequest(paths=[pb.AddPathRequest(**V4)])], OK),
    ("Injection", "InjectRoutes", [pb.InjectRoutesRequest(paths=[pb.AddPathRequest(**path(origin=9))])], INVALID),
    ("Injection", "InjectStream", [pb.InjectStreamRequest(items=[pb.InjectionItem(add=pb.AddPathRequest(**V4))])], OK),
    ("Injection", "AddPath", path(owner="a", lease_seconds=600), OK),
    ("Injection", "AddPath", path(lease_seconds=600), INVALID),
    ("Injection", "ListOwners", dict(), OK),
    ("Injection", "RenewLease", dict(owner="a"), OK),
    ("Injection", "RenewLease", dict(owner="nobody"), NOT_FOUND),
    ("Injection", "RenewLease", dict(), INVALID),
    ("Injection", "DeleteOwner", dict(owner="a"), OK),
    ("Injection", "DeleteOwner", dict(owner="a"), NOT_FOUND),
    ("Injection", "DeleteOwner", dict(owner="a b"), INVALID),
    # What others expect to be there.
    ("Injection", "AddPath", path(), OK),
    ("Injection", "AddFlowSpec", dict(afi_safi=3), UNIMPLEMENTED),
    ("Injection", "DeleteFlowSpec", dict(afi_safi=3), UNIMPLEMENTED),
    # Tables.
    ("Rib", "ListBestRoutes", dict(), OK),
    ("Rib", "ListBestRoutes", dict(afi_safi=2, page_size=10), OK),
    ("Rib", "ListBestRoutes", dict(page_size=4294967295), OK),
    ("Rib", "ListBestRoutes", dict(afi_safi=3), INVALID),
    ("Rib", "ListBestRoutes", dict(afi_safi=9), INVALID),
    ("Rib", "ListBestRoutes", dict(page_token="nonsense"), INVALID),
    ("Rib", "ListBestRoutes", dict(prefix_filter="10.0.0.0", prefix_filter_length=33), INVALID),
    ("Rib", "ListBestRoutes", dict(prefix_filter="10.0.0.1", prefix_filter_length=8), INVALID),
    ("Rib", "ListBestRoutes", dict(prefix_filter="ten", prefix_filter_length=8), INVALID),
    ("Rib", "ListBestRoutes", dict(large_community_filter=["1:2"]), INVALID),
    ("Rib", "ListReceivedRoutes", dict(neighbor_address="10.0.0.2"), OK),
    ("Rib", "ListReceivedRoutes", dict(neighbor_address="10.0.0.77"), NOT_FOUND),
    ("Rib", "ListReceivedRoutes", dict(neighbor_address="x"), INVALID),
    ("Rib", "ListReceivedRoutes", dict(neighbor_address="10.0.0.2", afi_safi=4), INVALID),
    ("Rib", "ListAdvertisedRoutes", dict(neighbor_address="10.0.0.2"), OK),
    ("Rib", "ListAdvertisedRoutes", dict(neighbor_address="10.0.0.77"), NOT_FOUND),
    ("Rib", "ListAdvertisedRoutes", dict(), INVALID),
    ("Rib", "GetRibSummary", dict(), OK),
    ("Rib", "ExplainBestPath", dict(prefix="203.0.113.0", prefix_length=24), OK),
    ("Rib", "ExplainBestPath", dict(prefix="203.0.113.0", prefix_length=33), INVALID),
    ("Rib", "ExplainBestPath", dict(), INVALID),
    ("Rib", "ExplainBestPath", dict(prefix="198.51.100.0", prefix_length=24), OK),
    ("Rib", "ExplainAdvertisedRoute", dict(peer_address="10.0.0.2", prefix="203.0.113.0", prefix_length=24), OK),
    ("Rib", "ExplainAdvertisedRoute", dict(peer_address="10.0.0.77", prefix="203.0.113.0", prefix_length=24), NOT_FOUND),
    ("Rib", "ExplainAdvertisedRoute", dict(peer_address="10.0.0.2", prefix="203.0.113.1", prefix_length=24), INVALID),
    ("Rib", "ExplainReceivedRoute", dict(peer_address="10.0.0.2", prefix="203.0.113.0", prefix_length=24), OK),
    ("Rib", "ExplainReceivedRoute", dict(peer_address="", prefix="203.0.113.0", prefix_length=24), INVALID),
    ("Rib", "ExplainReceivedRoute", dict(peer_address="10.0.0.77", prefix="203.0.113.0", prefix_length=24), NOT_FOUND),
    ("Rib", "WatchRoutes", dict(), OK),
    ("Rib", "WatchRoutes", dict(neighbor_address="10.0.0.77"), NOT_FOUND),
    ("Rib", "WatchRoutes", dict(neighbor_address="x"), INVALID),
    ("Rib", "WatchRoutes", dict(afi_safi=77), INVALID),
    ("Rib", "ListFlowSpecRoutes", dict(afi_safi=3), UNIMPLEMENTED),
    # Policies.
    ("Policy", "ListPolicies", dict(), OK),
    ("Policy", "GetPolicy", dict(name="p"), OK),
    ("Policy", "GetPolicy", dict(name="q"), NOT_FOUND),
    ("Policy", "SetPolicy", dict(name="q", definition=pb.PolicyDefinition(default_action="deny")), OK),
    ("Policy", "SetPolicy", dict(name="r", definition=pb.PolicyDefinition(default_action="maybe")), INVALID),
    ("Policy", "SetPolicy", dict(name="", definition=pb.PolicyDefinition()), INVALID),
    (
        "Policy",
        "SetPolicy",
        dict(
            name="r",
            definition=pb.PolicyDefinition(
                statements=[pb.PolicyStatement(action="permit", prefix="10.0.0.0/8", ge=33)]
            ),
        ),
        INVALID,
    ),
    ("Policy", "SetGlobalImportChain", dict(policy_names=["p"]), OK),
    ("Policy", "SetGlobalImportChain", dict(policy_names=[]), INVALID),
    ("Policy", "SetGlobalImportChain", dict(policy_names=["nothing"]), INVALID),
    ("Policy", "SetGlobalExportChain", dict(policy_names=["p"]), OK),
    ("Policy", "SetGlobalExportChain", dict(policy_names=["nothing"]), INVALID),
    ("Policy", "GetGlobalPolicyChains", dict(), OK),
    ("Policy", "DeletePolicy", dict(name="p"), PRECONDITION),
    ("Policy", "ClearGlobalImportChain", dict(), OK),
    ("Policy", "ClearGlobalExportChain", dict(), OK),
    ("Policy", "SetNeighborImportChain", dict(address="10.0.0.3", policy_names=["p"]), OK),
    ("Policy", "SetNeighborImportChain", dict(address="10.0.0.3", policy_names=["nothing"]), INVALID),
    ("Policy", "SetNeighborImportChain", dict(address="10.0.0.77", policy_names=["p"]), NOT_FOUND),
    ("Policy", "SetNeighborExportChain", dict(address="10.0.0.3", policy_names=["p"]), OK),
    ("Policy", "SetNeighborExportChain", dict(address="x", policy_names=["p"]), INVALID),
    ("Policy", "GetNeighborPolicyChains", dict(address="10.0.0.3"), OK),
    ("Policy", "GetNeighborPolicyChains", dict(address="10.0.0.77"), NOT_FOUND),
    ("Policy", "ClearNeighborImportChain", dict(address="10.0.0.3"), OK),
    ("Policy", "ClearNeighborImportChain", dict(address="10.0.0.77"), NOT_FOUND),
    ("Policy", "ClearNeighborExportChain", dict(address="10.0.0.3"), OK),
    ("Policy", "ClearNeighborExportChain", dict(address=""), INVALID),
    ("Policy", "DeletePolicy", dict(name="q"), OK),
    ("Policy", "DeletePolicy", dict(name="q"), NOT_FOUND),
    ("Policy", "SetNeighborSet", dict(name="s", definition=pb.NeighborSetDefinition(addresses=["10.0.0.2"])), OK),
    ("Policy", "SetNeighborSet", dict(name="t", definition=pb.NeighborSetDefinition(addresses=["ten"])), INVALID),
    ("Policy", "ListNeighborSets", dict(), OK),
    ("Policy", "GetNeighborSet", dict(name="s"), OK),
    ("Policy", "GetNeighborSet", dict(name="t"), NOT_FOUND),
    ("Policy", "DeleteNeighborSet", dict(name="s"), OK),
    ("Policy", "DeleteNeighborSet", dict(name="s"), NOT_FOUND),
    ("Policy", "TestPolicies", dict(), OK),
    ("Policy", "SetMatchSet", dict(kind=1, name="m", entries=["10.0.0.0/8"]), OK),
    ("Policy", "SetMatchSet", dict(kind=77, name="m"), INVALID),
    ("Policy", "ListMatchSets", dict(kind=1), OK),
    ("Policy", "GetMatchSet", dict(kind=1, name="m"), OK),
    ("Policy", "DeleteMatchSet", dict(kind=1, name="m"), OK),
    # Peer groups.
    ("PeerGroup", "ListPeerGroups", dict(), OK),
    ("PeerGroup", "GetPeerGroup", dict(name="g"), OK),
    ("PeerGroup", "GetPeerGroup", dict(name="h"), NOT_FOUND),
    ("PeerGroup", "SetPeerGroup", dict(name="h", definition=pb.PeerGroupDefinition(hold_time=30)), OK),
    ("PeerGroup", "SetPeerGroup", dict(name="i", definition=pb.PeerGroupDefinition(hold_time=1)), INVALID),
    ("PeerGroup", "SetPeerGroup", dict(name="", definition=pb.PeerGroupDefinition()), INVALID),
    ("PeerGroup", "SetNeighborPeerGroup", dict(address="10.0.0.3", peer_group="h"), OK),
    ("PeerGroup", "SetNeighborPeerGroup", dict(address="10.0.0.77", peer_group="h"), NOT_FOUND),
    ("PeerGroup", "SetNeighborPeerGroup", dict(address="x", peer_group="h"), INVALID),
    ("PeerGroup", "DeletePeerGroup", dict(name="h"), PRECONDITION),
    ("PeerGroup", "ClearNeighborPeerGroup", dict(address="10.0.0.3"), OK),
    ("PeerGroup", "ClearNeighborPeerGroup", dict(address="10.0.0.77"), NOT_FOUND),
    ("PeerGroup", "DeletePeerGroup", dict(name="h"), OK),
    ("PeerGroup", "DeletePeerGroup", dict(name="h"), NOT_FOUND),
    # The configuration as a whole.
    ("Config", "GetConfig", dict(), OK),
    ("Config", "CheckConfig", dict(config=pb.ConfigText(name="c.toml", text="nonsense")), OK),
    ("Config", "CheckConfig", dict(), INVALID),
    ("Config", "DiffConfig", dict(), INVALID),
    ("Config", "DiffConfig", dict(config=pb.ConfigText(name="c.toml", text="nonsense")), INVALID),
    ("Config", "ApplyConfig", dict(), INVALID),
    ("Config", "ApplyConfig", dict(config=pb.ConfigText(name="c.toml", text="nonsense")), INVALID),
    ("Config", "ConfirmConfig", dict(), PRECONDITION),
    ("Config", "RollbackConfig", dict(), PRECONDITION),
    # The daemon.
    ("Control", "GetHealth", dict(), OK),
    ("Control", "GetMetrics", dict(), OK),
    ("Control", "GetProcesses", dict(), OK),
    ("Control", "TriggerMrtDump", dict(), UNIMPLEMENTED),
    ("Control", "Shutdown", dict(reason=LONG), INVALID),
]

def call(channel, service, method, fields):
    """Status, message and details of a call. Of a stream of answers only the begin is waited for."""
    descriptor = pb.DESCRIPTOR.services_by_name[f"{service}Service"].methods_by_name[method]
    stub = getattr(getattr(stubs, f"{service}ServiceStub")(channel), method)
    request = iter(fields) if isinstance(fields, list) else getattr(pb, descriptor.input_type.name)(**fields)
    try:
        answer = stub(request, timeout=20)
        if hasattr(answer, "initial_metadata"):
            # An error of a stream comes with its first answer, or in place of it; nothing may come at all.
            answer.initial_metadata()
            if answer.done() and answer.code() != OK:
                raise answer
            answer.cancel()
        return OK, "", None
    except grpc.RpcError as error:
        details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin")
        return error.code(), error.details(), details


def field_path(details):
    """Which field an ErrorDetail names."""
    status = status_pb2.Status.FromString(details)
    for detail in status.details:
        if detail.type_url == "type.googleapis.com/rustbgpd.v1.ErrorDetail":
            return pb.ErrorDetail.FromString(detail.value).config.field_path
    return None


def main():
    if sys.argv[2:] == ["shutdown"]:
        with grpc.insecure_channel(sys.argv[1]) as channel:
            code, message, _ = call(channel, "Control", "Shutdown", dict(reason="the tests are over"))
            print(code.name, message)
            return code != OK
    wrong = []
    with grpc.insecure_channel(sys.argv[1]) as channel:
        for service, method, fields, expected in CASES:
            code, message, details = call(channel, service, method, fields)
            what = f"{service}.{method}({str(fields)[:200]})"
            if method in NOT_YET:
                if code in FAILURES:
                    wrong.append(f"{what}: {code.name}: {message}")
            elif code != expected:
                wrong.append(f"{what}: {code.name} in place of {expected.name}: {message}")
            elif code == UNIMPLEMENTED and method not in NEVER:
                wrong.append(f"{what}: UNIMPLEMENTED: {message}")
            elif code != OK and not message:
                wrong.append(f"{what}: {code.name} without a word")
            elif code == INVALID and not (details and (field_path(details) or service == "Config")):
                # What is no TOML at all is wrong with no field.
                wrong.append(f"{what}: no ErrorDetail names the field: {message}")
    tried = {(service, method) for service, method, _, _ in CASES}
    for service in pb.DESCRIPTOR.services_by_name.values():
        for method in service.methods:
            if (service.name.removesuffix("Service"), method.name) not in tried:
                wrong.append(f"{service.name}.{method.name} is not tried here")
    print("\n".join(wrong) or f"{len(CASES)} calls as expected")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
