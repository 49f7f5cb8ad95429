//! From a file to a [`Config`], or to everything that is wrong with it.

use std::ops::Range;
use std::path::Path;

use ipc::object::TestReport;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use super::diag::{Diagnostics, Places, Problem};
use super::include::{self, Files, Origin, Together};
use super::mask::Mask;
use super::policy::{self as policies, Case, Names};
use super::reader::{Reader, Scope, Table};
use super::schema::Config;
use super::{Loaded, exporters, global, keys, peers, telemetry};

/// Reads and checks the file at `path`.
pub(super) fn load(path: &Path, tests: PolicyTests) -> Result<Loaded, Diagnostics> {
    read_text(path, &read_file(path)?, tests)
}

/// The text of a file.
pub(super) fn read_file(path: &Path) -> Result<Zeroizing<String>, Diagnostics> {
    let octets = std::fs::read(path)
        .map_err(|e| Diagnostics::whole_file(format!("cannot read {}: {e}", path.display())))?;
    let octets = Zeroizing::new(octets);
    match str::from_utf8(&octets) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(e) => {
            let line = 1 + octets.iter().take(e.valid_up_to()).filter(|b| **b == b'\n').count();
            let message = format!("cannot read {}: line {line} is not valid UTF-8", path.display());
            Err(Diagnostics::whole_file(message))
        }
    }
}

/// Whether the tests that a file has for its policies are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PolicyTests {
    /// They are, and what fails is a mistake of the file.
    Run,
    /// They are only read: a wrong expectation is no reason not to route.
    Skip,
}

/// Checks the text of a file, and those that it includes, without the tests of policies.
pub(crate) fn from_text<'a>(origin: impl Into<Origin<'a>>, source: &str) -> Result<Loaded, Diagnostics> {
    read_text(origin, source, PolicyTests::Skip)
}

/// The text of a file with `<set>` in place of its secrets.
pub(crate) fn without_secrets(source: &str) -> String {
    let (root, errors) = DeTable::parse_recoverable(source);
    Mask::new(source, root.get_ref(), !errors.is_empty()).whole(source)
}

/// The same, and runs the tests of policies.
pub(crate) fn tested_text(origin: Origin<'_>, source: &str) -> Result<Loaded, Diagnostics> {
    read_text(origin, source, PolicyTests::Run)
}

/// Checks the text of a file, with those that it includes.
pub(super) fn read_text<'a>(
    origin: impl Into<Origin<'a>>,
    source: &str,
    tests: PolicyTests,
) -> Result<Loaded, Diagnostics> {
    let origin = origin.into();
    let together = {
        let (root, errors) = DeTable::parse_recoverable(source);
        if !errors.is_empty() {
            let mask = Mask::new(source, root.get_ref(), true);
            let problems = syntax_problems(source, root.get_ref(), &errors);
            return Err(Diagnostics::new(&Places::one(origin.name), source, &mask, problems));
        }
        include::together(origin, source, root.get_ref())?
    };
    let Together { text, places, files } = together;
    let source = text.as_str();
    let (root, errors) = DeTable::parse_recoverable(source);
    let mask = Mask::new(source, root.get_ref(), !errors.is_empty());
    if !errors.is_empty() {
        let problems = syntax_problems(source, root.get_ref(), &errors);
        return Err(Diagnostics::new(&places, source, &mask, problems));
    }
    let mut reader = Reader::new(source, &places.starts());
    let read = read(&mut reader, &Table::root(root.get_ref()));
    let mut tested = None;
    if let (Some((config, cases)), true, PolicyTests::Run) = (&read, reader.problems.is_empty(), tests) {
        tested = policies::run_cases(&mut reader, config, cases).as_ref().and_then(policies::summary);
    }
    match read {
        Some((config, _)) if reader.problems.is_empty() => {
            let mut warnings = reader.warnings;
            warnings.extend(reader.unused.warning());
            Ok(Loaded { config, text: files, warnings, tested })
        }
        _ => Err(Diagnostics::new(&places, source, &mask, reader.problems)),
    }
}

