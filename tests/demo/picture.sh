#!/usr/bin/env bash
# Makes docs/top.svg: the demo, with `rustbgpctl top` beside it in a terminal of tmux.
#
# usage: picture.sh FOLDER    the folder with rustbgpd, its engines and rustbgpctl
set -euo pipefail

bin=$(cd "$1" && pwd)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
picture=$here/../../docs/top.svg
work=$(mktemp -d "${TMPDIR:-/tmp}/rustbgpd-picture.XXXXXX")
export TMUX_TMPDIR=$work
columns=110 lines=24

"$here/run.sh" "$bin" >"$work/out" 2>&1 &
demo=$!
finish() {
    tmux -L picture kill-server 2>/dev/null || true
    kill "$demo" 2>/dev/null || true
    wait "$demo" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

# wait_for WHAT COMMAND...: asks until the command succeeds.
wait_for() {
    local end=$((SECONDS + 60)) what=$1
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || { echo "picture: no $what" >&2; cat "$work/out" >&2; exit 1; }
        sleep 0.1
    done
}

shows() {
    tmux -L picture capture-pane -p | grep -q "$1"
}

wait_for "demo" grep -q "Ctrl-C ends" "$work/out"
second=$(sed -n 's/.*export RUSTBGPD_ADDR=//p' "$work/out")
first=${second/second/first}
printf 'set -g default-terminal tmux-256color\nset -g status off\n' >"$work/tmux.conf"
tmux -u -L picture -f "$work/tmux.conf" new-session -d -x $columns -y $lines \
    "env -u NO_COLOR '$bin/rustbgpctl' -s '$second' top -i 1"
wait_for "top" shows "Sessions 1 of 1 up"
# Something to see: the session goes down, comes up, and brings the table again.
"$bin/rustbgpctl" -s "$first" neighbor 127.0.0.2 disable --reason "new optics" >/dev/null
wait_for "end of the session" shows "is down"
"$bin/rustbgpctl" -s "$first" neighbor 127.0.0.2 enable >/dev/null
wait_for "table" shows "Routes/s +[1-9]"
tmux -L picture capture-pane -p -e >"$work/screen"

# Cells of 9 by 18 units. Octets that go on a character (10xxxxxx) are no columns.
LC_ALL=C awk -v columns=$columns -v lines=$lines '
function escaped(s) { gsub(/&/, "\\&amp;", s); gsub(/</, "\\&lt;", s); return s }
function put(s,    n, copy, fill) {
    if (s == "") return
    copy = s
    gsub(/[\200-\277]/, "", copy)
    n = length(copy)
    fill = color
    if (reverse) {
        printf "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"18\" fill=\"#c8ccd4\"/>\n", 20 + 9 * at, y - 14, 9 * n
        if (fill == plain) fill = "#1d2027"
    }
    if (copy !~ /^ *$/)
        printf "<text x=\"%d\" y=\"%d\" xml:space=\"preserve\" textLength=\"%d\" fill=\"%s\"%s%s>%s</text>\n", 20 + 9 * at, y, 9 * n, fill, bold ? " font-weight=\"bold\"" : "", dim ? " opacity=\"0.6\"" : "", escaped(s)
    at += n
}
function sgr(codes,    list, n, i) {
    n = split(codes, list, ";")
    if (n == 0) { n = 1; list[1] = 0 }
    for (i = 1; i <= n; i++) {
        if (list[i] == 0) { color = plain; bold = dim = reverse = 0 }
        else if (list[i] == 1) bold = 1
        else if (list[i] == 2) dim = 1
        else if (list[i] == 7) reverse = 1
        else if (list[i] == 22) bold = dim = 0
        else if (list[i] == 27) reverse = 0
        else if (list[i] == 39) color = plain
        else if (list[i] in colors) color = colors[list[i]]
    }
}
BEGIN {
    plain = "#c8ccd4"; color = plain
    colors[31] = "#ff6b68"; colors[32] = "#5fd75f"; colors[33] = "#e5c07b"; colors[36] = "#56b6c2"
    width = 40 + 9 * columns; height = 56 + 18 * lines
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" font-family=\"ui-monospace,Menlo,Consolas,monospace\" font-size=\"14\">\n", width, height, width, height
    print "<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#1d2027\"/>"
    print "<g fill=\"#ff5f56\"><circle cx=\"20\" cy=\"18\" r=\"6\"/></g><g fill=\"#ffbd2e\"><circle cx=\"40\" cy=\"18\" r=\"6\"/></g><g fill=\"#27c93f\"><circle cx=\"60\" cy=\"18\" r=\"6\"/></g>"
}
{
    at = 0; y = 30 + 18 * NR; rest = $0
    while (match(rest, /\033\[[0-9;]*m/)) {
        put(substr(rest, 1, RSTART - 1))
        sgr(substr(rest, RSTART + 2, RLENGTH - 3))
        rest = substr(rest, RSTART + RLENGTH)
    }
    put(rest)
}
END { print "</svg>" }
' "$work/screen" >"$work/picture.svg"
cp "$work/picture.svg" "$picture"
