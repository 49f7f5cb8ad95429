//! The automaton for expressions of any form.

use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::meta;
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};

use super::AsPathError;
use super::translate::Translated;

/// The largest table of states, in octets. Nearly every expression takes less than a tenth of it.
const TABLE: usize = 256 * 1024;
/// What making it may take.
const MAKING: usize = 4 * 1024 * 1024;
/// The largest automaton that a table is made from.
const AUTOMATON: usize = 1024 * 1024;

/// An automaton.
#[derive(Debug)]
pub(super) enum Engine {
    /// One step of a table for each octet.
    Table(Box<dense::DFA<Vec<u32>>>),
    /// For those whose table would be too large: states are made as they are met, within bounds.
    Lazy(meta::Regex),
}

impl Engine {
    pub(super) fn new(expression: &str) -> Result<Engine, AsPathError> {
        let translated = Translated::new(expression);
        let hir = regex_syntax::ParserBuilder::new()
            .unicode(false)
            .utf8(false)
            .nest_limit(100)
            .build()
            .parse(&translated.text)
            .map_err(|e| explain(&translated, &e))?;
        let too_large =
            |_| AsPathError { message: "is too large when compiled".to_owned(), at: 0..expression.len() };
        let config = thompson::Config::new()
            .utf8(false)
            .nfa_size_limit(Some(AUTOMATON))
            .which_captures(thompson::WhichCaptures::None);
        let nfa = thompson::Compiler::new().configure(config).build_from_hir(&hir).map_err(too_large)?;
        let config = dense::Config::new()
            .start_kind(StartKind::Unanchored)
            .accelerate(false)
            .dfa_size_limit(Some(TABLE))
            .determinize_size_limit(Some(MAKING));
        if let Ok(table) = dense::Builder::new().configure(config).build_from_nfa(&nfa) {
            return Ok(Engine::Table(Box::new(table)));
        }
        let config = meta::Config::new()
            .utf8_empty(false)
            .nfa_size_limit(Some(AUTOMATON))
            .which_captures(thompson::WhichCaptures::Implicit)
            .backtrack(false);
        let syntax = syntax::Config::new().unicode(false).utf8(false);
        let lazy = meta::Builder::new().configure(config).syntax(syntax).build_from_hir(&hir);
        lazy.map(Engine::Lazy).map_err(|_| AsPathError {
            message: "is too large when compiled".to_owned(),
            at: 0..expression.len(),
        })
    }

    /// Whether it matches somewhere in the text.
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        match self {
            Engine::Table(table) => {
                let input = Input::new(text).anchored(Anchored::No).earliest(true);
                // It has no octet to stop at, so that a search cannot fail.
                matches!(table.try_search_fwd(&input), Ok(Some(_)))
            }
            Engine::Lazy(lazy) => lazy.is_match(text),
        }
    }

    pub(super) fn memory(&self) -> usize {
        match self {
            Engine::Table(table) => table.memory_usage(),
            Engine::Lazy(lazy) => lazy.memory_usage(),
        }
    }
}

/// What is wrong, and where in the operator's expression.
fn explain(translated: &Translated, error: &regex_syntax::Error) -> AsPathError {
    let (message, place) = match error {
        regex_syntax::Error::Parse(e) => (e.kind().to_string(), *e.span()),
        regex_syntax::Error::Translate(e) => (e.kind().to_string(), *e.span()),
        _ => {
            return AsPathError { message: error.to_string(), at: translated.back(0..translated.text.len()) };
        }
    };
    AsPathError { message, at: translated.back(place.start.offset..place.end.offset) }
}
