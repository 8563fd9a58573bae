"""`hold`: hold the lock of a run until a signal ends it, so that any other program can migrate meanwhile.

It is the sidecar of an application's own command. The container that waits for the lock reads the report, which is written when the lock is
held, or refused. A call that finds a report is not the first: the lock was lost since, or refused, and is not taken again.
"""

import contextlib
import signal
from dataclasses import replace
from pathlib import Path

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.api.failure import Failure
from dbupgrade.pod import message
from dbupgrade.pod.report import Report
from dbupgrade.toolkit import address
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.history import lock
from dbupgrade.toolkit.history.atlas import AtlasError, find
from dbupgrade.toolkit.history.compare import connect
from dbupgrade.toolkit.outcome import leave

LOST = "the lock on the database was lost, because the connection that held it was closed"


def run(call: Call) -> int:
    """Hold it. Raises AtlasError, also when the lock is lost, and BadEnvironmentError."""
    report: Path | None = call.given.report
    if report and report.exists():
        return _idle(call, report.read_text(encoding="utf-8"))
    _connect_only(call)
    connect(call)
    with lock.of_run(call) as keeper:
        try:  # from the moment at which others see the report, a signal is the end that is meant
            leave(call.given, Report())
            call.output.event("lock_held", "holding the lock on the database until this program ends")
            keeper.wait_until_lost()
        except (SystemExit, KeyboardInterrupt):
            return ExitCode.OK
    raise AtlasError(Failure.INTERRUPTED, LOST)


def _idle(call: Call, report: str) -> int:
    """Wait for the signal that ends the pod: to exit would only bring the next restart."""
    said = message.read(report) or Report()
    words = "this container has lost the lock, or failed to acquire it, before: it does not acquire it again"
    with contextlib.suppress(SystemExit, KeyboardInterrupt):
        call.output.event("lock_not_held", words, level="warning", failure=said.failure, error=said.error)
        signal.pause()
    return ExitCode.OK


def _connect_only(call: Call) -> None:
    """Leave out of the URL what it says to other programs."""
    url = address.to_connect(call.settings.database, lambda path: Path(path).is_file())
    call.settings = replace(call.settings, url=url)
    call.atlas = replace(call.atlas, url=url)
    if not address.is_postgresql(url):
        call.atlas = replace(call.atlas, binary=find(call.settings.atlas))
