//! What stands at a place of a file's text, by the keys that lead there.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A step from a table or a list to what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// A key of a table.
    Key(String),
    /// An entry of a list, from 0.
    Entry(usize),
}

impl Step {
    /// A key.
    pub(crate) fn key(name: &str) -> Step {
        Step::Key(name.to_owned())
    }

    /// The key, if it is one.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Step::Key(key) => Some(key),
            Step::Entry(_) => None,
        }
    }
}

/// The way to the innermost key or value at this place; empty where there is none.
pub(crate) fn path_to(source: &str, at: usize) -> Vec<Step> {
    let (root, _) = DeTable::parse_recoverable(source);
    let mut search = Search { at, here: Vec::new(), found: Vec::new() };
    search.table(root.get_ref());
    search.found
}

struct Search {
    at: usize,
    here: Vec<Step>,
    found: Vec<Step>,
}

impl Search {
    fn table(&mut self, table: &DeTable<'_>) {
        for (key, value) in table {
            self.here.push(Step::key(key.get_ref()));
            self.note(key.span());
            self.value(value);
            self.here.pop();
        }
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>) {
        self.note(value.span());
        match value.get_ref() {
            DeValue::Table(table) => self.table(table),
            DeValue::Array(list) => {
                for (n, value) in list.iter().enumerate() {
                    self.here.push(Step::Entry(n));
                    self.value(value);
                    self.here.pop();
                }
            }
            _ => {}
        }
    }

    fn note(&mut self, span: Range<usize>) {
        if span.contains(&self.at) && self.here.len() > self.found.len() {
            self.found.clone_from(&self.here);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_named_by_its_keys() {
        let source =
            "[a.\"b c\"]\nx = 1\n[[a.\"b c\".list]]\ny = [7, 8]\n[[a.\"b c\".list]]\nz = { deep = true }\n";
        let path = |what: &str| {
            let steps = path_to(source, source.find(what).unwrap());
            let step = |s: &Step| match s {
                Step::Key(key) => format!(".{key}"),
                Step::Entry(n) => format!("[{n}]"),
            };
            steps.iter().map(step).collect::<String>()
        };
        assert_eq!(path("x = 1"), ".a.b c.x");
        assert_eq!(path("8"), ".a.b c.list[0].y[1]");
        assert_eq!(path("true"), ".a.b c.list[1].z.deep");
        assert_eq!(path_to(source, 1000), []);
    }
}
