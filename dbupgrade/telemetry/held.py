"""The gauge of the resources that are neither ready nor in progress, with the reason: what somebody may have to look at."""

from collections import Counter
from collections.abc import Iterable
from itertools import islice

from prometheus_client.core import REGISTRY, GaugeMetricFamily
from prometheus_client.registry import Collector

MOST = 1000
"""Resources with a series of their own; the rest are counted together, with the name `others`."""
_LABELS = ("namespace", "name", "reason")


class HeldResources(Collector):
    """Makes the series when they are asked for: a resource without a reason has none."""

    def __init__(self) -> None:
        self._reasons: dict[tuple[str, str], str] = {}

    def note(self, namespace: str, name: str, reason: str | None) -> None:
        """Remember why a resource is held; None when it is not, or has gone."""
        if reason:
            self._reasons[namespace, name] = reason
        else:
            self._reasons.pop((namespace, name), None)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The series of now."""
        family = GaugeMetricFamily(
            "dbupgrade_not_progressing",
            "1 for a DBUpgrade that is neither ready nor in progress",
            labels=_LABELS,
        )
        for (namespace, name), reason in islice(self._reasons.items(), MOST):
            family.add_metric((namespace, name, reason), 1)
        for reason, count in Counter(islice(self._reasons.values(), MOST, None)).items():
            family.add_metric(("", "others", reason), count)
        yield family


HELD = HeldResources()
REGISTRY.register(HELD)
