//! Buffers that datagrams are received into.
//!
//! A large payload is handed out without a copy: it stays in the buffer that the kernel wrote it to, and the
//! buffer comes back when the last slice of it is gone. A small one is copied: what is kept of it shall not
//! keep a whole buffer.

use std::io::IoSliceMut;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// From here on a payload is handed out without a copy, in octets. Whoever keeps it keeps a buffer: the less
/// that may be filled, the more a slow reader's queue takes beyond what is in it.
const LEND: usize = 32 * 1024;

/// How many buffers wait to be used again. More are only there while what was handed out is in use.
const SPARE: usize = 4;

/// The buffers of one receiver.
#[derive(Debug)]
pub(crate) struct Buffers {
    size: usize,
    most: usize,
    current: Vec<u8>,
    /// What does not fit into the current one.
    overflow: Vec<u8>,
    spare: Spare,
}

type Spare = Arc<Mutex<Vec<Vec<u8>>>>;

/// A buffer that is in use outside. Going back is all it can do.
struct Lent {
    buffer: Vec<u8>,
    size: usize,
    spare: Spare,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.buffer.len() != self.size {
            return;
        }
        // Whoever panicked with the lock held left a list of buffers.
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE {
            spare.push(std::mem::take(&mut self.buffer));
        }
    }
}

impl Buffers {
    /// Buffers of `size` octets each, for datagrams of `most`. Larger ones than `size` are rare and cost a copy.
    /// Takes no memory before the first is used.
    pub(crate) fn new(size: usize, most: usize) -> Buffers {
        Buffers { size, most, current: Vec::new(), overflow: Vec::new(), spare: Spare::default() }
    }

    /// Where the next datagram goes.
    pub(crate) fn space(&mut self) -> [IoSliceMut<'_>; 2] {
        if self.current.is_empty() {
            let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
            // Fresh from the system, it takes memory as far as it is written to.
            self.current = spare.unwrap_or_else(|| vec![0; self.size]);
        }
        if self.current.len() > self.size {
            self.current.truncate(self.size);
            self.current.shrink_to_fit();
        }
        if self.overflow.is_empty() {
            self.overflow = vec![0; self.most.saturating_sub(self.size)];
        }
        [IoSliceMut::new(&mut self.current), IoSliceMut::new(&mut self.overflow)]
    }

    /// The first `len` octets of what was received.
    pub(crate) fn received(&mut self, len: usize) -> &[u8] {
        let more = len.saturating_sub(self.current.len());
        self.current.extend_from_slice(self.overflow.get(..more).unwrap_or_default());
        self.current.get(..len).unwrap_or_default()
    }

    /// What was [received](Self::received) from `start` to `end`, to be kept.
    pub(crate) fn take(&mut self, start: usize, end: usize) -> Bytes {
        let octets = self.current.get(start..end).unwrap_or_default();
        if octets.len() < LEND {
            return Bytes::copy_from_slice(octets);
        }
        let buffer = std::mem::take(&mut self.current);
        Bytes::from_owner(Lent { buffer, size: self.size, spare: Arc::clone(&self.spare) }).slice(start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 2 * LEND;
    const MOST: usize = 3 * LEND;

    /// Does what the kernel does with a datagram of `len` octets.
    fn receive(buffers: &mut Buffers, octet: u8, len: usize) -> Bytes {
        let mut left = len;
        for mut part in buffers.space() {
            let n = part.len().min(left);
            part[..n].fill(octet);
            left -= n;
        }
        assert_eq!(left, 0);
        assert_eq!(buffers.received(len).len(), len);
        buffers.take(1, len)
    }

    fn spare(buffers: &Buffers) -> usize {
        buffers.spare.lock().unwrap().len()
    }

    #[test]
    fn what_is_kept_stays_as_it_was_received() {
        let mut buffers = Buffers::new(SIZE, MOST);
        let mut kept = Vec::new();
        for n in 0..60_u8 {
            let len = [100, LEND + 1 + usize::from(n), SIZE, SIZE + 1, MOST][usize::from(n) % 5];
            let payload = receive(&mut buffers, n, len);
            assert_eq!(payload.len(), len - 1);
            // A part of it outlives the whole, as those of slow peers do.
            kept.push((n, payload.slice(payload.len() / 2..)));
        }
        for (n, part) in kept {
            assert!(!part.is_empty() && part.iter().all(|o| *o == n), "{n}");
        }
    }

    #[test]
    fn buffers_come_back_when_nobody_has_a_slice_of_them_and_few_are_kept() {
        let mut buffers = Buffers::new(SIZE, MOST);
        let payload = receive(&mut buffers, 1, LEND + 1);
        let at = payload.as_ptr();
        let part = payload.slice(7..9);
        drop(payload);
        assert_eq!(spare(&buffers), 0, "a part is in use");
        drop(part);
        assert_eq!(spare(&buffers), 1);
        assert_eq!(receive(&mut buffers, 2, LEND + 1).as_ptr(), at, "the same buffer");
        let many: Vec<Bytes> = (0..20).map(|n| receive(&mut buffers, n, SIZE)).collect();
        drop(many);
        assert_eq!(spare(&buffers), SPARE);
        drop(receive(&mut buffers, 3, MOST));
        assert!(buffers.spare.lock().unwrap().iter().all(|b| b.len() == SIZE), "no giants are kept");
    }

    #[test]
    fn a_small_payload_keeps_no_buffer() {
        let mut buffers = Buffers::new(SIZE, MOST);
        let at = buffers.space()[0].as_ptr();
        let small = receive(&mut buffers, 1, LEND);
        assert_eq!(buffers.space()[0].as_ptr(), at);
        buffers.space()[0].fill(9);
        assert!(small.iter().all(|o| *o == 1));
    }
}
