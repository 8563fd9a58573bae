"""The central decision: from everything observed about a resource to what is done next, or to what must be fetched first.

A pure function. The caller fetches what is needed, adds it to what was observed, and calls again, a handful of times at most.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from dbupgrade.api.run import Run, RunKind
from dbupgrade.decide import intent, migration
from dbupgrade.decide.decision import Decision, DeleteJob
from dbupgrade.decide.gates import Walk
from dbupgrade.decide.needs import Need
from dbupgrade.decide.observed import Observed


@dataclass(frozen=True)
class RunMeaning:
    """What the life of a Job means for a resource, by the kind of run."""

    advance: Callable[[Observed, Run], Decision | Need]
    """The next step of an active run."""
    settled: Callable[[Observed, Run], Decision]
    """What the resource reports after a finished run, while no other run is due."""


MEANINGS: dict[RunKind, RunMeaning] = {
    RunKind.MIGRATION: RunMeaning(migration.advance, migration.settled),
}


def next_step(observed: Observed) -> Decision | Need:
    """What to do for the observed resource now, or what to fetch before that can be decided."""
    resource = observed.resource
    run = resource.status.run
    if resource.deleting:
        return Decision.write(resource.status)
    if run is None:
        return intent.start(observed, Walk(observed))
    meaning = MEANINGS[run.kind]
    if run.active:
        return meaning.advance(observed, run)
    walk = Walk(observed)
    wanted = intent.wanted(observed, run, walk)
    if not isinstance(wanted, bool):
        return wanted
    step = intent.start(observed, walk) if wanted else meaning.settled(observed, run)
    if isinstance(step, Decision):
        return replace(step, actions=step.actions + _without_replacement(observed, run))
    return step


def _without_replacement(observed: Observed, run: Run) -> tuple[DeleteJob, ...]:
    """Remove the Job of the finished `run` if it is about to run again: its pod was disrupted after its end was recorded."""
    starting = {pod.job_uid for pod in observed.pods if not (pod.terminal or pod.migrate.started)}
    return tuple(
        DeleteJob(job.name, job.uid)
        for job in observed.jobs_of_resource
        if (job.uid, job.run_id) == (run.job_uid, run.run_id)
        and job.uid in starting
        and not (job.finished or job.deleting)
    )
