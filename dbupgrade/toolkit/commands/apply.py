"""`apply`: apply what is pending, file by file, and report on it. In the operator's Jobs this is the container `migrate`."""

import time
from dataclasses import replace

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.api.failure import Failure
from dbupgrade.decide.failures import KINDS
from dbupgrade.pod.report import Report
from dbupgrade.toolkit.call import Call, failed
from dbupgrade.toolkit.engines import ENGINES
from dbupgrade.toolkit.exits import exit_code
from dbupgrade.toolkit.outcome import leave
from dbupgrade.toolkit.output import at, counted


def run(call: Call) -> int:
    """Apply what is pending. Raises AtlasError, FolderError, RefusedError and BadEnvironmentError."""
    began = time.monotonic()
    report = ENGINES[call.settings.engine].apply(call)
    report = replace(report, preflight=(*report.preflight, *call.told))
    leave(call.given, report, call.output.secrets)
    if report.failure:
        return _failed(call, report)
    call.output.event(
        "finished",
        f"done: {counted(report.applied or 0, 'file')} applied, {at(report.to_version)}",
        applied=report.applied or 0,
        version=report.to_version,
        seconds=round(time.monotonic() - began, 3),
    )
    return ExitCode.OK


def _failed(call: Call, report: Report) -> int:
    failure = report.failure or Failure.UNKNOWN
    where = f" in {report.failed_file}" if report.failed_file else ""
    why = f": {report.error}" if report.error else ""
    statement = f"\n  {report.failed_statement}\n" if report.failed_statement else ""
    return failed(
        call.output,
        exit_code(failure, report),
        f"{KINDS[failure].what}{where}{why}{statement}",
        failure=failure.value,
        file=report.failed_file,
        line=report.line,
        sqlstate=report.sqlstate,
        statement=report.failed_statement,
        error=report.error,
    )
