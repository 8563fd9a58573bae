"""Lists in pages and watches, for a reflector.

A watch is a sequence of JSON lines. They are split here, because aiohttp's line reader has a limit on their length, and
parsed with orjson, because the client package's Watch parses custom objects twice and retries where it must not.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from dbupgrade.kube.errors import Silence, Unreachable, status_error

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator

    from dbupgrade.kube.client import Client
    from dbupgrade.kube.resources import ResourceKind

SILENCE_SECONDS = 75.0
"""Bookmarks arrive about every minute, so a watch that is quiet for longer may be on a dead connection. It need not be: the
API server sends none for a kind of which it has heard nothing since its start (unless etcd runs with
--watch-progress-notify-interval, which kubeadm sets and others do not)."""

LIST_SECONDS = 60.0
_INTERNAL_ERROR = 500


class Page(NamedTuple):
    """A part of a list; an empty `continue_token` says that it is the last."""

    items: list[dict[str, Any]]
    resource_version: str
    continue_token: str


class ListWatcher:
    """Lists and watches one kind, in one namespace or (empty) in all, by label selector."""

    def __init__(
        self,
        client: Client,
        resource: ResourceKind,
        namespace: str = "",
        label_selector: str = "",
        *,
        silence: float = SILENCE_SECONDS,
    ) -> None:
        self._client = client
        self._path = resource.collection(namespace)
        self._selector = {"labelSelector": label_selector} if label_selector else {}
        self._silence = silence

    async def list_page(self, limit: int, continue_token: str = "") -> Page:
        """Return up to `limit` objects (0: all), from the start or from where `continue_token` says.

        Raises Expired for a token that is too old, or another KubeError. Objects carry their apiVersion and kind, which the
        API server leaves out in lists of built-in kinds.
        """
        query = {**self._selector, "limit": str(limit)}
        if continue_token:
            query["continue"] = continue_token
        answer = await self._client.request("GET", self._path, query=query, timeout=LIST_SECONDS)
        metadata = answer["metadata"]
        names = {"apiVersion": answer["apiVersion"], "kind": answer["kind"].removesuffix("List")}
        return Page(
            items=[names | item for item in answer.get("items") or ()],
            resource_version=metadata["resourceVersion"],
            continue_token=metadata.get("continue", ""),
        )

    async def watch(
        self, resource_version: str, timeout_seconds: int
    ) -> AsyncGenerator[tuple[str, dict[str, Any]], None]:
        """Yield (type, object) of what changes after `resource_version`.

        Types are ADDED, MODIFIED, DELETED and BOOKMARK; a bookmark's object holds little more than a resourceVersion.
        Ends when the server ends it, on the timeout, and also after a long silence: whether the connection is dead or the
        cluster quiet, watching anew from the last version is right, and no failure. Raises Expired when `resource_version` is
        too old, Unreachable when the server does not answer or the connection breaks, or another KubeError. Close the
        generator to end the request.
        """
        query = {
            **self._selector,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(timeout_seconds),
        }
        stream = self._client.stream(self._path, query=query, silence=self._silence)
        async with aclosing(stream) as chunks:
            try:
                async for line in lines(chunks):
                    yield self._event(line)
            except Silence:
                return

    def _event(self, line: bytes) -> tuple[str, dict[str, Any]]:
        try:
            event = orjson.loads(line)
            kind, changed = event["type"], event["object"]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise Unreachable(f"WATCH {self._path}: a line is not an event") from error
        if kind == "ERROR":
            raise status_error("WATCH", self._path, changed.get("code") or _INTERNAL_ERROR, changed)
        return kind, changed


async def lines(chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Split a stream into its lines, of any length and however they are cut into chunks.

    A rest without a newline is half an event: the connection broke, whatever HTTP made of it. Raises Unreachable for it.
    """
    rest: list[bytes] = []
    async for chunk in chunks:
        *complete, last = chunk.split(b"\n")
        for end in complete:
            line = b"".join((*rest, end)) if rest else end
            rest.clear()
            if line.strip():
                yield line
        if last:
            rest.append(last)
    if b"".join(rest).strip():
        raise Unreachable("the watch's connection ended within an event")
