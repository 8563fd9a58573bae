"""`hash`: write atlas.sum."""

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.toolkit import folder
from dbupgrade.toolkit.call import Call


def run(call: Call) -> int:
    """Write atlas.sum."""
    call.prepare()
    call.atlas.hash(call.folder)
    call.output.event("hashed", f"{call.folder / folder.SUM} is written")
    return ExitCode.OK
