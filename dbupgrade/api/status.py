"""The status of a DBUpgrade: what the operator remembers and reports.

Everything here survives a restart of the operator and is free of credentials.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from dbupgrade.api import names
from dbupgrade.api.conditions import Condition
from dbupgrade.api.plan import Approved, Plan
from dbupgrade.api.record import Record
from dbupgrade.api.spec.base import list_map
from dbupgrade.api.spec.migrations import Engine

HISTORY_LENGTH = 10
LINT_FINDINGS = 5
PREFLIGHT_FINDINGS = 8


class RunKind(StrEnum):
    """What a run does."""

    MIGRATION = "Migration"


class RunResult(StrEnum):
    """How a run ended."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    PLANNED = "Planned"


class Failure(StrEnum):
    """Why a run failed; each is a row of the table in `decide.failures`."""

    IMAGE_PULL = "ImagePull"
    FETCH = "FetchFailed"
    ATLAS_UNUSABLE = "AtlasUnusable"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 - a class, not a secret
    SECRET_UNUSABLE = "SecretUnusable"  # noqa: S105
    NO_POD = "NoPod"
    UNSCHEDULABLE = "Unschedulable"
    POD_SETTINGS = "PodSettings"
    JOB_REFUSED = "JobRefused"
    DATABASE_UNREACHABLE = "DatabaseUnreachable"
    DATABASE_LOCKED = "DatabaseLocked"
    LOCK_TIMEOUT = "LockTimeout"
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
    BASELINE_NOT_FOUND = "BaselineNotFound"
    HISTORY_DIVERGED = "HistoryDiverged"
    OUT_OF_ORDER = "OutOfOrder"
    APPLIED_FILE_CHANGED = "AppliedFileChanged"
    DUPLICATE_VERSION = "DuplicateVersion"
    FOREIGN_FORMAT = "ForeignFormat"
    UNREADABLE_FILE = "UnreadableFile"
    MISREAD_BY_ENGINE = "MisreadByEngine"
    FILE_CHANGED = "FileChanged"
    PARTLY_APPLIED = "PartlyApplied"
    APPROVAL_PENDING = "ApprovalPending"
    PLAN_CHANGED = "PlanChanged"
    PREFLIGHT = "PreflightFailed"
    LINT = "LintFailed"
    LINT_UNUSABLE = "LintUnusable"
    UNUSABLE_FILE = "UnusableFile"
    SQL = "SQLError"
    STATEMENT_TIMEOUT = "StatementTimeout"
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding(Record):
    """Something that the lint found in a new migration."""

    file: Annotated[str, Field(max_length=255, description="Name of the file.")]
    line: Annotated[int, Field(ge=1, description="Line in the file at which the statement begins.")]
    level: Annotated[str, Field(max_length=16, description="How serious the finding is: error or warning.")]
    rule: Annotated[str, Field(max_length=64, description="Name of the rule that found it.")]
    what: Annotated[str, Field(max_length=256, description="What the migration does there.")]
    safer: Annotated[str, Field(max_length=512, description="What to write instead.")]


