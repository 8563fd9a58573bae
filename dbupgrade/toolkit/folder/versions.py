"""Two files of one version: the history has one row for both, so that only one of them is ever applied."""

from collections.abc import Iterator

from dbupgrade.api.failure import Failure
from dbupgrade.toolkit.folder.problem import Files, Problem, version


def look(folder: Files) -> Iterator[Problem]:
    """The files that share a version with one before them."""
    first: dict[str, str] = {}
    for name in folder.names:
        other = first.setdefault(version(name), name)
        if other != name:
            what = f"has the same version as {other} ({version(name)}): give one of them a different version"
            yield Problem(Failure.DUPLICATE_VERSION, (name, other), what)
