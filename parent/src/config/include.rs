//! `include`: further files of a configuration, so that generators can have their own.
//!
//! They count as if they stood behind the main file, in their order. For that to be the same in any order, each is TOML by
//! itself, begins with the header of a table, and has things whole: no thing is in two files.

use std::ops::Range;
use std::path::{Path, PathBuf};

use glob::MatchOptions;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use super::diag::{Diagnostics, Places, Problem};
use super::load::{read_file, syntax_problems};
use super::mask::Mask;
use super::secret::Secret;

/// Where a text is from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    /// What it is called in messages.
    pub(crate) name: &'a Path,
    /// The folder that its `include` begins in.
    pub(crate) folder: &'a Path,
    /// An included file, and what it is to be.
    pub(crate) instead: Option<(&'a Path, &'a str)>,
}

impl<'a> Origin<'a> {
    /// The file at `path`.
    pub(crate) fn file(path: &'a Path) -> Origin<'a> {
        Origin { name: path, folder: folder_of(path), instead: None }
    }
}

impl<'a> From<&'a Path> for Origin<'a> {
    fn from(path: &'a Path) -> Origin<'a> {
        Origin::file(path)
    }
}

/// The folder that the file at `path` is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// The files of a configuration as they were read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Files {
    main: Secret,
    included: Vec<(PathBuf, Secret)>,
}

impl Files {
    /// The main file.
    pub(crate) fn main(&self) -> &Secret {
        &self.main
    }

    /// The octets of the main file.
    pub(crate) fn expose(&self) -> &[u8] {
        self.main.expose()
    }

    /// The others, in their order.
    pub(crate) fn included(&self) -> &[(PathBuf, Secret)] {
        &self.included
    }

    /// All of them as one TOML text.
    pub(crate) fn whole(&self) -> Zeroizing<Vec<u8>> {
        let mut whole = Zeroizing::new(self.main.expose().to_vec());
        for (_, text) in &self.included {
            whole.push(b'\n');
            whole.extend_from_slice(without_bom(text.expose()));
        }
        whole
    }

    /// Where each begins in [`whole`](Files::whole); the main file is the one at `main`.
    pub(super) fn places(&self, main: &Path) -> Places {
        let mut places = Places::one(main);
        let mut end = self.main.expose().len();
        for (path, text) in &self.included {
            places.add(end + 1, path);
            end += 1 + without_bom(text.expose()).len();
        }
        places
    }
}

fn without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text)
}

/// The main text, what follows it, and where each begins.
pub(super) struct Together {
    pub(super) text: Zeroizing<String>,
    pub(super) places: Places,
    pub(super) files: Files,
}

/// Lists of tables, whose tables must not be continued in another file.
const LISTS: [&[&str]; 8] = [
    &["neighbors"],
    &["dynamic_neighbors"],
    &["policy", "import"],
    &["policy", "export"],
    &["policy", "tests"],
    &["rpki", "cache_servers"],
    &["rpki", "local_vrps"],
    &["bmp", "collectors"],
];

/// What has names.
const NAMED: [(&str, &[&str]); 6] = [
    ("peer group", &["peer_groups"]),
    ("policy", &["policy", "definitions"]),
    ("neighbor set", &["policy", "neighbor_sets"]),
    ("prefix set", &["policy", "prefix_sets"]),
    ("AS set", &["policy", "as_sets"]),
    ("community set", &["policy", "community_sets"]),
];

/// The main text with the files that it includes. `root` is what it says.
///
/// # Errors
/// Where one of them can't be read or is not what an included file can be.
pub(super) fn together(
    origin: Origin<'_>,
    source: &str,
    root: &DeTable<'_>,
) -> Result<Together, Diagnostics> {
    let paths = paths(origin, source, root)?;
    let mut text = Zeroizing::new(source.to_owned());
    let mut places = Places::one(origin.name);
    let mut included = Vec::new();
    let mut wrong = Vec::new();
    let mut named = names(root, 0);
    let mut again = Vec::new();
    for path in paths {
        let own = match origin.instead.filter(|(p, _)| *p == path) {
            Some((_, text)) => Zeroizing::new(text.to_owned()),
            None => match read_file(&path) {
                Ok(text) => text,
                Err(diagnostics) => {
                    wrong.push(diagnostics);
                    continue;
                }
            },
        };
        let plain = own.strip_prefix('\u{feff}').unwrap_or(&own);
        let (root, errors) = DeTable::parse_recoverable(plain);
        let problems = if errors.is_empty() {
            foreign(plain, root.get_ref())
        } else {
            syntax_problems(plain, root.get_ref(), &errors)
        };
        if !problems.is_empty() {
            let mask = Mask::new(plain, root.get_ref(), !errors.is_empty());
            wrong.push(Diagnostics::new(&Places::one(&path), plain, &mask, problems));
            continue;
        }
        text.push('\n');
        let start = text.len();
        places.add(start, &path);
        text.push_str(plain);
        for (kind, name, span) in names(root.get_ref(), start) {
            match named.iter().find(|(k, n, _)| (*k, n) == (kind, &name)) {
                Some((_, _, first)) => again.push(twice(kind, &name, span, first.clone())),
                None => named.push((kind, name, span)),
            }
        }
        included.push((path, Secret::from(own.as_str())));
    }
    if !again.is_empty() {
        let (root, errors) = DeTable::parse_recoverable(&text);
        let mask = Mask::new(&text, root.get_ref(), !errors.is_empty());
        wrong.push(Diagnostics::new(&places, &text, &mask, again));
    }
    match Diagnostics::all(wrong) {
        Some(diagnostics) => Err(diagnostics),
        None => Ok(Together { text, places, files: Files { main: Secret::from(source), included } }),
    }
}

