"""Looks at what the checks of the resources are about: pods by watches, metrics by asking; only while it is wanted."""

from dataclasses import replace

from dbupgrade.decide.decision import CheckInputs
from dbupgrade.decide.observed import Observed
from dbupgrade.objects import Key
from dbupgrade.reconcile.podwatches import PodWatches
from dbupgrade.reconcile.samples import Samples

_NOTHING = CheckInputs()


class InputsOfChecks:
    """What was seen so far, and what to look at next; nothing here waits."""

    def __init__(self, pods: PodWatches, samples: Samples) -> None:
        self._pods = pods
        self._samples = samples

    def add_seen(self, key: Key, observed: Observed) -> Observed:
        """`observed` with what was seen of the resource's pods and metrics."""
        return replace(observed, pods_seen=self._pods.seen(key), samples=self._samples.seen(key))

    def look_at(self, key: Key, inputs: CheckInputs) -> None:
        """Look at this for the resource and at nothing else; its key is woken when something was seen."""
        self._pods.want(key, inputs.selectors, inputs.refresh)
        self._samples.want(key, inputs.metrics, inputs.ask)

    def forget(self, key: Key) -> None:
        """The resource is gone."""
        self.look_at(key, _NOTHING)

    async def close(self) -> None:
        """Look at nothing any more."""
        await self._pods.close()
        await self._samples.close()
