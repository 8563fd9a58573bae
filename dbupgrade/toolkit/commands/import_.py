"""`import`: take over the folder of another migration tool, and say which baseline its history means."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.api.spec.migrations import Engine
from dbupgrade.toolkit import address, importing
from dbupgrade.toolkit.call import Call, failed
from dbupgrade.toolkit.folder import FolderError, checks
from dbupgrade.toolkit.folder.problem import Files, Problem, version
from dbupgrade.toolkit.history.atlas import find
from dbupgrade.toolkit.history.compare import connect
from dbupgrade.toolkit.importing import folder, names, rows
from dbupgrade.toolkit.importing.model import Format, HistoryError, Migration
from dbupgrade.toolkit.importing.standing import Standing, standing
from dbupgrade.toolkit.inspection import FilesRefusedError
from dbupgrade.toolkit.output import counted

_NO_TRANSACTION = {Engine.ATLAS: "-- atlas:txmode none\n\n", Engine.PSQL: "-- dbupgrade:txmode none\n\n"}
_NAMED = 10


def run(call: Call) -> int:
    """Write the files; nothing is written if one of them, or the history, is refused. Raises FolderError and AtlasError."""
    form = importing.FORMATS[call.given.tool]
    migrations = _read(call, form)
    files = dict(zip(names.file_names(migrations), migrations, strict=True))
    _check(call, files)
    try:
        found = _standing(call, form, migrations) if call.settings.url else None
    except HistoryError as error:
        return failed(call.output, ExitCode.FILES, f"the history of {form.tool}: {error}")
    texts = {name: _text(call, migration) for name, migration in files.items()}
    written = folder.write(call.folder, texts, sums=call.settings.engine is Engine.ATLAS)
    for name, migration in files.items():
        call.output.event("imported", f"{migration.source} -> {name}", source=migration.source, file=name)
    call.output.event("written", f"{counted(written, 'file')} written to {call.folder}", written=written)
    if found:
        _report(call, form, list(files), found)
    return ExitCode.OK


def _read(call: Call, form: Format) -> Sequence[Migration]:
    """What the other tool would apply. Raises FilesRefusedError and FolderError."""
    found = form.read(folder.read(call.given.source))
    for each in found.left_out:
        level = "info" if each.expected else "warning"
        call.output.event("left_out", f"{each.source} is left out: {each.why}", level=level, file=each.source)
    if problems := [*found.problems, *names.duplicates(found.migrations)]:
        raise FilesRefusedError(problems)
    if not found.migrations:
        raise FolderError(f"{call.given.source} contains no migrations of {form.tool}")
    for migration in found.migrations:
        if not migration.identity:
            call.output.event(
                "repeatable",
                f"{migration.source} is repeatable: it becomes a file that is applied once, also to a database that has it "
                "already; put each later change into a new file",
                level="warning",
                file=migration.source,
            )
    return found.migrations


def _check(call: Call, files: Mapping[str, Migration]) -> None:
    """Check the files as every command does, and name those of the other tool. Raises FilesRefusedError."""
    postgresql = not call.settings.url or address.is_postgresql(call.settings.url)
    texts = tuple((name, migration.text.encode()) for name, migration in files.items())
    found = checks.problems(
        Files(tuple(sorted(texts)), rules=None), call.settings.engine, postgresql=postgresql
    )
    if found:
        raise FilesRefusedError([_at_source(problem, files[problem.file]) for problem in found])


def _at_source(problem: Problem, migration: Migration) -> Problem:
    line = None if problem.line is None else problem.line + migration.line - 1
    return replace(problem, files=(migration.source,), line=line)


def _text(call: Call, migration: Migration) -> str:
    return f"{_NO_TRANSACTION[call.settings.engine] if migration.no_transaction else ''}{migration.text}"


def _standing(call: Call, form: Format, migrations: Sequence[Migration]) -> Standing:
    """Compare with the history of the other tool. Raises HistoryError and AtlasError."""
    if not address.is_postgresql(call.settings.database):
        call.atlas = replace(call.atlas, binary=find(call.settings.atlas))
    connect(call)
    return standing(migrations, form.applied(rows.read(call, form, call.given.history)))


def _report(call: Call, form: Format, files: Sequence[str], found: Standing) -> None:
    if found.unknown:
        call.output.event(
            "unknown",
            f"applied by {form.tool}, but not in the folder: {', '.join(found.unknown[:_NAMED])}. A new database will not get it",
            level="warning",
            migrations=found.unknown[:_NAMED],
        )
    pending = len(files) - found.done
    if not found.done:
        call.output.event(
            "baseline",
            f"{form.tool} has applied nothing to the database: remove its empty table, and set no baseline",
            pending=pending,
        )
        return
    baseline = version(files[found.done - 1])
    call.output.event(
        "baseline",
        f'the database is at {baseline}: set spec.migrations.baseline (or MIGRATE_BASELINE_VERSION) to "{baseline}"; '
        f"{counted(pending, 'file')} would then be applied",
        baseline=baseline,
        pending=pending,
    )
