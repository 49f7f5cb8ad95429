//! Typed reading of parsed TOML that notes every mistake with its place and goes on.

use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;

use policy::PolicyDef;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diag::Problem;
use super::keys::{Key, home_of};
use super::mask::is_secret;
use super::unused::Unused;

/// A value and where it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct At<T> {
    /// The value.
    pub value: T,
    /// Where.
    pub span: Range<usize>,
}

/// A table of the file.
#[derive(Debug, Clone)]
pub(super) struct Table<'s> {
    /// How the file writes it, for messages.
    pub title: String,
    /// Its header, or the whole of an inline table.
    pub span: Range<usize>,
    entries: &'s DeTable<'s>,
}

impl<'s> Table<'s> {
    /// The file itself.
    pub(super) fn root(entries: &'s DeTable<'s>) -> Table<'s> {
        Table { title: "the file".to_owned(), span: 0..0, entries }
    }

    /// Whether the key is there, whatever it holds.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Whether the key is there and holds more than an empty list.
    pub(super) fn says_something(&self, key: &str) -> bool {
        self.get(key).is_some_and(|v| v.get_ref().as_array().is_none_or(|list| !list.is_empty()))
    }

    /// Where the key is, if it is there.
    pub(super) fn key_span(&self, key: &str) -> Option<Range<usize>> {
        self.entries.get_key_value(key).map(|(k, _)| k.span())
    }

    /// The keys of the table that `key` holds, if it does.
    pub(super) fn names_in(&self, key: &str) -> Vec<&'s str> {
        let table = self.get(key).and_then(|v| v.get_ref().as_table());
        table.map_or_else(Vec::new, |t| t.keys().map(|k| k.get_ref().as_ref()).collect())
    }

    /// The table that `key` holds, if it does, without a complaint if not.
    pub(super) fn peek(&self, key: &str) -> Option<Table<'s>> {
        let value = self.get(key)?;
        let entries = value.get_ref().as_table()?;
        Some(Table { title: key.to_owned(), span: value.span(), entries })
    }

    /// Where the value of the key is, if it is there.
    pub(super) fn value_span(&self, key: &str) -> Option<Range<usize>> {
        self.get(key).map(Spanned::span)
    }

    /// The text that `key` holds, if it does, without a complaint if not.
    pub(super) fn plain_text(&self, key: &str) -> Option<&'s str> {
        self.get(key)?.get_ref().as_str()
    }

    fn get(&self, key: &str) -> Option<&'s Spanned<DeValue<'s>>> {
        self.entries.get(key)
    }
}

/// An unsigned integer that a key may hold.
pub(super) trait Number: TryFrom<i128> + Copy {
    /// The largest one.
    const MAX: u32;
}

impl Number for u8 {
    const MAX: u32 = u8::MAX as u32;
}

impl Number for u16 {
    const MAX: u32 = u16::MAX as u32;
}

impl Number for u32 {
    const MAX: u32 = u32::MAX;
}

/// Reads tables and collects what is wrong with them.
#[derive(Debug)]
pub(super) struct Reader<'s> {
    source: &'s str,
    /// What is wrong so far.
    pub problems: Vec<Problem>,
    /// What has no effect so far.
    pub unused: Unused,
    /// What else the operator should know.
    pub warnings: Vec<String>,
    /// Policies that are written where they are used.
    pub inline_policies: Vec<PolicyDef>,
    /// Where the second line begins, and each one after it.
    lines: Vec<usize>,
    /// Where files begin.
    files: Vec<usize>,
}

