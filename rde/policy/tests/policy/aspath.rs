//! Expressions over paths: the short ways against the automaton, and both against another engine.

use bgp::Asn;
use bgp::aspath::{AsPathBuf, SegmentKind};
use policy::AsPathTest;
use proptest::prelude::*;
use regex_automata::meta::Regex;

pub(crate) fn path() -> impl Strategy<Value = AsPathBuf> {
    let asn = prop_oneof![Just(1), Just(2), Just(11), Just(65001), Just(4_200_000_000)];
    let kind = prop_oneof![
        6 => Just(SegmentKind::Sequence),
        2 => Just(SegmentKind::Set),
        1 => Just(SegmentKind::ConfedSequence),
        1 => Just(SegmentKind::ConfedSet),
    ];
    let segment = (kind, prop::collection::vec(asn, 1..4));
    prop::collection::vec(segment, 0..4).prop_map(|segments| {
        let mut path = AsPathBuf::new();
        for (kind, asns) in segments {
            path.push(kind, asns.into_iter().map(Asn));
        }
        path
    })
}

/// Expressions of the usual forms and around them.
pub(crate) fn expression() -> impl Strategy<Value = String> {
    let asn = || prop_oneof![Just("1"), Just("2"), Just("11"), Just("65001"), Just("4200000000"), Just("01")];
    let choice = prop::collection::vec(asn(), 1..3).prop_map(|list| format!("({})", list.join("|")));
    let item = prop_oneof![
        6 => asn().prop_map(str::to_owned),
        2 => choice,
        1 => Just("[0-9]+".to_owned()),
        1 => Just(r"\d+".to_owned()),
        1 => Just("1[0-9]*".to_owned()),
        1 => Just(".".to_owned()),
    ];
    let between =
        prop_oneof![4 => Just("_"), 2 => Just(" "), 1 => Just(""), 1 => Just(".*"), 1 => Just("[ _]")];
    let list = (item.clone(), prop::collection::vec((between, item), 0..3))
        .prop_map(|(first, rest)| rest.into_iter().fold(first, |all, (b, i)| all + b + &i));
    let start = prop_oneof![4 => Just("_"), 4 => Just("^"), 1 => Just(""), 1 => Just(".*_"), 1 => Just("^.*_"), 1 => Just("^_")];
    let end = prop_oneof![4 => Just("_"), 4 => Just("$"), 1 => Just(""), 1 => Just("_.*"), 1 => Just("_.*$"), 1 => Just("_$")];
    let whole = (start, list, end).prop_map(|(start, list, end)| format!("{start}{list}{end}"));
    prop_oneof![20 => whole, 1 => Just("^$".to_owned()), 1 => Just(r"\{.*\}".to_owned()), 1 => Just("_".to_owned())]
}

/// What an expression means, by another engine and the path's own text.
pub(crate) fn by_text(expression: &str, path: &AsPathBuf) -> bool {
    let plain = expression.replace("[ _]", r"[ {}()\[\]]").replace('_', r"(?:^|$|[ {}()\[\]])");
    Regex::new(&plain).unwrap().is_match(&path.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn all_ways_say_the_same(expression in expression(), paths in prop::collection::vec(path(), 8)) {
        let test = AsPathTest::new(&expression).unwrap();
        let engine = AsPathTest::with_engine(&expression).unwrap();
        for path in &paths {
            let expected = by_text(&expression, path);
            let (found, slow) = (test.is_match(path.as_path()), engine.is_match(path.as_path()));
            prop_assert_eq!((found, slow), (expected, expected), "{} on {}", expression, path);
        }
    }

    /// Whatever is written, it is compiled or refused with a place inside of it.
    #[test]
    fn any_text_is_compiled_or_refused(expression in r"[_^$0-9\[\](){}|.*+?\\, a-z-]{0,24}") {
        if let Err(error) = AsPathTest::new(&expression) {
            prop_assert!(error.at.start <= error.at.end && error.at.end <= expression.len());
            prop_assert!(expression.get(error.at.clone()).is_some(), "{:?}", error);
        }
    }
}
