"""`logs`: what the containers of the last run print."""

import asyncio
import contextlib

from dbupgrade.api import names
from dbupgrade.api.conditions import Reason
from dbupgrade.cli import session, style, view
from dbupgrade.cli.errors import CommandError
from dbupgrade.cli.lines import lines, readable
from dbupgrade.cli.options import Target
from dbupgrade.cli.pods import containers, has_ended, has_started, problem, talkative
from dbupgrade.cli.session import Session
from dbupgrade.cli.view import Seen
from dbupgrade.kube.resources import follow_log, pod_log
from dbupgrade.objects import Object

_POLL_SECONDS = 1.0
_BYTES = 1024 * 1024
_LINES = 1000


def logs(target: Target, container: str | None, *, follow: bool) -> None:
    """Print the log of one container, or follow one after the other."""
    session.run(target, lambda on: _follow(on, container) if follow else _print(on, container))


async def _print(on: Session, container: str | None) -> None:
    seen = await on.get()
    pod = await _last_pod(on, seen)
    if pod is None:
        raise CommandError(_why_no_pod(seen))
    metadata, chosen = pod["metadata"], container or talkative(pod)
    _check(pod, chosen)
    if not has_started(pod, chosen):
        raise CommandError(f"{_why_no_log(pod, chosen)} `logs --follow` waits for it")
    text = await pod_log(
        on.client, metadata["namespace"], metadata["name"], chosen, limit_bytes=_BYTES, tail_lines=_LINES
    )
    for line in text.removesuffix("\n").split("\n"):
        style.echo(readable(line))


async def _follow(on: Session, container: str | None) -> None:
    """Print what the run's containers write, one after the other, until its pod has ended. What is waited for is said on stderr."""
    followed: set[str] = set()
    said = ""
    while True:
        seen = await on.get()
        pod = await _last_pod(on, seen) if seen.looked_at else None
        if pod is None:
            if not _is_to_come(seen):
                raise CommandError(_why_no_pod(seen))
            waiting = f"Waiting for the pod: {view.what(seen)}"
        else:
            chosen = container or talkative(pod)
            _check(pod, chosen)
            if chosen not in followed and has_started(pod, chosen):
                await _as_written(on, pod, chosen)
                followed.add(chosen)
            if followed & {container, names.CONTAINER_MIGRATE} or has_ended(pod):
                return
            waiting = _why_no_log(pod, container or names.CONTAINER_MIGRATE)
        if waiting != said:
            style.echo(waiting, error=True)
            said = waiting
        await asyncio.sleep(_POLL_SECONDS)


async def _as_written(on: Session, pod: Object, container: str) -> None:
    metadata = pod["metadata"]
    written = follow_log(on.client, metadata["namespace"], metadata["name"], container)
    async with contextlib.aclosing(written) as chunks:
        async for line in lines(chunks):
            style.echo(readable(line))


async def _last_pod(on: Session, seen: Seen) -> Object | None:
    """The newest pod of the last run, if there is one."""
    pods = await on.listed_pods(seen)
    return pods[-1] if pods else None


def _check(pod: Object, container: str) -> None:
    """Raises CommandError when the pod has no such container."""
    known = containers(pod)
    if container not in known:
        raise CommandError(
            f"pod {pod['metadata']['name']} has no container {container}; it has {', '.join(known)}"
        )


def _is_to_come(seen: Seen) -> bool:
    """Whether a pod will be there without anybody doing something."""
    run = seen.status.run
    waits = seen.state == "Waiting" and seen.reason != Reason.POST_CHECK_FAILED
    return waits or not seen.looked_at or (run is not None and run.active)


def _why_no_log(pod: Object, container: str) -> str:
    name = pod["metadata"]["name"]
    return f"Container {container} of pod {name} has not started yet. {problem(pod) or ''}".rstrip()


def _why_no_pod(seen: Seen) -> str:
    if _is_to_come(seen):
        return f"there is no pod yet: {view.what(seen).rstrip('.')}; `logs --follow` waits for it"
    return "there is no pod: no run has started, or its Job has been deleted after its TTL; `history` shows the results"
