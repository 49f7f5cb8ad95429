//! Engines that come and go, and the end of the process.

use std::io::Write;
use std::os::unix::net::UnixStream;

use grpc::v1::control_service_client::ControlServiceClient;
use grpc::v1::neighbor_service_client::NeighborServiceClient;
use grpc::v1::rib_service_client::RibServiceClient;
use grpc::v1::{HealthRequest, ListNeighborsRequest, ListRoutesRequest, ShutdownRequest};
use ipc::config::Access;
use ipc::control_rde::{ControlToRde, RdeToControl};
use ipc::parent_control::{Intent, ParentToControl};
use ipc::{Generation, Link, LinkError, QueryId, Role};
use tonic::Code;
use tonic::transport::Channel;

use crate::harness::{Control, route, soon, unix_channel};

async fn best(channel: &Channel) -> Result<usize, Code> {
    let mut client = RibServiceClient::new(channel.clone());
    let answer = client.list_best_routes(ListRoutesRequest::default()).await;
    answer.map(|r| r.into_inner().routes.len()).map_err(|s| s.code())
}

async fn until_best(channel: &Channel, wanted: Result<usize, Code>) {
    soon(async {
        while best(channel).await != wanted {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn without_its_engines_control_answers_unavailable_and_says_which() {
    let mut control = Control::start().await;
    let channel = unix_channel(control.listen_unix("grpc.sock", Access::ReadWrite).await).await;
    assert_eq!(best(&channel).await, Err(Code::Unavailable));
    let mut health = ControlServiceClient::new(channel.clone());
    let h = health.get_health(HealthRequest {}).await.unwrap().into_inner();
    assert!(!h.healthy);
    assert_eq!(h.unavailable, ["session", "rde"]);
    let mut neighbors = NeighborServiceClient::new(channel.clone());
    let status = neighbors.list_neighbors(ListNeighborsRequest {}).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("try again"));

    control.add_session().await;
    control.world.lock().unwrap().add(route("10.0.0.0/8", None));
    let rde = control.add_rde().await;
    control.until_healthy(&channel).await;
    assert_eq!(best(&channel).await, Ok(1));
    rde.abort();
    until_best(&channel, Err(Code::Unavailable)).await;
    control.add_rde().await;
    until_best(&channel, Ok(1)).await;
}

#[tokio::test]
async fn a_query_under_way_fails_when_its_engine_goes_away() {
    let mut control = Control::start().await;
    let channel = unix_channel(control.listen_unix("grpc.sock", Access::ReadWrite).await).await;
    let mut rde = control.raw_rde().await;
    let result = soon(async {
        loop {
            let mut call = Box::pin(best(&channel));
            tokio::select! {
                // Not linked yet.
                result = &mut call => assert_eq!(result, Err(Code::Unavailable)),
                asked = rde.recv() => {
                    assert!(matches!(asked.unwrap().message, ControlToRde::ListRoutes { .. }));
                    drop(rde);
                    return call.await;
                }
            }
        }
    })
    .await;
    assert_eq!(result, Err(Code::Unavailable));
}

#[tokio::test]
async fn an_engine_that_misbehaves_is_dropped_and_nothing_else() {
    let mut control = Control::start().await;
    let channel = unix_channel(control.listen_unix("grpc.sock", Access::ReadWrite).await).await;
    control.world.lock().unwrap().add(route("10.0.0.0/8", None));
    for garbage in [&[0xff; 20][..], &[0]] {
        let fd = control.hand_over(Role::Rde).await;
        let mut raw = UnixStream::from(fd.try_clone().unwrap());
        let mut rde = Link::<RdeToControl, ControlToRde>::from_fd(fd, Role::Control).unwrap();
        soon(rde.greet(Role::Rde)).await.unwrap();
        // The answer to a question that nobody asks any more is harmless, what does not decode is not.
        rde.send(&RdeToControl::Injected { id: QueryId(999), count: 1 }).await.unwrap();
        raw.write_all(garbage).unwrap();
        assert!(matches!(soon(rde.recv()).await, Err(LinkError::Closed { .. })));
        assert_eq!(best(&channel).await, Err(Code::Unavailable));
    }
    control.add_rde().await;
    until_best(&channel, Ok(1)).await;
}

#[tokio::test]
async fn shutdown_is_asked_of_the_parent_who_ends_us() {
    let (mut control, channel) = Control::start_whole().await;
    let mut client = ControlServiceClient::new(channel);
    let status = client.shutdown(ShutdownRequest { reason: "x".repeat(300) }).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    client.shutdown(ShutdownRequest { reason: "upgrade".into() }).await.unwrap();
    assert_eq!(control.world.lock().unwrap().intents, [Intent::Shutdown { reason: "upgrade".into() }]);
    control.parent.send(&ParentToControl::Shutdown).await.unwrap();
    assert!(control.ended().await.success());
}

#[tokio::test]
async fn control_does_not_outlive_its_parent() {
    let (mut control, _channel) = Control::start_whole().await;
    control.abandon();
    control.ended().await;
}

#[tokio::test]
async fn a_parent_that_makes_no_sense_is_not_obeyed() {
    let mut control = Control::start().await;
    control.parent.send(&ParentToControl::Commit(Generation(5))).await.unwrap();
    assert_eq!(control.ended().await.code(), Some(1));
}
