//! What the documents say about tests is true.

use std::path::Path;

/// A cell of a table that names no test says so.
const MISSING: &str = "not there yet";

/// Above the cells.
const HEAD: &str = "tests";

#[test]
fn every_test_that_docs_rfc_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let document = std::fs::read_to_string(root.join("docs/RFC.md")).unwrap();
    let mut wrong = Vec::new();
    let mut named = 0;
    for row in document.lines().filter(|l| l.starts_with("| ")) {
        let Some(cell) = row.trim_end_matches(" |").rsplit("| ").next() else { continue };
        if cell == HEAD || cell == MISSING {
            continue;
        }
        let mut source = None;
        let mut tests = 0;
        // What stands in backquotes: a file, then the tests in it.
        for name in cell.split('`').skip(1).step_by(2) {
            if name.contains('/') {
                source = std::fs::read_to_string(root.join(name)).ok();
                if source.is_none() {
                    wrong.push(format!("{name} does not exist"));
                }
                continue;
            }
            tests += 1;
            if !source.as_deref().is_some_and(|s| s.contains(&format!("fn {name}("))) {
                wrong.push(format!("{name}: no such test in the file named before it"));
            }
        }
        if tests == 0 {
            wrong.push(format!("no test and not \"{MISSING}\": {row}"));
        }
        named += tests;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(named > 50, "only {named} tests were found: the tables have another form");
}
