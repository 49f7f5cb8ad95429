#!/usr/bin/env bash
# Two daemons on loopback addresses: the first is given a real table, the second learns it over BGP.
#
# usage: run.sh FOLDER    the folder with rustbgpd, its engines and rustbgpctl
#
# Needs no root, uses 127.0.0.1 and 127.0.0.2 at port DEMO_PORT (1790), keeps everything in a temporary
# folder, runs until Ctrl-C and removes it all.
set -euo pipefail

bin=$(cd "$1" && pwd)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
port=${DEMO_PORT:-1790}
work=$(mktemp -d "${TMPDIR:-/tmp}/rustbgpd-demo.XXXXXX")
prefixes=15032 # in the table, without ten whose path has an AS_SET
pids=()

finish() {
    status=$?
    trap - EXIT
    trap '' INT TERM HUP
    if [ ${#pids[@]} -gt 0 ]; then
        kill "${pids[@]}" 2>/dev/null || true
        wait "${pids[@]}" 2>/dev/null || true
    fi
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT
trap 'exit 0' INT
trap 'exit 143' TERM HUP

# daemon NAME ADDRESS AS PEER PEER_AS IPV6_NEXT_HOP
daemon() {
    mkdir -p "$work/$1"
    cat >"$work/$1/config.toml" <<END
[global]
asn = $3
router_id = "$2"
listen_port = $port
listen_addresses = ["$2"]
runtime_state_dir = "$work/$1"

[global.telemetry]
log_format = "json"

[[neighbors]]
address = "$4"
remote_asn = $5
port = $port
local_address = "$2"
connect_retry = 1
families = ["ipv4_unicast", "ipv6_unicast"]
local_ipv6_nexthop = "$6"
END
    "$bin/rustbgpd" "$work/$1/config.toml" >"$work/$1/log" 2>&1 &
    pids+=($!)
}

ctl() {
    local name=$1
    shift
    "$bin/rustbgpctl" -s "unix://$work/$name/grpc.sock" "$@"
}

# until_true SECONDS WHAT COMMAND...: asks until the command succeeds; gives up when a daemon has ended.
until_true() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        for pid in "${pids[@]}"; do
            kill -0 "$pid" 2>/dev/null || fail "a daemon has ended"
        done
        [ $SECONDS -lt $end ] || fail "no $what"
        sleep 0.1
    done
}

fail() {
    echo "demo: $1; the logs:" >&2
    tail -n 20 "$work"/*/log >&2
    exit 1
}

established() {
    ctl "$1" -j neighbor "$2" | grep -qi '"state": *"established"'
}

# learned NAME ADDRESS: whether the whole table has come from that neighbor.
learned() {
    ctl "$1" -j neighbor "$2" | grep -q "\"prefixes_received\": *$prefixes"
}

say() {
    printf '\n\033[1m%s\033[0m\n' "$*"
}

chmod 755 "$work"
daemon first 127.0.0.1 65001 127.0.0.2 65002 2001:db8::1
daemon second 127.0.0.2 65002 127.0.0.1 65001 2001:db8::2
until_true 10 "answer of the first daemon" ctl first health
until_true 10 "answer of the second daemon" ctl second health
until_true 20 "session" established first 127.0.0.2

say "A real table goes into the first daemon (AS 65001)"
ctl first rib inject --mrt "$here/table.mrt.gz"

until_true 30 "table at the second daemon" learned second 127.0.0.1

say "The second daemon (AS 65002) has learned it over BGP"
ctl second neighbor
echo
ctl second rib summary

say "A few of its routes"
ctl second rib -a ipv4_unicast -p 8.8.8.0/24
ctl second rib -a ipv6_unicast -p 2401:bd00:b002::/48

say "Look further, in another terminal"
cat <<END
  export RUSTBGPD_ADDR=unix://$work/second/grpc.sock
  $bin/rustbgpctl neighbor 127.0.0.1
  $bin/rustbgpctl rib -p 8.0.0.0/8 --longer
  $bin/rustbgpctl rib received 127.0.0.1 -a ipv6_unicast | less
  $bin/rustbgpctl -j rib -p 8.8.8.0/24
  $bin/rustbgpctl -s unix://$work/first/grpc.sock rib advertised 127.0.0.2 -p 8.8.8.0/24
  $bin/rustbgpctl --help

Configuration and logs are in $work. Ctrl-C ends both daemons and removes it.
END
wait -n "${pids[@]}" || true
fail "a daemon has ended"
