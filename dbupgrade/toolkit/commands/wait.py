"""`wait`: wait until the database accepts connections, at most MIGRATE_WAIT_TIMEOUT."""

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.history.compare import connect


def run(call: Call) -> int:
    """Wait; nothing is read or changed. Raises AtlasError and BadEnvironmentError."""
    connect(call)
    return ExitCode.OK