/// The files that `include` names, each once. What is no list of strings is for the reader of the configuration.
fn paths(origin: Origin<'_>, source: &str, root: &DeTable<'_>) -> Result<Vec<PathBuf>, Diagnostics> {
    let patterns = root.get("include").and_then(|v| v.get_ref().as_array()).into_iter().flatten();
    let options = MatchOptions { require_literal_leading_dot: true, ..MatchOptions::new() };
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut problems = Vec::new();
    for pattern in patterns {
        let Some(text) = pattern.get_ref().as_str() else { continue };
        let mut invalid = |why: String| problems.push(invalid(text, pattern, why));
        let Some(folder) = origin.folder.to_str() else {
            invalid("cannot be found: the name of the file's folder is not valid UTF-8".to_owned());
            continue;
        };
        // The folder is meant as it is, whatever characters it has.
        let full = if Path::new(text).is_absolute() || folder.is_empty() {
            text.to_owned()
        } else {
            format!("{}/{text}", glob::Pattern::escape(folder))
        };
        match glob::glob_with(&full, options) {
            _ if text.is_empty() => invalid("must not be empty".to_owned()),
            Err(error) => invalid(format!("must be a pattern of file names: {}", error.msg)),
            Ok(found) => {
                for path in found {
                    match path {
                        Ok(path) if paths.contains(&path) => {}
                        Ok(path) => paths.push(path),
                        Err(error) => invalid(format!("cannot read {}", error.path().display())),
                    }
                }
            }
        }
    }
    if problems.is_empty() {
        return Ok(paths);
    }
    let mask = Mask::new(source, root, false);
    Err(Diagnostics::new(&Places::one(origin.name), source, &mask, problems))
}

fn invalid(text: &str, pattern: &Spanned<DeValue<'_>>, why: String) -> Problem {
    Problem {
        message: format!("invalid include {text:?}: {why}"),
        label: why,
        span: pattern.span(),
        note: None,
        help: None,
        field: Some(("include".to_owned(), text.to_owned())),
    }
}

/// What an included file can't have.
fn foreign(source: &str, root: &DeTable<'_>) -> Vec<Problem> {
    let problem = |message: String, label: &str, span| Problem {
        message,
        label: label.to_owned(),
        span,
        note: None,
        help: None,
        field: None,
    };
    let mut problems = Vec::new();
    for name in ["global", "include"] {
        if let Some((key, _)) = root.get_key_value(name) {
            problems.push(problem(
                format!("{name} in an included file"),
                "is for the main file only",
                key.span(),
            ));
        }
    }
    if let Some(begin) = first_line(source).filter(|_| problems.is_empty()) {
        let end = begin + source.get(begin..).and_then(|s| s.find(['=', '\n'])).unwrap_or(1);
        let rule = "must begin with the header of a table, like [[neighbors]]";
        let message = format!("an included file {rule}");
        let line = source.get(begin..end).unwrap_or_default().trim_end().len();
        problems.push(problem(message, "this may stand behind another file", begin..begin + line));
    }
    for path in LISTS {
        let (last, tables) = path.split_last().map_or(("", &[][..]), |(last, tables)| (*last, tables));
        let Some((key, value)) = table_at(root, tables).and_then(|t| t.get_key_value(last)) else { continue };
        if value.get_ref().as_array().is_none() {
            let title = path.join(".");
            let message = format!("a part of [[{title}]] without its beginning in an included file");
            let label = format!("[[{title}]] must come before it, in the same file");
            problems.push(problem(message, &label, key.span()));
        }
    }
    problems
}

/// Where the first line begins that says something, unless that is a header.
fn first_line(source: &str) -> Option<usize> {
    let mut at = 0;
    for line in source.split_inclusive('\n') {
        let text = line.trim_start();
        if !text.is_empty() && !text.starts_with('#') {
            return (!text.starts_with('[')).then_some(at + line.len() - text.len());
        }
        at += line.len();
    }
    None
}

fn table_at<'t, 's>(root: &'t DeTable<'s>, path: &[&str]) -> Option<&'t DeTable<'s>> {
    path.iter().try_fold(root, |table, key| table.get(*key)?.get_ref().as_table())
}

/// What the file has of [`NAMED`]: the kind, the name, and where; `start` is where the file begins.
fn names(root: &DeTable<'_>, start: usize) -> Vec<(&'static str, String, Range<usize>)> {
    let mut names = Vec::new();
    for (kind, path) in NAMED {
        for (key, _) in table_at(root, path).into_iter().flatten() {
            let span = key.span();
            names.push((kind, key.get_ref().to_string(), start + span.start..start + span.end));
        }
    }
    names
}

fn twice(kind: &str, name: &str, span: Range<usize>, first: Range<usize>) -> Problem {
    Problem {
        message: format!("duplicate {kind} {name:?}"),
        label: "must be in one file only".to_owned(),
        span,
        note: Some((format!("the first {kind} {name:?} is here"), first)),
        help: None,
        field: None,
    }
}
