"""Series about single resources: how each stands, and the runs that ended. They are bounded, and go with their resource."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import NamedTuple

from prometheus_client.core import REGISTRY, CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from dbupgrade.decide.state import State
from dbupgrade.objects import Key

MOST = 1000
"""Resources with series of their own, for each metric."""
OTHERS = Key("", "others")
"""What the rest are counted under. Without a namespace: there may be as many namespaces as resources."""
AT_ZERO_SECONDS = 90.0
"""How long a new series stands at 0: longer than the minute that Prometheus leaves between scrapes by default."""
_RESOURCE = ("namespace", "name")


class Standing(NamedTuple):
    """How a resource stands: its state, the reason of its conditions, and the class of the failure that they report."""

    state: State
    reason: str = ""
    failure: str = ""


class Outcome(NamedTuple):
    """How a run ended: its result, and the class of its failure, if it has one."""

    result: str
    failure: str = ""


@dataclass(slots=True)
class _Total:
    since: float
    runs: int = 0
    seconds: float = 0.0


class Resources(Collector):
    """Makes the series when they are asked for. `most` bounds them; `clock` counts seconds."""

    def __init__(self, most: int = MOST, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._ready: dict[Key, Standing] = {}
        self._unready: dict[Key, Standing] = {}
        self._shared: dict[Standing, Standing] = {}  # thousands of resources stand alike
        self._totals: dict[Key, dict[Outcome, _Total]] = {OTHERS: {}}

    def stands(self, key: Key, standing: Standing) -> None:
        """Note how a resource stands now."""
        ready = standing.state is State.READY
        here, elsewhere = (self._ready, self._unready) if ready else (self._unready, self._ready)
        elsewhere.pop(key, None)
        here[key] = self._shared.setdefault(standing, standing)

    def forget(self, key: Key) -> None:
        """The resource has gone, and its series with it."""
        for known in (self._ready, self._unready, self._totals):
            known.pop(key, None)

    def ended(self, key: Key, outcome: Outcome, seconds: float) -> None:
        """Count a run of a resource that took `seconds`."""
        total = self._totals_of(key).setdefault(outcome, _Total(self._clock()))
        total.runs += 1
        total.seconds += seconds

    def _totals_of(self, key: Key) -> dict[Outcome, _Total]:
        """The totals in which runs of a resource are counted; one that has gone gets none of its own, which nobody would remove."""
        known = key in self._ready or key in self._unready
        if known and len(self._totals) <= self._most:
            return self._totals.setdefault(key, {})
        return self._totals.get(key) or self._totals[OTHERS]

    def describe(self) -> Iterable[GaugeMetricFamily | CounterMetricFamily]:
        """The metrics without their series."""
        state = GaugeMetricFamily(
            "dbupgrade_state",
            "1 for the state of each DBUpgrade; failure is the class of the failure that its conditions report",
            labels=(*_RESOURCE, *Standing._fields),
        )
        runs = CounterMetricFamily(
            "dbupgrade_runs",
            f"Runs that ended; a new series stays at 0 for {AT_ZERO_SECONDS:.0f} s, so that rate() sees its first run",
            labels=(*_RESOURCE, *Outcome._fields),
        )
        seconds = CounterMetricFamily(
            "dbupgrade_runs_seconds",
            "Time that the runs of dbupgrade_runs_total took",
            labels=(*_RESOURCE, *Outcome._fields),
        )
        return state, runs, seconds

    def collect(self) -> Iterable[GaugeMetricFamily | CounterMetricFamily]:
        """The series of now."""
        state, runs, seconds = self.describe()
        for key, standing, count in self._states():
            state.add_metric((*key, *standing), count)
        for key, totals in self._totals.items():
            for outcome, total in totals.items():
                shown = self._clock() - total.since >= AT_ZERO_SECONDS
                runs.add_metric((*key, *outcome), total.runs if shown else 0)
                seconds.add_metric((*key, *outcome), total.seconds if shown else 0)
        yield from (state, runs, seconds)

    def _states(self) -> Iterator[tuple[Key, Standing, int]]:
        """Those that somebody may have to look at first; what is beyond the bound is counted."""
        known = chain(self._unready.items(), self._ready.items())
        for key, standing in islice(known, self._most):
            yield key, standing, 1
        for standing, count in Counter(standing for _, standing in known).items():
            yield OTHERS, standing, count


RESOURCES = Resources()
REGISTRY.register(RESOURCES)
