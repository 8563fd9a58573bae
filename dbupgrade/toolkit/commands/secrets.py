"""`secrets`: check the Secrets that a pod was given, for an operator that does not read them."""

import os
from pathlib import Path

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.pod.connection import asked
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.environment import BadEnvironmentError
from dbupgrade.toolkit.history.atlas import AtlasError


def run(call: Call) -> int:
    """Check them. Raises AtlasError with what is missing or wrong, and BadEnvironmentError when nothing is to be checked."""
    if asked.VARIABLE not in os.environ:
        raise BadEnvironmentError(f"{asked.VARIABLE} is not set: this command is for the operator's Jobs")
    found = asked.look(os.environ, _text)
    if found.failure:
        raise AtlasError(found.failure, found.error or "")
    call.output.event("secrets", "the Secrets of the connection exist and can be used")
    return ExitCode.OK


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
