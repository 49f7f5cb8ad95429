//! From the attributes of an UPDATE to canonical form.

use super::{Canonical, Summary, as4};
use crate::attr::{Attributes, RawAttribute, code, flags, write_attribute, write_head};
use crate::update::ReadContext;

/// Appends the attributes of an UPDATE in canonical form and returns what they say in short.
///
/// `attributes` are those that [`update::parse`](crate::update::parse) accepted with the same `ctx`. They
/// are sorted by type code already, so that for most this copies and looks at each octet once. Of a known
/// attribute the flags become those of its RFC; the Partial flag of an optional transitive one stays, as
/// nobody may clear it (RFC 4271 §5). Unknown attributes stay as they are, without those that are not
/// transitive.
pub fn write(attributes: &Attributes<'_>, ctx: &ReadContext, out: &mut Vec<u8>) -> Summary {
    let mut summary = Summary::default();
    out.reserve(attributes.iter().map(|a| a.value.len() + 4).sum());
    for attribute in attributes.iter() {
        let Some(flags) = canonical_flags(attribute) else { continue };
        let start = out.len();
        // Most heads have three octets; one with a longer value is moved when that is known.
        match attribute.code {
            code::AS_PATH if !ctx.four_octet_as => {
                write_head(out, flags, attribute.code, 0);
                as4::write_path(attributes, attribute.value, out);
                finish(out, start);
            }
            code::AGGREGATOR if !ctx.four_octet_as => {
                write_head(out, flags, attribute.code, 8);
                match as4::aggregator(attributes) {
                    Some(value) => out.extend_from_slice(value),
                    None => {
                        out.extend_from_slice(&[0, 0]);
                        out.extend_from_slice(attribute.value);
                    }
                }
            }
            code::COMMUNITIES => write_set::<4>(out, flags, attribute),
            code::EXTENDED_COMMUNITIES => write_set::<8>(out, flags, attribute),
            code::LARGE_COMMUNITY => write_set::<12>(out, flags, attribute),
            code::IPV6_EXTENDED_COMMUNITIES => write_set::<20>(out, flags, attribute),
            _ => write_attribute(out, flags, attribute.code, attribute.value),
        }
        note(&mut summary, out, start);
    }
    summary
}

/// Adds an attribute that is not there yet to those in canonical form from `start` on, at its place in the
/// order, and notes it in their summary.
pub fn insert(out: &mut Vec<u8>, start: usize, summary: &mut Summary, flags: u8, code: u8, value: &[u8]) {
    let head = |len: usize| if len > usize::from(u8::MAX) { 4 } else { 3 };
    let attributes = Canonical::new(out.get(start..).unwrap_or_default());
    let before = attributes.iter().take_while(|a| a.code < code).map(|a| head(a.value.len()) + a.value.len());
    let (at, end) = (start + before.sum::<usize>(), out.len());
    write_attribute(out, flags, code, value);
    summary.note(code, value);
    let added = out.len() - end;
    if let Some(behind) = out.get_mut(at..) {
        behind.rotate_right(added);
    }
}

/// The flags of an attribute in canonical form; `None` for one that is not in it.
#[inline]
fn canonical_flags(a: &RawAttribute<'_>) -> Option<u8> {
    match a.code {
        code::NEXT_HOP
        | code::MP_REACH_NLRI
        | code::MP_UNREACH_NLRI
        | code::AS4_PATH
        | code::AS4_AGGREGATOR => None,
        _ => match code::specified_flags(a.code) {
            Some(flags::OPTIONAL_TRANSITIVE) => Some(flags::OPTIONAL_TRANSITIVE | a.flags & flags::PARTIAL),
            Some(specified) => Some(specified),
            None if a.flags & flags::TRANSITIVE != 0 => {
                Some(flags::OPTIONAL_TRANSITIVE | a.flags & flags::PARTIAL)
            }
            None => None,
        },
    }
}

/// Appends an attribute whose value is a set of `N` octets each: sorted, each once.
#[inline]
fn write_set<const N: usize>(out: &mut Vec<u8>, flags: u8, attribute: &RawAttribute<'_>) {
    let (items, _) = attribute.value.as_chunks::<N>();
    if items.is_sorted_by(|a, b| a < b) {
        return write_attribute(out, flags, attribute.code, attribute.value);
    }
    let start = out.len();
    write_head(out, flags, attribute.code, 0);
    let value_at = out.len();
    out.extend_from_slice(items.as_flattened());
    let (items, _) = out.get_mut(value_at..).unwrap_or_default().as_chunks_mut::<N>();
    items.sort_unstable();
    let kept = dedup(items);
    out.truncate(value_at + kept * N);
    finish(out, start);
}

/// Moves the different ones of sorted items to the front and returns how many there are.
fn dedup<const N: usize>(items: &mut [[u8; N]]) -> usize {
    let mut kept = 0;
    let mut last = None;
    for at in 0..items.len() {
        let Some(&item) = items.get(at) else { break };
        if last != Some(item) {
            if let Some(slot) = items.get_mut(kept) {
                *slot = item;
            }
            kept += 1;
            last = Some(item);
        }
    }
    kept
}

/// Puts the length into the attribute at `start` whose head has three octets, and makes room for a second
/// octet of length where it needs one.
#[inline]
fn finish(out: &mut Vec<u8>, start: usize) {
    let len = out.len() - start - 3;
    let Ok(short) = u8::try_from(len) else {
        let [high, low] = u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes();
        out.insert(start + 3, low);
        if let Some([flags, _, field, ..]) = out.get_mut(start..) {
            *flags |= flags::EXTENDED;
            *field = high;
        }
        return;
    };
    if let Some(field) = out.get_mut(start + 2) {
        *field = short;
    }
}

#[inline]
fn note(summary: &mut Summary, out: &[u8], start: usize) {
    if let Some([flags, code, rest @ ..]) = out.get(start..) {
        let head = if flags & flags::EXTENDED == 0 { 1 } else { 2 };
        summary.note(*code, rest.get(head..).unwrap_or_default());
    }
}
