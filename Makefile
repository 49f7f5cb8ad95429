# make run     two daemons on loopback, a real table in the first, learned by the second; no root
# make test    unit, property and lab tests (lab: as root or by sudo)
# make lint    format, clippy, paths named in documents
# make bench   BIRD and rustbgpd side by side, four minutes (as root)
# make bench-full    DAEMONS in all scenarios, REPETITIONS times; writes docs/BENCHMARKS.md (as root)
# make bench-report  docs/BENCHMARKS.md from the runs recorded in FILE
# make bench-parts   what the parts of the tables cost
# make docs    docs/METRICS.md and docs/CLI.md from the code
# make picture docs/top.svg, a picture of rustbgpctl top
# make deb     a Debian package in target/
# make deny    licences, origins, bans and published advisories of all crates (cargo-deny, which it installs)
# make fuzz    every fuzz target for FUZZ_SECONDS

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test lint docs picture bench bench-full bench-report bench-parts deb deny fuzz

BINARIES := -p rustbgpd -p rustbgpd-session -p rustbgpd-rde -p rustbgpd-control -p rustbgpctl
NEXTEST := 0.9
# What is tested again with the tables in several threads: rde's process, and everything that the lab does with it.
WITH_TABLES := package(rustbgpd-rde) | (package(rustbgpd-tests) & !test(/^lab_itself::/))
REPETITIONS ?= 5
DAEMONS ?= bird,frr,openbgpd,ours
FILE ?= target/bench-full.jsonl
MAIN := transit,transit-policy,transit6,bgperf2,bgperf10,fanout,routeserver,churn,reevaluate,sessions,restart
FUZZ_SECONDS ?= 60

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

run:
	cargo build --release $(BINARIES)
	tests/demo/run.sh target/release

# The lab needs root. For anyone else nextest runs the tests, and only the tests, by sudo.
test:
	tests/install-deps.sh
	cargo nextest --version >/dev/null 2>&1 || cargo install --locked cargo-nextest --version '^$(NEXTEST)'
	if [ "$$(id -u)" != 0 ]; then
	    sudo -n true || { echo "the lab tests need root: run as root, or allow sudo" >&2; exit 1; }
	    triple=$$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
	    export "CARGO_TARGET_$${triple}_RUNNER=sudo -n -E"
	fi
	cargo build $(BINARIES)
	cargo nextest run --workspace
	RUSTBGPD_LAB_RDE_THREADS=4 cargo nextest run --workspace -E '$(WITH_TABLES)'

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	tests/check-docs.sh
	tests/check-unsafe.sh

docs:
	RUSTBGPD_WRITE_DOCS=1 cargo test -p rustbgpd-control --bin rustbgpd-control metrics::catalogue
	RUSTBGPD_WRITE_DOCS=1 cargo test -p rustbgpctl --test cli document

# docs/top.svg: the demo, watched by rustbgpctl top (needs tmux)
picture:
	cargo build --release $(BINARIES)
	tests/demo/picture.sh target/release

bench:
	cargo build --release $(BINARIES) -p bgpbench
	target/release/bgpbench run --daemons bird,ours --scenarios $(MAIN) --size full

# After an interruption it goes on where it was. Without FILE of an earlier measurement it begins anew.
bench-full:
	cargo build --release $(BINARIES) -p bgpbench
	bench="target/release/bgpbench run --daemons $(DAEMONS) --size full --out $(FILE) --resume yes"
	$$bench --scenarios $(MAIN),churn-paced,churn-query,idle-probe --reps $(REPETITIONS)
	$$bench --scenarios flap
	target/release/bgpbench report $(FILE) --markdown docs/BENCHMARKS.md

bench-report:
	cargo build --release -p bgpbench
	target/release/bgpbench report $(FILE) --markdown docs/BENCHMARKS.md

bench-parts:
	cargo bench -p rustbgpd-bgp --bench decode -- --quick
	cargo bench -p rustbgpd-rib --benches -- --quick

deb:
	cargo build --release --locked $(BINARIES)
	systemd/deb.sh target/release target

# The advisories are fetched. What needs no network is asserted by tests/it/supply.rs in `make test`.
deny:
	cargo deny --version >/dev/null 2>&1 || cargo install --locked cargo-deny
	cargo deny check

# Without sanitizers, which want another compiler: what is fuzzed has no unsafe code. Arithmetic is checked.
fuzz:
	cargo fuzz --version >/dev/null 2>&1 || cargo install --locked cargo-fuzz
	for target in $$(cargo fuzz list --fuzz-dir tests/fuzz); do
	    echo "== $$target, $(FUZZ_SECONDS) s"
	    cargo fuzz run --fuzz-dir tests/fuzz --sanitizer none "$$target" -- -max_total_time=$(FUZZ_SECONDS)
	done

.ONESHELL:
