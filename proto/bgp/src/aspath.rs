//! AS paths: RFC 4271 §4.3 and §5.1.2, RFC 5065 §3, RFC 6793.
//!
//! A path is kept in wire form with 4-octet AS numbers; `check` is the one place that says what a
//! well-formed path is, for either width.

use std::fmt;

use crate::error::FaultKind;
use crate::types::Asn;
use crate::wire::{Reader, words};

/// The type of a path segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SegmentKind {
    /// AS_SET: unordered, counts as one.
    Set = 1,
    /// AS_SEQUENCE: ordered.
    Sequence = 2,
    /// AS_CONFED_SEQUENCE: ordered, within a confederation, counts nothing.
    ConfedSequence = 3,
    /// AS_CONFED_SET: unordered, within a confederation, counts nothing.
    ConfedSet = 4,
}

impl SegmentKind {
    #[inline]
    fn from_u8(n: u8) -> Option<SegmentKind> {
        match n {
            1 => Some(SegmentKind::Set),
            2 => Some(SegmentKind::Sequence),
            3 => Some(SegmentKind::ConfedSequence),
            4 => Some(SegmentKind::ConfedSet),
            _ => None,
        }
    }

    /// Whether it belongs to a confederation (RFC 5065).
    #[inline]
    pub fn is_confederation(self) -> bool {
        matches!(self, SegmentKind::ConfedSequence | SegmentKind::ConfedSet)
    }
}

/// Octets of an AS number: 2 from an old speaker, else 4 (RFC 6793).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    Two = 2,
    Four = 4,
}

/// A segment as it is on the wire.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawSegment<'a> {
    pub(crate) kind: SegmentKind,
    pub(crate) bytes: &'a [u8],
    pub(crate) width: Width,
}

impl<'a> RawSegment<'a> {
    pub(crate) fn asns(self) -> impl Iterator<Item = u32> + 'a {
        let (two, four): (&[u8], &[u8]) = match self.width {
            Width::Two => (self.bytes, &[]),
            Width::Four => (&[], self.bytes),
        };
        let narrow = two.as_chunks::<2>().0.iter().map(|c| u32::from(u16::from_be_bytes(*c)));
        narrow.chain(words(four))
    }

    pub(crate) fn len(self) -> usize {
        self.bytes.len() / self.width as usize
    }

    /// What the segment adds to the length of the path (RFC 4271 §9.1.2.2, RFC 5065 §5.3).
    pub(crate) fn decision_len(self) -> usize {
        match self.kind {
            SegmentKind::Sequence => self.len(),
            SegmentKind::Set => 1,
            SegmentKind::ConfedSequence | SegmentKind::ConfedSet => 0,
        }
    }
}

/// Takes the next segment off `reader`; `None` where there is none or where it is malformed (RFC 7606
/// §7.2: an unknown type, a length of zero, one beyond the end).
#[inline]
pub(crate) fn next_segment<'a>(reader: &mut Reader<'a>, width: Width) -> Option<RawSegment<'a>> {
    let [kind, count] = reader.array()?;
    let kind = SegmentKind::from_u8(kind)?;
    let bytes = reader.take(usize::from(count) * width as usize)?;
    (count != 0).then_some(RawSegment { kind, bytes, width })
}

/// The segments of a path of either width.
pub(crate) fn raw_segments(bytes: &[u8], width: Width) -> impl Iterator<Item = RawSegment<'_>> + Clone {
    let mut reader = Reader(bytes);
    std::iter::from_fn(move || next_segment(&mut reader, width))
}

/// Checks an AS_PATH or AS4_PATH (RFC 7606 §7.2, RFC 6793 §6, RFC 7607 §2). Returns whether it has
/// confederation segments, which the caller must judge.
pub(crate) fn check(bytes: &[u8], width: Width) -> Result<bool, FaultKind> {
    let mut reader = Reader(bytes);
    let mut confederation = false;
    let mut zero = false;
    while !reader.is_empty() {
        let segment = next_segment(&mut reader, width).ok_or(FaultKind::MalformedPath)?;
        confederation |= segment.kind.is_confederation();
        zero |= match width {
            Width::Two => segment.bytes.as_chunks::<2>().0.contains(&[0; 2]),
            Width::Four => segment.bytes.as_chunks::<4>().0.contains(&[0; 4]),
        };
    }
    if zero { Err(FaultKind::AsZero) } else { Ok(confederation) }
}

/// A path in wire form with 4-octet AS numbers, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AsPath<'a>(&'a [u8]);

/// One segment of a path.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    /// Its type.
    pub kind: SegmentKind,
    bytes: &'a [u8],
}

