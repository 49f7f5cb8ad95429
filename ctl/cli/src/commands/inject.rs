//! `rib inject`: the routes of an MRT table dump, read by one thread and sent by another.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use grpc::v1::injection_item::Item;
use grpc::v1::injection_service_client::InjectionServiceClient;
use grpc::v1::{AddPathRequest, InjectStreamRequest, InjectStreamResponse, InjectionError, InjectionItem};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::args::InjectArgs;
use crate::connect::Connection;
use crate::error::CliError;
use crate::mrt::{Dump, Skipped};
use crate::output::Out;

/// Routes a message.
const BATCH: usize = 1_000;
/// Messages that may be read ahead.
const AHEAD: usize = 4;
/// How often progress is shown on a terminal, and elsewhere.
const REFRESH: Duration = Duration::from_millis(100);
const REPORT: Duration = Duration::from_secs(5);

/// Refused routes that are named.
const NAMED: usize = 10;

/// What the progress bar shows: octets that were read, routes that the tables have.
#[derive(Debug, Default)]
struct Counts {
    octets: Arc<AtomicU64>,
    routes: AtomicU64,
}

/// Routes that the daemon did not take.
#[derive(Debug, Default)]
struct Refused {
    count: u64,
    first: Vec<InjectionError>,
}

impl Refused {
    fn add(&mut self, errors: Vec<InjectionError>) {
        self.count += errors.len() as u64;
        let room = NAMED.saturating_sub(self.first.len());
        self.first.extend(errors.into_iter().take(room));
    }

    fn words(&self) -> String {
        let mut words = format!("{} routes refused", self.count);
        for e in &self.first {
            words += &format!("\n  route {} ({}/{}): {}", e.item, e.prefix, e.prefix_length, e.message);
        }
        if self.count > self.first.len() as u64 {
            words += "\n  ...";
        }
        words
    }
}

/// `rib inject`.
pub(super) async fn run(connection: Connection, args: InjectArgs, out: &mut Out) -> Result<(), CliError> {
    let path = args.mrt.clone();
    let file_error = |error| CliError::File { path: path.clone(), error };
    let total = std::fs::metadata(&args.mrt).map_err(file_error)?.len();
    let counts = Counts::default();
    let dump = Dump::open(&args.mrt, args.peer_index, Arc::clone(&counts.octets)).map_err(file_error)?;
    let (batches, receiver) = mpsc::channel(AHEAD);
    let owner = args.owner;
    let messages = ReceiverStream::new(receiver).map(move |paths: Vec<AddPathRequest>| InjectStreamRequest {
        owner: owner.owner.clone().unwrap_or_default(),
        lease_seconds: owner.lease,
        items: paths.into_iter().map(|path| InjectionItem { item: Some(Item::Add(path)) }).collect(),
    });
    let limit = args.limit.unwrap_or(u64::MAX);
    let reader = tokio::task::spawn_blocking(move || read(dump, limit, &batches));
    let begun = Instant::now();
    let mut client = InjectionServiceClient::new(connection);
    let mut answers = client.inject_stream(messages).await?.into_inner();
    let refused = acknowledge(&mut answers, &Progress::new(total, &args.mrt), &counts).await?;
    let injected = counts.routes.load(Ordering::Relaxed);
    let (skipped, error) = reader.await.map_err(|e| CliError::Failed(e.to_string()))?;
    report(injected, refused.count, &skipped, begun.elapsed(), out)?;
    match error {
        None if refused.count > 0 => Err(CliError::Failed(refused.words())),
        None => Ok(()),
        Some(e) => Err(file_error(e)),
    }
}

/// Reads the dump into batches until its end, the limit, or until nobody takes them any more.
fn read(
    mut dump: Dump,
    limit: u64,
    batches: &mpsc::Sender<Vec<AddPathRequest>>,
) -> (Skipped, Option<std::io::Error>) {
    let mut left = limit;
    loop {
        let most = usize::try_from(left).map_or(BATCH, |left| left.min(BATCH));
        let mut paths: Vec<AddPathRequest> = Vec::with_capacity(most);
        let mut error = None;
        while paths.len() < most {
            match dump.next_route() {
                Ok(Some(path)) => paths.push(path),
                Ok(None) => break,
                Err(e) => {
                    error = Some(e);
                    break;
                }
            }
        }
        let count = paths.len() as u64;
        left -= count;
        let sent = count == 0 || batches.blocking_send(paths).is_ok();
        if !sent || error.is_some() || count < BATCH as u64 {
            return (dump.skipped, error);
        }
    }
}

/// Waits for the answers to all messages, showing progress meanwhile.
async fn acknowledge(
    answers: &mut Streaming<InjectStreamResponse>,
    progress: &Progress,
    counts: &Counts,
) -> Result<Refused, Status> {
    let mut refused = Refused::default();
    let period = progress.period();
    let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
    loop {
        tokio::select! {
            answer = answers.message() => match answer {
                Ok(Some(answer)) => {
                    counts.routes.fetch_add(answer.done, Ordering::Relaxed);
                    refused.add(answer.errors);
                }
                other => {
                    progress.end();
                    return other.map(|_| refused);
                }
            },
            _ = tick.tick() => progress.show(counts),
        }
    }
}

/// A bar on a terminal, lines elsewhere; on standard error either way.
enum Progress {
    Bar(ProgressBar),
    Lines(PathBuf),
}

impl Progress {
    fn new(total: u64, path: &std::path::Path) -> Progress {
        if !std::io::stderr().is_terminal() {
            return Progress::Lines(path.to_owned());
        }
        let bar = ProgressBar::new(total);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3}%  {msg}  {elapsed}") {
            bar.set_style(style);
        }
        Progress::Bar(bar)
    }

    fn period(&self) -> Duration {
        match self {
            Progress::Bar(_) => REFRESH,
            Progress::Lines(_) => REPORT,
        }
    }

    fn show(&self, counts: &Counts) {
        let routes = counts.routes.load(Ordering::Relaxed);
        match self {
            Progress::Bar(bar) => {
                bar.set_position(counts.octets.load(Ordering::Relaxed));
                bar.set_message(format!("{routes} routes"));
            }
            Progress::Lines(path) => eprintln!("{}: {routes} routes injected", path.display()),
        }
    }

    fn end(&self) {
        if let Progress::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn report(
    injected: u64,
    refused: u64,
    skipped: &Skipped,
    took: Duration,
    out: &mut Out,
) -> Result<(), CliError> {
    if out.json {
        let document = json!({
            "injected": injected,
            "refused": refused,
            "skipped": {
                "as_sets": skipped.as_sets,
                "unusable": skipped.unusable,
                "undecodable": skipped.undecodable,
            },
        });
        return Ok(out.document(&document)?);
    }
    out.line(format!("{injected} routes injected in {:.1} s", took.as_secs_f64()))?;
    for (count, what) in [
        (skipped.as_sets, "routes skipped: AS_SET or confederation in the path"),
        (skipped.unusable, "routes skipped: no usable next hop or path"),
        (skipped.undecodable, "records skipped: they do not decode"),
    ] {
        if count > 0 {
            out.line(format!("{count} {what}"))?;
        }
    }
    Ok(())
}
