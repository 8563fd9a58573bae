"""A status as it may be written: whatever its texts come from, they are printable, and it is small enough to be stored.

Texts come from databases, registries, metrics APIs, other people's pods and admission webhooks. They are cleaned here, in the one
place that each status passes, and not where each is read.
"""

from dataclasses import replace
from functools import partial

from dbupgrade.api.check_status import CheckStatus
from dbupgrade.api.record import from_json, to_json
from dbupgrade.api.run import Run
from dbupgrade.api.status import Status
from dbupgrade.pod.redact import clean, every_text

_TEXT_BYTES = 1024
_MESSAGE_BYTES = 8192
"""Of a condition's message, which holds several texts."""
_SMALLEST_BYTES = 256
_CONDITIONS = "conditions"


def bounded(status: Status) -> Status:
    """`status` with every text cleaned; the same object where nothing is to be cleaned."""
    written = to_json(status)
    cleaned = {
        name: every_text(value, partial(clean, size=_MESSAGE_BYTES if name == _CONDITIONS else _TEXT_BYTES))
        for name, value in written.items()
    }
    return status if cleaned == written else from_json(Status, cleaned)


def smallest(status: Status) -> Status:
    """`status` with what decisions need and nothing that can be long, for a resource that has no room for more."""
    return replace(
        status,
        conditions=tuple(
            replace(each, message=clean(each.message, _SMALLEST_BYTES)) for each in status.conditions
        ),
        checks=tuple(map(_smallest_check, status.checks)),
        preflight=(),
        run=_smallest_run(status.run) if status.run else None,
        history=(),
    )


def _smallest_check(check: CheckStatus) -> CheckStatus:
    return replace(check, last_value=None, message="", highest={})


def _smallest_run(run: Run) -> Run:
    """What identifies the run and says how it ended."""
    return replace(run, creation_problem=None, lint=None, failed_statement=None, error=None)
