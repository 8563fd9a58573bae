"""All checks of a folder: offline, and the same for every command and for both engines. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dbupgrade.api.spec.migrations import Engine
from dbupgrade.toolkit.folder import encoding, formats, misread, psql, versions
from dbupgrade.toolkit.folder.problem import Files, Problem


@dataclass(frozen=True)
class Check:
    """One check, and where it applies."""

    look: Callable[[Files], Iterator[Problem]]
    only_atlas: bool = False
    """What psql takes as it is: its history goes by name, and it reads its own commands and encodings."""
    only_postgresql: bool = False


CHECKS = (
    Check(formats.look),
    Check(versions.look, only_atlas=True),
    Check(encoding.look),
    Check(encoding.look_for_atlas, only_atlas=True),
    Check(psql.look, only_atlas=True, only_postgresql=True),
    Check(misread.look, only_atlas=True, only_postgresql=True),
)


def problems(folder: Files, engine: Engine = Engine.ATLAS, *, postgresql: bool = True) -> list[Problem]:
    """What is wrong with the folder; for each file, the first problem is reported."""
    found: list[Problem] = []
    for check in CHECKS:
        if (engine is Engine.ATLAS or not check.only_atlas) and (postgresql or not check.only_postgresql):
            told = {name for problem in found for name in problem.files}
            found += check.look(folder.without(told))
    return found
