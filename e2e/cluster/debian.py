"""Installs the Debian packages which the cluster needs and the machine lacks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from e2e.cluster import tools
from e2e.cluster.commands import run
from e2e.cluster.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# What to look for, and the package that brings it. Looking for files and not for packages leaves alone a
# machine that has runc from Docker's own packages, for example.
PACKAGES = {
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "/usr/share/doc/busybox-static": "busybox-static",
    "/etc/ssl/certs/ca-certificates.crt": "ca-certificates",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "make": "make",
    "modprobe": "kmod",
    "mount": "mount",
    "nft": "nftables",
    "ps": "procps",
    "runc": "runc",
    "unshare": "util-linux",
}
# That of Debian 13 wants a network stack even where it uses the host's network.
BUILDAH = {"buildah": "buildah", "/usr/lib/podman/netavark": "netavark"}
FOR_TESTS = {
    **BUILDAH,
    "faketime": "faketime",
    # The programs alone, as the packages with the service would start it.
    "mariadb": "mariadb-client-core",
    "mariadb-install-db": "mariadb-server-core",
    "shellcheck": "shellcheck",
}
POSTGRESQL = Path("/usr/lib/postgresql")
# PostgreSQL's package would make a database of its own and start it.
NO_MAIN_CLUSTER = Path("/etc/postgresql-common/createcluster.d/dbupgrade.conf")
SBIN = "/usr/sbin:/sbin"


def install_missing(*, tests: bool = False) -> None:
    """Install what the cluster or all tests need; does nothing at all on a machine that has everything."""
    packages = _missing(PACKAGES | FOR_TESTS if tests else PACKAGES)
    if not list(POSTGRESQL.glob("*/bin/initdb")):
        packages.append("postgresql")
    _install(packages)


def install(wanted: Mapping[str, str]) -> None:
    """Install what only some need: things to look for, and the package that brings each."""
    _install(_missing(wanted))


def _missing(wanted: Mapping[str, str]) -> list[str]:
    return [package for thing, package in wanted.items() if not _present(thing)]


def _install(packages: list[str]) -> None:
    if not packages:
        return
    require_root()
    if shutil.which("apt-get") is None:
        raise ClusterError(
            f"this machine has no apt-get; install what these Debian packages hold: {packages}"
        )
    print(f"installing {', '.join(packages)}", file=sys.stderr, flush=True)
    NO_MAIN_CLUSTER.parent.mkdir(parents=True, exist_ok=True)
    NO_MAIN_CLUSTER.write_text("create_main_cluster = false\n")
    try:
        _apt("update")
        _apt("install", "--yes", "--no-install-recommends", *packages)
    finally:
        NO_MAIN_CLUSTER.unlink()


def download(packages: Iterable[str], folder: Path) -> list[Path]:
    """Fetch packages without installing them; returns their files."""
    command = ("apt-get", "download", "-q", *packages)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:  # the lists of packages are missing, or older than what the archive has
        _apt("update")
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError(f"{' '.join(command)} failed:\n{done.stderr[-1000:]}")
    return sorted(folder.glob("*.deb"))


def unpacked(package: str, *, libraries: bool = False) -> Path:
    """Return a folder with the files of a package that is not to be installed, for its programs in usr/bin.

    With `libraries`, those of the packages that it depends on are there too, in usr/lib.
    """
    folder = tools.cache_dir() / "debian" / package

    def unpack(new: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="dbupgrade-debian-") as scratch:
            (file,) = download([package], Path(scratch))
            run("dpkg-deb", "--extract", file, new)
            for library in download(_libraries(file), Path(scratch)) if libraries else ():
                run("dpkg-deb", "--extract", library, new)

    tools.install(folder, unpack)
    return folder


def _libraries(package: Path) -> list[str]:
    """Names of the packages with libraries that a package depends on; every machine has the C library."""
    depends = run("dpkg-deb", "--field", package, "Depends")
    names = [each.split()[0] for each in depends.split(",")]
    return [name for name in names if name.startswith("lib") and name != "libc6"]


def require_root() -> None:
    """Say early what would otherwise fail in the middle."""
    if os.geteuid() != 0:
        raise ClusterError(
            "the cluster needs root, for namespaces and mounts; run the same command with sudo -E"
        )


def postgresql_bin() -> Path:
    """Folder of the newest PostgreSQL of this machine."""
    found = sorted(POSTGRESQL.glob("*/bin"), key=lambda path: float(path.parent.name))
    if not found:
        raise ClusterError(f"there is no PostgreSQL in {POSTGRESQL}; install Debian's package postgresql")
    return found[-1]


def _present(thing: str) -> bool:
    if thing.startswith("/"):
        return Path(thing).exists()
    return shutil.which(thing, path=f"{os.environ['PATH']}:{SBIN}") is not None


def _apt(*arguments: str) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        ["apt-get", "-q", *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ClusterError(f"apt-get {' '.join(arguments)} failed:\n{(done.stdout + done.stderr)[-2000:]}")
