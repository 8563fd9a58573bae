"""Two hours of a migration, looked at as the operator would."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dbupgrade.api.conditions import Reason
from dbupgrade.decide import transitions
from dbupgrade.decide.decision import Decision
from dbupgrade.decide.needs import ReadProgress
from dbupgrade.decide.next_step import next_step
from dbupgrade.decide.observed import Looked, Observed
from dbupgrade.pod.progress import Seen
from dbupgrade.pod.view import ContainerView
from dbupgrade.toolkit.progress.place import Place
from dbupgrade.toolkit.progress.waits import running_words
from tests.unit.decide.builders import (
    FETCHED,
    NOW,
    a_job,
    a_pod,
    a_resource,
    a_spec,
    again,
    an_intent,
    conditions,
    decide,
    later,
    needs,
    observe,
    the_run,
    words,
)

if TYPE_CHECKING:
    from dbupgrade.api.status import Status

HOURS = 3600
DEADLINE = 3 * HOURS
SLOW = DEADLINE * 3 // 4
PODS = (a_pod(fetch=FETCHED, migrate=ContainerView(started=True, running_since=NOW)),)
RESOURCE = replace(
    a_resource(run=an_intent(job_uid="job-uid")), spec=a_spec(runner={"activeDeadlineSeconds": DEADLINE})
)
PLACE = Place("2_b.sql", 2, 3, 99, statement=4, statements=5)


class Play:
    """The operator's looks at one run; `restarts` are the seconds at which another replica takes over, which remembers nothing."""

    def __init__(self, *, restarts: tuple[int, ...] = ()) -> None:
        self.observed = observe(RESOURCE, job=a_job(), pods=PODS)
        self.restarts = list(restarts)
        self.written: list[Status] = []
        self.told: list[str] = []
        self.reads = 0

    def run(self, seconds: int) -> None:
        now = 0.0
        while now < seconds:
            if self.restarts and now >= self.restarts[0]:
                self.restarts.pop(0)
                self.observed = replace(self.observed, progress=None)
            decision = self._decide(replace(self.observed, now=later(now)), now)
            assert words(decision.actions) == []
            status, old = decision.status, self.observed.resource.status
            if transitions.worth_writing(old, status, later(now)):
                self.written.append(status)
                self.told += [event.reason for event in transitions.events(old, status)]
                self.observed = again(self.observed, decision)
            assert decision.requeue_after
            now += decision.requeue_after

    def _decide(self, observed: Observed, now: float) -> Decision:
        while not isinstance(step := next_step(observed), Decision):
            assert isinstance(step, ReadProgress)  # no Secret, and nothing else
            self.reads += 1
            seen = Seen("2_b.sql", 2, 3, running_words(PLACE, now, None), statement=4)
            observed = replace(observed, progress=Looked("job-uid", observed.now, seen))
        self.observed = replace(self.observed, progress=observed.progress)
        return step


def test_two_hours_are_a_write_for_each_change_of_the_message_and_no_secret_is_read() -> None:
    play = Play()
    play.run(2 * HOURS)
    assert play.reads == 2 * HOURS // 15 - 1
    assert len(play.written) <= 2 * HOURS // 60 + 8
    assert play.told == []


def test_another_leader_goes_on_where_the_one_before_was() -> None:
    """It reads before it reports, so that what is known stays in the status."""
    play, same = Play(restarts=(1000, 2000, 4000)), Play()
    play.run(2 * HOURS)
    same.run(2 * HOURS)
    assert [the_run_of(status) for status in play.written] == [the_run_of(status) for status in same.written]


def the_run_of(status: Status) -> tuple[str | None, bool]:
    assert status.run
    return (status.run.progress.file if status.run.progress else None, status.run.slow)


def test_a_run_that_is_slow_is_told_once_and_not_again_by_another_leader() -> None:
    play = Play(restarts=(SLOW + 100,))
    play.run(DEADLINE - 60)
    assert play.told == ["MigrationSlow"]


@pytest.mark.parametrize(("seconds", "slow"), [(SLOW - 1, False), (SLOW, True), (SLOW + 600, True)])
def test_a_run_is_slow_from_three_quarters_of_its_time_on(seconds: int, slow: bool) -> None:
    assert the_run(decide(observe(RESOURCE, job=a_job(), pods=PODS, now=later(seconds)))).slow is slow


def test_a_command_that_tells_no_progress_is_looked_at_when_it_becomes_slow() -> None:
    run = an_intent(job_uid="job-uid", engine="Command")
    observed = observe(replace(RESOURCE, status=replace(RESOURCE.status, run=run)), job=a_job(), pods=PODS)
    assert decide(observed).requeue_after == SLOW
    late = replace(observed, now=later(SLOW))
    assert (the_run(decide(late)).slow, needs(late), decide(late).requeue_after) == (True, [], None)


def test_a_run_that_waits_for_its_pod_is_not_slow() -> None:
    decision = decide(observe(RESOURCE, job=a_job(), pods=(a_pod(),), now=later(SLOW)))
    assert not the_run(decision).slow


def test_the_event_names_the_job_the_file_and_what_to_do() -> None:
    play = Play()
    play.run(SLOW + 60)
    before, after = play.written[0], play.written[-1]
    (event,) = transitions.events(before, after)
    assert (event.type, event.reason) == ("Warning", "MigrationSlow")
    job = an_intent().job_name
    assert (
        f'kubectl patch job {job} --patch \'{{"spec":{{"activeDeadlineSeconds":SECONDS}}}}\'' in event.message
    )
    assert "at 2_b.sql" in event.message
    assert conditions(after)[2] == Reason.MIGRATION_IN_PROGRESS
    assert len(event.message) < 1024
