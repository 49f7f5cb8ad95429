//! Makes the `:authority` of clients on a Unix socket acceptable.
//!
//! gRPC's C core (Python, C++, Ruby) and others send the escaped path of the socket there, such as
//! `%2Fvar%2Flib%2Frustbgpd%2Fgrpc.sock`. That is no valid authority (RFC 3986 §3.2), so the HTTP/2
//! library refuses the request. On a Unix socket the value means nothing, hence this filter on the
//! octets that arrive: in header blocks (RFC 9113 §6.2) it puts `-` for each `%` and `/` of the authority.
//! These characters have codes of equal length, as octets and in the Huffman code (RFC 7541 appendix B), so
//! that no length changes and compression state stays what it is.

use std::ops::Range;

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::ReadBuf;

/// The client connection preface (RFC 9113 §3.4).
const PREFACE: usize = 24;
const FRAME_HEADER: usize = 9;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// Header blocks beyond this are passed on unread: the HTTP/2 library refuses them anyway.
const MAX_BLOCK: usize = 64 * 1024;

/// `:authority` in the static table (RFC 7541 appendix A).
const STATIC_AUTHORITY: usize = 1;
const NAME: &[u8] = b":authority";
const NAME_HUFFMAN: &[u8] = &[0xb8, 0x3b, 0x53, 0x39, 0xec, 0x32, 0x7d, 0x7f];

/// The filter of one connection.
#[derive(Debug)]
pub(crate) struct Filter {
    state: State,
    /// Frames of a header block that isn't complete, or a part of a frame header.
    held: BytesMut,
    /// Where the fragments of the block are in `held`.
    fragments: Vec<Range<usize>>,
    /// Where the next frame begins in `held`.
    parsed: usize,
    ready: BytesMut,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// So many octets pass unread.
    Pass(usize),
    /// At a frame, or within a header block.
    Frame,
}

impl Filter {
    /// For a new connection.
    pub(crate) fn new() -> Filter {
        Filter {
            state: State::Pass(PREFACE),
            held: BytesMut::new(),
            fragments: Vec::new(),
            parsed: 0,
            ready: BytesMut::new(),
        }
    }

    /// Whether something can be passed on.
    pub(crate) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Passes on as much as fits.
    pub(crate) fn drain_into(&mut self, to: &mut ReadBuf<'_>) {
        let n = self.ready.len().min(to.remaining());
        to.put_slice(self.ready.get(..n).unwrap_or_default());
        self.ready.advance(n);
    }

    /// Takes octets that arrived.
    pub(crate) fn push(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            match self.state {
                State::Pass(left) => {
                    let (now, rest) = data.split_at(left.min(data.len()));
                    self.ready.put_slice(now);
                    self.state = if now.len() == left { State::Frame } else { State::Pass(left - now.len()) };
                    data = rest;
                }
                State::Frame => {
                    let wanted = self.wanted().min(data.len());
                    let (now, rest) = data.split_at(wanted);
                    self.held.put_slice(now);
                    data = rest;
                    self.frame();
                }
            }
        }
    }

    /// How many more octets the frame at hand needs.
    fn wanted(&self) -> usize {
        let have = self.held.len() - self.parsed;
        let whole = self.header().map_or(FRAME_HEADER, |h| FRAME_HEADER + h.len);
        whole - have.min(whole)
    }

    fn header(&self) -> Option<FrameHeader> {
        self.held.get(self.parsed..).and_then(FrameHeader::parse)
    }

    /// Looks at the frame at hand, as far as it is there.
    fn frame(&mut self) {
        let Some(header) = self.header() else { return };
        let expected = if self.fragments.is_empty() { HEADERS } else { CONTINUATION };
        if header.kind != expected || self.parsed + header.len > MAX_BLOCK {
            let left = self.wanted();
            self.release();
            if left > 0 {
                self.state = State::Pass(left);
            }
            return;
        }
        if self.wanted() > 0 {
            return;
        }
        let begin = self.parsed + FRAME_HEADER;
        self.fragments.push(self.fragment(&header, begin));
        self.parsed = begin + header.len;
        if header.flags & END_HEADERS != 0 {
            self.rewrite();
            self.release();
        }
    }

    /// The part of a frame that belongs to the header block: without padding and priority.
    fn fragment(&self, header: &FrameHeader, begin: usize) -> Range<usize> {
        let (mut from, mut to) = (begin, begin + header.len);
        if header.kind == HEADERS {
            if header.flags & PADDED != 0 {
                to -= usize::from(self.held.get(begin).copied().unwrap_or(0)).min(header.len);
                from += 1;
            }
            if header.flags & PRIORITY != 0 {
                from += 5;
            }
        }
        from.min(to)..to
    }

    fn rewrite(&mut self) {
        let mut block: Vec<u8> = Vec::new();
        for f in &self.fragments {
            block.extend_from_slice(self.held.get(f.clone()).unwrap_or_default());
        }
        rewrite_block(&mut block);
        let mut rest = block.as_slice();
        for f in &self.fragments {
            if let (Some(to), Some((from, after))) =
                (self.held.get_mut(f.clone()), rest.split_at_checked(f.len()))
            {
                to.copy_from_slice(from);
                rest = after;
            }
        }
    }

    fn release(&mut self) {
        self.ready.put_slice(&self.held);
        self.held.clear();
        self.fragments.clear();
        self.parsed = 0;
    }
}

