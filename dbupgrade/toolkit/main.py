"""The entry of `dbupgrade migrate`."""

import importlib
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.decide.failures import KINDS
from dbupgrade.toolkit import call_metrics, environment
from dbupgrade.toolkit.arguments import parse
from dbupgrade.toolkit.call import Call, failed
from dbupgrade.toolkit.environment import BadEnvironmentError
from dbupgrade.toolkit.exits import RefusedError, exit_code
from dbupgrade.toolkit.folder import FolderError
from dbupgrade.toolkit.history.atlas import AtlasError
from dbupgrade.toolkit.output import Format, Output

MEASURED = ("status", "apply", "baseline")
"""The commands that have metrics: those that work with the database."""
INTERRUPTED, TERMINATED = 130, 143  # as shells have it: 128 and the signal


def main(arguments: list[str]) -> int:
    """Run a command; returns the exit code."""
    given = parse(arguments)
    output = Output()
    try:
        output.form = given.format or Format(os.environ.get("MIGRATE_FORMAT") or Format.TEXT)
    except ValueError:
        output.event("failed", "MIGRATE_FORMAT must be text or json", level="error")
        return ExitCode.USAGE
    # A container's first process gets no default: without this, Kubernetes would have to kill it, and Atlas would go on.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        settings = environment.read(os.environ, lambda path: Path(path).read_text())
    except BadEnvironmentError as error:
        return failed(output, ExitCode.USAGE, str(error))
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dbupgrade-") as work:
        call = Call(given, settings, output, Path(work))
        code = _run(call)
    if given.command in MEASURED:
        call_metrics.publish(settings, given.command, code, time.monotonic() - began, call.measured, output)
    return code


def _run(call: Call) -> int:
    try:
        # Only the command that is run: PostgreSQL's parser, which some need, takes time and memory.
        command = importlib.import_module(f"dbupgrade.toolkit.commands.{call.given.command}")
        code: int = command.run(call)
    except BadEnvironmentError as error:
        return failed(call.output, ExitCode.USAGE, str(error))
    except RefusedError as error:
        return failed(call.output, ExitCode.LINT, str(error))
    except FolderError as error:
        return failed(call.output, ExitCode.FOLDER, str(error))
    except AtlasError as error:
        text, what = str(error), KINDS[error.failure].what
        return failed(
            call.output,
            exit_code(error.failure),
            what if text == error.failure.value else f"{what}: {text}",
            failure=error.failure.value,
            file=error.file,
        )
    except KeyboardInterrupt:
        return INTERRUPTED
    return code
