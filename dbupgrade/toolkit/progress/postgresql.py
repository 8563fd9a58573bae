"""What PostgreSQL says of a session."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import asyncpg

from dbupgrade.toolkit import trouble
from dbupgrade.toolkit.progress import waits
from dbupgrade.toolkit.progress.look import CannotLookError, Look
from dbupgrade.toolkit.progress.place import Place

Fetch = Callable[..., Awaitable[Sequence[Mapping[str, Any]]]]


class PostgreSQL:
    """Looks through a connection of its own."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._knows_copy: bool | None = None

    async def __call__(self, place: Place) -> Look:
        """A look. Raises CannotLookError."""
        try:
            at = await self._at(place)
            found = waits.wait(await self._fetch(waits.BLOCKERS, place.backend))
            rows = [] if found else await self._progress(place.backend)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise CannotLookError(trouble.words(error)) from None
        return Look(at, found, rows[0] if rows else None)

    async def _at(self, place: Place) -> Place:
        """At the statement that the server executes, where the engine does not say which it is."""
        if not place.text:
            return place
        rows = await self._fetch(waits.STATEMENT, place.backend)
        return place.at(rows[0]["query"], time.monotonic() - rows[0]["seconds"]) if rows else place

    async def _progress(self, backend: int) -> Sequence[Mapping[str, Any]]:
        if self._knows_copy is None:
            self._knows_copy = bool(await self._fetch(waits.KNOWS_COPY))
        found = await self._fetch(waits.PROGRESS, backend)
        return found or (await self._fetch(waits.COPY, backend) if self._knows_copy else ())
