"""`logs`: what the containers of the last run print."""

import asyncio
import contextlib

from dbupgrade.api import names
from dbupgrade.cli import session, style
from dbupgrade.cli.errors import CommandError
from dbupgrade.cli.lines import lines, readable
from dbupgrade.cli.options import Target
from dbupgrade.cli.pods import has_ended, has_started, talkative
from dbupgrade.cli.session import Session
from dbupgrade.kube.resources import follow_log, pod_log
from dbupgrade.objects import Object

_POLL_SECONDS = 1.0
_BYTES = 1024 * 1024
_LINES = 1000


def logs(target: Target, container: str | None, *, follow: bool) -> None:
    """Print the log of one container, or follow one after the other."""
    session.run(target, lambda on: _follow(on, container) if follow else _print(on, container))


async def _print(on: Session, container: str | None) -> None:
    pod = await _last_pod(on)
    if pod is None:
        raise _no_pod()
    metadata, chosen = pod["metadata"], container or talkative(pod)
    text = await pod_log(
        on.client, metadata["namespace"], metadata["name"], chosen, limit_bytes=_BYTES, tail_lines=_LINES
    )
    for line in text.removesuffix("\n").split("\n"):
        style.echo(readable(line))


async def _follow(on: Session, container: str | None) -> None:
    """Print what the run's containers write, one after the other, until its pod has ended."""
    followed: set[str] = set()
    while True:
        pod = await _last_pod(on)
        if pod is None:
            run = (await on.get()).status.run
            if run is None or run.finished_at:
                raise _no_pod()
        else:
            chosen = container or talkative(pod)
            if chosen not in followed and has_started(pod, chosen):
                await _as_written(on, pod, chosen)
                followed.add(chosen)
            if followed & {container, names.CONTAINER_MIGRATE} or has_ended(pod):
                return
        await asyncio.sleep(_POLL_SECONDS)


async def _as_written(on: Session, pod: Object, container: str) -> None:
    metadata = pod["metadata"]
    written = follow_log(on.client, metadata["namespace"], metadata["name"], container)
    async with contextlib.aclosing(written) as chunks:
        async for line in lines(chunks):
            style.echo(readable(line))


async def _last_pod(on: Session) -> Object | None:
    """The newest pod of the last run, if there is one."""
    pods = await on.pods(await on.get())
    return pods[-1] if pods else None


def _no_pod() -> CommandError:
    return CommandError(
        "there is no pod: no run has started, or its Job has been deleted after its TTL; `history` shows the results"
    )
