"""The status of a DBUpgrade: what the operator remembers and reports.

Everything here survives a restart of the operator and is free of credentials.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import Field

from dbupgrade.api import names
from dbupgrade.api.check_status import CheckStatus
from dbupgrade.api.conditions import Condition
from dbupgrade.api.findings import PREFLIGHT_FINDINGS, PreflightFinding
from dbupgrade.api.plan import Plan
from dbupgrade.api.record import Record
from dbupgrade.api.run import Run
from dbupgrade.api.spec.base import list_map

HISTORY_LENGTH = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Status(Record):
    """Observed state of a DBUpgrade."""

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
            description="What the next run will do. Set while spec.policy.approval requires that somebody approves it."
        ),
    ] = None
    preflight: Annotated[
        tuple[PreflightFinding, ...],
        Field(
            max_length=PREFLIGHT_FINDINGS,
            description="Findings of the checks that the last run made before it applied anything (preflight), errors first. The log of its pod contains all of them.",
        ),
    ] = ()
    run: Annotated[Run | None, Field(description="The active run, or else the last one.")] = None
    history: Annotated[
        tuple[Run, ...],
        Field(max_length=HISTORY_LENGTH, description=f"The last {HISTORY_LENGTH} runs, newest first."),
    ] = ()
