"""The status of a DBUpgrade: what the operator remembers and reports.

Everything here survives a restart of the operator and is free of credentials.
"""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from dbupgrade.api.conditions import Condition
from dbupgrade.api.spec.base import Model, list_map
from dbupgrade.api.spec.migrations import Engine

HISTORY_LENGTH = 10
LINT_FINDINGS = 5


class RunResult(StrEnum):
    """How a run ended."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class Failure(StrEnum):
    """Why a run failed; each is a row of the table in `decide.failures`."""

    IMAGE_PULL = "ImagePull"
    FETCH = "FetchFailed"
    NO_POD = "NoPod"
    UNSCHEDULABLE = "Unschedulable"
    POD_SETTINGS = "PodSettings"
    JOB_REFUSED = "JobRefused"
    DATABASE_UNREACHABLE = "DatabaseUnreachable"
    DATABASE_LOCKED = "DatabaseLocked"
    TOKEN_REFUSED = "TokenRefused"  # noqa: S105 - a class, not a token
    TLS_FAILED = "TLSFailed"
    MISSING_FOLDER = "MissingFolder"
    EMPTY_FOLDER = "EmptyFolder"
    UNSAFE_LINK = "UnsafeLink"
    FOLDER_TOO_LARGE = "FolderTooLarge"
    CHECKSUM = "ChecksumMismatch"
    AUTHENTICATION = "AuthenticationFailed"
    CONNECTION_SETTINGS = "ConnectionSettings"
    NOT_CLEAN = "NotClean"
    TO_BE_ADOPTED = "ToBeAdopted"
    BASELINE_NOT_FOUND = "BaselineNotFound"
    HISTORY_DIVERGED = "HistoryDiverged"
    FILE_CHANGED = "FileChanged"
    PARTLY_APPLIED = "PartlyApplied"
    LINT = "LintFailed"
    LINT_UNUSABLE = "LintUnusable"
    LINT_NOT_DONE = "LintNotDone"
    UNUSABLE_FILE = "UnusableFile"
    SQL = "SQLError"
    COMMAND = "CommandFailed"
    OUT_OF_MEMORY = "OutOfMemory"
    NOT_STARTED = "NotStarted"
    DEADLINE = "DeadlineExceeded"
    SUPERSEDED = "Superseded"
    CANCELLED = "Cancelled"
    INTERRUPTED = "Interrupted"
    UNKNOWN = "Unknown"

    @classmethod
    def _missing_(cls, value: object) -> "Failure":
        """A class that a newer operator has written; it must not make the status unreadable."""
        del value
        return cls.UNKNOWN


class Finding(Model):
    """Something that the lint found in a new migration."""

    file: str = Field(max_length=255)
    line: int = Field(ge=1)
    level: str = Field(max_length=16, description="error or warning.")
    rule: str = Field(max_length=64)
    what: str = Field(max_length=256, description="What the migration does there.")
    safer: str = Field(max_length=512, description="What to write instead.")


class Lint(Model):
    """What the lint of the new migrations found."""

    files: int = Field(description="Files that are new to the database.")
    errors: int
    warnings: int
    findings: tuple[Finding, ...] = Field(
        (), max_length=LINT_FINDINGS, description="The first ones, errors first; the pod's log has all."
    )


class Run(Model):
    """One run: intent, progress and result. A run without finishedAt is active."""

    job_name: str
    sequence: int = Field(description="Counts the runs of this resource.")
    attempt: int = Field(1, description="Counts the runs in a row with the same run id.")
    run_id: str
    runner_hash: str = Field("", description="Identity of delivery and runner settings.")
    job_uid: str | None = Field(None, description="Set once the Job was seen: without it, it may be created.")
    migrate_seen: bool = Field(
        False, description="Whether the container that migrates was ever seen started."
    )
    database: str = Field("", description="Label value of the database that the run works on.")
    image: str
    engine: str = Field(
        default_factory=lambda: str(Engine.ATLAS),
        description="What applied the migrations; Atlas in a status that does not have it.",
    )
    digest: str | None = None
    generation: int
    secret_version: str | None = Field(
        None, description="Secret that the run started with: uid and resourceVersion."
    )
    adopts: bool = Field(
        False, description="Whether Atlas is given the baseline: the try before found tables and no history."
    )
    token_secret: str | None = Field(
        None, description="Secret with the run's AWS token; removed when the run ends."
    )
    creation_problem: str | None = Field(
        None, max_length=1024, description="Why the Job could not be created so far; the creation is retried."
    )
    started_at: datetime
    finished_at: datetime | None = None
    result: RunResult | None = None
    failure: Failure | None = Field(
        None, description="Why it failed; set before the end when the run is given up."
    )
    from_version: str | None = None
    to_version: str | None = None
    image_version: str | None = Field(None, description="Version of the last file in the image.")
    applied_count: int | None = None
    lint: Lint | None = Field(None, description="What spec.policy.lint found.")
    failed_file: str | None = None
    failed_statement: str | None = None
    error: str | None = None

    @property
    def active(self) -> bool:
        """Whether the run has no recorded end."""
        return self.finished_at is None


class Verdict(StrEnum):
    """Outcome of a check."""

    HOLDS = "Holds"
    FAILS = "Fails"
    WAITING = "Waiting"


class CheckPhase(StrEnum):
    """When a check is looked at."""

    PRE = "Pre"
    POST = "Post"


class CheckKind(StrEnum):
    """What a check looks at."""

    POD_VERSION = "PodVersion"
    METRIC = "Metric"


class CheckStatus(Model):
    """What was last seen of one check."""

    phase: CheckPhase
    kind: CheckKind
    name: str = Field(description="Name of a metric check; selector and container of a pod version check.")
    verdict: Verdict
    last_value: str | None = None
    message: str = Field("", max_length=1024)
    since: datetime = Field(description="When the verdict came; of a check that waits, when its time began.")
    observed_at: datetime | None = Field(None, description="When it was last looked at.")
    definition: str = Field(
        "", description="Identity of the check as it was written: an edit starts it anew."
    )
    highest: dict[str, str] = Field(
        {}, description="Highest version of each container with which a run was let start."
    )


class Status(Model):
    """The whole status."""

    # The CRD's default of -1 keeps kstatus from taking an unseen resource for done.
    observed_generation: int = -1
    conditions: tuple[Condition, ...] = Field((), max_length=8, json_schema_extra=list_map("type"))
    checks: tuple[CheckStatus, ...] = Field((), json_schema_extra=list_map("phase", "kind", "name"))
    job_completed_at: datetime | None = None
    current_version: str | None = None
    pending_count: int | None = None
    last_handled_retry: str | None = None
    run: Run | None = None
    history: tuple[Run, ...] = Field((), max_length=HISTORY_LENGTH)
