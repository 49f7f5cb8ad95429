//! Finds the secrets of a file's text, also of one that does not parse, so that no excerpt shows them.

use std::collections::BTreeSet;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys;

/// What is shown in place of a secret.
pub(super) const SHOWN: &str = "<set>";

/// The key that holds a secret.
const SECRET_KEY: &str = "md5_password";

/// Where the secrets of a text are.
#[derive(Debug)]
pub(super) struct Mask {
    /// In order and apart.
    hidden: Vec<Range<usize>>,
}

/// Whole lines of a file without its secrets.
#[derive(Debug)]
pub(super) struct Excerpt {
    /// The lines.
    pub text: String,
    /// Number of the first, from 1.
    pub line: usize,
    /// What is pointed at, in octets of `text`.
    pub span: Range<usize>,
}

impl Mask {
    /// Finds the secrets of `source`; `broken` = it has syntax errors, and `table` is what could be read.
    pub(super) fn new(source: &str, table: &DeTable<'_>, broken: bool) -> Mask {
        let mut parsed = Parsed::default();
        parsed.collect(table, false);
        collect_from_text(source, broken, &mut parsed);
        let mut secrets = parsed.secrets;
        secrets.sort_by_key(|r| r.start);
        let mut hidden: Vec<Range<usize>> = Vec::new();
        for range in secrets {
            match hidden.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => hidden.push(range),
            }
        }
        Mask { hidden }
    }

    /// The whole of `source`.
    pub(super) fn whole(&self, source: &str) -> String {
        let mut text = String::with_capacity(source.len());
        let mut next = 0;
        for hidden in &self.hidden {
            text.push_str(source.get(next..hidden.start).unwrap_or_default());
            // A string, so that the text has its form still.
            text.push_str(&format!("\"{SHOWN}\""));
            next = hidden.end;
        }
        text.push_str(source.get(next..).unwrap_or_default());
        text
    }

    /// The lines of `source` that hold the start of `span`, with `span` as far as it is on them.
    pub(super) fn excerpt(&self, source: &str, span: Range<usize>) -> Excerpt {
        let at = floor_char(source, span.start);
        let before = source.get(..at).unwrap_or_default();
        let from = before.rfind('\n').map_or(0, |n| n + 1);
        let to = source.get(at..).and_then(|rest| rest.find('\n')).map_or(source.len(), |n| at + n);
        // A file from elsewhere may end its lines with CR LF.
        let to = if source.get(at..to).is_some_and(|s| s.ends_with('\r')) { to - 1 } else { to };
        let end = floor_char(source, span.end).clamp(at, to);
        let line = 1 + before.matches('\n').count();
        let mut text = String::new();
        let mut shown = 0..0;
        let mut next = from;
        for hidden in self.hidden.iter().filter(|h| h.start < to && h.end > from) {
            let (start, stop) = (hidden.start.clamp(next, to), hidden.end.min(to));
            copy(source, next..start, at..end, &mut text, &mut shown);
            let replaced = text.len()..text.len() + SHOWN.len();
            text.push_str(SHOWN);
            if (start..stop).contains(&at) {
                shown = replaced.clone();
            }
            if start < end && end <= stop {
                shown.end = replaced.end;
            }
            next = stop;
        }
        copy(source, next..to, at..end, &mut text, &mut shown);
        shown.end = shown.end.max(shown.start);
        Excerpt { text, line, span: shown }
    }
}

/// Appends `part` of `source` to `text` and keeps track of where the ends of `wanted` come to lie.
fn copy(source: &str, part: Range<usize>, wanted: Range<usize>, text: &mut String, shown: &mut Range<usize>) {
    let base = text.len();
    if (part.start..=part.end).contains(&wanted.start) {
        shown.start = base + wanted.start - part.start;
        shown.end = shown.start;
    }
    if (part.start..=part.end).contains(&wanted.end) {
        shown.end = base + wanted.end - part.start;
    }
    text.push_str(source.get(part).unwrap_or_default());
}

/// The last boundary of a character that is not after `at`.
fn floor_char(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|n| text.is_char_boundary(*n)).unwrap_or(0)
}

/// Whether what a key of this name holds may be a secret: the one that we know of, and whatever a key that
/// we do not know was meant to be.
pub(super) fn is_secret(key: &str) -> bool {
    key == SECRET_KEY || !keys::is_known(key)
}

/// What a parsed table tells.
#[derive(Default)]
struct Parsed {
    /// All scalars.
    values: Vec<Range<usize>>,
    /// Where values begin, lists and tables as well.
    begins: BTreeSet<usize>,
    /// Those that are secrets.
    secrets: Vec<Range<usize>>,
}

