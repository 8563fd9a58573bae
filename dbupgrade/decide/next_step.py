"""The one decision: from everything observed about a resource to what is done next, or to what must be looked at first.

A pure function. Whoever asks fetches what is needed, adds it to what was observed, and asks again: a handful of looks at most.
"""

from collections.abc import Callable
from dataclasses import dataclass

from dbupgrade.api.status import Run, RunKind
from dbupgrade.decide import intent, migration
from dbupgrade.decide.decision import Decision
from dbupgrade.decide.gates import Walk
from dbupgrade.decide.needs import Need
from dbupgrade.decide.observed import Observed


@dataclass(frozen=True)
class RunMeaning:
    """What the life of a Job means for a resource, by the kind of run."""

    advance: Callable[[Observed, Run], Decision | Need]
    """The next step of an active run."""
    settled: Callable[[Observed, Run], Decision]
    """What the resource reports after a finished run, while nothing asks for another one."""


MEANINGS: dict[RunKind, RunMeaning] = {
    RunKind.MIGRATION: RunMeaning(migration.advance, migration.settled),
}


def next_step(observed: Observed) -> Decision | Need:
    """What to do for the observed resource now, or what to look at before that can be said."""
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
    return intent.start(observed, walk) if wanted else meaning.settled(observed, run)
