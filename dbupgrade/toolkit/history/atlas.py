"""Runs Atlas. The URLs reach it through its environment: arguments can be read by every process of the machine."""

import functools
import json
import os
import re
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from subprocess import Popen
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, TypeAdapter, ValidationError

from dbupgrade.api.failure import Failure
from dbupgrade.api.spec.migrations import ExecOrder
from dbupgrade.pod.engines.atlas import report
from dbupgrade.pod.engines.atlas.report import Text
from dbupgrade.pod.redact import cut, mask_error, mask_statement, url_secrets
from dbupgrade.pod.report import Report, classify
from dbupgrade.toolkit import child
from dbupgrade.toolkit.bounds import Bounds, milliseconds
from dbupgrade.toolkit.child import EVENTS, Ended, run
from dbupgrade.toolkit.environment import BadEnvironmentError

_CONFIG = 'env "run" {\n  url = getenv("DATABASE_URL")\n  dev = getenv("DEV_URL")\n}\n'
_STATUS = (
    '{"current":{{ json (printf "%.300s" .Current) }},"error":{{ json (printf "%.4000s" .Error) }},'
    '"available":[{{ range $i, $f := .Available }}{{ if $i }},{{ end }}'
    '{"name":{{ json $f.Name }},"version":{{ json $f.Version }}}{{ end }}],'
    '"pending":[{{ range $i, $f := .Pending }}{{ if $i }},{{ end }}'
    '{"name":{{ json $f.Name }},"version":{{ json $f.Version }}}{{ end }}],'
    '"applied":[{{ range $i, $r := .Applied }}{{ if $i }},{{ end }}'
    '{"version":{{ json (printf "%.300s" $r.Version) }},'
    '"baseline":{{ eq (printf "%d" $r.Type) "1" }},"done":{{ $r.Applied }},"total":{{ $r.Total }},'
    '"hash":{{ json (printf "%.64s" $r.Hash) }}}{{ end }}]}'
)
_ORDERS = {ExecOrder.LINEAR_SKIP: "linear-skip", ExecOrder.NON_LINEAR: "non-linear"}
_BEFORE_1 = re.compile(r"\bv0\.|- development")
_OURS = "dbupgrade-"
_NONE_APPLIED = "No migration applied yet"
_NOT_EMPTY_BUT = f"{_NONE_APPLIED}, but the database is not empty: "


class AtlasError(Exception):
    """Atlas refused; the message is free of credentials."""

    def __init__(self, failure: Failure, text: str = "", file: str | None = None) -> None:
        super().__init__(text or failure.value)
        self.failure = failure
        self.file = file
        """The file at fault, if it is one."""


def _plain(text: object) -> str:
    """A text from the history, which may have been edited manually, in printable form."""
    return "".join(character if character.isprintable() else "�" for character in str(text or ""))


Words = Annotated[str, BeforeValidator(_plain)]


class File(BaseModel):
    """A migration file."""

    name: str
    version: str


class Revision(BaseModel):
    """A row of the history."""

    version: Words
    total: int
    baseline: bool = False
    """Whether it says only that everything up to it is there."""
    done: int = 0
    hash: Words = ""

    @property
    def complete(self) -> bool:
        """Whether all of the file was applied."""
        return self.done == self.total


@dataclass(frozen=True)
class State:
    """Folder and database compared."""

    current: Words = ""
    error: Text = ""
    available: list[File] = field(default_factory=list)
    pending: list[File] = field(default_factory=list)
    applied: list[Revision] = field(default_factory=list)
    not_empty: Words = ""
    """What is in a database that has no history, as our engine says it; "" for one that is empty or has a history."""

    @classmethod
    def without_history(cls, paths: list[Path]) -> "State":
        """The state of a database in which nothing is recorded."""
        files = [File(name=path.name, version=path.stem.partition("_")[0]) for path in paths]
        return cls(available=files, pending=files)

    @property
    def missing(self) -> list[str]:
        """Versions that were applied and have no file any more, as when the folder is older than the database."""
        there = {file.version for file in self.available}
        return [revision.version for revision in self.applied if revision.version not in there]

    @property
    def late(self) -> list[File]:
        """Files below the database's version that were never applied, and that no baseline or checkpoint covers."""
        applied = {revision.version for revision in self.applied}
        first = min(applied, default="")
        covered = first if any(row.baseline for row in self.applied if row.version == first) else ""
        return [
            file
            for file in self.available
            if covered < file.version < self.current and file.version not in applied
        ]

    @property
    def skipped(self) -> list[str]:
        """The names of those files."""
        return [file.name for file in self.late]


_STATE = TypeAdapter(State)