impl<'a> Segment<'a> {
    /// The AS numbers in the order of the wire.
    #[inline]
    pub fn asns(self) -> impl DoubleEndedIterator<Item = Asn> + ExactSizeIterator + Clone + 'a {
        words(self.bytes).map(Asn)
    }
}

impl<'a> AsPath<'a> {
    /// A path from its wire form; `None` if it is malformed (RFC 7606 §7.2).
    pub fn parse(bytes: &'a [u8]) -> Option<AsPath<'a>> {
        match check(bytes, Width::Four) {
            Ok(_) | Err(FaultKind::AsZero) => Some(AsPath(bytes)),
            Err(_) => None,
        }
    }

    /// A path from bytes that were checked before, as those of [`Canonical`](crate::attr::canonical::Canonical) attributes
    /// were. Others give wrong answers, nothing worse.
    #[inline]
    pub fn from_checked(bytes: &'a [u8]) -> AsPath<'a> {
        AsPath(bytes)
    }

    /// The wire form.
    #[inline]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether there is no AS in it, as for a route of our own AS.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The segments.
    #[inline]
    pub fn segments(self) -> impl Iterator<Item = Segment<'a>> + Clone + 'a {
        raw_segments(self.0, Width::Four).map(|s| Segment { kind: s.kind, bytes: s.bytes })
    }

    /// Every AS number of every segment in the order of the wire.
    pub fn asns(self) -> impl Iterator<Item = Asn> + Clone + 'a {
        self.segments().flat_map(|s| s.asns())
    }

    /// Whether the AS is in it: the loop check (RFC 4271 §9.1.2).
    pub fn contains(self, asn: Asn) -> bool {
        self.asns().any(|a| a == asn)
    }

    /// How often the AS is in it.
    pub fn count(self, asn: Asn) -> usize {
        self.asns().filter(|a| *a == asn).count()
    }

    /// The leftmost AS: who sent the route, if the path begins with a sequence (RFC 4271 §6.3).
    pub fn first_as(self) -> Option<Asn> {
        let first = self.segments().find(|s| !s.kind.is_confederation())?;
        if first.kind == SegmentKind::Sequence { first.asns().next() } else { None }
    }

    /// The rightmost AS: who originated the route; `None` where the path ends with a set.
    pub fn origin_as(self) -> Option<Asn> {
        let last = self.segments().last()?;
        if last.kind == SegmentKind::Sequence { last.asns().next_back() } else { None }
    }

    /// The length that the decision process compares: a set counts one, confederation segments nothing
    /// (RFC 4271 §9.1.2.2 a, RFC 5065 §5.3).
    pub fn decision_len(self) -> usize {
        raw_segments(self.0, Width::Four).map(RawSegment::decision_len).sum()
    }

    /// Whether it has an AS_SET or AS_CONFED_SET (RFC 9774).
    pub fn has_set(self) -> bool {
        self.segments().any(|s| matches!(s.kind, SegmentKind::Set | SegmentKind::ConfedSet))
    }
}

impl fmt::Display for AsPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, segment) in self.segments().enumerate() {
            let (open, close) = match segment.kind {
                SegmentKind::Sequence => ("", ""),
                SegmentKind::Set => ("{", "}"),
                SegmentKind::ConfedSequence => ("(", ")"),
                SegmentKind::ConfedSet => ("[", "]"),
            };
            if n > 0 {
                f.write_str(" ")?;
            }
            f.write_str(open)?;
            for (n, asn) in segment.asns().enumerate() {
                if n > 0 {
                    f.write_str(" ")?;
                }
                asn.fmt(f)?;
            }
            f.write_str(close)?;
        }
        Ok(())
    }
}

/// Appends segments to a path in wire form with 4-octet AS numbers. Sequences that follow each other
/// become one as long as it has room.
#[derive(Debug)]
pub(crate) struct SegmentWriter<'o> {
    out: &'o mut Vec<u8>,
    /// Where the count of the sequence that can still grow is.
    open: Option<usize>,
}

