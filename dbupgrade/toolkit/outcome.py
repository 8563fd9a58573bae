"""The report of a command, left where the operator reads it (`--report FILE`)."""

import argparse

from dbupgrade.api.failure import Failure
from dbupgrade.api.findings import PreflightFinding
from dbupgrade.pod import message
from dbupgrade.pod.redact import cut, remove_secrets
from dbupgrade.pod.report import Report
from dbupgrade.toolkit.environment import BadEnvironmentError
from dbupgrade.toolkit.exits import RefusedError
from dbupgrade.toolkit.folder import FolderError
from dbupgrade.toolkit.history.atlas import AtlasError
from dbupgrade.toolkit.inspection import FilesRefusedError


def leave(given: argparse.Namespace, report: Report, secrets: tuple[str, ...] = ()) -> None:
    """Write the report without the secrets, if the command line asks for one, in place of what is there."""
    if path := getattr(given, "report", None):
        path.write_text(message.text(report, secrets), encoding="utf-8")


def refused(error: BaseException, secrets: tuple[str, ...] = ()) -> Report:
    """The report on a command that ended with `error`; the text of an error that we do not know is not repeated."""
    text = cut(remove_secrets(str(error), secrets))
    match error:
        case FilesRefusedError(failure=failure, file=file, problems=problems):
            found = tuple(
                PreflightFinding(check="folder", severity="error", message=each.text) for each in problems
            )
            return Report(failure=failure, failed_file=file, error=text, preflight=found)
        case AtlasError(failure=failure, file=file):
            return Report(failure=failure, failed_file=file, error=text if text != failure.value else None)
        case FolderError():
            return Report(failure=Failure.EMPTY_FOLDER, error=text)
        case RefusedError():
            return Report(failure=Failure.UNUSABLE_FILE, error=text)
        case BadEnvironmentError():
            return Report(failure=Failure.CONNECTION_SETTINGS, error=text)
        case SystemExit() | KeyboardInterrupt():
            return Report(failure=Failure.INTERRUPTED)
    return Report(failure=Failure.UNKNOWN, error=f"the runner failed: {type(error).__name__}")
