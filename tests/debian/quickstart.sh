#!/usr/bin/env bash
# Set up a server twice in an empty Debian, as docs/operations.md says, with pebble as the authority, and look at it.
# Run it as root, by `make quickstart-debian`. It needs debootstrap and util-linux, and Debian's packages.
set -euo pipefail
cd "$(dirname "$0")/../.."

release=bookworm
python=3.11 # that of the release
mirror=${MIRROR:-http://deb.debian.org/debian}
folder=$(mktemp -d "${TMPDIR:-/tmp}/twotick-debian.XXXXXX")
root=$folder/root

if [ "$(id -u)" != 0 ]; then
    echo "run this as root: it makes a root file system" >&2
    exit 1
fi
command -v debootstrap >/dev/null || {
    echo "there is no debootstrap: apt-get install -y debootstrap" >&2
    exit 1
}

echo "== an empty Debian"
debootstrap --variant=minbase "$release" "$root" "$mirror" >"$folder/debootstrap.log" 2>&1 || {
    tail -5 "$folder/debootstrap.log" >&2
    exit 1
}
cp /etc/resolv.conf "$root/etc/resolv.conf"

echo "== packages of Python, since a test needs no index"
wheels=$root/wheels
.venv/bin/python -m pip wheel -qq --disable-pip-version-check --no-deps --wheel-dir "$wheels" .
.venv/bin/python -m pip download -qq --disable-pip-version-check --only-binary=:all: --python-version "$python" \
    --dest "$wheels" "$(ls "$wheels"/twotick-*.whl)[acme]"
cp tests/debian/inside.sh "$root/root/inside.sh"

# Mounts that end with this process; the network of this machine only for Debian's packages.
unshare --mount --propagation private bash -euc "
    mount -t proc proc '$root/proc'
    mount --rbind /dev '$root/dev'
    chroot '$root' bash /root/inside.sh prepare
    unshare --net --pid --fork --kill-child chroot '$root' bash /root/inside.sh quickstart
"
rm -rf --one-file-system "$folder"
