"""The settings in the environment. Pure: files are read by a function that the caller passes."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from dbupgrade.api.spec.migrations import Engine, ExecOrder
from dbupgrade.api.spec.policy import Approval, LintMode, size_in_bytes
from dbupgrade.pod.connection import url as database_url
from dbupgrade.toolkit import address

RUN_LOCK_SECONDS = 30.0
DEADLINE_SECONDS = 600.0
WAIT_SECONDS = 60.0
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class BadEnvironmentError(Exception):
    """The environment cannot be used; the message names the variable and holds no credential."""


@dataclass(frozen=True)
class Environment:
    """The settings of a call."""

    directory: Path
    url: str = field(default="", repr=False)
    """Empty when no database is named."""
    url_problem: str = (
        "no database is set: set DATABASE_URL, or DB_HOST, DB_NAME, DB_USER and DB_PASSWORD_FILE"
    )
    revisions_schema: str = ""
    exec_order: ExecOrder = ExecOrder.LINEAR
    baseline: str = ""
    lock_seconds: float | None = None
    """How long a statement may wait for a lock; 0 means no limit, and None that nothing is set."""
    statement_seconds: float = 0.0
    """How long a statement may take; 0 without a limit."""
    deadline: float | datetime = DEADLINE_SECONDS
    """When the run must be over: seconds from its start, or a time."""
    run_lock_seconds: float = RUN_LOCK_SECONDS
    """How long to wait for another migration of the database to finish."""
    wait_seconds: float = WAIT_SECONDS
    engine: Engine = Engine.ATLAS
    lint: LintMode = LintMode.OFF
    """Of what `apply` is about to apply."""
    lint_floor: bool = False
    """Whether settings beside the files may only make the lint stricter."""
    atlas: str = "atlas"
    psql: str = "psql"
    approval: Approval = Approval.NEVER
    """Of the plan of what `apply` is about to apply."""
    approval_above: int = size_in_bytes("1Gi")
    approved_plans: tuple[str, ...] = ()
    """Digests of the plans that may be carried out."""
    plan_for: str = ""
    """NAMESPACE/NAME of the DBUpgrade that a plan is about."""
    image_digest: str = ""
    """That of the image from which the files were taken."""
    metrics_file: str = ""
    pushgateway: str = ""

    def seconds_left(self, now: datetime) -> float:
        """From the start of the call, which is now, to its deadline."""
        if isinstance(self.deadline, datetime):
            return (self.deadline - now).total_seconds()
        return self.deadline

    @property
    def database(self) -> str:
        """The database's URL. Raises BadEnvironmentError when there is none."""
        if not self.url:
            raise BadEnvironmentError(self.url_problem)
        return self.url


def read(variables: Mapping[str, str], read_file: Callable[[str], str]) -> Environment:
    """The settings in `variables`. Raises BadEnvironmentError."""
    return Environment(
        directory=Path(variables.get("MIGRATION_DIR") or "/migrations"),
        url=_url(variables, read_file),
        revisions_schema=variables.get("ATLAS_REVISIONS_SCHEMA", ""),
        exec_order=ExecOrder(_one_of(variables, "MIGRATE_EXEC_ORDER", [order.value for order in ExecOrder])),
        baseline=variables.get("MIGRATE_BASELINE_VERSION", ""),
        lock_seconds=_seconds(variables, "MIGRATE_LOCK_TIMEOUT")
        if variables.get("MIGRATE_LOCK_TIMEOUT")
        else None,
        statement_seconds=_seconds(variables, "MIGRATE_STATEMENT_TIMEOUT"),
        deadline=_deadline(variables),
        run_lock_seconds=_seconds(variables, "MIGRATE_RUN_LOCK_TIMEOUT", RUN_LOCK_SECONDS),
        wait_seconds=_seconds(variables, "MIGRATE_WAIT_TIMEOUT", WAIT_SECONDS),
        engine=Engine(_one_of(variables, "MIGRATE_ENGINE", [Engine.ATLAS.value, Engine.PSQL.value])),
        lint=LintMode(_one_of(variables, "MIGRATE_LINT", [mode.value for mode in LintMode])),
        lint_floor=_one_of(variables, "MIGRATE_LINT_FLOOR", ["false", "true"]) == "true",
        atlas=variables.get("ATLAS_BIN") or "atlas",
        psql=variables.get("PSQL_BIN") or "psql",
        approval=Approval(_one_of(variables, "MIGRATE_APPROVAL", [each.value for each in Approval])),
        approval_above=_bytes(variables, "MIGRATE_APPROVAL_ABOVE", "1Gi"),
        approved_plans=tuple(variables.get("MIGRATE_APPROVED_PLANS", "").split()),
        plan_for=variables.get("MIGRATE_PLAN_FOR", ""),
        image_digest=_image_digest(variables, read_file),
        metrics_file=variables.get("MIGRATE_METRICS_FILE", ""),
        pushgateway=variables.get("MIGRATE_PUSHGATEWAY_URL", ""),
    )


