//! GlobalService: who we are.

use std::sync::Arc;

use grpc::v1::global_service_server::GlobalService;
use grpc::v1::{GetGlobalRequest, GlobalState, SetGlobalRequest, SetGlobalResponse};
use tonic::{Request, Response, Status};

use crate::app::App;

/// The service.
#[derive(Debug)]
pub(super) struct Global(pub(super) Arc<App>);

#[tonic::async_trait]
impl GlobalService for Global {
    async fn get_global(&self, _: Request<GetGlobalRequest>) -> Result<Response<GlobalState>, Status> {
        let view = self.0.view()?;
        let global = &view.global;
        Ok(Response::new(GlobalState {
            asn: global.speaker.asn,
            router_id: global.speaker.router_id.to_string(),
            listen_port: global.listen_port.into(),
            version: global.version.clone(),
        }))
    }

    async fn set_global(&self, _: Request<SetGlobalRequest>) -> Result<Response<SetGlobalResponse>, Status> {
        Err(Status::unimplemented(
            "AS number, router id and port cannot change while the daemon runs: set them in the configuration file and restart it",
        ))
    }
}
