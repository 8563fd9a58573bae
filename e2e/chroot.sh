#!/usr/bin/env bash
# Run a command in this checkout on another release of Debian, as on a machine of its own: e2e/chroot.sh trixie make demo
#
# The release is unpacked once and kept in the cache, with what the command installs. Shared with this machine are the cache of the
# tools, its certificates, its network and the locks of its local clusters. The checkout is a copy of the tracked files, as the
# packages in .venv belong to one Python. Whatever the command leaves running ends with it.
set -euo pipefail
release=$1
shift
[ "$(id -u)" = 0 ] || { echo "this needs root, for namespaces and mounts" >&2; exit 1; }
cache=$(realpath -m "${DBUPGRADE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dbupgrade}")
root=$cache/debian-roots/$release
locks=/run/lock/dbupgrade-cluster
certificates=/etc/ssl/certs/ca-certificates.crt

if [ ! -d "$root" ]; then
    command -v debootstrap >/dev/null || { apt-get update -qq && apt-get install -qq -y debootstrap >/dev/null; }
    mkdir -p "${root%/*}"
    rm -rf "$root.new"
    debootstrap --variant=minbase --include=python3,python3-venv,make,ca-certificates "$release" "$root.new"
    mv "$root.new" "$root"
fi

copy=$root/checkout
mkdir -p "$copy" "$root$cache" "$locks"
find "$copy" -mindepth 1 -maxdepth 1 ! -name .venv -exec rm -rf {} +
git ls-files -z | tar --create --null --files-from=- --ignore-failed-read | tar --extract --directory "$copy"
cp --dereference /etc/resolv.conf /etc/hosts "$root/etc/"

# The root has to be a mount point: the cluster makes mount namespaces of its own below it, which a plain chroot does not allow.
# shellcheck disable=SC2016 # expanded by the shell inside
exec unshare --mount --pid --fork --kill-child --propagation private bash -euc '
    root=$1 cache=$2 locks=$3 certificates=$4
    shift 4
    mount --bind "$root" "$root"
    mount --rbind /dev "$root/dev"
    mount --rbind /sys "$root/sys"
    mount -t proc proc "$root/proc"
    mount -t tmpfs tmpfs "$root/run"
    mkdir -p "$root$locks" "$root/run/old"
    mount --bind "$locks" "$root$locks"
    mount --bind "$cache" "$root$cache"
    mount --bind -o ro "$certificates" "$root$certificates"
    cd "$root"
    pivot_root . run/old
    umount --lazy /run/old
    cd /checkout
    exec env -i HOME=/root TERM="${TERM:-dumb}" LC_ALL=C.UTF-8 DBUPGRADE_CACHE="$cache" \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        PIP_CERT="$certificates" SSL_CERT_FILE="$certificates" "$@"
' bash "$root" "$cache" "$locks" "$certificates" "$@"
