//! A daemon that is only its API: answers what the tests say, remembers what it was asked.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use grpc::v1::config_service_server::ConfigServiceServer;
use grpc::v1::control_service_server::{ControlService, ControlServiceServer};
use grpc::v1::global_service_server::{GlobalService, GlobalServiceServer};
use grpc::v1::injection_service_server::{InjectionService, InjectionServiceServer};
use grpc::v1::neighbor_service_server::{NeighborService, NeighborServiceServer};
use grpc::v1::peer_group_service_server::PeerGroupServiceServer;
use grpc::v1::policy_service_server::PolicyServiceServer;
use grpc::v1::rib_service_server::{RibService, RibServiceServer};
use grpc::v1::*;
use tokio::net::UnixListener;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::codegen::BoxStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

/// What the daemon has, and what it was asked.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) neighbors: Vec<NeighborState>,
    pub(crate) added: Vec<NeighborConfig>,
    pub(crate) ranges: Vec<DynamicNeighborRange>,
    pub(crate) routes: Vec<Route>,
    pub(crate) health: HealthResponse,
    pub(crate) lists: Vec<(&'static str, ListRoutesRequest)>,
    pub(crate) injected: Vec<AddPathRequest>,
    pub(crate) deleted: Vec<DeletePathRequest>,
    pub(crate) done: Vec<String>,
    pub(crate) errors: GetNeighborErrorsResponse,
    pub(crate) token: Option<String>,
    /// Where dumps go; empty: it makes none.
    pub(crate) dump: String,
    pub(crate) config: crate::config::Played,
    pub(crate) watches: Vec<WatchRoutesRequest>,
    /// Whose what was injected is.
    pub(crate) owners: Vec<(String, Option<u32>)>,
    /// What who watches next is told.
    pub(crate) events: Vec<Result<RouteEvent, Status>>,
    pub(crate) policies: BTreeMap<String, PolicyDefinition>,
    pub(crate) neighbor_sets: BTreeMap<String, NeighborSetDefinition>,
    pub(crate) match_sets: BTreeMap<(i32, String), Vec<String>>,
    pub(crate) groups: BTreeMap<String, PeerGroupDefinition>,
    pub(crate) tests: TestPoliciesResponse,
}

#[derive(Clone)]
pub(crate) struct Api(Arc<Mutex<World>>);

/// A running one.
pub(crate) struct Daemon {
    pub(crate) world: Arc<Mutex<World>>,
    pub(crate) dir: tempfile::TempDir,
    /// Dropped, it ends the server.
    _running: tokio::sync::oneshot::Sender<()>,
}

impl Daemon {
    pub(crate) fn start() -> Daemon {
        let world = Arc::new(Mutex::new(World::default()));
        let dir = tempfile::tempdir().unwrap();
        let api = Api(Arc::clone(&world));
        let path = dir.path().join("grpc.sock");
        // Bound here, so that a client finds it at once.
        let listener = std::os::unix::net::UnixListener::bind(path).unwrap();
        let (running, ended) = tokio::sync::oneshot::channel::<()>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve(api, listener, ended));
        });
        Daemon { world, dir, _running: running }
    }

    pub(crate) fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub(crate) fn socket(&self) -> String {
        format!("unix://{}", self.dir.path().join("grpc.sock").display())
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = ctl();
        command.env("RUSTBGPD_ADDR", self.socket()).args(args);
        command
    }

    /// Runs a command that must succeed: its standard output.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Runs a command that must fail with this status: its standard error.
    pub(crate) fn fails(&self, status: i32, args: &[&str]) -> String {
        refused(status, self.command(args).output().unwrap())
    }

    pub(crate) fn json(&self, args: &[&str]) -> serde_json::Value {
        let args: Vec<&str> = ["-j"].into_iter().chain(args.iter().copied()).collect();
        serde_json::from_str(&self.ok(&args)).unwrap()
    }
}

/// Where the program under test is.
pub(crate) fn program() -> &'static str {
    env!("CARGO_BIN_EXE_rustbgpctl")
}

pub(crate) fn ctl() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rustbgpctl"));
    command.env_remove("RUSTBGPD_TOKEN_FILE").env_remove("RUSTBGPD_ADDR");
    command
}

