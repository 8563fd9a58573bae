"""No moment of a run lets a changed spec slip in: the change is denied, or the run used the old spec and the new one follows.

Each case tries it at exactly one of the operator's requests, just before the API server gets it or just after it is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dbupgrade.kube.errors import Invalid
from tests.integration.harness.faultproxy import Match, Meanwhile
from tests.integration.harness.scene import (
    IMAGE,
    NAME,
    SECRET_READ,
    WRITES,
    condition,
    run_of,
)
from tests.integration.harness.standin import SUCCESS

if TYPE_CHECKING:
    from tests.integration.harness.scene import Scene

NEXT_IMAGE = "registry.example/shop:2.0.0"
MOMENTS = {"reading-the-secret": (SECRET_READ, 0), **WRITES}


def images_of(job: dict[str, Any]) -> set[str]:
    """The image with the migrations, as the Job has it."""
    pod = job["spec"]["template"]["spec"]
    env = pod["initContainers"][0]["env"]
    return {entry["value"] for entry in env if entry["name"] == "IMAGE"}


class Intruder:
    """Somebody who changes the image at a bad moment."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.denied: str | None = None

    async def change(self) -> None:
        denied = ""
        try:
            await self._scene.set_image(NEXT_IMAGE)
        except Invalid as error:
            denied = str(error)
        self.denied = denied


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("match", "skip"), MOMENTS.values(), ids=MOMENTS)
async def test_a_change_does_not_slip_in(scene: Scene, match: Match, skip: int, after: bool) -> None:
    intruder = Intruder(scene)
    scene.inject(match, Meanwhile(intruder.change, after=after), skip=skip)
    await scene.start()
    await scene.create()
    first = await scene.standin.job()
    await scene.standin.start(first)
    await scene.until_reason("MigrationInProgress")
    await scene.standin.end(first, SUCCESS)
    await scene.until(lambda resource: bool(resource["status"].get("history")))
    await scene.until(lambda _: intruder.denied is not None, what="the intruder has tried")
    if intruder.denied == "" and images_of(first) == {IMAGE}:
        await scene.standin.end(await scene.standin.job(2), SUCCESS)
        await scene.until_ready(sequence=2)
    resource = await scene.until_ready(sequence=len(scene.standin.created))
    await scene.quiet()
    await assert_consistent(scene, intruder, resource)


async def assert_consistent(scene: Scene, intruder: Intruder, resource: dict[str, Any]) -> None:
    """Each Job has the image of its intent, and the last accepted spec is the one that is done."""
    assert run_of(resource)["image"] == (await scene.get(NAME))["spec"]["migrations"]["image"]
    history = resource["status"]["history"]
    for job in scene.standin.created:
        (intent,) = (run for run in history if run["jobName"] == job["metadata"]["name"])
        assert images_of(job) == {intent["image"]}
    if intruder.denied:
        assert "cannot update spec while migration is in progress" in intruder.denied
        assert [run["image"] for run in history] == [IMAGE]
    else:
        assert run_of(resource)["image"] == NEXT_IMAGE
    assert condition(resource, "Ready")["status"] == "True"
