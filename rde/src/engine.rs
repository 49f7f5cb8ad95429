//! The engine: one loop, one thread. Routes are taken in as long as there are any, up to a bound; then
//! what changed is sent.

use std::os::fd::OwnedFd;
use std::time::Instant;

use ipc::channel::Sender;
use ipc::control_rde::RdeToControl;
use ipc::parent_rde::{ParentToRde, RdeToParent};
use ipc::session_rde::{RdeToSession, SessionToRde, SessionToRdeBulk, Source};
use ipc::{Link, LinkError, Role};
use rib::{Limits, Rib, Settings, Sink};

use crate::config::{Config, Staging};
use crate::control::Queries;
use crate::egress::Egress;
use crate::inputs::{Event, Inputs, Linked, Waiting};
use crate::outbox::Outbox;
use crate::peers::Peers;

/// Datagrams of routes that are taken in before what changed is sent, even if more are there.
const INGEST_BOUND: u32 = 8;

/// Octets of a peer that were dealt with before session is told, while more are coming in.
const CREDIT_BATCH: u64 = 32 << 10;

/// Entries of a list in one message.
const LIST: usize = 1024;

/// All state of the process.
pub(crate) struct Engine {
    started: Instant,
    staging: Staging,
    pub(crate) config: Option<Config>,
    /// Made with the first configuration.
    pub(crate) rib: Option<Rib>,
    pub(crate) peers: Peers,
    pub(crate) egress: Egress,
    pub(crate) session: Outbox<RdeToSession>,
    pub(crate) control: Outbox<RdeToControl>,
    pub(crate) queries: Queries,
    /// There may be work.
    busy: bool,
    since_work: u32,
}

/// Runs until the parent says so or is gone.
pub(crate) async fn run(parent: OwnedFd) -> Result<(), LinkError> {
    let with = Role::Parent;
    let mut link = Link::from_fd(parent, with).map_err(|error| LinkError::Io { with, error })?;
    link.greet(Role::Rde).await?;
    let (parent_tx, parent_rx) = link.split();
    let mut inputs = Inputs::new(parent_rx);
    let mut engine = Engine::new();
    loop {
        let waiting = engine.pump(&mut inputs)?;
        let event = inputs.next(waiting, engine.busy).await;
        if !engine.handle(event, &mut inputs, &parent_tx).await? {
            return Ok(());
        }
    }
}

impl Engine {
    fn new() -> Engine {
        Engine {
            started: Instant::now(),
            staging: Staging::default(),
            config: None,
            rib: None,
            peers: Peers::default(),
            egress: Egress::new(),
            session: Outbox::new(),
            control: Outbox::new(),
            queries: Queries::default(),
            busy: false,
            since_work: 0,
        }
    }

    /// There may be work to do.
    pub(crate) fn wake(&mut self) {
        self.busy = true;
    }

    /// Milliseconds since the start.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Sends what there is room for, and says which channels have none.
    fn pump(&mut self, inputs: &mut Inputs) -> Result<Waiting, LinkError> {
        let results = [self.egress.pump(), self.session.pump()];
        for error in results.into_iter().filter_map(Result::err) {
            self.lose_session(inputs, error)?;
        }
        if let Err(error) = self.control.pump() {
            self.lose_control(inputs, &error);
        }
        Ok(Waiting {
            bulk: self.egress.out.waiting(),
            session: self.session.waiting(),
            control: self.control.waiting(),
        })
    }

    /// `false`: it is time to go.
    async fn handle(
        &mut self,
        event: Event,
        inputs: &mut Inputs,
        parent: &Sender<RdeToParent>,
    ) -> Result<bool, LinkError> {
        match event {
            Event::Parent(Err(LinkError::Closed { .. })) => return Ok(false),
            Event::Parent(received) => {
                let received = received?;
                return self.parent_says(received.message, received.fds, inputs, parent).await;
            }
            Event::Linked(Ok(Linked::Session(bulk, control))) => {
                let ((bulk_tx, bulk_rx), (control_tx, control_rx)) = (bulk.split(), control.split());
                self.egress.out.connect(Some(bulk_tx));
                self.session.connect(Some(control_tx));
                (inputs.session_bulk, inputs.session_control) = (Some(bulk_rx), Some(control_rx));
            }
            Event::Linked(Ok(Linked::Control(link))) => {
                let (tx, rx) = link.split();
                self.control.connect(Some(tx));
                self.queries.forget(self.rib.as_mut());
                inputs.control = Some(rx);
            }
            Event::Linked(Err(error)) => tracing::error!(%error, "a new channel is of no use"),
            Event::SessionBulk(received) => self.take_in(received, inputs)?,
            Event::SessionControl(Ok(received)) => {
                let SessionToRde::Written(list) = received.message;
                self.written(list);
            }
            Event::SessionControl(Err(error)) => self.lose_session(inputs, error)?,
            Event::Control(Ok(received)) => self.asked(received.message),
            Event::Control(Err(error)) => self.lose_control(inputs, &error),
            Event::Room => self.busy = true,
            Event::Tick => {
                self.report_consumed(0);
                self.busy = true;
            }
            Event::Idle => {
                self.report_consumed(0);
                self.work();
            }
        }
        Ok(true)
    }

    async fn parent_says(
        &mut self,
        message: ParentToRde,
        fds: Vec<OwnedFd>,
        inputs: &mut Inputs,
        parent: &Sender<RdeToParent>,
    ) -> Result<bool, LinkError> {
        let wrong = |what: &str| Err(LinkError::out_of_state(Role::Parent, what));
        match message {
            ParentToRde::Link { to } => inputs.greet(to, fds),
            ParentToRde::StageBegin { generation, global } => self.staging.begin(generation, global),
            ParentToRde::StagePeers(peers) => {
                if !self.staging.add(peers) {
                    return wrong("peers without a configuration to stage");
                }
            }
            ParentToRde::StageEnd => {
                let Some((generation, result)) = self.staging.end(self.config.as_ref()) else {
                    return wrong("the end of a configuration that was not begun");
                };
                parent
                    .send(&match result {
                        Ok(()) => RdeToParent::Staged(generation),
                        Err(error) => RdeToParent::StageRefused { generation, error },
                    })
                    .await?;
            }
            ParentToRde::Commit(generation) => {
                let Some(config) = self.staging.commit(generation) else {
                    return wrong("commit of a configuration that is not staged");
                };
                self.commit(config);
                parent.send(&RdeToParent::Committed(generation)).await?;
            }
            ParentToRde::Abort(_) => self.staging.abort(),
            ParentToRde::Shutdown => return Ok(false),
        }
        Ok(true)
    }

    fn commit(&mut self, config: Config) {
        let global = &config.global;
        self.rib.get_or_insert_with(|| {
            Rib::new(Settings {
                asn: global.speaker.asn,
                router_id: global.speaker.router_id.into(),
                med_always_compare: global.med_always_compare,
                limits: Limits::default(),
            })
        });
        self.config = Some(config);
    }

    /// Takes in routes, and more of them while they are there.
    fn take_in(
        &mut self,
        mut received: Result<ipc::Received<SessionToRdeBulk>, LinkError>,
        inputs: &mut Inputs,
    ) -> Result<(), LinkError> {
        loop {
            let result = match received {
                Ok(r) => self.session_says(r.message, &r.payload),
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                return self.lose_session(inputs, error);
            }
            self.busy = true;
            self.since_work += 1;
            if self.since_work >= INGEST_BOUND {
                self.work();
                return Ok(());
            }
            received = match inputs.session_bulk.as_mut().map(ipc::channel::Receiver::try_recv) {
                Some(Ok(Some(r))) => Ok(r),
                Some(Err(error)) => Err(error),
                Some(Ok(None)) | None => return Ok(()),
            };
        }
    }

    fn session_says(&mut self, message: SessionToRdeBulk, payload: &[u8]) -> Result<(), LinkError> {
        match message {
            SessionToRdeBulk::PeerUp { source, negotiated } => self.peer_up(source, &negotiated)?,
            SessionToRdeBulk::PeerDown { source, .. } => self.peer_down(source),
            SessionToRdeBulk::Received(runs) => {
                let mut rest = payload;
                for run in runs {
                    // The lengths add up: the channel has checked it.
                    let (messages, next) = rest.split_at_checked(run.len as usize).unwrap_or((rest, &[]));
                    rest = next;
                    self.messages(run.of, messages);
                }
                self.report_consumed(CREDIT_BATCH);
            }
        }
        Ok(())
    }

    /// A bounded step of work, then queries.
    fn work(&mut self) {
        self.since_work = 0;
        let now = self.now();
        let Some(rib) = &mut self.rib else {
            self.busy = false;
            return;
        };
        // With a full channel to session, what changes waits in the tables, where it is coalesced.
        self.busy = !self.egress.is_full() && rib.work(now, &mut self.egress);
        if rib.has_queries() {
            self.busy = true;
            self.query_step();
        }
    }

    fn written(&mut self, list: Vec<(Source, u64)>) {
        let now = self.now();
        for (source, octets) in list {
            if let (Some((_, session)), Some(rib)) = (self.peers.current(source), &mut self.rib) {
                rib.written(session.idx, octets, now);
            }
        }
        self.busy = true;
    }

    /// Tells session how much of the peers' messages was dealt with, where it is at least so much.
    fn report_consumed(&mut self, least: u64) {
        let mut list = Vec::new();
        for (id, peer) in self.peers.iter_mut() {
            if peer.consumed > 0
                && peer.consumed >= least
                && let Some(session) = &peer.session
            {
                list.push((Source { peer: id, epoch: session.epoch }, peer.consumed));
                peer.consumed = 0;
            }
        }
        for part in list.chunks(LIST) {
            self.session.push(RdeToSession::Consumed(part.to_vec()), Vec::new());
        }
    }

    /// Without session there are no peers. Where it is not gone but cannot be trusted any more, rde ends
    /// too: the parent starts both again.
    fn lose_session(&mut self, inputs: &mut Inputs, error: LinkError) -> Result<(), LinkError> {
        if !matches!(error, LinkError::Closed { .. }) {
            return Err(error);
        }
        if inputs.session_bulk.is_some() {
            tracing::error!(%error, "the channel to session is lost");
        }
        (inputs.session_bulk, inputs.session_control) = (None, None);
        self.egress.out.connect(None);
        self.session.connect(None);
        let up: Vec<Source> = (self.peers.iter())
            .filter_map(|(peer, p)| Some(Source { peer, epoch: p.session.as_ref()?.epoch }))
            .collect();
        for source in up {
            self.peer_down(source);
        }
        Ok(())
    }

    fn lose_control(&mut self, inputs: &mut Inputs, error: &LinkError) {
        tracing::warn!(%error, "the channel to control is lost");
        inputs.control = None;
        self.control.connect(None);
        self.queries.forget(self.rib.as_mut());
    }
}
