//! RFC 7606 as one table: each attribute with every length, every wrong combination of flags, twice, longer than its
//! field, cut off, and in an UPDATE without prefixes; and the verdict of each.

use bgp::attr::{code, flags};
use bgp::error::{FaultKind as K, Verdict as V};
use bgp::update::{ReadContext, parse, read};

use crate::support::*;

/// Which lengths an attribute can have.
#[derive(Debug, Clone, Copy)]
enum Lengths {
    Exactly(usize),
    /// Not 0.
    MultipleOf(usize),
    Any,
}

impl Lengths {
    fn allow(self, len: usize) -> bool {
        match self {
            Lengths::Exactly(n) => len == n,
            Lengths::MultipleOf(n) => len > 0 && len.is_multiple_of(n),
            Lengths::Any => true,
        }
    }
}

/// What the RFCs say of an attribute from a kind of peer.
struct Rule {
    section: &'static str,
    code: u8,
    ctx: ReadContext,
    flags: u8,
    lengths: Lengths,
    /// With another length, or other flags.
    length: V,
    wrong_flags: V,
    /// The peer must not send it at all: whatever it looks like, it is discarded.
    unwanted: Option<K>,
}

const WELL_KNOWN: u8 = flags::WELL_KNOWN;
const TRANSITIVE: u8 = flags::OPTIONAL_TRANSITIVE;
const NON_TRANSITIVE: u8 = flags::OPTIONAL_NON_TRANSITIVE;

/// Every attribute but AS_PATH, AS4_PATH and those of RFC 4760, whose contents have rules of their own.
fn rules() -> Vec<Rule> {
    use Lengths::{Any, Exactly, MultipleOf};
    let (e, i, old) = (external(), internal(), two_octet());
    let rule = |section, code, ctx, flags, lengths, length| Rule {
        section,
        code,
        ctx,
        flags,
        lengths,
        length,
        wrong_flags: V::TreatAsWithdraw,
        unwanted: None,
    };
    let unwanted = |section, code, ctx, flags, kind| Rule {
        length: V::Discard,
        wrong_flags: V::Discard,
        unwanted: Some(kind),
        ..rule(section, code, ctx, flags, Any, V::Discard)
    };
    let withdraw = V::TreatAsWithdraw;
    vec![
        rule("7.1", code::ORIGIN, e, WELL_KNOWN, Exactly(1), withdraw),
        rule("7.3", code::NEXT_HOP, e, WELL_KNOWN, Exactly(4), withdraw),
        rule("7.4", code::MULTI_EXIT_DISC, e, NON_TRANSITIVE, Exactly(4), withdraw),
        rule("7.5 internal", code::LOCAL_PREF, i, WELL_KNOWN, Exactly(4), withdraw),
        unwanted("7.5 external", code::LOCAL_PREF, e, WELL_KNOWN, K::FromExternalPeer),
        rule("7.6", code::ATOMIC_AGGREGATE, e, WELL_KNOWN, Exactly(0), V::Discard),
        rule("7.7", code::AGGREGATOR, e, TRANSITIVE, Exactly(8), V::Discard),
        rule("7.7 2-octet AS", code::AGGREGATOR, old, TRANSITIVE, Exactly(6), V::Discard),
        rule("7.8", code::COMMUNITIES, e, TRANSITIVE, MultipleOf(4), withdraw),
        rule("7.9 internal", code::ORIGINATOR_ID, i, NON_TRANSITIVE, Exactly(4), withdraw),
        unwanted("7.9 external", code::ORIGINATOR_ID, e, NON_TRANSITIVE, K::FromExternalPeer),
        rule("7.10 internal", code::CLUSTER_LIST, i, NON_TRANSITIVE, MultipleOf(4), withdraw),
        unwanted("7.10 external", code::CLUSTER_LIST, e, NON_TRANSITIVE, K::FromExternalPeer),
        rule("7.14", code::EXTENDED_COMMUNITIES, e, TRANSITIVE, MultipleOf(8), withdraw),
        rule("7.15", code::IPV6_EXTENDED_COMMUNITIES, e, TRANSITIVE, MultipleOf(20), withdraw),
        rule("RFC 6793 6", code::AS4_AGGREGATOR, old, TRANSITIVE, Exactly(8), V::Discard),
        unwanted("RFC 6793 6 new", code::AS4_AGGREGATOR, e, TRANSITIVE, K::FromNewSpeaker),
        unwanted("RFC 6793 6 new", code::AS4_PATH, e, TRANSITIVE, K::FromNewSpeaker),
        rule("RFC 8092 6", code::LARGE_COMMUNITY, e, TRANSITIVE, MultipleOf(12), withdraw),
        rule("RFC 9234 5", code::ONLY_TO_CUSTOMER, e, TRANSITIVE, Exactly(4), withdraw),
        // What an unknown attribute may look like is not known.
        Rule { wrong_flags: V::Accept, ..rule("RFC 4271 5", 77, e, TRANSITIVE, Any, V::Accept) },
    ]
}

