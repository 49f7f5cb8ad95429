//! The configuration: staged in parts, checked as a whole, then made true by applying what differs.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::time::Duration;

use bgp::{Asn, RouterId};
use fsm::{AddPath, HoldTime, Kind, PrefixLimits, SendHold, Settings};
use ipc::config::{OverLimit, PeerKind, SessionPeer, Speaker};
use ipc::{Generation, LinkError, PeerId, Role};
use ipnet::IpNet;

use crate::engine::Engine;
use crate::peer::Peer;

/// What the parent has staged so far.
#[derive(Debug)]
pub(crate) struct Stage {
    generation: Generation,
    speaker: Speaker,
    peers: Vec<SessionPeer>,
    ranges: Vec<IpNet>,
    /// The whole is there and was found good.
    checked: bool,
}

impl Stage {
    pub(crate) fn new(generation: Generation, speaker: Speaker) -> Stage {
        Stage { generation, speaker, peers: Vec::new(), ranges: Vec::new(), checked: false }
    }

    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    pub(crate) fn add(&mut self, peers: Vec<SessionPeer>) {
        self.checked = false;
        self.peers.extend(peers);
    }

    pub(crate) fn add_ranges(&mut self, ranges: Vec<IpNet>) {
        self.ranges.extend(ranges);
    }

    /// Checks all of it, so that committing can't fail.
    ///
    /// # Errors
    /// What is wrong, naming the peer.
    pub(crate) fn check(&mut self) -> Result<(), String> {
        if self.speaker.asn == 0 || self.speaker.router_id.is_unspecified() {
            return Err("our own AS number or router id is 0".to_owned());
        }
        let (mut ids, mut addresses) = (HashSet::new(), HashSet::new());
        for peer in &self.peers {
            let wrong = |what: &str| Err(format!("neighbor {}: {what}", peer.address));
            if !ids.insert(peer.id) || !addresses.insert(peer.address.to_canonical()) {
                return wrong("configured twice");
            }
            check(peer).or_else(wrong)?;
        }
        self.checked = true;
        Ok(())
    }

    /// Makes it the configuration.
    ///
    /// # Errors
    /// Where the parent commits what it didn't stage.
    pub(crate) fn commit(self, generation: Generation, engine: &Rc<Engine>) -> Result<(), LinkError> {
        if self.generation != generation || !self.checked {
            return Err(LinkError::out_of_state(Role::Parent, "commits what is not staged"));
        }
        let mut wanted: HashMap<PeerId, SessionPeer> = self.peers.into_iter().map(|p| (p.id, p)).collect();
        engine.candidates.set_ranges(self.ranges);
        engine.set_speaker(&self.speaker);
        for peer in engine.all_peers() {
            match wanted.remove(&peer.id) {
                Some(config) if config.address.to_canonical() == peer.address => {
                    let settings = settings(&self.speaker, &config);
                    peer.configure(config, settings);
                }
                other => {
                    peer.remove();
                    engine.remove(&peer);
                    wanted.extend(other.map(|config| (config.id, config)));
                }
            }
        }
        // A dynamic peer that is not here has ended since: the parent is about to read it.
        for config in wanted.into_values().filter(|p| !p.dynamic || p.shutdown) {
            spawn(&self.speaker, config, engine).start();
        }
        Ok(())
    }
}

/// What is wrong with a peer by itself.
fn check(peer: &SessionPeer) -> Result<(), &'static str> {
    if HoldTime::new(peer.hold_time).is_none() {
        return Err("hold time must be 0 or at least 3 seconds");
    }
    if peer.remote_asn == 0 && !peer.dynamic || peer.local_asn == 0 {
        return Err("AS number 0");
    }
    if peer.families.is_empty() && !peer.shutdown {
        return Err("no address family");
    }
    Ok(())
}

fn spawn(speaker: &Speaker, mut config: SessionPeer, engine: &Rc<Engine>) -> Rc<Peer> {
    config.address = config.address.to_canonical();
    let settings = settings(speaker, &config);
    let peer = Peer::spawn(engine, config, settings);
    engine.add(Rc::clone(&peer));
    peer
}

/// Makes a dynamic peer that the parent has agreed to.
///
/// # Errors
/// Where that can't be one.
pub(crate) fn add(config: SessionPeer, engine: &Rc<Engine>) -> Result<Rc<Peer>, LinkError> {
    let error = |what: &str| LinkError::out_of_state(Role::Parent, format!("adds a dynamic peer: {what}"));
    let Some(speaker) = engine.speaker().filter(|_| config.dynamic) else {
        return Err(error("it is none, or there is no configuration"));
    };
    if engine.peer(config.id).is_some() || engine.peer_at(config.address).is_some() {
        return Err(error("it is there already"));
    }
    check(&config).map_err(error)?;
    Ok(spawn(&speaker, config, engine))
}

fn settings(speaker: &Speaker, peer: &SessionPeer) -> Settings {
    Settings {
        local_asn: Asn(peer.local_asn),
        router_id: RouterId(speaker.router_id),
        remote_asn: Asn(peer.remote_asn),
        only: peer.only.map(|kind| match kind {
            PeerKind::Internal => Kind::Internal,
            PeerKind::External => Kind::External,
        }),
        // Checked when it was staged.
        hold_time: HoldTime::new(peer.hold_time).unwrap_or(HoldTime::NONE),
        keepalive: peer.keepalive.map(|seconds| Duration::from_secs(seconds.into())),
        send_hold: match peer.send_hold_time {
            None => SendHold::Standard,
            Some(0) => SendHold::Never,
            Some(seconds) => SendHold::After(Duration::from_secs(seconds.into())),
        },
        families: peer.families,
        add_path: AddPath { receive: peer.add_path_receive, send: peer.add_path_send },
        role: peer.role.map(|r| r.role),
        role_strict: peer.role.is_some_and(|r| r.strict),
        restart_time: peer.restart_time,
        llgr_stale_time: peer.llgr_stale_time,
        passive: peer.passive,
        connect_retry: Duration::from_secs(peer.connect_retry.into()),
        prefix_limits: prefix_limits(&peer.prefix_limits),
    }
}

/// Where a limit is only warned of, it does not concern sessions.
fn prefix_limits(limits: &ipc::config::PrefixLimits) -> PrefixLimits {
    let ipc::config::PrefixLimits { received, advertised, action, .. } = *limits;
    match action {
        OverLimit::Shutdown => PrefixLimits { received, advertised, restart: None },
        OverLimit::Restart { minutes } => {
            let restart = Some(Duration::from_secs(60 * u64::from(minutes)));
            PrefixLimits { received, advertised, restart }
        }
        OverLimit::Warn => PrefixLimits::default(),
    }
}
