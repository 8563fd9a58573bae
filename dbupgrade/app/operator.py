"""The operator as a process: builds every part, and runs until it receives a signal."""

import asyncio
import signal
from collections.abc import Callable

import structlog

from dbupgrade.app.dbupgrades import DBUpgrades
from dbupgrade.app.manager import Manager
from dbupgrade.kube.client import Client
from dbupgrade.kube.events import EventRecorder
from dbupgrade.kube.leader import LeadershipLost
from dbupgrade.settings import Settings

_log = structlog.get_logger()


def build(client: Client, settings: Settings) -> Manager:
    """Every part of the operator on one client: a further controller is a further entry here."""
    recorder = EventRecorder(client)
    return Manager(client, settings, recorder, (DBUpgrades(client, settings, recorder),))


async def run(settings: Settings) -> int:
    """Run the operator until SIGTERM or SIGINT; returns the exit code."""
    async with await Client.connect() as client:
        work = asyncio.create_task(build(client, settings).run())
        _on_signals(work.cancel)
        try:
            await work
        except asyncio.CancelledError:
            _log.info("stopped")
            return 0
        except LeadershipLost:
            _log.error("leadership_lost")
            return 1
    return 0


def _on_signals(stop: Callable[[], object]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
