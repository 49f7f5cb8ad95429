//! The part of a document that is made from recorded runs: everything between two marks.

use crate::report;
use crate::results::text;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs::read_to_string;

pub const BEGIN: &str = "<!-- bgpbench: from here on written by `bgpbench report --markdown` -->";
pub const END: &str = "<!-- bgpbench: up to here -->";

/// This machine, as it is recorded with each run.
pub fn machine() -> Value {
    let read = |p: &str| read_to_string(p).unwrap_or_default();
    let value = |file: &str, key: &str| {
        let text = read(file);
        let line = text.lines().find(|l| l.starts_with(key))?;
        Some(line.split_once(':')?.1.trim().to_string())
    };
    let kb = value("/proc/meminfo", "MemTotal").and_then(|m| m.split(' ').next()?.parse::<u64>().ok());
    json!({
        "cpu": value("/proc/cpuinfo", "model name").unwrap_or("?".into()),
        "cores": std::thread::available_parallelism().map(|n| n.get()).unwrap_or(0),
        "memory_gib": kb.map(|k| (k as f64 / 1048576.0).round()),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
    })
}

/// `text` with what lies between the marks replaced by the tables of these runs.
pub fn replace(old: &str, runs: &[Value]) -> Result<String, String> {
    let missing = |mark: &str| format!("the document has no line {mark:?}");
    let (before, rest) = old.split_once(BEGIN).ok_or_else(|| missing(BEGIN))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| missing(END))?;
    Ok(format!("{before}{BEGIN}\n\n{}{END}{after}", section(runs)))
}

fn section(runs: &[Value]) -> String {
    let mut out = String::new();
    let times: Vec<u64> = runs.iter().filter_map(|r| r["unix_time"].as_u64()).collect();
    let (first, last) = (times.iter().min().map(|t| date(*t)), times.iter().max().map(|t| date(*t)));
    let when = match (first, last) {
        (Some(a), Some(b)) if a == b => a,
        (Some(a), Some(b)) => format!("{a} to {b}"),
        _ => "?".into(),
    };
    let machines: BTreeSet<String> = runs.iter().map(|r| describe(&r["machine"])).collect();
    let versions: BTreeSet<&str> =
        runs.iter().map(|r| text(r, "version")).filter(|v| !v.is_empty()).collect();
    let reps: BTreeSet<u64> = runs.iter().filter_map(|r| r["rep"].as_u64()).collect();
    let list = |s: Vec<&str>| s.join("; ");
    writeln!(out, "Measured {when}, {} repetitions.", reps.len()).unwrap();
    writeln!(out, "Machine: {}.", list(machines.iter().map(|s| s.as_str()).collect())).unwrap();
    writeln!(out, "Versions: {}.\n", list(versions.into_iter().collect())).unwrap();
    writeln!(out, "Medians; ratios are medians of the ratios within a repetition.\n").unwrap();
    writeln!(out, "{}\n{}", report::overview(runs), report::tables(runs).trim_end()).unwrap();
    out + "\n"
}

fn describe(m: &Value) -> String {
    let memory = m["memory_gib"].as_f64().map_or(String::new(), |g| format!(", {g:.0} GiB"));
    format!("{}, {} cores{memory}, Linux {}", text(m, "cpu"), m["cores"], text(m, "kernel"))
}

/// The day of a Unix time, as ISO 8601 has it.
fn date(unix: u64) -> String {
    // Days since 1 March of year 0, in eras of 400 years.
    let days = unix / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let m = (5 * of_year + 2) / 153;
    let (d, month) = (of_year - (153 * m + 2) / 5 + 1, if m < 10 { m + 3 } else { m - 9 });
    format!("{:04}-{month:02}-{d:02}", era * 400 + year + u64::from(month <= 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (unix, day) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (1_795_305_600, "2026-11-22"),
            (4_107_542_399, "2100-02-28"),
        ] {
            assert_eq!(date(unix), day);
        }
    }

    #[test]
    fn only_what_lies_between_the_marks_changes() {
        let runs = [json!({
            "scenario": "restart", "daemon": "ours", "version": "rustbgpd 1.2.3", "rep": 1, "status": "ok",
            "scale": "full", "size": {"peers": 10}, "metrics": {"established_s": 0.125}, "unix_time": 951_782_400,
            "machine": {"cpu": "Abacus", "cores": 7, "memory_gib": 3.0, "kernel": "9.9"},
        })];
        let old = format!("head\n{BEGIN}\nold figures\n{END}\ntail\n");
        let new = replace(&old, &runs).unwrap();
        assert!(new.starts_with(&format!("head\n{BEGIN}\n")) && new.ends_with(&format!("{END}\ntail\n")));
        assert!(!new.contains("old figures"));
        for wanted in [
            "2000-02-29",
            "Abacus, 7 cores, 3 GiB, Linux 9.9",
            "rustbgpd 1.2.3",
            "| restart | up s | 0.125 |",
        ] {
            assert!(new.contains(wanted), "{wanted} is not in\n{new}");
        }
        assert_eq!(replace(&new, &runs).unwrap(), new, "made twice, it is the same");
        assert!(replace("no marks", &runs).is_err());
    }
}