pub(crate) fn refused(status: i32, output: Output) -> String {
    assert_eq!(output.status.code(), Some(status), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stderr)
}

pub(crate) fn text(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).unwrap()
}

pub(crate) fn write(dir: &Path, name: &str, octets: &[u8]) -> String {
    let path = dir.join(name);
    std::fs::write(&path, octets).unwrap();
    path.display().to_string()
}

async fn serve(
    api: Api,
    listener: std::os::unix::net::UnixListener,
    ended: tokio::sync::oneshot::Receiver<()>,
) {
    listener.set_nonblocking(true).unwrap();
    let incoming = UnixListenerStream::new(UnixListener::from_std(listener).unwrap());
    Server::builder()
        .add_service(GlobalServiceServer::new(api.clone()))
        .add_service(NeighborServiceServer::new(api.clone()))
        .add_service(PolicyServiceServer::new(api.clone()))
        .add_service(PeerGroupServiceServer::new(api.clone()))
        .add_service(RibServiceServer::new(api.clone()))
        .add_service(InjectionServiceServer::new(api.clone()))
        .add_service(ConfigServiceServer::new(api.clone()))
        .add_service(ControlServiceServer::new(api))
        .serve_with_incoming_shutdown(incoming, async {
            let _ = ended.await;
        })
        .await
        .unwrap();
}

impl Api {
    pub(crate) fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    /// The first route with a policy of two statements, of which the second one holds.
    fn explained(&self, code: &str, message: &str) -> ExplainedPath {
        let route = self.world().routes.first().cloned();
        let matched = |written: &str, found: &str, held| ExplainedMatch {
            written: written.into(),
            found: found.into(),
            held,
        };
        let statement = |number, held, matches, changes: &[&str]| ExplainedStatement {
            number,
            name: String::new(),
            line: 40 + number,
            action: "permit".into(),
            held,
            matches,
            changes: changes.iter().map(|c| (*c).to_owned()).collect(),
        };
        let statements = vec![
            statement(1, false, vec![matched("prefix = 192.0.2.0/24", "10.0.0.0/24", false)], &[]),
            statement(2, true, vec![matched("as_path_length <= 3", "2", true)], &["local_pref = 200"]),
        ];
        let policy = ExplainedPolicy { name: "transit".into(), action: "permit".into(), statements };
        let made = route.clone().map(|r| Route { local_pref: 200, has_local_pref: true, ..r });
        ExplainedPath {
            route,
            route_type: "external".into(),
            chosen: true,
            reason: Some(ExplainReason { code: code.into(), message: message.into() }),
            policies: vec![policy],
            modifications: Some(ExplainModifications {
                set_local_pref: Some(200),
                ..ExplainModifications::default()
            }),
            made,
        }
    }

    /// A page: the token is the number of the next route.
    fn list(
        &self,
        table: &'static str,
        request: ListRoutesRequest,
    ) -> Result<Response<ListRoutesResponse>, Status> {
        let mut world = self.world();
        let from: usize = request.page_token.parse().unwrap_or(0);
        let to = world.routes.len().min(from + request.page_size as usize);
        let next_page_token = if to < world.routes.len() { to.to_string() } else { String::new() };
        let (routes, total_count) = (world.routes[from..to].to_vec(), world.routes.len() as u64);
        world.lists.push((table, request));
        Ok(Response::new(ListRoutesResponse { routes, next_page_token, total_count }))
    }
}

#[tonic::async_trait]
impl GlobalService for Api {
    async fn get_global(&self, request: Request<GetGlobalRequest>) -> Result<Response<GlobalState>, Status> {
        if let Some(token) = &self.world().token {
            let shown = request.metadata().get("authorization").map(|v| v.to_str().unwrap().to_owned());
            if shown.as_deref() != Some(&format!("Bearer {token}")) {
                return Err(Status::unauthenticated("the bearer token is wrong"));
            }
        }
        let version = "rustbgpd 1.2.3".into();
        Ok(Response::new(GlobalState {
            asn: 64999,
            router_id: "192.0.2.254".into(),
            listen_port: 0,
            version,
        }))
    }
}

#[tonic::async_trait]
impl NeighborService for Api {
    async fn list_neighbors(
        &self,
        _: Request<ListNeighborsRequest>,
    ) -> Result<Response<ListNeighborsResponse>, Status> {
        Ok(Response::new(ListNeighborsResponse { neighbors: self.world().neighbors.clone() }))
    }

