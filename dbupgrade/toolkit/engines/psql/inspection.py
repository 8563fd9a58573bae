"""The folder of psql's migrations, checked and compared with the database; nothing is changed."""

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg

from dbupgrade.api.failure import Failure
from dbupgrade.api.spec.migrations import Engine
from dbupgrade.toolkit import address
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.engines.psql import files, history, reports
from dbupgrade.toolkit.engines.psql.files import Migration, UnusableFileError
from dbupgrade.toolkit.engines.psql.history import History
from dbupgrade.toolkit.engines.standing import Standing
from dbupgrade.toolkit.environment import BadEnvironmentError
from dbupgrade.toolkit.folder.problem import Problem, version
from dbupgrade.toolkit.history import database, lock
from dbupgrade.toolkit.history.atlas import AtlasError
from dbupgrade.toolkit.history.compare import connect, warn_of_old
from dbupgrade.toolkit.inspection import FilesRefusedError, look
from dbupgrade.toolkit.output import counted
from dbupgrade.toolkit.plan.span import Span

_ANSWER_SECONDS = 20.0


def validate(call: Call) -> str:
    """Check the folder offline; returns what is true of it, in words. Raises FolderError and AtlasError."""
    if call.atlas.dev_url:
        raise BadEnvironmentError(
            "engine Psql does not run the files on a dev database: unset DEV_DATABASE_URL and --dev-url"
        )
    migrations, problems = examine(call)
    if problems:
        raise FilesRefusedError(problems)
    return f"{counted(len(migrations), 'file')}: the names and headers are those of engine Psql; the SQL was not checked"


def standing(call: Call) -> Standing:
    """Folder and database compared. Raises AtlasError, FolderError and BadEnvironmentError."""
    only_postgresql(call)
    migrations, problems = examine(call)
    connect(call)
    found = asyncio.run(_history(call.settings.database))
    refused = history.compare(found, migrations, call.settings.baseline)
    if refused and refused.failure:
        raise AtlasError(refused.failure, refused.error or "", refused.failed_file)
    pending = history.pending(found, migrations, call.settings.baseline)
    check(call, problems, {file.name for file in migrations} - {file.name for file in pending})
    return Standing(found.version, tuple(file.name for file in pending))


def to_lint(call: Call) -> set[str]:
    """Names of the files that are not applied yet, where the database holds something that they can break.

    Raises AtlasError, FolderError and BadEnvironmentError.
    """
    found, names = pending(call)
    return breakable(call, found, set(names))


def pending(call: Call) -> tuple[History, list[str]]:
    """The history, and the names of the files that are not applied yet. Raises AtlasError, FolderError and BadEnvironmentError."""
    only_postgresql(call)
    migrations, problems = examine(call)
    connect(call)
    found = asyncio.run(_history(call.settings.database))
    names = [file.name for file in history.pending(found, migrations, call.settings.baseline)]
    check(call, problems, {file.name for file in migrations} - set(names))
    return found, names


def span(found: History, names: Sequence[str]) -> Span:
    """From where to where a plan of these files goes."""
    last = version(max(names)) if names else None
    return Span(found.version, last, [row.name for row in found.rows])


def breakable(call: Call, found: History, pending: set[str]) -> set[str]:
    """Which of these files to lint: none where the database is empty. A schema of one's own may be empty beside others."""
    is_empty = not found.rows and not found.used and not address.schema(call.settings.database)
    return set() if is_empty else pending


def examine(call: Call) -> tuple[list[Migration], list[Problem]]:
    """The migrations of the folder, and its faults. Raises AtlasError and FolderError."""
    try:
        migrations = files.read(call.folder)
    except UnusableFileError as error:
        raise AtlasError(Failure.UNUSABLE_FILE, str(error), error.report.failed_file) from None
    return migrations, look(call, Engine.PSQL)[1]


def only_postgresql(call: Call) -> None:
    """Raise BadEnvironmentError for a database of another kind."""
    if not address.is_postgresql(call.settings.database):
        raise BadEnvironmentError(
            "engine Psql works with PostgreSQL only, and DATABASE_URL is that of another kind of database"
        )


def check(call: Call, problems: Sequence[Problem], applied: set[str]) -> None:
    """Raise FilesRefusedError for faults of new files; those of files that were applied do no harm any more."""
    if new := [problem for problem in problems if problem.file not in applied]:
        raise FilesRefusedError(new)
    for problem in problems:
        warn_of_old(call, problem)


async def _history(url: str) -> History:
    connection = await database.connect(url)

    async def fetch(sql: str, *values: object) -> list[Any]:
        return list(await connection.fetch(sql, *values, timeout=_ANSWER_SECONDS))

    try:
        return await history.look(fetch)
    except lock.BROKEN:
        raise AtlasError(Failure.DATABASE_UNREACHABLE) from None
    except asyncpg.PostgresError as error:
        report = reports.of_history(str(error))
        raise AtlasError(report.failure or Failure.UNKNOWN, report.error or "") from None
    finally:
        await connection.close()
