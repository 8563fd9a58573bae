"""Makes the plan of a call: from the folder, the history, the lint and the catalog, under whatever lock the caller has."""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import asyncpg

from dbupgrade.api.failure import Failure
from dbupgrade.api.plan import (
    FINDINGS,
    LOCKS,
    PLANNED_STATEMENTS,
    Plan,
    PlannedFile,
    PlannedFinding,
    PlannedLock,
    PlannedStatement,
)
from dbupgrade.api.record import from_json, to_json
from dbupgrade.pod.redact import every_text, remove_secrets
from dbupgrade.toolkit import folder, trouble
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.history.atlas import AtlasError
from dbupgrade.toolkit.history.database import NOT_YET
from dbupgrade.toolkit.lint import pending
from dbupgrade.toolkit.lint.lock import TableLock
from dbupgrade.toolkit.lint.locking import StatementLocks, locks_in
from dbupgrade.toolkit.lint.rule import Finding, Level
from dbupgrade.toolkit.lint.world import Size
from dbupgrade.toolkit.plan import asking, definitions
from dbupgrade.toolkit.plan.identity import Identity, digest
from dbupgrade.toolkit.plan.span import Span
from dbupgrade.toolkit.sql import parser
from dbupgrade.toolkit.sql.concurrently import File
from dbupgrade.toolkit.sql.names import Name

_ASKS = 512
_LEVELS = {Level.ERROR: 0, Level.WARNING: 1, Level.INFO: 2}


@dataclass(frozen=True)
class _Found:
    """What is known of the files that would be applied."""

    names: Sequence[str]
    texts: Mapping[str, str]
    findings: Sequence[Finding]
    locks: Sequence[StatementLocks]
    sizes: Mapping[Name, Size]
    is_postgresql: bool


def make(call: Call, span: Span, known: pending.Survey) -> Plan:
    """The plan of the pending files, of which `known` is known; it says whether it needs approval. Raises AtlasError."""
    found = _look(call, known)
    settings = call.settings
    files = [_file(name, number, found) for number, name in enumerate(found.names, 1)]
    plan = Plan(
        digest=digest(_identity(call, span, found)),
        image_digest=settings.image_digest or None,
        from_version=span.current,
        to_version=span.last or span.current,
        file_count=len(files),
        statement_count=sum(file.statement_count for file in files),
        errors=_count(found.findings, Level.ERROR),
        warnings=_count(found.findings, Level.WARNING),
        files=tuple(sorted(files, key=_danger)),
    )
    unknown = next((f"{each.file} line {each.line}" for each in found.locks if not each.complete), "")
    # What is shown is cut; what decides is not.
    asks = asking.asks(plan, settings.approval, settings.approval_above, unknown)[:_ASKS]
    shown = replace(plan, asks=asks, files=tuple(map(_shown, plan.files)))
    return masked(shown, call.output.secrets)


def masked(plan: Plan, secrets: tuple[str, ...]) -> Plan:
    """`plan` without the secrets, while they are spelled as they are: JSON may spell them in another way."""
    texts = every_text(to_json(plan), lambda text: remove_secrets(text, secrets))
    return replace(from_json(Plan, texts), digest=plan.digest, image_digest=plan.image_digest)


def _shown(file: PlannedFile) -> PlannedFile:
    """`file` with as much as a plan has room for, the worst first."""
    statements = (replace(each, locks=each.locks[:LOCKS]) for each in file.notable[:PLANNED_STATEMENTS])
    return replace(file, notable=tuple(statements))


def _look(call: Call, known: pending.Survey) -> _Found:
    names = [file.name for file in known.files if file.name in known.all_names]
    files = [File(file.name, pending.sql(call, file)) for file in known.files]
    texts = {file.name: file.text for file in files}
    if known.database is None:
        return _Found(names, texts, known.findings, (), {}, is_postgresql=False)
    locks = tuple(locks_in(files, known.names, known.database))
    return _Found(names, texts, known.findings, locks, known.database.sizes, is_postgresql=True)


def _blocking(locks: Iterable[TableLock]) -> tuple[TableLock, ...]:
    """Those that block other sessions."""
    return tuple(lock for lock in locks if lock.mode.blocks_writes)


def _identity(call: Call, span: Span, found: _Found) -> Identity:
    by_name = dict(folder.contents(call.folder)[0].files)
    return Identity(
        resource=call.settings.plan_for,
        image_digest=call.settings.image_digest,
        baseline=call.settings.baseline,
        applied=span.applied,
        files=[(name, hashlib.sha256(by_name[name]).hexdigest()) for name in found.names],
        findings=[(each.file, each.line, each.rule.name) for each in found.findings],
        tables=_definitions(call, found),
    )


def _definitions(call: Call, found: _Found) -> dict[str, str]:
    """The definitions of the tables that are in use and that the files name."""
    tables = {lock.table for each in found.locks for lock in each.locks}
    if not tables:
        return {}
    try:
        return asyncio.run(definitions.ask(call.settings.database, tables))
    except (*NOT_YET, asyncpg.PostgresError) as error:
        raise AtlasError(Failure.DATABASE_UNREACHABLE, trouble.words(error)) from None


def _file(name: str, number: int, found: _Found) -> PlannedFile:
    notable: defaultdict[int, PlannedStatement] = defaultdict(lambda: PlannedStatement(line=1))
    for finding in (each for each in found.findings if each.file == name and each.level is not Level.INFO):
        before = notable[finding.line]
        told = PlannedFinding(level=finding.level.value, rule=finding.rule.name, what=finding.what[:256])
        notable[finding.line] = replace(
            before, line=finding.line, findings=(*before.findings, told)[:FINDINGS]
        )
    for each in (each for each in found.locks if each.file == name):
        found_locks = (_lock(lock, found.sizes) for lock in _blocking(each.locks))
        told_locks = tuple(sorted(found_locks, key=lambda lock: -(lock.bytes or 0)))
        if not told_locks:
            continue
        notable[each.line] = replace(notable[each.line], line=each.line, locks=told_locks)
    statements = sorted(notable.values(), key=lambda each: (_worst(each), each.line))
    return PlannedFile(
        name=name, number=number, statement_count=_statements(found, name), notable=tuple(statements)
    )


def _lock(lock: TableLock, sizes: Mapping[Name, Size]) -> PlannedLock:
    size = sizes.get(lock.table)
    return PlannedLock(
        table=str(lock.table)[:256],
        mode=str(lock.mode),
        effect="rewrites" if lock.rewrites else "scans" if lock.scans else "",
        bytes=size.bytes if size else None,
        rows=size.rows or None if size else None,
    )


def _statements(found: _Found, name: str) -> int:
    return len(parser.statements(found.texts[name])) if found.is_postgresql else 0


def _count(findings: Sequence[Finding], level: Level) -> int:
    return sum(finding.level is level for finding in findings)


def _worst(statement: PlannedStatement) -> tuple[int, int]:
    """How early a statement is shown: errors, then the largest tables that are locked, then warnings."""
    level = min((_LEVELS[Level(finding.level)] for finding in statement.findings), default=2)
    largest = max((lock.bytes or 0 for lock in statement.locks), default=0)
    return level, -largest


def _danger(file: PlannedFile) -> tuple[tuple[int, int], int]:
    return min(map(_worst, file.notable), default=(3, 0)), file.number
