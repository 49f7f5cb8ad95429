//! `watch`: changes of best routes as they happen.

use grpc::v1::rib_service_client::RibServiceClient;
use grpc::v1::{RouteEvent, RouteEventType, WatchRoutesRequest};
use tonic::{Code, Status, Streaming};

use crate::args::{Family, WatchArgs};
use crate::connect::{Connection, MAX_ANSWER};
use crate::error::CliError;
use crate::output::table::Paint;
use crate::output::{Out, json};

/// Shows events until Ctrl-C, or until the daemon ends them: then it says how to go on.
pub(super) async fn run(connection: Connection, args: WatchArgs, out: &mut Out) -> Result<(), CliError> {
    let request = WatchRoutesRequest {
        neighbor_address: args.address.map(|a| a.to_string()).unwrap_or_default(),
        afi_safi: args.family.map_or(0, Family::number),
        snapshot: args.snapshot,
        attributes: args.attributes,
        resume_after: args.resume_after.unwrap_or(0),
    };
    let mut client = RibServiceClient::new(connection).max_decoding_message_size(MAX_ANSWER);
    let mut last = request.resume_after;
    let ended = tokio::select! {
        ended = async {
            let mut events = client.watch_routes(request).await?.into_inner();
            show(&mut events, &mut last, out).await
        } => ended,
        // However it is that nobody can tell, nobody will interrupt.
        Ok(()) = tokio::signal::ctrl_c() => Ok(()),
    };
    match ended {
        Err(CliError::Status(status)) => Err(CliError::Status(with_hint(&status, last))),
        other => other,
    }
}

async fn show(events: &mut Streaming<RouteEvent>, last: &mut u64, out: &mut Out) -> Result<(), CliError> {
    loop {
        // What is there is written in one go, and nothing that is there waits for more.
        let event = tokio::select! {
            biased;
            event = events.message() => event?,
            () = std::future::ready(()) => {
                out.flush()?;
                events.message().await?
            }
        };
        let Some(event) = event else {
            return Err(CliError::Failed("the daemon has ended the stream".to_owned()));
        };
        *last = event.sequence.max(*last);
        let kind = name(&event);
        if out.json {
            out.record(&json::event(kind, &event))?;
        } else {
            out.line(line(&event, kind, out.color))?;
        }
    }
}

/// What is to be done when the stream has ended.
fn with_hint(status: &Status, last: u64) -> Status {
    let hint = match status.code() {
        Code::Unavailable if last > 0 => format!("\nTo go on where it ended: --resume-after {last}"),
        Code::ResourceExhausted | Code::OutOfRange => "\nBegin again: rustbgpctl watch --snapshot".to_owned(),
        _ => return status.clone(),
    };
    Status::new(status.code(), format!("{}{hint}", status.message()))
}

fn name(event: &RouteEvent) -> &'static str {
    match event.event_type() {
        RouteEventType::Added => "added",
        RouteEventType::Withdrawn => "withdrawn",
        RouteEventType::BestChanged => "best_changed",
        RouteEventType::EndOfSnapshot => "end_of_snapshot",
        RouteEventType::Unspecified => "unknown",
    }
}

/// An event for people.
fn line(event: &RouteEvent, kind: &str, color: bool) -> String {
    let (word, paint) = match event.event_type() {
        RouteEventType::EndOfSnapshot => {
            return format!("{}  end of what is there, changes follow", event.timestamp);
        }
        RouteEventType::Added if event.snapshot => ("there", Paint::Plain),
        RouteEventType::Added => ("added", Paint::Green),
        RouteEventType::Withdrawn => ("withdrawn", Paint::Red),
        RouteEventType::BestChanged => ("changed", Paint::Yellow),
        RouteEventType::Unspecified => (kind, Paint::Plain),
    };
    let prefix = format!("{}/{}", event.prefix, event.prefix_length);
    let from = |address: &str, id: u32| match (address, id) {
        ("0.0.0.0", 0) => "injected".to_owned(),
        ("0.0.0.0", id) => format!("injected, path {id}"),
        (address, 0) => address.to_owned(),
        (address, id) => format!("{address}, path {id}"),
    };
    let word = paint.on(&format!("{word:<9}"), color);
    let mut line =
        format!("{}  {word}  {prefix:<18}  {}", event.timestamp, from(&event.peer_address, event.path_id));
    if !event.previous_peer_address.is_empty() {
        let before = from(&event.previous_peer_address, event.previous_path_id);
        line += &format!(" (before: {before})");
    }
    if let Some(route) = &event.route {
        let path: Vec<String> = route.as_path.iter().map(u32::to_string).collect();
        line += &format!("  via {}  path [{}]", route.next_hop, path.join(" "));
    }
    line
}