/// The header of an HTTP/2 frame (RFC 9113 §4.1).
struct FrameHeader {
    len: usize,
    kind: u8,
    flags: u8,
}

impl FrameHeader {
    fn parse(bytes: &[u8]) -> Option<FrameHeader> {
        let header = bytes.first_chunk::<FRAME_HEADER>()?;
        let [a, b, c, kind, flags, ..] = *header;
        Some(FrameHeader { len: u32::from_be_bytes([0, a, b, c]) as usize, kind, flags })
    }
}

/// Walks a header block (RFC 7541 §6) as far as it makes sense and rewrites every authority in it.
fn rewrite_block(block: &mut [u8]) {
    let mut at = 0;
    while at < block.len() {
        match field(block, at) {
            Some((authority, next)) => {
                if let Some((huffman, range)) = authority
                    && let Some(value) = block.get_mut(range)
                {
                    if huffman { rewrite_huffman(value) } else { rewrite_octets(value) }
                }
                at = next;
            }
            None => return,
        }
    }
}

type Literal = (bool, Range<usize>);

/// One field representation: where the value of an authority is, and where the next one begins.
fn field(block: &[u8], at: usize) -> Option<(Option<Literal>, usize)> {
    let first = *block.get(at)?;
    let prefix = match first {
        0x80.. => return integer(block, at, 7).map(|(_, next)| (None, next)),
        0x40.. => 6,
        0x20.. => return integer(block, at, 5).map(|(_, next)| (None, next)),
        _ => 4,
    };
    let (name, mut next) = integer(block, at, prefix)?;
    let mut authority = name == STATIC_AUTHORITY;
    if name == 0 {
        let (huffman, range) = string(block, next)?;
        next = range.end;
        authority = block.get(range)? == if huffman { NAME_HUFFMAN } else { NAME };
    }
    let value = string(block, next)?;
    let next = value.1.end;
    Some((authority.then_some(value), next))
}

/// An integer with a prefix of so many bits (RFC 7541 §5.1), and where it ends.
fn integer(block: &[u8], at: usize, prefix: u32) -> Option<(usize, usize)> {
    let most = (1usize << prefix) - 1;
    let mut value = usize::from(*block.get(at)?) & most;
    let mut at = at + 1;
    if value < most {
        return Some((value, at));
    }
    for shift in [0, 7, 14] {
        let octet = *block.get(at)?;
        value += usize::from(octet & 0x7f) << shift;
        at += 1;
        if octet & 0x80 == 0 {
            return Some((value, at));
        }
    }
    None
}

/// A string (RFC 7541 §5.2): whether it is Huffman-coded, and where it is.
fn string(block: &[u8], at: usize) -> Option<Literal> {
    let huffman = block.get(at)? & 0x80 != 0;
    let (len, begin) = integer(block, at, 7)?;
    let end = begin + len;
    (end <= block.len()).then_some((huffman, begin..end))
}

fn rewrite_octets(value: &mut [u8]) {
    for c in value {
        if matches!(*c, b'%' | b'/') {
            *c = b'-';
        }
    }
}

/// Code lengths of RFC 7541 appendix B up to 15 bits: bits, first code, number of codes.
const CODES: [(usize, u32, u32); 10] = [
    (5, 0x0, 10),
    (6, 0x14, 26),
    (7, 0x5c, 32),
    (8, 0xf8, 6),
    (10, 0x3f8, 5),
    (11, 0x7fa, 3),
    (12, 0xffa, 2),
    (13, 0x1ff8, 6),
    (14, 0x3ffc, 2),
    (15, 0x7ffc, 3),
];
const PERCENT: (usize, u32) = (6, 0x15);
const SLASH: (usize, u32) = (6, 0x18);
const HYPHEN: u32 = 0x16;

fn rewrite_huffman(value: &mut [u8]) {
    let mut at = 0;
    while let Some((bits, code)) = symbol(value, at) {
        if [PERCENT, SLASH].contains(&(bits, code)) {
            put_bits(value, at, bits, HYPHEN);
        }
        at += bits;
    }
}

/// The symbol at this bit; `None` at the end and at the rare symbols of more than 15 bits.
fn symbol(value: &[u8], at: usize) -> Option<(usize, u32)> {
    CODES.iter().find_map(|&(bits, first, count)| {
        let code = get_bits(value, at, bits)?;
        (code >= first && code - first < count).then_some((bits, code))
    })
}

fn get_bits(value: &[u8], at: usize, bits: usize) -> Option<u32> {
    (at..at + bits).try_fold(0, |code, bit| {
        let octet = value.get(bit / 8)?;
        Some(code << 1 | u32::from(octet >> (7 - bit % 8) & 1))
    })
}

