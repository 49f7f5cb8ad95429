//! `docs/CLI.md` shows what each command prints, as table and as JSON: made here, and held against what is printed.

use std::fmt::Write;

use grpc::v1::{GetNeighborErrorsResponse, NeighborError, NeighborErrorCount};

use crate::output::{neighbor, route};
use crate::server::Daemon;
use crate::watch::events;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/CLI.md");

const HEAD: &str = "\
# What rustbgpctl prints

Made from what the commands print, by `make docs`; a test fails where it is stale. How they are called: `rustbgpctl --help`, the manual
pages (`rustbgpctl man FOLDER`) and [API.md](API.md#rustbgpctl).

**Tables** are for people: their form may change. On a terminal they fit its width: texts at the end of a line are cut first, then long
addresses; numbers never are. Elsewhere nothing is cut. Green is well, yellow is on its way, red is wrong; colours only on a terminal, and not with
`--no-color` or `NO_COLOR`.

**JSON** (`-j`) is for programs, and stable: a key that is there stays, with its type and its meaning. New keys may come, so ignore those that you
do not know. It is one document on standard output; errors are on standard error. Where a thing is told both here and by the API, keys are those of
the API.

**Exit status**: 0 done, 1 failed (also `health` of a daemon that is not healthy), 2 wrong usage.

`top` needs a terminal and has no JSON. `metrics` prints the text that Prometheus reads ([METRICS.md](METRICS.md)).

";

/// Commands that show something.
const SHOWN: [&str; 18] = [
    "global",
    "neighbor",
    "neighbor 192.0.2.1",
    "neighbor 192.0.2.1 errors",
    "rib",
    "rib -p 10.0.0.0/24",
    "rib received 192.0.2.1",
    "rib advertised 192.0.2.1",
    "rib -p 10.0.0.0/24 --explain",
    "rib received 192.0.2.1 -p 10.0.0.0/24 --explain",
    "rib advertised 192.0.2.1 -p 10.0.0.0/24 --explain",
    "rib summary",
    "policy-chain",
    "policy-chain 192.0.2.1",
    "config show",
    "health",
    "processes",
    "metrics",
];

/// Commands that change something.
const DONE: [&str; 13] = [
    "neighbor 192.0.2.9 add --asn 65009",
    "neighbor 192.0.2.9 delete",
    "neighbor 192.0.2.1 enable",
    "neighbor 192.0.2.1 disable --reason maintenance",
    "neighbor 192.0.2.1 drain",
    "neighbor 192.0.2.1 undrain",
    "neighbor 192.0.2.1 softreset",
    "rib add 203.0.113.0/24 --nexthop 192.0.2.9",
    "rib delete 203.0.113.0/24",
    "policy-chain set import a b",
    "policy-chain 192.0.2.1 clear export",
    "config confirm",
    "shutdown",
];

fn daemon() -> Daemon {
    let daemon = Daemon::start();
    let mut down = neighbor("2001:db8::1", 1);
    down.disabled = true;
    let mut world = daemon.world();
    world.neighbors = vec![neighbor("192.0.2.1", 6), down];
    world.routes = vec![route(0)];
    world.health.healthy = true;
    world.config.shown.text = "[global]\nasn = 64999\nrouter_id = \"192.0.2.254\"\n".into();
    world.errors = GetNeighborErrorsResponse {
        counts: vec![NeighborErrorCount {
            kind: "attribute_length".into(),
            attribute: 6,
            attribute_name: "ATOMIC_AGGREGATE".into(),
            verdict: "attribute_discard".into(),
            count: 1,
        }],
        errors: vec![NeighborError {
            time_ms: 1_795_402_800_500,
            kind: "attribute_length".into(),
            attribute: 6,
            attribute_name: "ATOMIC_AGGREGATE".into(),
            verdict: "attribute_discard".into(),
            message: "ATOMIC_AGGREGATE: attribute length".into(),
            octets: vec![0xc0, 6, 1, 0],
            octet_count: 4,
            ..NeighborError::default()
        }],
    };
    drop(world);
    daemon
}

/// What is printed of some events, up to the end of the stream.
fn watched(daemon: &Daemon, options: &[&str]) -> String {
    let end = Err(tonic::Status::unavailable("rde is restarted"));
    daemon.world().events = events().into_iter().chain([end]).collect();
    let mut args = vec!["watch", "--snapshot", "--attributes"];
    args.extend(options);
    let output = daemon.command(&args).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    crate::server::text(&output.stdout)
}

/// The document as it has to be.
fn document() -> String {
    let daemon = daemon();
    let words = |line: &str| -> Vec<String> { line.split(' ').map(str::to_owned).collect() };
    let mut text = HEAD.to_owned();
    for line in SHOWN {
        let args = words(line);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let table = daemon.ok(&args);
        let json: Vec<&str> = ["-j"].into_iter().chain(args).collect();
        let json = daemon.ok(&json);
        let _ = write!(text, "## {line}\n\n```\n{table}```\n\n```json\n{json}```\n\n");
    }
    let _ = write!(
        text,
        "## watch --snapshot --attributes\n\nAn event a line, as it comes; with `-j` an object a line.\n\n\
         ```\n{}```\n\n```json\n{}```\n\n",
        watched(&daemon, &[]),
        watched(&daemon, &["-j"])
    );
    text.push_str("## Commands that change something\n\nWith `-j` they print `{\"message\": \"...\"}`.\n\n| command | prints |\n|---|---|\n");
    for line in DONE {
        let args = words(line);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let said = daemon.ok(&args);
        let message = daemon.json(&args);
        assert_eq!(message, serde_json::json!({ "message": said.trim_end() }), "{line}");
        let _ = writeln!(text, "| `{line}` | {} |", said.trim_end());
    }
    text
}

#[test]
fn the_document_shows_what_is_printed() {
    let right = document();
    if std::env::var_os("RUSTBGPD_WRITE_DOCS").is_some() {
        std::fs::write(PATH, &right).unwrap();
        return;
    }
    let written = std::fs::read_to_string(PATH).unwrap();
    for (n, (written, right)) in written.lines().zip(right.lines()).enumerate() {
        assert_eq!(written, right, "docs/CLI.md is stale in line {}: run `make docs`", n + 1);
    }
    assert_eq!(written.len(), right.len(), "docs/CLI.md is stale: run `make docs`");
}
