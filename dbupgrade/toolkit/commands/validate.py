"""`validate`: the folder and atlas.sum; with a dev database the SQL too."""

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.toolkit import folder
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.engines import ENGINES


def run(call: Call) -> int:
    """Check the folder. Raises FolderError, AtlasError and BadEnvironmentError."""
    what = ENGINES[call.settings.engine].validate(call)
    call.output.event("valid", what, files=len(folder.sql_files(call.folder)))
    return ExitCode.OK
