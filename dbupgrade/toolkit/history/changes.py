"""Whether applied files were changed: by our own SHA-256 of each, else by Atlas's hashes. Pure.

A hash of Atlas's covers its file and all before it, so the first difference says only "this file or an earlier one".
"""

import base64
import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dbupgrade.toolkit.folder.problem import version
from dbupgrade.toolkit.history.atlas import Revision

Contents = Sequence[tuple[str, bytes]]
"""Names and contents, in the order of the names."""

_UNHASHED = re.compile(rb"[ -~]*atlas:sum +ignore")


@dataclass(frozen=True)
class Change:
    """A file that is not what was applied."""

    name: str
    exact: bool
    """False: it or an earlier one."""


def sha256(data: bytes) -> str:
    """The hash by which we know a file again."""
    return hashlib.sha256(data).hexdigest()


def chain(files: Contents) -> dict[str, str]:
    """Atlas's hash of each file, by its version."""
    return {version(name): value for name, value in _hashes(files)}


def sums(files: Contents) -> bytes:
    """What atlas.sum has to hold."""
    hashes = list(_hashes(files))
    total = hashlib.sha256("".join(name + value for name, value in hashes).encode()).digest()
    lines = [f"h1:{base64.b64encode(total).decode()}", *(f"{name} h1:{value}" for name, value in hashes)]
    return "".join(f"{line}\n" for line in lines).encode()


def _hashes(files: Contents) -> Iterator[tuple[str, str]]:
    running = hashlib.sha256()
    for name, data in files:
        running.update(name.encode())
        if not _UNHASHED.match(data):
            running.update(data)
            yield name, base64.b64encode(running.digest()).decode()


def changed(
    folder: Contents, source: Contents, history: Iterable[Revision], recorded: Mapping[str, str]
) -> list[Change]:
    """The applied files that were changed since.

    `source` are the files as they are given to the engine, `recorded` has the SHA-256 of files by their versions.
    """
    done = {row.version: row for row in history if row.complete}
    exact = [
        Change(name, exact=True)
        for name, data in folder
        if version(name) in done and recorded.get(version(name), sha256(data)) != sha256(data)
    ]
    first = version(exact[0].name) if exact else None
    unsure = _first_difference(folder, source, list(done.values()), recorded)
    # What is known exactly explains every later difference.
    if unsure is None or (first is not None and first <= version(unsure)):
        return exact
    return [Change(unsure, exact=False), *exact]


def _first_difference(
    folder: Contents, source: Contents, rows: Sequence[Revision], recorded: Collection[str]
) -> str | None:
    """The first file without a hash of ours whose Atlas hash matches none of the possible earlier folders."""
    names = {version(name): name for name, _ in (*source, *folder)}
    applied = {row.version for row in rows}
    gone = min((row.version for row in rows if row.version not in names), default=None)
    unknown = [row for row in rows if row.hash and row.version in names and row.version not in recorded]
    if not unknown:
        return None
    chains = [chain(files) for files in _folders(folder, source, applied)]
    for row in sorted(unknown, key=lambda row: row.version):
        if gone is not None and gone < row.version:
            return None  # its hash covers a file that is missing now, which is told anyway
        if not any(hashes.get(row.version) == row.hash for hashes in chains):
            return names[row.version]
    return None


def _folders(folder: Contents, source: Contents, applied: Collection[str]) -> list[Contents]:
    """The folders that the engine may have seen: all files, or only those that were applied, where some came later."""
    seen = [folder] if folder == source else [folder, source]
    return [*seen, *([file for file in files if version(file[0]) in applied] for files in seen)]