impl<'o> SegmentWriter<'o> {
    pub(crate) fn new(out: &'o mut Vec<u8>) -> SegmentWriter<'o> {
        SegmentWriter { out, open: None }
    }

    /// Appends an AS to the end of the path as part of a sequence.
    pub(crate) fn sequence(&mut self, asns: impl IntoIterator<Item = u32>) {
        for asn in asns {
            match self.open.and_then(|at| self.out.get_mut(at)) {
                Some(count) if *count < u8::MAX => *count += 1,
                _ => {
                    self.out.push(SegmentKind::Sequence as u8);
                    self.open = Some(self.out.len());
                    self.out.push(1);
                }
            }
            self.out.extend_from_slice(&asn.to_be_bytes());
        }
    }

    /// Appends a segment, of another type than sequence as it is. At most 255 AS numbers of it.
    pub(crate) fn segment(&mut self, kind: SegmentKind, asns: impl IntoIterator<Item = u32>) {
        if kind == SegmentKind::Sequence {
            return self.sequence(asns);
        }
        self.open = None;
        let start = self.out.len();
        self.out.extend_from_slice(&[kind as u8, 0]);
        let mut count = 0;
        for asn in asns.into_iter().take(usize::from(u8::MAX)) {
            self.out.extend_from_slice(&asn.to_be_bytes());
            count += 1;
        }
        match self.out.get_mut(start + 1) {
            Some(field) if count > 0 => *field = count,
            _ => self.out.truncate(start),
        }
    }
}

/// An owned path that can be built and changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct AsPathBuf(Vec<u8>);

impl AsPathBuf {
    /// An empty path.
    pub fn new() -> AsPathBuf {
        AsPathBuf::default()
    }

    /// The path of these ASes, the nearest first.
    pub fn sequence(asns: impl IntoIterator<Item = Asn>) -> AsPathBuf {
        let mut path = AsPathBuf::new();
        path.push(SegmentKind::Sequence, asns);
        path
    }

    /// Appends a segment to the far end. Long ones are split; an empty one is left out.
    pub fn push(&mut self, kind: SegmentKind, asns: impl IntoIterator<Item = Asn>) {
        let asns: Vec<u32> = asns.into_iter().map(|a| a.0).collect();
        for part in asns.chunks(usize::from(u8::MAX)) {
            SegmentWriter::new(&mut self.0).segment(kind, part.iter().copied());
        }
    }

    /// Puts an AS in front, `times` times (RFC 4271 §5.1.2).
    pub fn prepend(&mut self, asn: Asn, times: usize) {
        let mut out = Vec::with_capacity(self.0.len() + 4 * times + 2);
        prepend(&mut out, asn, times, self.as_path());
        self.0 = out;
    }

    /// The path to read.
    pub fn as_path(&self) -> AsPath<'_> {
        AsPath(&self.0)
    }
}

impl From<AsPath<'_>> for AsPathBuf {
    fn from(path: AsPath<'_>) -> AsPathBuf {
        AsPathBuf(path.0.to_vec())
    }
}

impl fmt::Display for AsPathBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_path().fmt(f)
    }
}

/// Appends the wire form of `path` with `asn` in front of it `times` times, which is how a path is sent
/// to an external peer (RFC 4271 §5.1.2 b). A new segment is made where the first is no sequence or has
/// no room.
pub fn prepend(out: &mut Vec<u8>, asn: Asn, times: usize, path: AsPath<'_>) {
    let mut left = times;
    let rest = match path.0 {
        [kind, count, rest @ ..] if *kind == SegmentKind::Sequence as u8 => {
            let room = usize::from(u8::MAX - count).min(left);
            left -= room;
            Some((room + usize::from(*count), room, rest))
        }
        _ => None,
    };
    while left > 0 {
        let n = left.min(usize::from(u8::MAX));
        out.extend_from_slice(&[SegmentKind::Sequence as u8, u8::try_from(n).unwrap_or(u8::MAX)]);
        out.extend(asn.0.to_be_bytes().into_iter().cycle().take(4 * n));
        left -= n;
    }
    match rest {
        Some((count, room, rest)) => {
            out.extend_from_slice(&[SegmentKind::Sequence as u8, u8::try_from(count).unwrap_or(u8::MAX)]);
            out.extend(asn.0.to_be_bytes().into_iter().cycle().take(4 * room));
            out.extend_from_slice(rest);
        }
        None => out.extend_from_slice(path.0),
    }
}

