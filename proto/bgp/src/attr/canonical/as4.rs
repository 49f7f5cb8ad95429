//! What a peer of 2-octet AS numbers says about longer ones: RFC 6793 §4.2.3.

use crate::aspath::{RawSegment, SegmentWriter, Width, raw_segments};
use crate::attr::{Attributes, code};
use crate::types::AS_TRANS;

/// The value of AS4_AGGREGATOR, where it replaces AGGREGATOR.
pub(super) fn aggregator<'a>(attributes: &Attributes<'a>) -> Option<&'a [u8]> {
    let two_octet = attributes.get(code::AGGREGATOR)?;
    attributes.get(code::AS4_AGGREGATOR).filter(|_| is_as_trans(two_octet))
}

fn is_as_trans(aggregator: &[u8]) -> bool {
    aggregator.first_chunk::<2>() == Some(&AS_TRANS.to_be_bytes())
}

/// The value of AS4_PATH, where it counts: not if AS4_AGGREGATOR came along with an AGGREGATOR of another
/// AS than AS_TRANS, which is by someone who didn't know of either.
fn as4_path<'a>(attributes: &Attributes<'a>) -> Option<&'a [u8]> {
    let stale = attributes.get(code::AS4_AGGREGATOR).is_some()
        && attributes.get(code::AGGREGATOR).is_some_and(|a| !is_as_trans(a));
    attributes.get(code::AS4_PATH).filter(|_| !stale)
}

fn decision_len<'a>(segments: impl Iterator<Item = RawSegment<'a>>) -> usize {
    segments.map(RawSegment::decision_len).sum()
}

/// Appends the path that `as_path` (2-octet) and AS4_PATH give together, in wire form with 4 octets.
pub(super) fn write_path(attributes: &Attributes<'_>, as_path: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let old = || raw_segments(as_path, Width::Two);
    if let Some(as4_path) = as4_path(attributes) {
        // Confederation segments in AS4_PATH are discarded (§6).
        let new = || raw_segments(as4_path, Width::Four).filter(|s| !s.kind.is_confederation());
        if let Some(leading) = decision_len(old()).checked_sub(decision_len(new())) {
            let mut writer = SegmentWriter::new(out);
            write_leading(&mut writer, old(), leading);
            for segment in new() {
                writer.segment(segment.kind, segment.asns());
            }
            if out.len() - start <= usize::from(u16::MAX) {
                return;
            }
            // Together they are longer than an attribute can be: take what the peer itself says.
            out.truncate(start);
        }
    }
    for segment in old() {
        out.extend_from_slice(&[segment.kind as u8, u8::try_from(segment.len()).unwrap_or(u8::MAX)]);
        segment.asns().for_each(|asn| out.extend_from_slice(&asn.to_be_bytes()));
    }
}

/// Appends as many AS numbers and segments of the front as make up a length of `leading`.
fn write_leading<'a>(
    writer: &mut SegmentWriter<'_>,
    segments: impl Iterator<Item = RawSegment<'a>>,
    leading: usize,
) {
    let mut left = leading;
    for segment in segments {
        // Confederation segments count nothing: the leading one, and those next to what is taken, go
        // along.
        let len = segment.decision_len();
        if left == 0 && len > 0 {
            break;
        }
        let take = if len > left { left } else { segment.len() };
        writer.segment(segment.kind, segment.asns().take(take));
        left = left.saturating_sub(len);
    }
}
