#!/bin/sh
# Fails when docs/SECURITY.md says another number of uses of `unsafe` than there are, or when one is where none may be.
#
# Counted: blocks, functions and implementations of the daemon's crates, tests of those crates included.
set -eu
cd "$(dirname "$0")/.."

uses() {
    git ls-files --cached --others --exclude-standard -- "$@" | grep '\.rs$' | xargs grep -hE '(^|[^A-Za-z_"])unsafe (\{|fn |impl |extern )' |
        grep -cvE '^ *//' || true
}

bad=0
for folder in ipc/src ipc/sandbox parent/sys; do
    found=$(uses "$folder")
    said=$(sed -n "s,.*\`$folder\` | \([0-9]*\) |.*,\1,p" docs/SECURITY.md)
    [ "$found" = "$said" ] || { echo "docs/SECURITY.md: \`$folder\` has $found uses of unsafe, not ${said:-none}"; bad=1; }
done
elsewhere=$(uses parent/src session rde ctl proto ipc/tests)
[ "$elsewhere" = 0 ] || { echo "unsafe is for ipc, ipc/sandbox and parent/sys only: $elsewhere elsewhere"; bad=1; }
exit $bad
