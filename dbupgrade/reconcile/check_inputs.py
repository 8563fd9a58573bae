"""Observes what the checks of the resources need, while they need it: pods by watches, metrics by polling."""

from dataclasses import replace

from dbupgrade.decide.decision import CheckInputs
from dbupgrade.decide.observed import Observed
from dbupgrade.objects import Key
from dbupgrade.reconcile.podwatches import PodWatches
from dbupgrade.reconcile.samples import Samples

_NOTHING = CheckInputs()


class InputsOfChecks:
    """What was seen so far, and what to observe next; nothing here blocks."""

    def __init__(self, pods: PodWatches, samples: Samples) -> None:
        self._pods = pods
        self._samples = samples

    def add_seen(self, key: Key, observed: Observed) -> Observed:
        """`observed` with what was seen of the resource's pods and metrics."""
        return replace(observed, pods_seen=self._pods.seen(key), samples=self._samples.seen(key))

    def look_at(self, key: Key, inputs: CheckInputs) -> None:
        """Observe this for the resource and nothing else; its key is queued when something was seen."""
        self._pods.want(key, inputs.selectors, inputs.refresh)
        self._samples.want(key, inputs.metrics, inputs.ask)

    def forget(self, key: Key) -> None:
        """The resource is gone."""
        self.look_at(key, _NOTHING)

    async def close(self) -> None:
        """Stop all observations."""
        await self._pods.close()
        await self._samples.close()
