"""`validate`: the folder and atlas.sum; with a dev database the SQL too."""

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.toolkit import folder
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.inspection import FilesRefusedError, look
from dbupgrade.toolkit.output import counted


def run(call: Call) -> int:
    """Check the folder. Raises FolderError and AtlasError."""
    call.prepare()
    _, problems = look(call)
    if problems:
        raise FilesRefusedError(problems)
    call.atlas.validate(call.folder)
    count = len(folder.sql_files(call.folder))
    what = "atlas.sum matches, and the SQL runs" if call.atlas.dev_url else "atlas.sum matches"
    call.output.event("valid", f"{counted(count, 'file')}: {what}", files=count)
    return ExitCode.OK
