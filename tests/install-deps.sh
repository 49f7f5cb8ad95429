#!/bin/sh
# Makes sure that the programs which the lab tests run are installed.
#
# Installs what is missing, as root or by sudo without a question. Where it may do neither, it names the
# packages and fails. Nothing is started: where there is no policy yet, one says so to the packages' scripts.
set -eu

packages="bgpdump iproute2 util-linux procps nftables bird2 frr openbgpd gobgpd tcpdump prometheus tmux
systemd dpkg-dev binutils lintian
python3-grpcio python3-protobuf protobuf-compiler protobuf-compiler-grpc"

missing=
for package in $packages; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    sudo=
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    sudo="sudo -n"
else
    echo "These Debian packages are missing, and neither root nor sudo is at hand:$missing" >&2
    echo "Install them first:  apt-get install --no-install-recommends$missing" >&2
    exit 1
fi

echo "Installing what the tests need:$missing"
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\n# The BGP daemons are wanted for tests only.\nexit 101\n' | $sudo tee "$policy" >/dev/null
    $sudo chmod 755 "$policy"
    trap '$sudo rm -f "$policy"' EXIT
fi
$sudo apt-get update -qq
# shellcheck disable=SC2086 # the lists are words
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
