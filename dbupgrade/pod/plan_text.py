"""A plan for people: as text, the dangerous files first, and as Markdown for a pull request."""

from collections.abc import Iterator

from dbupgrade.api.plan import Plan, PlannedFile, PlannedLock, PlannedStatement
from dbupgrade.pod import sizes


def described(plan: Plan) -> Iterator[str]:
    """The plan in lines of text."""
    yield _summary(plan)
    if plan.asks:
        yield f"Needs approval: {plan.asks}."
    for file in plan.files:
        yield f"  {_head(file)}"
        for statement in file.notable:
            for what in _notes(statement):
                yield f"    line {statement.line}  {what}"
    if left := plan.file_count - len(plan.files):
        yield f"  and {_counted(left, 'more file')}"
    if plan.image_digest:
        yield f"Image digest: {plan.image_digest}"
    yield f"Plan digest:  {plan.digest}"


def markdown(plan: Plan) -> Iterator[str]:
    """The plan as a document in Markdown."""
    yield "## Migration plan"
    yield ""
    yield f"{_summary(plan)}."
    if plan.asks:
        yield ""
        yield f"**Needs approval:** {_escaped(plan.asks)}."
    yield ""
    if plan.files:
        yield "| file | line | |"
        yield "|---|---|---|"
    for file in plan.files:
        yield f"| `{file.name}` | | {_statements(file)} |"
        for statement in file.notable:
            for what in _notes(statement):
                yield f"| | {statement.line} | {_escaped(what)} |"
    if left := plan.file_count - len(plan.files):
        yield f"| | | and {_counted(left, 'more file')} |"
    yield ""
    if plan.image_digest:
        yield f"Image digest: `{plan.image_digest}`  "
    yield f"Plan digest: `{plan.digest}`"


def _summary(plan: Plan) -> str:
    if not plan.file_count:
        return f"Nothing to apply: the database is at {plan.from_version or 'no version'}"
    parts = [_counted(plan.file_count, "file")]
    if plan.statement_count:
        parts.append(_counted(plan.statement_count, "statement"))
    found = [
        _counted(number, word)
        for number, word in ((plan.errors, "error"), (plan.warnings, "warning"))
        if number
    ]
    versions = f"from {plan.from_version or 'no version'} to {plan.to_version}"
    return f"{', '.join(parts)}, {versions}; lint finds {' and '.join(found) or 'nothing'}"


def _head(file: PlannedFile) -> str:
    statements = _statements(file)
    return f"{file.name} ({statements})" if statements else file.name


def _statements(file: PlannedFile) -> str:
    return _counted(file.statement_count, "statement") if file.statement_count else ""


def _notes(statement: PlannedStatement) -> Iterator[str]:
    for finding in statement.findings:
        yield f"{finding.level}: {finding.what} ({finding.rule})"
    for lock in statement.locks:
        yield f"locks {lock.table}{_size(lock)}: {lock.mode}{_EFFECTS.get(lock.effect, '')}"


_EFFECTS = {"rewrites": " while the table is rewritten", "scans": " while the table is read"}


def _size(lock: PlannedLock) -> str:
    """` (214 GB, about 1.2 billion rows)`; nothing where it is not known. The statistics know no rows before the first ANALYZE."""
    if lock.bytes is None:
        return ""
    rows = f", {sizes.in_rows(lock.rows)}" if lock.rows else ""
    return f" ({sizes.in_bytes(lock.bytes)}{rows})"


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _escaped(text: str) -> str:
    """`text` in a cell of a table."""
    return (
        text.replace("\\", "\\\\")
        .replace("|", "\\|")
        .replace("<", "&lt;")
        .replace("*", "\\*")
        .replace("`", "\\`")
    )
