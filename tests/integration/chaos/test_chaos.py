"""A part of `make chaos`: the same plays, always with the same seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.chaos.run import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.harness.apiserver import ApiServer

SEED, STEPS, SEQUENCES = 1, 12, 100


async def test_whatever_happens_no_rule_is_broken_and_every_resource_comes_to_rest(
    api: ApiServer, tmp_path: Path
) -> None:
    outcome = await run(api, tmp_path, seed=SEED, steps=STEPS, sequences=SEQUENCES)
    assert outcome.problems == []
    assert outcome.plays == SEQUENCES
    assert outcome.jobs >= SEQUENCES
    assert outcome.kills > 0
    assert outcome.denied > SEQUENCES