    async fn get_neighbor_state(
        &self,
        request: Request<GetNeighborStateRequest>,
    ) -> Result<Response<NeighborState>, Status> {
        let address = request.into_inner().address;
        let found =
            self.world().neighbors.iter().find(|n| n.config.as_ref().unwrap().address == address).cloned();
        found
            .map(Response::new)
            .ok_or_else(|| Status::not_found("there is no neighbor; did you mean 192.0.2.1?"))
    }

    async fn add_neighbor(
        &self,
        request: Request<AddNeighborRequest>,
    ) -> Result<Response<AddNeighborResponse>, Status> {
        self.world().added.extend(request.into_inner().config);
        Ok(Response::new(AddNeighborResponse {}))
    }

    async fn delete_neighbor(
        &self,
        request: Request<DeleteNeighborRequest>,
    ) -> Result<Response<DeleteNeighborResponse>, Status> {
        self.world().done.push(format!("delete {}", request.into_inner().address));
        Ok(Response::new(DeleteNeighborResponse {}))
    }

    async fn list_dynamic_neighbors(
        &self,
        _: Request<ListDynamicNeighborsRequest>,
    ) -> Result<Response<ListDynamicNeighborsResponse>, Status> {
        let ranges = self.world().ranges.clone();
        Ok(Response::new(ListDynamicNeighborsResponse { ranges }))
    }

    async fn add_dynamic_neighbor(
        &self,
        request: Request<AddDynamicNeighborRequest>,
    ) -> Result<Response<AddDynamicNeighborResponse>, Status> {
        self.world().ranges.extend(request.into_inner().range);
        Ok(Response::new(AddDynamicNeighborResponse {}))
    }

    async fn delete_dynamic_neighbor(
        &self,
        request: Request<DeleteDynamicNeighborRequest>,
    ) -> Result<Response<DeleteDynamicNeighborResponse>, Status> {
        self.world().done.push(format!("delete {}", request.into_inner().prefix));
        Ok(Response::new(DeleteDynamicNeighborResponse {}))
    }

    async fn enable_neighbor(
        &self,
        request: Request<EnableNeighborRequest>,
    ) -> Result<Response<EnableNeighborResponse>, Status> {
        self.world().done.push(format!("enable {}", request.into_inner().address));
        Ok(Response::new(EnableNeighborResponse {}))
    }

    async fn disable_neighbor(
        &self,
        request: Request<DisableNeighborRequest>,
    ) -> Result<Response<DisableNeighborResponse>, Status> {
        let request = request.into_inner();
        self.world().done.push(format!("disable {} {}", request.address, request.reason));
        Ok(Response::new(DisableNeighborResponse {}))
    }

    async fn drain_neighbor(
        &self,
        request: Request<DrainNeighborRequest>,
    ) -> Result<Response<DrainNeighborResponse>, Status> {
        let DrainNeighborRequest { address, undo } = request.into_inner();
        self.world().done.push(format!("drain {address} {undo}"));
        Ok(Response::new(DrainNeighborResponse {}))
    }

    async fn get_neighbor_errors(
        &self,
        _: Request<GetNeighborErrorsRequest>,
    ) -> Result<Response<GetNeighborErrorsResponse>, Status> {
        Ok(Response::new(self.world().errors.clone()))
    }

    async fn soft_reset_in(
        &self,
        request: Request<SoftResetInRequest>,
    ) -> Result<Response<SoftResetInResponse>, Status> {
        let SoftResetInRequest { address, families, refresh } = request.into_inner();
        self.world().done.push(format!("softreset {address} {families:?} {refresh}"));
        Ok(Response::new(SoftResetInResponse {}))
    }
}

#[tonic::async_trait]
impl RibService for Api {
    async fn watch_routes(
        &self,
        request: Request<WatchRoutesRequest>,
    ) -> Result<Response<BoxStream<RouteEvent>>, Status> {
        let mut world = self.world();
        world.watches.push(request.into_inner());
        let events: Vec<Result<RouteEvent, Status>> = std::mem::take(&mut world.events);
        // The stream goes on until the client or an error ends it.
        let events = tokio_stream::iter(events).chain(tokio_stream::pending());
        Ok(Response::new(Box::pin(events)))
    }