impl Parsed {
    fn collect(&mut self, table: &DeTable<'_>, inside: bool) {
        for (key, value) in table {
            let inside = inside || key.get_ref() == SECRET_KEY;
            self.collect_value(value, inside || is_secret(key.get_ref()), inside);
        }
    }

    fn collect_value(&mut self, value: &Spanned<DeValue<'_>>, secret: bool, inside: bool) {
        self.begins.insert(value.span().start);
        match value.get_ref() {
            DeValue::Table(table) => self.collect(table, inside),
            DeValue::Array(list) => list.iter().for_each(|v| self.collect_value(v, secret, inside)),
            _ => {
                self.values.push(value.span());
                if secret {
                    self.secrets.push(value.span());
                }
            }
        }
    }

    /// Whether what is at `at` is part of a parsed value.
    fn covers(&self, at: usize) -> bool {
        let next = self.values.partition_point(|v| v.start <= at);
        next.checked_sub(1).and_then(|n| self.values.get(n)).is_some_and(|v| at < v.end)
    }
}

/// Adds the secrets that the parsed table does not have: in comments, and in a text that does not parse,
/// where all lines are suspect that look like one, and what follows them until a known key or a header.
fn collect_from_text(source: &str, broken: bool, parsed: &mut Parsed) {
    parsed.values.sort_by_key(|v| v.start);
    let mut found = Vec::new();
    let mut start = 0;
    let mut suspect = false;
    for line in source.split_inclusive('\n') {
        let before = found.len();
        let mut harmless = line.trim_start().starts_with('[');
        for (equals, _) in line.match_indices('=') {
            let at = start + equals + 1;
            let spaces = source.get(at..).map_or(0, |s| s.len() - s.trim_start_matches([' ', '\t']).len());
            let known = parsed.covers(at - 1) || parsed.begins.contains(&(at + spaces));
            let secret = is_secret(last_key(line.get(..equals).unwrap_or_default()));
            harmless |= !secret;
            if secret && (broken || !known) {
                found.push(at + spaces..value_end(source, at + spaces, broken));
            }
        }
        if broken && let Some(after) = secret_word(line) {
            found.push(start + after..value_end(source, start + after, broken));
        }
        if broken && suspect && !harmless && !line.contains('=') {
            found.push(start..start + line.trim_end().len());
        }
        suspect = found.len() > before || suspect && !harmless;
        start += line.len();
    }
    parsed.secrets.append(&mut found);
}

/// The key that ends `text`, where an equals sign follows.
fn last_key(text: &str) -> &str {
    let key = text.trim_end().rsplit([' ', '\t', ',', '{', '#', '=', '.']).next().unwrap_or_default();
    key.trim_matches(['"', '\''])
}

/// Where the word ends that may be the name of a secret, if the line has one: anywhere what the name is made
/// of, or at its beginning an unknown word that lacks its equals sign.
fn secret_word(line: &str) -> Option<usize> {
    let lower = line.to_ascii_lowercase();
    let part = ["md5", "pass", "secret"].iter().filter_map(|w| lower.find(w)).min();
    let indent = line.len() - line.trim_start().len();
    let begin = part.unwrap_or(indent);
    let rest = line.get(begin..)?;
    let end = rest.find(|c: char| !(c.is_alphanumeric() || "_-.".contains(c))).unwrap_or(rest.len());
    let word = rest.get(..end)?;
    let unknown = !word.is_empty() && !line.contains('=') && is_secret(word);
    (part.is_some() || unknown).then_some(begin + end)
}

/// Where a value that begins at `start` ends at the latest: with its line; in a broken text where the
/// string ends that is open there, or with the line after a missing value.
fn value_end(source: &str, start: usize, broken: bool) -> usize {
    let rest = source.get(start..).unwrap_or_default();
    let line_end = rest.find('\n').unwrap_or(rest.len());
    let line = rest.get(..line_end).unwrap_or_default().trim_start();
    let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|q| line.starts_with(q));
    let end = match quote {
        _ if !broken => line_end,
        Some(quote) => {
            let open = rest.find(quote).unwrap_or(0) + quote.len();
            let body = rest.get(open..).unwrap_or_default();
            body.find(quote).map_or(rest.len(), |n| open + n + quote.len()).max(line_end)
        }
        None if line.is_empty() => {
            let next = rest.get(line_end + 1..).unwrap_or_default();
            line_end + 1 + next.find('\n').unwrap_or(next.len())
        }
        None => line_end,
    };
    start + end.min(rest.len())
}
