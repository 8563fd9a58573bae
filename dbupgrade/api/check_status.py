"""The last result of a check, as the status of a DBUpgrade reports it."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from dbupgrade.api.record import Record


class Verdict(StrEnum):
    """Outcome of a check."""

    HOLDS = "Holds"
    FAILS = "Fails"
    WAITING = "Waiting"


class CheckPhase(StrEnum):
    """When a check is evaluated."""

    PRE = "Pre"
    POST = "Post"


class CheckKind(StrEnum):
    """What a check evaluates."""

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
