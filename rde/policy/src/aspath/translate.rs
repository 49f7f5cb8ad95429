//! From the operator's expression to one that the engine knows: what `_` stands for is written out.

use std::ops::Range;

/// The expression for the engine, and where each of its octets comes from.
pub(super) struct Translated {
    /// For the engine.
    pub(super) text: String,
    /// For each octet of it the octet of the original that it stands for.
    origin: Vec<usize>,
    length: usize,
}

/// A place between numbers. Brackets of confederations (RFC 5065) count like those of sets.
const BETWEEN: &str = r"(?:^|$|[ {}()\[\]])";

/// The same inside of a class, where neither end of the path can stand.
const BETWEEN_IN_CLASS: &str = r" {}()\[\]";

impl Translated {
    pub(super) fn new(expression: &str) -> Translated {
        let mut t = Translated { text: String::new(), origin: Vec::new(), length: expression.len() };
        let mut escaped = false;
        let mut in_class = 0_u32;
        for (at, c) in expression.char_indices() {
            let mut buffer = [0; 4];
            let written: &str = match c {
                '_' if !escaped && in_class > 0 => BETWEEN_IN_CLASS,
                '_' if !escaped => BETWEEN,
                _ => c.encode_utf8(&mut buffer),
            };
            t.text.push_str(written);
            t.origin.resize(t.text.len(), at);
            match c {
                _ if escaped => {}
                '[' => in_class += 1,
                ']' => in_class = in_class.saturating_sub(1),
                _ => {}
            }
            escaped = c == '\\' && !escaped;
        }
        t
    }

    /// The place in the original of a place in the translation.
    pub(super) fn back(&self, place: Range<usize>) -> Range<usize> {
        let at = |n: usize| self.origin.get(n).copied().unwrap_or(self.length);
        let start = at(place.start);
        let end = if place.is_empty() { start } else { at(place.end) };
        // What ends inside of a `_` ends behind it.
        start..end.max(start + usize::from(!place.is_empty() && start < self.length)).min(self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn underscores_are_written_out_where_they_count() {
        for (expression, expected) in [
            ("_1", format!("{BETWEEN}1")),
            (r"\_1", r"\_1".to_owned()),
            (r"\\_1", format!(r"\\{BETWEEN}1")),
            ("[_1]", format!("[{BETWEEN_IN_CLASS}1]")),
            (r"[\]_]_", format!(r"[\]{BETWEEN_IN_CLASS}]{BETWEEN}")),
        ] {
            assert_eq!(Translated::new(expression).text, expected, "{expression}");
        }
        let t = Translated::new("_1_x");
        let x = t.text.find('x').unwrap();
        assert_eq!((t.back(x..x + 1), t.back(0..t.text.len()), t.back(0..3)), (3..4, 0..4, 0..1));
    }
}
