"""`hash`: write atlas.sum. Needs no engine, so that it works right after `pip install`."""

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.toolkit import folder
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.folder import versions
from dbupgrade.toolkit.folder.problem import SUM
from dbupgrade.toolkit.history import changes
from dbupgrade.toolkit.inspection import FilesRefusedError, look


def run(call: Call) -> int:
    """Write atlas.sum.

    Raises FolderError without migrations, and FilesRefusedError where files cannot be read or have the same version.
    """
    folder.check(call.folder)
    files, problems = look(call)
    unread = any(problem.file.endswith(".sql") and problem.file not in files.names for problem in problems)
    if unread or any(versions.look(files)):
        raise FilesRefusedError(problems)
    folder.write_sums(call.folder, changes.sums(files.files))
    call.output.event("hashed", f"{call.folder / SUM} was written")
    return ExitCode.OK
