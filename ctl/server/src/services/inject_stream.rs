//! InjectStream: each message is checked, carried out and acknowledged in order. No more is read than rde takes, and none
//! where the client does not take the answers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use grpc::v1::injection_item::Item as Given;
use grpc::v1::{InjectStreamRequest, InjectStreamResponse, InjectionError, InjectionItem};
use ipc::control_rde::{ControlToRde, Injection, OwnedBy, RdeToControl};
use tokio::time::Instant;
use tonic::codegen::BoxStream;
use tonic::{Status, Streaming};

use crate::app::App;
use crate::convert;
use crate::engine::Query;
use crate::error::invalid;
use crate::inject;

/// How many messages may be on their way to rde at once: enough to keep both processes busy.
const IN_FLIGHT: usize = 4;

/// Items of one message.
const ITEMS: usize = 10_000;

/// How often in its time a lease is renewed while its owner's stream is open and says nothing.
const RENEWALS: u32 = 3;

/// The answers to the messages of a stream.
pub(super) fn answers(
    app: &Arc<App>,
    messages: Streaming<InjectStreamRequest>,
) -> BoxStream<InjectStreamResponse> {
    let stream = Stream {
        app: Arc::clone(app),
        messages,
        ended: false,
        owner: None,
        heard: Instant::now(),
        count: 0,
        seen: 0,
        pending: VecDeque::new(),
    };
    let next = |mut stream: Stream| async move { Ok(stream.next().await?.map(|answer| (answer, stream))) };
    Box::pin(futures_util::stream::try_unfold(stream, next))
}

/// A message that is not answered yet.
#[derive(Debug, Default)]
struct Pending {
    /// What of it has not been sent to rde.
    rest: VecDeque<Vec<Injection>>,
    /// What rde has not answered.
    queries: VecDeque<Query<ControlToRde>>,
    answer: InjectStreamResponse,
}

impl Pending {
    fn is_done(&self) -> bool {
        self.rest.is_empty() && self.queries.is_empty()
    }
}

#[derive(Debug)]
struct Stream {
    app: Arc<App>,
    messages: Streaming<InjectStreamRequest>,
    /// No more messages come.
    ended: bool,
    owner: Option<OwnedBy>,
    /// When rde heard of the owner last.
    heard: Instant,
    /// Messages and items so far.
    count: u64,
    seen: u64,
    /// The oldest first.
    pending: VecDeque<Pending>,
}

/// What comes first.
enum Event {
    Message(Option<InjectStreamRequest>),
    Answer(RdeToControl),
    /// The owner is to be kept alive.
    Renew,
}

impl Stream {
    /// The next answer; `None` where all messages have theirs.
    async fn next(&mut self) -> Result<Option<InjectStreamResponse>, Status> {
        loop {
            if self.pending.front().is_some_and(Pending::is_done) {
                return Ok(self.pending.pop_front().map(|p| p.answer));
            }
            if self.send_more().await? {
                continue;
            }
            if self.ended && self.pending.is_empty() {
                return Ok(None);
            }
            match self.event().await? {
                Event::Message(None) => self.ended = true,
                Event::Message(Some(message)) => self.take(message)?,
                Event::Renew => self.renew().await?,
                Event::Answer(answer) => {
                    let Some(oldest) = self.pending.front_mut() else { continue };
                    let Some(query) = oldest.queries.pop_front() else { continue };
                    match answer {
                        RdeToControl::Injected { count, .. } => oldest.answer.done += u64::from(count),
                        RdeToControl::Failed { error, .. } => return Err(Status::resource_exhausted(error)),
                        _ => return Err(query.confused()),
                    }
                    query.finish();
                }
            }
        }
    }

