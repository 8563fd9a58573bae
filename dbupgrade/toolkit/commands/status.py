"""`status`: folder and database compared."""

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.engines import ENGINES


def run(call: Call) -> int:
    """Say what is pending; reads only."""
    found = ENGINES[call.settings.engine].standing(call)
    pending = list(found.pending)
    code = ExitCode.PENDING if pending else ExitCode.OK
    lines = [f"current version: {found.current or 'none'}", f"pending: {len(pending)}"]
    call.output.event(
        "status",
        "\n".join([*lines, *(f"  {name}" for name in pending)]),
        current=found.current,
        pending=pending,
        exitCode=int(code),
    )
    return code
