//! What the tables say of recorded runs.

use super::*;
use serde_json::json;

fn run(scenario: &str, daemon: &str, rep: u64, metrics: Value) -> Value {
    json!({"scenario": scenario, "size": {"n": 1}, "scale": "full", "daemon": daemon, "rep": rep, "status": "ok", "metrics": metrics})
}

fn failed(scenario: &str, daemon: &str, rep: u64, why: &str) -> Value {
    let mut r = run(scenario, daemon, rep, json!({}));
    r["status"] = json!(why);
    r
}

/// The cells of the row of a scenario in the table of all.
fn row(runs: &[Value], scenario: &str) -> Vec<String> {
    let all = overview(runs);
    let line = all.lines().find(|l| l.starts_with(&format!("| {scenario} |"))).unwrap();
    line.trim_matches('|').split('|').map(|c| c.trim().to_string()).collect()
}

fn load(time: f64, cpu: f64, mb: f64) -> Value {
    json!({"time_s": time, "cpu_s": cpu, "peak_pss_mb": mb})
}

#[test]
fn ratios_are_medians_within_repetitions() {
    // A machine twice as slow in the third repetition changes no ratio.
    let mut runs = Vec::new();
    for (rep, slow) in [(1, 1.0), (2, 1.0), (3, 2.0)] {
        runs.push(run("transit", "bird", rep, load(2.0 * slow, 2.0 * slow, 100.0)));
        runs.push(run("transit", "ours", rep, load(1.0 * slow, 1.5 * slow, 79.0)));
    }
    let cells = row(&runs, "transit");
    assert_eq!(cells[2..5], ["2.00 / 2.00 / 100", "1.00 / 1.50 / 79", "0.50 / 0.75 / 0.79"]);
    assert_eq!(cells[6], "yes");
    assert!(tables(&runs).contains("| rustbgpd | 3/3 | 1.00 [1.00..2.00] | 0.50 |"));
}

#[test]
fn a_bar_that_is_not_reached_is_named() {
    let churn =
        |per_s: f64, p99: f64| json!({"churn_per_s": per_s, "probe_p50_ms": 1.0, "probe_p99_ms": p99});
    let own =
        |p99: f64, with: f64| json!({"probe_p99_ms": p99, "query_probe_p99_ms": with, "listed_per_s": 1.0});
    let flap = |last: f64| json!({"first_pss_mb": 100.0, "last_pss_mb": last});
    let none = Value::Null;
    // Scenario, BIRD's figures, FRR's, ours, what the table says.
    let cases = [
        ("transit", load(1.0, 1.0, 100.0), &none, load(0.6, 1.1, 80.0), "yes"),
        (
            "transit",
            load(1.0, 1.0, 100.0),
            &none,
            load(0.61, 1.2, 80.0),
            "**no**: time is 0.61 x BIRD, CPU is 1.20 x BIRD",
        ),
        ("transit6", load(1.0, 1.0, 100.0), &none, load(0.5, 9.0, 121.0), "**no**: memory is 1.21 x BIRD"),
        ("fanout", load(4.0, 1.0, 1.0), &load(1.0, 1.0, 1.0), load(0.7, 1.0, 1.0), "yes"),
        (
            "fanout",
            load(9.0, 1.0, 1.0),
            &load(1.0, 1.0, 1.0),
            load(1.2, 1.0, 1.0),
            "**no**: time is 1.20 x FRR",
        ),
        ("fanout", load(4.0, 1.0, 1.0), &none, load(0.7, 1.0, 1.0), "yes: time not compared with FRR"),
        ("churn", churn(100.0, 2.0), &none, churn(120.0, 2.0), "yes"),
        ("churn", churn(100.0, 2.0), &none, churn(110.0, 2.0), "**no**: changes/s is 1.10 x BIRD"),
        ("churn-query", own(1.0, 9.0), &none, own(1.0, 1.1), "yes"),
        ("churn-query", own(1.0, 1.0), &none, own(1.0, 1.2), "**no**: p99 with queries is 1.20 x without"),
        ("flap", flap(500.0), &none, flap(109.0), "yes"),
        ("flap", flap(100.0), &none, flap(111.0), "**no**: memory at the end is 1.11 x at first"),
        ("idle-probe", churn(1.0, 0.1), &none, churn(1.0, 5.0), "yes"),
        ("idle-probe", churn(1.0, 9.0), &none, churn(1.0, 5.5), "**no**: p99 is 5.50 ms"),
        ("idle-probe", churn(1.0, 9.0), &none, json!({}), "?: p99 not measured"),
        (
            "restart",
            json!({"established_s": 1.0}),
            &none,
            json!({"established_s": 1.0}),
            "?: up not compared with FRR",
        ),
        ("churn-paced", churn(1.0, 1.0), &none, churn(1.0, 9.0), "–"),
    ];
    for (scenario, bird, frr, ours, says) in cases {
        let mut runs = vec![run(scenario, "bird", 1, bird), run(scenario, "ours", 1, ours)];
        if !frr.is_null() {
            runs.push(run(scenario, "frr", 1, frr.clone()));
        }
        assert_eq!(row(&runs, scenario).last().unwrap(), says, "{scenario}");
    }
}

#[test]
fn bars_are_written_as_what_they_are() {
    let one = |scenario: &str| row(&[run(scenario, "ours", 1, json!({}))], scenario);
    let bar = |scenario: &str| one(scenario).iter().rev().nth(1).cloned().unwrap();
    assert_eq!(bar("churn"), "changes/s ≥ 1.2 x BIRD, p99 ≤ BIRD");
    assert_eq!(bar("flap"), "memory at the end ≤ 1.1 x at first");
    assert_eq!(bar("idle-probe"), "p99 ≤ 5 ms");
}

#[test]
fn failures_are_named_and_not_counted() {
    let runs = [
        run("transit", "bird", 1, load(2.0, 2.0, 100.0)),
        run("transit", "bird", 2, load(2.0, 2.0, 100.0)),
        run("transit", "ours", 1, load(1.0, 1.0, 50.0)),
        failed("transit", "ours", 2, "stalled: no new route"),
    ];
    let cells = row(&runs, "transit");
    assert_eq!(cells[3], "1.00 / 1.00 / 50 (1 of 2 failed)");
    assert_eq!(cells[6], "**no**: 1 failed");
    let text = tables(&runs);
    assert!(text.contains("| rustbgpd | 1/2 |") && text.contains("- rustbgpd, run 2: stalled: no new route"));
    // Made again, the run counts.
    let mut again = runs.to_vec();
    again.push(run("transit", "ours", 2, load(1.0, 1.0, 50.0)));
    assert_eq!(row(&again, "transit")[6], "yes");
}

#[test]
fn who_does_not_keep_up_is_named() {
    let paced = json!({"keeps_up": false, "achieved_per_s": 140_000.4, "offered_per_s": 200_000});
    let text = tables(&[run("churn-paced", "frr", 1, paced)]);
    assert!(text.contains("- FRR, run 1: did not keep up: 140000 of 200000 changes/s"), "{text}");
}
