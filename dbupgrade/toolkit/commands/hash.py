"""`hash`: write atlas.sum."""

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.folder.problem import SUM


def run(call: Call) -> int:
    """Write atlas.sum."""
    call.prepare()
    call.atlas.hash(call.folder)
    call.output.event("hashed", f"{call.folder / SUM} is written")
    return ExitCode.OK
