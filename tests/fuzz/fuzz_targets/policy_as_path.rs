//! Input: an expression, a zero octet, then an AS path in wire form with 4-octet AS numbers. The short way of an
//! expression, if it has one, must say what the automaton says.
#![no_main]

use bgp::aspath::AsPath;
use libfuzzer_sys::fuzz_target;
use policy::AsPathTest;

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|b| *b == 0).unwrap_or(data.len());
    let (expression, rest) = data.split_at(end);
    let Ok(expression) = std::str::from_utf8(expression) else { return };
    let test = match AsPathTest::new(expression) {
        Ok(test) => test,
        Err(error) => {
            assert!(expression.get(error.at.clone()).is_some(), "{error:?}");
            return;
        }
    };
    let path = AsPath::parse(rest.get(1..).unwrap_or_default()).unwrap_or_default();
    let found = test.is_match(path);
    if test.is_short() {
        let engine = AsPathTest::with_engine(expression).expect("what has a short way is an expression");
        assert_eq!(engine.is_match(path), found, "{expression} on {path}");
    }
});
