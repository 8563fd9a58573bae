"""What MySQL says of a session, through the process of our engine that holds the lock of the run (images/atlas/look.go)."""

import json
from typing import Any

from dbupgrade.pod.redact import mask_statement, printable, shortened
from dbupgrade.toolkit.progress.look import Look
from dbupgrade.toolkit.progress.place import Place
from dbupgrade.toolkit.progress.waits import Blocker, Wait

_BYTES = 200
_STATEMENT_BYTES = 500
_ADVICE = "performance_schema with the instrument wait/lock/metadata/sql/mdl, and SELECT on its tables, show who holds it"


def read(place: Place, line: str) -> Look:
    """The answer to a look at the session of `place`; one that cannot be read says nothing."""
    try:
        found = json.loads(line)
        return Look(place, _wait(found) if found.get("waits") else None, _progress(found))
    except (ValueError, AttributeError, KeyError, TypeError):
        return Look(place)


def _wait(found: dict[str, Any]) -> Wait:
    blockers = tuple(_blocker(each) for each in found.get("blockers", ()))
    advice = None if blockers else f"{_short(found['state'])}; {_ADVICE}"
    return Wait(blockers, _short(found.get("relation")), _short(found.get("mode")), advice)


def _blocker(row: dict[str, Any]) -> Blocker:
    statement = mask_statement(row["statement"]) if row.get("statement") else None
    return Blocker(
        pid=row["pid"],
        user=_short(row.get("user")),
        client=_short(row.get("client")),
        state=_short(row.get("state")),
        statement=shortened(printable(statement), _STATEMENT_BYTES) if statement else None,
        state_seconds=row["seconds"],
    )


def _progress(found: dict[str, Any]) -> dict[str, Any] | None:
    percent = found.get("percent")
    if percent is None:
        return None
    return {
        "phase": _short(found["state"]),
        "relation": None,
        "done": int(percent),
        "total": 100,
        "rows": None,
    }


def _short(value: str | None) -> str | None:
    return shortened(printable(value), _BYTES) if value else None
