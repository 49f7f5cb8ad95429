//! Connections from ranges of dynamic peers: whether they make one is the parent's to say.
//!
//! A connection waits, unread, until the parent has been asked and has answered. So many wait and no more, one of each
//! address; the parent is asked at a bounded rate, so that it does not matter to it, nor to configured peers, how many
//! connect.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bgp::Notification;
use bgp::notification::cease;
use ipc::config::SessionPeer;
use ipc::parent_session::{MAX_WANTED, SessionToParent};
use ipc::{LinkError, Role};
use ipnet::IpNet;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::accept::CLOSING;
use crate::closing;
use crate::engine::{Closing, Engine};
use crate::limits::{LogLimit, Rate};

/// Connections that wait for an answer.
const WAITING: usize = 4096;

/// How often the parent is asked, 1,000 times a second: one that comes up is dealt with by all processes.
const TOTAL: Rate = Rate::new(Duration::from_millis(1), 500);

/// How often one address may connect, as long as it is no peer.
const PER_ADDRESS: Rate = Rate::new(Duration::from_secs(1), 20);

/// Addresses whose rate is remembered. All that may be asked about while one of them fills its bucket again.
const REMEMBERED: usize = 32_768;

/// Who connects from a range.
#[derive(Debug)]
pub(crate) struct Candidates {
    ranges: RefCell<Ranges>,
    waiting: RefCell<HashMap<IpAddr, TcpStream>>,
    /// Those of them that the parent has not been asked about.
    unasked: RefCell<VecDeque<IpAddr>>,
    /// How many it has been asked about.
    asked: Cell<usize>,
    recent: RefCell<HashMap<IpAddr, Rate>>,
    rate: RefCell<Rate>,
    /// There may be something to ask.
    work: Notify,
    refused: LogLimit,
}

impl Default for Candidates {
    fn default() -> Candidates {
        Candidates {
            ranges: RefCell::default(),
            waiting: RefCell::default(),
            unasked: RefCell::default(),
            asked: Cell::default(),
            recent: RefCell::default(),
            rate: RefCell::new(TOTAL),
            work: Notify::new(),
            refused: LogLimit::default(),
        }
    }
}

/// A set of prefixes that is asked whether one of them has an address.
#[derive(Debug, Default)]
struct Ranges {
    prefixes: HashSet<IpNet>,
    /// The lengths that there are, for IPv4 and for IPv6.
    lengths: [Vec<u8>; 2],
}

impl Ranges {
    fn new(prefixes: Vec<IpNet>) -> Ranges {
        let mut lengths: [Vec<u8>; 2] = Default::default();
        for prefix in &prefixes {
            let [v4, v6] = &mut lengths;
            let list = if prefix.addr().is_ipv4() { v4 } else { v6 };
            if !list.contains(&prefix.prefix_len()) {
                list.push(prefix.prefix_len());
            }
        }
        Ranges { prefixes: prefixes.into_iter().map(|p| p.trunc()).collect(), lengths }
    }

    fn contain(&self, address: IpAddr) -> bool {
        let [v4, v6] = &self.lengths;
        let lengths = if address.is_ipv4() { v4 } else { v6 };
        let prefix = |length: &u8| IpNet::new(address, *length).map(|p| p.trunc());
        lengths.iter().filter_map(|l| prefix(l).ok()).any(|p| self.prefixes.contains(&p))
    }
}

impl Candidates {
    pub(crate) fn set_ranges(&self, ranges: Vec<IpNet>) {
        *self.ranges.borrow_mut() = Ranges::new(ranges);
    }

    /// Whether a connection from there is worth a question.
    pub(crate) fn concerns(&self, address: IpAddr) -> bool {
        self.ranges.borrow().contain(address)
    }

    /// Somebody connected from there.
    pub(crate) fn connected(&self, stream: TcpStream, address: IpAddr) {
        let now = Instant::now();
        if let Err(why) = self.admit(stream, address, now)
            && let Some(left_out) = self.refused.admit(now, address)
        {
            tracing::warn!(%address, left_out, why, "connection from a range of dynamic neighbors closed");
        }
    }

