#!/bin/sh
# Makes a Debian package of built programs: deb.sh FOLDER-OF-PROGRAMS OUTPUT-FOLDER; prints its path.
#
# Without debhelper, which would bring its own build, and without another tool to compile: what is in a package of four
# programs and a few files is all here. The same input gives the same package.
set -eu
programs=$(cd "$1" && pwd)
mkdir -p "$2"
out=$(cd "$2" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")

version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$top/Cargo.toml" | head -n 1)
architecture=$(dpkg --print-architecture)
# Whoever gives the package away puts a name here.
: "${RUSTBGPD_MAINTAINER:=rustbgpd maintainers <rustbgpd@example.org>}"
: "${SOURCE_DATE_EPOCH:=$(git -C "$top" log -1 --format=%ct 2>/dev/null || echo 1700000000)}"
export SOURCE_DATE_EPOCH

umask 022
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
put() { install -D -m "$1" "$2" "$root/$3"; }
squeeze() { gzip -9 -n "$root/$1"; }

put 755 "$programs/rustbgpd" usr/sbin/rustbgpd
put 755 "$programs/rustbgpctl" usr/bin/rustbgpctl
for engine in session rde control; do
    put 755 "$programs/rustbgpd-$engine" "usr/libexec/rustbgpd/rustbgpd-$engine"
done
strip --strip-unneeded -R .comment -R .note "$root"/usr/sbin/* "$root"/usr/bin/* "$root"/usr/libexec/rustbgpd/*

# Nothing is started before there is a configuration.
install -d "$root/lib/systemd/system"
sed -e 's,/usr/local/bin/rustbgpd,/usr/sbin/rustbgpd,' \
    -e 's,^After=network.target,&\nConditionPathExists=/etc/rustbgpd/config.toml\nDocumentation=man:rustbgpd(8),' \
    "$here/rustbgpd.service" > "$root/lib/systemd/system/rustbgpd.service"
put 644 "$here/sysusers.d/rustbgpd.conf" usr/lib/sysusers.d/rustbgpd.conf
put 644 "$here/tmpfiles.d/rustbgpd.conf" usr/lib/tmpfiles.d/rustbgpd.conf
put 644 "$here/sysctl.d/60-rustbgpd.conf" usr/lib/sysctl.d/60-rustbgpd.conf
install -d "$root/etc/rustbgpd"

put 644 "$here/debian/rustbgpd.8" usr/share/man/man8/rustbgpd.8
squeeze usr/share/man/man8/rustbgpd.8
install -d "$root/usr/share/man/man1"
"$programs/rustbgpctl" man "$root/usr/share/man/man1" >/dev/null
for page in "$root"/usr/share/man/man1/*.1; do gzip -9 -n "$page"; done
complete() {
    install -d "$root/$(dirname "$2")"
    "$programs/rustbgpctl" completions "$1" > "$root/$2"
}
complete bash usr/share/bash-completion/completions/rustbgpctl
complete zsh usr/share/zsh/vendor-completions/_rustbgpctl
complete fish usr/share/fish/vendor_completions.d/rustbgpctl.fish

doc=usr/share/doc/rustbgpd
put 644 "$here/debian/copyright" $doc/copyright
put 644 "$here/debian/lintian-overrides" usr/share/lintian/overrides/rustbgpd
put 644 "$here/rustbgpd-unprivileged.conf" $doc/examples/rustbgpd-unprivileged.conf
for example in "$here"/examples/*.toml; do put 644 "$example" "$doc/examples/$(basename "$example")"; done
for document in CONFIGURATION OPERATIONS SECURITY METRICS; do
    put 644 "$top/docs/$document.md" $doc/$document.md
    squeeze $doc/$document.md
done
cat > "$root/$doc/changelog" <<END
rustbgpd ($version) unstable; urgency=medium

  * See CHANGELOG.md of the project.

 -- $RUSTBGPD_MAINTAINER  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
END
squeeze $doc/changelog

# The newest version of the C library that any of the programs asks for.
libc=$(for program in "$root"/usr/sbin/* "$root"/usr/bin/* "$root"/usr/libexec/rustbgpd/*; do readelf -V "$program"; done |
    sed -n 's/.*Name: GLIBC_\([0-9.]*\) .*/\1/p' | sort -V | tail -n 1)
install -d "$root/DEBIAN"
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@LIBC@/$libc/" -e "s/@MAINTAINER@/$RUSTBGPD_MAINTAINER/" \
    -e "s/@SIZE@/$(du -sk --exclude=DEBIAN "$root" | cut -f 1)/" "$here/debian/control" > "$root/DEBIAN/control"
for script in postinst prerm postrm; do put 755 "$here/debian/$script" "DEBIAN/$script"; done
(cd "$root" && find . -type f ! -path './DEBIAN/*' -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' md5sum) > "$root/DEBIAN/md5sums"
chmod 644 "$root/DEBIAN/control" "$root/DEBIAN/md5sums"

package="$out/rustbgpd_${version}_$architecture.deb"
find "$root" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group --build "$root" "$package" >/dev/null
echo "$package"
