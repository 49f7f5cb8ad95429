//! What waits to be written to one connection: slices of whole messages, shared among peers, never copied.
//!
//! A slice that was begun is finished first; then messages of our own (OPEN, KEEPALIVE, NOTIFICATION), then
//! routes. The queue's bound is rde's: it sends no more than it has credit for.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

/// The most slices for one system call.
pub(crate) const MAX_SLICES: usize = 64;

/// About the most octets for one system call.
const MAX_OCTETS: usize = 1 << 20;

/// The most slices that an empty queue keeps room for: there are as many queues as peers.
const KEPT: usize = 16;

/// What a slice holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Messages from rde: so many UPDATEs and ROUTE-REFRESHes.
    Routes {
        /// UPDATEs.
        updates: u32,
        /// ROUTE-REFRESHes.
        refreshes: u32,
    },
    /// An OPEN.
    Open,
    /// A KEEPALIVE.
    Keepalive,
    /// A NOTIFICATION.
    Notification,
}

#[derive(Debug)]
struct Slice {
    bytes: Bytes,
    kind: Kind,
}

/// The queue of one connection.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    slices: VecDeque<Slice>,
    /// Octets of the first slice that are written.
    begun: usize,
    /// How many slices, from the first on, must go before the routes.
    urgent: usize,
    keepalives: usize,
    route_octets: u64,
}

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }

    /// Octets of routes that are not written.
    pub(crate) fn route_octets(&self) -> u64 {
        self.route_octets
    }

    pub(crate) fn push_routes(&mut self, bytes: Bytes, updates: u32, refreshes: u32) {
        self.route_octets += bytes.len() as u64;
        self.slices.push_back(Slice { bytes, kind: Kind::Routes { updates, refreshes } });
    }

    /// Queues a message before all routes but a slice that was begun. A second KEEPALIVE while one waits
    /// would tell the peer nothing, so that a peer that doesn't read collects none.
    pub(crate) fn push_urgent(&mut self, bytes: Bytes, kind: Kind) {
        if kind == Kind::Keepalive {
            if self.keepalives > 0 {
                return;
            }
            self.keepalives += 1;
        }
        let at = self.urgent.max(usize::from(self.begun > 0));
        self.slices.insert(at, Slice { bytes, kind });
        self.urgent = at + 1;
    }

    /// Puts what is to be written next into `slices` and says how many.
    pub(crate) fn fill<'a>(&'a self, slices: &mut [IoSlice<'a>; MAX_SLICES]) -> usize {
        let mut octets = 0;
        let mut n = 0;
        for (to, slice) in slices.iter_mut().zip(&self.slices) {
            let bytes = if n == 0 { slice.bytes.get(self.begun..).unwrap_or(&[]) } else { &slice.bytes };
            *to = IoSlice::new(bytes);
            n += 1;
            octets += bytes.len();
            if octets >= MAX_OCTETS {
                break;
            }
        }
        n
    }

    /// Notes that `octets` were written, tells `finished` of each slice that is out, and returns how many of the
    /// octets were routes.
    pub(crate) fn advance(&mut self, mut octets: usize, mut finished: impl FnMut(Kind)) -> u64 {
        let mut routes = 0;
        while let Some(front) = self.slices.front() {
            let is_routes = matches!(front.kind, Kind::Routes { .. });
            let rest = front.bytes.len() - self.begun;
            let step = rest.min(octets);
            if is_routes {
                routes += step as u64;
            }
            octets -= step;
            if step < rest {
                self.begun += step;
                break;
            }
            finished(front.kind);
            self.keepalives -= usize::from(front.kind == Kind::Keepalive);
            self.slices.pop_front();
            self.begun = 0;
            self.urgent = self.urgent.saturating_sub(1);
        }
        self.route_octets -= routes;
        if self.slices.is_empty() && self.slices.capacity() > KEPT {
            self.slices = VecDeque::new();
        }
        routes
    }

    /// What must still go out on a connection that is over: the rest of the slice that was begun, and our
    /// own messages.
    pub(crate) fn into_last_words(self) -> Vec<u8> {
        let mut out = Vec::new();
        for (i, slice) in self.slices.iter().enumerate() {
            let begun = if i == 0 { self.begun } else { 0 };
            if begun > 0 || !matches!(slice.kind, Kind::Routes { .. }) {
                out.extend_from_slice(slice.bytes.get(begun..).unwrap_or(&[]));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(outbox: &mut Outbox, octets: usize) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let n = outbox.fill(&mut slices);
        let mut all: Vec<u8> = slices[..n].iter().flat_map(|s| s.to_vec()).collect();
        all.truncate(octets);
        let len = all.len();
        outbox.advance(len, |_| ());
        all
    }

    #[test]
    fn own_messages_go_before_routes_but_never_into_a_begun_slice() {
        let mut outbox = Outbox::default();
        outbox.push_routes(Bytes::from_static(b"aaaa"), 1, 0);
        outbox.push_routes(Bytes::from_static(b"bbbb"), 1, 0);
        assert_eq!(written(&mut outbox, 2), b"aa");
        outbox.push_urgent(Bytes::from_static(b"K"), Kind::Keepalive);
        outbox.push_urgent(Bytes::from_static(b"K"), Kind::Keepalive);
        outbox.push_urgent(Bytes::from_static(b"N"), Kind::Notification);
        assert_eq!(written(&mut outbox, 100), b"aaKNbbbb");
        assert!(outbox.is_empty());
        assert_eq!(outbox.route_octets(), 0);
        outbox.push_urgent(Bytes::from_static(b"K"), Kind::Keepalive);
        assert_eq!(written(&mut outbox, 100), b"K");
    }

    #[test]
    fn a_connection_that_is_over_finishes_the_message_it_is_in() {
        let mut outbox = Outbox::default();
        outbox.push_routes(Bytes::from_static(b"aaaa"), 1, 0);
        outbox.push_routes(Bytes::from_static(b"bbbb"), 1, 0);
        written(&mut outbox, 3);
        outbox.push_urgent(Bytes::from_static(b"N"), Kind::Notification);
        assert_eq!(outbox.into_last_words(), b"aN");
    }

    #[test]
    fn a_call_takes_a_bounded_number_of_slices() {
        let mut outbox = Outbox::default();
        for i in 0..200_u8 {
            outbox.push_routes(Bytes::copy_from_slice(&[i]), 1, 0);
        }
        let mut finished = 0;
        let mut all = Vec::new();
        while !outbox.is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let n = outbox.fill(&mut slices);
            assert!(n <= MAX_SLICES);
            all.extend(slices[..n].iter().flat_map(|s| s.to_vec()));
            outbox.advance(n, |_| finished += 1);
        }
        assert_eq!(all, (0..200).collect::<Vec<u8>>());
        assert_eq!(finished, 200);
    }
}
