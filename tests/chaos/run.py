"""A chaos run: many plays side by side on one API server, with one operator that is killed now and then."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dbupgrade.kube.client import Client
from e2e.operator import Launch, Operator, free_port
from tests.chaos.ledger import Ledger
from tests.chaos.play import ABSENT, DOWN, UP, WEBHOOK_LABEL, Play, Stage
from tests.chaos.world import World
from tests.integration.harness.faultproxy import Fault, FaultProxy, Match
from tests.integration.harness.guard import WebhookConfiguration, install_policy, remove_policy, set_rules
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
    """Play `sequences` plays with seeds from `seed` on; the operator's log is in `directory`.

    In one half of them the CRD's rules and the policy are in force, in the other the webhook is all there is. It is up,
    down or absent, each in a third of the plays.
    """
    outcome, ledger = Outcome(), Ledger()
    async with (
        await Client.connect(str(api.kubeconfig)) as admin,
        _stage(api, admin, directory, ledger) as (stage, operators),
    ):
        for rules, share in ((True, range(0, sequences, 2)), (False, range(1, sequences, 2))):
            await set_rules(admin, present=rules)
            await (install_policy if rules else remove_policy)(admin)
            limit = asyncio.Semaphore(SIDE_BY_SIDE)
            plays = (_play(stage, limit, seed + number, steps, outcome, rules=rules) for number in share)
            await asyncio.gather(*plays)
        await set_rules(admin, present=True)
        ledger.check_intents()
        outcome.kills = operators.kills
    outcome.jobs = len(ledger.created_jobs)
    outcome.problems += ledger.broken
    return outcome


async def _play(
    stage: Stage, limit: asyncio.Semaphore, seed: int, steps: int, outcome: Outcome, *, rules: bool
) -> None:
    async with limit:
        webhook = (UP, DOWN, ABSENT)[seed // 2 % 3]
        # One that is going to be down is up at first: nothing could be created.
        namespace = await create_namespace(stage.admin, {WEBHOOK_LABEL: UP if webhook == DOWN else webhook})
        if rules or webhook != ABSENT:
            stage.world.ledger.spec_locked.add(namespace)
        if rules:
            stage.world.ledger.deletion_locked.add(namespace)
        play = Play(stage, namespace, seed, steps, webhook)
        try:
            await play.run()
        except AssertionError as error:
            trail = "\n    ".join(play.trail)
            outcome.problems.append(f"seed {seed}, namespace {namespace}: {error}\n    {trail}")
        outcome.plays += 1
        outcome.denied += play.denied
        await clear_namespace(stage.admin, namespace)


@contextlib.asynccontextmanager
async def _stage(
    api: ApiServer, admin: Client, directory: Path, ledger: Ledger
) -> AsyncIterator[tuple[Stage, Operators]]:
    async with FaultProxy(api) as proxy, World(admin, ledger) as world:
        proxy.inject(Fault(Match("GET", r"/pods/[^/]+/log$"), world, times=None))
        kubeconfig = api.write_kubeconfig("chaos", api.admin, server=proxy.url)
        prefix = ("setpriv", "--pdeathsig", "KILL", "--")
        port = free_port()
        up = WebhookConfiguration(admin, "chaos-up", port, {WEBHOOK_LABEL: UP})
        down = WebhookConfiguration(admin, "chaos-down", free_port(), {WEBHOOK_LABEL: DOWN})
        home = await create_namespace(admin, {WEBHOOK_LABEL: UP})
        settings = {
            "DBUPGRADE_NAMESPACE": home,
            "DBUPGRADE_WEBHOOK_ENABLED": "true",
            "DBUPGRADE_WEBHOOK_PORT": str(port),
            "DBUPGRADE_WEBHOOK_CONFIGURATION": up.name,
        }
        operators = Operators(Launch(kubeconfig, directory / "operator.log", settings, prefix))
        await up.install()
        await down.install()
        await operators.start()
        try:
            await set_rules(admin, present=False)
            await up.until_asked(home)
            yield Stage(admin, world, proxy, operators.kill), operators
        finally:
            operators.stop()
            await up.remove()
            await down.remove()
