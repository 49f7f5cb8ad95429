//! What the programs are built of, and how: licences and origins of all crates, flags of the linker.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use lab::{Error, Result, binary};
use serde_json::Value;

const TOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The list `name` of `deny.toml`: what `make deny` goes by as well.
fn list(name: &str) -> Result<BTreeSet<String>> {
    let text = fs::read_to_string(Path::new(TOP).join("deny.toml"))?;
    let begin = text.split(&format!("\n{name} = [")).nth(1).unwrap_or_default();
    let lines = begin.lines().take_while(|line| *line != "]");
    let list: BTreeSet<String> = lines
        .filter(|l| !l.trim_start().starts_with('#'))
        .filter_map(|l| Some(l.split('"').nth(1)?.to_owned()))
        .collect();
    if list.is_empty() { Err(Error::new(format!("deny.toml has no list {name}"))) } else { Ok(list) }
}

/// All crates that are built on this system, of the daemon and of its tests.
fn crates() -> Result<Vec<Value>> {
    let arguments =
        ["metadata", "--format-version", "1", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(TOP).output()?;
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .map_err(|e| Error::new(format!("{e}: {}", String::from_utf8_lossy(&output.stderr))))?;
    let used: BTreeSet<&str> = metadata["resolve"]["nodes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|n| n["id"].as_str())
        .collect();
    let all = metadata["packages"].as_array().cloned().unwrap_or_default();
    Ok(all.into_iter().filter(|p| p["id"].as_str().is_some_and(|id| used.contains(id))).collect())
}

/// Whether an SPDX expression leaves us a choice of licences that are all allowed.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let parts = expression.replace('/', " OR ");
    let mut parts = parts.split(" AND ").map(|part| part.trim_matches(['(', ')', ' ']));
    parts
        .all(|part| part.split(" OR ").any(|licence| allowed.contains(licence.trim_matches(['(', ')', ' ']))))
}

#[test]
fn crates_have_licences_and_origins_that_are_allowed() -> Result<()> {
    let (allowed, crates) = (list("allow")?, crates()?);
    assert!(crates.len() > 100, "{}", crates.len());
    let denied = fs::read_to_string(Path::new(TOP).join("deny.toml"))?;
    for found in &crates {
        let (name, licence) = (found["name"].as_str().unwrap_or_default(), found["license"].as_str());
        assert!(licence.is_some_and(|l| is_allowed(l, &allowed)), "{name} has the licence {licence:?}");
        assert!(
            found["source"].is_null() || found["source"] == REGISTRY,
            "{name} is from {}",
            found["source"]
        );
        assert!(!denied.contains(&format!("{{ name = \"{name}\" }}")), "{name} is banned");
    }
    assert!(!is_allowed("GPL-3.0", &allowed) && !is_allowed("MIT AND GPL-3.0", &allowed));
    assert!(is_allowed("GPL-3.0 OR MIT", &allowed) && is_allowed("(MIT OR GPL-3.0) AND ISC", &allowed));
    Ok(())
}

/// Where the code lies is left to chance, tables of addresses cannot be written to once a program runs, no stack is code.
#[test]
fn programs_are_position_independent_and_their_tables_read_only() -> Result<()> {
    for program in ["rustbgpd", "rustbgpd-session", "rustbgpd-rde", "rustbgpd-control", "rustbgpctl"] {
        let output =
            Command::new("readelf").args(["--wide", "-h", "-l", "-d"]).arg(binary(program)?).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        let line = |word: &str| said.lines().find(|line| line.contains(word)).unwrap_or_default();
        assert!(line("Type:").contains("DYN"), "{program}: {said}");
        assert!(line("FLAGS_1").contains("PIE") && line("FLAGS_1").contains("NOW"), "{program}: {said}");
        assert!(!line("GNU_RELRO").is_empty(), "{program}: {said}");
        let stack = line("GNU_STACK");
        assert!(stack.contains("RW ") && !stack.contains("RWE"), "{program}: {stack}");
    }
    Ok(())
}

/// This may not run on aarch64, but what is written for it must be there: each call that is listed without a condition.
#[test]
fn filters_list_calls_that_both_architectures_have() -> Result<()> {
    let crates = crates()?;
    let libc = crates.iter().find(|c| c["name"] == "libc").and_then(|c| c["manifest_path"].as_str());
    let libc = Path::new(libc.unwrap_or_default()).with_file_name("src/unix/linux_like/linux/gnu/b64");
    let named = |file: &str| -> Result<BTreeSet<String>> {
        let text = fs::read_to_string(libc.join(file))?;
        let names =
            text.lines().filter_map(|line| line.trim().strip_prefix("pub const SYS_")?.split(':').next());
        Ok(names.map(|name| format!("SYS_{name}")).collect())
    };
    let (x86_64, aarch64) = (named("x86_64/not_x32.rs")?, named("aarch64/mod.rs")?);
    let mut seen = 0;
    for entry in fs::read_dir(Path::new(TOP).join("ipc/sandbox/src/filters"))? {
        let file = entry?.path();
        let text = fs::read_to_string(&file)?;
        let lines: Vec<&str> = text.lines().collect();
        for (n, line) in lines.iter().enumerate() {
            let before = n.checked_sub(1).and_then(|n| lines.get(n)).copied().unwrap_or_default();
            let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            for call in words.filter(|word| word.starts_with("SYS_")) {
                assert!(x86_64.contains(call), "{}: {call}", file.display());
                let only = before.contains("cfg(target_arch = \"x86_64\")");
                assert!(only || aarch64.contains(call), "{}: aarch64 has no {call}", file.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 100, "{seen}");
    Ok(())
}
