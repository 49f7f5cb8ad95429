# make run     two daemons on loopback, a real table in the first, learned by the second; no root
# make test    unit, property and lab tests (lab: as root or by sudo)
# make lint    format, clippy, paths named in documents
# make bench   BIRD and rustbgpd side by side (as root)
# make fuzz    every fuzz target for FUZZ_SECONDS

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test lint bench fuzz

BINARIES := -p rustbgpd -p rustbgpd-session -p rustbgpd-rde -p rustbgpd-control -p rustbgpctl
NEXTEST := 0.9
REPETITIONS ?= 5
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

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	tests/check-docs.sh

bench:
	cargo build --release $(BINARIES) -p bgpbench
	target/release/bgpbench run --daemons bird,ours --scenarios transit --size full --reps $(REPETITIONS)

fuzz:
	for tool in "cargo +nightly --version" "cargo +nightly fuzz --version"; do
	    $$tool >/dev/null 2>&1 || {
	        echo "'$$tool' does not work. Fuzzing needs, once:" >&2
	        echo "    rustup toolchain install nightly && cargo install --locked cargo-fuzz" >&2
	        exit 1
	    }
	done
	for target in $$(cargo +nightly fuzz list --fuzz-dir tests/fuzz); do
	    echo "== $$target, $(FUZZ_SECONDS) s"
	    cargo +nightly fuzz run --fuzz-dir tests/fuzz "$$target" -- -max_total_time=$(FUZZ_SECONDS)
	done

.ONESHELL:
