//! The engine's loop: takes in what comes, gives peers their turns, hands their changes to the tables, and
//! passes on what the tables say.

use std::os::fd::OwnedFd;
use std::time::Instant;

use bytes::Bytes;
use ipc::channel::Sender;
use ipc::control_rde::RdeToControl;
use ipc::parent_rde::{ParentToRde, RdeToParent};
use ipc::session_rde::{DownReason, RdeToSession, SessionToRde, SessionToRdeBulk, Source};
use ipc::{Generation, Link, LinkError, PeerId, Role};
use rib::{Limits, Settings};

use crate::arrivals::Arrivals;
use crate::config::{Config, Ended, Staging};
use crate::control::Replies;
use crate::deferral::Deferral;
use crate::egress::Egress;
use crate::inputs::{Event, Inputs, Linked, Waiting};
use crate::outbox::Outbox;
use crate::owners::Owners;
use crate::peers::Peers;
use crate::policies;
use crate::tables::{Said, Tables};
use crate::watch::Watching;

/// Datagrams that are taken in before work goes on, even if more are there.
const INGEST_BOUND: u32 = 16;

/// Octets of messages that may wait for their turn; then no more is taken in.
const ARRIVALS: usize = 4 << 20;

/// Changes that are read before they go to the tables and what follows is sent: half a millisecond or so.
const BATCH_CHANGES: usize = 1024;

/// Changes of a peer that are read before it is another one's turn.
pub(crate) const TURN_CHANGES: usize = 256;

