from __future__ import annotations

from typing import Any

import pytest

from dbupgrade.cli import pods
from tests.unit.cli.builders import pod


def container(name: str, **state: Any) -> dict[str, Any]:
    return {"name": name, "image": f"{name}:1", "state": state}


WAITING = container("fetch-migrations", waiting={"reason": "PodInitializing"})

FAILED_CHECK = container("check-secrets", terminated={"exitCode": 1})
DONE_CHECK = container("check-secrets", terminated={"exitCode": 0})
HOLDS = container("hold-lock", running={})
REFUSED = {**HOLDS, "lastState": {"terminated": {"exitCode": 8}}}


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (pod(), None),
        (pod(phase="Running", containerStatuses=[container("migrate", running={})]), None),
        (pod(initContainerStatuses=[WAITING]), None),
        (
            pod(containerStatuses=[container("migrate", waiting={"reason": "ErrImagePull", "message": "not\n found"})]),
            "The pod cannot start: image migrate:1 of container migrate cannot be pulled: not found",
        ),
        (
            pod(containerStatuses=[container("migrate", waiting={"reason": "ImagePullBackOff"})]),
            "The pod cannot start: image migrate:1 of container migrate cannot be pulled: ImagePullBackOff",
        ),
        (
            pod(containerStatuses=[container("migrate", waiting={"reason": "CreateContainerConfigError", "message": "no Secret"})]),
            "The pod cannot start: container migrate: CreateContainerConfigError: no Secret",
        ),
        (
            pod(conditions=[{"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}]),
            "The pod cannot be scheduled: 0/1 nodes are available",
        ),
        (pod(conditions=[{"type": "PodScheduled", "status": "True"}]), None),
    ],
)  # fmt: skip
def test_why_a_pod_does_not_start(found: dict[str, Any], why: str | None) -> None:
    assert pods.problem(found) == why


def test_an_image_volume_may_be_what_cannot_be_pulled() -> None:
    waiting = container("migrate", waiting={"reason": "ErrImagePull", "message": "shop:2: not found"})
    volumes = [{"name": "migrations", "image": {"reference": "shop:2"}}, {"name": "work", "emptyDir": {}}]
    found = {**pod(containerStatuses=[waiting]), "spec": {"volumes": volumes}}
    assert pods.problem(found) == (
        "The pod cannot start: image migrate:1 of container migrate or image shop:2 of volume migrations cannot be pulled: "
        "shop:2: not found"
    )


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        (pod(), "migrate"),
        (pod(initContainerStatuses=[WAITING]), "fetch-migrations"),
        (
            pod(initContainerStatuses=[WAITING], containerStatuses=[container("migrate", running={})]),
            "migrate",
        ),
        (
            pod(initContainerStatuses=[WAITING], containerStatuses=[container("migrate", terminated={})]),
            "migrate",
        ),
        (pod(initContainerStatuses=[FAILED_CHECK, WAITING]), "check-secrets"),
        (
            pod(initContainerStatuses=[DONE_CHECK, container("fetch-migrations", running={})]),
            "fetch-migrations",
        ),
        (pod(initContainerStatuses=[HOLDS, container("wait-for-database", running={})]), "wait-for-database"),
        (
            pod(initContainerStatuses=[REFUSED, container("wait-for-database", terminated={"exitCode": 1})]),
            "hold-lock",
        ),
    ],
)
def test_the_container_that_says_more(found: dict[str, Any], chosen: str) -> None:
    assert pods.talkative(found) == chosen
