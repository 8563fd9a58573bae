"""The attempts for one file: it is retried when a lock has ended it, as long as there is time."""

import random
import time
from dataclasses import dataclass, replace

from dbupgrade.api.failure import Failure
from dbupgrade.pod.report import Report
from dbupgrade.toolkit import bounds
from dbupgrade.toolkit.call import Call


@dataclass
class Tries:
    """The attempts for the current file."""

    call: Call
    count: int = 0
    began: float = 0.0

    def begin(self) -> None:
        """A try begins."""
        self.count += 1
        self.began = time.monotonic()

    def next_file(self) -> None:
        """A file was applied in this try. How long the next one takes is not known yet."""
        self.count, self.began = 1, time.monotonic()

    def pause(self, report: Report, *, repeatable: bool) -> float | Report:
        """How long to pause before the file is tried again, of which a try has ended with a failure; else the report to end with."""
        report = bounds.classified(report, self.call.bounds)
        if not (bounds.was_ended_by_lock(report) and repeatable):
            return report
        now = time.monotonic()
        seconds = bounds.pause(self.count, now - self.began, self.call.deadline - now, random.random())  # noqa: S311
        if seconds is None:
            return replace(report, failure=Failure.LOCK_TIMEOUT)
        deadlock = report.sqlstate == "40P01" or "deadlock" in (report.error or "")
        what = "was part of a deadlock" if deadlock else "could not acquire a lock in time"
        self.call.output.event(
            "lock_timeout",
            f"{report.failed_file} {what} and was rolled back; retrying in {seconds:.1f} s",
            level="warning",
            file=report.failed_file,
            line=report.line,
            sqlstate=report.sqlstate,
            attempt=self.count,
            pause=round(seconds, 1),
        )
        return seconds
