"""`hash`: write atlas.sum."""

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.folder import versions
from dbupgrade.toolkit.folder.problem import SUM
from dbupgrade.toolkit.inspection import FilesRefusedError, look


def run(call: Call) -> int:
    """Write atlas.sum. Raises FilesRefusedError where that cannot be, since files have the same version."""
    call.prepare()
    files, problems = look(call)
    if any(versions.look(files)):
        raise FilesRefusedError(problems)
    call.atlas.hash(call.folder)
    call.output.event("hashed", f"{call.folder / SUM} was written")
    return ExitCode.OK