def _bytes(variables: Mapping[str, str], name: str, default: str) -> int:
    text = variables.get(name) or default
    if re.fullmatch(r"\d{1,6}[KMGT]i", text) is None:
        raise BadEnvironmentError(f"{name} is {text!r}; it must be a size such as 500Mi or 10Gi")
    return size_in_bytes(text)


def _image_digest(variables: Mapping[str, str], read_file: Callable[[str], str]) -> str:
    """The digest that the fetch has left in a file, or the one that is given."""
    path = variables.get("MIGRATE_IMAGE_DIGEST_FILE", "")
    try:
        text = read_file(path).strip() if path else variables.get("MIGRATE_IMAGE_DIGEST", "")
    except OSError as error:
        raise BadEnvironmentError(
            f"MIGRATE_IMAGE_DIGEST_FILE {path} cannot be read: {error.strerror}"
        ) from None
    if text and re.fullmatch(r"sha256:[0-9a-f]{64}", text) is None:
        raise BadEnvironmentError("the digest of the image must be sha256: and 64 hexadecimal digits")
    return text


def _one_of(variables: Mapping[str, str], name: str, known: Sequence[str]) -> str:
    """The value of a variable, or the first of those that are known."""
    text = variables.get(name) or known[0]
    if text not in known:
        raise BadEnvironmentError(f"{name} is {text!r}; it must be one of {', '.join(known)}")
    return text


def _url(variables: Mapping[str, str], read_file: Callable[[str], str]) -> str:
    if url := variables.get("DATABASE_URL", ""):
        url = address.normalise(url)
        if problem := database_url.problem(url):
            raise BadEnvironmentError(f"DATABASE_URL cannot be used: {problem}")
        return url
    default_mode = "prefer" if variables.get("MIGRATE_ENGINE") == "Psql" else "require"
    parts = {name: variables.get(name, "") for name in ("DB_HOST", "DB_NAME", "DB_USER")}
    if not any(parts.values()):
        return ""
    if missing := [name for name, value in parts.items() if not value]:
        raise BadEnvironmentError(f"without DATABASE_URL, {' and '.join(missing)} must be set as well")
    try:
        url = address.build(
            host=parts["DB_HOST"],
            port=variables.get("DB_PORT") or "5432",
            name=parts["DB_NAME"],
            user=parts["DB_USER"],
            password=_password(variables, read_file),
            ssl_mode=variables.get("DB_SSLMODE") or default_mode,
        )
    except address.BadAddressError as error:
        raise BadEnvironmentError(str(error)) from None
    return address.with_schema(url, variables.get("DB_SCHEMA", ""))


def _password(variables: Mapping[str, str], read_file: Callable[[str], str]) -> str:
    path = variables.get("DB_PASSWORD_FILE", "")
    if not path:
        return variables.get("DB_PASSWORD", "")
    try:
        return read_file(path).rstrip("\r\n")
    except OSError as error:
        raise BadEnvironmentError(f"DB_PASSWORD_FILE {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadEnvironmentError(f"DB_PASSWORD_FILE {path} is not UTF-8") from None


def _deadline(variables: Mapping[str, str]) -> float | datetime:
    text = variables.get("MIGRATE_DEADLINE", "")
    if "T" not in text:
        return _seconds(variables, "MIGRATE_DEADLINE", DEADLINE_SECONDS)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise BadEnvironmentError(f"MIGRATE_DEADLINE is {text!r}; it must be a duration or a time") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _seconds(variables: Mapping[str, str], name: str, default: float = 0.0) -> float:
    text = variables.get(name, "")
    if not text:
        return default
    match = re.fullmatch(r"(\d{1,9})(ms|s|m|h)?", text)
    if match is None:
        raise BadEnvironmentError(
            f"{name} is {text!r}; it must be a duration such as 30s, 500ms or 10m, or a number of seconds"
        )
    return float(match[1]) * _UNITS[match[2] or "s"]