    /// Sends the next piece to rde, where there is room; says whether it has.
    async fn send_more(&mut self) -> Result<bool, Status> {
        if self.pending.iter().map(|p| p.queries.len()).sum::<usize>() >= IN_FLIGHT {
            return Ok(false);
        }
        let Some(pending) = self.pending.iter_mut().find(|p| !p.rest.is_empty()) else { return Ok(false) };
        let Some(items) = pending.rest.pop_front() else { return Ok(false) };
        let owner = self.owner.clone();
        pending.queries.push_back(self.app.rde.ask(|id| ControlToRde::Inject { id, owner, items }).await?);
        self.heard = Instant::now();
        Ok(true)
    }

    async fn event(&mut self) -> Result<Event, Status> {
        // More is read only when all that was read is on its way.
        let reads =
            !self.ended && self.pending.len() < IN_FLIGHT && self.pending.iter().all(|p| p.rest.is_empty());
        let oldest = self.pending.front_mut().and_then(|p| p.queries.front_mut());
        let waits = oldest.is_some();
        let answer = async {
            match oldest {
                Some(query) => query.next().await,
                None => std::future::pending().await,
            }
        };
        let lease = self.owner.as_ref().and_then(|o| o.lease).filter(|lease| *lease > 0);
        let renewal = self.heard
            + Duration::from_secs(1).max(Duration::from_secs(lease.unwrap_or(0).into()) / RENEWALS);
        tokio::select! {
            biased;
            answer = answer, if waits => Ok(Event::Answer(answer?)),
            message = self.messages.message(), if reads => Ok(Event::Message(message?)),
            () = tokio::time::sleep_until(renewal), if lease.is_some() => Ok(Event::Renew),
        }
    }

    /// The owner is there as long as its stream is.
    async fn renew(&mut self) -> Result<(), Status> {
        self.heard = Instant::now();
        let Some(owner) = self.owner.clone() else { return Ok(()) };
        let mut query = self.app.rde.ask(|id| ControlToRde::Renew { id, owner }).await?;
        query.next().await?;
        query.finish();
        Ok(())
    }

    /// Checks a message.
    fn take(&mut self, message: InjectStreamRequest) -> Result<(), Status> {
        let InjectStreamRequest { owner, lease_seconds, items } = message;
        let owner = inject::owner(&owner, lease_seconds)?;
        self.count += 1;
        if self.count == 1 {
            self.owner = owner;
        } else if owner.is_some() && owner != self.owner {
            return Err(invalid(
                "owner",
                owner.map(|o| o.name).unwrap_or_default(),
                "is another one than in the first message",
            ));
        }
        if items.len() > ITEMS {
            let what = format!("a message has {} items, and {ITEMS} is the most: send several", items.len());
            return Err(invalid("items", items.len(), what));
        }
        let mut pending = Pending::default();
        pending.answer.message = self.count;
        let mut good = Vec::with_capacity(items.len());
        for item in items {
            self.seen += 1;
            match check(item) {
                Ok(item) => good.push(item),
                Err(error) => pending.answer.errors.push(InjectionError { item: self.seen, ..error }),
            }
        }
        pending.rest = inject::chunks(good).into();
        self.pending.push_back(pending);
        Ok(())
    }
}

/// An item as rde takes it, or what is wrong with it.
fn check(item: InjectionItem) -> Result<Injection, InjectionError> {
    let error = |prefix: String, prefix_length, status: &Status| InjectionError {
        item: 0,
        prefix,
        prefix_length,
        message: status.message().to_owned(),
    };
    match item.item {
        Some(Given::Add(route)) => {
            let (prefix, length) = (route.prefix.clone(), route.prefix_length);
            inject::check_item(route).map(Injection::Route).map_err(|status| error(prefix, length, &status))
        }
        Some(Given::Delete(which)) => match convert::prefix("prefix", &which.prefix, which.prefix_length) {
            Ok(prefix) => Ok(Injection::Withdraw { prefix, path_id: which.path_id }),
            Err(status) => Err(error(which.prefix, which.prefix_length, &status)),
        },
        None => Err(error(String::new(), 0, &invalid("item", "", "is empty: give add or delete"))),
    }
}
