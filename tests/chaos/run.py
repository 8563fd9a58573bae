"""A chaos run: many plays side by side on one API server, with one operator that is killed now and then."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dbupgrade.kube.client import Client
from e2e.operator import Launch, Operator
from tests.chaos.guards import ABSENT, DOWN, UP, WEBHOOK_LABEL, Guards, guards
from tests.chaos.ledger import Ledger
from tests.chaos.locks import Logs
from tests.chaos.play import Play, Stage
from tests.chaos.world import World
from tests.integration.harness import forked
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
    denied: int = 0
    waits: int = 0
    """Statuses that say that a lock is waited for."""
    problems: list[str] = field(default_factory=list)


@dataclass
class Operators:
    """The operator that runs now, and how often one was killed."""

    launch: Launch
    kills: int = 0
    _current: Operator | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def start(self) -> None:
        self._current = await asyncio.to_thread(Operator.spawn, self.launch, forked.begin)

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
    """Play `sequences` plays with seeds from `seed` on; the operator's log is in `directory`.

    In one half of them the CRD's rules and the policy are in force, in the other the webhook is all there is. It is up,
    down or absent, each in a third of the plays.
    """
    outcome = Outcome()
    seeds = range(seed, seed + sequences)
    async with await Client.connect(str(api.kubeconfig)) as admin:
        for rules, share in ((True, seeds[::2]), (False, seeds[1::2])):
            async with guards(admin, rules=rules) as installed:
                await _run_half(api, admin, directory, installed, outcome, [(seed, steps) for seed in share])
    return outcome


async def _run_half(
    api: ApiServer,
    admin: Client,
    directory: Path,
    installed: Guards,
    outcome: Outcome,
    plays: list[tuple[int, int]],
) -> None:
    """Play the plays, each a seed and its number of steps, under the same guards."""
    ledger = Ledger()
    async with _stage(api, admin, directory, ledger, installed) as (stage, operators):
        limit = asyncio.Semaphore(SIDE_BY_SIDE)
        await asyncio.gather(*(_play(stage, limit, outcome, *play) for play in plays))
        ledger.check_intents()
        ledger.check_approvals()
        outcome.kills += operators.kills
    outcome.jobs += len(ledger.created_jobs)
    outcome.waits += ledger.waits
    outcome.problems += ledger.broken


async def _play(stage: Stage, limit: asyncio.Semaphore, outcome: Outcome, seed: int, steps: int) -> None:
    """Play one play; in a quarter of them, two namespaces attack each other all the time."""
    async with limit:
        webhook = (UP, DOWN, ABSENT)[seed // 2 % 3]
        first = await _namespace(stage, webhook)
        plays = [Play(stage, first, seed, steps, webhook)]
        if seed // 2 % 4 == 0:
            second = await _namespace(stage, webhook)
            rivals = ((first, second), (second, first))
            plays = [
                Play(stage, one, f"{seed} {one == first}", steps, webhook, other) for one, other in rivals
            ]
        try:
            await asyncio.gather(*(play.act() for play in plays))
            for play in plays:
                await play.finish()
        except AssertionError as error:
            trail = "\n    ".join(f"{play.namespace}: {line}" for play in plays for line in play.trail)
            outcome.problems.append(f"seed {seed}: {error}\n    {trail}")
        outcome.plays += 1
        for play in plays:
            outcome.denied += play.denied
            await play.label(ABSENT)
            await clear_namespace(stage.admin, play.namespace)


async def _namespace(stage: Stage, webhook: str) -> str:
    # One that is going to be down is up at first: nothing could be created.
    namespace = await create_namespace(stage.admin, {WEBHOOK_LABEL: UP if webhook == DOWN else webhook})
    if stage.rules or webhook != ABSENT:
        stage.world.ledger.spec_locked.add(namespace)
    if stage.rules:
        stage.world.ledger.deletion_locked.add(namespace)
    return namespace


@contextlib.asynccontextmanager
async def _stage(
    api: ApiServer, admin: Client, directory: Path, ledger: Ledger, installed: Guards
) -> AsyncIterator[tuple[Stage, Operators]]:
    async with FaultProxy(api) as proxy:
        kubeconfig = api.write_kubeconfig("chaos", api.admin, server=proxy.url)
        prefix = ("setpriv", "--pdeathsig", "KILL", "--")
        launch = Launch(kubeconfig, directory / "operator.log", installed.settings, prefix)
        proxy.inject(Fault(Match("GET", r"/log$"), Logs(), times=None))  # there is no kubelet
        operators = Operators(launch)
        await operators.start()
        try:
            await installed.in_force()  # before the world watches: a CRD that changes ends all watches
            async with World(admin, ledger) as world:
                yield Stage(admin, world, proxy, operators.kill, rules=installed.rules), operators
        finally:
            operators.stop()
