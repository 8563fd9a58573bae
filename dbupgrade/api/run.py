"""One run, as the status of a DBUpgrade reports it."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from dbupgrade.api.failure import Failure
from dbupgrade.api.findings import Lint
from dbupgrade.api.plan import Approved
from dbupgrade.api.record import Record
from dbupgrade.api.spec.migrations import Engine


class RunKind(StrEnum):
    """What a run does."""

    MIGRATION = "Migration"


class RunResult(StrEnum):
    """How a run ended."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    PLANNED = "Planned"


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
            description="What the run is doing and for how long, and who holds the lock that it waits for.",
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
            description="What a run that takes longer than 15 s is doing, updated at most every 15 s. Not set when the run has ended."
        ),
    ] = None
    slow: Annotated[
        bool,
        Field(
            description="Whether the run has used three quarters of spec.runner.activeDeadlineSeconds. A run that exceeds this limit is stopped. Defaults to false."
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
    lint: Annotated[Lint | None, Field(description="Lint findings, if spec.policy.lint is set.")] = None
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