/// Turns before what follows is sent, however few changes they bring.
const TURNS: u32 = 64;

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
    pub(crate) tables: Option<Tables>,
    pub(crate) peers: Peers,
    /// We have restarted, and wait for routes before we send any.
    pub(crate) deferral: Option<Deferral>,
    pub(crate) arrivals: Arrivals,
    pub(crate) egress: Egress,
    pub(crate) session: Outbox<RdeToSession>,
    pub(crate) control: Outbox<RdeToControl>,
    pub(crate) replies: Replies,
    pub(crate) watching: Watching,
    /// Is to be answered to the parent.
    pong: Option<u32>,
    pub(crate) owners: Owners,
    /// There may be work.
    busy: bool,
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
        engine.pass_on();
        if let Some(number) = engine.pong.take() {
            let report = sandbox::report();
            parent_tx.send(&RdeToParent::Pong { number, report }).await?;
        }
        let waiting = engine.pump(&mut inputs)?;
        if engine.busy {
            // The runtime asks the system what has come in only when it gets control.
            tokio::task::yield_now().await;
        }
        let event = inputs.next(waiting, engine.arrivals.octets() < ARRIVALS, engine.busy).await;
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
            tables: None,
            peers: Peers::default(),
            deferral: None,
            arrivals: Arrivals::default(),
            egress: Egress::new(),
            session: Outbox::new(),
            control: Outbox::new(),
            replies: Replies::default(),
            watching: Watching::new(),
            pong: None,
            owners: Owners::default(),
            busy: false,
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
        if let Some(tables) = &mut self.tables
            && tables.backlog.drained(self.egress.out.octets())
        {
            tables.wake();
            self.busy = true;
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
                self.forget_queries();
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
            Event::Shard(Some(said)) => {
                if let Some(tables) = &mut self.tables {
                    tables.take(said);
                }
                self.busy = true;
            }
            Event::Shard(None) => {
                tracing::error!("all shards have ended");
                return Ok(false);
            }
            Event::Compiled(compiled) => {
                if let Some((generation, result)) = self.staging.compiled(compiled) {
                    answer(parent, generation, result).await?;
                }
            }
            Event::Room => self.busy = true,
            Event::Tick => {
                self.restarts_in_time();
                self.deferral_in_time();
                self.tables.iter_mut().for_each(Tables::wake);
                self.check_advertised();
                self.leases_in_time();
                self.end_overdue_refreshes();
                self.busy = true;
            }
            Event::Idle => {
                self.work();
                self.report_consumed(0);
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
            ParentToRde::StagePolicies(octets) => {
                if !self.staging.add_policies(&octets) {
                    return wrong("policies without a configuration to stage");
                }
            }
            ParentToRde::StageEnd => {
                let Some(ended) = self.staging.end(self.config.as_ref()) else {
                    return wrong("the end of a configuration that was not begun");
                };
                match ended {
                    Ended::Checked(generation, result) => answer(parent, generation, result).await?,
                    Ended::Compile(generation, octets, peers) => {
                        policies::compile(generation, octets, peers, inputs.compiling.clone())
                            .map_err(|error| LinkError::Io { with: Role::Rde, error })?;
                    }
                }
            }
            ParentToRde::Commit(generation) => {
                let Some(config) = self.staging.commit(generation) else {
                    return wrong("commit of a configuration that is not staged");
                };
                self.commit(config, inputs)?;
                parent.send(&RdeToParent::Committed(generation)).await?;
            }
            ParentToRde::Abort(_) => self.staging.abort(),
            ParentToRde::AddPeer(peer) => {
                let id = peer.id;
                if !self.add_peer(*peer) {
                    return wrong("a dynamic peer that is none, or is there already");
                }
                parent.send(&RdeToParent::PeerAdded(id)).await?;
            }
            ParentToRde::RemovePeers(peers) => peers.into_iter().for_each(|p| self.remove_peer(p)),
            ParentToRde::Drain { peer, on } => self.drain(peer, on),
            ParentToRde::Ping(number) => {
                match &mut self.tables {
                    Some(tables) => tables.ping(number),
                    None => self.pong = Some(number),
                }
                self.busy = true;
            }
            ParentToRde::Shutdown => return Ok(false),
        }
        Ok(true)
    }

    fn commit(&mut self, mut config: Config, inputs: &mut Inputs) -> Result<(), LinkError> {
        let global = &config.global;
        let first = self.tables.is_none();
        if first {
            let settings = Settings {
                asn: global.speaker.asn,
                router_id: global.speaker.router_id.into(),
                cluster_id: global.cluster_id.into(),
                med_always_compare: global.med_always_compare,
                limits: Limits::default(),
            };
            let (tables, shards) = Tables::new(settings, global.threads.into(), self.started)
                .map_err(|error| LinkError::Io { with: Role::Rde, error })?;
            self.tables = Some(tables);
            inputs.shards = shards;
        }
        for peer in self.peers.kept() {
            if !config.peers.contains_key(&peer) {
                // It is not expected back.
                self.forget_kept(peer);
            }
        }
        let mut identified = Vec::new();
        for peer in config.peers.values_mut() {
            // What was said since the configuration was sent counts.
            if let Some(running) = self.config.as_ref().and_then(|c| c.peers.get(&peer.id)) {
                if peer.range.is_some() && running.remote_asn != 0 {
                    identified.push((peer.id, running.remote_asn));
                }
                peer.draining = running.draining && peer.remote_asn != peer.local_asn;
            }
            if peer.draining {
                self.peers.entry(peer.id);
            }
        }
        for (peer, remote_asn) in identified {
            config.identify(peer, remote_asn);
        }
        let before = self.config.replace(config);
        self.graceful_shutdown_changed(before.as_ref());
        let (before, removed) = before.map_or_else(Default::default, |before| {
            let running = |id: &PeerId| self.config.as_ref().is_some_and(|c| c.peers.contains_key(id));
            let removed = before.peers.into_keys().filter(|id| !running(id));
            (before.policies, removed.collect::<Vec<_>>())
        });
        removed.into_iter().for_each(|peer| self.peers.drop_absent(peer));
        self.policies_changed(&before);
        if first {
            self.defer();
        }
        self.limits_changed();
        Ok(())
    }

    /// Takes in messages, and more of them while they are there; then it is time to work.
    fn take_in(
        &mut self,
        mut received: Result<ipc::Received<SessionToRdeBulk>, LinkError>,
        inputs: &mut Inputs,
    ) -> Result<(), LinkError> {
        let mut taken = 0;
        loop {
            let result = match received {
                Ok(r) => self.session_says(r.message, r.payload),
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                return self.lose_session(inputs, error);
            }
            taken += 1;
            if taken >= INGEST_BOUND || self.arrivals.octets() >= ARRIVALS {
                break;
            }
            received = match inputs.session_bulk.as_mut().map(ipc::channel::Receiver::try_recv) {
                Some(Ok(Some(r))) => Ok(r),
                Some(Err(error)) => Err(error),
                Some(Ok(None)) | None => break,
            };
        }
        self.work();
        // Once more when nothing comes in: what peers are owed is reported then.
        self.busy = true;
        Ok(())
    }

    fn session_says(&mut self, message: SessionToRdeBulk, payload: Bytes) -> Result<(), LinkError> {
        match message {
            SessionToRdeBulk::PeerUp { source, negotiated } => self.peer_up(source, &negotiated)?,
            SessionToRdeBulk::PeerDown { source, reason } => self.peer_down(source, reason),
            SessionToRdeBulk::Forget(peer) => self.forget_kept(peer),
            SessionToRdeBulk::Received(runs) => {
                let mut rest = payload;
                for run in runs {
                    // The lengths add up: the channel has checked it.
                    let len = rest.len().min(run.len as usize);
                    self.arrivals.push(run.of, rest.split_to(len));
                }
            }
        }
        Ok(())
    }

    /// A bounded step: reads messages of peers in turns, has the tables deal with them, and passes on what the
    /// tables say.
    fn work(&mut self) {
        self.busy = false;
        if !self.tables.as_ref().is_some_and(Tables::has_room) {
            // A shard that answers makes room.
            return;
        }
        for _ in 0..TURNS {
            if self.tables.as_ref().is_none_or(|t| t.filled() >= BATCH_CHANGES) {
                break;
            }
            let Some((source, messages)) = self.arrivals.next() else { break };
            let rest = self.messages(source, messages);
            self.arrivals.put_back(source, rest);
        }
        if let Some(tables) = &mut self.tables {
            tables.apply();
            self.busy = tables.work();
        }
        self.busy |= !self.arrivals.is_empty();
        self.pass_on();
        self.busy |= self.reply();
    }

    /// Passes on what the tables have said.
    fn pass_on(&mut self) {
        while let Some(buffer) = self.egress.out.take_spare() {
            if let Some(tables) = &mut self.tables {
                tables.give_back(buffer);
            }
        }
        while let Some(said) = self.tables.as_mut().and_then(Tables::said) {
            match said {
                Said::Send { runs, octets } => {
                    let len = octets.len();
                    self.egress.send(&runs, octets);
                    if let Some(tables) = &self.tables {
                        tables.backlog.moved(len, self.egress.out.octets());
                    }
                }
                Said::Join { group, peer } => self.egress.join(group, peer),
                Said::Leave { group, peer } => self.egress.leave(group, peer),
                Said::EndOfRib(peer, family) => {
                    let marker = rib::end_of_rib(family);
                    if let Some(tables) = &self.tables {
                        tables.sent(peer, marker.len() as u64);
                    }
                    self.egress.send_one(peer, marker);
                }
                Said::Refresh(peer, family, subtype) => {
                    self.demarcate(peer, family, subtype);
                    self.busy = true;
                }
                Said::Due(due) => {
                    for (source, octets) in due.consumed {
                        self.peers.consumed(source, octets);
                    }
                    self.report_consumed(CREDIT_BATCH);
                    due.tallies.into_iter().for_each(|(idx, more)| self.tallied(idx, more));
                    if let Some((id, count)) = due.injected {
                        self.control.push(RdeToControl::Injected { id, count }, Vec::new());
                    }
                }
                Said::Refused(idx, paths) => self.refused(idx, paths),
                Said::Advertised(shard, list) => self.advertised(shard, list),
                Said::Withdrawn { id, there } => {
                    let count = u32::from(there);
                    self.control.push(RdeToControl::Injected { id, count }, Vec::new());
                }
                Said::Explained(id, paths) => self.explained(id, &paths),
                Said::Page(id, page) => {
                    self.replies.push(id, page);
                    self.busy = true;
                }
                Said::Owned(number, owned) => self.owned(number, &owned),
                Said::Watching(id, whole) => self.watching(id, whole),
                Said::Changes(shard, changes) => self.changes(shard, &changes),
                Said::Walked(shard, walked) => self.walked(shard, &walked),
                Said::Counted(id, counted) => self.counted(id, &counted),
                Said::Pong(number) => self.pong = Some(number),
            }
        }
    }

    fn written(&mut self, list: Vec<(Source, u64)>) {
        let now = self.now();
        let Some(tables) = &mut self.tables else { return };
        for (source, octets) in list {
            if let Some((_, session)) = self.peers.current(source) {
                tables.written(session.idx, octets, now);
            }
        }
        tables.wake();
        self.busy = true;
    }

    /// Tells session how much of the peers' messages was dealt with, where it is at least so much.
    fn report_consumed(&mut self, least: u64) {
        let list = self.peers.take_consumed(least);
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
            self.peer_down(source, DownReason::Ended);
        }
        Ok(())
    }

    fn lose_control(&mut self, inputs: &mut Inputs, error: &LinkError) {
        tracing::warn!(%error, "the channel to control is lost");
        inputs.control = None;
        self.control.connect(None);
        self.forget_queries();
    }
}

/// Tells the parent whether what is staged can be committed.
async fn answer(
    parent: &Sender<RdeToParent>,
    generation: Generation,
    result: Result<(), String>,
) -> Result<(), LinkError> {
    let answer = match result {
        Ok(()) => RdeToParent::Staged(generation),
        Err(error) => RdeToParent::StageRefused { generation, error },
    };
    parent.send(&answer).await
}
