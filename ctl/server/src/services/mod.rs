//! The gRPC services, one module each.

mod config;
mod control;
mod explain;
mod global;
mod inject_stream;
mod injection;
mod neighbor;
mod neighbor_config;
mod objects;
mod peer_group;
mod policy;
mod rib;

use std::sync::Arc;

use grpc::v1::config_service_server::ConfigServiceServer;
use grpc::v1::control_service_server::ControlServiceServer;
use grpc::v1::global_service_server::GlobalServiceServer;
use grpc::v1::injection_service_server::InjectionServiceServer;
use grpc::v1::neighbor_service_server::NeighborServiceServer;
use grpc::v1::peer_group_service_server::PeerGroupServiceServer;
use grpc::v1::policy_service_server::PolicyServiceServer;
use grpc::v1::rib_service_server::RibServiceServer;
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;

use crate::app::App;
use crate::health::Healthy;

/// All services, those of gRPC itself included: health, and reflection in both of its versions.
///
/// # Errors
/// Where the descriptors of the API do not make sense.
pub(crate) fn all(app: Arc<App>) -> Result<Routes, tonic_reflection::server::Error> {
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(grpc::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let routes = Routes::new(GlobalServiceServer::new(global::Global(Arc::clone(&app))))
        .add_service(NeighborServiceServer::new(neighbor::Neighbor(Arc::clone(&app))))
        .add_service(PolicyServiceServer::new(policy::Policy(Arc::clone(&app))))
        .add_service(PeerGroupServiceServer::new(peer_group::PeerGroup(Arc::clone(&app))))
        .add_service(RibServiceServer::new(rib::Rib(Arc::clone(&app))))
        .add_service(InjectionServiceServer::new(injection::Injection(Arc::clone(&app))))
        .add_service(config::limited(ConfigServiceServer::new(config::Config(Arc::clone(&app)))))
        .add_service(ControlServiceServer::new(control::Control(Arc::clone(&app))))
        .add_service(HealthServer::new(Healthy(app)))
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    Ok(routes)
}