    async fn list_best_routes(
        &self,
        r: Request<ListRoutesRequest>,
    ) -> Result<Response<ListRoutesResponse>, Status> {
        self.list("best", r.into_inner())
    }

    async fn list_received_routes(
        &self,
        r: Request<ListRoutesRequest>,
    ) -> Result<Response<ListRoutesResponse>, Status> {
        self.list("received", r.into_inner())
    }

    async fn list_advertised_routes(
        &self,
        r: Request<ListRoutesRequest>,
    ) -> Result<Response<ListRoutesResponse>, Status> {
        self.list("advertised", r.into_inner())
    }

    async fn explain_best_path(
        &self,
        r: Request<ExplainBestPathRequest>,
    ) -> Result<Response<ExplainBestPathResponse>, Status> {
        let ExplainBestPathRequest { prefix, prefix_length } = r.into_inner();
        let best = self.world().routes.first().cloned();
        let candidate = |route: Option<Route>, reason: &str, ordering: &str| BestPathCandidate {
            route,
            vs_best_reason: reason.into(),
            vs_best_ordering: ordering.into(),
        };
        let other = best.clone().map(|r| Route { peer_address: "192.0.2.7".into(), best: false, ..r });
        let candidates =
            vec![candidate(best.clone(), "", "equal"), candidate(other, "shorter_as_path", "worse")];
        Ok(Response::new(ExplainBestPathResponse { prefix, prefix_length, best_route: best, candidates }))
    }

    async fn explain_received_route(
        &self,
        r: Request<ExplainReceivedRouteRequest>,
    ) -> Result<Response<ExplainReceivedRouteResponse>, Status> {
        let ExplainReceivedRouteRequest { peer_address, prefix, prefix_length } = r.into_inner();
        let paths = vec![self.explained("best", "it is the best path")];
        Ok(Response::new(ExplainReceivedRouteResponse { peer_address, prefix, prefix_length, paths }))
    }

    async fn explain_advertised_route(
        &self,
        r: Request<ExplainAdvertisedRouteRequest>,
    ) -> Result<Response<ExplainAdvertisedRouteResponse>, Status> {
        let ExplainAdvertisedRouteRequest { peer_address, prefix, prefix_length } = r.into_inner();
        let path = self.explained("policy_permitted", "the export policy permits it");
        Ok(Response::new(ExplainAdvertisedRouteResponse {
            decision: ExplainDecision::Advertise.into(),
            peer_address,
            prefix,
            prefix_length,
            next_hop: "192.0.2.1".into(),
            route_peer_address: "192.0.2.1".into(),
            route_type: path.route_type.clone(),
            reasons: path.reason.clone().into_iter().collect(),
            modifications: path.modifications.clone(),
            paths: vec![path],
            ..ExplainAdvertisedRouteResponse::default()
        }))
    }

    async fn get_rib_summary(
        &self,
        _: Request<RibSummaryRequest>,
    ) -> Result<Response<RibSummaryResponse>, Status> {
        let family = FamilyTables {
            family: "ipv4_unicast".into(),
            loc_rib_prefixes: 1_178_137,
            adj_rib_in_routes: 2_000_000,
            adj_rib_out_routes: 5,
        };
        let received = FamilyPrefixes { family: "ipv4_unicast".into(), received: 77, sent: 88 };
        let neighbor = NeighborTables {
            address: "192.0.2.1".into(),
            description: "transit".into(),
            families: vec![received],
        };
        Ok(Response::new(RibSummaryResponse {
            families: vec![family],
            neighbors: vec![neighbor],
            attribute_sets: 99,
        }))
    }
}

#[tonic::async_trait]
impl InjectionService for Api {
    async fn add_path(&self, r: Request<AddPathRequest>) -> Result<Response<AddPathResponse>, Status> {
        self.world().injected.push(r.into_inner());
        Ok(Response::new(AddPathResponse {}))
    }

    async fn delete_path(
        &self,
        r: Request<DeletePathRequest>,
    ) -> Result<Response<DeletePathResponse>, Status> {
        self.world().deleted.push(r.into_inner());
        Ok(Response::new(DeletePathResponse {}))
    }

