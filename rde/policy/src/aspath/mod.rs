//! Regular expressions over AS paths, as operators know them: `^65001_`, `_65001$`, `_65001_`.
//!
//! The expression sees the path as text (`65001 65002 {65003 65004}`), and `_` stands for a place between numbers:
//! the beginning, the end, one space or one bracket. Forms that everybody uses are read off the path itself (`forms`);
//! the rest runs through an automaton that looks at each octet once (`engine`), so that no expression can make
//! a route expensive.

mod engine;
mod forms;
mod translate;

use std::ops::Range;

use bgp::aspath::AsPath;

use crate::path_text::write_path;
use engine::Engine;
use forms::Form;

/// The longest expression, in octets.
const LONGEST: usize = 8192;

/// A compiled expression.
#[derive(Debug)]
pub struct AsPathTest(Way);

#[derive(Debug)]
enum Way {
    Form(Form),
    Engine(Engine),
}

/// An expression that cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AsPathError {
    /// What is wrong with it.
    pub message: String,
    /// Where, in octets of the expression.
    pub at: Range<usize>,
}

impl AsPathTest {
    /// Compiles an expression: the syntax of the `regex` crate without Unicode classes, and `_`.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn new(expression: &str) -> Result<AsPathTest, AsPathError> {
        let whole = 0..expression.len();
        if expression.is_empty() {
            return Err(AsPathError { message: "must not be empty".to_owned(), at: whole });
        }
        if expression.len() > LONGEST {
            return Err(AsPathError { message: format!("must have at most {LONGEST} octets"), at: whole });
        }
        match Form::of(expression) {
            Some(form) => Ok(AsPathTest(Way::Form(form))),
            None => AsPathTest::with_engine(expression),
        }
    }

    /// Compiles an expression to an automaton, whatever its form: for comparison with the short ways.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    #[doc(hidden)]
    pub fn with_engine(expression: &str) -> Result<AsPathTest, AsPathError> {
        Engine::new(expression).map(|engine| AsPathTest(Way::Engine(engine)))
    }

    /// Whether it is one of the usual forms, for which there is a short way.
    pub fn is_short(&self) -> bool {
        matches!(self.0, Way::Form(_))
    }

    /// Octets that it takes, about.
    pub fn memory(&self) -> usize {
        match &self.0 {
            Way::Form(form) => form.memory(),
            Way::Engine(engine) => engine.memory(),
        }
    }

    /// Whether it matches somewhere in the path. `text` holds the path as text once an expression has asked for it.
    pub(crate) fn matches(&self, path: AsPath<'_>, text: &mut PathText) -> bool {
        match &self.0 {
            Way::Form(form) => form.matches(path),
            Way::Engine(engine) => engine.matches(text.of(path)),
        }
    }

    /// Whether it matches somewhere in the path.
    pub fn is_match(&self, path: AsPath<'_>) -> bool {
        self.matches(path, &mut PathText::default())
    }
}

/// The path of the route that is being evaluated, as text. Written when the first expression asks for it; the room is
/// used again for the next route.
#[derive(Debug, Default)]
pub(crate) struct PathText {
    octets: Vec<u8>,
    written: bool,
}

impl PathText {
    /// Another route comes.
    pub(crate) fn clear(&mut self) {
        self.written = false;
    }