impl<'s> Reader<'s> {
    /// Reads tables that were parsed from this text.
    /// `files`: where the files begin that the text is of.
    pub(super) fn new(source: &'s str, files: &[usize]) -> Reader<'s> {
        Reader {
            source,
            problems: Vec::new(),
            unused: Unused::default(),
            warnings: Vec::new(),
            inline_policies: Vec::new(),
            lines: source.bytes().zip(1..).filter(|(b, _)| *b == b'\n').map(|(_, next)| next).collect(),
            files: files.to_vec(),
        }
    }

    /// The value at `span` breaks a rule of `key`.
    pub(super) fn invalid(&mut self, key: &str, span: Range<usize>, rule: impl Display) -> &mut Problem {
        let value = if is_secret(key) { String::new() } else { self.shown(span.clone()) };
        let field = (key.to_owned(), value.trim_start().trim_matches('"').to_owned());
        let problem = self.problem(format!("invalid {key}{value}: {rule}"), rule.to_string(), span);
        problem.field = Some(field);
        problem
    }

    /// Something is wrong at `span`.
    pub(super) fn problem(&mut self, message: String, label: String, span: Range<usize>) -> &mut Problem {
        self.problems.push(Problem { message, label, span, note: None, help: None, field: None });
        let last = self.problems.len() - 1;
        &mut self.problems[last]
    }

    /// The number of the line at this place in its file, from 1.
    pub(super) fn line(&self, place: usize) -> u32 {
        let line = |place: usize| self.lines.partition_point(|begin| *begin <= place);
        let file = self.files.iter().copied().rfind(|start| *start <= place).unwrap_or_default();
        u32::try_from(1 + line(place) - line(file)).unwrap_or(u32::MAX)
    }

    /// The place of a part of a string; all of it where the file writes the string with escapes.
    pub(super) fn inside(&self, text: &At<&str>, part: Range<usize>) -> Range<usize> {
        let start = text.span.start + 1;
        let plain = start..start + text.value.len();
        if self.source.get(plain) != Some(text.value) {
            return text.span.clone();
        }
        start + part.start..start + part.end.max(part.start + 1).min(text.value.len().max(1))
    }

    /// A scalar as the file writes it, with a space before it; nothing for what is long or not a scalar.
    pub(super) fn shown(&self, span: Range<usize>) -> String {
        let text = self.source.get(span).unwrap_or_default();
        let plain = text.chars().count() <= 60 && !text.contains(char::is_control);
        if !plain || text.is_empty() || text.starts_with(['[', '{']) {
            String::new()
        } else {
            format!(" {text}")
        }
    }

    /// Notes the keys of `table` that are in none of `known`, and which ones have no effect: under `name`,
    /// and `instance` where there are several such tables. `None` = what holds the table is noted already.
    pub(super) fn check_keys(&mut self, table: &Table<'s>, known: &[&[Key]], scope: Option<Scope<'_>>) {
        for (key, _) in table.entries {
            let name: &str = key.get_ref();
            match (known.iter().copied().flatten().find(|k| k.name == name), scope) {
                (Some(found), Some(scope)) if !found.effective => {
                    self.unused.add(scope.name, scope.instance, found.name);
                }
                (Some(_), _) => {}
                // What was meant is clear, and a session without it must not come about unnoticed.
                (None, _) if name.starts_with("tcp_ao") => {
                    let what = "TCP-AO (RFC 5925) is not available in this version";
                    let help = "md5_password signs segments with TCP-MD5 (RFC 2385)".to_owned();
                    self.problem(format!("{name}: {what}"), what.to_owned(), key.span()).help = Some(help);
                }
                (None, _) => {
                    let names = known.iter().copied().flatten().map(|k| k.name);
                    let meant = nearest(name, names).map(|n| format!("did you mean `{n}`?"));
                    let help = meant.or_else(|| Some(format!("`{name}` belongs to: {}", home_of(name)?)));
                    let message = format!("unknown key {name:?} in {}", table.title);
                    self.problem(message, "unknown key".to_owned(), key.span()).help = help;
                }
            }
        }
    }

    /// Notes where a key that must be there is not.
    pub(super) fn require(&mut self, table: &Table<'s>, keys: &[&str]) {
        for key in keys.iter().filter(|k| !table.has(k)) {
            let message = format!("missing {key} in {}", table.title);
            let problem = self.problem(message, format!("{key} is required"), table.span.clone());
            problem.field = Some(((*key).to_owned(), String::new()));
        }
    }

    /// Passes on what keeps the rule and notes what does not.
    pub(super) fn keep<T>(
        &mut self,
        key: &str,
        value: Option<At<T>>,
        rule: impl Display,
        ok: impl FnOnce(&T) -> bool,
    ) -> Option<At<T>> {
        let value = value?;
        if ok(&value.value) {
            return Some(value);
        }
        self.invalid(key, value.span, rule);
        None
    }

    fn wrong_type<T>(&mut self, key: &str, value: &Spanned<DeValue<'_>>, what: &str) -> Option<At<T>> {
        self.invalid(key, value.span(), format_args!("must be {what}"));
        None
    }

    /// An unsigned integer for which `ok` holds; `rule` says so in words.
    pub(super) fn number_where<T: Number>(
        &mut self,
        table: &Table<'s>,
        key: &str,
        rule: &str,
        ok: impl FnOnce(T) -> bool,
    ) -> Option<At<T>> {
        let value = table.get(key)?;
        self.number_value(key, value, rule, ok)
    }

    /// An unsigned integer.
    pub(super) fn number<T: Number>(&mut self, table: &Table<'s>, key: &str) -> Option<At<T>> {
        self.number_where(table, key, &format!("must be 0 to {}", T::MAX), |_| true)
    }

    /// An unsigned integer that is not 0.
    pub(super) fn positive<T: Number + Into<u32>>(&mut self, table: &Table<'s>, key: &str) -> Option<At<T>> {
        self.number_where(table, key, "must be > 0", |n: T| n.into() > 0)
    }

    fn number_value<T: Number>(
        &mut self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        rule: &str,
        ok: impl FnOnce(T) -> bool,
    ) -> Option<At<T>> {
        let DeValue::Integer(integer) = value.get_ref() else {
            return self.wrong_type(key, value, "an integer");
        };
        // What does not fit into 128 bits is not in range either.
        let number = i128::from_str_radix(integer.as_str(), integer.radix()).unwrap_or(i128::MAX);
        if number > i128::from(T::MAX) {
            self.invalid(key, value.span(), format_args!("must be at most {}", T::MAX));
            return None;
        }
        match T::try_from(number) {
            Ok(n) if ok(n) => Some(At { value: n, span: value.span() }),
            _ => {
                self.invalid(key, value.span(), rule);
                None
            }
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, table: &Table<'s>, key: &str) -> Option<At<bool>> {
        let value = table.get(key)?;
        match value.get_ref() {
            DeValue::Boolean(b) => Some(At { value: *b, span: value.span() }),
            _ => self.wrong_type(key, value, "true or false"),
        }
    }

    /// A string.
    pub(super) fn string(&mut self, table: &Table<'s>, key: &str) -> Option<At<&'s str>> {
        let value = table.get(key)?;
        self.string_value(key, value)
    }

    /// A string that is not empty.
    pub(super) fn text(&mut self, table: &Table<'s>, key: &str) -> Option<At<&'s str>> {
        let value = self.string(table, key);
        self.keep(key, value, "must not be empty", |s| !s.is_empty())
    }

    fn string_value(&mut self, key: &str, value: &'s Spanned<DeValue<'s>>) -> Option<At<&'s str>> {
        match value.get_ref() {
            DeValue::String(s) => Some(At { value: s, span: value.span() }),
            _ => self.wrong_type(key, value, "a string"),
        }
    }

    /// A string that can be read as a `T`, which is `what`.
    pub(super) fn parse<T: FromStr>(&mut self, table: &Table<'s>, key: &str, what: &str) -> Option<At<T>> {
        let text = self.string(table, key)?;
        self.parse_text(key, text, what)
    }

    /// Reads `text` as a `T`, which is `what`.
    pub(super) fn parse_text<T: FromStr>(&mut self, key: &str, text: At<&str>, what: &str) -> Option<At<T>> {
        match text.value.parse() {
            Ok(value) => Some(At { value, span: text.span }),
            Err(_) => {
                self.invalid(key, text.span, format_args!("must be {what}"));
                None
            }
        }
    }

    /// A string that is one of these names.
    pub(super) fn choice<T: Copy>(
        &mut self,
        table: &Table<'s>,
        key: &str,
        names: &[(&str, T)],
    ) -> Option<At<T>> {
        let text = self.string(table, key)?;
        self.choice_text(key, text, names)
    }

    /// The choice that `text` names.
    pub(super) fn choice_text<T: Copy>(
        &mut self,
        key: &str,
        text: At<&str>,
        names: &[(&str, T)],
    ) -> Option<At<T>> {
        if let Some((_, value)) = names.iter().find(|(name, _)| *name == text.value) {
            return Some(At { value: *value, span: text.span });
        }
        let all: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        let rule = format!("must be {}", any_of(&all));
        let help = nearest(text.value, all.iter().copied()).map(|n| format!("did you mean \"{n}\"?"));
        self.invalid(key, text.span, rule).help = help;
        None
    }

    /// A list of strings.
    pub(super) fn strings(&mut self, table: &Table<'s>, key: &str) -> Option<At<Vec<At<&'s str>>>> {
        let value = table.get(key)?;
        let DeValue::Array(list) = value.get_ref() else {
            return self.wrong_type(key, value, "a list of strings");
        };
        let items = list.iter().filter_map(|v| self.string_value(key, v)).collect();
        Some(At { value: items, span: value.span() })
    }

    /// A list of unsigned integers for which `ok` holds.
    pub(super) fn numbers(
        &mut self,
        table: &Table<'s>,
        key: &str,
        rule: &str,
        ok: impl Fn(u32) -> bool,
    ) -> Option<At<Vec<u32>>> {
        let value = table.get(key)?;
        let DeValue::Array(list) = value.get_ref() else {
            return self.wrong_type(key, value, "a list of integers");
        };
        let items =
            list.iter().filter_map(|v| self.number_value(key, v, rule, &ok)).map(|n| n.value).collect();
        Some(At { value: items, span: value.span() })
    }

    /// A table.
    pub(super) fn table(&mut self, table: &Table<'s>, key: &str, title: &str) -> Option<Table<'s>> {
        let value = table.get(key)?;
        match value.get_ref() {
            DeValue::Table(entries) => Some(Table { title: title.to_owned(), span: value.span(), entries }),
            _ => {
                self.invalid(key, value.span(), format_args!("must be a table: {title}"));
                None
            }
        }
    }

    /// The tables that a table holds under names of the operator's choice.
    pub(super) fn named(&mut self, table: &Table<'s>, prefix: &str) -> Vec<(At<&'s str>, Table<'s>)> {
        let mut found = Vec::new();
        for (key, value) in table.entries {
            let name: &'s str = key.get_ref();
            let title = format!("[{prefix}.{name}]");
            match value.get_ref() {
                DeValue::Table(entries) => {
                    let table = Table { title, span: value.span(), entries };
                    found.push((At { value: name, span: key.span() }, table));
                }
                _ => {
                    self.invalid(name, value.span(), format_args!("must be a table: {title}"));
                }
            }
        }
        found
    }

    /// A list of tables.
    pub(super) fn tables(&mut self, table: &Table<'s>, key: &str, title: &str) -> Vec<Table<'s>> {
        let Some(value) = table.get(key) else { return Vec::new() };
        let rule = format!("must be a list of tables: {title}");
        let DeValue::Array(list) = value.get_ref() else {
            self.invalid(key, value.span(), rule);
            return Vec::new();
        };
        let mut found = Vec::new();
        for value in list {
            match value.get_ref() {
                DeValue::Table(entries) => {
                    found.push(Table { title: title.to_owned(), span: value.span(), entries });
                }
                _ => {
                    self.invalid(key, value.span(), &rule);
                }
            }
        }
        found
    }

    /// Notes the second of two equal values, with a note at the first.
    pub(super) fn repeated(&mut self, key: &str, again: Range<usize>, first: Range<usize>) {
        let value = self.shown(again.clone());
        let problem = self.problem(format!("duplicate {key}{value}"), "must be unique".to_owned(), again);
        problem.note = Some((format!("the first {key}{value} is here"), first));
    }
}

/// Where settings without an effect are reported.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    /// The table's name; empty for the file itself.
    pub name: &'static str,
    /// Which of several such tables.
    pub instance: Option<&'a str>,
}

/// `a, b or c`.
fn any_of(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => format!("\"{one}\""),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(|n| format!("\"{n}\"")).collect();
            format!("{} or \"{last}\"", first.join(", "))
        }
    }
}

/// The name that `text` may have been meant for.
pub(crate) fn nearest<'n>(text: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let allowed = (text.chars().count() / 3).clamp(1, 3);
    names
        .map(|name| (strsim::damerau_levenshtein(text, name), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}
