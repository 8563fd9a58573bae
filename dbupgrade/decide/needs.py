"""What must be fetched before a decision is possible. The caller of `next_step` fetches it, and calls again."""

from dataclasses import dataclass

from dbupgrade.decide.observed import PodView, UnendedJob


@dataclass(frozen=True)
class ReadRun:
    """The Job of the active run and its pods, from the API server: an absence in the caches may only be a delay."""


@dataclass(frozen=True)
class ReadSecret:
    """The Secret with the database URL; with AWS authentication, whether the role gives a session."""


@dataclass(frozen=True)
class ReadReport:
    """What the container `migrate` of an ended pod printed."""

    pod: PodView


@dataclass(frozen=True)
class ReadPlan:
    """The plan that the runner has left in the log of an ended pod: the line with that SHA-256."""

    pod: PodView
    line: str


@dataclass(frozen=True)
class ReadProgress:
    """What the runner in a working pod reports about its progress."""

    pod: PodView


@dataclass(frozen=True)
class ReadEnds:
    """Whether these Jobs have ended: each of them used the database, and no watch will show its end."""

    jobs: tuple[UnendedJob, ...]


Need = ReadRun | ReadSecret | ReadReport | ReadPlan | ReadProgress | ReadEnds

LOOKS = 8
"""How often a decision may be asked for before it is made: each need is met once, and `ReadEnds` again if more Jobs got lost."""