/// Runs the tests that these files have for their policies; `main` is the path of the main file. Wrong expectations are in
/// the report.
///
/// # Errors
/// Where the files can't be used, or the tests can't be run.
pub(crate) fn test_policies(main: &Path, files: &Files) -> Result<TestReport, Diagnostics> {
    let whole = files.whole();
    let source = str::from_utf8(&whole)
        .map_err(|_| Diagnostics::whole_file("the configuration is not valid UTF-8".to_owned()))?;
    let places = files.places(main);
    let (root, errors) = DeTable::parse_recoverable(source);
    let mask = Mask::new(source, root.get_ref(), !errors.is_empty());
    let mut reader = Reader::new(source, &places.starts());
    let read = read(&mut reader, &Table::root(root.get_ref()));
    let report = match &read {
        Some((config, cases)) if errors.is_empty() && reader.problems.is_empty() => {
            policies::run_cases(&mut reader, config, cases)
        }
        _ => None,
    };
    let failed = !reader.problems.is_empty();
    let diagnostics = Diagnostics::new(&places, source, &mask, reader.problems);
    match report {
        Some(report) if failed => Ok(TestReport { diagnostics: diagnostics.to_string(), ..report }),
        Some(report) => Ok(report),
        None => Err(diagnostics),
    }
}

/// Reads the whole file, with the tests of its policies; `None` only if a problem was noted.
fn read<'s>(r: &mut Reader<'s>, root: &Table<'s>) -> Option<(Config, Vec<Case>)> {
    r.check_keys(root, &[keys::ROOT], Some(Scope { name: "", instance: None }));
    r.require(root, &["global"]);
    // They are there already; what is no list of strings is told here.
    r.strings(root, "include");
    let names = Names::collect(root);
    let global_table = r.table(root, "global", "[global]");
    let global = global_table.as_ref().and_then(|t| global::read(r, t));
    let telemetry_table = global_table.as_ref().and_then(|t| r.table(t, "telemetry", "[global.telemetry]"));
    let state_dir = global.as_ref().map_or_else(Default::default, |g| g.runtime_state_dir.clone());
    let telemetry = telemetry_table.and_then(|t| telemetry::read(r, &t, &state_dir));
    let mut policy = policies::read(r, root, &names);
    let groups = peers::groups(r, root, &names);
    let asn = global.as_ref().map(|g| g.asn);
    let neighbors = peers::neighbors(r, root, &groups, &names, asn);
    let dynamic_neighbors = peers::dynamic(r, root, &groups, asn);
    policy.definitions.inline = std::mem::take(&mut r.inline_policies);
    let cases = policies::read_cases(r, root, &names, &neighbors, asn);
    let rpki = exporters::rpki(r, root);
    let bmp = exporters::bmp(r, root);
    let mrt = exporters::mrt(r, root);
    let (global, telemetry) = (global?, telemetry?);
    Some((Config { global, telemetry, neighbors, dynamic_neighbors, policy, rpki, bmp, mrt }, cases))
}

/// What keeps a text from being TOML.
pub(super) fn syntax_problems(source: &str, root: &DeTable<'_>, errors: &[toml::de::Error]) -> Vec<Problem> {
    errors.iter().map(|e| syntax_problem(source, root, e)).collect()
}

fn syntax_problem(source: &str, root: &DeTable<'_>, error: &toml::de::Error) -> Problem {
    let span = error.span().unwrap_or(0..0);
    let message = error.message().to_owned();
    let first = (message == "duplicate key").then(|| first_key(source, root, &span)).flatten();
    let message = if first.is_some() {
        format!("duplicate key {}", source.get(span.clone()).unwrap_or_default())
    } else {
        message
    };
    let (message, label) = match message.split_once(", ") {
        Some((what, expected)) => (what.to_owned(), expected.to_owned()),
        None => (message, String::new()),
    };
    let note = first.map(|first| ("the first one is here".to_owned(), first));
    Problem { message, label, span, note, help: None, field: None }
}

/// The key with the text of `again` that comes last before it: the first one of the same table.
fn first_key(source: &str, root: &DeTable<'_>, again: &Range<usize>) -> Option<Range<usize>> {
    fn search(source: &str, table: &DeTable<'_>, text: &str, before: usize, best: &mut Option<Range<usize>>) {
        for (key, value) in table {
            let span = key.span();
            let later = best.as_ref().is_none_or(|b| b.start < span.start);
            if span.start < before && later && source.get(span.clone()) == Some(text) {
                *best = Some(span);
            }
            descend(source, value.get_ref(), text, before, best);
        }
    }
    fn descend(
        source: &str,
        value: &DeValue<'_>,
        text: &str,
        before: usize,
        best: &mut Option<Range<usize>>,
    ) {
        match value {
            DeValue::Table(table) => search(source, table, text, before, best),
            DeValue::Array(list) => {
                list.iter().for_each(|v| descend(source, v.get_ref(), text, before, best));
            }
            _ => {}
        }
    }
    let mut best = None;
    search(source, root, source.get(again.clone())?, again.start, &mut best);
    best
}
