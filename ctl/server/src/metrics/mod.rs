//! Snapshots of the processes' counters, as text for Prometheus.
//!
//! A scrape asks all of them at once and waits for none longer than [`PATIENCE`]: of one that is away or busy the
//! last figures stand.

mod catalogue;
mod engines;
mod peers;
mod tables;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipc::PeerId;
use ipc::control_session::PeerStatus;
use ipc::errors::FaultCount;
use ipc::figures::Traffic;
use tonic::Status;

use crate::app::{App, Counters};
use crate::exposition::Text;
use crate::processes::Answer;
use catalogue as of;

/// How long a process may take to answer a scrape.
const PATIENCE: Duration = Duration::from_secs(1);

/// What session says of its peers and its channels, and the UPDATEs of peers that are gone.
type OfSession = (HashMap<PeerId, PeerStatus>, (Vec<Traffic>, [u64; 2]));

/// The figures that were last seen.
#[derive(Debug, Default, Clone)]
pub(crate) struct Snapshot {
    session: Seen<OfSession>,
    rde: Seen<(Counters, Vec<FaultCount>, Vec<Traffic>)>,
    parent: Seen<Answer>,
}

/// What one process said last.
#[derive(Debug, Clone)]
struct Seen<T> {
    figures: Arc<T>,
    at: Option<Instant>,
    /// It answered this time.
    up: bool,
}

impl<T: Default> Default for Seen<T> {
    fn default() -> Self {
        Seen { figures: Arc::default(), at: None, up: false }
    }
}

impl<T> Seen<T> {
    fn update(&mut self, answer: Option<T>) {
        self.up = answer.is_some();
        if let Some(figures) = answer {
            self.figures = Arc::new(figures);
            self.at = Some(Instant::now());
        }
    }
}

async fn patiently<T>(answer: impl Future<Output = Result<T, Status>>) -> Option<T> {
    tokio::time::timeout(PATIENCE, answer).await.ok()?.ok()
}

/// Asks all processes, and writes down what they say.
pub(crate) async fn render(app: &App) -> String {
    let session = async { tokio::try_join!(app.sessions(None), app.session_traffic()) };
    let rde = async {
        let (counters, (faults, _), traffic) =
            tokio::try_join!(app.counters(), app.update_errors(None), app.rde_traffic())?;
        Ok((counters, faults, traffic))
    };
    let (session, rde, parent) =
        tokio::join!(patiently(session), patiently(rde), patiently(app.processes.ask()));
    let snapshot = app.with_snapshot(|last| {
        last.session.update(session);
        last.rde.update(rde);
        last.parent.update(parent);
        last.clone()
    });
    write(app, &snapshot)
}

fn write(app: &App, snapshot: &Snapshot) -> String {
    let mut text = Text::default();
    let view = app.try_view();
    let peers = view.as_deref().map_or_else(Vec::new, |view| peers::joined(view, snapshot));
    text.metric(&of::UPTIME).sample(&[], app.uptime().as_secs());
    if let Some(view) = &view {
        text.metric(&of::BUILD).sample(&[&view.global.version], 1_u64);
    }
    peers::write(&mut text, &peers, snapshot.session.figures.1.1);
    let (counters, faults, _) = &*snapshot.rde.figures;
    tables::write(&mut text, counters, faults);
    engines::write(&mut text, snapshot);
    // Nothing of it happens, so 0 is the truth.
    text.metric(&of::VRPS).sample(&["ipv4"], 0_u64).sample(&["ipv6"], 0_u64);
    text.metric(&of::ASPAS).sample(&[], 0_u64);
    text.finish()
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