@dataclass(frozen=True)
class Atlas:
    """One folder and one database."""

    binary: str
    work: Path
    """A folder of our own, for the configuration and for whatever Atlas writes to its home."""
    url: str = ""
    dev_url: str = ""
    revisions_schema: str = ""
    exec_order: ExecOrder = ExecOrder.LINEAR
    places: Mapping[str, Sequence[tuple[int, int]]] = field(default_factory=dict)
    """Where the statements of some files stand, in bytes: for our engine, which would cut these files elsewhere."""
    bounds: Bounds = field(default_factory=Bounds)
    """The limits of the statements of files; only our engine sets them, others have them in the URL."""
    hear: Callable[[str], None] | None = None
    """What takes the events of a run, which only our engine writes."""

    def version(self) -> str:
        """What the binary says of itself."""
        return _version(self.binary, self.work)

    def is_ours(self) -> bool:
        """Whether it is our engine."""
        return self.version().startswith(_OURS)

    def is_before_1(self) -> bool:
        """Whether it is Atlas's command line of before 1.0, which ends statements at other places."""
        return _BEFORE_1.search(self.version()) is not None

    def knows_order(self) -> bool:
        """Whether it supports an option for files that are out of order."""
        done = self._run("migrate", "apply", "--help")
        return "-exec-order" in done.stdout + done.stderr

    def validate_offline(self, folder: Path) -> None:
        """Compare atlas.sum with the files. Raises AtlasError."""
        self._checked("migrate", "validate", "--dir", f"file://{folder}")

    def validate(self, folder: Path) -> None:
        """Compare atlas.sum with the files; with a dev database, run them there. Raises AtlasError."""
        arguments = ["migrate", "validate", "--dir", f"file://{folder}"]
        done = self._run(*arguments, *((*self._environment(), *self._statements()) if self.dev_url else ()))
        if done.returncode != 0:
            replayed = done.stderr.partition("replaying the migration directory:")[2]
            if not replayed:
                raise _refused(done.stderr)
            if _NOT_EMPTY in replayed:
                raise BadEnvironmentError(
                    "the dev database (--dev-url or DEV_DATABASE_URL) must be empty, and it is not"
                )
            raise AtlasError(Failure.SQL, _masked(replayed))

    def status(self, folder: Path) -> State:
        """Compare folder and history; reads only. Raises AtlasError."""
        done = self._checked(
            "migrate", "status", "--dir", f"file://{folder}", "--format", _STATUS, *self._target()
        )
        try:
            state = _STATE.validate_json(done.stdout)
        except ValidationError:
            raise AtlasError(Failure.UNKNOWN, "the status that the engine printed cannot be read") from None
        if not state.current.startswith(_NONE_APPLIED):
            return state
        return replace(state, current="", not_empty=state.current.partition(_NOT_EMPTY_BUT)[2])

    def apply_next(
        self, folder: Path, count: int = 1, *, lock_seconds: float, baseline: str = "", repeatable: str = ""
    ) -> Report:
        """Apply the next `count` files; what happened is in the report.

        Every statement of the file with the version `repeatable` can be executed again if its outcome is unknown.
        """
        arguments = ["migrate", "apply", str(count), "--dir", f"file://{folder}", "--format", report.TEMPLATE]
        arguments += [
            "--lock-timeout",
            f"{round(lock_seconds * 1000)}ms",
            *self._target(),
            *self._statements(),
        ]
        if baseline:
            arguments += ["--baseline", baseline]
        if self.exec_order is not ExecOrder.LINEAR:
            arguments += ["--exec-order", _ORDERS[self.exec_order]]
        if self.is_ours():
            arguments += _limits(self.bounds)
            if repeatable:  # others execute whatever it is again
                arguments += ["--repeat-begun", repeatable]
        if self.hear:
            arguments += ["--events", EVENTS]
        done = self._run(*arguments, hear=self.hear)
        if (
            done.returncode == -signal.SIGKILL
        ):  # not by us: the kernel kills the largest process of a container
            return Report(
                failure=Failure.OUT_OF_MEMORY,
                error="the engine was killed, probably because it ran out of memory",
            )
        return report.parse(
            f"{done.stdout}\n{done.stderr}",
            succeeded=done.returncode == 0,
            secrets=url_secrets(self.url),
            ends_with_state=done.returncode != 0 and not self.is_before_1(),
        )

    def hold(self, lock_seconds: float, waiting: Callable[[], None]) -> Popen[str]:
        """Have our engine hold the lock of a run in MySQL, until its input ends. Raises AtlasError."""
        limit = f"{round(lock_seconds * 1000)}ms"
        words = [self.binary, "migrate", "hold", "--lock-timeout", limit, *self._environment()]
        try:
            holder = child.start(words, self._variables())
        except OSError as error:
            raise self._unusable(error) from None
        for line in holder.stdout or ():
            if line == "held\n":
                return holder
            waiting()
        raise _refused(child.end(holder), self.url)

    def ask(self, queries: Sequence[str]) -> list[list[list[str | None]] | None]:
        """Run queries on MySQL through the built-in engine; the rows for each query, and None for one that the server rejects. Raises AtlasError."""
        done = self._checked("migrate", "ask", *queries, *self._environment())
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        return [None if "error" in answer else answer["rows"] for answer in answers]

    def set_version(self, folder: Path, version: str) -> None:
        """Record everything up to `version` as applied. Raises AtlasError."""
        done = self._run("migrate", "set", version, "--dir", f"file://{folder}", *self._target())
        if done.returncode != 0:
            missing = "migration with version" in done.stderr and "not found" in done.stderr
            raise AtlasError(Failure.BASELINE_NOT_FOUND) if missing else _refused(done.stderr, self.url)

    def _target(self) -> list[str]:
        schema = ["--revisions-schema", self.revisions_schema] if self.revisions_schema else []
        return [*self._environment(), *schema]

    def _statements(self) -> list[str]:
        if not self.places:
            return []
        path = self.work / "statements.json"
        path.write_text(json.dumps(self.places))
        return ["--statements", f"file://{path}"]

    def _environment(self) -> list[str]:
        config = self.work / "atlas.hcl"
        if not config.exists():
            config.write_text(_CONFIG)
        return ["--config", f"file://{config}", "--env", "run"]

    def _checked(self, *arguments: str) -> Ended:
        done = self._run(*arguments)
        if done.returncode != 0:
            raise _refused(done.stderr, self.url)
        return done

    def _run(self, *arguments: str, hear: Callable[[str], None] | None = None) -> Ended:
        try:
            return run([self.binary, *arguments], self._variables(), hear)
        except OSError as error:
            raise self._unusable(error) from None

    def _variables(self) -> dict[str, str]:
        own = {"DATABASE_URL": self.url, "DEV_URL": self.dev_url, "HOME": str(self.work)}
        return os.environ | own | {"ATLAS_NO_UPDATE_NOTIFIER": "1"}

    def _unusable(self, error: OSError) -> AtlasError:
        return AtlasError(Failure.ATLAS_UNUSABLE, f"{self.binary} cannot be run ({error.strerror})")


