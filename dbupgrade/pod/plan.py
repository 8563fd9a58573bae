"""The plan of a run as the runner leaves it in its log, and as the operator reads it there.

A plan is longer than a termination message may be. So it is one line of the log, and the report has the SHA-256 of that line: whatever
else is in the log cannot be taken for it (contract, 3.6).
"""

import hashlib
import json
from dataclasses import replace

from pydantic import ValidationError

from dbupgrade.api.plan import Plan, PlannedFile
from dbupgrade.api.record import from_json, to_json

LINE_BYTES = 256 * 1024
STATUS_BYTES = 32 * 1024
_EVENT = "plan"


def line(plan: Plan) -> str:
    """The line of the log that has `plan`, with as many of its files as fit into LINE_BYTES."""
    return json.dumps({"event": _EVENT, "plan": to_json(fitting(plan, LINE_BYTES - 64))})


def sha256(text: str) -> str:
    """The SHA-256 of a line, in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def read(log: str, digest: str) -> Plan | None:
    """The plan in the line of `log` that has this SHA-256, with as many of its files as fit into a status."""
    found = next((text for text in log.splitlines() if sha256(text) == digest), None)
    if found is None:
        return None
    try:
        return fitting(from_json(Plan, json.loads(found)["plan"]), STATUS_BYTES)
    except (ValueError, ValidationError, KeyError, RecursionError):
        return None


def last(log: str) -> Plan | None:
    """The plan in the last line of `log` that has one: of a log that only the runner has written to."""
    for text in reversed(log.splitlines()):
        try:
            found = json.loads(text)
            if isinstance(found, dict) and found.get("event") == _EVENT:
                return from_json(Plan, found["plan"])
        except (ValueError, ValidationError, KeyError, RecursionError):
            continue
    return None


def fitting(plan: Plan, size: int) -> Plan:
    """`plan` with its first files, so that it has at most `size` bytes as JSON."""
    kept: list[PlannedFile] = []
    left = size - _bytes(replace(plan, files=()))
    for file in plan.files:
        left -= _bytes(file) + 2
        if left < 0:
            break
        kept.append(file)
    return replace(plan, files=tuple(kept))


def _bytes(record: Plan | PlannedFile) -> int:
    return len(json.dumps(to_json(record)))
