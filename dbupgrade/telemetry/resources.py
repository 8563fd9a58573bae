"""Series that grow with what users create: resources, namespaces, checks. They are bounded, and go with their resource."""

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
_AT_ZERO = f"a new series stays at 0 for {AT_ZERO_SECONDS:.0f} s, so that rate() sees its first event"
_RESOURCE = ("namespace", "name")


class Standing(NamedTuple):
    """How a resource stands: its state, the reason of its conditions, the class of the failure that they report, and spec.suspend."""

    state: State
    reason: str = ""
    failure: str = ""
    suspended: str = "false"


class Outcome(NamedTuple):
    """How a run ended: its result, and the class of its failure, if it has one."""

    result: str
    failure: str = ""


@dataclass(slots=True)
class _Total:
    since: float
    events: int = 0
    seconds: float = 0.0


Family = GaugeMetricFamily | CounterMetricFamily


class Resources(Collector):
    """Makes the series when they are asked for. `most` bounds them; `clock` counts seconds."""

    def __init__(self, most: int = MOST, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._ready: dict[Key, Standing] = {}
        self._unready: dict[Key, Standing] = {}
        self._shared: dict[Standing, Standing] = {}  # thousands of resources stand alike
        self._pending: dict[Key, int] = {}
        self._slow: dict[Key, None] = {}
        self._totals: dict[Key, dict[Outcome, _Total]] = {OTHERS: {}}
        self._checks: dict[str, _Total] = {}

    def stands(self, key: Key, standing: Standing, *, pending: int = 0, slow: bool = False) -> None:
        """Note how a resource stands now, how many migrations are to be applied, and whether its run has used most of its time."""
        ready = standing.state is State.READY
        here, elsewhere = (self._ready, self._unready) if ready else (self._unready, self._ready)
        elsewhere.pop(key, None)
        here[key] = self._shared.setdefault(standing, standing)
        self._pending.pop(key, None)
        self._slow.pop(key, None)
        if pending:
            self._pending[key] = pending
        if slow:
            self._slow[key] = None

    def forget(self, key: Key) -> None:
        """The resource has gone, and its series with it."""
        for known in (self._ready, self._unready, self._pending, self._slow, self._totals):
            known.pop(key, None)

    def ended(self, key: Key, outcome: Outcome, seconds: float) -> None:
        """Count a run of a resource that took `seconds`."""
        total = self._totals_of(key).setdefault(outcome, _Total(self._clock()))
        total.events += 1
        total.seconds += seconds

    def _totals_of(self, key: Key) -> dict[Outcome, _Total]:
        """The totals in which runs of a resource are counted; one that has gone gets none of its own, which nobody would remove."""
        known = key in self._ready or key in self._unready
        if known and len(self._totals) <= self._most:
            return self._totals.setdefault(key, {})
        return self._totals.get(key) or self._totals[OTHERS]

    def check_failed(self, name: str) -> None:
        """Count a check that did not hold. Whoever creates resources chooses the names."""
        known = name in self._checks or len(self._checks) < self._most
        total = self._checks.setdefault(name if known else OTHERS.name, _Total(self._clock()))
        total.events += 1

    def describe(self) -> Iterable[Family]:
        """The metrics without their series."""
        return Resources().collect()

    def collect(self) -> Iterator[Family]:
        """The series of now."""
        yield self._state()
        yield from self._runs()
        yield self._slow_runs()
        yield self._pending_migrations()
        yield self._check_failures()

    def _state(self) -> Family:
        """Those that somebody may have to look at come first; what is beyond the bound is counted."""
        family = GaugeMetricFamily(
            "dbupgrade_state",
            "1 for the state of each DBUpgrade; failure is the class of the failure that its conditions report, suspended is spec.suspend",
            labels=(*_RESOURCE, *Standing._fields),
        )
        known = chain(self._unready.items(), self._ready.items())
        for key, standing in islice(known, self._most):
            family.add_metric((*key, *standing), 1)
        for standing, count in Counter(standing for _, standing in known).items():
            family.add_metric((*OTHERS, *standing), count)
        return family

    def _runs(self) -> tuple[Family, Family]:
        labels = (*_RESOURCE, *Outcome._fields)
        runs = CounterMetricFamily(
            "dbupgrade_runs",
            f"Runs that ended; {_AT_ZERO}",
            labels=labels,
        )
        seconds = CounterMetricFamily(
            "dbupgrade_runs_seconds", "Total duration of the runs that ended", labels=labels
        )
        for key, totals in self._totals.items():
            for outcome, total in totals.items():
                shown = self._shown(total)
                runs.add_metric((*key, *outcome), shown.events)
                seconds.add_metric((*key, *outcome), shown.seconds)
        return runs, seconds

    def _slow_runs(self) -> Family:
        family = GaugeMetricFamily(
            "dbupgrade_run_slow",
            "1 while a run has used three quarters of spec.runner.activeDeadlineSeconds",
            labels=_RESOURCE,
        )
        for key in islice(self._slow, self._most):
            family.add_metric(key, 1)
        if len(self._slow) > self._most:
            family.add_metric(OTHERS, len(self._slow) - self._most)
        return family

    def _pending_migrations(self) -> Family:
        """By namespace, as long as there is a resource in it; beyond the bound without a namespace."""
        family = GaugeMetricFamily(
            "dbupgrade_pending_migrations",
            "Migrations that are known but not applied yet",
            labels=["namespace"],
        )
        pending = dict.fromkeys((key.namespace for key in chain(self._unready, self._ready)), 0)
        for key, count in self._pending.items():
            pending[key.namespace] += count
        known = iter(pending.items())
        for namespace, count in islice(known, self._most):
            family.add_metric([namespace], count)
        if len(pending) > self._most:
            family.add_metric([OTHERS.namespace], sum(count for _, count in known))
        return family

    def _check_failures(self) -> Family:
        family = CounterMetricFamily(
            "dbupgrade_check_failures", f"Checks that failed; {_AT_ZERO}", labels=["check"]
        )
        for name, total in self._checks.items():
            family.add_metric([name], self._shown(total).events)
        return family

    def _shown(self, total: _Total) -> _Total:
        """What is said of a total: nothing has happened yet, as long as it is new."""
        return total if self._clock() - total.since >= AT_ZERO_SECONDS else _Total(total.since)


RESOURCES = Resources()
REGISTRY.register(RESOURCES)
