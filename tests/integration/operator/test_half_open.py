"""Connections that go silent without an end are noticed by their silence: bookmarks would come every minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration.harness.faultproxy import Match, Stall
from tests.integration.harness.scene import run_of
from tests.integration.harness.standin import SUCCESS

if TYPE_CHECKING:
    from tests.integration.harness.scene import Scene


async def test_a_run_behind_half_open_watches_ends_when_they_are_given_up(scene: Scene) -> None:
    """All three watches hang from the start, so the resource is not even seen before they are begun anew."""
    scene.standin.ending = SUCCESS
    hanging = scene.inject(Match("GET", watch=True), Stall(events=0), times=3)
    await scene.start()
    await scene.create()
    resource = await scene.until_ready(within=300)
    await scene.quiet()
    assert hanging.used == 3
    assert run_of(resource)["toVersion"] == "20250102"
    assert len(scene.standin.created) == 1