@dataclass(frozen=True, kw_only=True, slots=True)
class Lint(Record):
    """What the lint of the new migrations found."""

    files: Annotated[int, Field(description="Number of files that are new to the database.")]
    errors: Annotated[int, Field(description="Number of findings that are errors.")]
    warnings: Annotated[int, Field(description="Number of findings that are warnings.")]
    suppressed: Annotated[
        int, Field(description="Number of findings that comments in the files suppress. Defaults to 0.")
    ] = 0
    findings: Annotated[
        tuple[Finding, ...],
        Field(
            max_length=LINT_FINDINGS,
            description=f"The first {LINT_FINDINGS} findings, errors first. The log of the pod contains all of them.",
        ),
    ] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class PreflightFinding(Record):
    """Something that was found before anything was applied."""

    check: Annotated[str, Field(max_length=32, description="What was looked at, for example privileges.")]
    severity: Annotated[
        str,
        Field(
            max_length=16,
            description="How serious the finding is: error (nothing was applied), warning or info.",
        ),
    ]
    message: Annotated[str, Field(max_length=512, description="What was found.")]
    fix: Annotated[
        str, Field(max_length=256, description='Command or change that mends it. Defaults to "".')
    ] = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress(Record):
    """The file that an active run applies."""

    file: Annotated[str, Field(description="Name of the file.")]
    number: Annotated[int, Field(description="Number of the file among those that the run applies, from 1.")]
    of: Annotated[int, Field(description="Number of files that the run applies.")]
    statement: Annotated[
        int | None, Field(description="Number of the statement in the file, from 1, if it takes long.")
    ] = None
    message: Annotated[
        str,
        Field(
            max_length=1024,
            description="What the run does, since when, and who holds the lock that it waits for.",
        ),
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Run(Record):
    """One run: intent, progress and result. A run without finishedAt is active."""

    job_name: Annotated[str, Field(description="Name of the Job.")]
    sequence: Annotated[
        int, Field(description="Number of the run. The first run of the DBUpgrade is number 1.")
    ]
    attempt: Annotated[
        int,
        Field(description="Number of the attempt among consecutive runs with the same runId. Defaults to 1."),
    ] = 1
    run_id: Annotated[
        str,
        Field(
            description="Identifies what the run applies: image, folder, baseline, engine, command and database. When it changes, a new run starts."
        ),
    ]
    runner_hash: Annotated[
        str,
        Field(
            description="Identifies how the run is executed (delivery, policy, runner and so on). When it changes, a failed run is retried. "
            'Defaults to "".'
        ),
    ] = ""
    job_uid: Annotated[
        str | None,
        Field(description="UID of the Job. Not set until the operator has seen the Job."),
    ] = None
    migrate_seen: Annotated[
        bool,
        Field(description="Whether the container migrate is known to have started. Defaults to false."),
    ] = False
    database: Annotated[
        str,
        Field(
            description="Identifies the database, as does the label of the Job. "
            'Runs with the same value wait for each other. Defaults to "".'
        ),
    ] = ""
    image: Annotated[str, Field(description="Image that contains the migrations.")]
    engine: Annotated[
        str,
        Field(description="Engine that applied the migrations: Atlas, Psql or Command. Defaults to Atlas."),
    ] = field(default_factory=lambda: str(Engine.ATLAS))
    digest: Annotated[
        str | None, Field(description="Digest of the image from which the files were taken.")
    ] = None
    generation: Annotated[int, Field(description="Generation of the spec with which the run started.")]
    secret_version: Annotated[
        str | None, Field(description="UID and resourceVersion of the Secret with which the run started.")
    ] = None
    token_secret: Annotated[
        str | None,
        Field(
            description="Name of the Secret with the AWS token of the run. It is deleted when the run ends."
        ),
    ] = None
    creation_problem: Annotated[
        str | None,
        Field(max_length=1024, description="Why the Job could not be created yet. The creation is retried."),
    ] = None
    started_at: Annotated[datetime, Field(description="Time at which the run started.")]
    finished_at: Annotated[
        datetime | None, Field(description="Time at which the run ended. Not set while it is active.")
    ] = None
    progress: Annotated[
        Progress | None,
        Field(
            description="What a run that takes longer than 15 s is doing, looked at every 15 s. Not set when the run has ended."
        ),
    ] = None
    slow: Annotated[
        bool,
        Field(
            description="Whether the run has used three quarters of spec.runner.activeDeadlineSeconds, after which it is ended. Defaults to false."
        ),
    ] = False
    approvals: Annotated[
        tuple[Approved, ...],
        Field(
            max_length=2,
            description="Approvals that the run was started with. Not set when the run has ended.",
        ),
    ] = ()
    plan: Annotated[
        str | None, Field(max_length=71, description="Digest of the plan that the run made or carried out.")
    ] = None
    approved_by: Annotated[
        str | None,
        Field(
            max_length=256,
            description="User who approved the plan that was carried out, or spec.policy.approvedPlan: then it was whoever changed the spec.",
        ),
    ] = None
    approved_at: Annotated[
        datetime | None, Field(description="Time at which the operator saw the approval.")
    ] = None
    result: Annotated[
        RunResult | None,
        Field(
            description="How the run ended: Succeeded, Failed, or Planned (nothing was applied, because its plan needs approval)."
        ),
    ] = None
    failure: Annotated[
        Failure | None,
        Field(
            description="Class of the failure, for example SQLError. Set if the run failed or is being abandoned."
        ),
    ] = None
    from_version: Annotated[str | None, Field(description="Version of the database before the run.")] = None
    to_version: Annotated[str | None, Field(description="Version of the database after the run.")] = None
    image_version: Annotated[
        str | None, Field(description="Version of the last migration file in the image.")
    ] = None
    applied_count: Annotated[int | None, Field(description="Number of files that the run applied.")] = None
    lint: Annotated[Lint | None, Field(description="Findings of the lint, if spec.policy.lint is set.")] = (
        None
    )
    failed_file: Annotated[str | None, Field(description="Name of the file that failed.")] = None
    failed_statement: Annotated[
        str | None,
        Field(
            description="Beginning of the statement that failed. String literals are masked, because they may be secret."
        ),
    ] = None
    sqlstate: Annotated[
        str | None, Field(description="Five-character SQLSTATE of the statement that failed.")
    ] = None
    error: Annotated[
        str | None,
        Field(
            description="Error message, in as much detail as spec.policy.errorDetail allows. Credentials are masked."
        ),
    ] = None

    @property
    def kind(self) -> RunKind:
        """What the run does; not stored while there is only one kind."""
        return RunKind.MIGRATION

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


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckStatus(Record):
    """What was last seen of one check."""

    phase: Annotated[
        CheckPhase, Field(description="When the check is evaluated: Pre (before a run) or Post (after it).")
    ]
    kind: Annotated[CheckKind, Field(description="What is checked: PodVersion or Metric.")]
    name: Annotated[
        str,
        Field(description="Name of a metric check, or selector and container of a pod version check."),
    ]
    verdict: Annotated[
        Verdict,
        Field(
            description="Outcome of the check: Holds, Fails, or Waiting (it holds, but not yet for long enough)."
        ),
    ]
    last_value: Annotated[
        str | None,
        Field(
            description="Last value of the metric, or lowest version of the pods. "
            "While the verdict stays the same, it is updated at most once a minute."
        ),
    ] = None
    message: Annotated[
        str, Field(max_length=1024, description='Observed and required state. Defaults to "".')
    ] = ""
    since: Annotated[
        datetime,
        Field(
            description="Time of the last change of the verdict. With verdict Waiting, the time from which bakeSeconds are counted."
        ),
    ]
    observed_at: Annotated[
        datetime | None, Field(description="Time at which the check was last evaluated.")
    ] = None
    definition: Annotated[
        str,
        Field(
            description='Identifies the definition of the check in the spec. When it changes, the check starts again. Defaults to "".'
        ),
    ] = ""
    highest: Annotated[
        dict[str, str],
        Field(
            description="Highest version of each container with which the check has passed, for disallowDowngrade."
        ),
    ] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Status(Record):
    """What the operator has seen and done."""

    # The default keeps kstatus from taking an unseen resource for done.
    observed_generation: Annotated[
        int,
        Field(
            description="Generation of the spec that the status describes. Defaults to -1: no generation has been observed yet."
        ),
    ] = -1
    conditions: Annotated[
        tuple[Condition, ...],
        Field(
            max_length=8,
            description="Ready (migrated, and all checks hold), Progressing (a run or its checks are in progress) and Stalled (nothing "
            "happens until somebody intervenes).",
            json_schema_extra=list_map("type"),
        ),
    ] = ()
    checks: Annotated[
        tuple[CheckStatus, ...],
        Field(
            description="Last result of each check in spec.checks.",
            json_schema_extra=list_map("phase", "kind", "name"),
        ),
    ] = ()
    job_completed_at: Annotated[
        datetime | None,
        Field(
            description="Time at which the Job of the last run succeeded, from which bakeSeconds are counted. Not set while a run is active."
        ),
    ] = None
    current_version: Annotated[
        str | None, Field(description="Version of the database after the last run.")
    ] = None
    pending_count: Annotated[
        int | None, Field(description="Number of migration files that have not been applied yet.")
    ] = None
    last_handled_retry: Annotated[
        str | None,
        Field(description=f"Last value of the annotation {names.ANNOTATION_RETRY} that caused a retry."),
    ] = None
    plan: Annotated[
        Plan | None,
        Field(
            description="What the next run does, while spec.policy.approval demands that somebody approves it."
        ),
    ] = None
    preflight: Annotated[
        tuple[PreflightFinding, ...],
        Field(
            max_length=PREFLIGHT_FINDINGS,
            description="What the last run found before it applied anything, errors first. The log of its pod contains all of it.",
        ),
    ] = ()
    run: Annotated[Run | None, Field(description="The active run, or else the last one.")] = None
    history: Annotated[
        tuple[Run, ...],
        Field(max_length=HISTORY_LENGTH, description=f"The last {HISTORY_LENGTH} runs, newest first."),
    ] = ()
