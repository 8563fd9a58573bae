"""`hash`: write atlas.sum. No engine is needed: this is what one does first, on a laptop."""

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.toolkit import folder
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.folder import versions
from dbupgrade.toolkit.folder.problem import SUM
from dbupgrade.toolkit.history import changes
from dbupgrade.toolkit.inspection import FilesRefusedError, look


def run(call: Call) -> int:
    """Write atlas.sum. Raises FilesRefusedError for files of the same version, or that cannot be read: the sum would be wrong."""
    folder.check(call.folder)
    files, problems = look(call)
    known = {name for name, _ in files.files}
    unread = [problem for problem in problems if problem.file.endswith(".sql") and problem.file not in known]
    if unread:
        raise FilesRefusedError(unread)
    if any(versions.look(files)):
        raise FilesRefusedError(problems)
    (call.folder / SUM).write_bytes(changes.sums(files.files))
    call.output.event("hashed", f"{call.folder / SUM} was written")
    return ExitCode.OK