    fn admit(&self, stream: TcpStream, address: IpAddr, now: Instant) -> Result<(), &'static str> {
        let mut recent = self.recent.borrow_mut();
        if recent.len() >= REMEMBERED {
            recent.retain(|_, rate| !rate.is_full(now));
        }
        if recent.len() >= REMEMBERED && !recent.contains_key(&address) {
            return Err("too many addresses connect");
        }
        recent.entry(address).or_insert(PER_ADDRESS).take(now).map_err(|_| "it connects too often")?;
        let mut waiting = self.waiting.borrow_mut();
        if let Some(older) = waiting.get_mut(&address) {
            // It has given up the older one.
            *older = stream;
            return Ok(());
        }
        if waiting.len() >= WAITING {
            return Err("too many connections wait to become neighbors");
        }
        waiting.insert(address, stream);
        self.unasked.borrow_mut().push_back(address);
        self.work.notify_one();
        Ok(())
    }

    /// Who is to be asked about next, if it may be asked.
    fn next(&self) -> Option<IpAddr> {
        (self.asked.get() < MAX_WANTED).then(|| self.unasked.borrow_mut().pop_front()).flatten()
    }

    /// The connection that the parent has answered about.
    fn answered(&self, address: IpAddr) -> Option<TcpStream> {
        let stream = self.waiting.borrow_mut().remove(&address)?;
        self.asked.set(self.asked.get().saturating_sub(1));
        self.work.notify_one();
        Some(stream)
    }
}

/// Begins to ask the parent, for as long as the process runs.
pub(crate) fn ask(engine: &Rc<Engine>) {
    let engine = Rc::clone(engine);
    tokio::task::spawn_local(async move {
        let candidates = &engine.candidates;
        loop {
            candidates.work.notified().await;
            while let Some(address) = candidates.next() {
                loop {
                    let taken = candidates.rate.borrow_mut().take(Instant::now());
                    let Err(wait) = taken else { break };
                    tokio::time::sleep(wait).await;
                }
                if !candidates.concerns(address) || engine.peer_at(address).is_some() {
                    // There are other ranges or neighbors since it came.
                    candidates.waiting.borrow_mut().remove(&address);
                    continue;
                }
                candidates.asked.set(candidates.asked.get() + 1);
                engine.tell_parent(SessionToParent::WantPeer { address });
            }
        }
    });
}

/// The parent has made a peer of a connection.
///
/// # Errors
/// Where nobody has asked for it.
pub(crate) fn admitted(engine: &Rc<Engine>, config: SessionPeer) -> Result<(), LinkError> {
    let Some(stream) = engine.candidates.answered(config.address.to_canonical()) else {
        return Err(LinkError::out_of_state(Role::Parent, "adds a dynamic peer that nobody asked for"));
    };
    crate::config::add(config, engine)?.begin_with(stream, &engine.gate);
    Ok(())
}

/// The parent does not want it.
pub(crate) fn refused(engine: &Rc<Engine>, address: IpAddr, limit: bool) {
    let Some(stream) = engine.candidates.answered(address) else { return };
    if engine.closing.count() < CLOSING && !engine.leaving.get() {
        // RFC 4486 §4.
        let subcode = if limit { cease::OUT_OF_RESOURCES } else { cease::CONNECTION_REJECTED };
        let guards = [engine.closing.begin(), Closing::default().begin()];
        closing::close(guards, stream, Notification::cease(subcode).encode());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_a_range_of_its_family() {
        let all = ["10.0.0.0/8", "192.0.2.128/25", "2001:db8::/32", "203.0.113.7/32"];
        let ranges = Ranges::new(all.map(|p| p.parse().unwrap()).to_vec());
        let contain = |a: &str| ranges.contain(a.parse().unwrap());
        for inside in ["10.255.255.255", "192.0.2.128", "2001:db8:ffff::1", "203.0.113.7"] {
            assert!(contain(inside), "{inside}");
        }
        for outside in ["11.0.0.0", "192.0.2.127", "2001:db9::", "203.0.113.6", "::a00:1"] {
            assert!(!contain(outside), "{outside}");
        }
        assert!(!Ranges::default().contain(IpAddr::from([10, 0, 0, 1])));
        assert!(Ranges::new(vec!["0.0.0.0/0".parse().unwrap()]).contain(IpAddr::from([10, 0, 0, 1])));
    }
}
