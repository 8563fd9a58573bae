"""What the commands do: read a resource, perhaps patch it, and print."""

import argparse
import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import yaml

from dbupgrade.api import lock, names
from dbupgrade.api.conditions import READY
from dbupgrade.cli import manifest, view
from dbupgrade.cli.arguments import Output, parse
from dbupgrade.cli.explain import explain
from dbupgrade.cli.view import Object, Seen
from dbupgrade.kube import config
from dbupgrade.kube.client import Client
from dbupgrade.kube.errors import (
    Forbidden,
    Invalid,
    KubeError,
    NotFound,
    ServerError,
    TooManyRequests,
    Unreachable,
)
from dbupgrade.kube.listwatch import ListWatcher
from dbupgrade.kube.resources import PODS, Resource, ResourceClient, follow_log, pod_log

DBUPGRADES = Resource(names.GROUP, names.VERSION, names.PLURAL)
APPLY_PATCH = "application/apply-patch+yaml"
FIELD_MANAGER = "dbupgrade-apply"
POLL_SECONDS = 1.0
PAGE = 500
LOG_BYTES = 1024 * 1024
LOG_LINES = 1000
_NO_POD = "there is no pod: no run yet, or its Job has expired; `history` has the result"
_COLOURS = {"Ready": 32, "Running": 36, "Failed": 31, "Waiting": 33, "Suspended": 33, "Unseen": 33}


class CommandError(Exception):
    """A command that cannot do what it was asked for; the message is for the person."""


