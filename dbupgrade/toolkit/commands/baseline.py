"""`baseline`: record that a database without history is at a version."""

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.toolkit.call import Call, failed
from dbupgrade.toolkit.history import lock
from dbupgrade.toolkit.history.compare import examine, with_database


def run(call: Call) -> int:
    """Record the baseline; runs no SQL of the folder."""
    found = examine(call)
    with lock.of_run(call):
        state = with_database(call, *found)
        if state.applied:
            return failed(
                call.output,
                ExitCode.USAGE,
                f"the database already has a history and is at {state.current}: a baseline is only for a database without one",
            )
        call.atlas.set_version(call.folder, call.given.version)
    call.output.event(
        "baseline",
        f"everything up to {call.given.version} is recorded as applied",
        version=call.given.version,
    )
    return ExitCode.OK