/// Appends the wire form of `path` with 2-octet AS numbers for an old speaker and returns whether an AS
/// number became AS_TRANS, so that an AS4_PATH must go along (RFC 6793 §4.2.2).
pub fn write_two_octet(out: &mut Vec<u8>, path: AsPath<'_>) -> bool {
    let mut translated = false;
    for segment in path.segments() {
        let asns = segment.asns();
        out.extend_from_slice(&[segment.kind as u8, u8::try_from(asns.len()).unwrap_or(u8::MAX)]);
        for asn in asns {
            translated |= asn.0 > u32::from(u16::MAX);
            out.extend_from_slice(&asn.to_two_octets().to_be_bytes());
        }
    }
    translated
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(segments: &[(SegmentKind, &[u32])]) -> AsPathBuf {
        let mut path = AsPathBuf::new();
        for (kind, asns) in segments {
            path.push(*kind, asns.iter().map(|a| Asn(*a)));
        }
        path
    }

    use SegmentKind::{ConfedSequence, ConfedSet, Sequence, Set};

    #[test]
    fn rfc4271_9_1_2_2_what_a_path_says() {
        // path, text, length, first, origin
        type Case = (AsPathBuf, &'static str, usize, Option<u32>, Option<u32>);
        let cases: [Case; 6] = [
            (path(&[]), "", 0, None, None),
            (path(&[(Sequence, &[65001, 65002])]), "65001 65002", 2, Some(65001), Some(65002)),
            (
                path(&[(Sequence, &[65001, 65002]), (Set, &[65003, 65004])]),
                "65001 65002 {65003 65004}",
                3,
                Some(65001),
                None,
            ),
            (path(&[(Set, &[1, 2]), (Sequence, &[3])]), "{1 2} 3", 2, None, Some(3)),
            (path(&[(ConfedSequence, &[64512]), (Sequence, &[7, 7])]), "(64512) 7 7", 2, Some(7), Some(7)),
            (path(&[(ConfedSet, &[64512, 64513])]), "[64512 64513]", 0, None, None),
        ];
        for (buf, text, len, first, origin) in cases {
            let p = buf.as_path();
            assert_eq!(p.to_string(), text);
            assert_eq!(p.decision_len(), len, "{text}");
            assert_eq!(p.first_as(), first.map(Asn), "{text}");
            assert_eq!(p.origin_as(), origin.map(Asn), "{text}");
            assert_eq!(AsPath::parse(p.as_bytes()), Some(p));
        }
    }

    #[test]
    fn rfc4271_5_1_2_prepending() {
        let mut p = path(&[(Sequence, &[65001])]);
        p.prepend(Asn(65000), 2);
        assert_eq!(p.to_string(), "65000 65000 65001");
        assert_eq!(p.as_path().segments().count(), 1);
        assert_eq!((p.as_path().count(Asn(65000)), p.as_path().contains(Asn(1))), (2, false));
        let mut p = path(&[(Set, &[1, 2])]);
        p.prepend(Asn(9), 1);
        assert_eq!(p.to_string(), "9 {1 2}");
        let mut p = AsPathBuf::new();
        p.prepend(Asn(9), 1);
        assert_eq!(p.to_string(), "9");
        // A segment of 255 has no room for more.
        let mut p = AsPathBuf::sequence((0..254).map(|_| Asn(5)));
        p.prepend(Asn(9), 3);
        assert_eq!(p.as_path().decision_len(), 257);
        assert_eq!(p.as_path().segments().map(|s| s.asns().len()).collect::<Vec<_>>(), [2, 255]);
        assert!(AsPath::parse(p.as_path().as_bytes()).is_some());
    }

    #[test]
    fn rfc6793_4_2_2_towards_an_old_speaker() {
        let p = path(&[(Sequence, &[65001, 200_000])]);
        let mut out = Vec::new();
        assert!(write_two_octet(&mut out, p.as_path()));
        assert_eq!(out, [2, 2, 0xfd, 0xe9, 0x5b, 0xa0]);
        assert!(!write_two_octet(&mut Vec::new(), AsPathBuf::sequence([Asn(1)]).as_path()));
    }

    #[test]
    fn rfc7606_7_2_malformed_paths() {
        let cases: [(&[u8], Width, Result<bool, FaultKind>); 10] = [
            (&[], Width::Four, Ok(false)),
            (&[2, 1, 0, 0, 0, 1], Width::Four, Ok(false)),
            (&[2, 1, 0, 1], Width::Two, Ok(false)),
            (&[3, 1, 0, 1], Width::Two, Ok(true)),
            (&[2, 1, 0, 1], Width::Four, Err(FaultKind::MalformedPath)),
            (&[2, 1, 0, 0, 0, 1, 2], Width::Four, Err(FaultKind::MalformedPath)),
            (&[2, 0], Width::Four, Err(FaultKind::MalformedPath)),
            (&[5, 1, 0, 0, 0, 1], Width::Four, Err(FaultKind::MalformedPath)),
            (&[2, 1, 0, 0, 0, 0], Width::Four, Err(FaultKind::AsZero)),
            (&[1, 2, 0, 1, 0, 0], Width::Two, Err(FaultKind::AsZero)),
        ];
        for (bytes, width, expected) in cases {
            assert_eq!(check(bytes, width), expected, "{bytes:?} {width:?}");
        }
    }
}