impl Rule {
    /// An attribute with a right value; octets of 1 are right everywhere.
    fn right(&self) -> Vec<u8> {
        match self.lengths {
            Lengths::Exactly(n) | Lengths::MultipleOf(n) => vec![1; n],
            Lengths::Any => vec![1; 4],
        }
    }

    /// The UPDATE with this attribute in its place.
    fn update(&self, flags: u8, value: &[u8], prefix: &[u8]) -> Vec<u8> {
        body(&[], &wire(&with(&self.ctx, (flags, self.code, value))), prefix)
    }

    /// Asserts the verdict, and that the fault of that strength names the attribute and this kind.
    fn check(&self, what: &str, body: &[u8], verdict: V, kind: K) {
        let update = match read(body, &self.ctx) {
            Ok(update) => update,
            Err(fault) => {
                assert_eq!(
                    (fault.verdict, verdict),
                    (V::Reset, V::Reset),
                    "{} {what}: {fault}",
                    self.section
                );
                assert_eq!(parse(body, &self.ctx).unwrap_err(), fault.notification(body));
                return;
            }
        };
        assert_eq!(update.verdict, verdict, "{} {what}: {:?}", self.section, update.faults);
        if verdict != V::Accept {
            let fault = update.faults.iter().find(|f| f.verdict == verdict).unwrap();
            assert_eq!((fault.code, fault.kind), (self.code, kind), "{} {what}", self.section);
            assert_eq!(fault.bytes(body).get(1), Some(&self.code), "the attribute itself is shown");
        }
        // Whatever follows, the prefix is found: it is announced or withdrawn, never left as it was.
        assert_eq!(update.announced.count(), 1, "{} {what}", self.section);
    }
}

#[test]
fn rfc7606_7_every_length_of_every_attribute() {
    for rule in rules() {
        for len in 0..=64 {
            let bytes = rule.update(rule.flags, &vec![1; len], PREFIX);
            let what = format!("of {len} octets");
            match rule.unwanted {
                Some(kind) => rule.check(&what, &bytes, V::Discard, kind),
                None if rule.lengths.allow(len) => rule.check(&what, &bytes, V::Accept, K::Length),
                None => rule.check(&what, &bytes, rule.length, K::Length),
            }
        }
    }
}

#[test]
fn rfc7606_3c_every_combination_of_flags_of_every_attribute() {
    for rule in rules() {
        for given in 0..=u8::MAX {
            // The length is written by its own flag.
            let given = given & !flags::EXTENDED;
            let bytes = rule.update(given, &rule.right(), PREFIX);
            let what = format!("with flags {given:#x}");
            let same = given & TRANSITIVE == rule.flags;
            match rule.unwanted {
                Some(kind) => rule.check(&what, &bytes, V::Discard, kind),
                // Partial and the unused bits say nothing (RFC 4271 §4.3).
                None if same => rule.check(&what, &bytes, V::Accept, K::Flags),
                // Well-known and not known (RFC 4271 §6.3).
                None if rule.code == 77 && given & flags::OPTIONAL == 0 => {
                    rule.check(&what, &bytes, V::Reset, K::UnrecognizedWellKnown);
                }
                None => rule.check(&what, &bytes, rule.wrong_flags, K::Flags),
            }
        }
    }
}

