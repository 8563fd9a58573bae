"""A chaos run: many plays side by side on one API server, with one operator that is killed now and then."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dbupgrade.kube.client import Client
from e2e.operator import Launch, Operator
from tests.chaos.ledger import Ledger
from tests.chaos.play import Play, Stage
from tests.chaos.world import World
from tests.integration.harness.faultproxy import Fault, FaultProxy, Match
from tests.integration.harness.namespaces import clear_namespace, create_namespace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.integration.harness.apiserver import ApiServer

SIDE_BY_SIDE = 10


@dataclass
class Outcome:
    """What a run came to. `problems` are broken rules and plays that did not come to rest, each with its seed."""

    plays: int = 0
    jobs: int = 0
    kills: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass
class Operators:
    """The operator that runs now, and how often one was killed."""

    launch: Launch
    kills: int = 0
    _current: Operator | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def start(self) -> None:
        self._current = await asyncio.to_thread(Operator.spawn, self.launch)

    async def kill(self) -> None:
        """End it as a power cut would, and start another."""
        async with self._lock:
            if self._current is not None:
                await asyncio.to_thread(self._current.kill)
            self.kills += 1
            await self.start()

    def stop(self) -> None:
        if self._current is not None:
            self._current.kill()


async def run(api: ApiServer, directory: Path, *, seed: int, steps: int, sequences: int) -> Outcome:
    """Play `sequences` plays with seeds from `seed` on; the operator's log is in `directory`."""
    outcome, ledger = Outcome(), Ledger()
    async with (
        await Client.connect(str(api.kubeconfig)) as admin,
        _stage(api, admin, directory, ledger) as stage,
    ):
        limit = asyncio.Semaphore(SIDE_BY_SIDE)
        plays = [_play(stage[0], limit, seed + number, steps, outcome) for number in range(sequences)]
        await asyncio.gather(*plays)
        ledger.check_intents()
        outcome.kills = stage[1].kills
    outcome.jobs = len(ledger.created_jobs)
    outcome.problems += ledger.broken
    return outcome


async def _play(stage: Stage, limit: asyncio.Semaphore, seed: int, steps: int, outcome: Outcome) -> None:
    async with limit:
        namespace = await create_namespace(stage.admin)
        play = Play(stage, namespace, seed, steps)
        try:
            await play.run()
        except AssertionError as error:
            trail = "\n    ".join(play.trail)
            outcome.problems.append(f"seed {seed}, namespace {namespace}: {error}\n    {trail}")
        outcome.plays += 1
        await clear_namespace(stage.admin, namespace)


@contextlib.asynccontextmanager
async def _stage(
    api: ApiServer, admin: Client, directory: Path, ledger: Ledger
) -> AsyncIterator[tuple[Stage, Operators]]:
    async with FaultProxy(api) as proxy, World(admin, ledger) as world:
        proxy.inject(Fault(Match("GET", r"/pods/[^/]+/log$"), world, times=None))
        kubeconfig = api.write_kubeconfig("chaos", api.admin, server=proxy.url)
        prefix = ("setpriv", "--pdeathsig", "KILL", "--")
        operators = Operators(Launch(kubeconfig, directory / "operator.log", {}, prefix))
        await operators.start()
        try:
            yield Stage(admin, world, proxy, operators.kill), operators
        finally:
            operators.stop()