def main(arguments: list[str]) -> int:
    """Run a command; returns the exit code: 0, or 1 with a message on standard error."""
    given = parse(arguments)
    try:
        asyncio.run(_run(given))
    except (CommandError, manifest.BadManifestError, KubeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


async def _run(given: argparse.Namespace) -> None:
    namespace = given.namespace or config.default_namespace(given.kubeconfig, given.context)
    async with await Client.connect(given.kubeconfig, given.context) as client:
        await Commands(client, namespace, given).run()


class Commands:
    """One command on one cluster."""

    def __init__(self, client: Client, namespace: str, given: argparse.Namespace) -> None:
        self._client = client
        self._namespace = namespace
        self._given = given
        self._name: str = getattr(given, "name", None) or ""
        self._resources = ResourceClient(client, DBUPGRADES)
        self._started = time.monotonic()
        self._said = ""

    async def run(self) -> None:
        """Do what the command line says. Raises CommandError or a KubeError."""
        try:
            await getattr(self, f"_{self._given.command}")()
        except NotFound as error:
            if error.name != self._name:
                raise
            raise CommandError(
                f"there is no DBUpgrade {self._name} in namespace {self._namespace}: `status -A` lists all"
            ) from None

    async def _status(self) -> None:
        if not self._name:
            await self._list()
            return
        seen = await self._get()
        pods = await self._pods(seen)
        self._print(view.summary(seen, pods), view.tree(seen, pods, datetime.now(UTC)))

    async def _list(self) -> None:
        namespace = "" if self._given.all_namespaces else self._namespace
        found = [Seen.of(obj) async for obj in self._every(DBUPGRADES, namespace)]
        rows = [view.list_row(seen) for seen in found]
        lines = (
            view.table(view.LIST_HEADS, rows)
            if rows
            else [f"no DBUpgrades in {namespace or 'any namespace'}"]
        )
        self._print([view.summary(seen, []) for seen in found], lines)

    async def _history(self) -> None:
        runs = (await self._get()).status.history
        now = datetime.now(UTC)
        rows = [view.history_row(run, now) for run in runs]
        data = [run.model_dump(mode="json", by_alias=True, exclude_none=True) for run in runs]
        self._print(data, view.table(view.HISTORY_HEADS, rows) if rows else ["no run has ended yet"])

    async def _explain(self) -> None:
        found = explain(await self._get())
        self._print(found, found)

    async def _logs(self) -> None:
        if self._given.follow:
            await self._follow()
            return
        pod = await self._last_pod(await self._get())
        if pod is None:
            raise CommandError(_NO_POD)
        container = self._given.container or _talkative(pod)
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        text = await pod_log(
            self._client, namespace, name, container, limit_bytes=LOG_BYTES, tail_lines=LOG_LINES
        )
        print(text, end="" if text.endswith("\n") else "\n")

    async def _follow(self) -> None:
        """Print what the run's containers write, one after the other, until its pod has ended."""
        followed: set[str] = set()
        while True:
            seen = await self._get()
            pod = await self._last_pod(seen)
            if pod is None:
                if seen.status.run is None or seen.status.run.finished_at:
                    raise CommandError(_NO_POD)
            else:
                container = self._given.container or _talkative(pod)
                if container not in followed and _has_started(pod, container):
                    await self._print_as_written(pod, container)
                    followed.add(container)
                if followed & {self._given.container, names.CONTAINER_MIGRATE} or _has_ended(pod):
                    return
            await asyncio.sleep(POLL_SECONDS)

    async def _print_as_written(self, pod: Object, container: str) -> None:
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        async with contextlib.aclosing(follow_log(self._client, namespace, name, container)) as chunks:
            async for chunk in chunks:
                sys.stdout.buffer.write(chunk)
                sys.stdout.buffer.flush()

    async def _last_pod(self, seen: Seen) -> Object | None:
        """The newest pod of the last run, if there is one."""
        pods = await self._pods(seen) if seen.status.run else []
        return max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)

    async def _wait(self) -> None:
        """Until Ready about the spec as it is, printing what changes. Raises CommandError when that will not be."""
        await self._until_ready(self._concerns)

    def _concerns(self, seen: Seen) -> bool:
        """Whether the status is about what is waited for, and not about a spec before it."""
        return seen.looked_at and self._given.image in (None, seen.image)

    async def _apply(self) -> None:
        """Apply a file, then wait for Ready at the generation that came of it, or a later one of the same image."""
        wanted = manifest.read(self._given.file, self._namespace)
        self._namespace = wanted["metadata"].setdefault("namespace", self._namespace)
        self._name = wanted["metadata"]["name"]
        # Whoever applies it again wants a failure to be tried again; after a success this has no effect.
        wanted["metadata"].setdefault("annotations", {})[names.ANNOTATION_RETRY] = _now()
        applied = Seen.of(await self._applied(wanted))
        self._say(f"Applied  {applied.namespace}/{applied.name} at generation {applied.generation}")

        def concerns(seen: Seen) -> bool:
            if (seen.uid, seen.image) != (applied.uid, applied.image):
                raise CommandError(f"somebody has replaced it meanwhile; it now has the image {seen.image}")
            return seen.looked_at and seen.generation >= applied.generation

        await self._until_ready(concerns)

    async def _applied(self, wanted: Object) -> Object:
        """The object as stored. While a run locks its spec, or the API server has no answer, it is tried again."""
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        path = DBUPGRADES.item(self._namespace, self._name)
        while True:
            try:
                stored: Object = await self._client.request(
                    "PATCH", path, query=query, body=wanted, content_type=APPLY_PATCH
                )
            except NotFound:
                raise CommandError("this cluster knows no DBUpgrades: install the operator first") from None
            except (Invalid, Forbidden) as error:
                if not lock.is_locked(error.causes):
                    raise
                self._say("Waiting  an earlier migration is in progress; its spec is locked until it ends")
            except (Unreachable, ServerError, TooManyRequests) as error:
                self._say(f"Waiting  {error}")
            else:
                return stored
            await self._pause()

    async def _until_ready(self, concerns: Callable[[Seen], bool]) -> None:
        while True:
            try:
                seen = await self._get()
                self._say(f"{seen.state}  {seen.reason}: {seen.message}")
            except NotFound:
                seen = None
                self._say(f"Waiting  {self._namespace}/{self._name} does not exist yet")
            except (Unreachable, ServerError, TooManyRequests) as error:  # as an API server that restarts
                seen = None
                self._say(f"Waiting  {error}")
            if seen and concerns(seen):
                if seen.is_true(READY):
                    return
                if seen.given_up:
                    raise CommandError("it failed, and nothing will happen without a person: see `explain`")
            await self._pause()

    async def _pause(self) -> None:
        """Between two looks. Raises CommandError when there is no time for another."""
        if time.monotonic() >= self._started + self._given.timeout:
            raise CommandError(f"it was not ready after {view.length(self._given.timeout)}")
        await asyncio.sleep(POLL_SECONDS)

    def _say(self, line: str) -> None:
        """Print a line, unless it is the last one again."""
        if line != self._said:
            print(self._coloured(line), flush=True)
            self._said = line

    async def _retry(self) -> None:
        seen = await self._get()
        if seen.is_true(READY) and seen.looked_at:
            raise CommandError("it is done: a retry is for failures and has no effect here")
        await self._patch({"metadata": {"annotations": {names.ANNOTATION_RETRY: _now()}}})
        print(f"{seen.namespace}/{seen.name} will be tried again")

    async def _suspend(self) -> None:
        await self._set_suspended(suspended=True)

    async def _resume(self) -> None:
        await self._set_suspended(suspended=False)

    async def _set_suspended(self, *, suspended: bool) -> None:
        await self._patch({"spec": {"suspend": suspended}})
        print(f"{self._namespace}/{self._name} is {'suspended' if suspended else 'resumed'}")

    async def _get(self) -> Seen:
        return Seen.of(await self._resources.get(self._namespace, self._name))

    async def _patch(self, patch: Object) -> None:
        await self._resources.patch(self._namespace, self._name, patch)

    async def _pods(self, seen: Seen) -> list[Object]:
        """The pods of the last run."""
        job = seen.status.run.job_name if seen.status.run else None
        found = [pod async for pod in self._every(PODS, seen.namespace, view.pods_selector(seen.uid))]
        return [
            pod
            for pod in found
            if pod["metadata"].get("labels", {}).get("batch.kubernetes.io/job-name") == job
        ]

    async def _every(self, resource: Resource, namespace: str, selector: str = "") -> AsyncIterator[Object]:
        watcher, token = ListWatcher(self._client, resource, namespace, selector), ""
        while True:
            page = await watcher.list_page(PAGE, token)
            for item in page.items:
                yield item
            if not (token := page.continue_token):
                return

    def _print(self, data: Any, lines: list[str]) -> None:
        match self._given.output:
            case Output.JSON:
                print(json.dumps(data, indent=2))
            case Output.YAML:
                print(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), end="")
            case _:
                print("\n".join(map(self._coloured, lines)))

    def _coloured(self, line: str) -> str:
        """The first state in the line in its colour, on a terminal only."""
        if not sys.stdout.isatty() or "NO_COLOR" in os.environ:
            return line
        state = next((word for word in line.split("  ") if word in _COLOURS), None)
        return line.replace(state, f"\x1b[{_COLOURS[state]}m{state}\x1b[0m", 1) if state else line


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _has_started(pod: Object, container: str) -> bool:
    """Whether the container has a log."""
    status = pod.get("status") or {}
    found = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    states = [one.get("state") or {} for one in found if one["name"] == container]
    return any("running" in state or "terminated" in state for state in states)


def _has_ended(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def _talkative(pod: Object) -> str:
    """The container whose log tells more: `migrate`, unless the migrations never came that far."""
    if _has_started(pod, names.CONTAINER_MIGRATE) or not (pod.get("status") or {}).get(
        "initContainerStatuses"
    ):
        return names.CONTAINER_MIGRATE
    return names.CONTAINER_FETCH
