"""What a pod does before it migrates: one module a container, entered here in the order in which they run."""

from collections.abc import Mapping

from dbupgrade.pod.step import Step
from dbupgrade.pod.steps.fetch import Fetch
from dbupgrade.pod.steps.lock import HoldLock
from dbupgrade.pod.steps.secrets import CheckSecrets
from dbupgrade.pod.steps.wait import Wait

STEPS: Mapping[str, Step] = {step.name: step for step in (CheckSecrets(), Fetch(), HoldLock(), Wait())}
"""Every step, by the name of its container."""
