"""What makes two Jobs run the same."""

from copy import deepcopy
from typing import Any

import pytest

from dbupgrade.pod.adoption import runs_the_same
from dbupgrade.pod.job import job
from tests.unit.decide.builders import SETTINGS, a_resource, an_intent

OURS = job(a_resource(), an_intent(), SETTINGS)


def changed(*path: Any, value: Any) -> dict[str, Any]:
    """Our Job with one value set, or added."""
    found = deepcopy(OURS)
    place: Any = found
    for name in path[:-1]:
        place = place.setdefault(name, {}) if isinstance(place, dict) else place[name]
    place[path[-1]] = value
    return found


TEMPLATE = ("spec", "template")
POD = (*TEMPLATE, "spec")
SAME = {
    "itself": OURS,
    "another name": changed("metadata", "name", value="x"),
    "a status": changed("status", "succeeded", value=1),
    "its selector": changed(
        "spec", "selector", "matchLabels", value={"batch.kubernetes.io/controller-uid": "x"}
    ),
    "the label of its controller": changed(
        *TEMPLATE, "metadata", "labels", "batch.kubernetes.io/controller-uid", value="x"
    ),
    "a time to live": changed("spec", "ttlSecondsAfterFinished", value=0),
}
OTHERS = {
    "another image": changed(*POD, "containers", 0, "image", value="busybox"),
    "another command": changed(*POD, "containers", 0, "command", value=["true"]),
    "a command where there is none": changed(*POD, "initContainers", 0, "lifecycle", value={"postStart": {}}),
    "a variable less": changed(*POD, "containers", 0, "env", value=[]),
    "one more container": changed(
        *POD, "containers", value=[*OURS["spec"]["template"]["spec"]["containers"], {"name": "x"}]
    ),
    "no step before it": changed(*POD, "initContainers", value=[]),
    "the network of the host": changed(*POD, "hostNetwork", value=True),
    "a service account": changed(*POD, "serviceAccountName", value="x"),
    "pods that it takes from elsewhere": changed("spec", "manualSelector", value=True),
    "no pod at all": changed("spec", "parallelism", value=0),
    "an annotation for an injector": changed(*TEMPLATE, "metadata", "annotations", "inject", value="yes"),
    "a label": changed(*TEMPLATE, "metadata", "labels", "app", value="x"),
}


@pytest.mark.parametrize("other", SAME.values(), ids=SAME)
def test_what_the_api_server_adds_changes_nothing(other: dict[str, Any]) -> None:
    assert runs_the_same(OURS, other)


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_whatever_else_would_run_is_another_job(other: dict[str, Any]) -> None:
    assert not runs_the_same(OURS, other)
    assert not runs_the_same(other, OURS)
