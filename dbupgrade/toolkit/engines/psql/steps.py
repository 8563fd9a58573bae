"""The commands that psql receives for one file, step by step. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from dbupgrade.toolkit.engines.psql.files import Migration
from dbupgrade.toolkit.history import lock

_HERE = files(__package__)


@dataclass(frozen=True)
class Step:
    """Commands, and the mark with which the line begins that they print at their end."""

    mark: str
    commands: str


@dataclass(frozen=True)
class Target:
    """Where a file is entered."""

    schema: str
    holder: int
    """The process in the server that holds the lock of the run."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """Settings of the session, which limit what statements wait and take."""


def begin(migration: Migration, target: Target, mark: str) -> Step:
    """Enter the file into the history; the answer is the session's process in the server, or what is wrong."""
    return Step(
        mark,
        _values(migration, target, dbupgrade_mark=mark)
        + _scripts("settle", "lock")
        + _limits(target)
        + _scripts("enter"),
    )


def run(script: Path, migration: Migration, mark: str) -> Step:
    """Run the file by `script` (see `outer`); the answer is the last SQLSTATE, and the word of `script` if it came to its end.

    psql stops in `script` at an error of the file, and goes on behind it.
    """
    before = "" if not migration.transaction else "\\set AUTOCOMMIT off\n"
    lines = (
        "\\set dbupgrade_success",
        "\\set ON_ERROR_STOP off",
        f"\\set ON_ERROR_STOP on \\\\ \\i {_quoted(str(script))}",
        "\\warn",
        f"\\warn {_quoted(mark)} :LAST_ERROR_SQLSTATE :dbupgrade_success",
    )
    return Step(mark, before + "\n".join(lines) + "\n")


def outer(path: Path, success: str) -> str:
    """The script that runs the file at `path`."""
    return f"\\i {_quoted(str(path))}\n\\set dbupgrade_success {_quoted(success)}\n"


def end(migration: Migration, target: Target, mark: str, session: str) -> Step:
    """Complete the file in the history; the answer is Done, what is wrong, or Failed and the SQLSTATE of the commit."""
    values = _values(migration, target, dbupgrade_mark=mark, dbupgrade_session=session)
    return Step(mark, values + _scripts("settle", "restore") + _limits(target) + _scripts("lock", "complete"))


def _values(migration: Migration, target: Target, **more: str) -> str:
    """Variables, which are set again in each step, because a file may have changed them."""
    values = {
        "dbupgrade_schema": target.schema,
        "dbupgrade_holder": str(target.holder),
        "dbupgrade_lock": str(lock.KEY),
        "dbupgrade_name": migration.name,
        "dbupgrade_version": migration.version,
        "dbupgrade_checksum": migration.checksum,
        "dbupgrade_transaction": "true" if migration.transaction else "false",
        **more,
    }
    return "".join(f"\\set {name} {_quoted(value)}\n" for name, value in values.items())


def _limits(target: Target) -> str:
    return "".join(f"SET {name} = {value};\n" for name, value in target.limits.items())


def _quoted(value: str) -> str:
    """`value` as an argument of psql's commands."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"


def _scripts(*names: str) -> str:
    return "".join(_HERE.joinpath(f"{name}.sql").read_text(encoding="utf-8") for name in names)
