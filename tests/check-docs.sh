#!/bin/sh
# Fails when a document names a file or folder of the project that does not exist.
#
# Looked at: every `path/with/a/slash` in backquotes that begins with a top-level folder, and every
# relative link, in the Markdown files that git knows or would know.
set -eu
cd "$(dirname "$0")/.."

bad=0
for document in $(git ls-files --cached --others --exclude-standard -- '*.md'); do
    [ -e "$document" ] || continue
    folder=$(dirname "$document")
    for path in $(grep -oE '`(parent|session|rde|ctl|ipc|proto|systemd|tests|docs|\.ci|\.config)/[A-Za-z0-9_./-]*`' "$document" |
        tr -d '`' | sort -u); do
        [ -e "$path" ] || { echo "$document: $path does not exist"; bad=1; }
    done
    for link in $(grep -oE '\]\([^)# ]+' "$document" | sed 's/^](//' | grep -v : | sort -u); do
        [ -e "$folder/$link" ] || { echo "$document: link to $link, which does not exist"; bad=1; }
    done
done
exit $bad
