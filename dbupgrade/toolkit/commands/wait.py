"""`wait`: wait until the database accepts connections, at most MIGRATE_WAIT_TIMEOUT."""

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.pod.report import Report
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.history.compare import connect
from dbupgrade.toolkit.outcome import leave


def run(call: Call) -> int:
    """Wait; nothing is read or changed. Raises AtlasError and BadEnvironmentError."""
    connect(call)
    leave(call.given, Report())
    return ExitCode.OK
