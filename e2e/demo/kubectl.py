"""Kubernetes, as a person with `kubectl` sees it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from e2e.demo.errors import DemoError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

Json = dict[str, Any]

LONGEST_LINE = 2**20


@dataclass(frozen=True)
class Kubectl:
    """The `kubectl` of the local cluster, in one namespace."""

    program: Path
    kubeconfig: Path
    namespace: str

    async def run(self, *arguments: str, stdin: str | None = None) -> str:
        """Return what kubectl prints; raise a DemoError with its words when it fails."""
        process = await self._start(*arguments)
        try:
            out, err = await process.communicate(None if stdin is None else stdin.encode())
        finally:
            await _end(process)
        if process.returncode != 0:
            raise DemoError(f"kubectl {' '.join(arguments)}: {err.decode(errors='replace').strip()}")
        return out.decode()

    async def get(self, kind: str, name: str) -> Json:
        """Read one object."""
        found: Json = json.loads(await self.run("get", kind, name, "-o", "json"))
        return found

    async def list(self, kind: str) -> list[Json]:
        """Read all objects of a kind."""
        items: list[Json] = json.loads(await self.run("get", kind, "-o", "json"))["items"]
        return items

    async def apply(self, objects: Iterable[Json]) -> None:
        """Create or change objects.

        On the server's side, because the other way keeps a copy of the object in an annotation: of a Secret as well.
        """
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        await self.run("apply", "--server-side", "--field-manager=demo", "-f", "-", stdin=text)

    async def watch(self, kind: str) -> AsyncIterator[Json]:
        """Yield each object of a kind as it is now, and again after each change, as long as the caller wants."""
        while True:  # The API server ends a watch now and then; kubectl then stops without an error.
            process = await self._start("get", kind, "--watch", "-o", "json")
            try:
                async for item in _objects(process):
                    yield item
                await _succeeded(process, f"kubectl get {kind} --watch")
            finally:
                await _end(process)

    async def _start(self, *arguments: str) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        where = ("--kubeconfig", str(self.kubeconfig), "--namespace", self.namespace)
        return await asyncio.create_subprocess_exec(
            self.program, *where, *arguments, stdin=pipe, stdout=pipe, stderr=pipe, limit=LONGEST_LINE
        )


async def _objects(process: asyncio.subprocess.Process) -> AsyncIterator[Json]:
    """Read the indented JSON objects that a process prints: each ends with a brace in the first column."""
    assert process.stdout is not None
    lines: list[bytes] = []
    async for line in process.stdout:
        lines.append(line)
        if line.rstrip() == b"}":
            yield json.loads(b"".join(lines))
            lines.clear()


async def _succeeded(process: asyncio.subprocess.Process, what: str) -> None:
    assert process.stderr is not None
    words = (await process.stderr.read()).decode(errors="replace").strip()
    if await process.wait() != 0:
        raise DemoError(f"{what}: {words}")


async def _end(process: asyncio.subprocess.Process) -> None:
    """Stop a process that still runs, as after a cancellation."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