fn put_bits(value: &mut [u8], at: usize, bits: usize, code: u32) {
    for i in 0..bits {
        let (bit, mask) = (at + i, 1u8 << (7 - (at + i) % 8));
        if let Some(octet) = value.get_mut(bit / 8) {
            if code >> (bits - 1 - i) & 1 == 1 { *octet |= mask } else { *octet &= !mask }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `%2Ftmp%2Fx.sock` in the Huffman code, made bit by bit from RFC 7541 appendix B.
    const PATH_BITS: &str = "010101 00010 1100011 01001 101001 101011 010101 00010 1100011 1111001 010111 01000 00111 00100 1110101";
    const CLEAN_BITS: &str = "010110 00010 1100011 01001 101001 101011 010110 00010 1100011 1111001 010111 01000 00111 00100 1110101";

    fn octets(bits: &str) -> Vec<u8> {
        let bits: Vec<u8> = bits.bytes().filter(|b| *b != b' ').map(|b| b - b'0').collect();
        bits.chunks(8).map(|c| (0..8).fold(0, |o, i| o << 1 | c.get(i).copied().unwrap_or(1))).collect()
    }

    fn literal(first: u8, value: &[u8], huffman: bool) -> Vec<u8> {
        let mut field = vec![first, value.len() as u8 | if huffman { 0x80 } else { 0 }];
        field.extend_from_slice(value);
        field
    }

    fn frame(kind: u8, flags: u8, body: &[u8]) -> Vec<u8> {
        let mut frame = (body.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend_from_slice(&[kind, flags, 0, 0, 0, 1]);
        frame.extend_from_slice(body);
        frame
    }

    #[test]
    fn percent_and_slash_become_hyphens_whatever_the_representation() {
        let named = |name: &[u8], huffman: u8| {
            let mut f = vec![0x00, name.len() as u8 | huffman];
            f.extend_from_slice(name);
            f
        };
        for head in [vec![0x41], vec![0x01], vec![0x11], named(NAME, 0), named(NAME_HUFFMAN, 0x80)] {
            for (before, after, huffman) in [
                (b"%2Ftmp%2Fx.sock".to_vec(), b"-2Ftmp-2Fx.sock".to_vec(), false),
                (b"/tmp/x.sock".to_vec(), b"-tmp-x.sock".to_vec(), false),
                (octets(PATH_BITS), octets(CLEAN_BITS), true),
            ] {
                // A table size update, `:method POST`, the authority, then another header that keeps its `%`.
                let block = |value: &[u8]| {
                    let mut b = vec![0x3f, 0xe1, 0x1f, 0x83];
                    b.extend_from_slice(&head);
                    b.push(value.len() as u8 | if huffman { 0x80 } else { 0 });
                    b.extend_from_slice(value);
                    b.extend_from_slice(&literal(0x44, b"/a%2Fb", false));
                    b
                };
                let mut rewritten = block(&before);
                rewrite_block(&mut rewritten);
                assert_eq!(rewritten, block(&after), "{head:x?} huffman {huffman}");
            }
        }
    }

    #[test]
    fn stream_is_the_same_but_for_authorities_however_it_is_cut() {
        let value = literal(0x41, b"%2Fa%2Fb", false);
        let clean = literal(0x41, b"-2Fa-2Fb", false);
        let padded = |field: &[u8]| {
            let mut body = vec![3, 0, 0, 0, 0, 16];
            body.extend_from_slice(field);
            body.extend_from_slice(&[0x25; 3]);
            body
        };
        let stream = |field: &[u8]| {
            let (head, tail) = field.split_at(5);
            let mut s = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
            s.extend(frame(4, 0, &[]));
            s.extend(frame(HEADERS, END_HEADERS, field));
            s.extend(frame(0, 1, b"%2F data /"));
            s.extend(frame(HEADERS, 0, head));
            s.extend(frame(CONTINUATION, END_HEADERS, tail));
            s.extend(frame(HEADERS, END_HEADERS | PADDED | PRIORITY, &padded(field)));
            s.extend(frame(0, 1, &[]));
            s
        };
        let (input, expected) = (stream(&value), stream(&clean));
        for cut in 1..input.len() {
            let mut filter = Filter::new();
            for piece in input.chunks(cut) {
                filter.push(piece);
            }
            assert_eq!(filter.ready.to_vec(), expected, "cut every {cut} octets");
        }
    }

    #[test]
    fn garbage_passes_without_being_changed_in_length() {
        let garbage: Vec<u8> = (0..4000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for begin in 0..200 {
            let mut block = garbage[begin..begin + 100].to_vec();
            rewrite_block(&mut block);
            assert_eq!(block.len(), 100);
        }
        let mut filter = Filter::new();
        filter.push(&garbage);
        let passed = filter.ready.len();
        assert!(passed <= garbage.len() && passed + filter.held.len() == garbage.len());
    }
}
