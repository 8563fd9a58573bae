"""What an active run is doing, as people are shown it: pure functions."""

from datetime import datetime

from dbupgrade.api.run import Progress, Run
from dbupgrade.cli.times import length

_CELLS = 20


def lines(run: Run, now: datetime) -> list[str]:
    """The bar of an active run and what it does, or since when it is on as long as no more is known; empty when it has ended."""
    if not run.active:
        return []
    elapsed = length((now - run.started_at).total_seconds())
    if run.progress is None:
        return [f"  run {run.sequence}, {elapsed}"]
    return [f"  {bar(run.progress)}, {elapsed}", f"  {run.progress.message}"]


def bar(progress: Progress) -> str:
    """How many files are applied, and which statement of the next one is executed."""
    done, of = progress.number - 1, max(progress.of, 1)
    filled = min(max(done * _CELLS // of, 0), _CELLS)
    text = f"[{'█' * filled}{'░' * (_CELLS - filled)}] {done} of {progress.of} files applied"
    return f"{text}, now statement {progress.statement} of {progress.file}" if progress.statement else text