    fn of(&mut self, path: AsPath<'_>) -> &[u8] {
        if !self.written {
            self.octets.clear();
            write_path(path, &mut self.octets);
            self.written = true;
        }
        &self.octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path_text::parse_path;

    /// What operators expect of the usual expressions, whichever way they take.
    #[test]
    fn expressions_match_as_operators_expect() {
        // expression, whether there is a short way, paths that match, paths that do not
        type Case = (&'static str, bool, &'static [&'static str], &'static [&'static str]);
        let cases: [Case; 24] = [
            (
                "^65001_",
                true,
                &["65001", "65001 65002", "65001 {1 2}"],
                &["", "650011", "65002 65001", "{65001}", "6500"],
            ),
            (
                "_65001$",
                true,
                &["65001", "65002 65001"],
                &["", "165001", "65001 65002", "{65001}", "65002 {65001}"],
            ),
            (
                "_65001_",
                true,
                &["65001", "1 65001 2", "1 {65001 2}", "{2 65001} 3", "(65001) 7", "[1 65001]"],
                &["", "165001", "650011", "1 2"],
            ),
            ("^65001$", true, &["65001"], &["", "65001 65001", "{65001}", "65001 {1}"]),
            ("^$", true, &[""], &["1", "{1}"]),
            (
                "^65001_65002_",
                true,
                &["65001 65002", "65001 65002 3"],
                &["65001 {65002}", "65001 3 65002", "65001"],
            ),
            (
                "_1_2_",
                true,
                &["1 2", "3 1 2 4", "{1 2}", "1 1 2", "5 (1 2)"],
                &["1 {2}", "2 1", "{1} 2", "11 2"],
            ),
            ("_1 2$", true, &["1 2", "3 1 2"], &["1 2 3", "{1 2}", "1 {2}"]),
            ("_(65001|65002)_", true, &["65001", "3 65002"], &["65003", "650011"]),
            ("^(65001|65002)$", true, &["65001", "65002"], &["65001 65002", "65003"]),
            ("^(?:1|2)_3$", true, &["1 3", "2 3"], &["1", "1 2 3"]),
            ("^[0-9]+$", true, &["65001"], &["", "1 2", "{1}"]),
            ("^[0-9]+_65002_", true, &["1 65002", "1 65002 3"], &["65002", "1 2 65002"]),
            (".*_65001_.*", true, &["65001", "1 65001 2"], &["1", ""]),
            ("^65001_.*$", true, &["65001", "65001 2"], &["650011", "1 65001"]),
            ("65001", false, &["65001", "165001", "650011"], &["", "6500 1"]),
            ("^65001( 65001)*$", false, &["65001", "65001 65001"], &["65001 1", "165001"]),
            ("^65001(_65001)*$", false, &["65001", "65001 65001 65001"], &["65001 1"]),
            ("_6451[2-9]_", false, &["1 64512", "64519"], &["64520", "164512"]),
            ("_0065001_", false, &[], &["65001"]),
            (r"\{", false, &["{1}", "1 {2 3}"], &["1 2"]),
            (r"\{.*5.*\}", false, &["1 {5 6}", "{5}"], &["5 {6}", "5"]),
            (r"^\d+_\d+$", true, &["1 2"], &["1", "1 2 3", "1 {2}"]),
            ("[^_0-9]", false, &[], &["1 2", "{1}", ""]),
        ];
        for (expression, short, good, bad) in cases {
            let test = AsPathTest::new(expression).unwrap();
            assert_eq!(test.is_short(), short, "{expression}");
            for (paths, expected) in [(good, true), (bad, false)] {
                for text in paths {
                    let path = parse_path(text).unwrap();
                    assert_eq!(test.is_match(path.as_path()), expected, "{expression} on {text:?}");
                }
            }
        }
    }

    #[test]
    fn mistakes_are_pointed_at() {
        for (expression, at) in [
            ("_65001_(", 7..8),
            ("_65001_)", 7..8),
            ("_[9-0]_", 2..5),
            ("_65001_\\q", 7..9),
            ("", 0..0),
            (r"\p{Greek}", 0..9),
            ("(?<=1)2", 0..4),
        ] {
            let error = AsPathTest::new(expression).unwrap_err();
            assert!(!error.message.is_empty(), "{expression}");
            assert_eq!(error.at, at, "{expression}: {error}");
        }
        let bomb = AsPathTest::new("(((1{200}){200}){200}){200}").unwrap_err();
        assert_eq!(bomb.message, "is too large when compiled");
    }

    /// What no table of states of a bearable size can do still takes linear time.
    #[test]
    fn expressions_beyond_a_table_of_states_work() {
        let test = AsPathTest::new("[13579][0-9 ]{30}$").unwrap();
        assert!(test.memory() > 0);
        let long = (0..40).map(|_| "12345").collect::<Vec<_>>().join(" ");
        assert!(test.is_match(parse_path(&long).unwrap().as_path()));
        assert!(!test.is_match(parse_path("12345").unwrap().as_path()));
    }
}