    async fn inject_stream(
        &self,
        r: Request<Streaming<InjectStreamRequest>>,
    ) -> Result<Response<BoxStream<InjectStreamResponse>>, Status> {
        let mut messages = r.into_inner();
        let mut answers = Vec::new();
        let mut item = 0;
        while let Some(message) = messages.message().await? {
            let mut answer = InjectStreamResponse { message: answers.len() as u64 + 1, ..Default::default() };
            self.world().owners.push((message.owner, message.lease_seconds));
            for given in message.items {
                item += 1;
                let Some(injection_item::Item::Add(path)) = given.item else { continue };
                if path.prefix == "10.66.0.0" {
                    let AddPathRequest { prefix, prefix_length, .. } = path;
                    answer.errors.push(InjectionError {
                        item,
                        prefix,
                        prefix_length,
                        message: "refused".into(),
                    });
                } else {
                    answer.done += 1;
                    self.world().injected.push(path);
                }
            }
            answers.push(Ok(answer));
        }
        Ok(Response::new(Box::pin(tokio_stream::iter(answers))))
    }

    async fn list_owners(
        &self,
        _: Request<ListOwnersRequest>,
    ) -> Result<Response<ListOwnersResponse>, Status> {
        let owner = |name: &str, lease_seconds, seconds_left| Owner {
            name: name.into(),
            routes: 1_000_000,
            lease_seconds,
            seconds_left,
        };
        Ok(Response::new(ListOwnersResponse { owners: vec![owner("a", 90, 61), owner("b", 0, 0)] }))
    }

    async fn renew_lease(
        &self,
        r: Request<RenewLeaseRequest>,
    ) -> Result<Response<RenewLeaseResponse>, Status> {
        self.world().done.push(format!("{:?}", r.into_inner()));
        Ok(Response::new(RenewLeaseResponse {}))
    }

    async fn delete_owner(
        &self,
        r: Request<DeleteOwnerRequest>,
    ) -> Result<Response<DeleteOwnerResponse>, Status> {
        match r.into_inner().owner.as_str() {
            "a" => Ok(Response::new(DeleteOwnerResponse { routes: 7 })),
            _ => Err(Status::not_found("no injected routes are of it")),
        }
    }
}

#[tonic::async_trait]
impl ControlService for Api {
    async fn get_health(&self, _: Request<HealthRequest>) -> Result<Response<HealthResponse>, Status> {
        Ok(Response::new(self.world().health.clone()))
    }

    async fn get_metrics(&self, _: Request<MetricsRequest>) -> Result<Response<MetricsResponse>, Status> {
        let text = "# HELP a A.\n# TYPE a gauge\na{peer=\"192.0.2.1\"} 1\n";
        Ok(Response::new(MetricsResponse { prometheus_text: text.into() }))
    }

    async fn get_processes(
        &self,
        _: Request<GetProcessesRequest>,
    ) -> Result<Response<GetProcessesResponse>, Status> {
        let on = |name: &str, on| ProcessProtection { name: name.into(), on };
        let rde = Process {
            name: "rde".into(),
            pid: 77,
            uptime_seconds: 90,
            restarts: 2,
            cpu_milliseconds: Some(61_500),
            resident_bytes: Some(1_610_612_736),
            threads: Some(5),
            sandbox: vec![on("seccomp", true), on("landlock_network", false), on("memory_limit", false)],
        };
        let parent = Process { name: "parent".into(), pid: 70, uptime_seconds: 3_700, ..Process::default() };
        Ok(Response::new(GetProcessesResponse { processes: vec![parent, rde] }))
    }

    async fn trigger_mrt_dump(
        &self,
        _: Request<TriggerMrtDumpRequest>,
    ) -> Result<Response<TriggerMrtDumpResponse>, Status> {
        match self.world().dump.clone() {
            path if path.is_empty() => Err(Status::unimplemented("TriggerMrtDump: not in this test")),
            file_path => Ok(Response::new(TriggerMrtDumpResponse { file_path })),
        }
    }

    async fn shutdown(&self, r: Request<ShutdownRequest>) -> Result<Response<ShutdownResponse>, Status> {
        self.world().done.push(format!("shutdown {}", r.into_inner().reason));
        Ok(Response::new(ShutdownResponse {}))
    }
}
