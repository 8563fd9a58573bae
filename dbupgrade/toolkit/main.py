"""The entry of `dbupgrade migrate`."""

import importlib
import keyword
import os
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.api.spec.migrations import Engine
from dbupgrade.decide.failures import KINDS
from dbupgrade.toolkit import call_metrics, environment
from dbupgrade.toolkit.arguments import parse
from dbupgrade.toolkit.call import Call, failed
from dbupgrade.toolkit.environment import BadEnvironmentError
from dbupgrade.toolkit.exits import RefusedError, exit_code
from dbupgrade.toolkit.folder import FolderError
from dbupgrade.toolkit.history.atlas import AtlasError
from dbupgrade.toolkit.inspection import FilesRefusedError
from dbupgrade.toolkit.outcome import leave, refused
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
        leave(given, refused(error))
        return failed(output, ExitCode.USAGE, str(error))
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dbupgrade-") as work:
        call = Call(given, settings, output, Path(work))
        code = _run(call)
    if given.command in MEASURED:
        call_metrics.publish(settings, given.command, code, time.monotonic() - began, call.measured, output)
    return code


def _run(call: Call) -> int:
    """Run the command; a report is left of whatever ends it."""
    try:
        return _command(call)
    except BaseException as error:
        leave(call.given, refused(error, call.output.secrets), call.output.secrets)
        code = _said(call, error)
        if code is None:
            raise
        return code


_ONLY_ATLAS = {
    "hash": "its folders have no atlas.sum",
    "convert": "write the statement into a file of its own that begins with -- dbupgrade:txmode none",
    "baseline": "set MIGRATE_BASELINE_VERSION and run apply, which records the baseline",
}
"""Commands that are about Atlas, and what to know or do with another engine."""


def _command(call: Call) -> int:
    name, engine = call.given.command, call.settings.engine
    if name in _ONLY_ATLAS and engine is not Engine.ATLAS:
        raise BadEnvironmentError(
            f"{name} is a command for engine Atlas, and MIGRATE_ENGINE is {engine}: {_ONLY_ATLAS[name]}"
        )
    # Only the command that is run: PostgreSQL's parser, which some need, takes time and memory.
    module = f"{name}_" if keyword.iskeyword(name) else name
    command = importlib.import_module(f"dbupgrade.toolkit.commands.{module}")
    code: int = command.run(call)
    return code


def _said(call: Call, error: BaseException) -> int | None:
    """The exit code for `error`, after it was said; None for the end of the program."""
    match error:
        case BadEnvironmentError():
            return failed(call.output, ExitCode.USAGE, str(error))
        case RefusedError():
            return failed(call.output, ExitCode.LINT, str(error))
        case FolderError():
            return failed(call.output, ExitCode.FOLDER, str(error))
        case FilesRefusedError(failure=failure, file=file):  # its words say all
            return failed(call.output, exit_code(failure), str(error), failure=failure.value, file=file)
        case AtlasError(failure=failure, file=file):
            text, what = str(error), KINDS[failure].what
            words = what if text == failure.value else f"{what}: {text}"
            return failed(call.output, exit_code(failure), words, failure=failure.value, file=file)
        case ImportError():
            return None  # a package is missing: whoever called us says how to install it
        case KeyboardInterrupt():
            return INTERRUPTED
        case Exception():
            # Its text may hold anything. Where it happened may be told.
            places = [
                f"{one.name} ({Path(one.filename).name}:{one.lineno})"
                for one in traceback.extract_tb(error.__traceback__)
            ]
            words = f"the program failed: {type(error).__name__} in {' > '.join(places[-5:])}"
            return failed(call.output, ExitCode.OTHER, words)
    return None
