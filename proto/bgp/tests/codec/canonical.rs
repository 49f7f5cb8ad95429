//! The form in which attributes are kept.

use bgp::Asn;
use bgp::aspath::AsPathBuf;
use bgp::attr::canonical::{self, Builder, Canonical, SummaryFlags};
use bgp::attr::{Aggregator, Origin, PathAttribute};
use bgp::community::{Community, LargeCommunity, well_known};
use bgp::update::{ReadContext, parse};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::*;

fn canonical_of(ctx: &ReadContext, attributes: &[Raw<'_>]) -> Vec<u8> {
    let bytes = body(&[], &wire(attributes), PREFIX);
    let update = parse(&bytes, ctx).unwrap();
    let mut out = Vec::new();
    let summary = canonical::write(&update.attributes, ctx, &mut out);
    assert_eq!(summary, canonical::summarize(&out), "one summary by both ways");
    out
}

fn all(ctx: &ReadContext, more: &[Raw<'static>]) -> Vec<Raw<'static>> {
    [&mandatory(ctx)[..], more].concat()
}

#[test]
fn sets_are_sorted_and_deduplicated_lists_are_not() {
    let ctx = internal();
    let out = canonical_of(
        &ctx,
        &all(
            &ctx,
            &[
                (0xc0, 32, &[0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9]),
                (0xc0, 8, &[0, 2, 0, 1, 0, 1, 0, 1, 0, 2, 0, 1, 0, 1, 0, 1]),
                (0xc0, 16, &[1, 2, 3, 4, 5, 6, 7, 8, 0, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8]),
                (0x80, 10, &[9, 9, 9, 9, 1, 1, 1, 1, 9, 9, 9, 9]),
            ],
        ),
    );
    let c = Canonical::new(&out);
    assert_eq!(c.communities().collect::<Vec<_>>(), [0x1_0001, 0x2_0001]);
    assert_eq!(c.large_communities().collect::<Vec<_>>(), [(1, 0, 9), (2, 0, 9)]);
    assert_eq!(c.extended_communities().collect::<Vec<_>>(), [0x0002_0304_0506_0708, 0x0102_0304_0506_0708]);
    assert_eq!(c.cluster_list().collect::<Vec<_>>(), [0x0909_0909, 0x0101_0101, 0x0909_0909]);
    assert_eq!(c.iter().map(|a| a.code).collect::<Vec<_>>(), [1, 2, 5, 8, 10, 16, 32]);
}

#[test]
fn flags_become_those_of_the_rfc_and_partial_stays() {
    let ctx = external();
    let out = canonical_of(
        &ctx,
        &all(
            &ctx,
            &[
                // Extended Length without need, unused bits, Partial where it may not be.
                (0x8f, 4, &[0, 0, 0, 1]),
                (0xe0, 8, &[0, 1, 0, 1]),
                (0xc0, 77, &[1, 2]),
                (0xe3, 78, &[3]),
                (0x80, 79, &[4]),
            ],
        ),
    );
    let got: Vec<_> = Canonical::new(&out).iter().map(|a| (a.flags, a.code)).collect();
    assert_eq!(got, [(0x40, 1), (0x40, 2), (0x80, 4), (0xe0, 8), (0xc0, 77), (0xe0, 78)]);
    // The Extended Length flag of the wire makes no difference.
    let long = [0x50, 1, 0, 1, 0, 0x50, 2, 0, 6, 2, 1, 0, 0, 0xfd, 0xe9, 0x40, 3, 4, 192, 0, 2, 1];
    let bytes = body(&[], &long, PREFIX);
    let update = parse(&bytes, &ctx).unwrap();
    let mut out = Vec::new();
    canonical::write(&update.attributes, &ctx, &mut out);
    assert_eq!(out, canonical_of(&ctx, &mandatory(&ctx)));
}

#[test]
fn rfc6793_4_2_3_reconciliation() {
    const T: u16 = bgp::AS_TRANS;
    let old_path = |segments: &[(u8, &[u16])]| -> Vec<u8> {
        segments
            .iter()
            .flat_map(|(kind, asns)| {
                let head = [*kind, u8::try_from(asns.len()).unwrap()];
                head.into_iter().chain(asns.iter().flat_map(|a| a.to_be_bytes())).collect::<Vec<_>>()
            })
            .collect()
    };
    let new_path = |segments: &[(u8, &[u32])]| -> Vec<u8> {
        segments
            .iter()
            .flat_map(|(kind, asns)| {
                let head = [*kind, u8::try_from(asns.len()).unwrap()];
                head.into_iter().chain(asns.iter().flat_map(|a| a.to_be_bytes())).collect::<Vec<_>>()
            })
            .collect()
    };
    type Old<'a> = &'a [(u8, &'a [u16])];
    type New<'a> = Option<&'a [(u8, &'a [u32])]>;
    let cases: [(&str, Old<'_>, New<'_>, &str); 9] = [
        ("no AS4_PATH", &[(2, &[1, T])], None, "1 23456"),
        ("same length", &[(2, &[T, T])], Some(&[(2, &[70_000, 80_000])]), "70000 80000"),
        ("longer", &[(2, &[1, 2, T, T])], Some(&[(2, &[70_000, 80_000])]), "1 2 70000 80000"),
        ("shorter: ignored", &[(2, &[T])], Some(&[(2, &[70_000, 80_000])]), "23456"),
        (
            "a set counts one",
            &[(2, &[1, T]), (1, &[5, T])],
            Some(&[(2, &[70_000]), (1, &[5, 80_000])]),
            "1 70000 {5 80000}",
        ),
        ("a leading set", &[(1, &[3, 4]), (2, &[T])], Some(&[(2, &[70_000])]), "{3 4} 70000"),
        ("a set in AS4_PATH only", &[(2, &[1, T])], Some(&[(1, &[6, 70_000])]), "1 {6 70000}"),
        (
            "confederation segments of AS4_PATH",
            &[(2, &[1, T])],
            Some(&[(3, &[9]), (2, &[70_000])]),
            "1 70000",
        ),
        ("nothing left of AS4_PATH", &[(2, &[1, T])], Some(&[(3, &[9])]), "1 23456"),
    ];
    let ctx = two_octet();
    for (name, old, new, expected) in cases {
        let (old, new) = (old_path(old), new.map(new_path));
        let mut list = vec![ORIGIN, (0x40, 2, &old), NEXT_HOP];
        if let Some(new) = &new {
            list.push((0xc0, 17, new));
        }
        let out = canonical_of(&ctx, &list);
        assert_eq!(Canonical::new(&out).as_path().to_string(), expected, "{name}");
        assert_eq!(Canonical::new(&out).get(17), None, "{name}");
    }
}

#[test]
fn rfc6793_4_2_3_aggregators() {
    let ctx = two_octet();
    let trans: Raw<'_> = (0xc0, 7, &[0x5b, 0xa0, 192, 0, 2, 1]);
    let other: Raw<'_> = (0xc0, 7, &[0, 9, 192, 0, 2, 1]);
    let as4: Raw<'_> = (0xc0, 18, &[0, 1, 0x11, 0x70, 198, 51, 100, 1]);
    let path: Raw<'_> = (0xc0, 17, &[2, 1, 0, 1, 0x11, 0x70]);
    let old: Raw<'_> = (0x40, 2, &[2, 1, 0x5b, 0xa0]);
    type Case<'a> = (&'a [Raw<'a>], Option<(u32, [u8; 4])>, &'a str);
    let cases: [Case<'_>; 6] = [
        (&[trans], Some((23456, [192, 0, 2, 1])), "23456"),
        (&[other], Some((9, [192, 0, 2, 1])), "23456"),
        (&[trans, as4, path], Some((70_000, [198, 51, 100, 1])), "70000"),
        // AGGREGATOR by someone who didn't know of AS4_AGGREGATOR: both AS4 attributes are ignored.
        (&[other, as4, path], Some((9, [192, 0, 2, 1])), "23456"),
        (&[other, path], Some((9, [192, 0, 2, 1])), "70000"),
        (&[as4, path], None, "70000"),
    ];
    for (more, aggregator, path) in cases {
        let list = [&[ORIGIN, old, NEXT_HOP], more].concat();
        let out = canonical_of(&ctx, &list);
        let c = Canonical::new(&out);
        let expected = aggregator.map(|(asn, a)| Aggregator { asn: Asn(asn), address: a.into() });
        assert_eq!(c.aggregator(), expected, "{more:?}");
        assert_eq!(c.as_path().to_string(), path, "{more:?}");
    }
}

#[test]
fn a_long_two_octet_path_needs_the_extended_length() {
    let ctx = two_octet();
    let path = [&[2, 100][..], &[0, 7].repeat(100)].concat();
    let out = canonical_of(&ctx, &[ORIGIN, (0x40, 2, &path), NEXT_HOP]);
    let c = Canonical::new(&out);
    assert_eq!(c.iter().map(|a| (a.flags, a.value.len())).collect::<Vec<_>>(), [(0x40, 1), (0x50, 402)]);
    assert_eq!(c.as_path().count(Asn(7)), 100);
}

#[test]
fn the_summary_says_what_the_attributes_say() {
    use SummaryFlags as F;
    let built = Builder::new()
        .with(PathAttribute::Origin(Origin::Incomplete))
        .with(PathAttribute::AsPath(AsPathBuf::sequence([Asn(65001), Asn(65001), Asn(65003)])))
        .with(PathAttribute::MultiExitDisc(7))
        .with(PathAttribute::LocalPref(200))
        .with(PathAttribute::OriginatorId(0x0a00_0001.into()))
        .with(PathAttribute::ClusterList(vec![1.into(), 2.into()]))
        .with(PathAttribute::Communities(vec![Community(0xffff_ff01), Community(5), Community(0xffff_0000)]))
        .with(PathAttribute::LargeCommunities(vec![LargeCommunity(1, 2, 3)]))
        .with(PathAttribute::OnlyToCustomer(Asn(65001)))
        .with(PathAttribute::Unknown { flags: 0xc0, code: 99, value: vec![1] })
        .with(PathAttribute::ExtendedCommunities(vec![]))
        .build();
    let s = canonical::summarize(&built);
    assert_eq!((s.local_pref, s.med, s.origin), (Some(200), Some(7), 2));
    assert_eq!((s.path_len, s.neighbor_as, s.origin_as), (3, 65001, 65003));
    assert_eq!((s.cluster_list_len, s.originator_id), (2, Some(0x0a00_0001)));
    let expected = F::NO_EXPORT.with(F::GRACEFUL_SHUTDOWN).with(F::HAS_OTC).with(F::HAS_UNKNOWN);
    assert_eq!(s.flags, expected);
    assert!(!s.flags.contains(F::NO_ADVERTISE) && !s.flags.contains(F::HAS_AS_SET));
    let c = Canonical::new(&built);
    assert_eq!(c.only_to_customer(), Some(Asn(65001)));
    assert_eq!(c.unknown().map(|a| a.code).collect::<Vec<_>>(), [99]);
    assert_eq!((c.med(), c.local_pref(), c.origin()), (Some(7), Some(200), Some(Origin::Incomplete)));

    for (community, flag) in [
        (0xffff_ff02, F::NO_ADVERTISE),
        (0xffff_ff03, F::NO_EXPORT_SUBCONFED),
        (0xffff_ff04, F::NOPEER),
        (0xffff_029a, F::BLACKHOLE),
        (0xffff_0006, F::LLGR_STALE),
        (0xffff_0007, F::NO_LLGR),
        (0xffff_1234, F::EMPTY),
    ] {
        let list = vec![Community(community), Community(0xfffe_ffff)];
        let built = Builder::new().with(PathAttribute::Communities(list)).build();
        assert_eq!(canonical::summarize(&built).flags, flag, "{community:#x}");
    }
    // RFC 4271 §9.1.2.2: a set counts one; a path that begins or ends with a set has no such AS.
    let mut path = AsPathBuf::new();
    path.push(bgp::aspath::SegmentKind::Set, [Asn(1), Asn(2)]);
    let s = canonical::summarize(&Builder::new().with(PathAttribute::AsPath(path)).build());
    assert_eq!((s.path_len, s.neighbor_as, s.origin_as), (1, 0, 0));
    assert!(s.flags.contains(F::HAS_AS_SET));
}

#[test]
fn an_attribute_is_inserted_at_its_place() {
    let unknown = |code, len: usize| PathAttribute::Unknown { flags: 0xc0, code, value: vec![7; len] };
    // Behind everything, before everything that may follow, and behind a value whose length takes two octets.
    for list in [vec![], vec![unknown(34, 300)], vec![unknown(34, 255), unknown(36, 2), unknown(250, 400)]] {
        let without = list.into_iter().fold(Builder::new(), Builder::with);
        let with = without.clone().with(PathAttribute::OnlyToCustomer(Asn(65001)));
        let mut out = b"what is there already".to_vec();
        let start = out.len();
        out.extend(without.build());
        let mut summary = canonical::summarize(&without.build());
        canonical::insert(&mut out, start, &mut summary, 0xc0, 35, &65001u32.to_be_bytes());
        assert_eq!(out.split_off(start), with.build());
        assert_eq!(out, b"what is there already");
        assert_eq!(summary, canonical::summarize(&with.build()));
    }
}

proptest! {
    /// RFC 9494 §4.2: a mark that is added makes the form that the attributes have when they come with it.
    #[test]
    fn a_community_more_gives_what_would_have_come_with_it(
        list in vec(prop_oneof![any::<u32>(), 0xffff_0000..0xffff_0009u32], 0..70),
        more in prop_oneof![any::<u32>(), Just(well_known::LLGR_STALE)],
        med in proptest::option::of(any::<u32>()),
        behind in any::<bool>(),
    ) {
        let build = |list: &[u32]| {
            let mut all = Builder::new();
            med.into_iter().for_each(|m| all.set(PathAttribute::MultiExitDisc(m)));
            all.set(PathAttribute::Communities(list.iter().map(|c| Community(*c)).collect()));
            if behind {
                all.set(PathAttribute::LargeCommunities(vec![LargeCommunity(1, 2, 3)]));
            }
            all.build()
        };
        let added = canonical::with_community(Canonical::new(&build(&list)), more);
        prop_assert_eq!(&added, &build(&[&list[..], &[more]].concat()));
        prop_assert_eq!(canonical::with_community(Canonical::new(&added), more), added, "once is enough");
    }
}
