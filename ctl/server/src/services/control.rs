//! ControlService: the daemon as a program.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use grpc::v1::control_service_server::ControlService;
use grpc::v1::{
    GetProcessesRequest, GetProcessesResponse, HealthRequest, HealthResponse, MetricsRequest,
    MetricsResponse, ProcessProtection, ShutdownRequest, ShutdownResponse, TriggerMrtDumpRequest,
    TriggerMrtDumpResponse,
};
use ipc::control_session::FsmState;
use ipc::figures::Process;
use ipc::parent_control::Intent;
use ipc::report::{Protection, Sandbox};
use tonic::{Request, Response, Status};

use crate::app::App;
use crate::error::not_yet;
use crate::metrics;
use crate::services::neighbor::check_reason;

/// The service.
#[derive(Debug)]
pub(super) struct Control(pub(super) Arc<App>);

#[tonic::async_trait]
impl ControlService for Control {
    /// Answers also while an engine is away: that is what it is for.
    async fn get_health(&self, _: Request<HealthRequest>) -> Result<Response<HealthResponse>, Status> {
        let app = &self.0;
        let (sessions, counters) = tokio::join!(app.sessions(None), app.counters());
        let mut unavailable = Vec::new();
        if sessions.is_err() {
            unavailable.push("session".to_owned());
        }
        if counters.is_err() {
            unavailable.push("rde".to_owned());
        }
        let established =
            sessions.map_or(0, |s| s.values().filter(|p| p.state == FsmState::Established).count());
        let routes: u64 = counters.map_or(0, |c| c.tables.loc_rib.iter().sum());
        Ok(Response::new(HealthResponse {
            healthy: unavailable.is_empty() && app.try_view().is_some(),
            uptime_seconds: app.uptime().as_secs(),
            active_peers: u32::try_from(established).unwrap_or(u32::MAX),
            total_routes: u32::try_from(routes).unwrap_or(u32::MAX),
            unavailable,
        }))
    }

    async fn get_metrics(&self, _: Request<MetricsRequest>) -> Result<Response<MetricsResponse>, Status> {
        Ok(Response::new(MetricsResponse { prometheus_text: metrics::render(&self.0).await }))
    }

    async fn get_processes(
        &self,
        _: Request<GetProcessesRequest>,
    ) -> Result<Response<GetProcessesResponse>, Status> {
        let processes = self.0.processes.ask().await?.processes;
        let now = UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
        let processes = processes.iter().map(|p| process(p, now)).collect();
        Ok(Response::new(GetProcessesResponse { processes }))
    }

    async fn shutdown(
        &self,
        request: Request<ShutdownRequest>,
    ) -> Result<Response<ShutdownResponse>, Status> {
        let reason = check_reason(request.into_inner().reason)?;
        self.0.intend(Intent::Shutdown { reason }).await?;
        Ok(Response::new(ShutdownResponse {}))
    }

    async fn trigger_mrt_dump(
        &self,
        _: Request<TriggerMrtDumpRequest>,
    ) -> Result<Response<TriggerMrtDumpResponse>, Status> {
        Err(not_yet("TriggerMrtDump"))
    }
}

fn protections(sandbox: Sandbox) -> Vec<ProcessProtection> {
    let each = |p: Protection| ProcessProtection { name: p.name().to_owned(), on: sandbox.has(p) };
    Protection::ALL.into_iter().map(each).collect()
}

fn process(process: &Process, now: u64) -> grpc::v1::Process {
    grpc::v1::Process {
        name: process.role.name().to_owned(),
        pid: process.pid,
        uptime_seconds: now.saturating_sub(process.started),
        restarts: process.restarts,
        cpu_milliseconds: process.usage.map(|u| u.cpu_ms),
        resident_bytes: process.usage.map(|u| u.resident),
        threads: process.usage.map(|u| u.threads),
        sandbox: process.sandbox.map(protections).unwrap_or_default(),
    }
}