/// RFC 4271 §4.3: two octets of length may also hold a small one.
#[test]
fn rfc4271_4_3_extended_length_of_every_attribute() {
    for rule in rules().into_iter().filter(|r| r.unwanted.is_none()) {
        let value = rule.right();
        let others: Vec<_> = mandatory(&rule.ctx).into_iter().filter(|a| a.1 != rule.code).collect();
        let head = [rule.flags | flags::EXTENDED, rule.code, 0, u8::try_from(value.len()).unwrap()];
        let bytes = body(&[], &[&wire(&others)[..], &head, &value].concat(), PREFIX);
        rule.check("with two octets of length", &bytes, V::Accept, K::Length);
    }
}

#[test]
fn rfc7606_3g_every_attribute_twice() {
    for rule in rules() {
        let value = rule.right();
        for second in [value.clone(), vec![1; 61]] {
            let mut list = with(&rule.ctx, (rule.flags, rule.code, &value));
            list.push((rule.flags, rule.code, &second));
            let bytes = body(&[], &wire(&list), PREFIX);
            let kind = rule.unwanted.unwrap_or(K::Duplicate);
            rule.check("twice", &bytes, V::Discard, kind);
            let update = parse(&bytes, &rule.ctx).unwrap();
            assert_eq!(update.faults.last().map(|f| f.kind), Some(K::Duplicate));
            let first = rule.unwanted.is_none().then_some(value.as_slice());
            assert_eq!(update.attributes.get(rule.code), first, "the first counts");
        }
    }
}

#[test]
fn rfc7606_4_every_attribute_longer_than_what_is_left() {
    for rule in rules() {
        let others: Vec<_> = mandatory(&rule.ctx).into_iter().filter(|a| a.1 != rule.code).collect();
        for (what, head, kind) in [
            ("overrun", &[rule.flags, rule.code, 60][..], Some(K::Overrun)),
            (
                "overrun, two octets",
                &[rule.flags | flags::EXTENDED, rule.code, 0xff, 0xff][..],
                Some(K::Overrun),
            ),
            ("without length", &[rule.flags, rule.code][..], None),
            ("half a length", &[rule.flags | flags::EXTENDED, rule.code, 0][..], None),
        ] {
            let tail = if kind.is_some() { [head, &rule.right()].concat() } else { head.to_vec() };
            let bytes = body(&[], &[wire(&others), tail].concat(), PREFIX);
            match kind {
                Some(kind) => rule.check(what, &bytes, V::TreatAsWithdraw, kind),
                None => {
                    let update = parse(&bytes, &rule.ctx).unwrap();
                    let faults: Vec<_> = update.faults.iter().map(|f| (f.code, f.kind)).collect();
                    assert_eq!((update.verdict, faults), (V::TreatAsWithdraw, vec![(0, K::Truncated)]));
                    assert_eq!(update.announced.count(), 1);
                }
            }
        }
    }
}

/// Nothing less than a reset is safe where no prefix was found; attributes that are only discarded do no harm.
#[test]
fn rfc7606_5_2_every_attribute_without_a_prefix() {
    for rule in rules() {
        for (what, given, value) in [
            ("length", rule.flags, vec![1; 61]),
            ("flags", rule.flags ^ flags::TRANSITIVE, rule.right()),
            ("nothing", rule.flags, rule.right()),
        ] {
            let with_prefix = read(&rule.update(given, &value, PREFIX), &rule.ctx).unwrap().verdict;
            let bytes = rule.update(given, &value, &[]);
            let expected = if with_prefix == V::TreatAsWithdraw { V::Reset } else { with_prefix };
            let got = read(&bytes, &rule.ctx).map_or_else(|fault| fault.verdict, |update| update.verdict);
            assert_eq!(got, expected, "{} {what}", rule.section);
        }
    }
}
