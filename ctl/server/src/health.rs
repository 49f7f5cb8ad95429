//! The standard health service, `grpc.health.v1`: SERVING while control has a configuration and both engines answer to it.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, stream};
use tonic::{Request, Response, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::app::App;
use crate::methods;

/// How often a watched status is looked at.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// The service.
#[derive(Debug)]
pub(crate) struct Healthy(pub(crate) Arc<App>);

impl Healthy {
    /// The services share one fate: a client that asks for one wants to know whether it is worth calling.
    fn response(app: &App) -> HealthCheckResponse {
        let serving = app.try_view().is_some() && app.session.is_linked() && app.rde.is_linked();
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        HealthCheckResponse { status: status as i32 }
    }
}

fn known(service: &str) -> Result<(), Status> {
    if service.is_empty() || methods::services().any(|name| name == service) {
        return Ok(());
    }
    Err(Status::not_found(format!("there is no service {service:?}; leave it empty to ask about the daemon")))
}

#[tonic::async_trait]
impl Health for Healthy {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        known(&request.into_inner().service)?;
        Ok(Response::new(Healthy::response(&self.0)))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    /// The status at once, then each time it is another one.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        known(&request.into_inner().service)?;
        let changes = stream::unfold((Arc::clone(&self.0), None), |(app, before)| async move {
            loop {
                let now = Healthy::response(&app);
                if before.as_ref() != Some(&now) {
                    return Some((Ok(now), (app, Some(now))));
                }
                tokio::time::sleep(WATCH_INTERVAL).await;
            }
        });
        Ok(Response::new(Box::pin(changes)))
    }
}
