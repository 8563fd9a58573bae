"""Whether a plan needs approval, and why. Pure."""

from collections.abc import Iterator

from dbupgrade.api.plan import Plan, PlannedFile
from dbupgrade.api.spec.policy import Approval
from dbupgrade.pod import sizes
from dbupgrade.toolkit.lint.lock import LockMode

_BLOCKS_WRITES = {str(mode) for mode in LockMode if mode.blocks_writes}
_ERROR = "error"


def asks(plan: Plan, approval: Approval, above: int, unknown: str = "") -> str:
    """Why `plan` needs approval, in words; empty when it does not.

    `above` is the size of a table in bytes above which a lock that blocks writes counts. `unknown` is the place of a statement that may lock
    tables that cannot be determined in advance: such a lock counts like one on a large table.
    """
    if approval is Approval.NEVER or not plan.file_count:
        return ""
    if approval is Approval.ALWAYS:
        return "approval is Always"
    return next(iter((*_errors(plan), *_locks(plan, above), *_unknown(unknown))), "")


def _errors(plan: Plan) -> Iterator[str]:
    if plan.errors:
        yield f"Lint finds {plan.errors} error{'' if plan.errors == 1 else 's'}{_first_error(plan)}"


def _first_error(plan: Plan) -> str:
    for file in plan.files:
        for statement in file.notable:
            for finding in statement.findings:
                if finding.level == _ERROR:
                    return f": {file.name} line {statement.line} {finding.what}"
    return ""


def _locks(plan: Plan, above: int) -> Iterator[str]:
    for file in plan.files:
        yield from _locks_of(file, above)


def _locks_of(file: PlannedFile, above: int) -> Iterator[str]:
    for statement in file.notable:
        for lock in statement.locks:
            if lock.mode in _BLOCKS_WRITES and lock.bytes is not None and lock.bytes > above:
                size = sizes.in_bytes(lock.bytes)
                yield f"{file.name} line {statement.line} blocks writes to {lock.table} ({size}, {lock.mode})"


def _unknown(where: str) -> Iterator[str]:
    if where:
        yield f"{where} may lock tables that cannot be determined in advance"
