//! Asks the daemon, again and again; a daemon that goes away is asked until it is back.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use grpc::v1::control_service_client::ControlServiceClient;
use grpc::v1::global_service_client::GlobalServiceClient;
use grpc::v1::neighbor_service_client::NeighborServiceClient;
use grpc::v1::rib_service_client::RibServiceClient;
use grpc::v1::{
    GetGlobalRequest, GetProcessesRequest, ListNeighborsRequest, MetricsRequest, RibSummaryRequest,
    WatchRoutesRequest,
};
use tokio::sync::mpsc::Sender;
use tonic::{Code, Response, Status};

use super::events::Event;
use super::model::{Snapshot, Update};
use crate::args::Args;
use crate::commands::daemon::sample;
use crate::connect::{self, Connection, MAX_ANSWER};
use crate::error::CliError;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often metrics are read: they are long.
const METRICS_EVERY: Duration = Duration::from_secs(10);
/// After how long a daemon that is away is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// The daemon, and what is remembered of it from answer to answer.
pub(super) struct Source {
    args: Arc<Args>,
    begun: Instant,
    connection: Option<Connection>,
    vrps: Option<(u64, u64)>,
    metrics_read: Option<Instant>,
}

impl Source {
    pub(super) fn new(args: Arc<Args>, connection: Connection) -> Source {
        Source { args, begun: Instant::now(), connection: Some(connection), vrps: None, metrics_read: None }
    }

    /// Asks once.
    ///
    /// # Errors
    /// When the daemon does not answer; the next time it is connected to anew.
    pub(super) async fn ask(&mut self) -> Result<Snapshot, CliError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect::connect(&self.args).await?,
        };
        let answer = tokio::time::timeout(PATIENCE, self.collect(connection.clone())).await;
        let late = |_| CliError::Failed(format!("no answer within {} s", PATIENCE.as_secs()));
        let snapshot = answer.map_err(late)??;
        self.connection = Some(connection);
        Ok(snapshot)
    }

    async fn collect(&mut self, connection: Connection) -> Result<Snapshot, CliError> {
        let mut control = ControlServiceClient::new(connection.clone()).max_decoding_message_size(MAX_ANSWER);
        let global = GlobalServiceClient::new(connection.clone()).get_global(GetGlobalRequest {}).await?;
        let neighbors = NeighborServiceClient::new(connection.clone())
            .max_decoding_message_size(MAX_ANSWER)
            .list_neighbors(ListNeighborsRequest {})
            .await?;
        let mut rib = RibServiceClient::new(connection).max_decoding_message_size(MAX_ANSWER);
        let summary = known(rib.get_rib_summary(RibSummaryRequest {}).await)?.unwrap_or_default();
        let processes = known(control.get_processes(GetProcessesRequest {}).await)?.unwrap_or_default();
        if self.metrics_read.is_none_or(|at| at.elapsed() >= METRICS_EVERY) {
            let metrics = known(control.get_metrics(MetricsRequest {}).await)?;
            self.vrps = metrics.and_then(|m| vrps(&m.prometheus_text));
            self.metrics_read = Some(Instant::now());
        }
        Ok(Snapshot {
            at: self.begun.elapsed(),
            time_ms: clock(),
            global: global.into_inner(),
            neighbors: neighbors.into_inner().neighbors,
            processes: processes.processes,
            summary,
            vrps: self.vrps,
        })
    }

    /// Asks at each interval and tells, until nobody listens.
    pub(super) async fn run(mut self, interval: Duration, to: Sender<Update>) {
        let mut tick = tokio::time::interval(interval);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // The first answer was there before.
        tick.tick().await;
        loop {
            match self.connection {
                Some(_) => {
                    tick.tick().await;
                }
                None => tokio::time::sleep(RETRY).await,
            }
            let update = match self.ask().await {
                Ok(snapshot) => Update::Snapshot(Box::new(snapshot)),
                Err(e) => Update::Lost { at: self.begun.elapsed(), time_ms: clock(), reason: e.brief() },
            };
            if to.send(update).await.is_err() {
                return;
            }
        }
    }
}

/// Tells of routes, until nobody listens or the daemon says that it cannot.
pub(super) async fn routes(args: Arc<Args>, to: Sender<Update>) {
    loop {
        let note = match follow(&args, &to).await {
            Ok(()) => "the daemon ended them".to_owned(),
            Err(CliError::Status(s)) if s.code() == Code::Unimplemented => {
                let _ = to.send(Update::Routes("this rustbgpd does not tell of them".to_owned())).await;
                return;
            }
            Err(CliError::Status(s)) if s.code() == Code::ResourceExhausted => {
                "more than this terminal can follow; trying again".to_owned()
            }
            Err(e) => e.brief(),
        };
        if to.send(Update::Routes(note)).await.is_err() {
            return;
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn follow(args: &Args, to: &Sender<Update>) -> Result<(), CliError> {
    let mut rib = RibServiceClient::new(connect::connect(args).await?).max_decoding_message_size(MAX_ANSWER);
    let mut events = rib.watch_routes(WatchRoutesRequest::default()).await?.into_inner();
    let gone = || CliError::Failed(String::new());
    to.send(Update::Routes(String::new())).await.map_err(|_| gone())?;
    while let Some(event) = events.message().await? {
        to.send(Update::Route(Event::route(clock(), &event))).await.map_err(|_| gone())?;
    }
    Ok(())
}

/// What a daemon of an earlier version does not know is left out.
fn known<T>(answer: Result<Response<T>, Status>) -> Result<Option<T>, Status> {
    match answer {
        Ok(answer) => Ok(Some(answer.into_inner())),
        Err(s) if s.code() == Code::Unimplemented => Ok(None),
        Err(s) => Err(s),
    }
}

fn vrps(metrics: &str) -> Option<(u64, u64)> {
    let of = |af: &str| {
        metrics.lines().filter(|l| l.starts_with("bgp_rpki_vrp_count{")).find_map(|line| {
            let (_, labels, value) = sample(line)?;
            (labels.get("af")?.as_str()? == af).then(|| value.as_f64().map(|n| n as u64))?
        })
    };
    Some((of("ipv4")?, of("ipv6")?))
}

/// Milliseconds since 1970.
fn clock() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::vrps;

    #[test]
    fn vrps_are_found_among_the_metrics() {
        let text = "# TYPE bgp_rpki_vrp_count gauge\nbgp_rpki_vrp_count{af=\"ipv4\"} 5\nbgp_rpki_vrp_count{af=\"ipv6\"} 7\n";
        assert_eq!(vrps(text), Some((5, 7)));
        assert_eq!(vrps("bgp_rpki_vrp_count{af=\"ipv4\"} 5\n"), None);
    }
}
