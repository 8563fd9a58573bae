"""The folder of a call, checked as every command checks it before anything is done with it."""

import shutil
from collections.abc import Sequence
from dataclasses import replace

from dbupgrade.api.spec.migrations import Engine
from dbupgrade.toolkit import address, folder
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.folder import checks, misread
from dbupgrade.toolkit.folder.problem import Files, Problem
from dbupgrade.toolkit.history.atlas import AtlasError
from dbupgrade.toolkit.sql import splitting
from dbupgrade.toolkit.sql.splitting import Rules

_TOLD = 20


class FilesRefusedError(AtlasError):
    """Files that must not be applied as they are; the class is that of the first fault."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        lines = [problem.text for problem in problems[:_TOLD]]
        if more := len(problems) - len(lines):
            lines.append(f"and {more} more")
        super().__init__(problems[0].failure, "\n  ".join(lines), problems[0].file)
        self.problems = problems


def look(call: Call, engine: Engine = Engine.ATLAS) -> tuple[Files, list[Problem]]:
    """The folder's files, and what is wrong with them; no database is asked."""
    files, unreadable = folder.contents(call.folder)
    for name in folder.ignored(call.folder):
        what = (
            f"{name}/ contains *.sql files that are ignored: only files directly in the folder are migrations"
        )
        call.output.event("ignored", what, level="warning", folder=name)
    postgresql = not call.settings.url or address.is_postgresql(call.settings.url)
    if engine is Engine.ATLAS and postgresql and misread.may_differ(files):
        files = replace(files, rules=_rules(call))
        if files.rules is None:
            call.atlas = replace(call.atlas, places=misread.places(files.files))
    return files, [*unreadable, *checks.problems(files, engine, postgresql=postgresql)]


def _rules(call: Call) -> Rules | None:
    """Where the engine ends statements. Without one, as `lint` may be, it is taken to be ours."""
    if shutil.which(call.atlas.binary) is None or call.atlas.is_ours():
        return None
    return splitting.BEFORE_1 if call.atlas.is_before_1() else splitting.LIBRARY
