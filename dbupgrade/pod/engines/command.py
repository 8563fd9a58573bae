"""The engine Command: what is reported about the end of an application's own migration command.

Its output can be anything. If it failed, the end of its output is reported, masked and cut, if spec.policy.errorDetail allows it. Its meaning is guessed only if
no connection was made, because nothing else may be retried automatically.
"""

import re
from typing import ClassVar

from dbupgrade.api import names
from dbupgrade.api.failure import Failure
from dbupgrade.api.run import Run
from dbupgrade.api.spec.migrations import KeyReference, Variable
from dbupgrade.api.spec.policy import Policy
from dbupgrade.objects import Object
from dbupgrade.pod import starts
from dbupgrade.pod.connection import environment, url
from dbupgrade.pod.container import (
    HOME,
    TEMPORARY,
    UNREACHABLE_EXIT_CODE,
    defaults,
    escape,
    temporary_volume,
    values,
)
from dbupgrade.pod.context import Context
from dbupgrade.pod.engine import MigrationEngine
from dbupgrade.pod.redact import MAX_BYTES, mask_error, remove_secrets
from dbupgrade.pod.report import Report

_TEMPORARY_SIZE = "512Mi"  # caches of package managers, for example
_LOOKED_AT = 4000  # characters at the end of the log
_LINES = 20
_UNREACHABLE = re.compile(
    r"ECONNREFUSED|ENOTFOUND|EAI_AGAIN|connect (ETIMEDOUT|EHOSTUNREACH)|connection refused|no such host"
    r"|could not translate host name|name or service not known|temporary failure in name resolution"
    r"|database system is starting up",
    re.IGNORECASE,
)
_REFUSED = re.compile(
    r"authentication failed for user|no pg_hba\.conf entry|Access denied for user", re.IGNORECASE
)


class Command(MigrationEngine):
    """The command of an application's image."""

    schemes: ClassVar[tuple[str, ...]] = url.SCHEMES
    reads_folder: ClassVar[bool] = False

    def container(self, context: Context) -> Object:
        """The application's image, with what leads to the database in variables of ours."""
        migrations = context.spec.migrations
        words = {"command": migrations.command, "args": migrations.args}
        # The user's HOME wins over ours, since the last of one name does.
        variables = [
            HOME,
            *environment.command(context.access),
            *values({"PGOPTIONS": _options(context.spec.policy)}),
            *map(_variable, migrations.env),
        ]
        return {
            "name": names.CONTAINER_MIGRATE,
            "image": migrations.image,
            **{name: [escape(word) for word in given] for name, given in words.items() if given},
            "env": variables,
            "volumeMounts": [TEMPORARY, *context.access.mounts],
            **defaults(context.spec),
        }

    def volumes(self, context: Context) -> list[Object]:
        """Room for temporary files only."""
        del context
        return [temporary_volume(_TEMPORARY_SIZE)]

    def parse(self, log: str, *, exit_code: int, secrets: tuple[str, ...] = ()) -> Report:
        """The end of the log, and what it means where that is sure."""
        if exit_code == 0:
            return Report()
        end = "\n".join(log[-_LOOKED_AT:].splitlines()[-_LINES:])
        failure = Failure.COMMAND
        if exit_code == UNREACHABLE_EXIT_CODE or _UNREACHABLE.search(end):
            failure = Failure.DATABASE_UNREACHABLE
        elif _REFUSED.search(end):
            failure = Failure.AUTHENTICATION
        said = mask_error(_end(remove_secrets(log, secrets)), "")
        if why := starts.last_words(log):
            return Report(failure=failure, error=why)
        return Report(
            failure=failure, error=f"exit code {exit_code}", said=_last(said, MAX_BYTES - 64) or None
        )

    def done(self, run: Run) -> str:
        """Only that it ended: what it did is not known."""
        return f"the command of {run.image} ended with success"


def _options(policy: Policy) -> str | None:
    """The limits that the spec asks for, for clients on libpq; options in the URL take their place."""
    asked = {"lock_timeout": policy.lock_timeout, "statement_timeout": policy.statement_timeout}
    known = [f"-c {name}={re.sub('m$', 'min', text)}" for name, text in asked.items() if text]
    return " ".join(known) or None


def _end(log: str) -> str:
    """Whole lines at the end of `log`."""
    lines = log[-_LOOKED_AT:].splitlines()
    whole = lines if len(log) <= _LOOKED_AT else lines[1:]
    return "\n".join(whole[-_LINES:])


def _last(text: str, size: int) -> str:
    """The end of `text` in at most `size` bytes of UTF-8, with a mark where it was cut."""
    data = text.encode()
    return text if len(data) <= size else "…" + data[-size:].decode(errors="ignore")


def _variable(variable: Variable) -> Object:
    source = variable.value_from
    if source is None:
        return {"name": variable.name, "value": escape(variable.value or "")}
    known = {"secretKeyRef": source.secret_key_ref, "configMapKeyRef": source.config_map_key_ref}
    return {"name": variable.name, "valueFrom": {kind: _key(ref) for kind, ref in known.items() if ref}}


def _key(reference: KeyReference) -> dict[str, str]:
    return {"name": reference.name, "key": reference.key}
