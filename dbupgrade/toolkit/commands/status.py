"""`status`: folder and database compared."""

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.history.compare import compare


def run(call: Call) -> int:
    """Say what is pending; reads only."""
    state = compare(call)
    code = ExitCode.PENDING if state.pending else ExitCode.OK
    pending = [file.name for file in state.pending]
    lines = [f"current version: {state.current or 'none'}", f"pending: {len(pending)}"]
    call.output.event(
        "status",
        "\n".join([*lines, *(f"  {name}" for name in pending)]),
        current=state.current or None,
        pending=pending,
        exitCode=int(code),
    )
    return code
