"""A run that has used most of its time: it is marked while there is time to do something about it."""

from dataclasses import replace
from datetime import timedelta

from dbupgrade.api.run import Run
from dbupgrade.decide.observed import Observed

SHARE = 0.75
"""Of spec.runner.activeDeadlineSeconds."""


def marked(observed: Observed, run: Run) -> Run:
    """The active `run`, marked when it is slow. It stays marked, so it is reported once."""
    left = _seconds_left(observed, run)
    return run if left is None or left > 0 else replace(run, slow=True)


def look_again(observed: Observed, run: Run, after: float | None) -> float | None:
    """Seconds until the active `run` is reconsidered: `after`, or when it becomes slow."""
    left = None if run.slow else _seconds_left(observed, run)
    return min((each for each in (after, left) if each is not None), default=None)


def _seconds_left(observed: Observed, run: Run) -> float | None:
    """Seconds until the run is slow; None as long as the spec cannot be read."""
    spec = observed.resource.spec
    if spec is None:
        return None
    limit = timedelta(seconds=spec.runner.active_deadline_seconds) * SHARE
    return (run.started_at + limit - observed.now).total_seconds()