_NOT_EMPTY = "database is not clean"
_NEEDS_WORDS = frozenset({Failure.UNKNOWN, Failure.CONNECTION_SETTINGS})


def _refused(output: str, url: str = "") -> AtlasError:
    """The error for what Atlas said instead of doing what it should, in its own masked words where the class alone does not say enough."""
    failure = classify(output)
    known = report.words(output, url_secrets(url)) if failure in _NEEDS_WORDS else None
    return AtlasError(failure, known or "")


def _masked(text: str) -> str:
    """What Atlas says of a statement that failed in a dev database, without literals; unknown text is not repeated."""
    match = re.search(
        r'executing statement ("(?:[^"\\]|\\.)*") from version "([^"]*)": (.*)', text, re.DOTALL
    )
    if match is None:
        return "the SQL could not be run on the dev database"
    try:
        statement = str(json.loads(match[1]))
    except ValueError:
        statement = match[1]
    error, masked = mask_error(match[3].strip(), statement), mask_statement(statement)
    return f"version {match[2]}: {cut(error)}\n  {cut(masked)}\n"


@functools.cache
def _version(binary: str, work: Path) -> str:
    said = Atlas(binary, work)._run("version").stdout  # noqa: SLF001 - of this module
    return said.partition("\n")[0].removeprefix("atlas version").strip()


def _limits(bounds: Bounds) -> list[str]:
    """The flags of our engine for them."""
    flags = {"--session-lock-timeout": bounds.lock, "--session-statement-timeout": bounds.statement}
    given = [f"{flag}={milliseconds(seconds)}ms" for flag, seconds in flags.items() if seconds]
    return [*given, "--no-session-lock-timeout"] if bounds.lock == 0 else given


_USUAL_PATHS = ("atlas", "usr/local/bin/atlas", "usr/bin/atlas", "bin/atlas")


def find(binary: str) -> str:
    """The path of Atlas; where `binary` is the root of an image, on one of the usual paths in it. Raises AtlasError."""
    names = [f"{binary}/{path}" for path in _USUAL_PATHS] if Path(binary).is_dir() else [binary]
    if found := next(filter(None, map(shutil.which, names)), None):
        return found
    raise AtlasError(
        Failure.ATLAS_UNUSABLE,
        f"the engine {binary} was not found: put it on PATH, or set ATLAS_BIN to its path (the image dbupgrade-migrate contains it)",
    )
