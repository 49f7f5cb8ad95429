//! RFC 7606: every malformation and its verdict. The comment or the name of each case is its section.

use bgp::error::FaultKind as K;
use bgp::error::Verdict;
use bgp::update::{ReadContext, parse};
use bgp::{Afi, Family, FamilySet, NextHop, Safi};

use crate::support::*;

/// What an UPDATE with one malformation leads to.
#[derive(Debug, PartialEq)]
enum Outcome {
    Accept,
    Discard(u8, K),
    Withdraw(u8, K),
    Reset(u8),
}
use Outcome::{Accept, Discard, Reset, Withdraw};

fn outcome(body: &[u8], ctx: &ReadContext) -> Outcome {
    match parse(body, ctx) {
        Err(n) => {
            assert_eq!(n.code, 3);
            Reset(n.subcode)
        }
        Ok(update) => {
            let worst = update.faults.iter().find(|f| f.verdict == update.verdict);
            match (update.verdict, worst) {
                (Verdict::Accept, None) => Accept,
                (Verdict::Discard, Some(f)) => {
                    assert_eq!(update.attributes.get(f.code), None, "discarded attributes are not there");
                    Discard(f.code, f.kind)
                }
                (Verdict::TreatAsWithdraw, Some(f)) => Withdraw(f.code, f.kind),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn rfc7606_7_every_attribute_and_malformation() {
    let (e, i, old) = (external(), internal(), two_octet());
    let path = |b: &'static [u8]| (0x40, 2, b);
    let cases: Vec<(&str, ReadContext, Raw<'_>, Outcome)> = vec![
        ("7.1 length", e, (0x40, 1, &[0, 0]), Withdraw(1, K::Length)),
        ("7.1 empty", e, (0x40, 1, &[]), Withdraw(1, K::Length)),
        ("7.1 value", e, (0x40, 1, &[3]), Withdraw(1, K::UndefinedOrigin)),
        ("7.1 EGP", e, (0x40, 1, &[1]), Accept),
        ("7.2 overrun", e, path(&[2, 2, 0, 0, 0, 1]), Withdraw(2, K::MalformedPath)),
        ("7.2 underrun", e, path(&[2, 1, 0, 0, 0, 1, 2]), Withdraw(2, K::MalformedPath)),
        ("7.2 zero length", e, path(&[2, 0]), Withdraw(2, K::MalformedPath)),
        ("7.2 segment type", e, path(&[9, 1, 0, 0, 0, 1]), Withdraw(2, K::MalformedPath)),
        ("7.2 two octets", old, path(&[2, 1, 0, 1]), Accept),
        ("7.2 four octets", old, path(&[2, 1, 0, 0, 0, 1]), Withdraw(2, K::MalformedPath)),
        ("RFC 4271 5.1.2 empty", i, path(&[]), Accept),
        ("RFC 5065 5", e, path(&[3, 1, 0, 0, 0, 1]), Withdraw(2, K::ConfederationSegment)),
        ("RFC 5065 5 set", i, path(&[4, 1, 0, 0, 0, 1]), Withdraw(2, K::ConfederationSegment)),
        ("RFC 7607 2", e, path(&[2, 2, 0, 0, 0, 1, 0, 0, 0, 0]), Withdraw(2, K::AsZero)),
        ("RFC 7607 2 old", old, path(&[2, 2, 0, 1, 0, 0]), Withdraw(2, K::AsZero)),
        ("7.3", e, (0x40, 3, &[192, 0, 2]), Withdraw(3, K::Length)),
        ("RFC 4271 6.3 0/8", e, (0x40, 3, &[0, 0, 0, 0]), Withdraw(3, K::InvalidNextHop)),
        ("RFC 4271 6.3 multicast", e, (0x40, 3, &[224, 0, 0, 1]), Withdraw(3, K::InvalidNextHop)),
        ("RFC 4271 6.3 class E", e, (0x40, 3, &[255; 4]), Withdraw(3, K::InvalidNextHop)),
        ("7.4", e, (0x80, 4, &[0, 0, 1]), Withdraw(4, K::Length)),
        ("7.5 internal", i, (0x40, 5, &[0, 0, 1]), Withdraw(5, K::Length)),
        ("7.5 external", e, (0x40, 5, &[0, 0, 0, 1]), Discard(5, K::FromExternalPeer)),
        ("7.5 external, length", e, (0x40, 5, &[1]), Discard(5, K::FromExternalPeer)),
        ("7.5 external, flags", e, (0xc0, 5, &[0, 0, 0, 1]), Discard(5, K::FromExternalPeer)),
        ("7.6", e, (0x40, 6, &[0]), Discard(6, K::Length)),
        ("7.6 right", e, (0x40, 6, &[]), Accept),
        ("7.7 old", old, (0xc0, 7, &[0, 1, 192, 0, 2, 1]), Accept),
        ("7.7 old, 8", old, (0xc0, 7, &[0, 0, 0, 1, 192, 0, 2, 1]), Discard(7, K::Length)),
        ("7.7 new", e, (0xc0, 7, &[0, 0, 0, 1, 192, 0, 2, 1]), Accept),
        ("7.7 new, 6", e, (0xc0, 7, &[0, 1, 192, 0, 2, 1]), Discard(7, K::Length)),
        ("RFC 7607 2 aggregator", e, (0xc0, 7, &[0, 0, 0, 0, 1, 2, 3, 4]), Discard(7, K::AsZero)),
        ("7.8", e, (0xc0, 8, &[0, 1, 0]), Withdraw(8, K::Length)),
        ("7.8 empty", e, (0xc0, 8, &[]), Withdraw(8, K::Length)),
        ("7.9 internal", i, (0x80, 9, &[1, 2, 3]), Withdraw(9, K::Length)),
        ("7.9 external", e, (0x80, 9, &[1, 2, 3]), Discard(9, K::FromExternalPeer)),
        ("7.10 internal", i, (0x80, 10, &[1, 2, 3, 4, 5]), Withdraw(10, K::Length)),
        ("7.10 internal, empty", i, (0x80, 10, &[]), Withdraw(10, K::Length)),
        ("7.10 external", e, (0x80, 10, &[1, 2, 3, 4]), Discard(10, K::FromExternalPeer)),
        ("7.14", e, (0xc0, 16, &[0; 9]), Withdraw(16, K::Length)),
        ("7.14 unknown type", e, (0xc0, 16, &[0x3f; 8]), Accept),
        ("RFC 6793 6 from new", e, (0xc0, 17, &[2, 1, 0, 0, 0, 1]), Discard(17, K::FromNewSpeaker)),
        ("RFC 6793 6 short", old, (0xc0, 17, &[2, 0]), Discard(17, K::Length)),
        ("RFC 6793 6 odd", old, (0xc0, 17, &[2, 1, 0, 0, 0, 1, 0]), Discard(17, K::Length)),
        ("RFC 6793 6 segment", old, (0xc0, 17, &[2, 2, 0, 0, 0, 1]), Discard(17, K::MalformedPath)),
        ("RFC 6793 6 type", old, (0xc0, 17, &[7, 1, 0, 0, 0, 1]), Discard(17, K::MalformedPath)),
        ("RFC 6793 6 confederation", old, (0xc0, 17, &[3, 1, 0, 0, 0, 1]), Accept),
        ("RFC 7607 2 AS4_PATH", old, (0xc0, 17, &[2, 1, 0, 0, 0, 0]), Discard(17, K::AsZero)),
        ("RFC 6793 6 aggregator", old, (0xc0, 18, &[0; 6]), Discard(18, K::Length)),
        ("RFC 7607 2 AS4_AGGREGATOR", old, (0xc0, 18, &[0, 0, 0, 0, 1, 2, 3, 4]), Discard(18, K::AsZero)),
        ("RFC 6793 6 aggregator from new", e, (0xc0, 18, &[0; 8]), Discard(18, K::FromNewSpeaker)),
        ("7.15", e, (0xc0, 25, &[0; 19]), Withdraw(25, K::Length)),
        ("7.15 right", e, (0xc0, 25, &[0; 40]), Accept),
        ("RFC 8092 6", e, (0xc0, 32, &[0; 8]), Withdraw(32, K::Length)),
        ("RFC 8092 6 empty", e, (0xc0, 32, &[]), Withdraw(32, K::Length)),
        ("RFC 8092 6 duplicates", e, (0xc0, 32, &[7; 24]), Accept),
        ("RFC 9234 5", e, (0xc0, 35, &[0, 1]), Withdraw(35, K::Length)),
        ("RFC 4271 6.3 well-known", e, (0x40, 77, &[1]), Reset(2)),
        ("RFC 4271 5 unknown transitive", e, (0xc0, 77, &[1]), Accept),
        ("RFC 4271 5 unknown non-transitive", e, (0x80, 77, &[1]), Accept),
    ];
    for (name, ctx, attribute, expected) in cases {
        let bytes = body(&[], &wire(&with(&ctx, attribute)), PREFIX);
        assert_eq!(outcome(&bytes, &ctx), expected, "{name}");
    }
}

#[test]
fn rfc7606_3c_flags() {
    // Every known attribute with each wrong combination of Optional and Transitive.
    let ctx = ReadContext { four_octet_as: false, ..internal() };
    let values: [(u8, &[u8]); 14] = [
        (1, &[0]),
        (2, &[2, 1, 0, 1]),
        (3, &[192, 0, 2, 1]),
        (4, &[0; 4]),
        (5, &[0; 4]),
        (6, &[]),
        (7, &[0, 1, 192, 0, 2, 1]),
        (8, &[0; 4]),
        (9, &[1; 4]),
        (10, &[1; 4]),
        (16, &[0; 8]),
        (17, &[2, 1, 0, 0, 0, 1]),
        (32, &[0; 12]),
        (35, &[0, 0, 0, 1]),
    ];
    for (code, value) in values {
        let right = bgp::attr::code::specified_flags(code).unwrap();
        for flags in [0, 0x40, 0x80, 0xc0] {
            let bytes = body(&[], &wire(&with(&ctx, (flags, code, value))), PREFIX);
            let expected = if flags == right { Accept } else { Withdraw(code, K::Flags) };
            assert_eq!(outcome(&bytes, &ctx), expected, "attribute {code} flags {flags:#x}");
            // Partial, Extended Length and the unused bits are none of its business.
            if flags == right {
                let bytes = body(&[], &wire(&with(&ctx, (flags | 0x2f, code, value))), PREFIX);
                assert_eq!(outcome(&bytes, &ctx), Accept, "attribute {code} partial");
            }
        }
    }
}

#[test]
fn rfc7606_3b_lengths_of_fields() {
    let cases: [(&[u8], bool); 7] = [
        (&[], false),
        (&[0, 0, 0], false),
        (&[0, 1, 0, 0], false),
        (&[0, 0, 0, 1], false),
        (&[0, 2, 8, 10, 0], false),
        (&[0, 0, 0, 0], true),
        (&[0, 2, 8, 10, 0, 0], true),
    ];
    for (bytes, accepted) in cases {
        let expected = if accepted { Accept } else { Reset(1) };
        assert_eq!(outcome(bytes, &external()), expected, "{bytes:?}");
    }
}

#[test]
fn rfc7606_3d_missing_mandatory_attributes() {
    for ctx in [external(), internal()] {
        let all = mandatory(&ctx);
        for missing in [1, 2, 3, 5] {
            let list: Vec<_> = all.iter().copied().filter(|a| a.1 != missing).collect();
            let expected = if list.len() == all.len() { Accept } else { Withdraw(missing, K::Missing) };
            assert_eq!(outcome(&body(&[], &wire(&list), PREFIX), &ctx), expected, "{missing}");
            // RFC 4760 §3: NEXT_HOP is not needed for MP_REACH_NLRI; nothing is without prefixes.
            let mp = [&[MP_REACH], &list[..]].concat();
            let expected = if missing == 3 { Accept } else { expected };
            assert_eq!(outcome(&body(&[], &wire(&mp), &[]), &ctx), expected, "{missing} with MP_REACH");
            assert_eq!(outcome(&body(PREFIX, &wire(&list), &[]), &ctx), Accept, "{missing}, no prefix");
        }
    }
}

#[test]
fn rfc7606_3g_duplicates() {
    let ctx = external();
    // The first counts, malformed or not.
    let list = [&mandatory(&ctx)[..], &[(0x80, 4, &[0, 0, 0, 7]), (0x80, 4, &[0, 0, 0, 9])]].concat();
    let bytes = body(&[], &wire(&list), PREFIX);
    let update = parse(&bytes, &ctx).unwrap();
    assert_eq!(update.verdict, Verdict::Discard);
    assert_eq!((update.faults[0].code, update.faults[0].kind), (4, K::Duplicate));
    assert_eq!(update.attributes.get(4), Some(&[0, 0, 0, 7][..]));
    // Unrecognised ones as well, and one fault however often they come.
    let mut list = mandatory(&ctx);
    list.extend([(0xc0, 99, &[1][..]); 500]);
    let bytes = body(&[], &wire(&list), PREFIX);
    let update = parse(&bytes, &ctx).unwrap();
    assert_eq!((update.faults.len(), update.faults[0].kind), (1, K::Duplicate));
    for twice in [MP_REACH, MP_UNREACH] {
        let list = [&[twice], &mandatory(&ctx)[..], &[twice]].concat();
        assert_eq!(outcome(&body(&[], &wire(&list), PREFIX), &ctx), Reset(1));
    }
}

#[test]
fn rfc7606_3h_the_strongest_verdict_counts() {
    let ctx = external();
    let list = [&mandatory(&ctx)[..], &[(0x40, 6, &[1]), (0xc0, 8, &[1]), (0x40, 5, &[0; 4])]].concat();
    let bytes = body(&[], &wire(&list), PREFIX);
    let update = parse(&bytes, &ctx).unwrap();
    assert_eq!(update.verdict, Verdict::TreatAsWithdraw);
    let verdicts: Vec<_> = update.faults.iter().map(|f| (f.code, f.verdict)).collect();
    let (d, w) = (Verdict::Discard, Verdict::TreatAsWithdraw);
    assert_eq!(verdicts, [(6, d), (8, w), (5, d)]);
    // The offending attribute can be shown as it came.
    assert_eq!(update.faults[1].bytes(&bytes), [0xc0, 8, 1, 1]);
    assert_eq!(update.faults[1].to_string(), "COMMUNITIES: attribute length");
    assert_eq!(update.announced.ipv4().count(), 1, "the prefixes to withdraw");
}

#[test]
fn rfc7606_4_attributes_longer_than_their_field() {
    let ctx = external();
    let good = wire(&mandatory(&ctx));
    let tails: [(&[u8], Outcome); 7] = [
        (&[0x80], Withdraw(0, K::Truncated)),
        (&[0x80, 4], Withdraw(0, K::Truncated)),
        (&[0x90, 4, 0], Withdraw(0, K::Truncated)),
        (&[0x80, 4, 4, 0, 0, 0], Withdraw(4, K::Overrun)),
        (&[0x90, 4, 0xff, 0xff, 1], Withdraw(4, K::Overrun)),
        // The prefixes in it can't be found: §3 j.
        (&[0x80, 14, 30, 0, 2, 1], Reset(9)),
        (&[0x80, 15, 30, 0, 2, 1], Reset(9)),
    ];
    for (tail, expected) in tails {
        let bytes = body(&[], &[&good[..], tail].concat(), PREFIX);
        assert_eq!(outcome(&bytes, &ctx), expected, "{tail:?}");
        if matches!(expected, Withdraw(..)) {
            let update = parse(&bytes, &ctx).unwrap();
            assert_eq!(update.faults.last().unwrap().bytes(&bytes), tail);
            // The prefixes are found by the lengths of the fields.
            assert_eq!(update.announced.ipv4().count(), 1);
        }
    }
}

#[test]
fn rfc7606_5_2_an_error_without_prefixes_resets() {
    let ctx = external();
    let subcodes: [(Raw<'_>, u8); 7] = [
        ((0x40, 1, &[9]), 6),
        ((0x40, 1, &[0, 0]), 5),
        ((0x80, 1, &[0]), 4),
        ((0x40, 2, &[2, 0]), 11),
        ((0xc0, 8, &[1]), 5),
        ((0x40, 3, &[1]), 5),
        ((0x40, 2, &[3, 1, 0, 0, 0, 1]), 11),
    ];
    for (attribute, subcode) in subcodes {
        let attributes = wire(&with(&ctx, attribute));
        assert_eq!(outcome(&body(&[], &attributes, &[]), &ctx), Reset(subcode), "{attribute:?}");
        assert_eq!(outcome(&body(PREFIX, &attributes, &[]), &ctx), Reset(subcode), "{attribute:?}");
        let with_prefix = outcome(&body(&[], &attributes, PREFIX), &ctx);
        assert!(matches!(with_prefix, Withdraw(..)), "{attribute:?}");
    }
    // Attribute discard is not strong enough, and NEXT_HOP without prefixes is ignored.
    let harmless: [Raw<'_>; 2] = [(0x40, 6, &[1]), (0x40, 3, &[0; 4])];
    for attribute in harmless {
        let got = outcome(&body(&[], &wire(&with(&ctx, attribute)), &[]), &ctx);
        assert!(matches!(got, Accept | Discard(6, _)), "{got:?}");
    }
    // RFC 4271 §6.3: the data is the attribute.
    let bytes = body(&[], &wire(&with(&ctx, (0x40, 1, &[9]))), &[]);
    assert_eq!(parse(&bytes, &ctx).unwrap_err().data, [0x40, 1, 1, 9]);
}

#[test]
fn rfc7606_5_3_prefixes_that_cannot_be_read() {
    let ctx = external();
    let good = wire(&mandatory(&ctx));
    for bad in [&[33, 1, 2, 3, 4, 5][..], &[24, 1, 2], &[8, 1, 255]] {
        assert_eq!(outcome(&body(bad, &[], &[]), &ctx), Reset(10), "{bad:?}");
        assert_eq!(outcome(&body(&[], &good, bad), &ctx), Reset(10), "{bad:?}");
    }
    let head = &MP_REACH.2[..21];
    let mp: [(u8, u8, Vec<u8>, Outcome); 12] = [
        (0x80, 14, vec![0, 2, 1, 0], Reset(9)),
        (0x80, 14, vec![0, 2, 1, 0, 0], Reset(9)),
        (0x80, 14, [head, &[129; 20]].concat(), Reset(9)),
        (0x80, 14, [head, &[64, 1, 2]].concat(), Reset(9)),
        (0xc0, 14, MP_REACH.2.to_vec(), Reset(9)),
        (0x40, 15, MP_UNREACH.2.to_vec(), Reset(9)),
        (0x80, 15, vec![0, 2], Reset(9)),
        (0x80, 15, vec![0, 2, 1, 129], Reset(9)),
        // §7.11: a next hop of a length that the family doesn't have, or beyond the attribute.
        (0x80, 14, [&[0, 2, 1, 4, 1, 2, 3, 4, 0][..], &[16, 0x20, 1]].concat(), Reset(9)),
        (0x80, 14, [&[0, 2, 1, 24][..], &[0; 30]].concat(), Reset(9)),
        (0x80, 14, vec![0, 2, 1, 16, 1, 2, 3], Reset(9)),
        (0x80, 14, MP_REACH.2.to_vec(), Accept),
    ];
    for (flags, code, value, expected) in mp {
        let bytes = body(&[], &wire(&with(&ctx, (flags, code, &value))), PREFIX);
        assert_eq!(outcome(&bytes, &ctx), expected, "{code} {value:?}");
    }
}

/// MP_REACH_NLRI of 10.1.0.0/16 or 2001:db8:1::/48 with this next hop.
fn mp_reach(family: Family, next_hop: &[u8]) -> Vec<u8> {
    let prefix: &[u8] = match family {
        Family::Ipv4Unicast => PREFIX,
        _ => &[48, 0x20, 1, 0x0d, 0xb8, 0, 1],
    };
    let head = [0, u8::try_from(family.afi().0).unwrap(), 1, u8::try_from(next_hop.len()).unwrap()];
    [&head[..], next_hop, &[0], prefix].concat()
}

#[test]
fn rfc2545_rfc8950_next_hops_of_mp_reach() {
    let ctx = external();
    let global: [u8; 16] = "2001:db8::1".parse::<std::net::Ipv6Addr>().unwrap().octets();
    let local: [u8; 16] = "fe80::1".parse::<std::net::Ipv6Addr>().unwrap().octets();
    let (g, l) = (global.into(), local.into());
    let (v4, v6) = (Family::Ipv4Unicast, Family::Ipv6Unicast);
    let cases: [(Family, Vec<u8>, Result<NextHop, Outcome>); 10] = [
        (v4, vec![192, 0, 2, 1], Ok(NextHop::V4([192, 0, 2, 1].into()))),
        (v4, global.to_vec(), Ok(NextHop::V6(g))),
        (v4, [global, local].concat(), Ok(NextHop::V6Pair(g, l))),
        (v6, global.to_vec(), Ok(NextHop::V6(g))),
        (v6, [global, local].concat(), Ok(NextHop::V6Pair(g, l))),
        (v6, [global, [0; 16]].concat(), Ok(NextHop::V6(g))),
        (v6, [[0; 16], local].concat(), Ok(NextHop::V6(l))),
        (v4, vec![0; 4], Err(Withdraw(14, K::InvalidNextHop))),
        (v6, vec![0; 16], Err(Withdraw(14, K::InvalidNextHop))),
        (v6, vec![0xff; 16], Err(Withdraw(14, K::InvalidNextHop))),
    ];
    for (family, next_hop, expected) in cases {
        let value = mp_reach(family, &next_hop);
        let bytes = body(&[], &wire(&[(0x80, 14, &value), ORIGIN, AS_PATH]), &[]);
        match expected {
            Ok(expected) => {
                let update = parse(&bytes, &ctx).unwrap();
                assert_eq!(update.mp_next_hop, Some(expected));
                assert_eq!(update.mp_reach.unwrap().iter().count(), 1);
                assert_eq!(update.verdict, Verdict::Accept);
            }
            Err(expected) => {
                assert_eq!(outcome(&bytes, &ctx), expected, "{next_hop:?}");
                let update = parse(&bytes, &ctx).unwrap();
                assert_eq!(update.mp_reach.unwrap().iter().count(), 1, "the prefix to withdraw");
            }
        }
    }
}

#[test]
fn rfc4760_8_families_that_were_not_negotiated_are_left_out() {
    let only = |family| ReadContext { families: [family].into_iter().collect(), ..external() };
    let not = |afi, safi| K::FamilyNotNegotiated { afi: Afi(afi), safi: Safi(safi) };
    let ctx = only(Family::Ipv4Unicast);
    let list = [&[MP_REACH, MP_UNREACH], &mandatory(&ctx)[..]].concat();
    let bytes = body(&[], &wire(&list), PREFIX);
    let update = parse(&bytes, &ctx).unwrap();
    assert_eq!((update.verdict, update.announced.ipv4().count()), (Verdict::Discard, 1));
    assert!(update.mp_reach.is_none() && update.mp_unreach.is_none() && update.mp_next_hop.is_none());
    let kinds: Vec<_> = update.faults.iter().map(|f| (f.code, f.kind)).collect();
    assert_eq!(kinds, [(14, not(2, 1)), (15, not(2, 1))]);
    // A family that nobody here knows is named by its numbers.
    let bytes = body(&[], &wire(&[(0x80, 15, &[0x40, 4, 71])]), &[]);
    assert_eq!(outcome(&bytes, &ctx), Discard(15, not(0x4004, 71)));
    assert_eq!(parse(&bytes, &ctx).unwrap().end_of_rib(), None);
    // The fields of RFC 4271 are IPv4 unicast.
    let ctx = only(Family::Ipv6Unicast);
    let bytes = body(PREFIX, &wire(&mandatory(&ctx)), PREFIX);
    let update = parse(&bytes, &ctx).unwrap();
    assert!(update.announced.is_empty() && update.withdrawn.is_empty());
    assert_eq!(update.faults[0].kind, not(1, 1));
}

#[test]
fn rfc4724_2_end_of_rib() {
    let ctx = external();
    let eor = |bytes: &[u8]| parse(bytes, &ctx).unwrap().end_of_rib();
    assert_eq!(eor(&body(&[], &[], &[])), Some(Family::Ipv4Unicast));
    let v6 = (0x80, 15, &[0, 2, 1][..]);
    assert_eq!(eor(&body(&[], &wire(&[v6]), &[])), Some(Family::Ipv6Unicast));
    assert_eq!(eor(&body(&[], &wire(&[(0x80, 15, &[0, 1, 1])]), &[])), Some(Family::Ipv4Unicast));
    // With anything else it is none.
    assert_eq!(eor(&body(&[], &wire(&[v6, ORIGIN]), &[])), None);
    assert_eq!(eor(&body(PREFIX, &wire(&[v6]), &[])), None);
    assert_eq!(eor(&body(PREFIX, &[], &[])), None);
    assert_eq!(eor(&body(&[], &wire(&[MP_UNREACH]), &[])), None);
}

#[test]
fn rfc7911_3_path_identifiers() {
    let ctx = ReadContext { add_path: FamilySet::EMPTY.with(Family::Ipv4Unicast), ..external() };
    let prefixes = [0, 0, 0, 1, 8, 10, 0, 0, 0, 2, 8, 10];
    let bytes = body(&prefixes, &wire(&with(&ctx, MP_REACH)), &prefixes);
    let update = parse(&bytes, &ctx).unwrap();
    let prefix = "10.0.0.0/8".parse().unwrap();
    assert_eq!(update.announced.ipv4().collect::<Vec<_>>(), [(1, prefix), (2, prefix)]);
    assert_eq!(update.withdrawn.ipv4().collect::<Vec<_>>(), [(1, prefix), (2, prefix)]);
    assert_eq!(update.mp_reach.unwrap().ipv6().count(), 1, "not in the other family");
    let bytes = body(&[], &wire(&mandatory(&ctx)), &[0, 0, 0, 1]);
    assert_eq!(outcome(&bytes, &ctx), Reset(10));
}
